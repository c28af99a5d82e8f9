"""Convolutional pieces that encoders, decoders and predictors share, and calling them on any leading batch shape."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

SLOPE = 0.2  # of leaky rectifiers below zero
MOST_GROUPS = 8


def over_batch(function: Callable[[Tensor], Tensor], x: Tensor, event_dims: int) -> Tensor:
    """Call a function of one batch axis on tensors of any leading shape: (..., event) -> (..., whatever)."""
    shape, event = x.shape[: x.ndim - event_dims], x.shape[x.ndim - event_dims :]
    found = function(x.reshape(math.prod(shape), *event))
    return found.reshape(*shape, *found.shape[1:])


def normalization(norm: str, channels: int) -> nn.Module:
    """Return what normalizes feature maps of so many channels: `batch`, `group` or `none`."""
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(math.gcd(MOST_GROUPS, channels), channels) if norm == "group" else nn.Identity()


def convolution(inputs: int, outputs: int, norm: str, halve: bool = False) -> nn.Sequential:
    """3×3 convolution, or 4×4 of stride 2 that halves the sides; then normalization and a leaky rectifier."""
    kernel, stride = (4, 2) if halve else (3, 1)
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding=1, bias=norm == "none")
    return nn.Sequential(layer, normalization(norm, outputs), nn.LeakyReLU(SLOPE))


class ResBlock(nn.Module):
    """y = LReLU(x + Conv(LReLU(Conv x))), without normalization.

    Args:
        channels: Of x and y.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.activation = nn.LeakyReLU(SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C, h, w)."""
        return self.activation(x + self.second(self.activation(self.first(x))))


# [p, k, a]: row 2i + p + k − 1 of a map whose sides are doubled is row i + a − 1 of the map
PHASES = torch.tensor([[[1.0, 0, 0], [0, 1, 0], [0, 1, 0]], [[0, 1, 0], [0, 1, 0], [0, 0, 1]]])


class DoublingConv2d(nn.Conv2d):
    """3×3 convolution of a map whose sides are doubled by repeating, as one of the map itself.

    Each of a pixel's four places sees 2×2 of the old pixels, through sums of the nine weights: what is convolved has a
    quarter of the positions and four times the outputs, of which few are slow to differentiate on a CPU.

    Args:
        inputs: Channels of the map.
        outputs: Channels of the doubled one.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 3, padding=1)

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, O, 2h, 2w)."""
        phases = PHASES.to(self.weight)
        weight = torch.einsum("pka,qlb,oikl->opqiab", phases, phases, self.weight).flatten(0, 2)
        bias = None if self.bias is None else self.bias.repeat_interleave(4)
        return nn.functional.pixel_shuffle(nn.functional.conv2d(input, weight, bias, padding=1), 2)
