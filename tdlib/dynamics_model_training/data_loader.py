"""Windows of logs: a history of states and inputs, and the steps after it that are to be predicted.

A window of history H and horizon P is H + P rows of one file, that is H + P − 1 intervals: the last row of the history
and its input lead to the first state that is predicted. No window crosses a file, and files that are too short for
one have none.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from tdlib.core.context import Context
from tdlib.core.specs import EnvironmentSpec
from tdlib.core.transitions import Transitions
from tdlib.data import DatasetError, TransitionDataset, load_dataset, split_episodes
from tdlib.data.sources.csv import import_csv
from tdlib.dynamics_model_training.transforms import Transform, angle_transform, positions_of, shifted
from tdlib.systems import SYSTEMS
from tdlib.training.sampling import window_starts

SHARES = {"train": 0.8, "val": 0.2}  # of the files


@dataclass(frozen=True)
class Windows:
    """N windows in physical units, and what a network makes of them.

    Args:
        states: (N, H, D) of the history, the last of them where predictions start.
        actions: (N, H + P - 1, A) inputs held over every interval of the window.
        delta_t: (N, H + P - 1) intervals [s].
        targets: (N, P, D) states after each of the last P intervals.
        change: (N, D) of the last interval of the history; NaN for a history of one row.
    """

    states: Tensor
    actions: Tensor
    delta_t: Tensor
    targets: Tensor
    change: Tensor

    def query(self) -> tuple[Tensor, Tensor, Tensor, Context]:
        """Return start, inputs and intervals to predict over, and the steps before: what a model is asked."""
        past = self.states.shape[1] - 1
        mask = torch.ones_like(self.delta_t[:, :past], dtype=torch.bool)
        context = Context(self.states[:, :past], self.actions[:, :past], self.delta_t[:, :past], mask)
        return self.states[:, past], self.actions[:, past:], self.delta_t[:, past:], context


@dataclass(frozen=True, eq=False)
class Examples:
    """The windows of one or several data sets; `+` joins those that one model can be trained on.

    Args:
        sets: Data sets, each of episodes that hold a window.
        coordinate_indices: Positions that a network sees relative to the first row of the history.
        history_length: H.
        prediction_horizon: P.
        transform: What a network sees of positions; None for the default, angles as (cos, sin).
    """

    sets: tuple[TransitionDataset, ...]
    coordinate_indices: tuple[int, ...]
    history_length: int
    prediction_horizon: int
    transform: Transform | None = None

    @property
    def window(self) -> int:
        """Intervals of a window."""
        return self.history_length + self.prediction_horizon - 1

    @property
    def spec(self) -> EnvironmentSpec:
        """The physical states."""
        return self.sets[0].spec

    @property
    def angle_indices(self) -> tuple[int, ...]:
        """Which positions are angles."""
        positions = positions_of(self.spec)
        return tuple(positions.index(i) for i in self.spec.angle_dims if i in positions)

    @property
    def network_transform(self) -> Transform:
        """What a network sees of positions, spelled out."""
        return self.transform or angle_transform(self.angle_indices)

    @property
    def model_spec(self) -> EnvironmentSpec:
        """The states that a model is trained on: the physical ones, or those that the transform makes of them."""
        return self.spec if self.transform is None else self.transform.spec(self.spec)

    @property
    def relative(self) -> tuple[int, ...]:
        """State dimensions of `model_spec` that are fed relative to the first row of the history."""
        if self.transform is not None:
            return self.coordinate_indices  # of what the transform returns, which stands first
        return tuple(positions_of(self.spec)[i] for i in self.coordinate_indices)

    @cached_property
    def starts(self) -> tuple[Tensor, ...]:
        """First row of every window, set by set."""
        return tuple(window_starts(torch.from_numpy(x.episode_offsets), self.window)[0] for x in self.sets)

    def __len__(self) -> int:
        return sum(map(len, self.starts))

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index must be in 0 .. {len(self) - 1}, got {index}")
        found = self.windows([index % len(self)])
        see = self.network_transform
        history, targets = (see.features(x[0], self.spec) for x in (found.states, found.targets))
        columns = self.coordinate_indices
        if self.transform is None:
            columns = shifted(columns, self.angle_indices)
        history[:, list(columns)] -= history[:1, list(columns)].clone()
        past = self.history_length
        return {
            "history": torch.cat([history, found.actions[0, :past]], dim=-1),
            "actions": found.actions[0, past - 1 :],
            "targets": targets,
            "delta_t": found.delta_t[0, past - 1 :],
        }

    def __add__(self, other: "Examples") -> "Examples":
        for name, own, others in (
            ("history_length", self.history_length, other.history_length),
            ("prediction_horizon", self.prediction_horizon, other.prediction_horizon),
            ("number of states", self.spec.state_dim, other.spec.state_dim),
            ("number of inputs", self.spec.action_dim, other.spec.action_dim),
            ("angle_indices", self.angle_indices, other.angle_indices),
            ("coordinate_indices", self.coordinate_indices, other.coordinate_indices),
            ("units of states, since one normalizer serves both", self.spec.state_units, other.spec.state_units),
            ("transform_fn", self.transform, other.transform),
        ):
            if own != others:
                raise ValueError(f"examples must have the same {name} to be combined, got {own} and {others}")
        return dataclasses.replace(self, sets=(*self.sets, *other.sets))

    def windows(self, chosen: Iterable[int], dtype: torch.dtype = torch.float32) -> Windows:
        """Gather windows by number."""
        chosen, parts, first = np.asarray(list(chosen), dtype=np.int64), [], 0
        for dataset, starts in zip(self.sets, self.starts, strict=True):
            own = chosen[(first <= chosen) & (chosen < first + len(starts))] - first
            rows = starts.numpy()[own][:, None] + np.arange(self.window)  # (n, H + P - 1)
            last = self.history_length - 1
            before = rows[:, last - 1]
            change = dataset.next_state[before] - dataset.state[before]
            columns = (
                dataset.state[rows[:, : last + 1]],
                dataset.action[rows],
                dataset.delta_t[rows],
                dataset.next_state[rows[:, last:]],
                change if last else np.full_like(change, np.nan),
            )
            parts.append([torch.from_numpy(column).to(dtype) for column in columns])
            first += len(starts)
        return Windows(*(torch.cat(column) for column in zip(*parts, strict=True)))

    def split(self, seed: int) -> tuple["Examples", "Examples"]:
        """Divide by file, 80/20: examples to train on and held-out ones.

        Raises:
            DatasetError: If a set has fewer than two files that hold a window.
        """
        parts = [split_episodes(dataset, seed, SHARES) for dataset in self.sets]
        train, val = (dataclasses.replace(self, sets=tuple(part[name] for part in parts)) for name in SHARES)
        return train, val

    def transitions(self) -> tuple[list[Transitions], list[Tensor]]:
        """Return every set as a model is trained on it, single precision, and its episode offsets."""
        parts = [dataset.transitions(torch.float64) for dataset in self.sets]
        if self.transform is not None:
            parts = [self.transform.transitions(part, self.spec) for part in parts]
        return [part.to(torch.float32) for part in parts], [torch.from_numpy(x.episode_offsets) for x in self.sets]


class DynamicsDataset(Dataset):
    """The windows of a folder of CSV logs, of an HDF5 file, or of a set in memory; item i is a dict of the i-th.

    | key | shape | what it is |
    |---|---|---|
    | `history` | (H, F + A) | rows of states as a network sees them, relative coordinates among them, and inputs |
    | `actions` | (P, A) | inputs held over each interval that is predicted; the first is the history's last |
    | `targets` | (P, F) | states after each of these intervals, as a network sees them |
    | `delta_t` | (P,) | these intervals [s] |

    A network sees positions by `transform_fn`, by default (cos, sin) in place of each angle, then the rest of a state.
    `examples` are the same windows; those of several data sets combine by `+`.

    Args:
        data_dir: Folder of CSV files, one CSV or HDF5 file, or a set.
        coordinate_indices: Which positions are Cartesian coordinates, seen relative to the first row of the history;
            with a `transform_fn` of yours, which of its values.
        angle_indices: Which positions are angles [rad]; None takes those that the set names, in a CSV file none.
        history_length: H, rows of states and inputs that are known.
        prediction_horizon: P, steps to predict.
        transform_fn: (..., Q) positions -> (..., Z), in place of the default; differences of angles are still wrapped.
        inverse_fn: (..., Z) -> (..., Q), to predict in physical units.
        apply_delta_fn: (..., Z), (..., Z) -> (..., Z), how a predicted change is applied; addition if None.
        task_name: Name of the environment; the key of a system gives CSV columns its names, units and limits.
        irregular: Accept CSV files whose intervals differ.

    Raises:
        DatasetError: If the files cannot be read, hold anything that is not finite, or intervals differ.
        ValueError: If an index is wrong, or every file is shorter than a window.
    """

    def __init__(
        self,
        data_dir: Path | str | TransitionDataset,
        coordinate_indices: Sequence[int] = (),
        angle_indices: Sequence[int] | None = None,
        history_length: int = 11,
        prediction_horizon: int = 9,
        transform_fn: Callable[[Tensor], Tensor] | None = None,
        inverse_fn: Callable[[Tensor], Tensor] | None = None,
        apply_delta_fn: Callable[[Tensor, Tensor], Tensor] | None = None,
        *,
        task_name: str = "",
        irregular: bool = False,
    ):
        transform = transform_of(transform_fn, inverse_fn, apply_delta_fn)
        for name, value in (("history_length", history_length), ("prediction_horizon", prediction_horizon)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number >= 1, got {value!r}")
        dataset = _read(data_dir, _numbers(angle_indices), task_name, irregular)
        dataset = _long_enough(dataset, history_length, prediction_horizon)
        coordinates = _numbers(coordinate_indices) or ()
        self.examples = Examples((dataset,), coordinates, history_length, prediction_horizon, transform)
        angles = self.examples.angle_indices if transform is None else ()
        count = len(positions_of(dataset.spec))
        if transform is not None:
            count = len(self.examples.model_spec.state_names) - dataset.spec.state_dim + count
        wrong = [i for i in coordinates if not 0 <= i < count or i in angles]
        if wrong:
            raise ValueError(
                f"coordinate_indices must be in 0 .. {count - 1} and none of angle_indices {angles}, got {wrong}"
            )

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self.examples[index]


def transform_of(
    transform_fn: Callable[[Tensor], Tensor] | None,
    inverse_fn: Callable[[Tensor], Tensor] | None,
    apply_delta_fn: Callable[[Tensor, Tensor], Tensor] | None,
) -> Transform | None:
    """Return the transform of these functions; None for the default.

    Raises:
        ValueError: If one of the others is given without `transform_fn`.
    """
    if transform_fn is not None:
        return Transform(transform_fn, inverse_fn, apply_delta_fn)
    for name, function in (("inverse_fn", inverse_fn), ("apply_delta_fn", apply_delta_fn)):
        if function is not None:
            raise ValueError(f"{name} must come with the transform_fn it belongs to, got {function}")
    return None


def _numbers(indices: Iterable[int] | None) -> tuple[int, ...] | None:
    """Plain numbers of a list, an array or a tensor."""
    return None if indices is None else tuple(int(i) for i in indices)


def _read(
    data_dir: Path | str | TransitionDataset, angles: tuple[int, ...] | None, task_name: str, irregular: bool
) -> TransitionDataset:
    """Read a set, with these positions as its angles."""
    if isinstance(data_dir, str | Path) and Path(data_dir).suffix != ".h5":
        known = SYSTEMS[task_name].spec if task_name in SYSTEMS else None
        if known is not None and angles is not None:
            _check_angles(angles, len(positions_of(known)))
            known = dataclasses.replace(known, angle_dims=tuple(positions_of(known)[i] for i in angles))
        return import_csv(
            data_dir, spec=known, name=task_name or "log", angle_positions=angles or (), irregular=irregular
        )
    dataset = data_dir if isinstance(data_dir, TransitionDataset) else load_dataset(data_dir)
    if dataset.kind != "episodes":
        raise DatasetError(f"data_dir must hold episodes, whose rows follow each other, got a {dataset.kind} set")
    positions = positions_of(dataset.spec)
    if angles is not None:
        _check_angles(angles, len(positions))
        found = tuple(sorted(positions[i] for i in angles))
        if found != tuple(sorted(dataset.spec.angle_dims)):
            raise ValueError(
                f"angle_indices must be those of the set, state dimensions {dataset.spec.angle_dims}, got {found}"
            )
    return dataset


def _check_angles(angles: tuple[int, ...], count: int) -> None:
    if any(not 0 <= i < count for i in angles):
        raise ValueError(f"angle_indices must be in 0 .. {count - 1}, got {angles}")


def _long_enough(dataset: TransitionDataset, history_length: int, prediction_horizon: int) -> TransitionDataset:
    """Leave out rows cut short, and episodes that hold no window."""
    kept = dataset.full_length
    offsets = np.concatenate([[0], np.cumsum(kept)])[dataset.episode_offsets]
    lengths = np.diff(offsets)
    long = np.flatnonzero(lengths >= history_length + prediction_horizon - 1)
    if not len(long):
        raise ValueError(
            f"history_length + prediction_horizon must be at most {lengths.max() + 1}, the rows of the longest of "
            f"{len(lengths)} files, got {history_length} + {prediction_horizon}"
        )
    whole = dataclasses.replace(dataset.select_rows(np.flatnonzero(kept)), episode_offsets=offsets)
    return whole.select_episodes(long)
