"""Clocks of logs: stamps turned into seconds, and what can be said of their rate, jitter, gaps and steps back."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tdlib.core.time_grid import delta_t_of
from tdlib.data.schema import DatasetError, RateError

SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
WRITTEN = {"sec": "s", "secs": "s", "seconds": "s", "second": "s", "msec": "ms", "millis": "ms", "milliseconds": "ms",
           "usec": "us", "µs": "us", "μs": "us", "micros": "us", "microseconds": "us", "nsec": "ns", "nanos": "ns",
           "nanoseconds": "ns", "nanosec": "ns"}  # fmt: skip
LIKELY = (1e-6, 1.0)  # [s]; a median interval outside is that of another unit, or has to be declared
JITTER = 1e-3  # relative; intervals that differ by more are not of one rate
GAP = 1.75  # median intervals; one row lost makes 2
BURSTS = (0.05, 0.5)  # share of intervals that are gaps, and rows lost in them per row, above which neither is one
PAUSE = 10.0  # median intervals; a strict reading takes none for a step
GENERATED = 1e-9  # relative; a clock that was read jitters by more
POSITIONAL = "positional"


@dataclass(frozen=True)
class StampReport:
    """What the stamps of a log say.

    Args:
        rows: Number of stamps.
        rate: 1 / median interval [Hz]; rows over the span of time where they come in bursts.
        jitter: Standard deviation of the intervals that are no gaps, relative to their median.
        shortest, longest: Intervals [s].
        gaps: Intervals of more than `GAP` medians.
        lost: Rows that are missing in them, by their length.
        repeated: Rows whose stamp is that of the row before.
        backward: Rows whose stamp is earlier than that of the row before.
        bursts: 1 / median interval [Hz] where rows come in bursts, as of a sensor whose values are sent some at a time,
            so that the median says nothing of its rate; 0 else.
        generated: Whether the intervals are equal to the last digit, so that they come from a counter, not a clock.
    """

    rows: int
    rate: float
    jitter: float
    shortest: float
    longest: float
    gaps: int
    lost: int
    repeated: int
    backward: int
    bursts: float
    generated: bool

    def __str__(self) -> str:
        parts = [f"{self.rows} rows at {self.rate:.6g} Hz, jitter {100 * self.jitter:.2g} % of an interval"]
        if self.bursts:
            parts = [
                f"{self.rows} rows at {self.rate:.6g} Hz by their number over the span of time, in bursts or unevenly"
            ]
            parts.append(f"their median interval would make {self.bursts:.6g} Hz, the longest is {self.longest:.3g} s")
        if self.gaps:
            parts.append(f"{self.gaps} gaps of up to {self.longest:.3g} s, {self.lost} rows lost by their length")
        if self.repeated or self.backward:
            parts.append(f"{self.repeated} stamps repeat and {self.backward} step back")
        if self.generated:
            parts.append("the stamps are row numbers times one interval: they say nothing of the clock")
        return "; ".join(parts)


def unit_in_name(name: str) -> str | None:
    """Unit of time that a column's name ends with: `stamp_ns`, `Time (s)`, `timestamp_us`; None if it has none."""
    found = re.search(r"[\s_\[(./-]([a-zµμ]+)[\])]?\s*$", name.strip().lower())
    written = WRITTEN.get(found[1], found[1]) if found else None
    return written if written in SECONDS else None


def in_seconds(values: np.ndarray, unit: str | None, column: str, source: str) -> tuple[np.ndarray, str | None]:
    """Return stamps as seconds since the first, and what had to be taken for granted.

    Args:
        values: (T,) stamps, T >= 2; whole numbers stay exact.
        unit: Declared unit; None reads it from the column's name, else takes seconds.
        column: Its name.
        source: File, for messages.

    Raises:
        DatasetError: If the unit is unknown, or none was declared and the intervals are not those of seconds.
    """
    if unit is not None and unit not in SECONDS:
        raise DatasetError(f"time_unit must be one of {list(SECONDS)}, got {unit!r}")
    found = unit or unit_in_name(column) or "s"
    values = values.astype(np.int64) if values.dtype.kind == "u" else values  # steps back do not wrap
    since = values - values[0]
    times = since * SECONDS[found] if found == "s" else since / round(1 / SECONDS[found])
    if unit is None:
        _check_likely(times, unit_in_name(column), column, source)
    note = None if unit or found == "s" else f"{column} is read in {found}, by its name"
    return np.asarray(times, dtype=np.float64), note


def _check_likely(times: np.ndarray, named: str | None, column: str, source: str) -> None:
    intervals = np.diff(times)
    rising = intervals[intervals > 0]
    typical = float(np.median(rising)) if len(rising) else 1e-2
    low, high = LIKELY
    if low <= typical < high or (named is not None and typical < 3600):
        return
    fitting = [name for name, scale in SECONDS.items() if 1e-4 <= typical * scale < high and name != "s"]
    hint = f"time_unit={fitting[0]!r}" if fitting else "time_unit='s'"
    raise DatasetError(
        f"{source}: {column} must be in seconds [s] unless time_unit says otherwise, got intervals of {typical:.6g} "
        f"(as seconds: {1 / typical:.3g} Hz); pass {hint} if that is their unit, time_unit='s' if they are seconds"
    )


