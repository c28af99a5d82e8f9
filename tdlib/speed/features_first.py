"""Open-loop predictions of many plans, states as rows: a step is a few products, and no `vmap` in between.

Planning predicts the same short horizon from many starts again and again. Ordinary calls spend most of that time on
dispatch and on gathering features; here the weights are folded once (`tdlib.speed.rows`) and all samples lie side by
side. Predictions equal the models' own up to rounding (tested).
"""

import functools
import math

import torch
from torch import Tensor

from tdlib.models.contract import Context
from tdlib.models.no_training import RecurrentRollout, RescaledIncrement
from tdlib.speed.row_form import has_row_form, row_steps
from tdlib.speed.row_steps import Columns, MapSteps, RowSteps
from tdlib.speed.rows import RowLayout
from tdlib.speed.stack import Stack

CHUNK = 4096 * 64  # activations of one layer worked on at once: what stays in a cache near the core
SMALLEST = 256  # columns that are never cut: narrower products reach less of the peak


class FeaturesFirst:
    """A stack, or a derived arm that wraps one, predicting in row form; valid for the weights it is built with.

    Args:
        models: Stack of K models, or `RescaledIncrement` or `RecurrentRollout` of a stack of jump models.

    Raises:
        ValueError: If there is no row form of these models; `has_row_form` tells before.
    """

    def __init__(self, models: Stack | RescaledIncrement | RecurrentRollout):
        if not has_row_form(models):
            raise ValueError(f"models must be a stack of the library's models, got {type(models).__name__}")
        self.models = models
        self.stack = models if isinstance(models, Stack) else models.model
        self.has_memory = self.stack.has_memory
        self.layout = RowLayout(self.stack.spec)
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
        batch, (num_models, size), num_steps = state.shape[1:-1], state.shape[:: state.ndim - 1], actions.shape[-2]
        num_columns = math.prod(batch)
        rows = state.new_empty(self.layout.count, num_steps + 1, num_models, num_columns)
        trajectory = rows[:size]  # (D, T + 1, K, N)
        trajectory[:, 0] = state.reshape(num_models, num_columns, size).permute(2, 0, 1)
        inputs = actions.reshape(num_models, num_columns, num_steps, -1).permute(3, 2, 0, 1)
        rows[self.layout.action, :-1] = self.layout.encode_actions(inputs)
        rows[self.layout.one] = 1.0
        memory = None
        if self.has_memory and context is not None:
            memory = self.memory_after(context)
            shared = context.states.shape[1:-2]
            memory = [x.unflatten(-1, shared).expand(*x.shape[:-1], *batch).flatten(2) for x in memory]
        width = max(SMALLEST, CHUNK // (num_models * self.widest))
        for begin in range(0, num_columns, width):
            part = rows[..., begin : begin + width]
            if isinstance(steps, MapSteps) and steps.roll(self.layout, part, delta_t):
                continue
            columns = Columns(self.layout, num_models, part.shape[-1], state)
            kept = None if memory is None else [x[..., begin : begin + width].contiguous() for x in memory]
            advance = steps.start(delta_t, columns, kept)
            states, inputs = part[:size].unbind(dim=1), part[self.layout.action].unbind(dim=1)
            for now, following, action in zip(states[:-1], states[1:], inputs, strict=False):
                columns.action.copy_(action)
                advance(now, following)
        return trajectory[:, 1:].permute(2, 3, 1, 0).unflatten(1, batch)

    def select(self, index: Tensor) -> "FeaturesFirst":
        """Return some of the models, by index (k,)."""
        chosen = self.stack.select(index)
        if isinstance(self.models, Stack):
            return FeaturesFirst(chosen)
        return FeaturesFirst(type(self.models)(chosen, float(self.models.train_delta_t), self.models.spec))

    def row_steps(self, dtype: torch.dtype) -> RowSteps:
        """Return the models' steps with folded weights."""
        if dtype not in self._steps:
            self._steps[dtype] = row_steps(self.models, dtype)
        return self._steps[dtype]

    @functools.cached_property
    def widest(self) -> int:
        """Activations of one sample in the widest layer."""
        layers = (x.shape[1] for name, x in self.stack.weights().items() if name.endswith("weight") and x.ndim == 3)
        return self.stack.num_members * max(layers)

    def memory_after(self, context: Context) -> list[Tensor]:
        """Memory after the true steps of a context (K, ..., C, .) with N samples: (K, H, N) twice."""
        steps = self.row_steps(context.states.dtype)
        states, actions = (x.flatten(1, -3).permute(2, 3, 0, 1) for x in (context.states, context.actions))
        intervals, mask = (x.flatten(1, -2).permute(2, 0, 1) for x in (context.delta_t, context.mask))  # (C, K, N)
        actions = self.layout.encode_actions(actions.transpose(0, 1)).transpose(0, 1)
        num_columns = states.shape[-1]
        columns = Columns(self.layout, self.stack.num_models, num_columns, context.states)
        memory = steps.empty_memory(num_columns)
        remember = steps.remember(columns, memory)
        for state, action, interval, exists in zip(states, actions, intervals, mask, strict=True):
            columns.load(state)
            columns.action.copy_(action)
            columns.delta_t.copy_(interval)
            remember()
            for part in memory:
                part.masked_fill_(~exists.unsqueeze(1), 0.0)
        return memory
