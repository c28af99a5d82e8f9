"""How a Markov model is trained: on single intervals, or on windows that it runs through from their first state."""

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from tdlib.core.context import Batch
from tdlib.models.contract import DynamicsModel, Needs, ParameterGroup
from tdlib.models.options import NetworkOptions

TRAJECTORIES = ("matching", "shooting")
WINDOW = 8  # intervals; the founding documents' K is from 5 to 10


@dataclass(frozen=True)
class TrajectoryOptions(NetworkOptions):
    """Options of a Markov model.

    Args:
        trajectory: `matching` (trained on single intervals) or `shooting` (on windows).
        window: Intervals K of a window.
    """

    trajectory: str = "matching"
    window: int = WINDOW

    def __post_init__(self):
        super().__post_init__()
        if self.trajectory not in TRAJECTORIES:
            raise ValueError(f"trajectory must be one of {list(TRAJECTORIES)}, got {self.trajectory!r}")
        if self.window < 2:
            raise ValueError(f"window must be at least 2 intervals, got {self.window}")


class TrajectoryShootingModel(DynamicsModel):
    """The same step, trained on whole windows: errors after 1, 2, ... K intervals from one start all count.

    The input is embedded anew at every interval, and the gradient goes back through all of them. Beyond its loss it is
    the one-interval model: what that one has (a field, a solver, an encoder) is found here too.

    Args:
        matching: The one-interval model that is trained.
        window: Intervals K of a window.
    """

    def __init__(self, matching: DynamicsModel, window: int = WINDOW):
        super().__init__(matching.spec, matching.options, own_scales=False)
        self.matching = matching
        self.needs = Needs(window=window)
        self.stacks, self.mixes = matching.stacks, matching.mixes

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("matching"), name)

    def forward(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        return self.matching(state, action, delta_t)

    def penalty(self, batch: Batch) -> Tensor | None:
        return self.matching.penalty(batch)

    def parameter_groups(self) -> list[ParameterGroup]:
        own = self.matching.parameter_groups()
        return [replace(group, prefixes=tuple(f"matching.{name}" for name in group.prefixes)) for group in own]

    def window_predictions(self, states: Tensor, actions: Tensor, delta_t: Tensor) -> Tensor:
        """Return what training compares with the true next states: (..., K, D), from the first state alone."""
        return self.predict_sequence(states[..., 0, :], actions, delta_t)

    def structure(self) -> tuple:
        return (*super().structure(), self.needs.window, *self.matching.structure())


def in_trajectory(model: DynamicsModel, options: TrajectoryOptions) -> DynamicsModel:
    """Return the model as it is to be trained: itself, or one that trains it on windows."""
    return model if options.trajectory == "matching" else TrajectoryShootingModel(model, options.window)
