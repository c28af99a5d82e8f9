"""Beliefs, evidence and intervals given by hand: what would make no Gaussian is refused with its value.

Models do not ask for their own variances, which are positive by construction, and stacked programs may not look at
values.
"""

import numpy as np
import torch
from torch import Tensor

from tdlib.models.beliefs.belief import Belief
from tdlib.models.beliefs.conditioning import Evidence, evidence_of


def checked_belief(mean: Tensor, upper: Tensor, lower: Tensor, side: Tensor) -> Belief:
    """Return N(mean, Σ): (..., 2d), and (..., d) each.

    Raises:
        ValueError: If shapes do not match, a number is not finite, or Σ is not positive definite.
    """
    shape, d = mean.shape[:-1], mean.shape[-1] // 2
    for name, part in (("upper", upper), ("lower", lower), ("side", side)):
        if mean.shape[-1] != 2 * d or part.shape != (*shape, d):
            raise ValueError(f"{name} must be {(*shape, d)} beside a mean {tuple(mean.shape)}, got {tuple(part.shape)}")
    if not all(x.isfinite().all() for x in (mean, upper, lower, side)):
        raise ValueError("mean and covariance must be finite, got others")
    least, room = float(torch.minimum(upper, lower).min()), float((upper * lower - side**2).min())
    if least <= 0 or room <= 0:
        raise ValueError(f"upper, lower and upper·lower − side² must be positive, got {least:g} and {room:g}")
    return Belief(mean, torch.cat([upper, lower, side], dim=-1))


def evidence(observed: Tensor, variance: Tensor, valid: Tensor | None = None) -> Evidence:
    """Return what observations say one by one; those that are not valid say nothing.

    Args:
        observed: (..., n) y; what is not valid may be anything.
        variance: (..., n) r > 0.
        valid: (...) bool; None if all are.

    Returns:
        (..., n) each.

    Raises:
        ValueError: If shapes do not match, or a variance of what is valid is not positive and finite.
    """
    if variance.shape != observed.shape:
        raise ValueError(f"variance must be {tuple(observed.shape)} as observed is, got {tuple(variance.shape)}")
    if valid is not None and (valid.shape != observed.shape[:-1] or valid.dtype != torch.bool):
        shape = tuple(observed.shape[:-1])
        raise ValueError(f"valid must be {shape} of bool, got {tuple(valid.shape)} of {valid.dtype}")
    counted = variance if valid is None else variance[valid]
    wrong = counted[~((counted > 0) & counted.isfinite())]
    if wrong.numel():
        raise ValueError(f"variance must be positive and finite, got {float(wrong[0]):g}")
    if valid is not None:  # what is not valid may be anything
        observed, variance = (torch.where(valid.unsqueeze(-1), x, torch.ones_like(x)) for x in (observed, variance))
    return evidence_of(observed, variance, valid)


def refuse_backward(delta_t: Tensor | float | None) -> None:
    """Refuse intervals that lead back: noise taken away leaves no Gaussian.

    Of tensors only values that can be read where they are: not those of a graphics card, which would have to be waited
    for, or of a stacked program.

    Raises:
        ValueError: If an interval is negative.
    """
    if delta_t is None:
        return
    try:
        least = float(np.min(delta_t.numpy(), initial=0.0)) if isinstance(delta_t, Tensor) else delta_t
    except (RuntimeError, TypeError):
        return
    if least < 0:
        raise ValueError(f"delta_t must not be negative, got {least:g}: a belief moves forward in time only")
