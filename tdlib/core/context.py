"""What goes into a dynamics model and comes out of it, beside single states: steps before, training data, predictions.

All are pytrees (`tdlib.speed.pytrees` registers them), so that `torch.func.vmap` maps them; absent parts are None.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor


class Parts:
    """A group of tensors of which some may be absent."""

    def map(self, function: Callable[[Tensor], Tensor]) -> Self:
        """Apply a function to every tensor there is."""
        return type(self)(**{name: None if x is None else function(x) for name, x in vars(self).items()})

    @classmethod
    def joined(cls, groups: Sequence[Self], function: Callable[[list[Tensor]], Tensor]) -> Self:
        """Join several groups part by part, as `torch.stack` does; a part is there if the first group has it."""
        columns = {name: [getattr(group, name) for group in groups] for name in vars(groups[0])}
        return cls(**{name: None if column[0] is None else function(column) for name, column in columns.items()})


@dataclass(frozen=True)
class Context(Parts):
    """The C steps that precede a state, oldest first; models with memory read it, Markov models do not.

    Args:
        states: (..., C, D) physical states before each step.
        actions: (..., C, A) inputs held over each step.
        delta_t: (..., C) interval of each step [s].
        mask: (..., C) whether the step exists; what a model remembers starts after the last False.
        observations: (..., C, O) what a sensor saw before each step.
        parameters: (..., P) parameters of the system, for models that may see them.
        images: (..., C, 3, H, W) what a camera saw before each step, in [0, 1]; of a gray one (..., C, 1, H, W).
    """

    states: Tensor
    actions: Tensor
    delta_t: Tensor
    mask: Tensor
    observations: Tensor | None = None
    parameters: Tensor | None = None
    images: Tensor | None = None

    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return (states, actions, delta_t, mask)."""
        return self.states, self.actions, self.delta_t, self.mask

    @property
    def known(self) -> Tensor:
        """Which steps come after the last that does not exist: (..., C) bool."""
        return self.mask.flip(-1).long().cumprod(dim=-1).flip(-1).bool()

    @staticmethod
    def empty(state: Tensor, action: Tensor) -> "Context":
        """No steps before states (..., D) at which actions (..., A) are taken."""
        none = state.unsqueeze(-2)[..., :0, :]
        delta_t = none[..., 0]
        return Context(none, action.unsqueeze(-2)[..., :0, :], delta_t, torch.empty_like(delta_t, dtype=torch.bool))


@dataclass(frozen=True)
class Prediction(Parts):
    """What a model predicts for the end of an interval, in physical units.

    Args:
        state: (..., D) mean; of a model that predicts images alone D is 0 here.
        variance: (..., D) of the state, where the model has one [unit²].
        image: (..., C, H, W) what a camera would see, in [0, 1].
        energy: (...) of the state.
    """

    state: Tensor
    variance: Tensor | None = None
    image: Tensor | None = None
    energy: Tensor | None = None

    @staticmethod
    def stack(predictions: "Sequence[Prediction]") -> "Prediction":
        """Join the predictions after T steps: (..., D) each -> (..., T, D), other parts alike."""
        axis = predictions[0].state.ndim - 1
        columns = ([getattr(p, field.name) for p in predictions] for field in fields(Prediction))
        return Prediction(*(None if column[0] is None else torch.stack(column, dim=axis) for column in columns))


@dataclass(frozen=True)
class Batch(Parts):
    """Training data of one model: single transitions (B, ...), or windows of T steps in a row (B, T, ...).

    Args:
        state: (..., D) physical state at the start of each interval.
        action: (..., A) input or index held over it.
        next_state: (..., D) state at its end; angles continue from `state`.
        delta_t: (...) interval [s].
        valid: (...) which steps count; None counts all.
        unit: (D,) what errors are divided by; None is Δt·σ, the typical change of the interval.
        noise: (..., N) standard normal numbers, as many per step as the model needs; it may not draw its own.
        observation: (..., O) what a sensor sees at the start.
        next_observation: (..., O) what it sees at the end.
        parameters: (..., P) parameters of the system.
        images: (..., T + 1, 3, H, W) what a camera sees at the start of each step and at the last one's end, in [0, 1];
            of single transitions (..., 2, 3, H, W).
    """

    state: Tensor
    action: Tensor
    next_state: Tensor
    delta_t: Tensor
    valid: Tensor | None = None
    unit: Tensor | None = None
    noise: Tensor | None = None
    observation: Tensor | None = None
    next_observation: Tensor | None = None
    parameters: Tensor | None = None
    images: Tensor | None = None
