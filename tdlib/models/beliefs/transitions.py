"""How a belief moves on: x' = A x + Σ_i M_i x_i + b(a) + noise, with A one matrix or a mixture that the state chooses.

A(Δ) = e^{ΔG} of any interval, with effects and noise per time, stands in its place in `tdlib.models.beliefs.rotations`.

The x_i are what else has an effect: a task from the level above, an abstract action. Steps of all levels of all models
are this one; which causes there are tells them apart.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tdlib.models.beliefs.belief import Belief
from tdlib.models.beliefs.filtering import Advance, Effects
from tdlib.models.beliefs.marginalization import linear_map, marginalize
from tdlib.models.beliefs.networks import Control, elu_plus_one
from tdlib.models.beliefs.rotations import DampedRotations
from tdlib.models.beliefs.unrolled import LinearStep

NOISE = 0.1  # variance at the start of training


def turning(latent_dim: int) -> Tensor:
    """Return [[0, 0.2 I], [−0.2 I, 0]], where learned matrices start: (2d, 2d)."""
    eye, zero = torch.eye(latent_dim), torch.zeros(latent_dim, latent_dim)
    return 0.2 * torch.cat([torch.cat([zero, eye], dim=1), torch.cat([-eye, zero], dim=1)])


class Dynamics(nn.Module):
    """A of the state's own motion, A = Σ_k α_k(m) A_k + I, or one matrix.

    Args:
        latent_dim: d.
        identity: Whether I is added.
        band: Largest |i − j| at which the blocks of A_k are not zero; None for any.
        num_basis: Matrices that are mixed by α = softmax(W m + c), m the mean before the step; None for one that is
            not mixed.

    Source:
        Mixture: Becker et al. (2019), RKN, section 3.1; one matrix: Shaj et al. (2023), MTS3, as published in code.
    """

    def __init__(self, latent_dim: int, identity: bool = False, band: int | None = None, num_basis: int | None = None):
        super().__init__()
        self.num_basis = num_basis
        self.matrices = nn.Parameter(turning(latent_dim).repeat(num_basis or 1, 1, 1))
        if num_basis is not None:
            self.coefficients = nn.Linear(2 * latent_dim, num_basis)
        index = torch.arange(latent_dim)
        near = (index[:, None] - index).abs() <= (latent_dim if band is None else band)
        self.register_buffer("kept", near.to(torch.get_default_dtype()).repeat(2, 2), persistent=False)
        self.register_buffer("added", identity * torch.eye(2 * latent_dim), persistent=False)

    def matrix(self, mean: Tensor | None = None) -> Tensor:
        """Return A, (2d, 2d), or A of each mean: (..., 2d) -> (..., 2d, 2d)."""
        if mean is None:
            mixed = self.matrices[0]
        else:
            mixed = torch.einsum("...k,kij->...ij", torch.softmax(self.coefficients(mean), dim=-1), self.matrices)
        return mixed * self.kept + self.added

    def over(self, effects: Belief, delta_t: Tensor | None) -> Belief:
        """Return the effects of steps as they are: a step is a step, however long it is."""
        del delta_t
        return effects

    def prepared(self) -> Advance:
        """Return the step (posterior, effect) -> prior; what it needs of the weights is worked out once."""
        if self.num_basis is not None:
            return lambda belief, effect: marginalize([(linear_map(self.matrix(belief.mean)), belief)], effect)
        return LinearStep(linear_map(self.matrix()))


class Transition(nn.Module):
    """One step of a level.

    Args:
        dynamics: A.
        latent_dim: d.
        causes: Names of the beliefs that have an effect beside the state's own.
        action_dim: Length of the input that acts through b; 0 for none.
        hidden_dim: Width of b's hidden layer.
        without_covariance: Causes of which only the mean counts.

    Source:
        Shaj et al. (2023), MTS3, Gaussian marginalization: the fast level has a task and an input, the slow one an
        abstract action, one between them both.
    """

    def __init__(
        self,
        dynamics: Dynamics | DampedRotations,
        latent_dim: int,
        causes: tuple[str, ...] = (),
        action_dim: int = 0,
        hidden_dim: int = 120,
        without_covariance: tuple[str, ...] = (),
    ):
        super().__init__()
        self.dynamics, self.without_covariance = dynamics, without_covariance
        self.matrices = nn.ParameterDict({name: turning(latent_dim) for name in causes})
        self.raw_noise = nn.Parameter(torch.full((2 * latent_dim,), math.log(NOISE)))
        self.control = Control(action_dim, hidden_dim, latent_dim) if action_dim else None

    def effects(self, causes: Mapping[str, Belief]) -> Belief:
        """Return Σ_i M_i x_i + noise of the causes by name, with the broadcast batch shape of all.

        Steps take a cause as independent of those before: one task over several steps counts as one drawn for each, and
        by time its covariance is integrated as that of noise (`tdlib.models.beliefs.rotations`).
        """
        variance = elu_plus_one(self.raw_noise)
        side = torch.zeros_like(variance[: len(variance) // 2])
        noise = Belief(torch.zeros_like(variance), torch.cat([variance, side]))
        parts = []
        for name, matrix in self.matrices.items():
            belief = causes[name]
            if name in self.without_covariance:
                belief = Belief(belief.mean, torch.zeros_like(belief.covariance))
            parts.append((linear_map(matrix), belief))
        return marginalize(parts, noise)

    def controlled(self, effects: Belief, actions: Tensor | None) -> Belief:
        """Add b(a) of held inputs (..., A) to effects."""
        if self.control is None:
            return effects
        mean = effects.mean + self.control(actions)
        return Belief(mean, effects.covariance.expand(*mean.shape[:-1], effects.covariance.shape[-1]))

    def over(self, effects: Belief, delta_t: Tensor | None) -> Effects:
        """Return what effects (..., ·) come to over intervals (...) [s], as the step takes them."""
        return self.dynamics.over(effects, delta_t)

    def prepared(self) -> Advance:
        """Return the step (posterior, effect) -> prior; what it needs of the weights is worked out once."""
        return self.dynamics.prepared()
