"""What a dynamics model must know about an environment: names, units, angles, inputs, actions, limits."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tdlib.core.facts import env_folder


@dataclass(frozen=True)
class EnvironmentSpec:
    """Sizes, names and units of one environment's physical state and of the m inputs that are held over an interval.

    An action is the inputs themselves, or the index of a row of `action_table`.

    Args:
        name: Key in `tdlib.envs.SYSTEMS`, for example `Pendulum-v1`; any name for a log without a system.
        state_names: One name per state dimension, in storage order.
        state_units: One unit per state dimension.
        angle_dims: Indices of the dimensions that are angles [rad]; networks see them as (cos, sin) only.
        position_dims: Indices of the generalized positions, paired in order with `velocity_dims`; empty if none.
        velocity_dims: Indices of their time derivatives.
        input_names: One name per physical input.
        input_units: One unit per input.
        input_low: Smallest value of each input.
        input_high: Largest value of each input.
        action_table: (n, m) inputs of n discrete actions; None if the action is the inputs.
        reward_delta_t: Time that one unit of Gymnasium's reward stands for [s].
        time_limit: Episode length [s].
        parameter_names: Parameters of the equation that may differ from sequence to sequence.
        observation_names: What a sensor shows; empty if it shows the state.
        observation_units: One unit per observation.

    Raises:
        ValueError: If numbers of names, units, limits or dimensions do not fit each other.
    """

    name: str
    state_names: tuple[str, ...]
    state_units: tuple[str, ...]
    angle_dims: tuple[int, ...]
    position_dims: tuple[int, ...]
    velocity_dims: tuple[int, ...]
    input_names: tuple[str, ...]
    input_units: tuple[str, ...]
    input_low: tuple[float, ...]
    input_high: tuple[float, ...]
    action_table: tuple[tuple[float, ...], ...] | None = None
    reward_delta_t: float = 1.0
    time_limit: float = 10.0
    parameter_names: tuple[str, ...] = ()
    observation_names: tuple[str, ...] = ()
    observation_units: tuple[str, ...] = ()

    def __post_init__(self):
        num_inputs = len(self.input_names)
        for name, count in (
            ("state_units", self.state_dim),
            ("input_units", num_inputs),
            ("input_low", num_inputs),
            ("input_high", num_inputs),
            ("velocity_dims", len(self.position_dims)),
            ("observation_units", len(self.observation_names)),
        ):
            if len(getattr(self, name)) != count:
                raise ValueError(f"{name} of {self.name} must have {count} entries, got {getattr(self, name)}")
        for name in ("angle_dims", "position_dims", "velocity_dims"):
            dims = getattr(self, name)
            if any(not 0 <= i < self.state_dim for i in dims):
                raise ValueError(f"{name} of {self.name} must be in 0 .. {self.state_dim - 1}, got {dims}")
        for low, high in zip(self.input_low, self.input_high, strict=True):
            if not low <= high:
                raise ValueError(f"input_low of {self.name} must not lie above input_high, got {low} and {high}")
        table = self.action_table
        if table is not None and (not table or any(len(row) != num_inputs for row in table)):
            raise ValueError(f"action_table of {self.name} must have rows of {num_inputs} inputs, got {table}")

    @property
    def state_dim(self) -> int:
        """Number of state dimensions D."""
        return len(self.state_names)

    @property
    def input_dim(self) -> int:
        """Number of physical inputs m."""
        return len(self.input_names)

    @property
    def action_dim(self) -> int:
        """Number of action dimensions A: m, or 1 for the index of a discrete action."""
        return 1 if self.discrete else self.input_dim

    @property
    def num_actions(self) -> int | None:
        """Number of discrete actions n; None if the action is the inputs."""
        return None if self.action_table is None else len(self.action_table)

    @property
    def discrete(self) -> bool:
        """Whether actions are indices 0 .. num_actions - 1."""
        return self.action_table is not None

    @property
    def feature_dim(self) -> int:
        """Number of network inputs that encode the state: an angle takes two."""
        return self.state_dim + len(self.angle_dims)

    @property
    def folder(self) -> str:
        """Name of this environment's folder, for example `Pendulum_v1`."""
        return env_folder(self.name)

    def held_input(self, action: Tensor) -> Tensor:
        """Turn actions into the physical inputs that are held: (..., A) -> (..., m).

        An index looks its row of the table up; inputs are clipped to their range.
        """
        if self.action_table is not None:
            dtype = action.dtype if action.is_floating_point() else torch.float64
            table = torch.tensor(self.action_table, dtype=dtype, device=action.device)
            return table[action[..., 0].long()]
        low, high = (shared_bound(x, action) for x in (self.input_low, self.input_high))
        return action.clamp(low, high)

    def held_numbers(self, action: float | Sequence[float]) -> tuple[float, ...]:
        """Do as `held_input` does for plain numbers: a number, or a sequence of A of them -> m numbers.

        Raises:
            ValueError: If there are not A numbers, or there is no action of this index.
        """
        numbers = action if isinstance(action, Sequence) else (action,)
        if len(numbers) != self.action_dim:
            raise ValueError(f"action of {self.name} must be {self.action_dim} numbers, got {action!r}")
        if self.action_table is None:
            return tuple(
                [min(max(x, low), high) for x, low, high in zip(numbers, self.input_low, self.input_high, strict=True)]
            )
        index = int(numbers[0])
        if not 0 <= index < len(self.action_table):
            raise ValueError(f"action of {self.name} must be in 0 .. {len(self.action_table) - 1}, got {action!r}")
        return self.action_table[index]

    def nearest_action(self, inputs: Tensor) -> Tensor:
        """Return the index of the table's row nearest to wanted inputs, in units of their range: (..., m) -> (..., 1).

        Of two equally near the first counts.
        """
        low, high, table = (
            torch.tensor(x, dtype=inputs.dtype) for x in (self.input_low, self.input_high, self.action_table)
        )
        distance = ((inputs.unsqueeze(-2) - table) / (high - low).clamp(min=1e-12)).square().sum(dim=-1)
        return distance.argmin(dim=-1, keepdim=True).to(inputs.dtype)


