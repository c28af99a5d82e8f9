"""Read logged trajectories from CSV files, one file per trajectory.

Columns `timestamp` [s], `qpos_0 ..`, `qvel_0 ..`, `ctrl_0`: row t is the state before the step and the input held until
row t + 1, as in seed 001. The state is (qpos_0, qvel_0, ...) in the order of `spec`, or (qpos, qvel) without one.
"""

import csv
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tdlib.core.specs import EnvironmentSpec
from tdlib.core.time_grid import delta_t_of
from tdlib.data.observations import observe
from tdlib.data.schema import FIELDS, DatasetError, TransitionDataset, check_dataset, continue_angles

JITTER = 1e-3  # relative; intervals that differ by more are not of one rate


def import_csv(
    path: Path | str | Sequence[Path | str],
    *,
    spec: EnvironmentSpec | None = None,
    name: str = "imported",
    angle_positions: Sequence[int] = (),
    control_frequency: float | None = None,
    irregular: bool = False,
) -> TransitionDataset:
    """Read CSV trajectories into a set; rewards are zero, since a log has none.

    Args:
        path: File, folder of `*.csv`, or list of files.
        spec: Environment the log is of; its positions and velocities are filled in order. None builds one.
        name: Name of the environment when `spec` is None.
        angle_positions: Which of the `qpos` columns are angles [rad], when `spec` is None.
        control_frequency: Rate that the log must have [Hz]; None takes the log's own.
        irregular: Accept intervals that differ; every row keeps its own.

    Raises:
        DatasetError: If a column is missing, a value is not finite, time does not rise, or the rate is not constant.
    """
    files = _files(path)
    logs = [_read(file) for file in files]
    counts = {(log["qpos"].shape[1], log["qvel"].shape[1]) for log in logs}
    if len(counts) > 1:
        raise DatasetError(f"path: all files must have the same columns, got (qpos, qvel) counts {sorted(counts)}")
    num_positions, num_velocities = counts.pop()
    inputs = np.concatenate([log["ctrl"] for log in logs])
    spec = spec or _build_spec(name, num_positions, num_velocities, angle_positions, inputs)
    if (len(spec.position_dims), len(spec.velocity_dims)) != (num_positions, num_velocities):
        wanted = f"{len(spec.position_dims)} qpos and {len(spec.velocity_dims)} qvel columns"
        raise DatasetError(f"path: files of {spec.name} must have {wanted}, got {num_positions} and {num_velocities}")
    intervals = np.concatenate([np.diff(log["timestamp"][:, 0]) for log in logs])
    frequency = None if irregular else _rate(intervals, control_frequency)
    episodes = [_episode(log, spec, frequency) for log in logs]
    dataset = TransitionDataset(
        **{field: np.concatenate([episode[field] for episode in episodes]) for field in FIELDS},
        episode_offsets=np.concatenate([[0], np.cumsum([len(e["t"]) for e in episodes])]),
        spec=spec,
        control_frequency=frequency,
        attributes={"policy": "logged", "imported_from": "CSV", "reward": "absent, stored as 0"},
    )
    return check_dataset(dataset, "CSV import")


def _files(path: Path | str | Sequence[Path | str]) -> list[Path]:
    if isinstance(path, (str, Path)):
        path = Path(path)
        files = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    else:
        files = [Path(p) for p in path]
    if not files or not all(file.is_file() for file in files):
        raise DatasetError(f"path must be a CSV file or a folder with .csv files, got {str(path)!r}")
    return files


