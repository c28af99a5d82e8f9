"""Newtonian field: positions follow velocities, accelerations are learned."""

import torch
from torch import Tensor, nn

from tdlib.core.facts import CONTACTS, MIXED, POOLED, TRAIN_RATES
from tdlib.core.specs import EnvironmentSpec
from tdlib.models.encoders import Scales, mlp
from tdlib.models.family import Arms, Shown
from tdlib.models.ode import FIELD_ARMS, field_family
from tdlib.models.pairs import Pairs


class NewtonianDynamicsModel(nn.Module):
    """dq/dt = v, dv/dt = σ_v·g(z(q, v), e) − exp(log_damping)·v.

    Args:
        spec: State sizes, and which dimensions are positions and velocities.
        widths: Hidden layers.
        action_embedding_dim: Length of the action embedding.

    Source:
        Seed 000, Phase 2, model 3.
    """

    def __init__(self, spec: EnvironmentSpec, widths: tuple[int, ...] = (64, 64), action_embedding_dim: int = 8):
        super().__init__()
        self.pairs = Pairs(spec)
        self.scales = Scales(spec)
        self.network = mlp(spec.feature_dim + action_embedding_dim, widths, self.pairs.count)
        self.log_damping = nn.Parameter(torch.full((self.pairs.count,), -3.0))  # exp(-3) = 0.05 /s

    def forward(self, t: Tensor | float, state: Tensor, action_emb: Tensor) -> Tensor:
        """Return ds/dt: (..., D), (..., E) -> (..., D) [unit/s]."""
        velocity = self.pairs.velocity(state)
        output = self.network(torch.cat([self.scales.features(state), action_emb], dim=-1))
        acceleration = self.pairs.velocity(self.scales.rate_scale) * output - self.log_damping.exp() * velocity
        return self.pairs.join(velocity, acceleration)


ARMS = (
    *FIELD_ARMS,
    Arms("ode", "rk4", (*TRAIN_RATES, MIXED), data=POOLED),
    Arms("ode", "rk4", ("20",), data=CONTACTS),
)
LOOK = (("marker", "s"), ("linestyle", "--"))
SHOWN = Shown("fields", among=(("ode", "rk4"),))
FAMILY = field_family(
    NewtonianDynamicsModel, label="Newtonian ODE", short_label="Newtonian", arms=ARMS, look=LOOK, shown=SHOWN
)
