"""The contract of every dynamics model: physical units in and out, any leading batch shape, Δt per sample.

A Markov model writes `forward` and nothing else. A model that remembers writes `initial` and `step`. One that predicts
whole sequences only (its latent steps are not intervals) writes `predict`, and is planned with by whole sequences.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from tdlib.core.context import Batch, Context, Prediction
from tdlib.core.specs import EnvironmentSpec, require_real, state_difference
from tdlib.core.transitions import Transitions
from tdlib.models.encoders import ActionEncoder, Scales
from tdlib.models.options import Options as BaseOptions
from tdlib.models.record import Record

Carry = Any  # what a model carries from step to step: a tensor, or a tuple, a dict, a registered dataclass of them

WIDE = 50_000  # weights from which a loop over models beats a stack on a CPU: between 27 000 and 70 000 (measured)
CPU_STACK, DEVICE_STACK = 24, 256  # most models per stack in training; beyond, caches or memory suffer


@dataclass(frozen=True)
class Needs:
    """What a training batch must hold for a model's loss.

    Args:
        window: Steps in a row, never across an episode; 1 for single transitions.
        noise: Standard normal numbers per step; programs that are stacked or recorded may not draw their own.
        observations: Whether what a sensor sees must be there.
        parameters: Whether the system's parameters must be there.
        images: Whether frames of a camera must be there.
    """

    window: int = 1
    noise: int = 0
    observations: bool = False
    parameters: bool = False
    images: bool = False


@dataclass(frozen=True)
class ParameterGroup:
    """How the one optimizer treats some parameters.

    Args:
        prefixes: Beginnings of their names; the empty one is every name.
        learning_rate: Factor on the budget's learning rate.
        weight_decay: Part of a weight taken off per step and unit of the learning rate (decoupled, as in AdamW).
        clip: Largest norm of this group's gradient; None for no limit beside the budget's on all together.
        frozen: Whether they stay as they are.
        begins: Share of training before which losses do not move them: others are to find their place first.
    """

    prefixes: tuple[str, ...] = ("",)
    learning_rate: float = 1.0
    weight_decay: float = 0.0
    clip: float | None = None
    frozen: bool = False
    begins: float = 0.0


class DynamicsModel(nn.Module):
    """x(t + Δt) from x(t) and the input held over [t, t + Δt].

    Class attributes say what the rest of the library asks; `Options` is the frozen dataclass of the options.

    Args:
        spec: State and action sizes and units of the environment.
        options: Of the class's own `Options`; None for the defaults.
        own_scales: Whether to make `scales`; False for a model of modules that bring theirs.
    """

    Options: ClassVar[type[BaseOptions]] = BaseOptions
    needs = Needs()
    reads: tuple[str, ...] = ("state",)  # what a context must hold: state, observation, parameters, image
    predicts: tuple[str, ...] = ("state",)  # what it is scored on: state, variance, image, energy
    stacks = True  # whether `torch.func.vmap` runs it: no branch on values, no random numbers of its own
    mixes: tuple[str, ...] = ()  # options that may differ within a stack, since they act through buffers alone
    branches_on_values = False  # whether its program depends on the numbers it is given, so that it cannot be recorded

    def __init__(self, spec: EnvironmentSpec, options: BaseOptions | None = None, *, own_scales: bool = True):
        super().__init__()
        self.spec = spec
        self.options = self.Options() if options is None else options
        self.built_as: str | None = None  # the name that `build_model` was called with
        self._record = Record()
        self.register_buffer("train_delta_t", torch.tensor(float(self.options.train_delta_t), dtype=torch.float64))
        if own_scales:
            self.add_module("scales", Scales(spec))

    # --- predicting -------------------------------------------------------------------------------------------------

    def forward(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        """Predict the state `delta_t` seconds later.

        Args:
            state: (..., D) physical state.
            action: (..., A) physical input, or index of a discrete action.
            delta_t: (...) interval of each sample [s]; None means `train_delta_t`.

        Returns:
            (..., D) next state; angles continue from `state`, they are not wrapped.
        """
        if type(self).step is DynamicsModel.step:
            raise NotImplementedError(f"{type(self).__name__} must write forward, or initial and step")
        state, action, delta_t = self.broadcast(state, action, delta_t)
        return self.step(self.initial(Context.empty(state, action)), action, delta_t, state)[1].state

    def initial(self, context: Context) -> Carry:
        """Return what is carried into the step after a context; that step is told the state it starts from.

        Args:
            context: C >= 0 true steps; its batch shape may have ones where the step's has more.

        Returns:
            Tensors (..., whatever) in a nesting of the model's own.
        """
        states = context.states
        return states.new_zeros(*states.shape[:-2], states.shape[-1])

    def step(
        self, carry: Carry, action: Tensor, delta_t: Tensor | float | None = None, observed: Tensor | None = None
    ) -> tuple[Carry, Prediction]:
        """Advance by one interval.

        Args:
            carry: From `initial` or the step before.
            action: (..., A) held input.
            delta_t: (...) interval [s].
            observed: (..., D) what is seen at the step's start; None if nothing is, and the model goes on from its own
                prediction. The first step after `initial` sees something.

        Returns:
            The carry after the step, and the prediction for its end.
        """
        following = self(carry if observed is None else observed, action, delta_t)
        return following, Prediction(following)

    def predict(
        self, state: Tensor, actions: Tensor, delta_t: Tensor | float | None = None, context: Context | None = None
    ) -> Prediction:
        """Predict open loop, feeding predictions back.

        Args:
            state: (..., D) start.
            actions: (..., T, A) held inputs.
            delta_t: (..., T) interval of each step [s], one number for all, or None.
            context: True steps before `state`; None if none is known.

        Returns:
            What is predicted after each action: states (..., T, D), and whatever else the model predicts.
        """
        carry = self.initial(Context.empty(state, actions[..., 0, :]) if context is None else context)
        observed, predictions = state, []
        for t in range(actions.shape[-2]):
            carry, prediction = self.step(carry, actions[..., t, :], step_of(delta_t, t), observed)
            observed = None
            predictions.append(prediction)
        return Prediction.stack(predictions)

    def predict_sequence(
        self, state: Tensor, actions: Tensor, delta_t: Tensor | float | None = None, context: Context | None = None
    ) -> Tensor:
        """Predict open loop as `predict` does; return the states alone, (..., T, D)."""
        return self.predict(state, actions, delta_t, context).state

    def teacher_forced(self, states: Tensor, actions: Tensor, delta_t: Tensor) -> Tensor:
        """Predict every next state of a window from the true states so far, nothing known before it.

        Args:
            states: (..., T, D) true states before each step.
            actions: (..., T, A) held inputs.
            delta_t: (..., T) interval of each step [s].

        Returns:
            (..., T, D) predicted next states.
        """
        carry = self.initial(Context.empty(states[..., 0, :], actions[..., 0, :]))
        predictions = []
        for t in range(actions.shape[-2]):
            carry, prediction = self.step(carry, actions[..., t, :], step_of(delta_t, t), states[..., t, :])
            predictions.append(prediction.state)
        return torch.stack(predictions, dim=-2)

    @classmethod
    def remembers(cls) -> bool:
        """Whether predictions of this class depend on what came before the state."""
        return cls.step is not DynamicsModel.step or cls.predict is not DynamicsModel.predict

    @property
    def whole_sequences(self) -> bool:
        """Whether it predicts whole sequences only and has no step."""
        return type(self).predict is not DynamicsModel.predict and type(self).step is DynamicsModel.step

    @property
    def has_memory(self) -> bool:
        """Whether predictions depend on what came before the state."""
        return self.remembers()

    # --- training ---------------------------------------------------------------------------------------------------

    def loss(self, batch: Batch, progress: Tensor) -> Tensor:
        """Mean of ((x̂ − x')/(Δt·σ))² over the steps that count and over dimensions, σ the typical rate of change.

        Args:
            batch: What `needs` asks for.
            progress: () how much of training is done, from 0 to 1: it drives curricula of other losses.

        Returns:
            ()
        """
        del progress
        if self.needs.window == 1:
            error = self(batch.state, batch.action, batch.delta_t) - batch.next_state
        else:
            predicted = self.window_predictions(batch.state, batch.action, batch.delta_t)
            error = state_difference(predicted, batch.next_state, self.spec)  # free-running angles may be turns away
        found, added = self.mean_square(error, batch), self.penalty(batch)
        return found if added is None else found + added

    def penalty(self, batch: Batch) -> Tensor | None:
        """Return what the loss adds to errors of prediction, (), or None."""
        del batch
        return None

    def mean_square(self, error: Tensor, batch: Batch) -> Tensor:
        """Mean of (error/(Δt·σ))² over the steps that count and over dimensions: (..., D) -> ()."""
        unit = batch.delta_t.unsqueeze(-1) * self.rate_scale if batch.unit is None else batch.unit
        squared = (error / unit).square().mean(dim=-1)
        if batch.valid is None:
            return squared.mean()
        weight = batch.valid.to(squared.dtype)
        return (squared * weight).sum() / weight.sum()

    def window_predictions(self, states: Tensor, actions: Tensor, delta_t: Tensor) -> Tensor:
        """Return what the loss compares with the true next states of a window, (..., T, D)."""
        return self.teacher_forced(states, actions, delta_t)

    @property
    def scales(self) -> Scales:
        """Normalization and σ: the model's own, or those of the first module that has them."""
        for module in self.modules():
            if isinstance(module, Scales):
                return module
        raise AttributeError(f"{type(self).__name__} has no Scales")

    @property
    def rate_scale(self) -> Tensor:
        """Typical rate of change σ per dimension, (D,) [unit/s]."""
        return self.scales.rate_scale

    def fit_scales(self, transitions: Transitions) -> None:
        """Fit input normalization and σ on the training split, (N, ...) transitions."""
        for module in self.modules():
            if isinstance(module, Scales):
                module.fit(transitions)
            elif isinstance(module, ActionEncoder):
                module.fit(transitions.action)

    def parameter_groups(self) -> list[ParameterGroup]:
        """How the optimizer treats the parameters; each belongs to the first group that names it, or to none."""
        return [ParameterGroup()]

    def learners(self) -> "list[DynamicsModel]":
        """The models that are trained, each on batches of its own: this one, or the members of an ensemble."""
        return [self]

    def structure(self) -> tuple:
        """Return a key that two models share if they can be stacked: class, options, sizes, precision."""
        tensors = tuple((name, tuple(x.shape), x.dtype) for name, x in self.state_dict().items())
        own = type(self)
        options = tuple((name, x) for name, x in asdict(self.options).items() if name not in self.mixes)
        return (own.__module__, own.__qualname__, self.spec, options, *tensors)

    def stack_limit(self, device: str) -> int:
        """Most models that are worth training as one program on a type of device, "cpu" or "cuda"."""
        if not self.stacks:
            return 1
        if device != "cpu":
            return DEVICE_STACK
        return 1 if sum(parameter.numel() for parameter in self.parameters()) >= WIDE else CPU_STACK

    # --- describing -------------------------------------------------------------------------------------------------

    @property
    def record(self) -> Record:
        """What the checkpoint says about this model: env, arm, seed, delta_t_support [s], metrics; empty if none."""
        return self._record

    @property
    def config(self) -> Record:
        """The record, by the name of the first edition."""
        return self._record

    def broadcast(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None) -> tuple[Tensor, Tensor, Tensor]:
        """Give all inputs one batch shape and delta_t the precision of the state: (..., D), (..., A), (...).

        Raises:
            TypeError: If the state holds whole numbers, in whose precision an interval would be 0.
        """
        require_real(state)
        if delta_t is None:
            delta_t = self.train_delta_t
        if isinstance(delta_t, Tensor):
            step = delta_t.to(state)
        else:
            step = torch.tensor(delta_t, dtype=state.dtype, device=state.device)
        if state.shape[:-1] == action.shape[:-1] == step.shape:
            return state, action, step  # the common case, without the cost of finding out
        shape = np.broadcast_shapes(state.shape[:-1], action.shape[:-1], step.shape)
        return state.expand(*shape, state.shape[-1]), action.expand(*shape, action.shape[-1]), step.expand(shape)


def describe(model: DynamicsModel, values: Mapping[str, object]) -> DynamicsModel:
    """Give a model its record and return it."""
    model._record = Record(values)
    return model


def step_of(delta_t: Tensor | float | None, t: int) -> Tensor | float | None:
    """Pick the interval of step t from a sequence of them; a single number or None serves every step."""
    return delta_t[..., t] if isinstance(delta_t, Tensor) and delta_t.ndim > 0 else delta_t
