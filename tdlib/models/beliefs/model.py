"""What dynamics models with a belief share: what they observe, how a state is read off what they expect, their loss."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tdlib.core.context import Batch, Context, Prediction
from tdlib.core.facts import MIXED, TRAIN_RATES
from tdlib.core.specs import EnvironmentSpec, state_features, wrap_angle
from tdlib.models.beliefs.checks import refuse_backward
from tdlib.models.beliefs.forms import BELIEF_FORMS, OF_ONE_LEVEL
from tdlib.models.beliefs.levels import Predicted
from tdlib.models.beliefs.likelihood import negative_log_likelihood
from tdlib.models.beliefs.masks import training_mask
from tdlib.models.beliefs.options import BeliefOptions
from tdlib.models.contract import CPU_STACK, DEVICE_STACK, DynamicsModel, Needs
from tdlib.models.encoders import ActionEncoder
from tdlib.models.family import Arms, Shown
from tdlib.models.forms import StepForm

MIDDLE = TRAIN_RATES[1:2]


def arms_of(forms: Sequence[str]) -> tuple[Arms, ...]:
    """Return a family's arms: of one rate as it is, and of the middle one by time; of several rates in every form."""
    known = [Arms("dt_conditioned", form, MIDDLE) for form in forms if BELIEF_FORMS[form].flows]
    return (Arms("baseline"), *known, *(Arms("multi_resolution", form, (MIXED,)) for form in forms))


class Row(NamedTuple):
    """The C steps of a context and T steps to come, of which the first one's start is seen and nothing after it.

    Args:
        features: (..., C + T, F) standardized; what is not seen holds the start again.
        inputs: (..., C + T, E + 1), of `BeliefModel.inputs`.
        seen: (..., C + T) bool, which observations are.
        exists: (..., C + T) bool, which steps there were.
        delta_t: (..., C + T) [s].
        start: (..., D) state before the first step to come.
        num_steps: T.
    """

    features: Tensor
    inputs: Tensor
    seen: Tensor
    exists: Tensor
    delta_t: Tensor
    start: Tensor
    num_steps: int

    def ahead(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Keep what belongs to the steps to come: (..., C + T, n) -> (..., T, n)."""
        return mean[..., -self.num_steps :, :], variance[..., -self.num_steps :, :]


class BeliefModel(DynamicsModel):
    """Standardized features of the state are what is observed; a state is read off their expectation.

    An angle is that of the expected (cos, sin), its variance to first order theirs across the circle.

    Args:
        spec: State and action sizes and units of the environment.
        options: Sizes, masks and loss.
    """

    Options = BeliefOptions
    Network: Callable[..., nn.Module]  # (observation_dim, action_dim, options) -> the composition
    ARMS = arms_of(OF_ONE_LEVEL)
    look = ()
    shown = Shown(on_page=())  # pages draw beliefs by what a run measured: bands, not single paths
    options: BeliefOptions
    needs = Needs(window=BeliefOptions.sequence_length, noise=3)
    predicts = ("state", "variance")
    mixes = ("train_delta_t", "form")

    def __init__(self, spec: EnvironmentSpec, options: BeliefOptions | None = None):
        super().__init__(spec, options)
        self.needs = Needs(window=self.options.sequence_length, noise=3)
        self.action_encoder = ActionEncoder(spec, self.options.action_embedding_dim)
        self.form = StepForm(self.options.time.told, self.options.train_delta_t)
        self.network = type(self).Network(spec.feature_dim, self.input_dim, self.options)

    @abstractmethod
    def filtered(
        self,
        observations: Tensor,
        inputs: Tensor,
        valid: Tensor,
        delta_t: Tensor,
        exists: Tensor | None = None,
    ) -> Predicted:
        """Predict what is observed after each step of a sequence.

        Args:
            observations: (..., T, F) standardized features at the start of each step.
            inputs: (..., T, E + 1), of `inputs`.
            valid: (..., T) bool, which observations are seen.
            delta_t: (..., T) intervals [s].
            exists: (..., T) bool, which steps there were; what is known begins after the last that was not. None: all.
        """

    @property
    def input_dim(self) -> int:
        """Length E + 1 of an embedded input with its interval."""
        return self.options.action_embedding_dim + 1

    def inputs(self, actions: Tensor, delta_t: Tensor) -> Tensor:
        """Embed held inputs and append the form's Δt input: (..., A), (...) -> (..., E + 1)."""
        return torch.cat([self.action_encoder(actions), self.form(delta_t)[0]], dim=-1)

    def row(
        self, state: Tensor, actions: Tensor, delta_t: Tensor | float | None = None, context: Context | None = None
    ) -> Row:
        """Put what is known and what is to come in a row; arguments as those of `predict`.

        Raises:
            ValueError: If an interval is negative.
        """
        refuse_backward(delta_t)
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
        return Row(self.scales.features(states), inputs, seen, there, delta_t, start, num_steps)

    def read_off(self, mean: Tensor, variance: Tensor, start: Tensor) -> Prediction:
        """Turn expected features after each of T steps into states.

        Args:
            mean: (..., T, F) standardized.
            variance: (..., T, F).
            start: (..., D) state before the first step, from which angles continue.

        Returns:
            States and variances (..., T, D).
        """
        normalizer = self.scales.normalizer
        means = iter(normalizer.denormalize(mean).unbind(dim=-1))
        variances = iter((variance * normalizer.std**2).unbind(dim=-1))
        states, spreads = [], []
        for i in range(self.spec.state_dim):
            x, spread = next(means), next(variances)
            if i in self.spec.angle_dims:
                y, across = next(means), next(variances)
                turns = torch.cat([start[..., i, None].expand(*x.shape[:-1], 1), torch.atan2(y, x)], dim=-1)
                spread = (x**2 * across + y**2 * spread) / (x**2 + y**2) ** 2
                x = turns[..., :1] + wrap_angle(turns.diff(dim=-1)).cumsum(dim=-1)
            states.append(x)
            spreads.append(spread)
        return Prediction(torch.stack(states, dim=-1), torch.stack(spreads, dim=-1))

    def loss(self, batch: Batch, progress: Tensor) -> Tensor:
        """Mean over steps of the negative log-likelihood of the next features, or of their squared error.

        Some observations are masked (`training_mask`); the others are seen before they are predicted from, and all
        steps count, as far as they are valid.
        """
        options = self.options
        shares = options.dropped, options.dropped_windows, options.curriculum
        seen = training_mask(batch.noise, progress, options.mask_window, *shares)
        features = self.scales.features(batch.state)
        delta_t = batch.delta_t.to(features)
        found = self.filtered(features, self.inputs(batch.action, delta_t), seen, delta_t)
        target = self.scales.normalizer.normalize(state_features(batch.next_state, self.spec))
        if options.objective == "nll":
            losses = negative_log_likelihood(target, found.mean, found.variance)
        else:
            losses = (target - found.mean).square().mean(dim=-1)
        if batch.valid is None:
            return losses.mean()
        weight = batch.valid.to(losses)
        return (losses * weight).sum() / weight.sum().clamp(min=1)  # none may count

    def structure(self) -> tuple:
        return (*super().structure(), self.options.time._replace(told=""))

    def stack_limit(self, device: str) -> int:
        """As for few weights: steps are small whatever the widths, and there are many of them."""
        return CPU_STACK if device == "cpu" else DEVICE_STACK
