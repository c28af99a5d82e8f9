"""What a linear step does to beliefs: the next one, with everything it is caused by integrated out.

    x' = Σ_i M_i x_i + b + noise,   x_i independent:   m' = Σ_i M_i m_i + b,   Σ' = Σ_i M_i Σ_i M_iᵀ + Q

Of M Σ Mᵀ the diagonals of its four blocks are kept, so that the covariance stays three vectors. With M in blocks
M11, M12, M21, M22 (∘ is elementwise):

    u' = M11∘M11 u + 2 M11∘M12 s + M12∘M12 l
    l' = M21∘M21 u + 2 M21∘M22 s + M22∘M22 l
    s' = M21∘M11 u + (M22∘M11 + M21∘M12) s + M22∘M12 l

which is one matrix on [u; l; s].
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tdlib.models.beliefs.belief import Belief, independent_sum


class LinearMap(NamedTuple):
    """A matrix, and what it does to the three vectors of a covariance.

    Args:
        mean: (2d, 2d), or (..., 2d, 2d) with one for each belief.
        covariance: (3d, 3d), or (..., 3d, 3d).
    """

    mean: Tensor
    covariance: Tensor


def linear_map(matrix: Tensor) -> LinearMap:
    """Work out the map of a matrix M, once for all steps that use it: (..., 2d, 2d) -> both parts.

    Source:
        Becker et al. (2019), RKN, appendix; Shaj et al. (2023), MTS3, Gaussian marginalization.
    """
    above, below = matrix.chunk(2, dim=-2)
    (m11, m12), (m21, m22) = above.chunk(2, dim=-1), below.chunk(2, dim=-1)
    rows = [
        torch.cat([m11 * m11, m12 * m12, 2 * m11 * m12], dim=-1),
        torch.cat([m21 * m21, m22 * m22, 2 * m21 * m22], dim=-1),
        torch.cat([m21 * m11, m22 * m12, m22 * m11 + m21 * m12], dim=-1),
    ]
    return LinearMap(matrix, torch.cat(rows, dim=-2))


def push(through: LinearMap, belief: Belief) -> Belief:
    """Return the distribution of M x."""
    return Belief(_product(through.mean, belief.mean), _product(through.covariance, belief.covariance))


def marginalize(causes: Sequence[tuple[LinearMap, Belief]], added: Belief) -> Belief:
    """Return the distribution of Σ_i M_i x_i + added, all independent.

    Args:
        causes: Maps M_i and the beliefs x_i they act on.
        added: b as its mean and Q as its covariance, and whatever else was worked out before.
    """
    return independent_sum(*(push(through, belief) for through, belief in causes), added)


def _product(matrix: Tensor, vector: Tensor) -> Tensor:
    if matrix.ndim == 2:
        return nn.functional.linear(vector, matrix)
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)
