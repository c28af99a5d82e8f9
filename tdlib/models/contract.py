"""The contract of every dynamics model: physical units in and out, any leading batch shape, Δt per sample."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from tdlib.core.specs import EnvironmentSpec
from tdlib.core.transitions import Transitions
from tdlib.models.encoders import ActionEncoder, Scales
from tdlib.models.options import Options


@dataclass(frozen=True)
class Context:
    """The C true steps that precede a state, oldest first; models with memory read it, Markov models do not.

    Args:
        states: (..., C, D) physical states before each step.
        actions: (..., C, A) inputs held over each step.
        delta_t: (..., C) interval of each step [s].
        mask: (..., C) whether the step exists; the memory starts after the last False.
    """

    states: Tensor
    actions: Tensor
    delta_t: Tensor
    mask: Tensor

    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return (states, actions, delta_t, mask)."""
        return self.states, self.actions, self.delta_t, self.mask


@dataclass(frozen=True)
class Needs:
    """What a training batch must hold for a model.

    Args:
        window: Steps in a row, never across an episode; 1 for single transitions.
    """

    window: int = 1


class DynamicsModel(nn.Module):
    """x(t + Δt) from x(t) and the input held over [t, t + Δt].

    A subclass writes `forward`; models with memory also `predict_sequence`.

    Args:
        spec: State and action sizes and units of the environment.
        options: Of the class's own `Options`; None for the defaults.
        own_scales: Whether to make `scales`; False for a model of modules that bring theirs.
    """

    Options: type[Options] = Options
    needs = Needs()
    branches_on_values = False  # whether its program depends on the numbers it is given, so that it cannot be recorded
    has_memory = False  # whether `predict_sequence` depends on its context
    scales: Scales

    def __init__(self, spec: EnvironmentSpec, options: Options | None = None, *, own_scales: bool = True):
        super().__init__()
        self.spec = spec
        self.options = options = self.Options() if options is None else options
        self.config: dict = {}  # what the checkpoint says about this model
        self.build_options: dict = {}  # what `build_model` was called with
        self.register_buffer("train_delta_t", torch.tensor(float(options.train_delta_t), dtype=torch.float64))
        if own_scales:
            self.scales = Scales(spec)

    @property
    def rate_scale(self) -> Tensor:
        """Typical rate of change σ per dimension, (D,) [unit/s]."""
        return self.scales.rate_scale

    def forward(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        """Predict the state `delta_t` seconds later.

        Args:
            state: (..., D) physical state.
            action: (..., A) physical input, or index of a discrete action.
            delta_t: (...) interval of each sample [s]; None means `train_delta_t`.

        Returns:
            (..., D) next state; angles continue from `state`, they are not wrapped.
        """
        raise NotImplementedError("forward(state, action, delta_t) -> next_state")

    def predict_sequence(
        self, state: Tensor, actions: Tensor, delta_t: Tensor | float | None = None, context: Context | None = None
    ) -> Tensor:
        """Predict open loop, feeding predictions back.

        Args:
            state: (..., D) start.
            actions: (..., T, A) held inputs.
            delta_t: (..., T) interval of each step [s], one number for all, or None.
            context: True steps before `state`; ignored by Markov models.

        Returns:
            (..., T, D) the states after each action.
        """
        del context
        predictions = []
        for t in range(actions.shape[-2]):
            state = self(state, actions[..., t, :], step_of(delta_t, t))
            predictions.append(state)
        return torch.stack(predictions, dim=-2)

    def fit_scales(self, transitions: Transitions) -> None:
        """Fit input normalization and σ on the training split, (N, ...) transitions."""
        for module in self.modules():
            if isinstance(module, Scales):
                module.fit(transitions)
            elif isinstance(module, ActionEncoder):
                module.fit(transitions.action)

    def structure(self) -> tuple:
        """Return a key that two models share if they can be stacked: class, sizes, precision."""
        tensors = tuple((name, tuple(x.shape), x.dtype) for name, x in self.state_dict().items())
        return (type(self).__name__, self.spec.name, *tensors)

    def broadcast(
        self, state: Tensor, action: Tensor, delta_t: Tensor | float | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Give all inputs one batch shape and delta_t the precision of the state: (..., D), (..., A), (...)."""
        if delta_t is None:
            delta_t = self.train_delta_t
        if isinstance(delta_t, Tensor):
            delta_t = delta_t.to(state)
        else:
            delta_t = torch.tensor(delta_t, dtype=state.dtype, device=state.device)
        if state.shape[:-1] == action.shape[:-1] == delta_t.shape:
            return state, action, delta_t  # the common case, without the cost of finding out
        shape = np.broadcast_shapes(state.shape[:-1], action.shape[:-1], delta_t.shape)
        return state.expand(*shape, state.shape[-1]), action.expand(*shape, action.shape[-1]), delta_t.expand(shape)


def step_of(delta_t: Tensor | float | None, t: int) -> Tensor | float | None:
    """Pick the interval of step t from a sequence of them; a single number or None serves every step."""
    return delta_t[..., t] if isinstance(delta_t, Tensor) and delta_t.ndim > 0 else delta_t
