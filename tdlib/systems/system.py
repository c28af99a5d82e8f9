"""Physical truth: one differential equation per system, and its flow under a zero-order hold at any real Δt.

    s' = f(s, u),   u constant over the interval

RK4 with n = ceil(Δt / 10 ms) equal substeps per sample; the error is below 1e-7 away from Pendulum's speed limit.
A speed limit is applied after each substep, as Gymnasium applies it after each of its steps.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from tdlib.core.solvers import rk4_step
from tdlib.core.specs import EnvironmentSpec
from tdlib.systems.scenes import Scene

MAX_SUBSTEP = 0.01  # [s]
SCALAR_ROWS = 64  # up to this many rows, loops over plain numbers are faster than calls of tensors
ROUNDING = 1e-9  # keeps ceil(0.03 / 0.01) at 3
Numbers = tuple[float, ...]


def substep_count(delta_t: float) -> int:
    """Return the number of equal substeps, none longer than 10 ms, of one interval [s]."""
    return max(1, math.ceil(delta_t / MAX_SUBSTEP * (1 - ROUNDING)))


@dataclass(frozen=True)
class IntervalOutcome:
    """What one interval under a held input did; every field has the batch shape (...).

    Args:
        next_state: (..., D) flow over the whole interval, even past a limit.
        reward: Gymnasium's reward integrated over the time until exit, per `spec.reward_delta_t`.
        exit_time: Time [s] after the start at which the state first left its limits; inf if it did not.
        limit_hit: Whether the speed limit was touched.
    """

    next_state: Tensor
    reward: Tensor
    exit_time: Tensor
    limit_hit: Tensor


@dataclass(frozen=True)
class System:
    """One controlled differential equation with its task.

    Args:
        spec: Names, units and limits.
        derivative: (state (..., D), inputs (..., m) physical) -> (..., D), right-hand side f.
        scalar_derivative: The same for plain numbers, (D floats, m floats) -> D floats.
        reward_rate: (state, input) -> (...) Gymnasium's reward of one step of `spec.reward_delta_t`.
        scalar_reward_rate: The same for plain numbers.
        outside: state -> (...) bool, whether the episode has ended here.
        scalar_outside: The same for plain numbers.
        cost: (state, input) -> (...) cost rate that planners minimize; declared per system, smooth where reward is not.
        success: states (..., T+1, D), times (T+1,) -> (...) bool, whether an episode solved the task.
        reset_low: Lower corner of the uniform reset box.
        reset_high: Upper corner.
        speed_limit: Bound on |state| per dimension, applied after each substep; None if there is none.
        observe: (columns of the state, m) -> what a sensor sees, column by column, with m = math, numpy or torch; None
            if it sees the state.
        observed_state: The inverse of `observe`, as exact as the sensor; None if there is none.
        observation_high: Bound on |observation| per dimension; None if there is none.
        scene: How a state is painted in videos; None if it is not.
        energy: state (..., D) -> (...) kinetic and potential energy [J]; None if the system names none.
    """

    spec: EnvironmentSpec
    derivative: Callable[[Tensor, Tensor], Tensor]
    scalar_derivative: Callable[[tuple[float, ...], tuple[float, ...]], tuple[float, ...]]
    reward_rate: Callable[[Tensor, Tensor], Tensor]
    scalar_reward_rate: Callable[[tuple[float, ...], tuple[float, ...]], float]
    outside: Callable[[Tensor], Tensor]
    scalar_outside: Callable[[tuple[float, ...]], bool]
    cost: Callable[[Tensor, Tensor], Tensor]
    success: Callable[[Tensor, Tensor], Tensor]
    reset_low: tuple[float, ...]
    reset_high: tuple[float, ...]
    speed_limit: tuple[float, ...] | None = None
    observe: Callable[[Sequence, ModuleType], tuple] | None = None
    observed_state: Callable[[Sequence, ModuleType], tuple] | None = None
    observation_high: tuple[float, ...] | None = None
    scene: Scene | None = None
    energy: Callable[[Tensor], Tensor] | None = None

    def flow(self, state: Tensor, action: Tensor, delta_t: Tensor | float) -> Tensor:
        """Solve the equation over one interval per sample with the action held.

        Args:
            state: (..., D) physical state.
            action: (..., A) physical inputs, or index of a discrete action.
            delta_t: (...) or one number, interval [s]; negative values go back in time (where no speed limit acts).

        Returns:
            (..., D) state after `delta_t`; angles continue, they are not wrapped.
        """
        for _, end, _, _ in self._substeps(state, action, delta_t):
            state = end
        return state

    def simulate(self, state: Tensor, action: Tensor, delta_t: Tensor | float) -> IntervalOutcome:
        """Solve as `flow` does and report reward, exit and contact with the speed limit inside the interval."""
        force = self.spec.held_input(action)
        reward = torch.zeros_like(state[..., 0])
        exit_time = torch.full_like(reward, math.inf)
        elapsed = torch.zeros_like(reward)
        limit_hit = torch.zeros_like(reward, dtype=torch.bool)
        for start, end, h, limited in self._substeps(state, action, delta_t):
            alive = exit_time.isinf()
            reward = reward + alive * h * self.reward_rate(start, force) / self.spec.reward_delta_t
            elapsed = elapsed + h
            exit_time = torch.where(alive & (h > 0) & self.outside(end), elapsed, exit_time)
            limit_hit = limit_hit | limited
            state = end
        return IntervalOutcome(state, reward, exit_time, limit_hit)

    def simulate_rows(self, state: Tensor, action: Tensor, delta_t: float) -> IntervalOutcome:
        """Do as `simulate` does, with plain numbers where there are few rows: (N, D), (N, A) -> fields (N, ...)."""
        if len(state) > SCALAR_ROWS:
            return self.simulate(state, action, delta_t)
        rows = zip(state.tolist(), action.tolist(), strict=True)
        ends, rewards, exits, hits = zip(*[self.advance(tuple(s), a, delta_t) for s, a in rows], strict=True)
        numbers = (torch.tensor(x, dtype=state.dtype, device=state.device) for x in (ends, rewards, exits))
        return IntervalOutcome(*numbers, torch.tensor(hits, device=state.device))

    def _substeps(
        self, state: Tensor, action: Tensor, delta_t: Tensor | float
    ) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Yield (start, end, h, limited) of every substep; samples that need fewer wait with h = 0."""
        batch_shape = np.broadcast_shapes(state.shape[:-1], action.shape[:-1])  # torch's takes 0.3 s at its first call
        delta_t = torch.as_tensor(delta_t, dtype=state.dtype, device=state.device).expand(batch_shape)
        state = state.expand(*batch_shape, state.shape[-1])
        force = self.spec.held_input(action.to(state.dtype))
        counts = torch.ceil(delta_t.abs().double() / MAX_SUBSTEP * (1 - ROUNDING)).clamp(min=1)
        h = (delta_t.double() / counts).to(state.dtype)
        limit = None if self.speed_limit is None else torch.tensor(self.speed_limit).to(state)
        for k in range(int(counts.max()) if counts.numel() else 0):
            active_h = torch.where(k < counts, h, torch.zeros_like(h))
            end = rk4_step(lambda s: self.derivative(s, force), state, active_h.unsqueeze(-1))
            limited = torch.zeros_like(active_h, dtype=torch.bool)
            if limit is not None:
                limited = (active_h != 0) & (end.abs() >= limit).any(dim=-1)
                end = torch.minimum(torch.maximum(end, -limit), limit)
            yield state, end, active_h, limited
            state = end

    def advance(
        self, state: tuple[float, ...], action: float | Sequence[float], delta_t: float
    ) -> tuple[tuple[float, ...], float, float, bool]:
        """Solve one interval of one sample with plain numbers; equals `simulate` to 1e-12 and is 25 times faster.

        Args:
            state: D numbers.
            action: A numbers, or one number where A = 1.
            delta_t: Interval [s].

        Returns:
            (next_state, reward, exit_time [s], limit_hit)
        """
        spec = self.spec
        force = spec.held_numbers(action)
        count = substep_count(delta_t)
        h = delta_t / count
        step = _SCALAR_RK4.get(len(state), _scalar_rk4)
        reward, exit_time, limit_hit = 0.0, math.inf, False
        for k in range(count):
            if exit_time == math.inf:
                reward += h * self.scalar_reward_rate(state, force) / spec.reward_delta_t
            state = step(self.scalar_derivative, state, force, h)
            if self.speed_limit is not None and any(map(_beyond, state, self.speed_limit)):
                state = tuple(min(max(x, -b), b) for x, b in zip(state, self.speed_limit, strict=True))
                limit_hit = True
            if exit_time == math.inf and self.scalar_outside(state):
                exit_time = (k + 1) * h
        return state, reward, exit_time, limit_hit


