"""How far pictures are apart: per value, in structure, and in the place of what they show; every function is pure.

    PSNR = 10 log₁₀ 1/(MSE + 1e-8)   [dB]
    SSIM = mean of (2 μ_x μ_y + C₁)(2 σ_xy + C₂) / ((μ_x² + μ_y² + C₁)(σ_x² + σ_y² + C₂))

with moments under a Gaussian window of 11 × 11 pixels, σ = 1.5, where it lies inside; C₁ = 0.01², C₂ = 0.03².
A bright ball on dark ground fills little of a picture, so that PSNR is high for nothing: baselines belong beside it.

Source:
    Wang et al. (2004), Image quality assessment: from error visibility to structural similarity.
"""

import math

import torch
from torch import Tensor

SMALLEST_MSE = 1e-8
WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2
FAINT = 0.1  # of the brightest true difference from the ground: what is fainter is no ball


def mean_squared_error(predicted: Tensor, truth: Tensor) -> Tensor:
    """(..., C, H, W) twice -> (...)."""
    return (predicted - truth).square().flatten(-3).mean(dim=-1)


def mean_absolute_error(predicted: Tensor, truth: Tensor) -> Tensor:
    """(..., C, H, W) twice -> (...)."""
    return (predicted - truth).abs().flatten(-3).mean(dim=-1)


def psnr(mse: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of pictures in [0, 1] from their mean squared errors: (...) -> (...) [dB]."""
    return -10 * torch.log10(mse + SMALLEST_MSE)


def ssim(predicted: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity of pictures in [0, 1], mean over channels and places: (..., C, H, W) twice -> (...).

    Raises:
        ValueError: If a picture is smaller than the window.
    """
    height, width = truth.shape[-2:]
    if min(height, width) < WINDOW:
        raise ValueError(f"pictures must be at least {WINDOW} pixels wide and high, got {height} x {width}")
    channels, lead = truth.shape[-3], truth.shape[:-3]
    x, y = (image.reshape(math.prod(lead) * channels, 1, height, width) for image in (predicted, truth))
    steps = torch.arange(WINDOW, dtype=truth.dtype, device=truth.device) - WINDOW // 2
    line = torch.exp(-(steps**2) / (2 * SIGMA**2))
    line = line / line.sum()

    def blurred(image: Tensor) -> Tensor:
        rows = torch.nn.functional.conv2d(image, line.view(1, 1, -1, 1))
        return torch.nn.functional.conv2d(rows, line.view(1, 1, 1, -1))

    mean_x, mean_y = blurred(x), blurred(y)
    var_x, var_y = blurred(x * x) - mean_x**2, blurred(y * y) - mean_y**2
    both = blurred(x * y) - mean_x * mean_y
    similar = (2 * mean_x * mean_y + C1) * (2 * both + C2)
    found = similar / ((mean_x**2 + mean_y**2 + C1) * (var_x + var_y + C2))
    return found.flatten(1).mean(dim=1).view(*lead, channels).mean(dim=-1)


def ground_of(truth: Tensor) -> Tensor:
    """Color of the ground, the median over pictures and places of each channel: (..., C, H, W) -> (C,)."""
    return truth.movedim(-3, 0).flatten(1).median(dim=1).values


def centroid(image: Tensor, ground: Tensor, faintest: Tensor | float = 0.0) -> Tensor:
    """Place of what differs from the ground: (..., C, H, W), (C,) -> (..., 2), x and y [pixels]; nan if there is none.

    Weighted by how far a pixel's difference is above half of the picture's largest; of several balls it is the middle.

    Args:
        image: Pictures.
        ground: Its color.
        faintest: (...) largest difference of a picture that shows nothing.
    """
    differs = (image - ground.view(-1, 1, 1)).norm(dim=-3)
    brightest = differs.flatten(-2).amax(dim=-1)
    weight = (differs - 0.5 * brightest[..., None, None]).clamp(min=0)
    total = weight.sum(dim=(-2, -1))
    places = (torch.arange(n, dtype=image.dtype, device=image.device) + 0.5 for n in (image.shape[-1], image.shape[-2]))
    across, down = places
    x, y = (weight.sum(dim=-2) * across).sum(dim=-1) / total, (weight.sum(dim=-1) * down).sum(dim=-1) / total
    there = (brightest > faintest) & (total > 0)
    return torch.where(there.unsqueeze(-1), torch.stack([x, y], dim=-1), torch.full_like(x, torch.nan).unsqueeze(-1))


def ball_error(predicted: Tensor, truth: Tensor, ground: Tensor) -> Tensor:
    """Distance of the ball from where it is, (..., C, H, W) twice -> (...) [pixels]; nan where no ball is predicted."""
    brightest = (truth - ground.view(-1, 1, 1)).norm(dim=-3).flatten(-2).amax(dim=-1)
    return (centroid(predicted, ground, FAINT * brightest) - centroid(truth, ground)).norm(dim=-1)
