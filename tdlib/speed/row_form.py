"""The row form of every model of the library: its weights, folded, as steps over rows."""

from dataclasses import replace

import torch

from tdlib.models.discrete import JumpModel, LSTMModel
from tdlib.models.fields import FirstOrderODE, NewtonianDynamicsModel, PortHamiltonianModel, VelocityDynamicsModel
from tdlib.models.no_training import RecurrentRollout, RescaledIncrement
from tdlib.models.ode import TrajectoryMatchingModel, TrajectoryShootingModel
from tdlib.speed.row_steps import FieldSteps, MapSteps, MemorySteps, PortHamiltonianField, RowSteps, StepSize
from tdlib.speed.rows import RowNetwork, StackWeights
from tdlib.speed.stack import Stack


def has_row_form(models: object) -> bool:
    """Whether there is a row form: stacks of exactly the library's classes, and derived arms of jump models."""
    if type(models) in (RescaledIncrement, RecurrentRollout):
        return isinstance(models.model, Stack) and type(models.model.template) is JumpModel
    if not isinstance(models, Stack):
        return False
    template = models.template
    if type(template) is TrajectoryShootingModel:
        template = template.matching
    if type(template) is TrajectoryMatchingModel:
        return type(template.field) in FIELDS and models.num_members == 1
    return type(template) is JumpModel or (type(template) is LSTMModel and models.num_members == 1)


def row_steps(models: Stack | RescaledIncrement | RecurrentRollout, dtype: torch.dtype) -> RowSteps:
    """Fold the weights of models that have a row form; they are taken as they are now."""
    if isinstance(models, Stack):
        template = models.template
        if isinstance(template, JumpModel):
            return _jump(models, dtype)
        if isinstance(template, LSTMModel):
            return _lstm(models, dtype)
        return _field(models, dtype)
    derived = {RescaledIncrement: "rescaled", RecurrentRollout: "composed"}[type(models)]
    return _jump(models.model, dtype, **{derived: float(models.train_delta_t)})


def _jump(stack: Stack, dtype: torch.dtype, **derived: float) -> MapSteps:
    weights = StackWeights(stack)
    coefficients = weights["form.coefficients"]
    (matrix, bias), *layers = weights.layers("network")
    first = weights.fold_input(matrix, bias, "scales", gain=coefficients[:, 0])
    network = weights.network(first, layers, weights["scales.rate_scale"], range(stack.spec.state_dim))
    return MapSteps(network.to(dtype), StepSize(coefficients[:: stack.num_members]), **derived)


def _lstm(stack: Stack, dtype: torch.dtype) -> MemorySteps:
    weights = StackWeights(stack)
    coefficients = weights["form.coefficients"]
    matrix, bias = weights["input_gates.weight"], weights["input_gates.bias"]
    input_gates = weights.fold_input(matrix, bias, "scales", gain=coefficients[:, 0])
    memory_gates = weights["memory_gates.weight"].clone()
    for gates in (input_gates, memory_gates):
        gates.unflatten(1, (4, -1))[:, 2] *= 2.0  # the candidate
    network = weights.network(
        None, weights.layers("network"), weights["scales.rate_scale"], range(stack.spec.state_dim)
    )
    return MemorySteps(input_gates.to(dtype), memory_gates.to(dtype), network.to(dtype), StepSize(coefficients))


def _field(stack: Stack, dtype: torch.dtype) -> FieldSteps:
    template, prefix = stack.template, ""
    if isinstance(template, TrajectoryShootingModel):
        template, prefix = template.matching, "matching."
    weights = StackWeights(stack, prefix)
    return FieldSteps(FIELDS[type(template.field)](weights, dtype), template.solver, template.substeps)


def _plain_field(weights: StackWeights, rows: tuple[int, ...]) -> RowNetwork:
    (matrix, bias), *layers = weights.layers("field.network")
    first = weights.fold_input(matrix, bias, "field.scales")
    return weights.network(first, layers, weights["field.scales.rate_scale"][:, list(rows)], rows)


def _first_order(weights: StackWeights, dtype: torch.dtype) -> RowNetwork:
    return _plain_field(weights, tuple(range(weights.layout.spec.state_dim))).to(dtype)


def _newtonian(weights: StackWeights, dtype: torch.dtype) -> RowNetwork:
    position, velocity = (list(x) for x in (weights.layout.spec.position_dims, weights.layout.spec.velocity_dims))
    network = _plain_field(weights, tuple(velocity))
    linear = network.bias.new_zeros(*network.bias.shape[:2], weights.layout.count)
    linear[:, position, velocity] = 1.0
    linear[:, velocity, velocity] = -weights["field.log_damping"].exp()
    return replace(network, linear=linear).to(dtype)


def _velocity(weights: StackWeights, dtype: torch.dtype) -> RowNetwork:
    return _plain_field(weights, weights.layout.spec.position_dims).to(dtype)


def _port_hamiltonian(weights: StackWeights, dtype: torch.dtype) -> PortHamiltonianField:
    layout, spec = weights.layout, weights.layout.spec
    position, velocity = list(spec.position_dims), list(spec.velocity_dims)
    scale = weights["field.scales.rate_scale"]
    unit = scale[:, position] * scale[:, velocity]  # C
    structure = scale.new_zeros(len(scale), spec.state_dim, layout.action.start)
    structure[:, position, velocity] = unit
    structure[:, velocity, position] = -unit
    structure[:, velocity, velocity] = -weights["field.log_damping"].exp() * unit
    action, constant = weights.fold_action(weights["field.port.weight"] * scale[:, velocity].unsqueeze(-1))
    linear = scale.new_zeros(len(scale), spec.state_dim, layout.count)
    linear[:, velocity, layout.action] = action
    linear[:, velocity, layout.one] = constant

    *hidden, (last, _) = weights.layers("field.network")
    first = weights.fold_input(*hidden[0], "field.scales")
    forward = [(None, first), *((bias.unsqueeze(-1), weight) for weight, bias in hidden[1:])]
    # from the last hidden layer back; the last layer's weights enter its slopes, a feature's row lies as in X
    backward = [weight.mT for weight, _ in reversed(hidden[1:])] + [first[..., : layout.action.start].mT]
    backward[0] = backward[0] * last
    return PortHamiltonianField(
        tuple((None if bias is None else bias.to(dtype), weight.to(dtype)) for bias, weight in forward),
        tuple(weight.to(dtype).contiguous() for weight in backward),
        structure.to(dtype),
        linear.to(dtype),
        layout,
    )


FIELDS = {
    FirstOrderODE: _first_order,
    NewtonianDynamicsModel: _newtonian,
    VelocityDynamicsModel: _velocity,
    PortHamiltonianModel: _port_hamiltonian,
}
