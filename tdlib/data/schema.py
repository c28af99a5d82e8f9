"""What a set of transitions holds: fields, shapes, units, and the rules that every set obeys.

One row is one control interval under a zero-order hold. Rows of one episode are contiguous and in order of time;
episode e owns rows `episode_offsets[e]` to `episode_offsets[e + 1]`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from tdlib.core.specs import EnvironmentSpec, wrap_angle
from tdlib.core.time_grid import TOLERANCE, delta_t_of
from tdlib.core.transitions import Transitions

SCHEMA_VERSION = 1
PARAMETERS = "parameters"
FROM_ZERO: Any = None  # numbers that a set gives its episodes itself
KINDS = ("episodes", "branched")  # branched: the rows of one "episode" share a start and differ in delta_t

FIELDS: dict[str, tuple[str, str]] = {  # name -> (dtype on disk, meaning)
    "observation": ("float32", "what the policy saw at the start of the interval, (N, O)"),
    "state": ("float64", "physical state at the start, angles in (-pi, pi], (N, D)"),
    "action": ("float64", "input held over the interval: physical value, or index of a discrete action, (N, A)"),
    "reward": ("float64", "Gymnasium's reward integrated over the interval until exit, (N,)"),
    "next_state": ("float64", "flow over the whole interval, angles continue from `state`, (N, D)"),
    "terminated": ("bool", "whether the state left its limits inside the interval, (N,)"),
    "truncated": ("bool", "whether the episode was cut here by its time limit or by the end of collection, (N,)"),
    "exit_time": ("float64", "time after the start at which the limits were left [s], inf if they were not, (N,)"),
    "limit_hit": ("bool", "whether the speed limit was touched inside the interval, (N,)"),
    "t": ("float64", "time since the start of the episode [s], (N,)"),
    "delta_t": ("float64", "length of the interval [s], (N,)"),
}


class DatasetError(ValueError):
    """A data set breaks a rule; the message names the argument, the rule and what was found."""


class RateError(DatasetError):
    """A data set has another rate than the one asked for."""


@dataclass(frozen=True)
class TransitionDataset:
    """Transitions of whole episodes, with what is needed to use and to trace them.

    Args:
        observation, state, action, reward, next_state, terminated, truncated, exit_time, limit_hit, t, delta_t:
            Columns as in `FIELDS`, N rows each.
        episode_offsets: (E+1,) first row of every episode, and N.
        spec: Names, units, angles and limits of the environment.
        control_frequency: Rate of every full row [Hz]; None if the interval differs from row to row.
        episode_id: (E,) number of the episode in the set it was first collected in; kept by selections.
        kind: "episodes" (rows follow each other in time) or "branched" (rows of a group share their start).
        attributes: Origin as plain strings and numbers: seed, policy, integrator, versions, settings hash, ...
        parameters: (E, P) parameters of the equation in every episode, in the order of `spec.parameter_names`; None
            where it has none that are drawn.
        extras: Name -> (N, ...) further columns, for example images or what else a log holds at the start of a row.
    """

    observation: np.ndarray
    state: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    next_state: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    exit_time: np.ndarray
    limit_hit: np.ndarray
    t: np.ndarray
    delta_t: np.ndarray
    episode_offsets: np.ndarray
    spec: EnvironmentSpec
    control_frequency: float | None
    episode_id: np.ndarray = FROM_ZERO
    kind: str = "episodes"
    attributes: Mapping[str, str | int | float] = field(default_factory=dict)
    parameters: np.ndarray | None = None
    extras: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self):
        for name, (dtype, _) in FIELDS.items():
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=dtype))
        object.__setattr__(self, "episode_offsets", np.asarray(self.episode_offsets, dtype=np.int64))
        numbers = np.arange(self.num_episodes) if self.episode_id is FROM_ZERO else self.episode_id
        object.__setattr__(self, "episode_id", np.asarray(numbers, dtype=np.int64))
        if self.parameters is not None:
            object.__setattr__(self, "parameters", np.asarray(self.parameters, dtype=np.float64))
        object.__setattr__(self, "extras", {name: np.asarray(column) for name, column in self.extras.items()})

    @classmethod
    def from_episodes(
        cls,
        episodes: Sequence[Mapping[str, np.ndarray]],
        spec: EnvironmentSpec,
        control_frequency: float | None,
        attributes: Mapping[str, str | int | float],
    ) -> "TransitionDataset":
        """Join episodes in order: each has the columns of `FIELDS`, (P,) `parameters` if any, and what else is kept."""
        extras = [name for name in episodes[0] if name not in FIELDS and name != PARAMETERS]

        def joined(name: str) -> np.ndarray:
            parts = [episode[name] for episode in episodes]
            return parts[0] if len(parts) == 1 else np.concatenate(parts)  # a long log is not held twice

        columns: dict[str, Any] = {name: joined(name) for name in FIELDS}
        return cls(
            **columns,
            episode_offsets=np.concatenate([[0], np.cumsum([len(episode["t"]) for episode in episodes])]),
            spec=spec,
            control_frequency=control_frequency,
            attributes=attributes,
            parameters=np.stack([e[PARAMETERS] for e in episodes]) if PARAMETERS in episodes[0] else None,
            extras={name: joined(name) for name in extras},
        )

    def __len__(self) -> int:
        return len(self.delta_t)

    @property
    def num_episodes(self) -> int:
        """Number of episodes E."""
        return len(self.episode_offsets) - 1

    @property
    def episode_lengths(self) -> np.ndarray:
        """Rows of every episode, (E,)."""
        return np.diff(self.episode_offsets)

    @property
    def row_parameters(self) -> np.ndarray | None:
        """Parameters of the episode of every row, (N, P); None if there are none."""
        return None if self.parameters is None else np.repeat(self.parameters, self.episode_lengths, axis=0)

    @property
    def episode_returns(self) -> np.ndarray:
        """Undiscounted sum of rewards of every episode, (E,)."""
        return np.add.reduceat(self.reward, self.episode_offsets[:-1])

    @property
    def episode_complete(self) -> np.ndarray:
        """Whether an episode ran to its own end and was not cut by the end of collection, (E,) bool."""
        last = self.episode_offsets[1:] - 1
        limit = float(self.attributes.get("time_limit", self.spec.time_limit))
        another_fits = self.t[last] + 2 * self.delta_t[last] <= limit * (1 + TOLERANCE)
        return self.terminated[last] | ~another_fits

    @property
    def seconds(self) -> float:
        """Physical time that the rows cover [s]."""
        return float(self.delta_t.sum())

    @property
    def full_length(self) -> np.ndarray:
        """Whether a row lasted the whole control interval, (N,) bool; rows cut short are not for training."""
        if self.control_frequency is None:
            return np.ones(len(self), dtype=bool)
        return np.abs(self.delta_t - delta_t_of(self.control_frequency)) <= TOLERANCE * self.delta_t

    @property
    def num_cut_short(self) -> int:
        """Rows that `transitions` leaves out."""
        return int((~self.full_length).sum())

    def episode(self, index: int) -> slice:
        """Return the rows of one episode."""
        return slice(int(self.episode_offsets[index]), int(self.episode_offsets[index + 1]))

    def transitions(self, dtype: torch.dtype = torch.float64) -> Transitions:
        """Return all rows of full length as tensors; `num_cut_short` rows are left out."""
        return self.transitions_with_offsets(dtype)[0]

    def transitions_with_offsets(self, dtype: torch.dtype = torch.float64) -> tuple[Transitions, np.ndarray]:
        """Return rows of full length with the offsets (E+1,) of their episodes, for windows that stay inside one."""
        keep = self.full_length
        columns = (self.state, self.action, self.next_state, self.delta_t, self.row_parameters)
        kept_before = np.concatenate([[0], np.cumsum(keep)])
        rows = (None if c is None else torch.from_numpy(np.ascontiguousarray(c[keep])).to(dtype) for c in columns)
        return Transitions(*rows), kept_before[self.episode_offsets]

    def select_episodes(self, index: Sequence[int] | np.ndarray) -> "TransitionDataset":
        """Return a set of the episodes with these numbers, in the order given."""
        index = np.asarray(index, dtype=np.int64)
        if len(index) and (index.min() < 0 or index.max() >= self.num_episodes):
            raise DatasetError(f"index must be in 0 .. {self.num_episodes - 1}, got {index.min()} .. {index.max()}")
        parts = [np.arange(self.episode_offsets[i], self.episode_offsets[i + 1]) for i in index]
        rows = np.concatenate([np.zeros(0, dtype=np.int64), *parts])
        return replace(
            self.select_rows(rows),
            episode_offsets=np.concatenate([[0], np.cumsum(self.episode_lengths[index])]),
            episode_id=self.episode_id[index],
            parameters=None if self.parameters is None else self.parameters[index],
        )

    def select_rows(self, rows: np.ndarray | slice) -> "TransitionDataset":
        """Return a set of these rows; the caller says anew where its episodes begin."""
        extras = {name: column[rows] for name, column in self.extras.items()}
        return replace(self, **{name: getattr(self, name)[rows] for name in FIELDS}, extras=extras)

    def joined_with(self, other: "TransitionDataset") -> "TransitionDataset":
        """Return the episodes of this set and then another's, numbered anew; attributes stay those of this one.

        Raises:
            DatasetError: If the sets differ in spec, rate, kind, or in the columns and parameters that they have.
        """
        for name in ("spec", "control_frequency", "kind"):
            if getattr(self, name) != getattr(other, name):
                raise DatasetError(f"other must have this set's {name}, got {getattr(other, name)!r}")
        if set(self.extras) != set(other.extras) or (self.parameters is None) != (other.parameters is None):
            raise DatasetError(f"other must have the columns {sorted(self.extras)} and parameters as this set has them")
        both: dict[str, Any] = {name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in FIELDS}
        return replace(
            self,
            **both,
            episode_offsets=np.concatenate([self.episode_offsets, len(self) + other.episode_offsets[1:]]),
            episode_id=np.arange(self.num_episodes + other.num_episodes),
            parameters=None if self.parameters is None else np.concatenate([self.parameters, other.parameters]),
            extras={name: np.concatenate([column, other.extras[name]]) for name, column in self.extras.items()},
        )

    def with_attributes(self, **attributes: str | int | float) -> "TransitionDataset":
        """Return the same rows with more attributes."""
        return replace(self, attributes={**self.attributes, **attributes})


def continue_angles(state: np.ndarray, next_state: np.ndarray, spec: EnvironmentSpec) -> tuple[np.ndarray, np.ndarray]:
    """Wrap the angles of `state` (N, D) to (-pi, pi] and shift `next_state` by the same multiples of 2 pi."""
    state, next_state = np.array(state, dtype=np.float64), np.array(next_state, dtype=np.float64)
    for i in spec.angle_dims:
        turns = np.round((wrap_angle(torch.from_numpy(state[:, i])).numpy() - state[:, i]) / (2 * math.pi))
        state[:, i] += 2 * math.pi * turns
        next_state[:, i] += 2 * math.pi * turns
    return state, next_state


def check_dataset(dataset: TransitionDataset, name: str = "dataset") -> TransitionDataset:
    """Return the set if its shapes, order and numbers obey the schema.

    Raises:
        DatasetError: If they do not.
    """
    num_rows, spec = len(dataset), dataset.spec
    shapes = {"state": (spec.state_dim,), "next_state": (spec.state_dim,), "action": (spec.action_dim,)}
    for column in FIELDS:
        values = getattr(dataset, column)
        expected = (num_rows, *(values.shape[1:] if column == "observation" else shapes.get(column, ())))
        if values.shape != expected:
            raise DatasetError(f"{name}: {column} must have shape {expected}, got {values.shape}")
        finite = ~np.isnan(values) if column == "exit_time" else np.isfinite(values)
        if not finite.all():
            row = int(np.argwhere(~finite)[0][0])
            raise DatasetError(f"{name}: {column} must be finite, got {values[row]} in row {row}")
    offsets = dataset.episode_offsets
    if len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != num_rows or (np.diff(offsets) <= 0).any():
        found = f"{offsets[:3]} ... {offsets[-1:]}"
        raise DatasetError(f"{name}: episode_offsets must rise from 0 to {num_rows} rows, got {found}")
    if len(dataset.episode_id) != dataset.num_episodes:
        count = len(dataset.episode_id)
        raise DatasetError(f"{name}: episode_id must number {dataset.num_episodes} episodes, got {count}")
    wanted = (dataset.num_episodes, len(spec.parameter_names)) if spec.parameter_names else None
    shape = None if dataset.parameters is None else dataset.parameters.shape
    if shape != wanted:
        raise DatasetError(f"{name}: parameters {spec.parameter_names} must have shape {wanted}, got {shape}")
    if dataset.parameters is not None and not np.isfinite(dataset.parameters).all():
        raise DatasetError(f"{name}: parameters must be finite, got {dataset.parameters.min(0)}")
    for column, values in dataset.extras.items():
        if len(values) != num_rows or not column.isidentifier() or column in FIELDS:
            rule = f"must have a name of its own and {num_rows} rows"
            raise DatasetError(f"{name}: extra column {column!r} {rule}, got shape {values.shape}")
    if dataset.kind not in KINDS:
        raise DatasetError(f"{name}: kind must be one of {KINDS}, got {dataset.kind!r}")
    if (dataset.delta_t <= 0).any():
        raise DatasetError(f"{name}: delta_t must be positive [s], got {dataset.delta_t.min()}")
    for i in spec.angle_dims:
        if np.abs(dataset.state[:, i]).max() > math.pi * (1 + 1e-12):
            raise DatasetError(
                f"{name}: state {spec.state_names[i]} must be wrapped to (-pi, pi], "
                f"got {np.abs(dataset.state[:, i]).max()}; use continue_angles"
            )
    if dataset.control_frequency is not None:
        longest = delta_t_of(dataset.control_frequency)
        if dataset.delta_t.max() > longest * (1 + TOLERANCE):
            raise RateError(
                f"{name}: delta_t must be at most {longest:.6g} s at control_frequency "
                f"{dataset.control_frequency:g} Hz, got {dataset.delta_t.max():.6g} s"
            )
        if dataset.num_cut_short > dataset.num_episodes:
            raise RateError(
                f"{name}: delta_t must be {longest:.6g} s ({dataset.control_frequency:g} Hz) except for the last row "
                f"of an episode, got {dataset.num_cut_short} shorter rows in {dataset.num_episodes} episodes"
            )
    return dataset
