"""The jump model with another step: x' = x + sqrt(h Δt)·σ·g(z(x), e(a), Δt/h)."""

import torch

from tdlib.core.facts import MIXED
from tdlib.models import JumpModel
from tdlib.models.family import Arms


class SquareRootStep(JumpModel):
    """Between a map that ignores Δt and one proportional to it."""

    ARMS = (Arms("multi_resolution", rates=(MIXED,)),)

    def forward(self, state, action, delta_t=None):
        state, action, delta_t = self.broadcast(state, action, delta_t)
        h, delta_t = self.train_delta_t.to(delta_t), delta_t.unsqueeze(-1)
        features, action_emb = self.scales.features(state), self.action_encoder(action)
        output = self.network(torch.cat([features, action_emb, delta_t / h], dim=-1))
        return state + (h * delta_t).sqrt() * self.scales.rate_scale * output
