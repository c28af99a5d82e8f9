"""Predictive sampling: carry out the best of some draws around the last plan."""

from dataclasses import dataclass

import torch
from torch import Tensor

from tdlib.planning.planners import Noise, Objective, Plan, WarmStart, finite_scores, require_counts
from tdlib.planning.proposals import Inputs, Proposal


@dataclass(frozen=True)
class PredictiveSampling:
    """Best of N: the present mean is the first sample, the others are drawn around it, and the mean moves to the best.

    Args:
        population: N, plans scored per iteration, the mean among them.
        num_iterations: Moves of the mean per call.

    Source:
        Howell et al. (2022), Predictive sampling; seed 001, controllers.
    """

    population: int = 128
    num_iterations: int = 1
    name: str = "predictive_sampling"

    def __post_init__(self):
        require_counts(self, "population", "num_iterations")

    def num_scored(self, inputs: Inputs, num_knots: int) -> int:
        return self.population * self.num_iterations

    def plan(self, objective: Objective, inputs: Inputs, warm_start: WarmStart, noise: Noise) -> Plan:
        """Score, and move to the best; where no score is finite the mean stays and is carried out."""
        proposal, score, num_nonfinite = _best_of(self.population, objective, inputs, warm_start.proposal, noise)
        for _ in range(self.num_iterations - 1):
            proposal, score, count = _best_of(self.population, objective, inputs, proposal, noise)
            num_nonfinite = num_nonfinite + count
        return Plan(inputs.most_likely(proposal), score, num_nonfinite, WarmStart(proposal, warm_start.elites))


def _best_of(
    population: int, objective: Objective, inputs: Inputs, proposal: Proposal, noise: Noise
) -> tuple[Proposal, Tensor, Tensor]:
    """Move a proposal to the best of a population; return it, that plan's score and the count of those without one."""
    mean = inputs.most_likely(proposal).unsqueeze(-3)
    drawn = inputs.sample(proposal, noise(population, mean.shape[-2]))
    plans = torch.cat([mean, drawn[..., 1:, :, :]], dim=-3)
    scores, num_nonfinite = finite_scores(objective(plans))
    best, index = scores.max(dim=-1, keepdim=True)
    chosen = torch.zeros_like(scores).scatter(-1, index, best.isfinite().to(scores.dtype))
    return inputs.refit(proposal, plans, chosen, adapt_spread=False), best[..., 0], num_nonfinite
