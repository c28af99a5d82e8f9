"""Which observations a model sees in training: some are dropped one by one, and more and more windows as a whole.

A window that nothing is seen of must be predicted through, which is what trains predictions of many steps.
"""

import math

import torch
from torch import Tensor

LEAST, EACH, STEPS = 0.05, 0.1, 7  # largest share of masked windows: at the start, more at each increase, increases
APART = 0.02  # of training between increases


def largest_share(progress: Tensor, most: float, apart: float = APART) -> Tensor:
    """Return the largest share of windows that are masked at a time of training: () -> ().

    Args:
        progress: () how much of training is done.
        most: The share at the end.
        apart: Part of training between increases; 0 for the share of the end from the start on.

    Source:
        Shaj et al. (2023), MTS3, code: from 0.05 by 0.1 every 5 of 250 epochs, every 10 of more, to 0.75.
    """
    if not apart:
        return torch.full_like(progress, most)
    return (LEAST + EACH * (progress / apart).floor().clamp(max=STEPS)).clamp(max=most)


def training_mask(
    noise: Tensor, progress: Tensor, window: int, dropped: float, dropped_windows: float, apart: float = APART
) -> Tensor:
    """Draw which steps' observations are seen, from noise that a batch brings.

    Every sequence has a share of its own, uniform up to the largest; each of its windows but the first is masked with
    this probability.

    Args:
        noise: (..., T, 3) standard normal.
        progress: () how much of training is done.
        window: Steps of a window.
        dropped: Probability with which one observation is masked.
        dropped_windows: Largest share of masked windows at the end of the curriculum.
        apart: As `largest_share` has it.

    Returns:
        (..., T) bool.
    """
    uniform = 0.5 * (1 + torch.erf(noise / math.sqrt(2)))
    share = uniform[..., :1, 2] * largest_share(progress, dropped_windows, apart)
    of_window = uniform[..., ::window, 1].repeat_interleave(window, dim=-1)[..., : noise.shape[-2]]
    kept = of_window >= share
    first = torch.arange(noise.shape[-2], device=noise.device) < window
    return (uniform[..., 0] >= dropped) & (kept | first)
