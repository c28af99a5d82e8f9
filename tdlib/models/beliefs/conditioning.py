"""What observations do to a belief: several are pooled into one, and one moves mean and covariance.

    y_n = H x + noise of variance r_n,   Λ = Σ_n 1/r_n,   η = Σ_n (y_n − H m)/r_n

A set counts through these two sums alone, in any order; conditioning on its members one by one gives the same.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from tdlib.models.beliefs.belief import Belief


class Evidence(NamedTuple):
    """What one or more Gaussian observations say, in the form that adds.

    Args:
        precision: (..., n) Λ, zero where nothing was observed.
        pull: (..., n) Σ_n y_n/r_n.
    """

    precision: Tensor
    pull: Tensor

    def unstack(self) -> "list[Evidence]":
        """Take those in a row apart: (..., T, n) -> T of (..., n)."""
        return [Evidence(*parts) for parts in zip(*(part.unbind(dim=-2) for part in self), strict=True)]


def evidence_of(observed: Tensor, variance: Tensor, valid: Tensor | None = None) -> Evidence:
    """Return what observations say one by one; those that are not valid say nothing.

    Values are not looked at, so that stacked programs hold it; `tdlib.models.beliefs.evidence` refuses what is none.

    Args:
        observed: (..., n) y, finite also where it is not valid.
        variance: (..., n) r > 0.
        valid: (...) bool; None if all are.

    Returns:
        (..., n) each.
    """
    precision = variance.reciprocal()
    if valid is not None:
        precision = torch.where(valid.unsqueeze(-1), precision, torch.zeros_like(precision))
    return Evidence(precision, precision * observed)


def aggregate(members: Evidence) -> Evidence:
    """Pool a set into one observation: precisions add, means are weighted by them; (..., N, n) -> (..., n).

    Source:
        Volpp et al. (2021), Bayesian context aggregation, equation 8.
    """
    return Evidence(members.precision.sum(dim=-2), members.pull.sum(dim=-2))


def condition(prior: Belief, seen: Evidence) -> Belief:
    """Condition on an observation of the upper half, H = [I, 0].

        k = 1/(1 + uΛ),   m_u⁺ = m_u + u k η,   m_l⁺ = m_l + s k η,   u⁺ = u k,   s⁺ = s k,   l⁺ = l − s² Λ k

    No subtraction of near equals and no infinity: (1 − q)u with q = u/(u + r) loses three digits in single precision
    where r is small.

    Args:
        prior: (..., 2d) and (..., 3d).
        seen: (..., d).

    Source:
        Shaj et al. (2023), MTS3, Gaussian conditioning; Becker et al. (2019), RKN, for one observation.
    """
    upper, lower, side = prior.covariance.chunk(3, dim=-1)
    kept = 1 / (1 + upper * seen.precision)
    new_upper, new_side = upper * kept, side * kept
    shift = seen.pull - seen.precision * prior.mean[..., : prior.latent_dim]  # η
    mean = prior.mean + torch.cat([new_upper * shift, new_side * shift], dim=-1)
    return Belief(mean, torch.cat([new_upper, lower - side * seen.precision * new_side, new_side], dim=-1))


def condition_whole(prior: Belief, seen: Evidence) -> Belief:
    """Condition on an observation of both halves, H = I, every coordinate by itself; there is no side covariance then.

        c⁺ = c/(1 + cΛ),   m⁺ = m + c⁺ η   with c = [u, l];   s⁺ = 0, the prior's is not looked at

    Args:
        prior: (..., 2d) and (..., 3d).
        seen: (..., 2d).

    Source:
        Volpp et al. (2021), Bayesian context aggregation, equation 8; for abstract actions Shaj et al. (2023), MTS3.
    """
    variance, side = prior.covariance.tensor_split([2 * prior.latent_dim], dim=-1)
    variance = variance / (1 + variance * seen.precision)
    mean = prior.mean + variance * (seen.pull - seen.precision * prior.mean)
    return Belief(mean, torch.cat([variance, torch.zeros_like(variance[..., : side.shape[-1]])], dim=-1))
