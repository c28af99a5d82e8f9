"""Predictions of the models that have a row form: a step is a few products, and no `vmap` in between.

Planning predicts the same short horizon from many starts again and again. Ordinary calls spend most of that time on
dispatch and on gathering features; here the weights are folded once (`tdlib.speed.rows`) and all samples lie side by
side. Predictions equal the models' own up to rounding (tested).
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from tdlib.models.contract import Context
from tdlib.speed.row_form import RowFormed, RowSteps, has_row_form, row_steps
from tdlib.speed.row_gru import GRUSteps
from tdlib.speed.row_steps import Columns, MapSteps, MemorySteps
from tdlib.speed.rows import RowLayout
from tdlib.speed.structure import has_memory, num_models, select_models, widest_layer

CHUNK = 4096 * 64  # activations of one layer worked on at once: what stays in a cache near the core
SMALLEST = 256  # columns that are never cut: narrower products reach less of the peak


class FeaturesFirst:
    """A stack, or a derived arm that wraps one, predicting in row form; valid for the weights it is built with.

    Args:
        models: Stack of K models, or `RescaledIncrement` or `RecurrentRollout` of a stack of jump models.

    Raises:
        ValueError: If there is no row form of these models; `has_row_form` tells before.
    """

    def __init__(self, models: RowFormed):
        if not has_row_form(models):
            raise ValueError(f"models must be a stack of models with a row form, got {type(models).__name__}")
        self.models, self.has_memory = models, has_memory(models)
        self.layout = RowLayout(models.spec)
        self.num_models, self.widest = num_models(models), widest_layer(models)
        self._steps: dict[torch.dtype, RowSteps] = {}

    @torch.no_grad()
    def predict_sequence(
        self, state: Tensor, actions: Tensor, delta_t: float, context: Context | None = None
    ) -> Tensor:
        """Predict open loop with one step length for all.

        Args:
            state: (K, ..., D) start.
            actions: (K, ..., T, A) held inputs.
            delta_t: Interval of every step [s].
            context: True steps before `state`; its batch shape may have ones where the state's has more.

        Returns:
            (K, ..., T, D) the states after each action, a view of rows.
        """
        steps = self.row_steps(state.dtype)
        batch, (count, size), num_steps = state.shape[1:-1], state.shape[:: state.ndim - 1], actions.shape[-2]
        num_columns = math.prod(batch)
        rows = state.new_empty(self.layout.count, num_steps + 1, count, num_columns)
        trajectory = rows[:size]  # (D, T + 1, K, N)
        trajectory[:, 0] = state.reshape(count, num_columns, size).permute(2, 0, 1)
        inputs = actions.reshape(count, num_columns, num_steps, -1).permute(3, 2, 0, 1)
        rows[self.layout.action, :-1] = self.layout.encode_actions(inputs)
        rows[self.layout.one] = 1.0
        memory = [] if isinstance(steps, MapSteps) else self._shared_memory(steps, batch, context)
        width = max(SMALLEST, CHUNK // (count * self.widest))
        for begin in range(0, num_columns, width):
            part = rows[..., begin : begin + width]
            if isinstance(steps, MapSteps):
                steps.roll(self.layout, part, delta_t)
                continue
            columns = Columns(self.layout, count, part.shape[-1], state)
            own = [x[..., begin : begin + width].contiguous() for x in memory]
            interval = state.new_full((count, part.shape[-1]), delta_t)
            advance = steps.by_interval(columns, own, interval)
            for t in range(num_steps):
                columns.action.copy_(part[self.layout.action, t])
                advance(part[:size, t], interval, part[:size, t + 1])
        return trajectory[:, 1:].permute(2, 3, 1, 0).unflatten(1, batch)

    def initial(self, state: Tensor, context: Context | None = None) -> list[Tensor]:
        """Return what a step carries on, (K, N, ...) each: memory, where there is one, and state."""
        steps = self.row_steps(state.dtype)
        if isinstance(steps, MapSteps):
            return [state]
        memory = steps.empty_memory(state.shape[1]) if context is None else self._memory_after(steps, context)
        return [*(x.transpose(1, 2) for x in memory), state]

    def stepper(self, count: int, width: int, num_steps: int, like: Tensor) -> Callable:
        """Prepare steps of K x N samples; see `RecordedDynamics.stepper`."""
        del num_steps
        columns, steps = Columns(self.layout, count, width, like), self.row_steps(like.dtype)
        if isinstance(steps, MapSteps):
            memory, advance = [], steps.by_interval(columns)
        else:
            memory = steps.empty_memory(width)
            advance = steps.by_interval(columns, memory)
        kept = [x.transpose(1, 2) for x in memory]  # the same numbers as a step carries them on

        def step(
            carry: list[Tensor], action: Tensor, delta_t: Tensor, begins: Tensor | Literal[True] | None
        ) -> tuple[list[Tensor], Tensor]:
            del begins  # a first step is like the others
            *past, state = carry
            for own, given in zip(kept, past, strict=True):
                if own is not given:  # a sample has begun
                    own.copy_(given)
            columns.action.copy_(self.layout.encode_actions(action.permute(2, 0, 1)))
            following = torch.empty_like(state)
            advance(state.permute(2, 0, 1), delta_t, following.permute(2, 0, 1))
            return [*kept, following], following

        return step

    def select(self, index: Tensor) -> "FeaturesFirst":
        """Return some of the models, by index (k,)."""
        return FeaturesFirst(select_models(self.models, index))

    def row_steps(self, dtype: torch.dtype) -> RowSteps:
        """Return the models' steps with folded weights."""
        if dtype not in self._steps:
            self._steps[dtype] = row_steps(self.models, dtype)
        return self._steps[dtype]

    def _memory_after(self, steps: MemorySteps | GRUSteps, context: Context) -> list[Tensor]:
        """What is carried after the true steps of a context (K, N, C, ...), (K, ·, N); zero after a masked step."""
        count, width = context.states.shape[:2]
        columns, memory = Columns(self.layout, count, width, context.states), steps.empty_memory(width)
        remember = steps.remember(columns, memory)
        actions = self.layout.encode_actions(context.actions.permute(3, 2, 0, 1))
        for t in range(context.mask.shape[-1]):
            columns.load(context.states[:, :, t].permute(2, 0, 1))
            columns.action.copy_(actions[:, t])
            columns.delta_t.copy_(context.delta_t[..., t])
            remember()
            for part in memory:
                part.masked_fill_(~context.mask[:, None, :, t], 0.0)
        return memory

    def _shared_memory(
        self, steps: MemorySteps | GRUSteps, batch: tuple[int, ...], context: Context | None
    ) -> list[Tensor]:
        """What plans (K, *batch) carry, (K, ·, N); a context's batch may have ones where theirs has more."""
        if context is None:
            return steps.empty_memory(math.prod(batch))
        shared = context.mask.shape[1:-1]
        memory = self._memory_after(steps, context.map(lambda x: x.flatten(1, len(shared))))
        return [x.unflatten(-1, shared).expand(*x.shape[:2], *batch).flatten(2) for x in memory]
