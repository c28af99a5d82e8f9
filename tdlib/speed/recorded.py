"""Replay the prediction step of any models without Python: planning and evaluation call it thousands of times."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from tdlib.models.contract import Context, DynamicsModel
from tdlib.speed.record import Replayed
from tdlib.speed.stack import Stack
from tdlib.speed.structure import has_memory, num_models, select_models, widest_layer

CHUNK = 2**18  # activations of one layer worked on at once: 1 MB in single precision, what a core keeps close
SMALLEST = 64  # columns that are never cut
WORTH_RECORDING = 50  # steps: fewer take less time than recording one


class RecordedDynamics:
    """K models of which nothing is known but the contract; their step is recorded at its first use with each width.

    Samples are columns of one batch (K, N), Δt is a number of every sample: one recording serves all rates.

    Args:
        models: Stack of K models, a wrapper of one, or one model (K = 1).
    """

    def __init__(self, models: Stack | DynamicsModel):
        self.models, self.has_memory = models, has_memory(models)
        self.num_models, self.widest = num_models(models), widest_layer(models)
        functions = (models.__call__, self._advance, self._remember)
        if not getattr(models, "branches_on_values", False):
            functions = [Replayed(function) for function in functions]
        self._forward, self._step, self._encode = functions

    def __call__(self, state: Tensor, action: Tensor, delta_t: Tensor) -> Tensor:
        """Predict one step from an empty memory: (K, ..., D), (K, ..., A), (K, ...) [s] -> (K, ..., D)."""
        return self._forward(state, action, delta_t)

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
            (K, ..., T, D) the states after each action.
        """
        batch, count, num_steps = state.shape[1:-1], len(state), actions.shape[-2]
        num_columns = math.prod(batch)
        state = state.reshape(count, num_columns, -1)
        inputs = actions.reshape(count, num_columns, num_steps, -1).permute(2, 0, 1, 3)
        carry = self.initial(state, None)
        if context is not None and self.has_memory:
            carry = self._shared_past(carry, batch, context)
        predicted = state.new_empty(num_steps, *state.shape)
        parts = math.ceil(num_columns * count * self.widest / CHUNK)
        width = min(num_columns, max(SMALLEST, math.ceil(num_columns / parts)))
        interval = state.new_full((count, width), delta_t)
        for begin in range(0, num_columns, width):
            part = slice(min(begin, num_columns - width), min(begin, num_columns - width) + width)  # of one width
            own = [x[:, part].contiguous() for x in carry]
            for t, action in enumerate(inputs[:, :, part]):
                *own, predicted[t, :, part] = self._step(action.contiguous(), interval, *own)
        return predicted.permute(1, 2, 0, 3).unflatten(1, batch)

    def initial(self, state: Tensor, context: Context | None = None) -> list[Tensor]:
        """Return what a step carries on, (K, N, ...) each, from starts (K, N, D) and the true steps before them."""
        if not self.has_memory:
            return [state]
        if context is None:
            return [self.models.initial_memory(state), state]
        return [self._encode(*context.tensors()), state]

    def stepper(self, count: int, width: int, num_steps: int, like: Tensor) -> Callable:
        """Prepare steps of K x N samples.

        Args:
            count: K.
            width: N.
            num_steps: How many there will be.
            like: Tensor of the wanted precision and device.

        Returns:
            (carry, action (K, N, A), delta_t (K, N) [s]) -> (carry, state (K, N, D)).
        """
        del count, width, like
        function = self._step if num_steps >= WORTH_RECORDING else self._advance

        def step(carry: list[Tensor], action: Tensor, delta_t: Tensor) -> tuple[list[Tensor], Tensor]:
            *carry, state = function(action, delta_t, *carry)
            return carry, state

        return step

    def select(self, index: Tensor) -> "RecordedDynamics":
        """Return some of the models, by index (k,), to be recorded anew."""
        return RecordedDynamics(select_models(self.models, index))

    def _advance(self, action: Tensor, delta_t: Tensor, *carry: Tensor) -> tuple[Tensor, ...]:
        """One step: (action, Δt, *carry) -> (*carry, state); laid out alike, so that one recording serves all steps."""
        if not self.has_memory:
            following = self.models(*carry, action, delta_t).contiguous()
            return following, following
        memory, following = (x.contiguous() for x in self.models.step(*carry, action, delta_t))
        return memory, following, following

    def _remember(self, *context: Tensor) -> Tensor:
        return self.models.encode(Context(*context)).contiguous()

    def _shared_past(self, carry: list[Tensor], batch: tuple[int, ...], context: Context) -> list[Tensor]:
        """Replace the empty memory of starts (K, N, ...) by that of a context whose batch has ones where N has more."""
        shared = context.mask.shape[1:-1]
        columns = Context(*(x.flatten(1, len(shared)).contiguous() for x in context.tensors()))
        *memory, _ = self.initial(carry[-1], columns)
        memory = [x.unflatten(1, shared).expand(-1, *batch, *x.shape[2:]).flatten(1, len(batch)) for x in memory]
        return [*memory, carry[-1]]
