"""Any models in the form in which they predict fastest."""

from tdlib.models.contract import DynamicsModel
from tdlib.speed.features_first import FeaturesFirst
from tdlib.speed.recorded import RecordedDynamics
from tdlib.speed.row_form import has_row_form
from tdlib.speed.stack import Stack
from tdlib.speed.structure import Models, with_inner

Prepared = FeaturesFirst | RecordedDynamics


def prepared(models: Models) -> Models | Prepared:
    """Prepare models for many predictions; keep the result to predict at several rates.

    Models with a row form predict in it, any other by replaying their recorded step. What has no step (models of whole
    sequences, the true equation of control, a plain function) comes back as it is.

    Args:
        models: A stack, a wrapper of one (`Persistence`, `RescaledIncrement`, `RecurrentRollout`), one model, or what
            is ready.
    """
    if has_row_form(models):
        return FeaturesFirst(models)
    if not isinstance(models, Stack | DynamicsModel) or models.whole_sequences:
        return models
    if getattr(models, "branches_on_values", False) and hasattr(models, "model"):  # record what it calls
        return RecordedDynamics(with_inner(models, RecordedDynamics(models.model)))
    return RecordedDynamics(models)
