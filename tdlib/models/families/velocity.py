"""Velocity field: a declared control, whose velocities never change."""

import torch
from torch import Tensor, nn

from tdlib.core.specs import EnvironmentSpec
from tdlib.models.encoders import Scales, mlp
from tdlib.models.family import Shown
from tdlib.models.ode import field_family
from tdlib.models.pairs import Pairs


class VelocityDynamicsModel(nn.Module):
    """dq/dt = σ_q·g(z(q, v), e), dv/dt = 0: a declared control, it cannot move velocities at all.

    Args:
        spec: State sizes, and which dimensions are positions and velocities.
        widths: Hidden layers.
        action_embedding_dim: Length of the action embedding.

    Source:
        Seed 000, Phase 2, model 4.
    """

    fits_truth = False

    def __init__(self, spec: EnvironmentSpec, widths: tuple[int, ...] = (64, 64), action_embedding_dim: int = 8):
        super().__init__()
        self.pairs = Pairs(spec)
        self.scales = Scales(spec)
        self.network = mlp(spec.feature_dim + action_embedding_dim, widths, self.pairs.count)

    def forward(self, t: Tensor | float, state: Tensor, action_emb: Tensor) -> Tensor:
        """Return ds/dt: (..., D), (..., E) -> (..., D) [unit/s]."""
        output = self.network(torch.cat([self.scales.features(state), action_emb], dim=-1))
        rate = self.pairs.position(self.scales.rate_scale) * output
        return self.pairs.join(rate, torch.zeros_like(rate))


SHOWN = Shown()  # nowhere: it is a control, and known to be wrong
FAMILY = field_family(VelocityDynamicsModel, label="velocity ODE (dv = 0)", short_label="velocity", shown=SHOWN)
