"""Sampling planners that refit a proposal, CEM and MPPI over knots, for many independent problems at once.

A planner sees an objective, plans -> scores, and nothing of models, systems or time. Higher scores are better; a score
that is NaN or infinite becomes −inf, so a diverged prediction never wins, and is counted. Each problem is planned from
its own noise, so a plan does not depend on which others are planned beside it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from tdlib.planning.knots import shift_knots
from tdlib.planning.proposals import Inputs, Proposal

Objective = Callable[[Tensor], Tensor]  # plans (..., P, N, A) -> scores (..., P), higher is better
FULL_SCALE = 4  # the fewest draws of which the last has the full spread: the only pair of two is the most careful one
Noise = Callable[[int, int], Tensor]  # (P, N) -> (..., P, N, A), as the inputs draw it; called once per iteration


@dataclass(frozen=True)
class WarmStart:
    """What a planner keeps for its next plan.

    Args:
        proposal: Distribution over the knots of the last plan.
        elites: (..., k, N, A) best plans found; k may be 0.
    """

    proposal: Proposal
    elites: Tensor

    def shifted(self, count: int, inputs: Inputs) -> "WarmStart":
        """Drop `count` knots that have passed; those that come into view are fresh, and all spreads are wide again."""
        batch_shape, num_knots = self.proposal.center.shape[:-2], self.proposal.center.shape[-2]
        fresh = inputs.initial(batch_shape, num_knots)
        fresh = Proposal(*(part.to(self.proposal.center) for part in fresh))
        center = shift_knots(self.proposal.center, count, fresh.center)
        elites = self.elites
        if elites.shape[-3]:
            elites = shift_knots(elites, count, inputs.most_likely(fresh).unsqueeze(-3).expand_as(elites))
        return WarmStart(Proposal(center, fresh.spread), elites)

    def select(self, index: Tensor) -> "WarmStart":
        """Keep some of the problems along the first batch axis."""
        return WarmStart(Proposal(self.proposal.center[index], self.proposal.spread[index]), self.elites[index])


@dataclass(frozen=True)
class Plan:
    """Result of one planning call.

    Args:
        knots: (..., N, A) inputs to carry out.
        score: (...) best score seen; −inf if no plan had a finite score.
        num_nonfinite: (...) number of plans whose score was NaN or infinite.
        warm_start: State for the next call.
    """

    knots: Tensor
    score: Tensor
    num_nonfinite: Tensor
    warm_start: WarmStart


class Planner(Protocol):
    """Anything that turns an objective into a plan."""

    @property
    def name(self) -> str:
        """What tables call it."""

    def num_scored(self, inputs: Inputs, num_knots: int) -> int:
        """Return how many plans one call scores."""

    def plan(self, objective: Objective, inputs: Inputs, warm_start: WarmStart, noise: Noise) -> Plan:
        """Return a plan; the batch shape and the number of knots are those of `warm_start`."""


@dataclass(frozen=True)
class CEM:
    """Cross-entropy method: refit the proposal to the best plans, a few times.

    Args:
        population: Plans scored per iteration.
        num_iterations: Refits per call.
        num_elites: Plans that the proposal is refitted to.
        num_kept: Elites of the last call that are scored again in this one.

    Source:
        Pinneri et al. (2020), iCEM, for the kept elites and the mean as a sample.
    """

    population: int = 64
    num_iterations: int = 2
    num_elites: int = 6
    num_kept: int = 2
    name: str = "cem"

    def __post_init__(self):
        require_counts(self, "population", "num_iterations", "num_elites")
        if not self.num_elites <= self.population:
            raise ValueError(f"num_elites must be at most population = {self.population}, got {self.num_elites}")
        if not 0 <= self.num_kept <= self.num_elites:
            raise ValueError(f"num_kept must be in 0 .. num_elites = {self.num_elites}, got {self.num_kept}")

    def num_scored(self, inputs: Inputs, num_knots: int) -> int:
        return self.population * self.num_iterations

    def plan(self, objective: Objective, inputs: Inputs, warm_start: WarmStart, noise: Noise) -> Plan:
        return _refine(self, objective, inputs, warm_start, noise, adapt_spread=True)

    def weights(self, scores: Tensor) -> Tensor:
        """Give equal weights to the finite ones among the best `num_elites`: (..., P) -> (..., P)."""
        best, index = scores.topk(self.num_elites, dim=-1)
        chosen = torch.zeros_like(scores).scatter(-1, index, best.isfinite().to(scores.dtype))
        return chosen / chosen.sum(dim=-1, keepdim=True).clamp(min=1)


@dataclass(frozen=True)
class MPPI:
    """Model predictive path integral: move the mean to the exponentially weighted plans; the spread stays.

        w = softmax(score / (temperature · standard deviation of the scores))

    Args:
        population: Plans scored per iteration.
        num_iterations: Updates of the mean per call.
        temperature: Sharpness relative to the spread of the scores, so that it means the same for every cost and rate.
        num_kept: Best plans of the last call that are scored again in this one.
        standardized: Whether scores are divided by their standard deviation; without, the temperature is in units of
            the cost, as λ = 0.1 of seed 001 is.

    Source:
        Williams et al. (2017), with the scores standardized; seed 001, controllers.
    """

    population: int = 64
    num_iterations: int = 2
    temperature: float = 0.25
    num_kept: int = 2
    standardized: bool = True
    name: str = "mppi"

    def __post_init__(self):
        require_counts(self, "population", "num_iterations")
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ValueError(f"temperature must be positive and finite, got {self.temperature}")
        if not 0 <= self.num_kept <= self.population:
            raise ValueError(f"num_kept must be in 0 .. population = {self.population}, got {self.num_kept}")

    def num_scored(self, inputs: Inputs, num_knots: int) -> int:
        return self.population * self.num_iterations

    def plan(self, objective: Objective, inputs: Inputs, warm_start: WarmStart, noise: Noise) -> Plan:
        return _refine(self, objective, inputs, warm_start, noise, adapt_spread=False)

    def weights(self, scores: Tensor) -> Tensor:
        """Weigh every finite score by softmax(score / λ): (..., P) -> (..., P); all zero where none is finite."""
        finite = scores.isfinite()
        if not self.standardized:
            return torch.where(finite, torch.softmax(scores / self.temperature, dim=-1), 0.0)
        count = finite.sum(dim=-1, keepdim=True).clamp(min=1)
        mean = torch.where(finite, scores, 0.0).sum(dim=-1, keepdim=True) / count
        variance = torch.where(finite, scores - mean, 0.0).square().sum(dim=-1, keepdim=True) / count
        scale = self.temperature * variance.sqrt().clamp(min=1e-12)
        return torch.where(finite, torch.softmax(scores / scale, dim=-1), 0.0)


@dataclass(frozen=True)
class RandomInputs:
    """No planning: carry out one draw of the widest proposal; the floor that a learned model must beat."""

    name: str = "random"

    def num_scored(self, inputs: Inputs, num_knots: int) -> int:
        return 0

    def plan(self, objective: Objective, inputs: Inputs, warm_start: WarmStart, noise: Noise) -> Plan:
        del objective
        center = warm_start.proposal.center
        fresh = Proposal(*(x.to(center) for x in inputs.initial(center.shape[:-2], center.shape[-2])))
        plans = inputs.sample(fresh, noise(FULL_SCALE, center.shape[-2]))
        knots = plans[..., -1, :, :]
        unknown = torch.full(center.shape[:-2], -torch.inf)
        return Plan(knots, unknown, torch.zeros_like(unknown, dtype=torch.long), warm_start)


def fresh_start(
    inputs: Inputs, batch_shape: tuple[int, ...], num_knots: int, device: torch.device | str = "cpu"
) -> WarmStart:
    """Return the start of an episode: the widest proposal and no elites."""
    proposal = Proposal(*(part.to(device) for part in inputs.initial(batch_shape, num_knots)))
    return WarmStart(proposal, inputs.most_likely(proposal).unsqueeze(-3)[..., :0, :, :])


def finite_scores(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Replace NaN and infinite scores by −inf and count them: (..., P) -> (..., P), (...)."""
    finite = scores.isfinite()
    return torch.where(finite, scores, -torch.inf), (~finite).sum(dim=-1)


