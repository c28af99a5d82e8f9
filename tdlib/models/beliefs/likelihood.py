"""How likely observations are under predicted Gaussians: the loss of models with beliefs."""

import math

from torch import Tensor

FLOOR = 1e-12  # added to variances in training


def negative_log_likelihood(observed: Tensor, mean: Tensor, variance: Tensor, floor: float = FLOOR) -> Tensor:
    """Sum over dimensions of ½[ln 2πv + (y − μ)²/v], v the variance plus a floor: (..., O) each -> (...).

    Source:
        Shaj et al. (2023), MTS3; floors as in their code, 1e-12 in training and 1e-8 in evaluation.
    """
    variance = variance + floor
    return 0.5 * ((observed - mean) ** 2 / variance + variance.log() + math.log(2 * math.pi)).sum(dim=-1)
