"""Error measures as pure functions of predictions and truth.

    relative error  r_d = sqrt(Σ |x̂ − x'|²_d / Σ |x' − x|²_d),   r = sqrt(mean_d r_d²)

A ratio of sums per dimension, so that every dimension counts equally whatever its unit; 1 is what predicting no change
scores (persistence), 0 is exact. Differences of angles are wrapped.
"""

import torch
from torch import Tensor

from tdlib.core.specs import EnvironmentSpec, state_difference


def squared_error(predicted: Tensor, target: Tensor, spec: EnvironmentSpec) -> Tensor:
    """Squared wrapped difference per dimension: (..., D), (..., D) -> (..., D)."""
    return state_difference(predicted.to(target.dtype), target, spec) ** 2


def mean_over(values: Tensor, kept: Tensor | None, dim: int) -> Tensor:
    """Mean over one batch axis where `kept` holds; nan where nothing is kept.

    Args:
        values: (..., D), the axis `dim` is counted without the last one, for example -1 is the axis before D.
        kept: (...) bool of the same shape without D, or None for all.
        dim: Negative axis of `kept`.
    """
    if kept is None:
        return values.mean(dim=dim - 1)
    weight = kept.unsqueeze(-1)
    total = torch.where(weight, values, torch.zeros_like(values)).sum(dim=dim - 1)
    return total / weight.sum(dim=dim - 1)


def relative_error(mean_squared_error: Tensor, mean_squared_increment: Tensor) -> Tensor:
    """Per-dimension ratio of RMS error to RMS true increment: (..., D), (..., D) -> (..., D)."""
    return (mean_squared_error / mean_squared_increment).sqrt()


def over_dimensions(per_dimension_mse: Tensor, per_dimension_relative: Tensor) -> tuple[Tensor, Tensor]:
    """Append the value for all dimensions: mean MSE, root mean square of relative errors; (..., D) -> (..., D+1)."""
    mse = torch.cat([per_dimension_mse, per_dimension_mse.mean(dim=-1, keepdim=True)], dim=-1)
    total = (per_dimension_relative**2).mean(dim=-1, keepdim=True).sqrt()
    return mse, torch.cat([per_dimension_relative, total], dim=-1)


def mse_over_horizon(predicted: Tensor, target: Tensor, spec: EnvironmentSpec, kept: Tensor | None = None) -> Tensor:
    """Mean squared error of open-loop rollouts at every step.

    Args:
        predicted: (..., S, T, D) predicted states of S rollouts.
        target: (..., S, T, D) true states.
        spec: Names the angles.
        kept: (..., S, T) bool, where a rollout still counts; None for all.

    Returns:
        (..., T, D) mean over rollouts.
    """
    return mean_over(squared_error(predicted, target, spec), kept, dim=-2)


def auroc(positive: Tensor, negative: Tensor) -> float:
    """Probability that a score of the first set exceeds one of the second, ties counted half: (N,), (M,) -> number."""
    scores = torch.cat([positive, negative])
    values, inverse, counts = scores.unique(return_inverse=True, return_counts=True)
    mean_rank = counts.cumsum(0).double() - (counts.double() - 1) / 2  # ranks from 1, ties share their mean
    rank_sum = mean_rank[inverse][: len(positive)].sum()
    n, m = len(positive), len(negative)
    return float((rank_sum - n * (n + 1) / 2) / (n * m))


def rank_correlation(x: Tensor, y: Tensor) -> float:
    """Spearman's rank correlation of two samples (N,), nan if one is constant."""
    rx, ry = (v.argsort().argsort().double() for v in (x, y))
    rx, ry = rx - rx.mean(), ry - ry.mean()
    scale = (rx.pow(2).sum() * ry.pow(2).sum()).sqrt()
    return float((rx * ry).sum() / scale) if len(x) > 1 and x.std() > 0 and y.std() > 0 else float("nan")
