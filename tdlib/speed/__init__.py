"""Speed: many models as one program, steps recorded once, predictions in one batch; private torch lives here."""

from tdlib.speed.features_first import FeaturesFirst
from tdlib.speed.predict import Model, predict_steps
from tdlib.speed.prepare import prepared
from tdlib.speed.queries import Query, predict_queries
from tdlib.speed.record import Replayed, record, traced
from tdlib.speed.recorded import RecordedDynamics
from tdlib.speed.row_form import has_row_form
from tdlib.speed.stack import Stack
from tdlib.speed.structure import has_memory

__all__ = [
    "FeaturesFirst",
    "Model",
    "Query",
    "RecordedDynamics",
    "Replayed",
    "Stack",
    "has_memory",
    "has_row_form",
    "predict_queries",
    "predict_steps",
    "prepared",
    "record",
    "traced",
]
