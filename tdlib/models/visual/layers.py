"""Convolutional pieces that encoders, decoders and predictors share, and calling them on any leading batch shape."""

import math
from collections.abc import Callable

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
