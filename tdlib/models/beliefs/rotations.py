"""A belief that moves on for any time: pairs (upper_i, lower_i) that decay and turn, e^{ΔG} in closed form.

    G_i = [[−ρ, ω], [−ω, −ρ]],   e^{ΔG} = e^{−ρΔ} [[cos ωΔ, sin ωΔ], [−sin ωΔ, cos ωΔ]]

With m = m_u + i m_l, and h + i s of a covariance (h = (u − l)/2), every step is one product of complex numbers:

    mean               m  ↦ e^{−(ρ+iω)Δ} m
    covariance         (u + l)/2 ↦ e^{−2ρΔ} (u + l)/2,   h + i s ↦ e^{−2(ρ+iω)Δ} (h + i s)
    held effect e      ∫₀^Δ e^{−(ρ+iω)t} dt · e
    noise of rate Q    ∫₀^Δ e^{tG} Q e^{tGᵀ} dt, of the same two parts

Effects are held over the step, as inputs are, and noise is integrated, not scaled by Δ: two steps are then one step of
their sum, exactly, in mean and covariance, so that what a model believes does not depend on how often it is asked.
ρ > 0, so that nothing grows, however long it goes on.

The covariance of a task or an abstract action is integrated as that of noise, drawn anew at every instant, while its
mean is held. The effect of one uncertain task, held too, would add I Σ Iᵀ with I = ∫₀^Δ e^{tG} dt, which grows with the
square of a short time, and the belief would have to carry its correlation with the state from step to step; so over a
window the uncertainty that comes from a task is underestimated. What is bought is that two steps are one of their sum.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tdlib.models.beliefs.belief import Belief
from tdlib.models.beliefs.filtering import Advance

SLOWEST = 1e-3  # decay that is always there, per unit of time
DECAY, FASTEST_TURN = 0.05, 0.6  # where decays start, and the fastest of the turns, per unit of time


class Motion(NamedTuple):
    """What a step does: to what is believed already, and what comes on top.

    Args:
        mean: (..., 2, 2, d) e^{ΔG} of each pair.
        covariance: (..., 3, 3, d) what it does to u, l and s of each.
        added: (..., ·) effects and noise of the step.
    """

    mean: Tensor
    covariance: Tensor
    added: Belief

    def unstack(self) -> "list[Motion]":
        """Take those in a row apart: (..., T, ·) -> T of (..., ·)."""
        parts = zip(self.mean.unbind(dim=-4), self.covariance.unbind(dim=-4), self.added.unstack(), strict=True)
        return [Motion(*each) for each in parts]


class DampedRotations(nn.Module):
    """The state's own motion over any interval.

    Args:
        latent_dim: d.
        unit: Time in which decays and turns are counted [s]; effects and noise are rates per unit.
    """

    def __init__(self, latent_dim: int, unit: float):
        super().__init__()
        self.unit = unit
        self.raw_decay = nn.Parameter(torch.full((latent_dim,), math.log(math.expm1(DECAY))))
        self.turn = nn.Parameter(torch.linspace(0.0, FASTEST_TURN, latent_dim))

    def over(self, effects: Belief, delta_t: Tensor | None) -> Motion:
        """Work out steps: effects per unit of time (..., ·) as mean, noise as covariance, (...) [s] -> motions.

        Raises:
            ValueError: If there are no intervals.
        """
        if delta_t is None:
            raise ValueError("delta_t must be given to a model that moves on for any time, got None")
        decay, turn = nn.functional.softplus(self.raw_decay) + SLOWEST, self.turn
        time = (delta_t.to(effects.mean) / self.unit).unsqueeze(-1)
        mean = times(integral(decay, turn, time), effects.mean.chunk(2, dim=-1))
        upper, lower, side = effects.covariance.chunk(3, dim=-1)
        middle = integral(2 * decay, torch.zeros_like(turn), time)[0] * 0.5 * (upper + lower)
        half, side = times(integral(2 * decay, 2 * turn, time), (0.5 * (upper - lower), side))
        added = Belief(torch.cat(mean, dim=-1), torch.cat([middle + half, middle - half, side], dim=-1))
        return Motion(*turning_maps(torch.exp(-decay * time), turn * time), added)

    def advance(self, belief: Belief, motion: Motion) -> Belief:
        """Turn a belief, and add what comes on top."""
        mean, covariance = _pairwise(motion.mean, belief.mean), _pairwise(motion.covariance, belief.covariance)
        return Belief(mean + motion.added.mean, covariance + motion.added.covariance)

    def prepared(self) -> Advance:
        """Return `advance`; what it needs of the weights is in the motions."""
        return self.advance


def times(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Multiply complex numbers, each a real and an imaginary part."""
    (a, b), (c, d) = one, other
    return a * c - b * d, a * d + b * c


def integral(decay: Tensor, turn: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
    """∫₀^t e^{−(ρ+iω)s} ds = (1 − e^{−(ρ+iω)t})/(ρ + iω), without a difference of near equals; ρ > 0."""
    kept, angle = torch.exp(-decay * time), turn * time
    real = -torch.expm1(-decay * time) + 2 * kept * torch.sin(0.5 * angle) ** 2
    size = decay**2 + turn**2
    return times((real, kept * torch.sin(angle)), (decay / size, -turn / size))


def turning_maps(kept: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Return what e^{ΔG} does to means and covariances of pairs: (..., d) each -> (..., 2, 2, d), (..., 3, 3, d)."""
    cos, sin = kept * angle.cos(), kept * angle.sin()
    mean = _table([[cos, sin], [-sin, cos]])
    square_cos, square_sin, product = cos**2, sin**2, cos * sin
    covariance = [
        [square_cos, square_sin, 2 * product],
        [square_sin, square_cos, -2 * product],
        [-product, product, square_cos - square_sin],
    ]
    return mean, _table(covariance)


def _table(rows: list[list[Tensor]]) -> Tensor:
    return torch.stack([torch.stack(row, dim=-2) for row in rows], dim=-3)


def _pairwise(maps: Tensor, vector: Tensor) -> Tensor:
    """Apply a small matrix to each pair: (..., n, n, d), (..., n·d) -> (..., n·d)."""
    parts = vector.unflatten(-1, (maps.shape[-2], -1))
    return (maps * parts.unsqueeze(-3)).sum(dim=-2).flatten(-2)
