"""When planned inputs act: knots on a fixed clock, held constant, whatever the length of a model step.

A plan is a few *knots*, constant inputs of one knot interval each, and not one input per control step: the number of
decisions then depends on the horizon in seconds alone. Knot k of the clock covers [k, k + 1) knot intervals of the
episode's time. Planning again inside a knot may change the rest of that knot, and the previous plan always stays one of
the possible plans, which resampling a plan to a moved grid would not allow.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tdlib.core.time_grid import TOLERANCE, steps_within


@dataclass(frozen=True)
class KnotClock:
    """Knots of a plan and the model steps inside its horizon.

    Args:
        horizon: Length of a plan [s].
        knot_interval: Time for which one planned input is held [s].
        model_delta_t: Length of one prediction step [s]; its last whole step inside the horizon ends the plan.
    """

    horizon: float
    knot_interval: float
    model_delta_t: float

    def __post_init__(self):
        for name in ("horizon", "knot_interval", "model_delta_t"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be positive and finite [s], got {value}")
        if self.num_steps < 1:
            raise ValueError(
                f"horizon must hold at least one model step, got {self.horizon} s with steps of {self.model_delta_t} s"
            )

    @classmethod
    def at_rate(
        cls, horizon: float, knots_per_second: float, control_delta_t: float, model_delta_t: float | None = None
    ) -> "KnotClock":
        """Return the clock of a control rate; no knot is shorter than a control step or a model step [s]."""
        if not (math.isfinite(knots_per_second) and knots_per_second > 0):
            raise ValueError(f"knots_per_second must be positive and finite, got {knots_per_second}")
        model_delta_t = control_delta_t if model_delta_t is None else model_delta_t
        return cls(horizon, max(1 / knots_per_second, control_delta_t, model_delta_t), model_delta_t)

    @property
    def num_knots(self) -> int:
        """Number of decisions in one plan."""
        return max(1, math.ceil(self.horizon / self.knot_interval * (1 - TOLERANCE)))

    @property
    def num_steps(self) -> int:
        """Number of model steps in one plan."""
        return steps_within(self.horizon, self.model_delta_t)

    def knot_at(self, time: float) -> int:
        """Return the clock's knot that acts at a time [s] of the episode."""
        return math.floor(time / self.knot_interval + TOLERANCE)

    def held_knots(self, time: float) -> Tensor:
        """Return which knot of a plan made at `time` [s] each model step starts in, (num_steps,).

        A plan made inside a knot reaches beyond its last knot by the part already passed; the last input is held on.
        """
        first = self.knot_at(time)
        knots = [self.knot_at(time + step * self.model_delta_t) - first for step in range(self.num_steps)]
        return torch.tensor(knots).clamp(max=self.num_knots - 1)

    def hold(self, knots: Tensor, time: float) -> Tensor:
        """Spread the knots of a plan made at `time` [s] over its model steps: (..., N, A) -> (..., T, A)."""
        return knots.index_select(-2, self.held_knots(time).to(knots.device))


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