def _beyond(x: float, bound: float) -> bool:
    return not -bound < x < bound


def _scalar_rk4(derivative: Callable, state: Numbers, force: Numbers, h: float) -> Numbers:
    half, sixth = 0.5 * h, h / 6
    k1 = derivative(state, force)
    k2 = derivative(tuple([x + half * k for x, k in zip(state, k1, strict=True)]), force)
    k3 = derivative(tuple([x + half * k for x, k in zip(state, k2, strict=True)]), force)
    k4 = derivative(tuple([x + h * k for x, k in zip(state, k3, strict=True)]), force)
    return tuple(
        [x + sixth * (a + 2 * b + 2 * c + d) for x, a, b, c, d in zip(state, k1, k2, k3, k4, strict=True)]
    )


def _scalar_rk4_of_2(derivative: Callable, state: Numbers, force: Numbers, h: float) -> Numbers:
    """Written out: loops over so few numbers cost more than the arithmetic."""
    half, sixth = 0.5 * h, h / 6
    x, y = state
    ax, ay = derivative(state, force)
    bx, by = derivative((x + half * ax, y + half * ay), force)
    cx, cy = derivative((x + half * bx, y + half * by), force)
    dx, dy = derivative((x + h * cx, y + h * cy), force)
    return x + sixth * (ax + 2 * bx + 2 * cx + dx), y + sixth * (ay + 2 * by + 2 * cy + dy)


def _scalar_rk4_of_4(derivative: Callable, state: Numbers, force: Numbers, h: float) -> Numbers:
    half, sixth = 0.5 * h, h / 6
    x, y, z, w = state
    ax, ay, az, aw = derivative(state, force)
    bx, by, bz, bw = derivative((x + half * ax, y + half * ay, z + half * az, w + half * aw), force)
    cx, cy, cz, cw = derivative((x + half * bx, y + half * by, z + half * bz, w + half * bw), force)
    dx, dy, dz, dw = derivative((x + h * cx, y + h * cy, z + h * cz, w + h * cw), force)
    return (
        x + sixth * (ax + 2 * bx + 2 * cx + dx),
        y + sixth * (ay + 2 * by + 2 * cy + dy),
        z + sixth * (az + 2 * bz + 2 * cz + dz),
        w + sixth * (aw + 2 * bw + 2 * cw + dw),
    )


_SCALAR_RK4 = {2: _scalar_rk4_of_2, 4: _scalar_rk4_of_4}
