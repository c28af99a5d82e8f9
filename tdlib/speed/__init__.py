"""Speed: many models as one program, steps recorded once, predictions over rows; the only place with private torch."""

from tdlib.speed.features_first import FeaturesFirst
from tdlib.speed.predict import predict_steps
from tdlib.speed.queries import Query, predict_queries
from tdlib.speed.recorded import RecordedDynamics, StackedModels
from tdlib.speed.row_form import has_row_form
from tdlib.speed.stack import Stack

__all__ = [
    "FeaturesFirst",
    "Query",
    "RecordedDynamics",
    "Stack",
    "StackedModels",
    "has_row_form",
    "predict_queries",
    "predict_steps",
]
