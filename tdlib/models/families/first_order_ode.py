"""First-order field: the rate of change is a learned function of state and action."""

import torch
from torch import Tensor, nn

from tdlib.core.specs import EnvironmentSpec
from tdlib.models.encoders import Scales, mlp
from tdlib.models.family import Shown
from tdlib.models.ode import field_family


class FirstOrderODE(nn.Module):
    """dx/dt = σ·g(z(x), e), no structure beyond that; integrated by Euler it is the `scaled` jump model.

    Args:
        spec: State sizes.
        widths: Hidden layers.
        action_embedding_dim: Length of the action embedding.
    """

    fits_any_field = True  # also the one that a coarse solver makes exact

    def __init__(self, spec: EnvironmentSpec, widths: tuple[int, ...] = (64, 64), action_embedding_dim: int = 8):
        super().__init__()
        self.scales = Scales(spec)
        self.network = mlp(spec.feature_dim + action_embedding_dim, widths, spec.state_dim)

    def forward(self, t: Tensor | float, state: Tensor, action_emb: Tensor) -> Tensor:
        """Return ds/dt: (..., D), (..., E) -> (..., D) [unit/s]."""
        return self.scales.rate_scale * self.network(torch.cat([self.scales.features(state), action_emb], dim=-1))


SHOWN = Shown(among=(("ode", "rk4"), ("ode", "euler")))
FAMILY = field_family(FirstOrderODE, label="first-order ODE", short_label="1st-order", shown=SHOWN)
