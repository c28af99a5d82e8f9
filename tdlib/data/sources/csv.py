"""Read and write logged trajectories as CSV files, one file per trajectory.

Columns `timestamp` [s], `qpos_0 ..`, `qvel_0 ..`, `state_0 ..`, `ctrl_0 ..`: row t is the state before the step and
the inputs held until row t + 1, as in seed 001; the last row is the final state, and its inputs are not used. There may
be any number of each, but a state and an input must be. The state is (qpos, qvel, state) unless `spec` says otherwise;
without as many `qvel` as `qpos` no column is another's rate. Further columns that all files have are kept as `extras`
of the set.
"""

import csv
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tdlib.core.files import write_text
from tdlib.core.specs import EnvironmentSpec
from tdlib.core.time_grid import delta_t_of
from tdlib.data.observations import observe
from tdlib.data.schema import FIELDS, PARAMETERS, DatasetError, TransitionDataset, check_dataset, continue_angles

STATE_GROUPS = ("qpos", "qvel", "state")  # columns that make up the state
GROUPS = (*STATE_GROUPS, "ctrl")
EXPORTED = "traj_{}.csv"
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
        spec: Environment the log is of; positions, velocities and other states are filled in order. None builds one.
        name: Name of the environment when `spec` is None.
        angle_positions: Which of the `qpos` columns are angles [rad], when `spec` is None.
        control_frequency: Rate that the log must have [Hz]; None takes the log's own.
        irregular: Accept intervals that differ; every row keeps its own.

    Raises:
        DatasetError: If a column is missing, a value is not finite, time does not rise, or the rate is not constant.
    """
    files = _files(path)
    logs = [_read(file) for file in files]
    counts = {tuple(log[group].shape[1] for group in GROUPS) for log in logs}
    if len(counts) > 1:
        raise DatasetError(f"path: all files must have the same columns, got {GROUPS} counts {sorted(counts)}")
    found = dict(zip(GROUPS, counts.pop(), strict=True))
    inputs = np.concatenate([log["ctrl"][:-1] for log in logs])  # those that are used
    spec = spec or _build_spec(name, found, angle_positions, inputs)
    places = _places(spec, found)
    intervals = np.concatenate([np.diff(log["timestamp"][:, 0]) for log in logs])
    frequency = None if irregular else _rate(intervals, control_frequency)
    shared = set.intersection(*(set(log) for log in logs)) - {"timestamp", *GROUPS}
    episodes = [_episode(log, places, spec, frequency) | {n: log[n][:-1, 0] for n in sorted(shared)} for log in logs]
    attributes = {"policy": "logged", "imported_from": "CSV", "reward": "absent, stored as 0"}
    return check_dataset(TransitionDataset.from_episodes(episodes, spec, frequency, attributes), "CSV import")


def export_csv(dataset: TransitionDataset, folder: Path | str) -> Path:
    """Write a set as `traj_0.csv`, `traj_1.csv`, ... of one folder, which `import_csv` reads back as the same rows.

    Numbers are written so that they are read back bit for bit. The last row of a file is the final state; in the place
    of inputs, which it has none of, the last ones stand again. A log has no rewards, so these are lost; rows cut short
    are left out.

    Args:
        dataset: Set of kind "episodes", without parameters of its episodes.
        folder: Made if needed.

    Raises:
        DatasetError: If the set is branched or has parameters, which the columns cannot hold, or the folder holds CSV
            files, which would be read with these.
    """
    folder = Path(folder)
    if dataset.kind != "episodes" or dataset.parameters is not None:
        found = f"a {dataset.kind} set with parameters {dataset.spec.parameter_names}"
        raise DatasetError(f"dataset must be episodes without parameters to be written as CSV, got {found}")
    if there := sorted(folder.glob("*.csv")):
        raise DatasetError(f"folder must hold no .csv files yet, got {folder} with {there[0].name}")
    spec, kept = dataset.spec, dataset.full_length
    order, names = _state_columns(spec)
    extras = {name: column for name, column in dataset.extras.items() if column.ndim == 1}
    header = ["timestamp", *names, *(f"ctrl_{i}" for i in range(spec.action_dim)), *extras]
    written = 0
    for number in range(dataset.num_episodes):
        own = dataset.episode(number)
        rows = own.start + np.flatnonzero(kept[own])
        if not len(rows):
            continue
        last = rows[-1]
        again = np.append(rows, last)
        states = np.concatenate([dataset.state[rows], dataset.next_state[[last]]])
        times = np.append(dataset.t[rows], dataset.t[last] + dataset.delta_t[last])
        columns = (times[:, None], states[:, order], dataset.action[again])
        table = np.concatenate([*columns, *(column[again, None] for column in extras.values())], axis=1)
        lines = [",".join(header), *(",".join(map(repr, row)) for row in table.tolist())]
        write_text(folder / EXPORTED.format(written), "\n".join(lines) + "\n")
        written += 1
    return folder


def _state_columns(spec: EnvironmentSpec) -> tuple[list[int], list[str]]:
    """State dimensions in the order of a file's columns, and the names of these."""
    names = list(spec.state_names)
    if all(re.fullmatch(rf"({'|'.join(STATE_GROUPS)})_\d+", name) for name in names):
        return list(range(spec.state_dim)), names  # of a log that was read without a specification
    paired = (*spec.position_dims, *spec.velocity_dims)
    groups = (spec.position_dims, spec.velocity_dims, [i for i in range(spec.state_dim) if i not in paired])
    order = [i for dims in groups for i in dims]
    return order, [f"{group}_{i}" for group, dims in zip(STATE_GROUPS, groups, strict=True) for i in range(len(dims))]


