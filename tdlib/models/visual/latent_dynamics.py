"""A predictor by itself, trained on latents that were encoded once: what moves states of pictures, without pictures.

With encoder and decoder frozen, training a predictor in mode `detached` encodes the same frames again and again. Here
the state of the contract is the latent state, flattened; what was trained goes back into a visual model by its weights.
The map from latents to states (`state_transform`) does not move here, which it does beside a predictor in `detached`.
"""

import dataclasses

from torch import Tensor

from tdlib.core.context import Batch, Context, Prediction
from tdlib.core.specs import EnvironmentSpec
from tdlib.models.contract import DynamicsModel, Needs
from tdlib.models.visual.options import VisualOptions
from tdlib.models.visual.predictor import Memory
from tdlib.models.visual.predictors import build_predictor

Carry = tuple[
    Tensor, Memory
]  # the predicted latent, and what the predictor remembers; empty until a first one is known


def latent_spec(spec: EnvironmentSpec, options: VisualOptions) -> EnvironmentSpec:
    """Describe latents of visual models as a state with the inputs of an environment."""
    count = 1
    for size in options.latent_shape:
        count *= size
    half = count // 2 if count % 2 == 0 else 0
    return dataclasses.replace(
        spec,
        name=f"{spec.name} latents",
        state_names=tuple(f"z{i}" for i in range(count)),
        state_units=("1",) * count,
        angle_dims=(),
        position_dims=tuple(range(half)),
        velocity_dims=tuple(range(half, 2 * half)),
        parameter_names=(),
        observation_names=(),
        observation_units=(),
    )


class LatentDynamics(DynamicsModel):
    """s(t + Δt) = P(s(t), a, Δt) of latents: (..., D), D the number of elements of one.

    Args:
        spec: Of `latent_spec`.
        options: Those of the visual model that the predictor is for.
    """

    Options = VisualOptions
    options: VisualOptions
    stacks = False

    def __init__(self, spec: EnvironmentSpec, options: VisualOptions | None = None):
        super().__init__(spec, options, own_scales=False)
        self.predictor = build_predictor(spec, self.options)
        self.needs = Needs(window=self.options.rollout_steps)

    def initial(self, context: Context) -> Carry:
        """Step a predictor that remembers through what is known; of a batch that is as much as all of it has."""
        number = context.states.shape[-2]
        known = number if bool(context.mask.all()) else int(context.known.sum(dim=-1).min())
        begin = number - known
        states = self._shaped(context.states[..., begin:, :])
        axis = states.ndim - 1 - len(self.options.latent_shape)
        memory: Memory = ()
        if states.shape[axis]:
            memory = self.predictor.begin(states.select(axis, 0))
        for t in range(states.shape[axis] if memory else 0):
            action, delta_t = context.actions[..., begin + t, :], context.delta_t[..., begin + t]
            _, memory = self.predictor.step(states.select(axis, t), action, delta_t, memory)
        return context.states.new_zeros(*context.states.shape[:-2], context.states.shape[-1]), memory

    def step(
        self, carry: Carry, action: Tensor, delta_t: Tensor | float | None = None, observed: Tensor | None = None
    ) -> tuple[Carry, Prediction]:
        state, memory = self._shaped(carry[0] if observed is None else observed), carry[1]
        following, memory = self.predictor.step(state, action, delta_t, memory or self.predictor.begin(state))
        flat = following.flatten(-len(self.options.latent_shape))
        return (flat, memory), Prediction(flat)

    def loss(self, batch: Batch, progress: Tensor) -> Tensor:
        """Mean squared error of the next latents of a window, each from the true ones so far."""
        del progress
        known, events = self._shaped(batch.state), len(self.options.latent_shape)
        error = self.predictor(known, batch.action, batch.delta_t) - self._shaped(batch.next_state)
        squared = error.square().flatten(-events).mean(dim=-1)
        if batch.valid is None:
            return squared.mean()
        weight = batch.valid.to(squared)
        return (squared * weight).sum() / weight.sum()

    def _shaped(self, flat: Tensor) -> Tensor:
        return flat.unflatten(-1, self.options.latent_shape)
