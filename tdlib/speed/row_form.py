"""Which models have a row form, and their weights folded into it.

A class whose prediction is one residual network says so by its attribute `row_form`, a name in `ROW_FORMS`; a subclass
does not inherit it, since it may compute anything. The row form has to earn its place: of the library's models the jump
model's takes half the time of its recorded step in planning, the others' took most of it and are gone.
"""

from collections.abc import Callable

import torch

from tdlib.models.no_training import RecurrentRollout, RescaledIncrement
from tdlib.speed.row_steps import MapSteps
from tdlib.speed.rows import StackWeights
from tdlib.speed.stack import Stack


def has_row_form(models: object) -> bool:
    """Whether there is a row form: stacks of models that declare one, and derived arms of such stacks."""
    if _declared(models) in DERIVED:
        models = models.model
    return isinstance(models, Stack) and _declared(models.template) in ROW_FORMS


def row_steps(models: Stack | RescaledIncrement | RecurrentRollout, dtype: torch.dtype) -> MapSteps:
    """Fold the weights of models that have a row form; they are taken as they are now."""
    if isinstance(models, Stack):
        return ROW_FORMS[_declared(models.template)](models, dtype)
    stack = models.model
    return ROW_FORMS[_declared(stack.template)](stack, dtype, **{_declared(models): float(models.train_delta_t)})


def _declared(model: object) -> str | None:
    return vars(type(model)).get("row_form")


def _residual_network(stack: Stack, dtype: torch.dtype, **derived: float) -> MapSteps:
    """X' = x + s(Δt)·σ·network(z(x), e(a), gain·Δt), with the submodules of `tdlib.models.JumpModel`."""
    weights = StackWeights(stack)
    coefficients = weights["form.coefficients"]
    (matrix, bias), *layers = weights.layers("network")
    first = weights.fold_input(matrix, bias, "scales", gain=coefficients[:, 0])
    network = weights.network(first, layers, weights["scales.rate_scale"])
    return MapSteps(network.to(dtype), coefficients[:: stack.num_members], **derived)


ROW_FORMS: dict[str, Callable[..., MapSteps]] = {"residual_network": _residual_network}
DERIVED = ("rescaled", "composed")
