"""Prediction steps in row form where every column has an interval of its own, so that all rates share one batch.

`tdlib.speed.row_steps` folds one Δt into the weights before it starts; here Δt is read anew at every step.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from tdlib.models.forms import LOG_OFFSET
from tdlib.models.no_training import TOLERANCE
from tdlib.speed.row_steps import Columns, FieldSteps, MapSteps, MemorySteps, RowSteps, StepSize

IntervalAdvance = Callable[[Tensor, Tensor, Tensor], None]


def start_by_interval(steps: RowSteps, columns: Columns, memory: list[Tensor] | None = None) -> IntervalAdvance:
    """Prepare `advance(state, delta_t, out)`: (D, K, N), (K, N) [s] -> (D, K, N); the action lies in the columns.

    Args:
        steps: Steps of K models.
        columns: N columns.
        memory: Memory of the columns, overwritten at every step; None for models without, or for an empty one.
    """
    return _STARTS[type(steps)](steps, columns, memory)


def step_sizes(size: StepSize, delta_t: Tensor) -> Tensor:
    """Return s(Δt) of every model's form: (K, N) [s] -> (K, N) [s]."""
    _, constant, linear, log = size.coefficients.to(delta_t.dtype).unsqueeze(-1).unbind(dim=-2)
    tau = torch.log10(delta_t.clamp(min=10**-LOG_OFFSET)) + LOG_OFFSET
    return constant + linear * delta_t + log * tau


def _start_map(steps: MapSteps, columns: Columns, memory: list[Tensor] | None) -> IntervalAdvance:
    del memory
    network, buffers = steps.network, steps.network.buffers(columns.increment.shape[-1])

    def add_increment(state: Tensor, factor: Tensor, out: Tensor) -> None:
        columns.load(state)
        network.into(columns.increment, columns.matrix, buffers)
        torch.addcmul(state, columns.change, factor, out=out)

    def by_asked_interval(state: Tensor, delta_t: Tensor, out: Tensor) -> None:
        columns.delta_t.copy_(delta_t)
        add_increment(state, step_sizes(steps.size, delta_t), out)

    h = steps.rescaled or steps.composed
    if h is None:
        return by_asked_interval
    columns.delta_t.fill_(h)
    size = steps.size.at(h, columns.increment.dtype)[:, 0]  # (K, 1)

    def by_own_interval(state: Tensor, delta_t: Tensor, out: Tensor) -> None:
        if steps.rescaled is not None:
            add_increment(state, size * (delta_t / h), out)
            return
        for share in _shares(delta_t, h):
            add_increment(state, size * share, out)
            state = out

    return by_own_interval


def _shares(delta_t: Tensor, h: float) -> list[Tensor]:
    """Which share of a training step h each inner step adds, (K, N) each: ones, then what remains, then zeros."""
    ratio = delta_t / h
    whole = torch.floor(ratio * (1 + TOLERANCE))
    rest = (ratio - whole).clamp(min=0)
    rest = torch.where(rest > TOLERANCE * ratio, rest, torch.zeros_like(rest))
    count = math.ceil(float((whole + rest).max()))
    return [torch.where(whole > k, torch.ones_like(rest), torch.where(whole == k, rest, 0)) for k in range(count)]


def _start_field(steps: FieldSteps, columns: Columns, memory: list[Tensor] | None) -> IntervalAdvance:
    del memory

    def add(state: Tensor, change: Tensor, h: Tensor, factor: float, out: Tensor) -> None:
        torch.addcmul(state, change, h, value=factor, out=out)

    solve = steps.solve(columns, add)

    def advance(state: Tensor, delta_t: Tensor, out: Tensor) -> None:
        columns.delta_t.copy_(delta_t)
        solve(state, delta_t / steps.substeps, out)

    return advance


def _start_memory(steps: MemorySteps, columns: Columns, memory: list[Tensor] | None) -> IntervalAdvance:
    memory = memory or steps.empty_memory(columns.increment.shape[-1])
    buffers, remember = steps.network.buffers(columns.increment.shape[-1]), steps.remember(columns, memory)

    def advance(state: Tensor, delta_t: Tensor, out: Tensor) -> None:
        columns.load(state)
        columns.delta_t.copy_(delta_t)
        remember()
        steps.network.into(columns.increment, columns.matrix, buffers, memory[0])
        torch.addcmul(state, columns.change, step_sizes(steps.size, delta_t), out=out)

    return advance


_STARTS = {MapSteps: _start_map, FieldSteps: _start_field, MemorySteps: _start_memory}
