"""What does the result table say? Reads statistics.csv, selects one row, writes it as text. No Sphinx in here."""

import csv
import functools
import io
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

from tdlib.core.files import stored, stored_bytes

KEYS = ("metric", "env", "model", "method", "form", "size", "data", "train_frequency", "test_frequency", "detail")
DEFAULTS = (("size", "hidden64"), ("data", "transitions"))  # used in this order, only if several rows match
STATISTICS = Path("results/metrics/statistics.csv")
PREDICTIONS = Path("results/metrics/predictions.csv")
SUMMARIES = (Path("results/summary_statistics.json"), Path("results/metrics/summary_statistics.json"))
ALARM = Path("results/metrics/ensemble_calibration.csv")  # or the same compressed, as an edition keeps it
ALARM_METRIC = "ensemble.auroc"
PUBLISHED = Path("book/published")
BLOCKS = Path("results/blocks")  # statistics of presets that have rows in blocks and no edition, one folder each


class QueryError(ValueError):
    """A query that no row, or more than one row, answers."""


GROUP_KEYS = ("metric", "env")
SPEC = ".3g"  # how a number is written if nothing else is asked for; three significant digits
DIGITS = re.compile(r"\.(\d+)g")  # a format with a number of significant digits
MOST_DECIMALS = 6  # beyond them a power of ten is shorter
FIXED = re.compile(r"\.(\d+)f")  # a format with a number of decimals
MORE_DECIMALS = 2


@dataclass(frozen=True)
class Value:
    """One number of the result table with its 95 % interval.

    Args:
        mean: The estimate.
        low: Lower end of the interval; NaN if there is none (one seed).
        high: Upper end.
        num_seeds: Number of seeds; 0 for a number that is computed, not measured.
        n: Number of measurements below it.
        preset: That of the chapter which measured it; empty for one of the study's own.
        bad: Number of further seeds, whose value is not finite: their models diverged.
    """

    mean: float
    low: float
    high: float
    num_seeds: int
    n: int
    preset: str = ""
    bad: int = 0

    @property
    def has_interval(self) -> bool:
        """Whether there is an interval; one seed has none, whatever the table says."""
        return math.isfinite(self.low) and math.isfinite(self.high) and self.num_seeds != 1

    def text(self, spec: str = SPEC, brief: bool = False) -> str:
        """Write it as `1.49 [1.45, 1.53] (n = 2 seeds)`; brief leaves the seeds out."""
        shown = [self.mean, *([self.low, self.high] if self.has_interval else [])]
        number, *ends = written(shown, spec)
        if ends:
            number += f" [{', '.join(ends)}]"
        if self.bad and brief:
            return f"{number} ({self.bad} of {self.num_seeds + self.bad} seeds diverged)"
        if self.bad:
            return f"{number} (n = {self.num_seeds} of {self.num_seeds + self.bad} seeds, the others diverged)"
        if brief or not self.num_seeds:
            return number
        return f"{number} (n = {self.num_seeds} seed{'s' if self.num_seeds != 1 else ''})"


def written(numbers: list[float], spec: str) -> list[str]:
    """Write numbers that belong together with as many decimals; nothing that is not zero is shown as zero.

    Where a number would be, all get up to two decimals more; what is smaller still is zero without a sign. Of a format
    of significant digits, `.3g`, the first number has so many, or what its interval leaves of them.
    """
    if (digits := DIGITS.fullmatch(spec)) is not None:
        finite = [x for x in numbers if math.isfinite(x)]
        size = max(abs(numbers[0]), max(finite) - min(finite)) if math.isfinite(numbers[0]) else 0.0
        decimals = max(0, int(digits[1]) - 1 - math.floor(math.log10(size))) if size else 0
        if decimals <= MOST_DECIMALS:
            return [_number(x, f".{decimals}f") for x in numbers]
    fixed = FIXED.fullmatch(spec)
    if fixed is not None:
        decimals, most = int(fixed[1]), int(fixed[1]) + MORE_DECIMALS
        while decimals < most and any(_visible(x, most) and not _visible(x, decimals) for x in numbers):
            decimals += 1
        spec = f".{decimals}f"
    return [_number(x, spec) for x in numbers]


def _visible(x: float, decimals: int) -> bool:
    return float(f"{x:.{decimals}f}") != 0


def _number(x: float, spec: str) -> str:
    if not math.isfinite(x):
        return "not finite"
    text = format(x, spec)
    return (text.removeprefix("-") if float(text) == 0 else text).replace("-", "−")


def parse_query(text: str) -> dict[str, str]:
    """Parse `metric=one_step.mse, env=Pendulum-v1` into a dict.

    Raises:
        QueryError: If a part is not `key=value` or the key is unknown.
    """
    query = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        key, sign, value = (s.strip() for s in part.partition("="))
        if not sign or key not in KEYS:
            raise QueryError(f"a query is a list of key=value with keys {', '.join(KEYS)}; got {part!r}")
        query[key] = value
    return query


class Rows(list):
    """Rows of the result table, found by the keys that every query has; a book asks some 600 of 8000 rows."""

    @functools.cached_property
    def groups(self) -> dict[tuple[str, ...], list[dict[str, str]]]:
        """Rows by metric and environment."""
        found: dict[tuple[str, ...], list[dict[str, str]]] = {}
        for row in self:
            found.setdefault(tuple(row.get(key, "") for key in GROUP_KEYS), []).append(row)
        return found

    def candidates(self, query: dict[str, str]) -> list[dict[str, str]]:
        """Rows that can answer a query."""
        if all(key in query for key in GROUP_KEYS):
            return self.groups.get(tuple(query[key] for key in GROUP_KEYS), [])
        return self


