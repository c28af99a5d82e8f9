"""What a dynamics model must know about an environment: names, units, angles, actions, limits."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class EnvironmentSpec:
    """Sizes, names and units of one environment's physical state and action.

    Args:
        name: Key in `tdlib.envs.SYSTEMS`, for example `Pendulum-v1`.
        state_names: One name per state dimension, in storage order.
        state_units: One unit per state dimension.
        angle_dims: Indices of the dimensions that are angles [rad]; networks see them as (cos, sin) only.
        position_dims: Indices of the generalized positions, paired in order with `velocity_dims`.
        velocity_dims: Indices of their time derivatives.
        action_name: Name of the single held input.
        action_unit: Its unit.
        action_low: Smallest physical input.
        action_high: Largest physical input.
        num_actions: Number of discrete actions; None if the action is a number in [action_low, action_high].
        reward_delta_t: Time that one unit of Gymnasium's reward stands for [s].
        time_limit: Episode length [s].
    """

    name: str
    state_names: tuple[str, ...]
    state_units: tuple[str, ...]
    angle_dims: tuple[int, ...]
    position_dims: tuple[int, ...]
    velocity_dims: tuple[int, ...]
    action_name: str
    action_unit: str
    action_low: float
    action_high: float
    num_actions: int | None
    reward_delta_t: float
    time_limit: float = 10.0

    @property
    def state_dim(self) -> int:
        """Number of state dimensions D."""
        return len(self.state_names)

    @property
    def action_dim(self) -> int:
        """Number of action dimensions A; a discrete action is one number, its index."""
        return 1

    @property
    def discrete(self) -> bool:
        """Whether actions are indices 0 .. num_actions - 1."""
        return self.num_actions is not None

    @property
    def feature_dim(self) -> int:
        """Number of network inputs that encode the state: an angle takes two."""
        return self.state_dim + len(self.angle_dims)

    @property
    def folder(self) -> str:
        """Name of this environment's folder, for example `Pendulum_v1`."""
        return self.name.replace("-", "_")


def wrap_angle(angle: Tensor) -> Tensor:
    """Map angles [rad] to (-pi, pi]."""
    return -torch.remainder(torch.pi - angle, 2 * torch.pi) + torch.pi


def wrap_state(state: Tensor, spec: EnvironmentSpec) -> Tensor:
    """Wrap the angle dimensions of a state or of a difference of states to (-pi, pi]: (..., D) -> (..., D)."""
    if not spec.angle_dims:
        return state
    columns = [
        wrap_angle(column) if i in spec.angle_dims else column for i, column in enumerate(state.unbind(dim=-1))
    ]
    return torch.stack(columns, dim=-1)


def state_difference(state: Tensor, other: Tensor, spec: EnvironmentSpec) -> Tensor:
    """Return state - other with angle differences wrapped: (..., D), (..., D) -> (..., D)."""
    return wrap_state(state - other, spec)


def state_features(state: Tensor, spec: EnvironmentSpec) -> Tensor:
    """Encode a state for a network, each angle as (cos, sin) in place: (..., D) -> (..., F)."""
    columns = []
    for i, column in enumerate(state.unbind(dim=-1)):
        columns += [column.cos(), column.sin()] if i in spec.angle_dims else [column]
    return torch.stack(columns, dim=-1)