def report_stamps(clocks: Sequence[np.ndarray]) -> StampReport:
    """Describe the clocks of one or several stretches, (T,) each [s]."""
    intervals = np.concatenate([np.diff(times) for times in clocks])
    rising = intervals[intervals > 0]
    typical = float(np.median(rising)) if len(rising) else float("nan")
    bursts = _in_bursts(rising)
    gaps = rising[rising > GAP * typical] if not bursts else rising[:0]
    even = rising[rising <= GAP * typical] if not bursts else rising
    resolution = max((float(np.spacing(np.abs(times).max())) for times in clocks if len(times)), default=0.0)
    spread = float(np.ptp(even)) if len(even) else 0.0
    generated = len(even) > 2 and len(gaps) == 0 and spread <= max(GENERATED * typical, 4 * resolution)
    return StampReport(
        rows=sum(map(len, clocks)),
        rate=1 / (float(rising.mean()) if bursts else typical),
        jitter=float(even.std() / typical) if len(even) else 0.0,
        shortest=float(rising.min()) if len(rising) else float("nan"),
        longest=float(rising.max()) if len(rising) else float("nan"),
        gaps=len(gaps),
        lost=int(np.round(gaps / typical - 1).sum()),
        repeated=int((intervals == 0).sum()),
        backward=int((intervals < 0).sum()),
        bursts=1 / typical if bursts else 0.0,
        generated=bool(generated),
    )


def _in_bursts(rising: np.ndarray) -> bool:
    """Whether intervals are long so often that long ones belong to the clock, (N,) [s] -> bool."""
    if not len(rising):
        return False
    relative = rising / np.median(rising)
    long = relative[relative > GAP]
    share, lost = BURSTS
    return len(long) > share * len(rising) and float(np.round(long - 1).sum()) > lost * len(rising)


def require_rising(times: np.ndarray, stamps: np.ndarray, column: str, source: str) -> None:
    """Refuse stamps that repeat or step back.

    Raises:
        DatasetError: Names the first such row, counted from 1, and its stamp.
    """
    steps = np.diff(times)
    if (steps <= 0).any():
        row = int(np.argmax(steps <= 0)) + 2
        raise DatasetError(
            f"{source}: {column} must rise from row to row, got {stamps[row - 1]} in row {row} after "
            f"{stamps[row - 2]}; stamps='repair' leaves such rows out or begins an episode there"
        )


def require_no_pause(times: np.ndarray, column: str, source: str) -> None:
    """Refuse an interval of many medians: a recorder that stood still, over which nobody knows what acted.

    Raises:
        DatasetError: Names the row behind it, counted from 1, and its length.
    """
    steps = np.diff(times)
    if len(steps) and not _in_bursts(steps) and steps.max() > PAUSE * np.median(steps):
        row = int(np.argmax(steps)) + 2
        raise DatasetError(
            f"{source}: {column} must go on without a pause of more than {PAUSE:g} intervals, got {steps.max():.6g} s "
            f"before row {row} where most are {np.median(steps):.6g} s; stamps='repair' begins an episode there, "
            "irregular=True takes it for one step"
        )


def stretches(times: np.ndarray) -> list[np.ndarray]:
    """Rows of every stretch whose stamps rise without a gap; rows that repeat a stamp are in none.

    Args:
        times: (T,) [s].

    Returns:
        Row numbers of each stretch of at least two rows.
    """
    keep = np.concatenate([[True], np.diff(times) != 0])
    rows = np.flatnonzero(keep)
    steps = np.diff(times[rows])
    rising = steps[steps > 0]
    typical = float(np.median(rising)) if len(rising) and not _in_bursts(rising) else np.inf
    cuts = np.flatnonzero((steps < 0) | (steps > GAP * typical)) + 1
    return [part for part in np.split(rows, cuts) if len(part) > 1]


def common_rate(intervals: np.ndarray, control_frequency: float | None, irregular: bool | None) -> float | None:
    """Return the one rate of some intervals [Hz], or None where every row keeps its own.

    Args:
        intervals: (N,) [s].
        control_frequency: Rate that they must have; None takes their own.
        irregular: True keeps every interval, None only where they differ, False refuses those that differ.

    Raises:
        DatasetError: If intervals differ and must not.
        RateError: If their rate, or the median's where they differ, is not the one asked for.
    """
    typical = float(np.median(intervals))
    worst = float(intervals[np.argmax(np.abs(intervals - typical))])
    even = abs(worst - typical) <= JITTER * typical
    if irregular is False and not even:
        raise DatasetError(
            f"timestamp: intervals must be constant to {JITTER:g} unless irregular=True, "
            f"got {worst:.6g} s where most are {typical:.6g} s"
        )
    if control_frequency is not None and abs(delta_t_of(control_frequency) - typical) > JITTER * typical:
        found = f"{1 / typical:.4g} Hz"
        raise RateError(f"control_frequency must be the log's rate, {found}, got {control_frequency:g} Hz")
    if irregular or not even:
        return None
    return round(1 / typical, 3) if control_frequency is None else float(control_frequency)
