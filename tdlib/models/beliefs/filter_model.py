"""Dynamics models that are one filter: what is carried from step to step is the belief, and a task if there is one."""

from typing import NamedTuple

import torch
from torch import Tensor

from tdlib.core.context import Context, Prediction
from tdlib.models.beliefs.belief import Belief, isotropic
from tdlib.models.beliefs.checks import refuse_backward
from tdlib.models.beliefs.compositions import AcRKN, HiPRSSM
from tdlib.models.beliefs.levels import LevelBeliefs, Predicted, first_belief
from tdlib.models.beliefs.model import BeliefModel


class Carry(NamedTuple):
    """What is carried from step to step.

    Args:
        belief: (..., ·) before the next observation.
        task: (..., ·) that acts on every step; nothing, which has no tensors to map, if none does.
        state: (..., D) the predicted one, from which angles continue.
    """

    belief: Belief
    task: Belief | tuple[()]
    state: Tensor


class FilterModel(BeliefModel):
    """Condition on what is seen, marginalize over the step, decode; a step that sees nothing only marginalizes.

    A family sets `network`, and reads a task off what is known if it has one.
    """

    network: AcRKN | HiPRSSM

    def task(self, observations: Tensor, inputs: Tensor, valid: Tensor, delta_t: Tensor) -> Belief | None:
        """Read the task off known steps: (..., C, F), (..., C, E + 1), (..., C) bool, (..., C) [s] -> (..., ·)."""
        del observations, inputs, valid, delta_t
        return None

    def filtered(
        self, observations: Tensor, inputs: Tensor, valid: Tensor, delta_t: Tensor, exists: Tensor | None = None
    ) -> Predicted:
        assert exists is None  # a context is read by `initial`
        return self.network(observations, inputs, valid, delta_t)

    def predict(
        self, state: Tensor, actions: Tensor, delta_t: Tensor | float | None = None, context: Context | None = None
    ) -> Prediction:
        return self.follow(state, actions, delta_t, context)[0]  # as `step` after `step`, all rows encoded at once

    def follow(
        self, state: Tensor, actions: Tensor, delta_t: Tensor | float | None = None, context: Context | None = None
    ) -> tuple[Prediction, list[LevelBeliefs]]:
        """Predict open loop, and say what filter and task know along it: C + T steps, the context's first."""
        row, num_steps = self.row(state, actions, delta_t, context), actions.shape[-2]
        features, inputs = (x[..., :-num_steps, :] for x in (row.features, row.inputs))
        task = self.task(features, inputs, row.exists[..., :-num_steps], row.delta_t[..., :-num_steps])
        held = None if task is None else task.as_row()
        found = self.network.fast(row.features, row.inputs, row.seen, held, exists=row.exists, delta_t=row.delta_t)
        assert found.belief is not None  # of a level
        levels = [LevelBeliefs(first_belief(self.options, state), found.belief)]
        if held is not None:
            shape, unaware = row.seen.shape, isotropic(self.options.latent_dim, 1.0, like=state)
            begins = (torch.arange(shape[-1], device=state.device) == 0).expand(shape)  # one window for all steps
            levels.append(LevelBeliefs(unaware, held.expand(*shape), begins))
        return self.read_off(*row.ahead(found.mean, found.variance), row.start), levels

    def initial(self, context: Context) -> Carry:
        """Return task and belief after the true steps of a context; both begin after the last that does not exist."""
        states, there = context.states, context.known
        observations = self.scales.features(states)
        delta_t = context.delta_t.to(states)
        inputs = self.inputs(context.actions, delta_t)
        task = self.task(observations, inputs, there, delta_t)
        belief = first_belief(self.options, states).expand(*states.shape[:-2])
        if there.shape[-1]:
            held = None if task is None else task.as_row()
            known = self.network.fast(observations, inputs, there, held, exists=there, delta_t=delta_t)
            assert known.belief is not None  # of a level
            belief = known.belief.unstack()[-1]
        return Carry(belief, task or (), states.new_zeros(*states.shape[:-2], self.spec.state_dim))

    def step(
        self, carry: Carry, action: Tensor, delta_t: Tensor | float | None = None, observed: Tensor | None = None
    ) -> tuple[Carry, Prediction]:
        refuse_backward(delta_t)
        state, action, delta_t = self.broadcast(carry.state if observed is None else observed, action, delta_t)
        seen = None if observed is None else self.scales.features(state)
        belief = carry.belief.expand(*state.shape[:-1])
        belief = self.network.fast.step(belief, self.inputs(action, delta_t), seen, carry.task or None, delta_t)
        mean, variance = (x.unsqueeze(-2) for x in self.network.fast.decoder(belief))
        prediction = self.read_off(mean, variance, state).map(lambda x: x.squeeze(-2))
        return carry._replace(belief=belief, state=prediction.state), prediction
