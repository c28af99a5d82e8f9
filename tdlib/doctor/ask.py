"""What a model answers: as it is asked, and in other units, with wrapped angles, by one Euler step, in half steps."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from tdlib.core.specs import EnvironmentSpec, continued
from tdlib.doctor.rows import Rows
from tdlib.speed import Model, Query, predict_queries

LIMIT_STEP = 1e-2  # of the interval; what the increment of a field is taken over
DEGREE = math.pi / 180
ROTATION = ("rad", "rad/s", "deg", "deg/s")

Ask = Callable[[Tensor, Tensor, Tensor], Tensor]


def precision_of(model: Model) -> torch.dtype:
    """The precision that a model computes in: that of its weights; double where it has none."""
    weights = next(model.parameters(), None) if isinstance(model, torch.nn.Module) else None
    return torch.float64 if weights is None else weights.dtype


def asker(model: Model, rows: Rows) -> Ask:
    """Return what asks a model about such rows in its own precision; an answer of another shape is an error."""
    precision = precision_of(model)

    def ask(state: Tensor, action: Tensor, delta_t: Tensor) -> Tensor:
        query = Query(state[None], action[None, :, None], delta_t[None, :, None], rows.context)
        try:
            (found,) = predict_queries(model, [query], dtype=precision)
            answer = found[0, :, -1]
        except Exception as error:  # somebody's own code
            raise ValueError(_refusal(state, action, f"{type(error).__name__}: {error}")) from error
        if answer.shape != state.shape:
            raise ValueError(_refusal(state, action, f"an answer {tuple(answer.shape)}"))
        return answer

    return ask


def _refusal(state: Tensor, action: Tensor, got: str) -> str:
    given = f"state {tuple(state.shape)}, action {tuple(action.shape)} and delta_t {tuple(state.shape[:1])}"
    return f"model must answer {given} with the next state {tuple(state.shape)}, got {' '.join(got.split())}"


def asked_otherwise(ask: Ask, rows: Rows, spec: EnvironmentSpec) -> dict[str, Tensor]:
    """Answers when states are given in other units, angles wrapped, or the field takes one Euler step."""
    found = {}
    turning = [i for i, unit in enumerate(spec.state_units) if unit in ROTATION or i in spec.angle_dims]
    positions = [i for i in turning if i in spec.position_dims]
    for name, factor in (("degrees in the log", DEGREE), ("degrees in the model", 1 / DEGREE)):
        for which, dims in (("", turning), (", positions", positions)):
            if dims:
                at = torch.ones(spec.state_dim, dtype=rows.state.dtype)
                at[dims] = factor
                found[name + which] = ask(rows.state * at, rows.action, rows.delta_t) / at
    wrapped = rows.state.clone()
    for i in (*spec.angle_dims, *positions):
        wrapped[:, i] = torch.remainder(rows.state[:, i] + math.pi, 2 * math.pi) - math.pi
    found["wrapped"] = ask(wrapped, rows.action, rows.delta_t) + rows.state - wrapped
    small = LIMIT_STEP * rows.delta_t
    field = (ask(rows.state, rows.action, small) - rows.state) / LIMIT_STEP
    found["euler"] = rows.state + field
    return found


def half_steps(ask: Ask, rows: Rows, asked: Tensor, unit: Tensor, used: Tensor, spec: EnvironmentSpec) -> Tensor:
    """Squared difference of one step and two halves over the recorded change, by row, (N,)."""
    half = rows.delta_t / 2
    twice = ask(ask(rows.state, rows.action, half), rows.action, half)
    return ((continued(twice, asked, spec) - asked) / unit)[:, used].square().mean(dim=-1)
