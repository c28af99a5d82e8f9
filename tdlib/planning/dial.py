"""DIAL: MPPI that begins wide and ends narrow, and leaves the far end of a plan more freedom than what acts next."""

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tdlib.planning.planners import MPPI, Noise, Objective, Plan, WarmStart
from tdlib.planning.proposals import BoxInputs, Inputs


@dataclass(frozen=True)
class DIAL(MPPI):
    """MPPI whose noise is annealed over iterations i = 0 .. I − 1 and over knots h = 1 .. H.

        σ_ih = σ_0 exp(−i / (β_1 I) − (H − h) / (β_2 H))

    with σ_0 the spread of a fresh plan, so that the last knot of the first iteration is drawn from it.

    Args:
        beta_iteration: β_1; larger anneals less from iteration to iteration.
        beta_horizon: β_2; larger tells near and far knots less apart.

    The others are those of `MPPI`; I is `num_iterations`.

    Source:
        Xue et al. (2024), Full-order sampling-based MPC for torque-level locomotion control via diffusion-style
        annealing; seed 001, controllers.
    """

    name: str = "dial"
    beta_iteration: float = 1.0
    beta_horizon: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        for name in ("beta_iteration", "beta_horizon"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be positive and finite, got {value}")

    def num_scored(self, inputs: Inputs, num_knots: int) -> int:
        _require_box(inputs)
        return super().num_scored(inputs, num_knots)

    def plan(self, objective: Objective, inputs: Inputs, warm_start: WarmStart, noise: Noise) -> Plan:
        """Refine as MPPI does; raises a ValueError if the actions are discrete, which have no spread to anneal."""
        _require_box(inputs)
        iteration = itertools.count()

        def annealed(population: int, num_knots: int) -> Tensor:
            drawn = noise(population, num_knots)
            return drawn * self.scale(next(iteration), num_knots).to(drawn).unsqueeze(-1)

        return super().plan(objective, inputs, warm_start, annealed)

    def scale(self, iteration: int, num_knots: int) -> Tensor:
        """Return σ_ih / σ_0 of one iteration, (H,)."""
        to_go = (num_knots - torch.arange(1, num_knots + 1)) / num_knots
        return torch.exp(-iteration / (self.beta_iteration * self.num_iterations) - to_go / self.beta_horizon)


def _require_box(inputs: Inputs) -> None:
    if not isinstance(inputs, BoxInputs):
        raise ValueError(f"DIAL needs inputs in a box, got {type(inputs).__name__}")
