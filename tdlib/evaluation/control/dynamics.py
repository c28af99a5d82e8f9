"""What closed-loop control plans with: learned models in their fastest form, several side by side, or the truth."""

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from tdlib.core.time_grid import TOLERANCE
from tdlib.models import Context
from tdlib.speed import Replayed
from tdlib.speed.structure import select_models
from tdlib.systems.system import System


class Dynamics(Protocol):
    """What control needs of M models."""

    @property
    def has_memory(self) -> bool:
        """Whether predictions depend on the context: what came before the state, or the episode's parameters."""

    def predict_sequence(
        self, state: Tensor, actions: Tensor, delta_t: float, context: Context | None = None
    ) -> Tensor:
        """Predict (M, E, P, T, D) states after each action from (M, E, P, D) and (M, E, P, T, A), steps of Δt [s]."""


class Oracle:
    """The true equation as a model, one member: what the planner reaches with perfect predictions.

    Where a system draws parameters, it is told those of the episode by the context.

    Args:
        system: The real system.
        max_substep: Longest solver step [s]; by default 2.5 times the truth's, since RK4 with 25 ms errs by less than
            1e-5, far below what planning resolves.
    """

    def __init__(self, system: System, max_substep: float | None = None):
        self.system, self.max_substep = system, max_substep or 2.5 * system.max_substep
        self.has_memory = bool(system.spec.parameter_names)
        self._replayed = Replayed(system.substep)  # some forty operations on few numbers: dispatch is most of the cost

    def predict_sequence(
        self, state: Tensor, actions: Tensor, delta_t: float, context: Context | None = None
    ) -> Tensor:
        drawn = None if context is None else context.parameters
        told = () if drawn is None else (drawn.expand(*state.shape[:-1], -1).contiguous(),)
        count = math.ceil(delta_t / self.max_substep * (1 - TOLERANCE))
        h = torch.tensor(delta_t / count, dtype=state.dtype, device=state.device)
        inputs = self.system.spec.held_input(actions).movedim(-2, 0).contiguous()
        state, states = state.contiguous(), []
        for held in inputs:
            for _ in range(count):
                state = self._replayed(state, held, h, *told)
            states.append(state)
        return torch.stack(states, dim=-2)


class SideBySide:
    """Several dynamics as one with all their members: planned, scored and simulated together, predicted each its way.

    Args:
        parts: Dynamics, as `prepared` returns them.
        counts: Members M of each.
    """

    def __init__(self, parts: Sequence[Dynamics], counts: Sequence[int]):
        if len(parts) != len(counts) or not parts:
            raise ValueError(f"counts must be one per part and at least one, got {len(counts)} for {len(parts)} parts")
        self.parts, self.counts = list(parts), list(counts)
        self.has_memory = any(part.has_memory for part in parts)

    def predict_sequence(
        self, state: Tensor, actions: Tensor, delta_t: float, context: Context | None = None
    ) -> Tensor:
        """Predict (ΣM, E, P, T, D) from (ΣM, E, P, D) and (ΣM, E, P, T, A), steps of Δt [s]."""
        predictions, begin = [], 0
        for part, count in zip(self.parts, self.counts, strict=True):
            own = slice(begin, begin + count)
            past = _members(context, own) if part.has_memory else None
            predictions.append(part.predict_sequence(state[own], actions[own], delta_t, past))
            begin += count
        return torch.cat(predictions)

    def select(self, index: Tensor) -> "SideBySide":
        """Return some of the members, by ascending index (k,)."""
        parts, counts, begin = [], [], 0
        for part, count in zip(self.parts, self.counts, strict=True):
            own = index[(index >= begin) & (index < begin + count)] - begin
            if len(own):
                parts.append(part if len(own) == count else select_models(part, own))
                counts.append(len(own))
            begin += count
        return SideBySide(parts, counts)


def _members(context: Context | None, own: slice) -> Context | None:
    return None if context is None else context.map(lambda x: x[own])
