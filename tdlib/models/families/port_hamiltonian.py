"""Port-Hamiltonian field: a learned energy, damping and an input port make the rate of change."""

import torch
from torch import Tensor, nn

from tdlib.core.specs import EnvironmentSpec
from tdlib.models.encoders import Scales, mlp
from tdlib.models.energies import energy_gradient
from tdlib.models.family import Shown
from tdlib.models.ode import field_family
from tdlib.models.pairs import Pairs


class PortHamiltonianModel(nn.Module):
    """dq/dt = C ∂H/∂v, dv/dt = −C ∂H/∂q − exp(log_damping)·C ∂H/∂v + σ_v·G e.

    H is a dimensionless softplus network; the constant diagonal C = σ_q·σ_v·(1 s) gives it units, so momentum is the
    velocity up to a constant per degree of freedom. That is exact for Pendulum and misspecified for CartPole, whose
    mass matrix depends on the pole angle. Without damping and input the energy H is constant along solutions.

    Args:
        spec: State sizes, and which dimensions are positions and velocities.
        widths: Hidden layers of the energy.
        action_embedding_dim: Length of the action embedding.

    Source:
        Seed 000, Phase 2, model 5; structure as in Zhong, Dey, Chakraborty (2020), dissipative SymODEN.
    """

    def __init__(self, spec: EnvironmentSpec, widths: tuple[int, ...] = (64, 64), action_embedding_dim: int = 8):
        super().__init__()
        self.pairs = Pairs(spec)
        self.scales = Scales(spec)
        self.network = mlp(spec.feature_dim, widths, 1, activation=nn.Softplus)
        self.log_damping = nn.Parameter(torch.full((self.pairs.count,), -3.0))  # exp(-3) = 0.05 /s
        self.port = nn.Linear(action_embedding_dim, self.pairs.count, bias=False)

    def energy(self, state: Tensor) -> Tensor:
        """Return H: (..., D) -> (...), dimensionless."""
        return self.network(self.scales.features(state)).squeeze(-1)

    def energy_gradient(self, state: Tensor) -> Tensor:
        """Return ∂H/∂s: (..., D) -> (..., D) [1/unit]."""
        return self.scales.pull_back(state, energy_gradient(self.network, self.scales.features(state)))

    def forward(self, t: Tensor | float, state: Tensor, action_emb: Tensor) -> Tensor:
        """Return ds/dt: (..., D), (..., E) -> (..., D) [unit/s]."""
        gradient = self.energy_gradient(state)
        velocity_scale = self.pairs.velocity(self.scales.rate_scale)
        unit = self.pairs.position(self.scales.rate_scale) * velocity_scale  # C
        position_rate = unit * self.pairs.velocity(gradient)
        conservative = -unit * self.pairs.position(gradient)
        force = velocity_scale * self.port(action_emb)
        return self.pairs.join(position_rate, conservative - self.log_damping.exp() * position_rate + force)


LOOK = (("marker", "^"), ("linestyle", ":"))
SHOWN = Shown(among=(("ode", "rk4"),))
FAMILY = field_family(
    PortHamiltonianModel, label="port-Hamiltonian ODE", short_label="port-Ham.", look=LOOK, shown=SHOWN
)
