"""When planned inputs act: knots on a fixed clock and the signal through them, whatever the length of a model step.

A plan is a few *knots* and not one input per control step: the number of decisions then depends on the horizon in
seconds alone. Knot k of the clock covers [k, k + 1) knot intervals of the episode's time where it is held; where knots
are joined it is the input at k intervals. Planning again inside a knot may change the rest of that knot, and the
previous plan always stays one of the possible plans, which resampling a plan to a moved grid would not allow.

A model step and a control step hold the signal's value at their start.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tdlib.core.specs import shared_bound
from tdlib.core.time_grid import TOLERANCE, steps_within
from tdlib.planning.interpolation import find_interpolation, knot_weights

Limits = tuple[tuple[float, ...], tuple[float, ...]]  # smallest and largest value of every input


@dataclass(frozen=True)
class KnotClock:
    """Knots of a plan and the model steps inside its horizon.

    Args:
        horizon: Length of a plan [s].
        knot_interval: Time between knots [s].
        model_delta_t: Length of one prediction step [s]; its last whole step inside the horizon ends the plan.
        interpolation: How the signal goes from knot to knot, a name in `INTERPOLATIONS`.
        limits: Range of the inputs, to which a signal is clipped that overshoots its knots; None for no limits.
    """

    horizon: float
    knot_interval: float
    model_delta_t: float
    interpolation: str = "zero"
    limits: Limits | None = None

    def __post_init__(self):
        for name in ("horizon", "knot_interval", "model_delta_t"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be positive and finite [s], got {value}")
        if self.num_steps < 1:
            raise ValueError(
                f"horizon must hold at least one model step, got {self.horizon} s with steps of {self.model_delta_t} s"
            )
        find_interpolation(self.interpolation)

    @classmethod
    def at_rate(
        cls,
        horizon: float,
        knots_per_second: float,
        control_delta_t: float,
        model_delta_t: float | None = None,
        interpolation: str = "zero",
        limits: Limits | None = None,
    ) -> "KnotClock":
        """Return the clock of a control rate; no knot interval is shorter than a control or a model step [s]."""
        if not (math.isfinite(knots_per_second) and knots_per_second > 0):
            raise ValueError(f"knots_per_second must be positive and finite, got {knots_per_second}")
        model_delta_t = control_delta_t if model_delta_t is None else model_delta_t
        interval = max(1 / knots_per_second, control_delta_t, model_delta_t)
        return cls(horizon, interval, model_delta_t, interpolation, limits)

    @property
    def num_knots(self) -> int:
        """Number of decisions in one plan; joined knots stand at both ends of every interval."""
        intervals = max(1, math.ceil(self.horizon / self.knot_interval * (1 - TOLERANCE)))
        return intervals + find_interpolation(self.interpolation).further

    @property
    def num_steps(self) -> int:
        """Number of model steps in one plan."""
        return steps_within(self.horizon, self.model_delta_t)

    def knot_at(self, time: float) -> int:
        """Return the clock's knot that acts, or that was last passed, at a time [s] of the episode."""
        return math.floor(time / self.knot_interval + TOLERANCE)

    def step_times(self, time: float) -> list[float]:
        """Return when each model step of a plan made at `time` [s] starts [s]."""
        return [time + step * self.model_delta_t for step in range(self.num_steps)]

    def held_knots(self, time: float, times: Sequence[float]) -> Tensor:
        """Return which knot of a plan made at `time` acts, or was last passed, at each of some `times` [s]: (T,).

        A plan made inside a knot reaches beyond its last knot by the part already passed; the last input is held on.
        """
        first = self.knot_at(time)
        return torch.tensor([self.knot_at(now) - first for now in times]).clamp(max=self.num_knots - 1)

    def signal(self, time: float, times: Sequence[float] | None = None) -> Callable[[Tensor], Tensor]:
        """Return what makes inputs of the knots of a plan: (..., N, A) -> (..., T, A).

        Predictions and the plant are given the same signal, each at its own times.

        Args:
            time: When the plan is made [s].
            times: When the inputs begin to act [s], T of them; at every model step if None.
        """
        times = self.step_times(time) if times is None else times
        held = self.held_knots(time, times)
        if self.interpolation == "zero":
            if held.tolist() == list(range(self.num_knots)):  # one knot per step: nothing to spread
                return lambda knots: knots
            return lambda knots: knots.index_select(-2, held.to(knots.device))
        found, first = find_interpolation(self.interpolation), self.knot_at(time)
        # a time that rounding puts before its knot is at it
        position = [max(now / self.knot_interval, self.knot_at(now)) - first + found.before for now in times]
        weights = knot_weights(self.interpolation, torch.tensor(position, dtype=torch.float64), self.num_knots)

        def joined(knots: Tensor) -> Tensor:
            inputs = (knots.transpose(-1, -2) @ weights.T.to(knots)).transpose(-1, -2)
            if self.limits is None or not found.overshoots:
                return inputs
            low, high = (shared_bound(bound, inputs) for bound in self.limits)
            return inputs.clamp(low, high)

        return joined


def planning_steps(total: int, delta_t: float, replan_interval: float) -> list[int]:
    """Return the control steps, of `total` of Δt [s] each, at which a plan is made.

    A plan is due at every whole multiple of the interval and made at the first control step from then on. So plans are
    as many per second at every control rate, evenly apart where the interval is a whole number of control steps and
    less than one such step off elsewhere; a control step longer than the interval plans every time, as does interval 0.
    """
    if replan_interval <= delta_t:
        return list(range(total))
    due = [math.floor(step * delta_t / replan_interval + TOLERANCE) for step in range(total)]
    return [step for step in range(total) if step == 0 or due[step] > due[step - 1]]


def shift_knots(knots: Tensor, count: int, fill: Tensor) -> Tensor:
    """Drop the first `count` knots and append as many of `fill`: (..., N, A), (..., N, A) -> (..., N, A)."""
    if count <= 0:
        return knots
    return torch.cat([knots[..., count:, :], fill[..., : min(count, knots.shape[-2]), :]], dim=-2)
