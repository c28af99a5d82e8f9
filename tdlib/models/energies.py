"""Derivatives of small networks by the chain rule written out, at half the cost of a gradient inside a gradient.

The optimizer then differentiates plain operations, a stack of models is one program, and the page's engine finds
nothing but products and sigmoids. All are equal to `torch.func`'s.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def energy_gradient(network: nn.Sequential, features: Tensor) -> Tensor:
    """Gradient of a network of softplus layers with one output: (..., F) -> (..., F)."""
    slopes = hidden_slopes(network, features)[1]
    return _back(network, slopes, _layers(network)[-1].weight[0])


def hidden_slopes(network: nn.Sequential, features: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Values of the last hidden layer, softplus as all are, and the derivative of every one: (..., F) -> (..., W)."""
    value, slopes = features, []
    for layer in _layers(network)[:-1]:
        z = layer(value)
        slopes.append(torch.sigmoid(z))  # derivative of softplus
        value = nn.functional.softplus(z)
    return value, slopes


def pulled_back(network: nn.Sequential, slopes: Sequence[Tensor], cotangent: Tensor) -> Tensor:
    """Gradient of Σ cotangent · outputs with respect to the features: (..., O) -> (..., F)."""
    return _back(network, slopes, cotangent @ _layers(network)[-1].weight)


def pushed_forward(network: nn.Sequential, slopes: Sequence[Tensor], tangent: Tensor) -> Tensor:
    """Change of the outputs along a change of the features: (..., F) -> (..., O)."""
    *hidden, last = _layers(network)
    for layer, slope in zip(hidden, slopes, strict=True):
        tangent = (tangent @ layer.weight.mT) * slope
    return tangent @ last.weight.mT


def _layers(network: nn.Sequential) -> list[nn.Linear]:
    return [layer for layer in network if isinstance(layer, nn.Linear)]


def _back(network: nn.Sequential, slopes: Sequence[Tensor], gradient: Tensor) -> Tensor:
    for layer, slope in zip(reversed(_layers(network)[:-1]), reversed(slopes), strict=True):
        gradient = (gradient * slope) @ layer.weight
    return gradient
