"""Predictions of the models that have a row form: a step is a few products, and no `vmap` in between.

Planning predicts the same short horizon from many starts again and again. Ordinary calls spend most of that time on
dispatch and on gathering features; here the weights are folded once (`tdlib.speed.rows`) and all samples lie side by
side. Predictions equal the models' own up to rounding (tested).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from tdlib.models.contract import Context
from tdlib.models.no_training import RecurrentRollout, RescaledIncrement
from tdlib.speed.row_form import has_row_form, row_steps
from tdlib.speed.row_steps import Columns, MapSteps
from tdlib.speed.rows import RowLayout
from tdlib.speed.stack import Stack
from tdlib.speed.structure import num_models, select_models, widest_layer

CHUNK = 4096 * 64  # activations of one layer worked on at once: what stays in a cache near the core
SMALLEST = 256  # columns that are never cut: narrower products reach less of the peak


class FeaturesFirst:
    """A stack, or a derived arm that wraps one, predicting in row form; valid for the weights it is built with.

    Args:
        models: Stack of K models, or `RescaledIncrement` or `RecurrentRollout` of a stack of jump models.

    Raises:
        ValueError: If there is no row form of these models; `has_row_form` tells before.
    """

    has_memory = False

    def __init__(self, models: Stack | RescaledIncrement | RecurrentRollout):
        if not has_row_form(models):
            raise ValueError(f"models must be a stack of models with a row form, got {type(models).__name__}")
        self.models = models
        self.layout = RowLayout(models.spec)
        self.num_models, self.widest = num_models(models), widest_layer(models)
        self._steps: dict[torch.dtype, MapSteps] = {}

    @torch.no_grad()
    def predict_sequence(
        self, state: Tensor, actions: Tensor, delta_t: float, context: Context | None = None
    ) -> Tensor:
        """Predict open loop with one step length for all.

        Args:
            state: (K, ..., D) start.
            actions: (K, ..., T, A) held inputs.
            delta_t: Interval of every step [s].
            context: Ignored, as by the models.

        Returns:
            (K, ..., T, D) the states after each action, a view of rows.
        """
        del context
        steps = self.row_steps(state.dtype)
        batch, (count, size), num_steps = state.shape[1:-1], state.shape[:: state.ndim - 1], actions.shape[-2]
        num_columns = math.prod(batch)
        rows = state.new_empty(self.layout.count, num_steps + 1, count, num_columns)
        trajectory = rows[:size]  # (D, T + 1, K, N)
        trajectory[:, 0] = state.reshape(count, num_columns, size).permute(2, 0, 1)
        inputs = actions.reshape(count, num_columns, num_steps, -1).permute(3, 2, 0, 1)
        rows[self.layout.action, :-1] = self.layout.encode_actions(inputs)
        rows[self.layout.one] = 1.0
        width = max(SMALLEST, CHUNK // (count * self.widest))
        for begin in range(0, num_columns, width):
            steps.roll(self.layout, rows[..., begin : begin + width], delta_t)
        return trajectory[:, 1:].permute(2, 3, 1, 0).unflatten(1, batch)

    def initial(self, state: Tensor, context: Context | None = None) -> list[Tensor]:
        """Return what a step carries on, (K, N, ...) each: the state."""
        del context
        return [state]

    def stepper(self, count: int, width: int, num_steps: int, like: Tensor) -> Callable:
        """Prepare steps of K x N samples; see `RecordedDynamics.stepper`."""
        del num_steps
        columns = Columns(self.layout, count, width, like)
        advance = self.row_steps(like.dtype).by_interval(columns)

        def step(carry: list[Tensor], action: Tensor, delta_t: Tensor) -> tuple[list[Tensor], Tensor]:
            (state,) = carry
            columns.action.copy_(self.layout.encode_actions(action.permute(2, 0, 1)))
            following = torch.empty_like(state)
            advance(state.permute(2, 0, 1), delta_t, following.permute(2, 0, 1))
            return [following], following

        return step

    def select(self, index: Tensor) -> "FeaturesFirst":
        """Return some of the models, by index (k,)."""
        return FeaturesFirst(select_models(self.models, index))

    def row_steps(self, dtype: torch.dtype) -> MapSteps:
        """Return the models' steps with folded weights."""
        if dtype not in self._steps:
            self._steps[dtype] = row_steps(self.models, dtype)
        return self._steps[dtype]
