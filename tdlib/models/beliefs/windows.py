"""Windows of a sequence: what is known of their steps pooled into one, what is known per window spread over its steps.

They are counted in steps, H in each, or in seconds: then a window lasts for a time W, however many steps that is, and
steps of different length may follow each other. In seconds each step takes Δt/W of a window, at most one in `fewest`,
so that at intervals too long for W a window has `fewest` steps and lasts longer; the number of windows is then known
without looking at the intervals, as stacked programs need it.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from tdlib.core.facts import REFERENCE_DELTA_T
from tdlib.models.beliefs.belief import Belief
from tdlib.models.beliefs.conditioning import Evidence, aggregate, evidence_of
from tdlib.models.beliefs.networks import GaussianEncoder

SHORTEST = 1e-6  # of 0.05 s; rows that do not exist may have no length at all
ROUNDING = 1e-4  # of a window; a step that ends a window up to rounding ends it


class Windows(ABC):
    """K windows of T steps.

    Attributes:
        count: K.
        time: (..., T) how much of its window is over before each step, in [0, 1).
        index: (..., T) number of the window of each step.
    """

    count: int
    time: Tensor
    index: Tensor

    @abstractmethod
    def pooled(self, members: Evidence) -> Evidence:
        """Pool what the steps of each window say: (..., T, n) -> (..., K, n)."""

    @abstractmethod
    def total(self, x: Tensor) -> Tensor:
        """Sum over the steps of each window: (..., T) -> (..., K)."""

    @abstractmethod
    def spread(self, belief: Belief) -> Belief:
        """Repeat what is one per window at each of its steps: (..., K, ·) -> (..., T, ·)."""

    @property
    def begins(self) -> Tensor:
        """Whether a window begins with each step: (..., T) bool."""
        return torch.cat([torch.ones_like(self.index[..., :1], dtype=torch.bool), self.index.diff(dim=-1) > 0], dim=-1)

    def lasted(self, delta_t: Tensor, exists: Tensor | None = None) -> Tensor:
        """How long each window is, in steps that exist: (..., T) [s], (..., T) bool -> (..., K) [s]."""
        return self.total(delta_t if exists is None else torch.where(exists, delta_t, torch.zeros_like(delta_t)))

    def with_time(self, x: Tensor) -> Tensor:
        """Append the time within the window to what is known of each step: (..., T, n) -> (..., T, n + 1)."""
        return torch.cat([x, self.time.to(x).unsqueeze(-1).expand(*x.shape[:-1], 1)], dim=-1)


class StepWindows(Windows):
    """K = ⌈T/H⌉ windows of H steps, the last of which may be shorter; the time within one is i/H.

    Args:
        window: H.
        num_steps: T.
        like: Gives precision and device.
    """

    def __init__(self, window: int, num_steps: int, like: Tensor):
        self.window, self.num_steps, self.count = window, num_steps, -(-num_steps // window)
        steps = torch.arange(num_steps, dtype=like.dtype, device=like.device)
        self.time, self.index = steps.remainder(window) / window, steps.div(window, rounding_mode="floor")

    def pooled(self, members: Evidence) -> Evidence:
        return aggregate(Evidence(*(self._cut(part) for part in members)))

    def total(self, x: Tensor) -> Tensor:
        return self._cut(x.unsqueeze(-1)).sum(dim=(-2, -1))

    def spread(self, belief: Belief) -> Belief:
        return over_steps(belief, self.window, self.num_steps)

    def _cut(self, x: Tensor) -> Tensor:
        """Cut steps into windows, the last filled up with zeros: (..., T, n) -> (..., K, H, n)."""
        missing = -x.shape[-2] % self.window
        padded = nn.functional.pad(x, (0, 0, 0, missing)) if missing else x
        return padded.unflatten(-2, (-1, self.window))


class TimeWindows(Windows):
    """Windows that last for a time, K = ⌈T/fewest⌉ of them, of which the last may have no steps.

    With `delta_t` of ones and W = `fewest` they are windows of rows that begin with the first that exists.

    Args:
        seconds: W.
        fewest: Steps that a window has at least.
        delta_t: (..., T) interval of each step [s].
        exists: (..., T) bool; windows begin with the first step that does. None: all do.
    """

    def __init__(self, seconds: float, fewest: int, delta_t: Tensor, exists: Tensor | None = None):
        num_steps = delta_t.shape[-1]
        self.count = -(-num_steps // fewest)
        taken = (delta_t / seconds).clamp(max=1 / fewest)
        if exists is not None:
            taken = torch.where(exists, taken, torch.zeros_like(taken))
        over = taken.cumsum(dim=-1) - taken + ROUNDING
        self.index = over.floor()
        self.time = (over - self.index - ROUNDING).clamp(min=0)
        places = torch.arange(self.count, dtype=delta_t.dtype, device=delta_t.device)
        self.member = (self.index.unsqueeze(-1) == places).to(delta_t)  # (..., T, K)

    def pooled(self, members: Evidence) -> Evidence:
        return Evidence(*(self.member.mT.to(part) @ part for part in members))

    def total(self, x: Tensor) -> Tensor:
        return (self.member.to(x) * x.unsqueeze(-1)).sum(dim=-2)

    def spread(self, belief: Belief) -> Belief:
        return Belief(*(self.member.to(part) @ part for part in belief))


def with_interval(x: Tensor, delta_t: Tensor | None) -> Tensor:
    """Append log(Δt / 0.05 s) to what is known of each step: (..., T, n), (..., T) [s] -> (..., T, n + 1).

    What a set says of a rate, as a damping, can be read off its members only with the time between them.

    Raises:
        ValueError: If there are no intervals.
    """
    if delta_t is None:
        raise ValueError("delta_t must be given to a model that moves on for any time, got None")
    told = (delta_t.to(x) / REFERENCE_DELTA_T).clamp(min=SHORTEST).log()
    return torch.cat([x, told.unsqueeze(-1).expand(*x.shape[:-1], 1)], dim=-1)


def over_steps(belief: Belief, window: int, num_steps: int) -> Belief:
    """Repeat what is one per window of H steps at each of them: (..., K, ·) -> (..., T, ·)."""
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
    return evidence_of(observed, variance, valid)