def _refine(
    planner: CEM | MPPI, objective: Objective, inputs: Inputs, warm_start: WarmStart, noise: Noise, adapt_spread: bool
) -> Plan:
    """Sample, score, weigh, refit; carry out the best plan that was scored."""
    proposal, elites = warm_start.proposal, inputs.within(warm_start.elites)[..., : planner.population, :, :]
    num_knots = proposal.center.shape[-2]
    best_score = best_plan = None
    num_nonfinite = 0
    for _ in range(planner.num_iterations):
        plans = inputs.sample(proposal, noise(planner.population, num_knots))
        if elites.shape[-3]:  # the last call's best take the place of as many draws
            plans = torch.cat([plans[..., : planner.population - elites.shape[-3], :, :], elites], dim=-3)
        scores, count = finite_scores(objective(plans))
        num_nonfinite = num_nonfinite + count
        proposal = inputs.refit(proposal, plans, planner.weights(scores), adapt_spread)
        order = scores.topk(max(planner.num_kept, 1), dim=-1).indices
        elites = plans.gather(-3, order[..., None, None].expand(*order.shape, *plans.shape[-2:]))
        score, plan = scores.amax(dim=-1), elites[..., 0, :, :]
        if best_score is None:
            best_score, best_plan = score, plan
        else:
            better = score > best_score
            best_score = torch.where(better, score, best_score)
            best_plan = torch.where(better[..., None, None], plan, best_plan)
    assert best_score is not None  # there is at least one iteration
    # with no finite score at all, the center is as good as any plan
    nothing = best_score.isneginf()[..., None, None]
    knots = torch.where(nothing, inputs.most_likely(proposal), best_plan)
    return Plan(knots, best_score, num_nonfinite, WarmStart(proposal, elites[..., : planner.num_kept, :, :]))


def require_counts(settings: object, *names: str) -> None:
    """Check that settings are whole numbers >= 1.

    Raises:
        ValueError: If one is not.
    """
    for name in names:
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a whole number >= 1, got {value!r}")
