"""What a model believes of a latent state: a Gaussian whose covariance is three vectors.

    x = [upper; lower] in R^2d,   Σ = [[diag u, diag s], [diag s, diag l]]

The upper half is what an observation shows, the lower half remembers what it does not; u, l and s are the upper, lower
and side covariance. Σ is d blocks of two by two, positive definite where u > 0 and u l > s².
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Belief(NamedTuple):
    """N(mean, Σ); a pytree, so that `torch.func.vmap` maps it. Sums are by `independent_sum`: + would join tuples.

    Args:
        mean: (..., 2d) upper half, then lower half.
        covariance: (..., 3d) u, then l, then s.
    """

    mean: Tensor
    covariance: Tensor

    @property
    def latent_dim(self) -> int:
        """Length d of each half."""
        return self.mean.shape[-1] // 2

    def unstack(self) -> "list[Belief]":
        """Take beliefs in a row apart: (..., T, ·) -> T of (..., ·)."""
        return [Belief(*parts) for parts in zip(*(part.unbind(dim=-2) for part in self), strict=True)]

    def as_row(self) -> "Belief":
        """Make it the only one of a row: (..., ·) -> (..., 1, ·)."""
        return Belief(*(part.unsqueeze(-2) for part in self))

    def detach(self) -> "Belief":
        """Return the same numbers without what they were computed from."""
        return Belief(self.mean.detach(), self.covariance.detach())

    def expand(self, *shape: int) -> "Belief":
        """Give it a batch shape: (..., ·) -> (*shape, ·)."""
        return Belief(*(part.expand(*shape, part.shape[-1]) for part in self))

    @staticmethod
    def stack(beliefs: "Sequence[Belief]") -> "Belief":
        """Put beliefs in a row: T of (..., ·) -> (..., T, ·)."""
        return Belief(*(torch.stack(parts, dim=-2) for parts in zip(*beliefs, strict=True)))


def isotropic(latent_dim: int, variance: float, side: float = 0.0, *, like: Tensor) -> Belief:
    """Return a belief of mean zero whose blocks are all the same.

    Args:
        latent_dim: d.
        variance: u and l.
        side: s.
        like: Gives precision and device.

    Returns:
        (2d,) and (3d,).

    Raises:
        ValueError: If the covariance is not positive definite.
    """
    if not (variance > 0 and variance > abs(side)):
        raise ValueError(f"variance must be positive and above |side|, got {variance} and {side}")
    covariance = [like.new_full((latent_dim,), value) for value in (variance, variance, side)]
    return Belief(like.new_zeros(2 * latent_dim), torch.cat(covariance))


def independent_sum(*beliefs: Belief) -> Belief:
    """Return the distribution of the sum of independent variables: means add, covariances add."""
    mean, covariance = beliefs[0]
    for other in beliefs[1:]:
        mean, covariance = mean + other.mean, covariance + other.covariance
    return Belief(mean, covariance)


def information(belief: Belief, before: Belief) -> Tensor:
    """How much more a belief knows than one before it: ½ log₂(det Σ₀/det Σ) [bits], mean over pairs; (..., ·) -> (...).

    Negative where it knows less. It counts certainty alone, right or wrong.
    """
    return (0.5 * (_determinants(before).log2() - _determinants(belief).log2())).mean(dim=-1)


def _determinants(belief: Belief) -> Tensor:
    """Determinant of the covariance of each pair, (..., d)."""
    upper, lower, side = belief.covariance.chunk(3, dim=-1)
    return upper * lower - side**2


def dense_covariance(belief: Belief) -> Tensor:
    """Write Σ out: (..., 3d) -> (..., 2d, 2d)."""
    upper, lower, side = (torch.diag_embed(part) for part in belief.covariance.chunk(3, dim=-1))
    return torch.cat([torch.cat([upper, side], dim=-1), torch.cat([side, lower], dim=-1)], dim=-2)
