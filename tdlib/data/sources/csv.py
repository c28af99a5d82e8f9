"""Read and write logged trajectories as CSV files, one file per trajectory.

Columns `timestamp` [s], `qpos_0 ..`, `qvel_0 ..`, `state_0 ..`, `ctrl_0 ..`: row t is the state before the step and
the inputs held until row t + 1, as in seed 001; the last row is the final state, and its inputs are not used. There may
be any number of each, but a state and an input must be; a mapping gives columns of other names these roles. The state
is (qpos, qvel, state) unless `spec` says otherwise; without as many `qvel` as `qpos` no column is another's rate.
Further columns that all files have are kept as `extras` of the set, and what cannot be kept is named in it.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from tdlib.core.files import write_text
from tdlib.core.specs import EnvironmentSpec
from tdlib.data.schema import DatasetError, TransitionDataset
from tdlib.data.sources.csv_text import CsvStyle, bad_cell, read_csv_text
from tdlib.data.sources.files import in_numeric_order
from tdlib.data.sources.logs import CellError, make_set
from tdlib.data.sources.recording import STATE_GROUPS, Columns, Reading

EXPORTED = "traj_{}.csv"


def import_csv(
    path: Path | str | Sequence[Path | str],
    *,
    spec: EnvironmentSpec | None = None,
    name: str = "imported",
    angle_positions: Sequence[int | str] = (),
    control_frequency: float | None = None,
    irregular: bool = False,
    columns: Columns | None = None,
    time_unit: str | None = None,
    stamps: Literal["strict", "repair"] = "strict",
    style: CsvStyle | None = None,
) -> TransitionDataset:
    """Read CSV trajectories into a set; rewards are zero, since a log has none.

    Args:
        path: File, folder of `*.csv`, or list of files.
        spec: Environment the log is of; positions, velocities and other states are filled in order. None builds one.
        name: Name of the environment when `spec` is None.
        angle_positions: Which of the `qpos` columns are angles [rad], when `spec` is None.
        control_frequency: Rate that the log must have [Hz]; None takes the log's own.
        irregular: Accept intervals that differ; every row keeps its own.
        columns: Which columns are what, where they have other names: see `Reading`.
        time_unit: Of the stamps: s, ms, us, ns; None reads it from the column's name, else takes seconds.
        stamps: What becomes of rows whose stamps repeat or step back: see `Reading`.
        style: Separator, decimal sign, encoding and comments; None finds the first, and takes points and UTF-8.

    Raises:
        DatasetError: If a column is missing, a value is not finite, time does not rise, or the rate is not constant;
            the message names file, row, column and value.
        RateError: If the rate is not the one asked for.
    """
    reading = Reading(
        spec=spec, name=name, columns=columns, angles=tuple(angle_positions), time_unit=time_unit, stamps=stamps,
        control_frequency=control_frequency, irregular=irregular,
    )  # fmt: skip
    return read_csv_log(path, reading, style)


def read_csv_log(
    path: Path | str | Sequence[Path | str], reading: Reading, style: CsvStyle | None = None
) -> TransitionDataset:
    """Read CSV files as `import_csv` does, told how by a `Reading`."""
    style, files = style or CsvStyle(), csv_files(path)
    recordings = [read_csv_text(file, style) for file in files]
    try:
        return make_set(recordings, reading, "CSV")
    except CellError as error:  # the text itself says what stood there
        raise DatasetError(f"{files[error.place].name}: {bad_cell(files[error.place], error.column, style)}") from error


def csv_files(path: Path | str | Sequence[Path | str]) -> list[Path]:
    """Return the files of a log in numeric order; names that begin with a dot are left by systems, not loggers.

    Raises:
        DatasetError: If there is none, or one is missing.
    """
    if isinstance(path, str | Path):
        path = Path(path)
        found = [file for file in path.glob("*.csv") if not file.name.startswith(".")] if path.is_dir() else [path]
        files = sorted(found, key=lambda file: in_numeric_order(file.name))
    else:
        files = [Path(p) for p in path]
    for file in files:
        if not file.is_file():
            raise DatasetError(f"path must be a CSV file or a folder with .csv files, got {str(file)!r}")
    if not files:
        raise DatasetError(f"path must be a CSV file or a folder with .csv files, got {str(path)!r}")
    return files


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
