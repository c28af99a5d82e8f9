"""Separable Hamiltonian field: the energy is one of motion plus one of place, which explicit leapfrog keeps."""

import torch
from torch import Tensor, nn

from tdlib.core.columns import Columns
from tdlib.core.specs import EnvironmentSpec
from tdlib.models.encoders import Scales, mlp
from tdlib.models.energies import energy_gradient
from tdlib.models.family import Arms, Shown
from tdlib.models.ode import FIELD_ARMS, field_family
from tdlib.models.pairs import Pairs


class SeparableHamiltonianModel(nn.Module):
    """H = T(v) + V(q): dq/dt = C ∂T/∂v, dv/dt = −C ∂V/∂q − exp(log_damping)·C ∂T/∂v + σ_v·G e.

    T and V are dimensionless softplus networks of the velocities' and of the positions' features; units, damping and
    port as in `PortHamiltonianModel`. Velocities stand for momenta, so masses must not depend on place. Without damping
    and input leapfrog is symplectic on it and keeps its energy within bounds at any number of steps.

    Args:
        spec: State sizes, and which dimensions are positions and velocities.
        widths: Hidden layers of both energies.
        action_embedding_dim: Length of the action embedding.

    Source:
        Seed 003 (the spatial predictor's energies, of vectors); structure as in Toth et al. (2020).
    """

    def __init__(self, spec: EnvironmentSpec, widths: tuple[int, ...] = (64, 64), action_embedding_dim: int = 8):
        super().__init__()
        self.pairs = Pairs(spec)
        self.scales = Scales(spec)
        owners = [i for i in range(spec.state_dim) for _ in range(2 if i in spec.angle_dims else 1)]
        self._moving = Columns([k for k, i in enumerate(owners) if i in spec.velocity_dims])  # features of velocities
        self._placed = Columns([k for k, i in enumerate(owners) if i in spec.position_dims])
        joined = self._placed.places + self._moving.places
        self._in_order = Columns([joined.index(k) for k in range(len(owners))])
        self.kinetic = mlp(len(self._moving), widths, 1, activation=nn.Softplus)
        self.potential = mlp(len(self._placed), widths, 1, activation=nn.Softplus)
        self.log_damping = nn.Parameter(torch.full((self.pairs.count,), -3.0))  # exp(-3) = 0.05 /s
        self.port = nn.Linear(action_embedding_dim, self.pairs.count, bias=False)

    def energy(self, state: Tensor) -> Tensor:
        """Return H: (..., D) -> (...), dimensionless."""
        features = self.scales.features(state)
        moving, placed = self._moving(features), self._placed(features)
        return (self.kinetic(moving) + self.potential(placed)).squeeze(-1)

    def energy_gradient(self, state: Tensor) -> Tensor:
        """Return ∂H/∂s: (..., D) -> (..., D) [1/unit]."""
        features = self.scales.features(state)
        parts = [
            energy_gradient(self.potential, self._placed(features)),
            energy_gradient(self.kinetic, self._moving(features)),
        ]
        return self.scales.pull_back(state, self._in_order(torch.cat(parts, dim=-1)))

    def forward(self, t: Tensor | float, state: Tensor, action_emb: Tensor) -> Tensor:
        """Return ds/dt: (..., D), (..., E) -> (..., D) [unit/s]."""
        gradient = self.energy_gradient(state)
        velocity_scale = self.pairs.velocity(self.scales.rate_scale)
        unit = self.pairs.position(self.scales.rate_scale) * velocity_scale  # C
        position_rate = unit * self.pairs.velocity(gradient)
        force = velocity_scale * self.port(action_emb) - unit * self.pairs.position(gradient)
        return self.pairs.join(position_rate, force - self.log_damping.exp() * position_rate)


ARMS = (*FIELD_ARMS, Arms("ode", "leapfrog"))
LOOK = (("marker", "v"), ("linestyle", "-."))
FAMILY = field_family(
    SeparableHamiltonianModel,
    label="separable Hamiltonian ODE",
    short_label="separable",
    arms=ARMS,
    look=LOOK,
    shown=Shown(),
)
