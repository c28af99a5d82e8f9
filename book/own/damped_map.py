"""A linear map of the features, its rate of change scaled by Δt."""

import torch
from torch import nn

from tdlib.models import DynamicsModel
from tdlib.models.encoders import ActionEncoder


class DampedMap(DynamicsModel):
    """x' = x + Δt·σ·W[z(x), e(a)]."""

    def __init__(self, spec, options=None):
        super().__init__(spec, options)
        self.action_encoder = ActionEncoder(spec, 4)
        self.layer = nn.Linear(spec.feature_dim + 4, spec.state_dim)

    def forward(self, state, action, delta_t=None):
        state, action, delta_t = self.broadcast(state, action, delta_t)
        features, action_emb = self.scales.features(state), self.action_encoder(action)
        output = self.layer(torch.cat([features, action_emb], dim=-1))
        return state + delta_t.unsqueeze(-1) * self.scales.rate_scale * output
