"""Energies of maps of channels and of vectors, with their gradients by the chain rule written out.

No gradient is taken inside a gradient: the optimizer differentiates plain operations, and energies work where torch
records nothing. Layers are softplus, since rectifiers have no second derivative to learn from.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from tdlib.models.encoders import mlp
from tdlib.models.energies import energy_gradient
from tdlib.models.visual.options import VisualOptions


class Energy(nn.Module, ABC):
    """A scalar of positions, or of momenta."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """(N, n, ...) -> (N,)."""

    @abstractmethod
    def gradient(self, x: Tensor) -> Tensor:
        """(N, n, ...) -> (N, n, ...)."""


class SpatialEnergy(Energy):
    """w · pool(softplus(Conv(softplus(Conv x)))) + b.

    Pooled by the mean, as the founding document has it, every position's force is divided by their number and hardly
    moves anything; Toth et al. (2020) sum.

    Args:
        channels: Of x.
        options: Width, and how positions are pooled.
    """

    def __init__(self, channels: int, options: VisualOptions):
        super().__init__()
        hidden = options.hidden_channels
        self.mean = options.energy_pool == "avg"
        self.first = nn.Conv2d(channels, hidden, 3, padding=1)
        self.second = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.output = nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        features = nn.functional.softplus(self.second(nn.functional.softplus(self.first(x))))
        pooled = features.mean(dim=(-2, -1)) if self.mean else features.sum(dim=(-2, -1))
        return self.output(pooled).squeeze(-1)

    def gradient(self, x: Tensor) -> Tensor:
        inner = self.first(x)
        outer = self.second(nn.functional.softplus(inner))
        weight = self.output.weight.view(-1, 1, 1)
        share = weight / (x.shape[-2] * x.shape[-1]) if self.mean else weight
        back = nn.functional.conv_transpose2d(torch.sigmoid(outer) * share, self.second.weight, padding=1)
        return nn.functional.conv_transpose2d(torch.sigmoid(inner) * back, self.first.weight, padding=1)


class FlatEnergy(Energy):
    """One hidden layer of softplus.

    Args:
        channels: Length of x.
        options: Width.
    """

    def __init__(self, channels: int, options: VisualOptions):
        super().__init__()
        self.network = mlp(channels, (options.flat_hidden_dim,), 1, activation=nn.Softplus)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x).squeeze(-1)

    def gradient(self, x: Tensor) -> Tensor:
        return energy_gradient(self.network, x)
