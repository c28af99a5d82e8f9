"""The distributions that planners draw plans from: Gaussian inputs in a box, or rows of a table of actions.

A proposal is refitted from weighted samples; CEM gives its elites equal weights, MPPI weighs all by their score.
Letters in shapes: P population, N knots, A inputs, C categories, (...) the problems planned at once.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from tdlib.core.specs import EnvironmentSpec, shared_bound


class Proposal(NamedTuple):
    """Parameters of one distribution over plans per problem.

    Args:
        center: (..., N, A) means, or (..., N, C) probabilities of the categories.
        spread: (..., N, A) standard deviations; not used by categories.
    """

    center: Tensor
    spread: Tensor


@dataclass(frozen=True)
class BoxInputs:
    """Independent Gaussian inputs, clipped to their box.

    The draws of one population grow from `smallest_scale` to the full spread: a swing-up wants plans from the whole
    box, a balanced pole only those close to the last plan, and neither is told apart here.

    Args:
        low: Smallest value of each input; a bare number is kept as the bound of one input.
        high: Largest value of each.
        initial_spread: Standard deviation of a fresh plan, relative to half the box.
        smallest_spread: Lower bound of a refitted standard deviation, relative to half the box.
        smallest_scale: Scale of the most careful draw relative to the widest.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    initial_spread: float = 1.0
    smallest_spread: float = 0.05
    smallest_scale: float = 0.1

    def __post_init__(self):
        for name in ("low", "high"):
            value = getattr(self, name)
            object.__setattr__(self, name, tuple(value) if isinstance(value, Iterable) else (value,))
        for name, bounds in (("low", self.low), ("high", self.high)):
            if not bounds or not all(map(math.isfinite, bounds)):
                raise ValueError(f"{name} must be a finite bound of each input, draws fill the box, got {bounds}")
        if len(self.low) != len(self.high) or any(low > high for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError(f"low must be one bound per input, none above high = {self.high}, got {self.low}")
        for name in ("initial_spread", "smallest_spread", "smallest_scale"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ValueError(f"{name} must be a finite number >= 0, got {getattr(self, name)}")

    def initial(self, batch_shape: tuple[int, ...], num_knots: int) -> Proposal:
        """Return the widest proposal, centered on the middle of the box."""
        middle = torch.tensor([0.5 * (low + high) for low, high in zip(self.low, self.high, strict=True)])
        spread = torch.tensor([self.initial_spread * half for half in self._half])
        shape = (*batch_shape, num_knots, len(self.low))
        return Proposal(middle.expand(shape).clone(), spread.expand(shape).clone())

    def draw_noise(self, population: int, num_knots: int, generator: torch.Generator) -> Tensor:
        """Draw scaled normal numbers in pairs of opposite sign, after a zero if P is odd: (P, N, A)."""
        count = population // 2
        noise = torch.zeros(population, num_knots, len(self.low))
        half, opposite = noise[-2 * count : population - count], noise[population - count :]
        torch.randn(half.shape, generator=generator, out=half)
        half.mul_(torch.linspace(self.smallest_scale, 1.0, count)[:, None, None])
        torch.neg(half, out=opposite)
        return noise

    def sample(self, proposal: Proposal, noise: Tensor) -> Tensor:
        """Turn noise into plans: (..., N, A) twice, (..., P, N, A) -> (..., P, N, A)."""
        return self.within(proposal.center.unsqueeze(-3) + proposal.spread.unsqueeze(-3) * noise)

    def within(self, plans: Tensor) -> Tensor:
        """Clip plans to the box, (..., A): those kept from a call with another one too."""
        return plans.clamp(shared_bound(self.low, plans), shared_bound(self.high, plans))

    def refit(self, proposal: Proposal, plans: Tensor, weights: Tensor, adapt_spread: bool) -> Proposal:
        """Fit mean, and spread if asked, to weighted plans; where all weights are zero nothing changes.

        Args:
            proposal: Present parameters.
            plans: (..., P, N, A) samples.
            weights: (..., P) nonnegative, summing to one or all zero.
            adapt_spread: Whether the standard deviation follows the weighted samples.
        """
        weights = weights[..., None, None]
        center = (weights * plans).sum(dim=-3)
        usable = weights.sum(dim=-3) > 0
        spread = proposal.spread
        if adapt_spread:
            variance = (weights * (plans - center.unsqueeze(-3)) ** 2).sum(dim=-3)
            smallest = shared_bound(tuple(self.smallest_spread * half for half in self._half), spread)
            spread = torch.where(usable, variance.sqrt().clamp(min=smallest), spread)
        return Proposal(torch.where(usable, center, proposal.center), spread)

    def most_likely(self, proposal: Proposal) -> Tensor:
        """Return the plan at the center: (..., N, A)."""
        return self.within(proposal.center)

    @property
    def _half(self) -> tuple[float, ...]:
        return tuple(0.5 * (high - low) for low, high in zip(self.low, self.high, strict=True))


@dataclass(frozen=True)
class CategoricalInputs:
    """Independent choices among `num_actions` per knot; with two of them a Bernoulli distribution.

    As with boxes, the draws of one population range from close to the proposal to far from it: each mixes the proposal
    with equal probabilities by its own share, from `smallest_share` to `largest_share`.

    Args:
        num_actions: Number of discrete actions.
        smallest_share: Share of equal probabilities in the most careful draw.
        largest_share: The same in the boldest draw.
    """

    num_actions: int
    smallest_share: float = 0.2
    largest_share: float = 0.6

    def __post_init__(self):
        count = self.num_actions
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ValueError(f"num_actions must be a whole number >= 1, got {count!r}")
        if not 0 <= self.smallest_share <= self.largest_share <= 1:
            found = (self.smallest_share, self.largest_share)
            raise ValueError(f"smallest_share must be in 0 .. largest_share, and that at most 1, got {found}")

    def initial(self, batch_shape: tuple[int, ...], num_knots: int) -> Proposal:
        """Return equal probabilities."""
        center = torch.full((*batch_shape, num_knots, self.num_actions), 1 / self.num_actions)
        return Proposal(center, torch.zeros_like(center))

    def draw_noise(self, population: int, num_knots: int, generator: torch.Generator) -> Tensor:
        """Draw uniform numbers in pairs u, 1 - u: (P, N, 1)."""
        half = torch.rand((population + 1) // 2, num_knots, 1, generator=generator)
        return torch.cat([half, 1 - half])[:population]

    def sample(self, proposal: Proposal, noise: Tensor) -> Tensor:
        """Turn noise into plans of action indices by the inverse distribution function: -> (..., P, N, 1)."""
        half = torch.linspace(self.smallest_share, self.largest_share, (noise.shape[-3] + 1) // 2)
        share = torch.cat([half, half])[: noise.shape[-3], None, None].to(noise)
        probability = (1 - share) * proposal.center.unsqueeze(-3) + share / self.num_actions
        upper = probability.cumsum(dim=-1)[..., :-1]  # (..., P, N, C-1)
        return (noise > upper).sum(dim=-1, keepdim=True).to(noise.dtype)

    def within(self, plans: Tensor) -> Tensor:
        """Clip indices to those of the table, (..., 1)."""
        return plans.clamp(0, self.num_actions - 1)

    def refit(self, proposal: Proposal, plans: Tensor, weights: Tensor, adapt_spread: bool) -> Proposal:
        """Fit probabilities to weighted plans; where all weights are zero nothing changes."""
        del adapt_spread  # a categorical distribution has no spread of its own
        weights = weights[..., None, None]
        indices = torch.arange(self.num_actions, device=plans.device)
        center = (weights * (plans == indices)).sum(dim=-3)  # (..., N, C)
        return Proposal(torch.where(weights.sum(dim=-3) > 0, center, proposal.center), proposal.spread)

    def most_likely(self, proposal: Proposal) -> Tensor:
        """Return the most probable action of every knot: (..., N, 1)."""
        return proposal.center.argmax(dim=-1, keepdim=True).to(proposal.center.dtype)


Inputs = BoxInputs | CategoricalInputs


def inputs_of(spec: EnvironmentSpec) -> Inputs:
    """Return the distribution family of an environment's actions."""
    if spec.num_actions is not None:
        return CategoricalInputs(spec.num_actions)
    return BoxInputs(spec.input_low, spec.input_high)
