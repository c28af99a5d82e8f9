"""Starts on a circle around the origin of (q, p), its radius drawn anew for each: as HGN's data have them.

A Gaussian vector of two numbers, normalized, points in every direction with equal chance; so does a uniform angle. (A
vector from a square, normalized, does not.)
"""

import math

import torch
from torch import Tensor


def on_circle(unit: Tensor, nearest: float, farthest: float) -> Tensor:
    """Turn pairs of numbers in [0, 1) into points of a ring, radius and angle uniform: (..., 2) -> (..., 2).

    Source:
        Toth et al. (2020), Hamiltonian Generative Networks, appendix on data.
    """
    radius, angle = nearest + (farthest - nearest) * unit[..., 0], 2 * math.pi * unit[..., 1]
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=-1)
