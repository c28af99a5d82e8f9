"""Errors of long predictions over a window that slides along them, as the founding document of two time scales has it.

The value at a step is the mean over the last `window` predicted steps before it; the first is of the first step alone.
"""

import math

import torch
from torch import Tensor

from tdlib.models.beliefs.likelihood import negative_log_likelihood

FLOOR = 1e-8  # added to variances in evaluation
NUM_BINS = 10


def sliding_mean(scores: Tensor, window: int, num_bins: int = NUM_BINS) -> tuple[Tensor, Tensor]:
    """Average scores of predicted steps over sliding windows.

    Args:
        scores: (N, T) of each sequence and step.
        window: Steps of a window.
        num_bins: Windows are ⌊(T − window)/num_bins⌋ steps apart; what is left at the end of T is in none.

    Returns:
        (M,) steps before which each window ends, the first 0 for the first step alone, and (M,) means.

    Raises:
        ValueError: If the windows would be less than a step apart.
    """
    num_steps = scores.shape[-1]
    apart = (num_steps - window) // num_bins
    if window < 1 or apart < 1:
        raise ValueError(f"window must be in [1, steps - {num_bins}] for {num_steps} steps, got {window}")
    ends = list(range(window, num_steps, apart))
    means = [scores[:, 0].mean(), *(mean_before(scores, end, window).mean() for end in ends)]
    return torch.tensor([0, *ends]), torch.stack(means)


def mean_before(scores: Tensor, end: int, window: int) -> Tensor:
    """Average scores over the last steps of a window before a step: (..., T) -> (...)."""
    return scores[..., end - window : end].mean(dim=-1)


def sliding_rmse(target: Tensor, predicted: Tensor, window: int, num_bins: int = NUM_BINS) -> tuple[Tensor, Tensor]:
    """Root mean square error over sequences, steps of a window and dimensions: (N, T, O) both -> (M,), (M,).

    Source:
        Shaj et al. (2023), MTS3, metrics; a seed's "sliding window rmse".
    """
    steps, squared = sliding_mean(((predicted - target) ** 2).mean(dim=-1), window, num_bins)
    return steps, squared.sqrt()


def sliding_nll(
    target: Tensor, mean: Tensor, variance: Tensor, window: int, num_bins: int = NUM_BINS
) -> tuple[Tensor, Tensor]:
    """Negative log-likelihood, summed over dimensions, mean over sequences and steps of a window: (N, T, O) each.

    Source:
        As `sliding_rmse`; the official code adds its floor to the variance anew for every window that has the step.
    """
    return sliding_mean(negative_log_likelihood(target, mean, variance, FLOOR), window, num_bins)


def rmse(target: Tensor, predicted: Tensor) -> tuple[float, Tensor]:
    """Root mean square error over everything, and per dimension: (..., O) both -> number, (O,)."""
    squared = ((predicted - target) ** 2).flatten(0, -2).mean(dim=0)
    return math.sqrt(float(squared.mean())), squared.sqrt()