def _read(file: Path) -> dict[str, np.ndarray]:
    """Read one file into (T, n) arrays per group of columns, columns in numeric order (qpos_10 after qpos_9)."""
    with open(file, newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    if len(rows) < 3:
        raise DatasetError(f"{file.name}: file must have a header and at least two rows, got {len(rows)} lines")
    header = [column.strip() for column in rows[0]]
    try:
        values = np.array([[float(cell) for cell in row] for row in rows[1:]], dtype=np.float64)
    except ValueError as error:
        raise DatasetError(f"{file.name}: every row must hold {len(header)} numbers, got: {error}") from error
    if values.shape[1] != len(header):
        raise DatasetError(f"{file.name}: every row must hold {len(header)} numbers, got {values.shape[1]}")
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise DatasetError(f"{file.name}: {header[column]} must be finite, got {values[row, column]} in row {row + 1}")
    groups = {"timestamp": [i for i, column in enumerate(header) if column == "timestamp"]}
    for prefix in ("qpos", "qvel", "ctrl"):
        numbered = [(int(m[1]), i) for i, c in enumerate(header) if (m := re.fullmatch(rf"{prefix}_(\d+)", c))]
        groups[prefix] = [i for _, i in sorted(numbered)]
    for group, columns in groups.items():
        if not columns or (group in ("timestamp", "ctrl") and len(columns) != 1):
            rule = "exactly one" if group in ("timestamp", "ctrl") else "at least one"
            raise DatasetError(f"{file.name}: there must be {rule} {group} column, got {len(columns)} in {header}")
    log = {group: values[:, columns] for group, columns in groups.items()}
    if (np.diff(log["timestamp"][:, 0]) <= 0).any():
        row = int(np.argmax(np.diff(log["timestamp"][:, 0]) <= 0)) + 2
        raise DatasetError(f"{file.name}: timestamp must rise from row to row, got {values[row - 1, 0]} in row {row}")
    return log


def _rate(intervals: np.ndarray, control_frequency: float | None) -> float:
    typical = float(np.median(intervals))
    worst = float(intervals[np.argmax(np.abs(intervals - typical))])
    if abs(worst - typical) > JITTER * typical:
        raise DatasetError(
            f"timestamp: intervals must be constant to {JITTER:g} unless irregular=True, "
            f"got {worst:.6g} s where most are {typical:.6g} s"
        )
    if control_frequency is None:
        return round(1 / typical, 3)
    if abs(delta_t_of(control_frequency) - typical) > JITTER * typical:
        found = f"{1 / typical:.4g} Hz"
        raise DatasetError(f"control_frequency must be the log's rate, {found}, got {control_frequency:g} Hz")
    return float(control_frequency)


def _episode(log: dict[str, np.ndarray], spec: EnvironmentSpec, frequency: float | None) -> dict[str, np.ndarray]:
    states = np.empty((len(log["qpos"]), spec.state_dim))
    states[:, list(spec.position_dims)] = log["qpos"]
    states[:, list(spec.velocity_dims)] = log["qvel"]
    state, next_state = continue_angles(states[:-1], states[1:], spec)
    for i in spec.angle_dims:  # an interval is taken to turn by less than half a turn
        next_state[:, i] -= 2 * math.pi * np.round((next_state[:, i] - state[:, i]) / (2 * math.pi))
    length = len(state)
    times = log["timestamp"][:, 0] - log["timestamp"][0, 0]
    ends = np.zeros(length, dtype=bool)
    ends[-1] = True
    return {
        "observation": observe(state, spec),
        "state": state,
        "action": log["ctrl"][:-1],
        "reward": np.zeros(length),
        "next_state": next_state,
        "terminated": np.zeros(length, dtype=bool),
        "truncated": ends,
        "exit_time": np.full(length, np.inf),
        "limit_hit": np.zeros(length, dtype=bool),
        "t": times[:-1] if frequency is None else np.arange(length) * delta_t_of(frequency),
        "delta_t": np.diff(times) if frequency is None else np.full(length, delta_t_of(frequency)),
    }


def _build_spec(
    name: str, num_positions: int, num_velocities: int, angle_positions: Sequence[int], inputs: np.ndarray
) -> EnvironmentSpec:
    if num_positions != num_velocities:
        found = f"{num_velocities} and {num_positions}"
        raise DatasetError(f"path: there must be as many qvel as qpos columns, got {found}")
    if any(not 0 <= i < num_positions for i in angle_positions):
        raise ValueError(f"angle_positions must be in 0 .. {num_positions - 1}, got {tuple(angle_positions)}")
    units = ["rad" if i in angle_positions else "m" for i in range(num_positions)]
    return EnvironmentSpec(
        name=name,
        state_names=tuple([f"qpos_{i}" for i in range(num_positions)] + [f"qvel_{i}" for i in range(num_velocities)]),
        state_units=(*units, *[f"{unit}/s" for unit in units]),
        angle_dims=tuple(angle_positions),
        position_dims=tuple(range(num_positions)),
        velocity_dims=tuple(range(num_positions, 2 * num_positions)),
        action_name="ctrl_0",
        action_unit="1",
        action_low=float(inputs.min()),
        action_high=float(inputs.max()),
        num_actions=None,
        reward_delta_t=1.0,
        time_limit=math.inf,
    )
