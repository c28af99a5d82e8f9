"""Gaussian latents: drawing from them, and what they cost."""

from typing import NamedTuple

import torch
from torch import Tensor

LOGVAR_RANGE = (-8.0, 4.0)  # beyond, exponentials make steps of training explode


class Posterior(NamedTuple):
    """Independent Gaussians over the elements of latents.

    Args:
        mu: (..., event) means.
        logvar: (..., event) logarithms of variances.
    """

    mu: Tensor
    logvar: Tensor

    @staticmethod
    def of(mu: Tensor, logvar: Tensor) -> "Posterior":
        """Make one of what an encoder says, log variances kept in `LOGVAR_RANGE`."""
        return Posterior(mu, logvar.clamp(*LOGVAR_RANGE))

    def sample(self, noise: Tensor) -> Tensor:
        """Return mu + noise · exp(logvar / 2): noise (..., event) standard normal."""
        return self.mu + noise * torch.exp(0.5 * self.logvar)


def kl_divergence(posterior: Posterior, event_dims: int, free_bits: float = 0.0) -> Tensor:
    """KL divergence to standard normal latents, summed over the elements of each: (...) [nats].

        Σ max(½ (μ² + e^logvar − 1 − logvar), free_bits)

    Below the floor an element costs the same whatever it says, so that it has no gradient.

    Args:
        posterior: (..., event).
        event_dims: Axes of one latent.
        free_bits: Least divergence per element that counts [nats].
    """
    mu, logvar = posterior
    element = 0.5 * (mu.square() + logvar.exp() - 1 - logvar)
    return element.clamp(min=free_bits).flatten(-event_dims).sum(dim=-1)