def read_statistics(path: Path) -> Rows:
    """Read the tidy table; every cell stays text, so that rates such as `mixed` and `20` are alike."""
    return _read(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=4)
def _read(path: Path, changed: int) -> Rows:
    return Rows(csv.DictReader(io.StringIO(stored_bytes(path).decode())))


def alarm_rows(folder: Path) -> list[dict[str, str]]:
    """List how well an ensemble's spread tells a rate from the known ones (AUROC), one row per ensemble and test rate.

    `statistics.csv` does not hold it, so mean and t interval over the seeds are taken here.
    """
    path = stored(folder / ALARM)
    if not path.is_file():
        return []
    return [_with_interval(row, values) for row, values in alarm_values(stored_bytes(path).decode())]


def alarm_values(text: str) -> list[tuple[dict[str, str], list[float]]]:
    """Group the AUROC of `ensemble_calibration.csv` by ensemble and test rate: keys of a row, one value per seed."""
    groups: dict[tuple[str, ...], tuple[dict[str, str], list[float]]] = {}
    for line in csv.DictReader(text.splitlines()):
        if line["bin"] == "all" and math.isfinite(_float(line["auroc"])):
            row = {key: line.get(key, "") for key in KEYS} | {"metric": ALARM_METRIC, "n": line["n"]}
            groups.setdefault(tuple(row[key] for key in KEYS), (row, []))[1].append(float(line["auroc"]))
    return list(groups.values())


def _with_interval(row: dict[str, str], values: list[float]) -> dict[str, str]:
    from tdlib.study.inference import t_interval  # statistics are the library's; whoever only looks up needs none

    found = t_interval(values)
    low, high = max(found.ci_low, 0.0), min(found.ci_high, 1.0)
    return row | {"mean": str(found.mean), "ci_low": str(low), "ci_high": str(high), "n_seeds": str(len(values))}


def read_preset(folder: Path) -> dict:
    """Read the headline file of a run; an empty dict if there is none."""
    path = next((folder / name for name in SUMMARIES if (folder / name).exists()), None)
    return {} if path is None else json.loads(path.read_text(encoding="utf-8"))


def find(rows: list[dict[str, str]], query: dict[str, str]) -> Value:
    """Return the number of the one row that answers a query, see `find_row`."""
    row = find_row(rows, query)
    return Value(
        _float(row["mean"]),
        _float(row["ci_low"]),
        _float(row["ci_high"]),
        int(_float(row.get("n_seeds")) or 0),
        int(_float(row.get("n")) or 0),
        row.get("preset") or "",
        int(_float(row.get("bad") or "0")),
    )


def find_row(rows: list[dict[str, str]], query: dict[str, str]) -> dict[str, str]:
    """Select the one row that answers a query.

    Keys that are not given match anything. If several rows remain, hidden64 and then equal transitions are preferred.

    Raises:
        QueryError: If no row or more than one row remains.
    """
    rows = rows.candidates(query) if isinstance(rows, Rows) else rows
    found = [row for row in rows if all(_same(row.get(key, ""), value) for key, value in query.items())]
    for key, value in DEFAULTS:
        if len(found) > 1 and key not in query:
            found = [row for row in found if row.get(key) == value] or found
    if len(found) != 1:
        shown = ", ".join(f"{key}={value}" for key, value in query.items())
        raise QueryError(f"exactly one row must match, {len(found)} do: {shown}")
    return found[0]


def _same(cell: str, value: str) -> bool:
    if cell == value:
        return True
    try:  # 20 and 20.0 are one rate
        return float(cell) == float(value)
    except ValueError:
        return False


def _float(cell: str | None) -> float:
    try:
        return float(cell)
    except (TypeError, ValueError):
        return math.nan


@dataclass(frozen=True)
class Source:
    """Where numbers come from: a folder with `results/`, and its rows.

    Args:
        folder: The folder that holds `results/`.
        label: What a reader is told, for example `published edition, preset quick`.
        rows: Rows of its statistics.csv.
    """

    folder: Path
    label: str
    rows: list[dict[str, str]]

    @property
    def interval(self) -> str:
        """What the brackets of its numbers are; before verdicts came with a run they were a bootstrap over seeds."""
        return (
            "95 % t interval"
            if (self.folder / PREDICTIONS).exists() or BLOCKS.name in self.folder.parts
            else "bootstrap interval, of two seeds their range,"
        )


def open_source(folder: Path, what: str) -> Source | None:
    """Open the results below a folder; None if its statistics.csv does not exist."""
    path = stored(folder / STATISTICS)
    if not path.is_file():
        return None
    preset = read_preset(folder).get("preset", "unknown")
    rows = Rows([*read_statistics(path), *alarm_rows(folder)])
    return Source(folder, f"{what}, preset {preset}", rows)


def ran(presets: set[str], label: str) -> str:
    """Return the label of a source with the presets that measured its rows, an empty one of them being the study's."""
    kind, _, study = label.rpartition("preset ")
    chapters = sorted(presets - {""})
    return f"{kind}preset {', '.join([study] * ('' in presets) + chapters)}" if chapters else label


def sources(root: Path, conclusions: bool) -> list[Source]:
    """List where a page looks for numbers, in order.

    Phase pages show this run. Pages with conclusions read the published edition where there is one, then this run.
    """
    run = open_source(root, "this run")
    published = open_source(root / PUBLISHED, "published edition") if conclusions else None
    return [source for source in (published, run) if source is not None]
