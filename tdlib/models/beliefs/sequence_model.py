"""Dynamics models that predict whole sequences: what is known and what is to come are one, of which a part is seen."""

import torch
from torch import Tensor

from tdlib.core.context import Context, Prediction
from tdlib.models.beliefs.model import BeliefModel


class SequenceModel(BeliefModel):
    """The steps of a context, the start and the steps to come in a row; nothing is seen after the start."""

    def forward(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        state, action, step = self.broadcast(state, action, delta_t)
        return self.predict(state, action.unsqueeze(-2), step.unsqueeze(-1)).state.squeeze(-2)

    def predict(
        self, state: Tensor, actions: Tensor, delta_t: Tensor | float | None = None, context: Context | None = None
    ) -> Prediction:
        _, actions, steps = self.broadcast(state.unsqueeze(-2), actions, delta_t)
        shape, num_steps = actions.shape[:-2], actions.shape[-2]
        start = state.expand(*shape, -1)
        past = Context.empty(start, actions[..., 0, :]) if context is None else context
        exists = past.known.expand(*shape, -1)
        ahead = torch.ones_like(steps, dtype=torch.bool)
        first = torch.arange(num_steps, device=ahead.device) == 0
        before = past.delta_t.to(state).expand(*shape, -1)
        known = past.states.expand(*shape, -1, -1), self.inputs(past.actions, past.delta_t.to(state))
        states = torch.cat([known[0], start.unsqueeze(-2).expand(*shape, num_steps, -1)], dim=-2)
        inputs = torch.cat([known[1].expand(*shape, -1, -1), self.inputs(actions, steps)], dim=-2)
        seen, there = (torch.cat([exists, x], dim=-1) for x in (ahead & first, ahead))
        delta_t = torch.cat([before, steps], dim=-1)
        found = self.filtered(self.scales.features(states), inputs, seen, delta_t, there)
        mean, variance = (x[..., -num_steps:, :] for x in (found.mean, found.variance))
        return self.read_off(mean, variance, start)
