"""What closed-loop control plans with: learned models in their fastest form, several side by side, or the truth."""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from tdlib.core.solvers import rk4_step
from tdlib.core.time_grid import TOLERANCE
from tdlib.models import Context, DynamicsModel, RecurrentRollout
from tdlib.speed import FeaturesFirst, RecordedDynamics, Stack, has_row_form
from tdlib.systems.system import System


class Dynamics(Protocol):
    """What control needs of M models."""

    has_memory: bool

    def predict_sequence(
        self, state: Tensor, actions: Tensor, delta_t: float, context: Context | None = None
    ) -> Tensor:
        """Predict (M, E, P, T, D) states after each action from (M, E, P, D) and (M, E, P, T, A), steps of Δt [s]."""


@dataclass(frozen=True)
class Oracle:
    """The true equation as a model, one member: what the planner reaches with perfect predictions.

    Args:
        system: The real system.
        max_substep: Longest solver step [s]; RK4 with 25 ms errs by less than 1e-5, far below what planning resolves.
    """

    system: System
    max_substep: float = 0.025
    has_memory = False
    _substeps: dict[tuple, Callable] = field(default_factory=dict, compare=False, repr=False)

    def predict_sequence(
        self, state: Tensor, actions: Tensor, delta_t: float, context: Context | None = None
    ) -> Tensor:
        del context
        count = math.ceil(delta_t / self.max_substep * (1 - TOLERANCE))
        h = torch.tensor(delta_t / count, dtype=state.dtype, device=state.device)
        forces = self.system.spec.held_input(actions).movedim(-2, 0).contiguous()
        state, states = state.contiguous(), []
        key = (state.shape, state.dtype, state.device)
        if key not in self._substeps:  # some forty operations on few numbers: most of their cost is dispatch
            with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # TorchScript announces its successor, which has no replay this light
                examples = tuple(torch.zeros_like(x) for x in (state, forces[0], h))
                self._substeps[key] = torch.jit.trace(self._substep, examples, check_trace=False)
        substep = self._substeps[key]
        for force in forces:
            for _ in range(count):
                state = substep(state, force, h)
            states.append(state)
        return torch.stack(states, dim=-2)

    def _substep(self, state: Tensor, force: Tensor, h: Tensor) -> Tensor:
        state = rk4_step(lambda s: self.system.derivative(s, force), state, h)
        if self.system.speed_limit is None:
            return state
        limit = torch.tensor(self.system.speed_limit).to(state)
        return torch.minimum(torch.maximum(state, -limit), limit)


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
            past = Context(*(x[own] for x in context.tensors())) if part.has_memory else None
            predictions.append(part.predict_sequence(state[own], actions[own], delta_t, past))
            begin += count
        return torch.cat(predictions)

    def select(self, index: Tensor) -> "SideBySide":
        """Return some of the members, by ascending index (k,)."""
        parts, counts, begin = [], [], 0
        for part, count in zip(self.parts, self.counts, strict=True):
            own = index[(index >= begin) & (index < begin + count)] - begin
            if len(own):
                parts.append(part if len(own) == count else part.select(own))
                counts.append(len(own))
            begin += count
        return SideBySide(parts, counts)


def prepared(dynamics: Dynamics | Stack | DynamicsModel) -> Dynamics:
    """Prepare models for control; keep the result to control them at several rates.

    The library's own models predict in row form, any other stack by replaying its recorded step.

    Args:
        dynamics: A stack, a wrapper of one (`Persistence`, `RescaledIncrement`, `RecurrentRollout`), or what is ready.
    """
    if has_row_form(dynamics):
        return FeaturesFirst(dynamics)
    if isinstance(dynamics, RecurrentRollout):  # its number of compositions depends on Δt: record what it composes
        inner = dynamics.model if isinstance(dynamics.model, RecordedDynamics) else RecordedDynamics(dynamics.model)
        return RecurrentRollout(inner, float(dynamics.train_delta_t), dynamics.spec)
    return RecordedDynamics(dynamics) if isinstance(dynamics, Stack | DynamicsModel) else dynamics
