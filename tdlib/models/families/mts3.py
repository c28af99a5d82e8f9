"""MTS3: a fast filter, and slow ones whose belief acts on the steps of its window; whole sequences are predicted."""

import torch
from torch import Tensor

from tdlib.core.context import Context, Prediction
from tdlib.models.beliefs.compositions import MTS3
from tdlib.models.beliefs.levels import Predicted
from tdlib.models.beliefs.model import BeliefModel, joined
from tdlib.models.beliefs.options import MTS3Options


class MTS3Model(BeliefModel):
    """l ~ condition(l, aggregate(o of a window)), which acts on z' ~ marginalize(A z + b(a) + C l + noise) within it.

    The fast belief is z ~ condition(z, o) as everywhere; the slow one goes on from window to window by
    l' ~ marginalize(A l + B α + noise), α ~ aggregate(a of the next window).

    Windows are counted from the first step of the context. A prediction depends on all inputs of its window, so that
    there is no `step`.

    Args:
        spec: State and action sizes and units of the environment.
        options: See `MTS3Options`.

    Source:
        Shaj et al. (2023), Multi time scale world models; seed 004.
    """

    Options = MTS3Options
    Network = MTS3
    label = "MTS3"
    options: MTS3Options
    network: MTS3

    def filtered(self, observations: Tensor, inputs: Tensor, valid: Tensor) -> Predicted:
        return self.network(observations, inputs, valid).predicted

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
        exists = joined(past).expand(*shape, -1)
        ahead = torch.ones_like(steps, dtype=torch.bool)
        first = torch.arange(num_steps, device=ahead.device) == 0
        known = past.states.expand(*shape, -1, -1), self.inputs(past.actions, past.delta_t.to(state))
        states = torch.cat([known[0], start.unsqueeze(-2).expand(*shape, num_steps, -1)], dim=-2)
        inputs = torch.cat([known[1].expand(*shape, -1, -1), self.inputs(actions, steps)], dim=-2)
        seen, there = (torch.cat([exists, x], dim=-1) for x in (ahead & first, ahead))
        found = self.network(self.scales.features(states), inputs, seen, there).predicted
        mean, variance = (x[..., -num_steps:, :] for x in (found.mean, found.variance))
        return self.read_off(mean, variance, start)
