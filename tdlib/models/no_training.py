"""Baselines without training of their own: no change, a rescaled increment, a fine model composed.

They wrap any callable (state, action, delta_t) -> next_state: one model, a stack, or the true flow.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from tdlib.core.specs import EnvironmentSpec
from tdlib.models.contract import DynamicsModel

OneStep = Callable[[Tensor, Tensor, Tensor], Tensor]
TOLERANCE = 1e-5  # relative; keeps floor(0.1 / 0.02) at 5 in single precision


class Persistence(DynamicsModel):
    """x' = x: the prediction that nothing changes.

    Args:
        spec: State and action sizes and units of the environment.
    """

    def forward(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        return self.broadcast(state, action, delta_t)[0]


class RescaledIncrement(DynamicsModel):
    """x' = x + (Δ/h)·(Φ_h(x, a) − x): the learned increment of step h, stretched or shrunk to the asked interval.

    Args:
        model: Φ, called with delta_t = h.
        train_delta_t: h [s].
        spec: Spec of the environment; by default the model's.
    """

    row_form = "rescaled"

    def __init__(self, model: OneStep, train_delta_t: float, spec: EnvironmentSpec | None = None):
        super().__init__(spec or model.spec, train_delta_t)
        self.model = model

    def forward(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        state, action, delta_t = self.broadcast(state, action, delta_t)
        h = self.train_delta_t.to(delta_t)
        return state + (delta_t / h).unsqueeze(-1) * (self.model(state, action, h.expand_as(delta_t)) - state)


class RecurrentRollout(DynamicsModel):
    """Φ_h composed floor(Δ/h) times, then its increment rescaled to what remains of Δ; the count may differ per sample.

    Args:
        model: Φ, called with delta_t = h.
        train_delta_t: h [s].
        spec: Spec of the environment; by default the model's.
    """

    branches_on_values = True
    row_form = "composed"

    def __init__(self, model: OneStep, train_delta_t: float, spec: EnvironmentSpec | None = None):
        super().__init__(spec or model.spec, train_delta_t)
        self.model = model

    def forward(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        state, action, delta_t = self.broadcast(state, action, delta_t)
        h = self.train_delta_t.to(delta_t)
        ratio = (delta_t / h * (1 + TOLERANCE)).unsqueeze(-1)
        count = ratio.floor()
        remainder = (delta_t.unsqueeze(-1) / h - count).clamp(min=0)
        remainder = torch.where(remainder > TOLERANCE * ratio, remainder, torch.zeros_like(remainder))
        step = h.expand_as(delta_t)
        for k in range(int(count.max()) if count.numel() else 0):
            state = torch.where(k < count, self.model(state, action, step), state)
        if bool((remainder > 0).any()):
            state = state + remainder * (self.model(state, action, step) - state)
        return state
