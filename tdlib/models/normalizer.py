"""Standardization with statistics of the training split, stored with the model."""

import torch
from torch import Tensor, nn


class Normalizer(nn.Module):
    """Affine map z = (x - mean) / std per dimension; the identity until fitted.

    Args:
        dim: Number of features.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("std", torch.ones(dim))

    @torch.no_grad()
    def fit(self, x: Tensor) -> "Normalizer":
        """Take mean and standard deviation from training data (N, dim); a constant feature keeps std 1."""
        std = x.std(dim=0)
        self.mean.copy_(x.mean(dim=0))
        self.std.copy_(torch.where(std > 1e-8, std, torch.ones_like(std)))
        return self

    def normalize(self, x: Tensor) -> Tensor:
        """Map physical to normalized values: (..., dim) -> (..., dim)."""
        return (x - self.mean) / self.std

    def denormalize(self, z: Tensor) -> Tensor:
        """Map normalized to physical values: (..., dim) -> (..., dim)."""
        return z * self.std + self.mean
