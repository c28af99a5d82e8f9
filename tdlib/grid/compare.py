"""Do two runs say the same? Rows that are missing or new, and how far apart the numbers of the common rows are.

    python -m tdlib.grid.compare A B [--tolerance 1e-4] [--json]

A and B are folders of runs (or of an edition), or names of presets. Every table of `results/metrics` and the joined
parts of each table are compared; rows belong together by their key columns. Numbers agree if they differ by at most
the tolerance, relative to the larger of the two; counts must be equal. Tables keep five significant digits, so a
rounding error of float32 may move the last one: 1e-4 at most.

A planner near a tie takes another plan for any rounding error, and its episode goes another way from there. Tables of
episodes are therefore judged apart: episodes that differ are counted, and the tables differ if the mean difference of
the returns is not zero within chance in some environment (t interval, 95 % over all environments together).

Exit code: 0 the same, 1 they differ, 2 misuse.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from tdlib.core.files import PACKERS
from tdlib.study.layout import RunLayout
from tdlib.study.presets import PresetError, load_preset

TOLERANCE = 1e-4  # one unit of the fifth significant digit
FLOOR = 1e-6  # smaller differences are float32 rounding of a state of size ten; the square of it for squared errors
KEYS = {  # whatever of these a table has identifies its rows; equal keys are told apart by their order
    "env", "model", "method", "form", "size", "data", "train_frequency", "test_frequency", "seed", "test_set",
    "dimension", "time", "truncated", "fine_frequency", "coarse_frequency", "k", "bin", "limit", "policy",
    "control_frequency", "model_frequency", "planner", "duration", "episode", "metric", "detail", "name", "check",
    "equilibrium", "pole",
}  # fmt: skip
NOT_RESULTS = {"seconds", "git_commit"}  # columns about the making of a row
COSTS = {"job_times", "part_times", "phase_times"}  # tables about the making of a run
EPISODE_RETURN = "episode_return"  # a table with it holds episodes
OF_EPISODES = "control."  # metrics of `statistics` that are computed from episodes
CONFIDENCE = 0.95
SHOWN_ROWS = 3


class CompareError(ValueError):
    """What was named is not a run with tables."""


@dataclass(frozen=True)
class ColumnDifference:
    """How one column differs on the common rows.

    Args:
        column: Its name.
        largest: Largest relative difference; infinite where a text, a count, or a missing value differs.
        row: Key of the row with the largest difference.
        differing: Rows that differ by more than the tolerance.
    """

    column: str
    largest: float
    row: str
    differing: int


@dataclass(frozen=True)
class EpisodeDifference:
    """How the episodes of one environment differ.

    Args:
        env: Environment.
        episodes: Episodes that both runs have.
        differing: Episodes whose return, success, exit, or count differs by more than the tolerance.
        mean: Mean difference of the returns, B - A, over all of them.
        ci_low: Lower end of its 95 % interval.
        ci_high: Upper end.
        systematic: Whether zero lies outside the interval that holds for all environments together.
    """

    env: str
    episodes: int
    differing: int
    mean: float
    ci_low: float
    ci_high: float
    systematic: bool


@dataclass(frozen=True)
class TableDifference:
    """How one table differs.

    Args:
        table: Its name; `parts/…` for the joined parts.
        rows_a: Rows of A.
        rows_b: Rows of B.
        missing: Rows of A that B lacks.
        new: Rows of B that A lacks.
        examples: Keys of the first missing and new rows.
        columns_missing: Columns of A that B lacks.
        columns_new: Columns of B that A lacks; nothing is lost by them.
        columns: Columns with different values, the largest difference first.
        episodes: For tables of episodes, one entry per environment.
        judged: Whether `columns` decide; not so where they are about episodes.
    """

    table: str
    rows_a: int
    rows_b: int
    missing: int
    new: int
    examples: tuple[str, ...]
    columns_missing: tuple[str, ...]
    columns_new: tuple[str, ...]
    columns: tuple[ColumnDifference, ...]
    episodes: tuple[EpisodeDifference, ...] = ()
    judged: bool = True

    @property
    def same(self) -> bool:
        """Whether the table says the same in both runs."""
        if self.missing or self.new or self.columns_missing or any(found.systematic for found in self.episodes):
            return False
        return not self.judged or not any(found.differing for found in self.columns)


def compare_runs(a: Path | str, b: Path | str, tolerance: float = TOLERANCE) -> list[TableDifference]:
    """Compare every table of two runs.

    Args:
        a: Folder of a run or of an edition, or the name of a preset.
        b: The other.
        tolerance: Largest relative difference of equal numbers.

    Raises:
        CompareError: If one of them has no tables.
        ValueError: If the tolerance is negative or not a number.
    """
    if not tolerance >= 0:
        raise ValueError(f"tolerance must be at least 0, got {tolerance}")
    tables_a, tables_b = _tables(a), _tables(b)
    found = []
    for name in dict.fromkeys([*tables_a, *tables_b]):
        table_a, table_b = (_read(tables.get(name, [])) for tables in (tables_a, tables_b))
        found += _compare_by_kind(name, table_a, table_b, tolerance)
    return found


def compare_tables(name: str, a: pd.DataFrame, b: pd.DataFrame, tolerance: float = TOLERANCE) -> TableDifference:
    """Compare two tables read as text.

    Args:
        name: Name of the table.
        a: Table of A, every column text.
        b: Table of B.
        tolerance: Largest relative difference of equal numbers.
    """
    columns = [column for column in (*a, *(c for c in b if c not in a)) if column not in NOT_RESULTS]
    keys = [column for column in columns if column in KEYS and column in (a if len(a.columns) else b)]
    row_a, row_b = _row_names(a, keys), _row_names(b, keys)
    common = row_a[row_a.isin(row_b)]
    lost, added = row_a[~row_a.isin(row_b)], row_b[~row_b.isin(row_a)]
    values = [column for column in columns if column not in KEYS and column in a and column in b]
    left = a.set_axis(pd.Index(row_a)).loc[common, values]
    right = b.set_axis(pd.Index(row_b)).loc[common, values]
    different = [_compare_column(column, left[column], right[column], tolerance) for column in values]
    shown = [f"missing: {row}" for row in lost[:SHOWN_ROWS]] + [f"new: {row}" for row in added[:SHOWN_ROWS]]
    of_episodes = EPISODE_RETURN in values
    return TableDifference(
        table=name,
        rows_a=len(a),
        rows_b=len(b),
        missing=len(lost),
        new=len(added),
        examples=tuple(shown),
        columns_missing=tuple(c for c in columns if len(b.columns) and c not in b),
        columns_new=tuple(c for c in columns if len(a.columns) and c not in a),
        columns=tuple(sorted((d for d in different if d.largest > 0), key=lambda d: -d.largest)),
        episodes=_episodes(left, right, a.set_axis(pd.Index(row_a)).loc[common, "env"], tolerance)
        if of_episodes and len(common)
        else (),
        judged=not of_episodes,
    )


def report(differences: Sequence[TableDifference], tolerance: float = TOLERANCE) -> str:
    """Return the comparison as a text: one line per table, below it what differs."""
    lines = [f"{'table':32} {'rows A':>8} {'rows B':>8} {'missing':>8} {'new':>8} {'largest':>9}  verdict"]
    for found in differences:
        largest = f"{found.columns[0].largest:.2g}" if found.columns else "0"
        verdict = "same" if found.same else "DIFFERS"
        verdict += "" if found.judged else " (episodes are judged by the interval of their mean difference)"
        lines.append(
            f"{found.table:32} {found.rows_a:8d} {found.rows_b:8d} {found.missing:8d} {found.new:8d} {largest:>9}  "
            f"{verdict}"
        )
        lines += [f"    {example}" for example in found.examples]
        lines += [f"    column {column}: missing in B" for column in found.columns_missing]
        lines += [f"    column {column}: new in B" for column in found.columns_new]
        lines += [
            f"    column {d.column}: largest relative difference {d.largest:.3g}, {d.differing} rows beyond "
            f"{tolerance:g}, at {d.row}"
            for d in found.columns
        ]
        lines += [
            f"    {e.env}: {e.differing} of {e.episodes} episodes differ, mean difference of return {e.mean:.4g} "
            f"[{e.ci_low:.4g}, {e.ci_high:.4g}]{', not by chance' if e.systematic else ''}"
            for e in found.episodes
        ]
    worse = [found.table for found in differences if not found.same]
    lines.append(f"{len(worse)} of {len(differences)} tables differ: {', '.join(worse)}" if worse else "the same")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tdlib.grid.compare", description=__doc__.splitlines()[0])
    parser.add_argument("a", help="folder of a run or an edition, or the name of a preset")
    parser.add_argument("b", help="what it is compared with")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help="relative, default %(default)g")
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON")
    options = parser.parse_args(arguments)
    try:
        differences = compare_runs(options.a, options.b, options.tolerance)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    same = all(found.same for found in differences)
    if options.json:
        content = {"same": same, "tables": [{**asdict(found), "same": found.same} for found in differences]}
        print(json.dumps(_plain(content), indent=1, allow_nan=False))
    else:
        print(report(differences, options.tolerance))
    return 0 if same else 1


def _tables(run: Path | str) -> dict[str, list[Path]]:
    """Return the files of every table of a run: merged tables first, then the parts of each."""
    folder = Path(run)
    if not folder.is_dir():
        try:
            folder = RunLayout.of(load_preset(str(run)).name).root
        except PresetError as error:
            raise CompareError(f"{run} must be the folder of a run or the name of a preset: {error}") from error
    metrics = folder / "results" / "metrics"
    found: dict[str, list[Path]] = {}
    for path in sorted(metrics.glob("*.csv*")):
        if path.suffix in (".csv", *PACKERS) and (name := path.name.split(".")[0]) not in COSTS:
            found[name] = [path]
    for path in sorted((metrics / "parts").glob("*.csv")):
        found.setdefault(f"parts/{path.stem.split('-')[0]}", []).append(path)
    if not found:
        raise CompareError(f"{run} must hold tables in results/metrics, got none in {metrics}")
    return found


def _read(paths: Sequence[Path]) -> pd.DataFrame:
    frames = [pd.read_csv(path, dtype=str, keep_default_na=False) for path in paths if path.stat().st_size > 1]
    return pd.concat(frames, ignore_index=True).fillna("") if frames else pd.DataFrame()


def _compare_by_kind(name: str, a: pd.DataFrame, b: pd.DataFrame, tolerance: float) -> list[TableDifference]:
    """Compare a table; rows of `statistics` that are computed from episodes apart, since those are judged already."""
    if "metric" not in a or "metric" not in b:
        return [compare_tables(name, a, b, tolerance)]
    of_a, of_b = (table["metric"].str.startswith(OF_EPISODES) for table in (a, b))
    found = [compare_tables(name, a[~of_a], b[~of_b], tolerance)]
    if of_a.any() or of_b.any():
        control = compare_tables(f"{name} of episodes", a[of_a], b[of_b], tolerance)
        found.append(replace(control, judged=False))
    return found


def _row_names(table: pd.DataFrame, keys: Sequence[str]) -> pd.Series:
    """Name every row by its keys; rows of equal keys by their number too."""
    if not len(table):
        return pd.Series([], dtype=str)
    parts = [_shortened(table[key]).map(f"{key}={{}}".format) for key in keys if key in table]
    names = pd.Series([" ".join(row) for row in zip(*parts, strict=True)] if parts else [""] * len(table))
    number = names.groupby(names).cumcount()
    return names.where(number == 0, names + " #" + (number + 1).astype(str))


def _shortened(column: pd.Series) -> pd.Series:
    """Write numbers as tables do, so that 1 and 1.0 are one key."""
    unique = column.unique()
    numbers = pd.to_numeric(pd.Series(unique), errors="coerce")
    short = {text: text if pd.isna(x) else f"{x:.5g}" for text, x in zip(unique, numbers, strict=True)}
    return column.map(short)


def _compare_column(column: str, a: pd.Series, b: pd.Series, tolerance: float) -> ColumnDifference:
    relative = _relative(column, a, b)
    if not len(relative) or not relative.max() > 0:
        return ColumnDifference(column, 0.0, "", 0)
    worst = int(np.argmax(relative))
    beyond = int((relative > tolerance).sum())
    row = f"{a.index[worst]}: {a.iloc[worst] or 'empty'} -> {b.iloc[worst] or 'empty'}"
    return ColumnDifference(column, float(relative[worst]), row, beyond)


def _relative(column: str, a: pd.Series, b: pd.Series) -> np.ndarray:
    """Return |b - a| / max(|a|, |b|) per row: 0 below the floor, inf where texts, counts, or what is finite differ."""
    x, y = (pd.to_numeric(text, errors="coerce").to_numpy(float) for text in (a, b))
    numbers = np.isfinite(x) & np.isfinite(y)
    equal = a.to_numpy() == b.to_numpy()
    relative = np.where(equal | _both_nan(a, b), 0.0, np.inf)
    if column == "n" or column.startswith(("n_", "num_")) or column == "best_step":
        return np.where(numbers & (x == y), 0.0, relative)
    distance = np.abs(np.subtract(y, x, where=numbers, out=np.zeros_like(x)))
    size = np.maximum(np.abs(x), np.abs(y))
    floor = FLOOR**2 if "mse" in column else FLOOR
    within = np.divide(distance, size, where=numbers & (size > 0), out=np.zeros_like(x))
    return np.where(numbers, np.where(distance <= floor, 0.0, within), relative)


def _both_nan(a: pd.Series, b: pd.Series) -> np.ndarray:
    return (a.str.lower().isin(["", "nan"]) & b.str.lower().isin(["", "nan"])).to_numpy()


def _episodes(a: pd.DataFrame, b: pd.DataFrame, envs: pd.Series, tolerance: float) -> tuple[EpisodeDifference, ...]:
    differs = np.max([_relative(column, a[column], b[column]) > tolerance for column in a], axis=0)
    returns = [pd.to_numeric(table[EPISODE_RETURN]).to_numpy(float) for table in (a, b)]
    change = returns[1] - returns[0]
    names = envs.unique()
    found = []
    for env in names:
        rows = (envs == env).to_numpy()
        mean = float(change[rows].mean())
        error = float(stats.sem(change[rows])) if rows.sum() > 1 else (0.0 if mean == 0 else float("inf"))
        half, half_of_all = (
            error * stats.t.ppf(1 - (1 - CONFIDENCE) / (2 * number), max(1, rows.sum() - 1)) if error else 0.0
            for number in (1, len(names))
        )
        beyond = abs(mean) > max(half_of_all, FLOOR)
        found.append(
            EpisodeDifference(
                env, int(rows.sum()), int(differs[rows].sum()), mean, mean - half, mean + half, bool(beyond)
            )
        )
    return tuple(found)


def _plain(value: object) -> object:
    """Write what JSON has no number for as text."""
    if isinstance(value, dict):
        return {key: _plain(x) for key, x in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(x) for x in value]
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value


if __name__ == "__main__":
    sys.exit(main())
