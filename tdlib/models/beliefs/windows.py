"""Windows of H steps in a row: sequences cut into them, what is known per window spread over its steps again."""

import torch
from torch import Tensor, nn

from tdlib.models.beliefs.belief import Belief
from tdlib.models.beliefs.conditioning import Evidence, evidence
from tdlib.models.beliefs.networks import GaussianEncoder


def in_windows(x: Tensor, window: int) -> Tensor:
    """Cut T steps into K = ⌈T/H⌉ windows, the last filled up with zeros: (..., T, n) -> (..., K, H, n)."""
    missing = -x.shape[-2] % window
    padded = nn.functional.pad(x, (0, 0, 0, missing)) if missing else x
    return padded.unflatten(-2, (-1, window))


def steps_in_windows(valid: Tensor, window: int) -> Tensor:
    """Cut a mask likewise, what is filled up is not valid: (..., T) bool -> (..., K, H) bool."""
    missing = -valid.shape[-1] % window
    padded = nn.functional.pad(valid, (0, missing), value=False) if missing else valid
    return padded.unflatten(-1, (-1, window))


def with_time(x: Tensor) -> Tensor:
    """Append the time feature i/H of each step of a window: (..., H, n) -> (..., H, n + 1)."""
    window = x.shape[-2]
    time = torch.arange(window, dtype=x.dtype, device=x.device) / window
    return torch.cat([x, time.unsqueeze(-1).expand(*x.shape[:-1], 1)], dim=-1)


def over_steps(belief: Belief, window: int, num_steps: int) -> Belief:
    """Repeat what is one per window at each of its steps: (..., K, ·) -> (..., T, ·)."""
    return Belief(*(part.repeat_interleave(window, dim=-2)[..., :num_steps, :] for part in belief))


def sense(encoder: GaussianEncoder, x: Tensor, valid: Tensor | None) -> Evidence:
    """Encode observations into evidence; one that is not valid may hold anything, not-a-number too.

    Args:
        encoder: n -> mean and variance of an observation of the latent state.
        x: (..., n).
        valid: (...) bool; None if all are.
    """
    filled = x if valid is None else torch.where(valid.unsqueeze(-1), x, torch.zeros_like(x))
    observed, variance = encoder(filled)
    return evidence(observed, variance, valid)