def random_actions(spec: EnvironmentSpec, count: int, generator: torch.Generator) -> Tensor:
    """Draw actions uniformly, inputs over their ranges or indices of the table: (N, A) float64."""
    return uniform_actions(spec, torch.rand(count, spec.action_dim, dtype=torch.float64, generator=generator))


def uniform_actions(spec: EnvironmentSpec, unit: Tensor) -> Tensor:
    """Turn numbers in [0, 1) into actions spread over the inputs' ranges or the table: (..., A) -> (..., A)."""
    if spec.discrete:
        return (unit * spec.num_actions).floor()
    low, high = (torch.tensor(x, dtype=torch.float64) for x in (spec.input_low, spec.input_high))
    return low + (high - low) * unit


def least_action(spec: EnvironmentSpec) -> Tensor:
    """Return the action (A,) float64 whose input is least: none, or of a table the first of the smallest."""
    if spec.action_table is None:
        return torch.zeros(spec.action_dim, dtype=torch.float64)
    every = torch.arange(len(spec.action_table), dtype=torch.float64).unsqueeze(-1)
    return every[spec.held_input(every).norm(dim=-1).argmin()]


def shared_bound(values: tuple[float, ...], like: Tensor) -> float | Tensor:
    """Return bounds (m,) as a tensor, or as one number where all inputs share it, which is the faster call."""
    return values[0] if len(set(values)) == 1 else torch.tensor(values, dtype=like.dtype, device=like.device)


def spec_values(spec: EnvironmentSpec) -> dict[str, object]:
    """Return a specification as plain values for JSON and YAML; `spec_from_values` reads them."""
    return {name: _lists(value) for name, value in dataclasses.asdict(spec).items()}


def spec_from_values(values: Mapping[str, Any]) -> EnvironmentSpec:
    """Rebuild a stored specification, also one of the first edition, whose single input had fields of its own.

    Raises:
        ValueError: If a field is missing, unknown, or does not fit the others.
    """
    values = dict(values)
    if "action_name" in values:
        low, high, count = (values.pop(name) for name in ("action_low", "action_high", "num_actions"))
        values |= {"input_names": [values.pop("action_name")], "input_units": [values.pop("action_unit")]}
        values |= {"input_low": [low], "input_high": [high]}
        if count is not None:  # discrete actions were spread evenly between the limits
            values["action_table"] = [[low + (high - low) * i / (count - 1)] for i in range(count)]
    fields = {field.name: field for field in dataclasses.fields(EnvironmentSpec)}
    needed = {name for name, field in fields.items() if field.default is dataclasses.MISSING}
    if not needed <= set(values) <= set(fields):
        found = f"missing {sorted(needed - set(values))}, unknown {sorted(set(values) - set(fields))}"
        raise ValueError(f"values of a specification must be among {list(fields)}: {found}")
    return EnvironmentSpec(**{name: _tuples(value) for name, value in values.items()})


def _lists(value: object) -> object:
    return [_lists(x) for x in value] if isinstance(value, tuple | list) else value


def _tuples(value: Any) -> Any:
    return tuple(_tuples(x) for x in value) if isinstance(value, tuple | list) else value


def require_real(state: Tensor, name: str = "state") -> None:
    """Refuse a tensor of whole numbers, to whose kind an interval in seconds would be rounded.

    Raises:
        TypeError: If it is one.
    """
    if not state.is_floating_point():
        raise TypeError(f"{name} must hold real numbers (float32 or float64), got {state.dtype}; use {name}.double()")


def continued(state: Tensor, start: Tensor, spec: EnvironmentSpec) -> Tensor:
    """Shift the angles of a state by whole turns to where they are nearest to those of its start: (..., D) twice.

    What was not more than half a turn away stays bit for bit.
    """
    if not spec.angle_dims:
        return state
    columns = list(state.unbind(dim=-1))
    for i in spec.angle_dims:
        columns[i] = columns[i] - 2 * torch.pi * ((columns[i] - start[..., i]) / (2 * torch.pi)).round()
    return torch.stack(columns, dim=-1)


def wrap_angle(angle: Tensor) -> Tensor:
    """Map angles [rad] to (-pi, pi]."""
    return -torch.remainder(torch.pi - angle, 2 * torch.pi) + torch.pi


def wrap_state(state: Tensor, spec: EnvironmentSpec) -> Tensor:
    """Wrap the angle dimensions of a state or of a difference of states to (-pi, pi]: (..., D) -> (..., D)."""
    if not spec.angle_dims:
        return state
    columns = [wrap_angle(column) if i in spec.angle_dims else column for i, column in enumerate(state.unbind(dim=-1))]
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
