"""Tidy result tables: which columns identify a row, and how tables are written and read.

A row is one (environment, arm, test rate, seed) and what the table adds, for example a dimension or a time; `n` comes
last. Rates are text ("33.3", "irregular", "mixed"), so every table is read with the types given here.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tdlib.core.facts import ARM_COLUMNS
from tdlib.core.files import atomic_path

KEY_COLUMNS = ("env", *ARM_COLUMNS, "test_frequency", "seed")
MEMBER_COLUMNS = (*ARM_COLUMNS, "seed")  # their values name a member of an environment
TEXT_COLUMNS = (
    "env", *ARM_COLUMNS, "test_frequency", "test_set", "dimension", "verdict", "fine_frequency", "coarse_frequency",
    "model_frequency", "control_frequency", "planner", "detail", "bin", "metric", "equilibrium",
    "git_commit",
)  # fmt: skip
ARM_DEFAULTS = {
    "env": "", "model": "none", "method": "baseline", "form": "none", "size": "hidden64", "data": "transitions",
    "train_frequency": "", "seed": 0,
}  # fmt: skip
Axes = Mapping[str, Sequence | np.ndarray]  # name -> labels
Member = Mapping[str, Any]  # values of the key columns of one model, without test_frequency


def frequency_label(rate: float | str) -> str:
    """Return a rate as tables write it: 10.0 -> "10", 33.3 -> "33.3", "irregular" unchanged."""
    return rate if isinstance(rate, str) else f"{rate:g}"


def frequency_value(label: str) -> float:
    """Return the number behind a rate label [Hz], nan for "mixed", "irregular" and other names."""
    try:
        return float(label)
    except ValueError:
        return float("nan")


def frequency_order(label: str) -> tuple[int, float, str]:
    """Sort key of rate labels: numbers by size, then names."""
    value = frequency_value(label)
    return (1, 0.0, str(label)) if np.isnan(value) else (0, value, "")


def arm_of(arm: object, seed: int, env: str) -> Member:
    """Return the key columns of one trained configuration (any object with the arm's fields) and its seed."""
    return {"env": env, **{name: str(getattr(arm, name)) for name in ARM_COLUMNS}, "seed": int(seed)}


def order_columns(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the key columns first and the counts last."""
    first = [name for name in KEY_COLUMNS if name in table]
    last = [name for name in ("n", "n_starts") if name in table]
    middle = [name for name in table if name not in first and name not in last]
    return table[first + middle + last]


def tidy(
    members: Sequence[Member],
    axes: Axes,
    values: Mapping[str, np.ndarray | int],
) -> pd.DataFrame:
    """Spread arrays over one row per member and axis position.

    Args:
        members: K key columns, one mapping per model of the stack.
        axes: Name and labels of every further axis, in order.
        values: Name and array of shape (K, *axis lengths), or one that broadcasts to it.
    """
    shape = (len(members), *(len(labels) for labels in axes.values()))
    place = np.indices(shape).reshape(len(shape), -1)
    columns: dict[str, object] = {}
    for name in ARM_DEFAULTS:
        keys = np.array([member.get(name, ARM_DEFAULTS[name]) for member in members], dtype=object)
        columns[name] = keys[place[0]]
    for axis, (name, labels) in enumerate(axes.items(), start=1):
        columns[name] = np.asarray(labels)[place[axis]]
    for name, array in values.items():
        columns[name] = np.broadcast_to(np.asarray(array), shape).ravel()
    table = pd.DataFrame(columns)
    table["seed"] = table["seed"].astype(int)
    return order_columns(table)


def as_written(table: pd.DataFrame) -> pd.DataFrame:
    """Round the numbers to the digits that `write_table` writes, so that what is computed from them is reproducible."""
    numbers = table.select_dtypes("float")
    return table.assign(**{name: [float(f"{value:.5g}") for value in numbers[name]] for name in numbers})


def write_table(path: str | Path, table: pd.DataFrame | Sequence[Mapping]) -> Path:
    """Write a table as CSV with five significant digits; the file appears whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    table = order_columns(table if isinstance(table, pd.DataFrame) else pd.DataFrame(list(table)))
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.5g")
    return path


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a result table; rates and names stay text and empty text stays empty.

    Raises:
        ValueError: If the file has no rows' header or lacks the key columns it should be grouped by.
    """
    path = Path(path)
    header = pd.read_csv(path, nrows=0).columns if path.stat().st_size else []
    if "env" not in header:
        raise ValueError(f"path must be a result table with a column 'env', got {path} with columns {list(header)}")
    text = {name: str for name in TEXT_COLUMNS if name in header}
    table = pd.read_csv(path, dtype=text, keep_default_na=False, na_values={
        name: ["", "nan", "NaN"] for name in header if name not in text
    })  # fmt: skip
    for name in text:
        table[name] = table[name].astype(object)
    return table


def at_time(table: pd.DataFrame, time: float, tolerance: float = 0.02) -> pd.DataFrame:
    """Keep the rows of a rollout table nearest to a physical time [s], one per group; 33.3 Hz ends at 0.99 s.

    Groups without a row within the tolerance (5 Hz at 0.5 s) are left out.
    """
    close = table[(table["time"] - time).abs() <= tolerance].copy()
    close["distance"] = (close["time"] - time).abs()
    keys = [name for name in (*KEY_COLUMNS, "dimension", "truncated") if name in close]
    nearest = close.sort_values("distance", kind="stable").drop_duplicates(keys)
    return nearest.drop(columns="distance").sort_index()
