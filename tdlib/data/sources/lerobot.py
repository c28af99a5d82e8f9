"""LeRobot data sets of version 3 (and 2): Parquet files of many episodes, described by `meta/info.json`.

Their `timestamp` is the frame's number over the declared frame rate: it says nothing of the clock of the robot, and a
set whose label is wrong looks right. So it is said that stamps are positions.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from tdlib.core.imports import optional_module
from tdlib.data.schema import DatasetError, TransitionDataset
from tdlib.data.sources.files import in_numeric_order
from tdlib.data.sources.logs import make_set
from tdlib.data.sources.recording import AS_FOUND, Reading, Recording, add_columns

INFO = Path("meta") / "info.json"
VERSIONS = ("v2", "v3")
STATE, ACTION, STAMP, EPISODE = "observation.state", "action", "timestamp", "episode_index"
UNREADABLE = (OSError, KeyError, TypeError, ValueError)


def import_lerobot(path: Path | str, reading: Reading = AS_FOUND) -> TransitionDataset:
    """Read a LeRobot data set from its folder: `observation.state` is the state, `action` the input.

    Args:
        path: Folder with `meta/info.json` and `data/`.
        reading: What else is to be known, for example which states are positions and velocities.

    Raises:
        DatasetError: If it is no whole data set of version 2 or 3.
        RateError: If its frame rate is not the one asked for.
        ImportError: If pyarrow is missing.
    """
    path = Path(path)
    info = _info(path)
    files = sorted((path / "data").rglob("*.parquet"), key=lambda file: in_numeric_order(str(file)))
    if not files:
        raise DatasetError(f"path must hold data/**/*.parquet, got none in {str(path)!r}")
    parquet = optional_module("pyarrow.parquet", "logs")
    episodes: dict[int, list[dict[str, np.ndarray]]] = {}
    notes: dict[str, None] = {}
    for file in files:
        try:
            columns = _columns(parquet.read_table(file), info["features"], notes)
        except DatasetError:
            raise
        except UNREADABLE as error:
            raise DatasetError(f"path must hold whole Parquet files, got {str(file)!r}: {error}") from error
        if EPISODE not in columns or STAMP not in columns:
            raise DatasetError(f"{file.name}: there must be columns {EPISODE} and {STAMP}, got {list(columns)}")
        numbers = columns[EPISODE].astype(int)
        for number in dict.fromkeys(numbers.tolist()):
            episodes.setdefault(number, []).append({k: x[numbers == number] for k, x in columns.items()})
    roles = {
        "timestamp": STAMP,
        "state": _of_feature(next(iter(episodes.values()))[0], STATE),
        "ctrl": _of_feature(next(iter(episodes.values()))[0], ACTION),
    }
    recordings = [
        Recording(
            f"{path.name} episode {number}",
            {name: np.concatenate([part[name] for part in parts]) for name in parts[0]},
            tuple(notes),
            roles,
            positional=True,
        )
        for number, parts in sorted(episodes.items())
    ]
    dataset = make_set(recordings, reading, "LeRobot")
    return dataset.with_attributes(declared_fps=float(info["fps"]))


def _info(path: Path) -> dict[str, Any]:
    try:
        info = json.loads((path / INFO).read_text(encoding="utf-8"))
        version, rate, features = str(info["codebase_version"]), float(info["fps"]), dict(info["features"])
    except FileNotFoundError as error:
        raise DatasetError(f"path must be a folder of LeRobot's with {INFO}, got {str(path)!r}") from error
    except UNREADABLE as error:
        what = f"{type(error).__name__}: {error}"
        raise DatasetError(f"{path / INFO} must tell codebase_version, fps and features, got {what}") from error
    if not version.startswith(VERSIONS):
        raise DatasetError(f"{path / INFO}: codebase_version must be v2 or v3, got {version!r}")
    if not rate > 0:
        raise DatasetError(f"{path / INFO}: fps must be positive [Hz], got {rate}")
    return {"fps": rate, "features": features}


def _columns(table: Any, features: dict[str, Any], notes: dict[str, None]) -> dict[str, np.ndarray]:
    """Columns of one file, lists taken apart; names of their entries are the data set's own where it has them."""
    found: dict[str, np.ndarray] = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        nested = str(column.type).startswith(("list", "fixed_size_list", "large_list"))
        values = (column.flatten() if nested else column).to_numpy(zero_copy_only=False)
        if not nested:
            add_columns(found, {name: values}, "data")
            continue
        if len(column) == 0 or len(values) % len(column) or values.dtype.kind not in "iufb":
            notes[f"column {name!r} holds lists of other things than equally many numbers and is left out"] = None
            continue
        rows = values.reshape(len(column), -1)
        for i, entry in enumerate(_entries(features.get(name, {}), rows.shape[1])):
            add_columns(found, {f"{name}.{entry}": rows[:, i]}, "data")
    for name in features:
        if name not in table.column_names:
            kind = features[name].get("dtype", "unknown")
            notes[f"feature {name!r} ({kind}) lies in other files and is left out"] = None
    return found


def _entries(feature: dict[str, Any], count: int) -> list[str]:
    names: Any = feature.get("names")
    if isinstance(names, dict):  # {"motors": [...]} of older sets
        names = next(iter(names.values()), None)
    named = isinstance(names, list) and len(names) == count
    return [str(name) for name in (names if named else range(count))]


def _of_feature(columns: dict[str, np.ndarray], feature: str) -> list[str]:
    found = [name for name in columns if name == feature or name.startswith(f"{feature}.")]
    if not found:
        raise DatasetError(f"path must hold the feature {feature!r}, got columns {list(columns)}")
    return found