def _files(path: Path | str | Sequence[Path | str]) -> list[Path]:
    if isinstance(path, (str, Path)):
        path = Path(path)
        files = sorted(path.glob("*.csv"), key=_in_numeric_order) if path.is_dir() else [path]
    else:
        files = [Path(p) for p in path]
    if not files or not all(file.is_file() for file in files):
        raise DatasetError(f"path must be a CSV file or a folder with .csv files, got {str(path)!r}")
    return files


def _in_numeric_order(file: Path) -> list[tuple[int, str]]:
    """Sort key by which `traj_10.csv` comes after `traj_9.csv`."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", file.name)]


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
    for prefix in GROUPS:
        numbered = [(int(m[1]), i) for i, c in enumerate(header) if (m := re.fullmatch(rf"{prefix}_(\d+)", c))]
        groups[prefix] = [i for _, i in sorted(numbered)]
    num_states = sum(len(groups[group]) for group in STATE_GROUPS)
    for group, count, ok in (
        ("exactly one timestamp", len(groups["timestamp"]), len(groups["timestamp"]) == 1),
        (f"at least one {', '.join(STATE_GROUPS[:-1])} or {STATE_GROUPS[-1]}", num_states, num_states > 0),
        ("at least one ctrl", len(groups["ctrl"]), len(groups["ctrl"]) > 0),
    ):
        if not ok:
            raise DatasetError(f"{file.name}: there must be {group} column, got {count} in {header}")
    used = {i for columns in groups.values() for i in columns}
    groups |= {_own_name(column): [i] for i, column in enumerate(header) if i not in used}
    log = {group: values[:, columns] for group, columns in groups.items()}
    if (np.diff(log["timestamp"][:, 0]) <= 0).any():
        row = int(np.argmax(np.diff(log["timestamp"][:, 0]) <= 0)) + 2
        raise DatasetError(f"{file.name}: timestamp must rise from row to row, got {values[row - 1, 0]} in row {row}")
    return log


def _own_name(column: str) -> str:
    """Name of a further column: an identifier that is no field of the schema and no group of columns."""
    name = re.sub(r"\W", "_", column)
    taken = not name.isidentifier() or name in {*FIELDS, PARAMETERS, *GROUPS}
    return f"log_{name}" if taken else name


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


def _places(spec: EnvironmentSpec, found: dict[str, int]) -> dict[str, list[int]]:
    """Return the state dimensions that each group of columns fills."""
    if spec.position_dims:
        places = {"qpos": list(spec.position_dims), "qvel": list(spec.velocity_dims)}
        places["state"] = [i for i in range(spec.state_dim) if i not in places["qpos"] + places["qvel"]]
    else:  # columns in their order
        ends = np.cumsum([found[group] for group in STATE_GROUPS]).tolist()
        places = {group: list(range(end - found[group], end)) for group, end in zip(STATE_GROUPS, ends, strict=True)}
    wanted = {group: len(dims) for group, dims in places.items()} | {"ctrl": spec.action_dim}
    if wanted != found or sum(map(len, places.values())) != spec.state_dim:
        raise DatasetError(
            f"path: files of {spec.name} must have columns of {spec.state_dim} states and {spec.action_dim} ctrl"
            f"{f', {wanted}' if spec.position_dims else ''}, got {found}"
        )
    return places


def _episode(
    log: dict[str, np.ndarray], places: dict[str, list[int]], spec: EnvironmentSpec, frequency: float | None
) -> dict[str, np.ndarray]:
    states = np.empty((len(log["timestamp"]), spec.state_dim))
    for group, dims in places.items():
        states[:, dims] = log[group]
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
    name: str, found: dict[str, int], angle_positions: Sequence[int], inputs: np.ndarray
) -> EnvironmentSpec:
    num_positions, num_inputs = found["qpos"], found["ctrl"]
    if any(not 0 <= i < num_positions for i in angle_positions):
        raise ValueError(f"angle_positions must be in 0 .. {num_positions - 1}, got {tuple(angle_positions)}")
    units = ["rad" if i in angle_positions else "m" for i in range(num_positions)]
    paired = num_positions if found["qvel"] == num_positions else 0
    rates = [f"{unit}/s" for unit in units] if paired else ["1"] * found["qvel"]
    return EnvironmentSpec(
        name=name,
        state_names=tuple(f"{group}_{i}" for group in STATE_GROUPS for i in range(found[group])),
        state_units=(*units, *rates, *["1"] * found["state"]),
        angle_dims=tuple(angle_positions),
        position_dims=tuple(range(paired)),
        velocity_dims=tuple(range(num_positions, num_positions + paired)),
        input_names=tuple(f"ctrl_{i}" for i in range(num_inputs)),
        input_units=("1",) * num_inputs,
        input_low=tuple(inputs.min(axis=0).tolist()),
        input_high=tuple(inputs.max(axis=0).tolist()),
        time_limit=math.inf,
    )
