"""What a model answers: as it is asked, and in other units, with wrapped angles, by one Euler step, in half steps."""

import math
from collections.abc import MutableMapping
from typing import Protocol

import torch
from torch import Tensor

from tdlib.core.specs import EnvironmentSpec, continued
from tdlib.doctor.rows import Rows
from tdlib.speed import Model, Query, predict_queries

LIMIT_STEP = 1e-2  # of the interval; what the increment of a field is taken over
OTHER_STEPS = "half a step or two"
EVEN = "even stamps"
DEGREE = math.pi / 180
ROTATION = ("rad", "rad/s", "deg", "deg/s")


class Ask(Protocol):
    """What asks a model: state (N, D), action (N, A), delta_t (N,) [s] -> (N, D).

    Where a trial is named, a model that refuses it answers NaN and its reason is kept; else its refusal is an error.
    """

    def __call__(self, state: Tensor, action: Tensor, delta_t: Tensor, trial: str = "") -> Tensor: ...


def precision_of(model: Model) -> torch.dtype:
    """The precision that a model computes in: that of its weights; double where it has none."""
    weights = next(model.parameters(), None) if isinstance(model, torch.nn.Module) else None
    return torch.float64 if weights is None else weights.dtype


def asker(model: Model, rows: Rows, refused: MutableMapping[str, str]) -> Ask:
    """Return what asks a model about such rows in its own precision.

    Args:
        model: One model, or any callable.
        rows: Whose pasts are told to models that remember.
        refused: Where the reason of every trial that the model refuses is put.
    """
    precision = precision_of(model)

    def ask(state: Tensor, action: Tensor, delta_t: Tensor, trial: str = "") -> Tensor:
        query = Query(state[None], action[None, :, None], delta_t[None, :, None], rows.context)
        try:
            (found,) = predict_queries(model, [query], dtype=precision)
            answer = found[0, :, -1]
        except Exception as error:  # somebody's own code
            if not trial:
                raise ValueError(_refusal(state, action, reason(error))) from error
            refused.setdefault(trial, reason(error))
            return torch.full_like(state, math.nan)
        if answer.shape != state.shape:
            raise ValueError(_refusal(state, action, f"an answer {tuple(answer.shape)}"))
        return answer

    return ask


def reason(error: Exception) -> str:
    """An error of somebody's own code in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def _refusal(state: Tensor, action: Tensor, got: str) -> str:
    given = f"state {tuple(state.shape)}, action {tuple(action.shape)} and delta_t {tuple(state.shape[:1])}"
    return f"model must answer {given} with the next state {tuple(state.shape)}, got {got}"


def asked_otherwise(ask: Ask, rows: Rows, spec: EnvironmentSpec, *, even: float | None = None) -> dict[str, Tensor]:
    """Answers when states are given in other units, angles wrapped, or the field takes one Euler step.

    Args:
        ask: From `asker`.
        rows: Which are asked about.
        spec: What their states are.
        even: Interval that all rows have instead of their own [s]; None where stamps are no question.
    """
    found = {}
    if even is not None:
        found[EVEN] = ask(rows.state, rows.action, torch.full_like(rows.delta_t, even), EVEN)
    turning = [i for i, unit in enumerate(spec.state_units) if unit in ROTATION or i in spec.angle_dims]
    positions = [i for i in turning if i in spec.position_dims]
    for name, factor in (("degrees in the log", DEGREE), ("degrees in the model", 1 / DEGREE)):
        for which, dims in (("", turning), (", positions", positions)):
            if dims:
                at = torch.ones(spec.state_dim, dtype=rows.state.dtype)
                at[dims] = factor
                trial = name + which
                found[trial] = ask(rows.state * at, rows.action, rows.delta_t, trial) / at
    wrapped = rows.state.clone()
    for i in (*spec.angle_dims, *positions):
        wrapped[:, i] = torch.remainder(rows.state[:, i] + math.pi, 2 * math.pi) - math.pi
    found["wrapped"] = ask(wrapped, rows.action, rows.delta_t, "wrapped") + rows.state - wrapped
    small = LIMIT_STEP * rows.delta_t
    field = (ask(rows.state, rows.action, small, "euler") - rows.state) / LIMIT_STEP
    found["euler"] = rows.state + field
    return found


def half_steps(ask: Ask, rows: Rows, asked: Tensor, unit: Tensor, used: Tensor, spec: EnvironmentSpec) -> Tensor:
    """Squared difference of one step and two halves over the recorded change, by row, (N,)."""
    half = rows.delta_t / 2
    once = ask(rows.state, rows.action, half, OTHER_STEPS)
    twice = ask(once, rows.action, half, OTHER_STEPS)
    return ((continued(twice, asked, spec) - asked) / unit)[:, used].square().mean(dim=-1)
