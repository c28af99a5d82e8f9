"""Which models have a row form, and their weights folded into it.

A class whose prediction is one residual network says so by its attribute or property `row_form`, a name in `ROW_FORMS`;
a subclass does not inherit it, since it may compute anything. A row form has to earn its place by half the time of a
recorded step: the jump model's and the GRU's do in planning, the LSTM's in evaluation with its contexts; those of
fields did not.
"""

from collections.abc import Callable
from typing import TypeGuard

import torch

from tdlib.models.derived import RecurrentRollout, RescaledIncrement
from tdlib.speed.row_gru import GRUSteps
from tdlib.speed.row_steps import MapSteps, MemorySteps
from tdlib.speed.rows import StackWeights
from tdlib.speed.stack import Stack

RowSteps = MapSteps | MemorySteps | GRUSteps
RowFormed = Stack | RescaledIncrement | RecurrentRollout


def has_row_form(models: object) -> TypeGuard[RowFormed]:
    """Whether there is a row form: stacks of models that declare one, and derived arms of such stacks."""
    if _declared(models) in DERIVED and hasattr(models, "model"):
        return isinstance(models.model, Stack) and _declared(models.model.template) == "residual_network"
    if not isinstance(models, Stack) or _declared(models.template) not in ROW_FORMS:
        return False
    return models.num_members == 1 or not models.has_memory


def row_steps(models: RowFormed, dtype: torch.dtype) -> RowSteps:
    """Fold the weights of models that have a row form; they are taken as they are now."""
    if isinstance(models, Stack):
        return ROW_FORMS[_declared(models.template)](models, dtype)
    stack = models.model
    assert isinstance(stack, Stack)  # `has_row_form` has seen to it
    return ROW_FORMS[_declared(stack.template)](stack, dtype, **{_declared(models): float(models.train_delta_t)})


def _declared(model: object) -> str:
    found = vars(type(model)).get("row_form", "")
    return found.__get__(model) if isinstance(found, property) else found


def _residual_network(stack: Stack, dtype: torch.dtype, **derived: float) -> MapSteps:
    """X' = x + s(Δt)·σ·network(z(x), e(a), gain·Δt), with the submodules of `tdlib.models.JumpModel`."""
    weights = StackWeights(stack)
    coefficients = weights["form.coefficients"]
    (matrix, bias), *layers = weights.layers("network")
    first = weights.fold_input(matrix, bias, "scales", gain=coefficients[:, 0])
    network = weights.network(first, layers, weights["scales.rate_scale"])
    return MapSteps(network.to(dtype), coefficients[:: stack.num_members], **derived)


def _residual_lstm(stack: Stack, dtype: torch.dtype) -> MemorySteps:
    """The same with an LSTM cell as first hidden layer, as in `tdlib.models.LSTMModel`."""
    weights = StackWeights(stack)
    coefficients = weights["form.coefficients"]
    matrix, bias = weights["input_gates.weight"], weights["input_gates.bias"]
    input_gates = weights.fold_input(matrix, bias, "scales", gain=coefficients[:, 0])
    memory_gates = weights["memory_gates.weight"].clone()
    for gates in (input_gates, memory_gates):
        gates.unflatten(1, (4, -1))[:, 2] *= 2.0  # the candidate
    network = weights.network(None, weights.layers("network"), weights["scales.rate_scale"])
    return MemorySteps(input_gates.to(dtype), memory_gates.to(dtype), network.to(dtype), coefficients)


def _gru(stack: Stack, dtype: torch.dtype) -> GRUSteps:
    """The cell, what is relative and the changes of `tdlib.models.families.gru.GRUModel`, without windows."""
    weights, spec, template = StackWeights(stack), stack.spec, stack.template
    coefficients = weights["form.coefficients"]
    input_gates = weights.fold_input(
        weights["input_gates.weight"], weights["input_gates.bias"], "scales", gain=coefficients[:, 0]
    )
    memory_gates, bias = weights["memory_gates.weight"].clone(), weights["memory_gates.bias"].clone()
    width = memory_gates.shape[-1]
    layout, mean = weights.layout, weights["scales.normalizer.mean"]
    relative = template.options.relative  # type: ignore[attr-defined]
    for dim in relative:  # what is counted from another row has no mean to take off
        column = layout.features.index(dim)
        input_gates[..., layout.one] += input_gates[..., dim] * mean[:, column, None]
    input_gates[:, : 2 * width, layout.one] += bias[:, : 2 * width]
    places = {row: (cos, sin) for row, cos, sin in layout.angles}
    order = [layout.features.index(places[dim][1] if dim in places else dim) for dim in range(spec.state_dim)]
    order += [layout.features.index(cos) for _, cos, _ in layout.angles]
    owners = [*range(spec.state_dim), *spec.angle_dims]
    scale = weights["scales.rate_scale"][:, owners]
    warped = weights["train_delta_t"].to(dtype) if template.clock == "warped" else None
    return GRUSteps(
        input_gates=input_gates.to(dtype),
        memory_gates=memory_gates.to(dtype),
        bias=bias[:, 2 * width :].unsqueeze(-1).to(dtype),
        change=(weights["network.weight"][:, order] * scale.unsqueeze(-1)).to(dtype),
        change_bias=(weights["network.bias"][:, order] * scale).unsqueeze(-1).to(dtype),
        coefficients=coefficients,
        angles=tuple(spec.angle_dims),
        relative=relative,
        train_delta_t=warped,
    )


ROW_FORMS: dict[str, Callable[..., RowSteps]] = {
    "residual_network": _residual_network,
    "residual_lstm": _residual_lstm,
    "gru": _gru,
}
DERIVED = ("rescaled", "composed")
