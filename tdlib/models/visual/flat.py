"""Flat latents: frames to vectors and back, and the codebook that a vector may be rounded to."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from tdlib.models.visual.layers import SLOPE, convolution, normalization
from tdlib.models.visual.options import FLAT_REDUCTION, VisualOptions


class FlatEncoder(nn.Module):
    """Four convolutions that halve the sides, and a linear map for each of the outputs.

    Args:
        options: Sizes.
        outputs: 2 for mean and log variance, 1 for a vector that is rounded to a code.

    Source:
        Seed 002, legacy flat latents; seed 003, encoder of the VQ-VAE.
    """

    def __init__(self, options: VisualOptions, outputs: int = 2):
        super().__init__()
        widths = (options.channels * options.encoder_frames, *options.flat_widths)
        pairs = zip(widths, widths[1:], strict=False)
        self.features = nn.Sequential(*(convolution(i, o, options.norm, halve=True) for i, o in pairs), nn.Flatten())
        size = widths[-1] * (options.img_size // FLAT_REDUCTION) ** 2
        self.outputs = nn.ModuleList(nn.Linear(size, options.latent_dim) for _ in range(outputs))

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        """(N, K·3, H, W) stacked frames -> as many vectors (N, D) as there are outputs."""
        features = self.features(frames)
        return tuple(output(features) for output in self.outputs)


class FlatDecoder(nn.Module):
    """The encoder mirrored: a linear map, and four transposed convolutions that double the sides; sigmoid.

    Args:
        options: Sizes; of a split latent it sees the first half.
    """

    def __init__(self, options: VisualOptions):
        super().__init__()
        seen = options.latent_dim // 2 if options.split_latent else options.latent_dim
        widths, side = options.flat_widths[::-1], options.img_size // FLAT_REDUCTION
        self.start = nn.Sequential(nn.Linear(seen, widths[0] * side**2), nn.Unflatten(1, (widths[0], side, side)))
        layers: list[nn.Module] = []
        for inputs, outputs in zip(widths, widths[1:], strict=False):
            grow = nn.ConvTranspose2d(inputs, outputs, 4, 2, padding=1)
            layers += [grow, normalization(options.norm, outputs), nn.LeakyReLU(SLOPE)]
        self.grow = nn.Sequential(*layers, nn.ConvTranspose2d(widths[-1], options.channels, 4, 2, padding=1))

    def forward(self, latent: Tensor) -> Tensor:
        """(N, D) or of a split latent (N, D/2) -> (N, 3, H, W) in [0, 1]."""
        return torch.sigmoid(self.grow(self.start(latent)))


class Quantized(NamedTuple):
    """What rounding to codes gives.

    Args:
        code: (..., D) nearest codes; the gradient passes through to what was rounded.
        loss: (...) |code − sg z|² + β_c |sg code − z|² of each latent, mean over its elements.
        index: (...) which codes.
    """

    code: Tensor
    loss: Tensor
    index: Tensor


class Codebook(nn.Module):
    """Vectors of which the nearest one stands for a latent.

    Args:
        options: How many, how long, and the weight of commitment.

    Source:
        van den Oord, Vinyals, Kavukcuoglu (2017), Neural discrete representation learning; seed 003.
    """

    def __init__(self, options: VisualOptions):
        super().__init__()
        self.commitment = options.commitment_beta
        bound = 1 / options.n_codebook
        self.codes = nn.Parameter(torch.empty(options.n_codebook, options.latent_dim).uniform_(-bound, bound))

    def forward(self, latent: Tensor) -> Quantized:
        """Round latents (..., D) to the nearest codes."""
        index = torch.cdist(latent.flatten(0, -2), self.codes).argmin(dim=-1).view(latent.shape[:-1])
        code = self.codes[index]
        pull, commit = (x.square().mean(dim=-1) for x in (code - latent.detach(), code.detach() - latent))
        return Quantized(latent + (code - latent).detach(), pull + self.commitment * commit, index)


def perplexity(index: Tensor, count: int, weight: Tensor | None = None) -> Tensor:
    """How many of so many codes are in use, exp of the entropy of their shares: (...), weights (...) -> ()."""
    counted = torch.ones_like(index, dtype=torch.float64) if weight is None else weight.double()
    share = torch.bincount(index.flatten(), counted.flatten(), minlength=count) / counted.sum().clamp(min=1)
    return torch.exp(-torch.special.xlogy(share, share).sum())
