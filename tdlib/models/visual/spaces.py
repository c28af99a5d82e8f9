"""What predictors are made of where a latent is a map of channels, and where it is a vector."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from tdlib.models.encoders import mlp
from tdlib.models.visual.energies import Energy, FlatEnergy, SpatialEnergy
from tdlib.models.visual.layers import SLOPE
from tdlib.models.visual.options import VisualOptions


class Space(ABC):
    """Makes the parts of a predictor; a latent is (N, C, *rest).

    Args:
        options: Sizes.
    """

    event_dims: int

    def __init__(self, options: VisualOptions):
        self.options = options
        self.channels = options.latent_shape[0]

    @property
    @abstractmethod
    def hidden(self) -> int:
        """Width of hidden layers, and of memories."""

    @abstractmethod
    def network(self, inputs: int, outputs: int) -> nn.Sequential:
        """Three layers with two activations between."""

    @abstractmethod
    def affine(self, inputs: int, outputs: int) -> nn.Module:
        """One layer that sees neighbors, where there are any."""

    @abstractmethod
    def pointwise(self, inputs: int, outputs: int, bias: bool = True) -> nn.Module:
        """One layer that sees a position by itself."""

    @abstractmethod
    def energy(self, channels: int) -> Energy:
        """A scalar of so many channels."""

    def spread(self, numbers: Tensor, like: Tensor) -> Tensor:
        """Repeat numbers (N, E) at every position of latents (N, C, *rest): (N, E, *rest)."""
        rest = like.shape[2:]
        return numbers.view(*numbers.shape, *(1 for _ in rest)).expand(*numbers.shape, *rest)


class Spatial(Space):
    """Convolutions over maps of channels."""

    event_dims = 3

    @property
    def hidden(self) -> int:
        return self.options.hidden_channels

    def network(self, inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(
            self.affine(inputs, self.hidden),
            nn.LeakyReLU(SLOPE),
            self.affine(self.hidden, self.hidden),
            nn.LeakyReLU(SLOPE),
            self.affine(self.hidden, outputs),
        )

    def affine(self, inputs: int, outputs: int) -> nn.Module:
        return nn.Conv2d(inputs, outputs, 3, padding=1)

    def pointwise(self, inputs: int, outputs: int, bias: bool = True) -> nn.Module:
        return nn.Conv2d(inputs, outputs, 1, bias=bias)

    def energy(self, channels: int) -> Energy:
        return SpatialEnergy(channels, self.options)


class Flat(Space):
    """Fully connected layers on vectors."""

    event_dims = 1

    @property
    def hidden(self) -> int:
        return self.options.flat_hidden_dim

    def network(self, inputs: int, outputs: int) -> nn.Sequential:
        return mlp(inputs, (self.hidden, self.hidden), outputs, activation=nn.Tanh)

    def affine(self, inputs: int, outputs: int) -> nn.Module:
        return nn.Linear(inputs, outputs)

    def pointwise(self, inputs: int, outputs: int, bias: bool = True) -> nn.Module:
        return nn.Linear(inputs, outputs, bias=bias)

    def energy(self, channels: int) -> Energy:
        return FlatEnergy(channels, self.options)
