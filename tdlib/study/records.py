"""Records of real hardware that lie beside the book: which file is fitted, which is tested, at which steps.

`book/measured/records.yaml` lists them, `book/measured/NOTICE` says where each file is from and what was changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from tdlib.core.specs import EnvironmentSpec
from tdlib.data.schema import TransitionDataset
from tdlib.data.sources.csv_text import CsvStyle, read_csv_text
from tdlib.data.sources.door import import_log
from tdlib.data.sources.recording import Columns, Reading
from tdlib.data.sources.stamps import StampReport, in_seconds, report_stamps
from tdlib.study.layout import RECORDS, ROOT

FOLDER = ROOT / RECORDS
LIST = "records.yaml"


@dataclass(frozen=True)
class Stretch:
    """Part of one file.

    Args:
        file: Its name below the folder of records.
        rows: First and last share of its rows.
        columns: What its columns are, where the two files of a record differ.
    """

    file: str
    rows: tuple[float, float] = (0.0, 1.0)
    columns: Columns = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """States and inputs that are fitted by themselves, by number."""

    states: tuple[int, ...]
    inputs: tuple[int, ...]


@dataclass(frozen=True)
class Record:
    """One question asked of hardware: fitted here, tested there.

    Args:
        name: Of the pair of records; the system of result tables.
        kind: What the hardware is, in a few words.
        train, test: Where.
        rates: Steps that are tested, in rows of the test file.
        own: Rows of the test file that are as long as the training step h.
        every: Rows of the training file that are as long as h.
        columns: What the columns are: see `Reading`.
        rate: Rate of a file without stamps [Hz].
        differences: Whether the state is a value and its last difference, where velocities are not recorded.
        sines: Factors of the positions in each sine that least squares may use.
        parts: What is fitted by itself; empty for all together.
        network: Whether networks are trained too.
        published: Errors that others report for the test file simulated from its inputs, in its unit.
    """

    name: str
    kind: str
    train: Stretch
    test: Stretch
    rates: tuple[int, ...]
    own: int
    every: int = 1
    columns: Columns = field(default_factory=dict)
    rate: float | None = None
    differences: bool = False
    sines: tuple[tuple[float, ...], ...] = ()
    parts: tuple[Part, ...] = ()
    network: bool = False
    published: Mapping[str, float] = field(default_factory=dict)

    def split(self, log: "Log") -> tuple[Part, ...]:
        """Return what is fitted by itself: the declared parts, or the whole."""
        return self.parts or (Part(tuple(range(log.states.shape[1])), tuple(range(log.inputs.shape[1]))),)


@dataclass(frozen=True)
class Log:
    """One stretch of a record as arrays.

    Args:
        states: (T + 1, D).
        inputs: (T, A), each held from its row to the next.
        interval: Median interval [s].
        positions: Dimensions that are positions; of differences, the value.
        spec: Names and units of states and inputs.
        stamps: What the clock of the whole file says; None where there is none.
        data: The imported rows of the whole file.
    """

    states: np.ndarray
    inputs: np.ndarray
    interval: float
    positions: tuple[int, ...]
    spec: EnvironmentSpec
    stamps: StampReport | None
    data: TransitionDataset


def load_records(folder: Path = FOLDER) -> list[Record]:
    """Read the list of records.

    Raises:
        TypeError: If a record has an unknown key or lacks one.
    """
    return list(_read(yaml.safe_load((folder / LIST).read_text(encoding="utf-8"))))


def _read(items: Sequence[Mapping]) -> Iterator[Record]:
    for item in items:
        given = dict(item)
        for side in ("train", "test"):
            given[side] = Stretch(**{**given[side], "rows": tuple(given[side].get("rows", (0.0, 1.0)))})
        given["parts"] = tuple(Part(tuple(p["states"]), tuple(p["inputs"])) for p in given.get("parts", ()))
        given["sines"] = tuple(map(tuple, given.get("sines", ())))
        yield Record(**{**given, "rates": tuple(given["rates"])})


def read_stretch(record: Record, stretch: Stretch, folder: Path = FOLDER) -> Log:
    """Read a stretch of a record through the door that users' own logs come by.

    Raises:
        DatasetError: If the file cannot be read.
        ValueError: If its rows do not follow each other in one stretch of time.
    """
    reading = Reading(columns=stretch.columns or record.columns, control_frequency=record.rate, name=record.name)
    data = import_log(folder / stretch.file, reading)
    if data.num_episodes != 1:
        raise ValueError(f"{stretch.file} must be one stretch of time, got {data.num_episodes}")
    states = np.concatenate([data.state, data.next_state[-1:]])
    inputs, positions = data.action, tuple(data.spec.position_dims)
    if record.differences:
        states, inputs = np.concatenate([states[1:], np.diff(states, axis=0)], axis=1), inputs[1:]
        positions = tuple(range(states.shape[1] // 2))
    first, last = (round(share * len(inputs)) for share in stretch.rows)
    interval = float(np.median(data.delta_t))
    stamps = clock_of(folder / stretch.file, record)
    return Log(states[first : last + 1], inputs[first:last], interval, positions, data.spec, stamps, data)


def clock_of(file: Path, record: Record) -> StampReport | None:
    """Describe the stamps of a file as they were recorded; an import makes equal intervals of nearly equal ones."""
    column = record.columns.get("timestamp")
    if column is None:
        return None
    stamps = read_csv_text(file, CsvStyle()).columns[str(column)]
    times, _ = in_seconds(stamps, None, str(column), file.name)
    return report_stamps([times])
