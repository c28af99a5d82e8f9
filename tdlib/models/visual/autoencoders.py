"""Spatial latents: frames to maps of channels, maps to states (q, p), positions q to frames.

frames (N, K·3, 8s, 8s) -> mu, logvar (N, C, s, s);   z -> (q, p) (N, C, s, s);   q (N, C/2, s, s) -> (N, 3, 8s, 8s)
"""

import torch
from torch import Tensor, nn

from tdlib.models.visual.layers import SLOPE, DoublingConv2d, ResBlock, convolution
from tdlib.models.visual.options import VisualOptions

UPSAMPLINGS = 3  # 2³ = 8


class VisionEncoder(nn.Module):
    """Eight convolutions, three of which halve the sides; two 1×1 ones read mean and log variance off.

    Args:
        options: Sizes.

    Source:
        Seed 002, VisionEncoder; Toth et al. (2020), whose encoder reads stacked frames too.
    """

    def __init__(self, options: VisualOptions):
        super().__init__()
        first, second, third = options.encoder_widths
        norm = options.norm
        self.features = nn.Sequential(
            convolution(options.channels * options.encoder_frames, first, norm, halve=True),
            convolution(first, second, norm, halve=True),
            convolution(second, second, norm),
            convolution(second, second, norm),
            convolution(second, third, norm, halve=True),
            convolution(third, third, norm),
            convolution(third, third, norm),
            convolution(third, second, norm),
        )
        self.mu = nn.Conv2d(second, options.latent_channels, 1)
        self.logvar = nn.Conv2d(second, options.latent_channels, 1)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """(N, K·3, 8s, 8s) stacked frames -> mu, logvar, each (N, C, s, s)."""
        features = self.features(frames)
        return self.mu(features), self.logvar(features)


class StateTransform(nn.Sequential):
    """Three convolutions with tanh between them: a latent becomes the state (q, p), its halves of channels.

    Args:
        options: Sizes.

    Source:
        Seed 002, state transform; the encoder transformer of Toth et al. (2020).
    """

    def __init__(self, options: VisualOptions):
        latent, hidden = options.latent_channels, options.hidden_channels
        super().__init__(
            nn.Conv2d(latent, hidden, 3, padding=1),
            nn.Tanh(),
            nn.Conv2d(hidden, hidden, 3, padding=1),
            nn.Tanh(),
            nn.Conv2d(hidden, latent, 3, padding=1),
        )


class VisionDecoder(nn.Module):
    """A 1×1 convolution, three times a residual block and doubled sides, a 3×3 convolution, sigmoid.

    Args:
        options: Sizes.

    Source:
        Seed 002, VisionDecoder.
    """

    def __init__(self, options: VisualOptions):
        super().__init__()
        width = options.decoder_channels
        self.expand = nn.Sequential(nn.Conv2d(options.latent_channels // 2, width, 1), nn.LeakyReLU(SLOPE))
        grown = [layer for _ in range(UPSAMPLINGS) for layer in (ResBlock(width), nn.Upsample(scale_factor=2))]
        self.grow = nn.Sequential(*grown[:-1])
        self.image = DoublingConv2d(width, options.channels)  # the last doubling with it

    def forward(self, position: Tensor) -> Tensor:
        """(N, C/2, s, s) -> (N, 3, 8s, 8s) in [0, 1]."""
        return torch.sigmoid(self.image(self.grow(self.expand(position))))
