"""Replay a stack's prediction step without Python: planning calls the same small step thousands of times."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from tdlib.speed.record import record


class StackedModels(Protocol):
    """What is recorded: M models with a leading axis M (`tdlib.models.Stack`, or a wrapper of one).

    Models with memory also have `encode(context) -> memory` and `step(memory, state, action, delta_t) -> (memory,
    next_state)`; a stack has `select(index)`.
    """

    has_memory: bool

    def forward(self, state: Tensor, action: Tensor, delta_t: Tensor) -> Tensor:
        """Predict (M, ..., D) from (M, ..., D), (M, ..., A) and () or (M, ...) [s]."""


class RecordedDynamics:
    """A stack whose step is recorded at its first use with each shape.

    Keep one instance per stack while the shape stays, for example over control rates: Δt is an input of the recording.

    Args:
        models: Stack of M models.
    """

    def __init__(self, models: StackedModels):
        self.models = models
        self.has_memory = models.has_memory
        self._steps: dict[tuple, Callable] = {}

    def __call__(self, state: Tensor, action: Tensor, delta_t: Tensor) -> Tensor:
        """Predict one step of models without memory: (M, ..., D), (M, ..., A), (M, ...) or () [s] -> (M, ..., D)."""
        return self._step(state, action, delta_t)

    def predict_sequence(
        self, state: Tensor, actions: Tensor, delta_t: float, context: object | None = None
    ) -> Tensor:
        """Predict open loop with one step length for all.

        Args:
            state: (M, ..., D) start.
            actions: (M, ..., T, A) held inputs.
            delta_t: Interval of every step [s].
            context: True steps before `state`; its batch shape may have ones where the state's has more.

        Returns:
            (M, ..., T, D) the states after each action.
        """
        interval = torch.tensor(delta_t, dtype=state.dtype, device=state.device)
        memory = self._memory(state, context) if self.has_memory else None
        predictions = []
        for action in actions.unbind(dim=-2):
            if memory is None:
                state = self._step(state, action, interval)
            else:
                memory, state = self._step(memory, state, action, interval)
            predictions.append(state)
        return torch.stack(predictions, dim=-2)

    def select(self, index: Tensor) -> "RecordedDynamics":
        """Return some of the models, by index (k,), to be recorded anew."""
        return RecordedDynamics(self.models.select(index))

    def _memory(self, state: Tensor, context: object) -> Tensor:
        memory = self.models.encode(context)
        return memory.expand(*state.shape[:-1], memory.shape[-1]).contiguous()

    def _step(self, *arguments: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        key = (arguments[0].device, *((x.shape, x.dtype) for x in arguments))
        if key not in self._steps:
            function = self.models.step if self.has_memory else self.models.forward
            self._steps[key] = record(function, *arguments)
        return self._steps[key](*arguments)
