"""The visual family: one model of images, whose predictor is an option."""

from tdlib.models.family import Family
from tdlib.models.visual.world_model import VisualWorldModel

FAMILY = Family(
    VisualWorldModel,
    VisualWorldModel,
    VisualWorldModel.Options,
    VisualWorldModel.ARMS,
    VisualWorldModel.label,
    "visual",
    form_option="predictor",
    shown=VisualWorldModel.shown,
)
