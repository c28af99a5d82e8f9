"""Replay the prediction step of any models without Python: planning and evaluation call it thousands of times."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from tdlib.core.context import Context
from tdlib.models.contract import DynamicsModel
from tdlib.speed.pytrees import leaves_of
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
        self._carry_of: Callable = tuple  # make the models' own carry, and a context, of a list of tensors
        self._context_of: Callable = tuple
        functions: Sequence[Callable] = (models.__call__, self._advance, self._begin, self._remember)
        if not getattr(models, "branches_on_values", False):
            functions = [Replayed(function) for function in functions]
        self._forward, self._step, self._first, self._encode = functions
        if not self.has_memory:
            self._first = self._step  # a start is a state like any other

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
                step = self._step if t else self._first
                *own, predicted[t, :, part] = step(action.contiguous(), interval, *own)
        return predicted.permute(1, 2, 0, 3).unflatten(1, batch)

    def initial(self, state: Tensor, context: Context | None = None) -> list[Tensor]:
        """Return what a step carries on, (K, N, ...) each, from starts (K, N, D) and the true steps before them."""
        if not self.has_memory:
            return [state]
        action = state.new_zeros(*state.shape[:-1], self.models.spec.action_dim)
        empty, self._carry_of = leaves_of(self.models.initial(Context.empty(state, action)))
        if context is None:
            return [*empty, state]
        past, self._context_of = leaves_of(context)
        return [*self._encode(*past), state]

    def stepper(self, count: int, width: int, num_steps: int, like: Tensor) -> Callable:
        """Prepare steps of K x N samples.

        Args:
            count: K.
            width: N.
            num_steps: How many there will be.
            like: Tensor of the wanted precision and device.

        Returns:
            (carry, action (K, N, A), delta_t (K, N) [s], begins) -> (carry, state (K, N, D)). `begins` says which of N
            samples take their first step: True for all, a mask (N,), or None for none.
        """
        del count, width, like
        recorded = num_steps >= WORTH_RECORDING
        begin = self._begin if self.has_memory else self._advance
        first, later = (self._first, self._step) if recorded else (begin, self._advance)

        def step(
            carry: list[Tensor], action: Tensor, delta_t: Tensor, begins: Tensor | Literal[True] | None
        ) -> tuple[list[Tensor], Tensor]:
            if not self.has_memory or begins is None:
                *carry, state = later(action, delta_t, *carry)
                return carry, state
            found = first(action, delta_t, *carry)
            if begins is not True:
                pairs = zip(found, later(action, delta_t, *carry), strict=True)
                found = [torch.where(begins.view(-1, *[1] * (x.ndim - 2)), x, y) for x, y in pairs]
            *carry, state = found
            return carry, state

        return step

    def select(self, index: Tensor) -> "RecordedDynamics":
        """Return some of the models, by index (k,), to be recorded anew."""
        return RecordedDynamics(select_models(self.models, index))

    def _advance(self, action: Tensor, delta_t: Tensor, *carry: Tensor) -> tuple[Tensor, ...]:
        """One step: (action, Δt, *carry) -> (*carry, state); laid out alike, so that one recording serves all steps."""
        if not self.has_memory:
            (state,) = carry
            following = self.models(state, action, delta_t).contiguous()
            return following, following
        return self._with_memory(carry[:-1], action, delta_t)

    def _begin(self, action: Tensor, delta_t: Tensor, *carry: Tensor) -> tuple[Tensor, ...]:
        """The first step, which is told its state: laid out as `_advance`."""
        return self._with_memory(carry[:-1], action, delta_t, carry[-1])

    def _with_memory(self, carry: tuple[Tensor, ...], *arguments: Tensor) -> tuple[Tensor, ...]:
        following, prediction = self.models.step(self._carry_of(carry), *arguments)
        leaves, _ = leaves_of(following)
        state = prediction.state.contiguous()
        return *(x.contiguous() for x in leaves), state, state

    def _remember(self, *context: Tensor) -> tuple[Tensor, ...]:
        return tuple(x.contiguous() for x in leaves_of(self.models.initial(self._context_of(context)))[0])

    def _shared_past(self, carry: list[Tensor], batch: tuple[int, ...], context: Context) -> list[Tensor]:
        """Replace the empty memory of starts (K, N, ...) by that of a context whose batch has ones where N has more."""
        shared = context.mask.shape[1:-1]
        columns = context.map(lambda x: x.flatten(1, len(shared)).contiguous())
        *memory, _ = self.initial(carry[-1], columns)
        memory = [x.unflatten(1, shared).expand(-1, *batch, *x.shape[2:]).flatten(1, len(batch)) for x in memory]
        return [*memory, carry[-1]]
