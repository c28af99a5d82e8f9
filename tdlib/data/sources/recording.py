"""What every kind of log comes to before it becomes a set: named columns as they were recorded, and notes on them.

A reader of one format gives `Recording`s, one per stretch of time; `tdlib.data.sources.logs` makes a set of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Literal

import numpy as np

from tdlib.core.specs import EnvironmentSpec
from tdlib.data.schema import DatasetError

TIMESTAMP = "timestamp"
STATE_GROUPS = ("qpos", "qvel", "state")  # columns that make up the state
GROUPS = (*STATE_GROUPS, "ctrl")
Columns = Mapping[str, str | Sequence[str]]  # group (timestamp, qpos, qvel, state, ctrl) -> names of columns


@dataclass(frozen=True)
class Recording:
    """One stretch of a log.

    Args:
        source: File or topic that it comes from, for messages.
        columns: Name -> (T,) values, in the order of the file; text where a cell was no number.
        notes: What was done or guessed while reading, one sentence each.
        roles: Group -> columns where the format itself says so; empty if names have to tell.
        positional: Whether stamps are row numbers over a declared rate, so that they say nothing of the clock.
    """

    source: str
    columns: Mapping[str, np.ndarray]
    notes: tuple[str, ...] = ()
    roles: Columns = field(default_factory=dict)
    positional: bool = False


@dataclass(frozen=True)
class Reading:
    """How a log is to be read; everything has a default, and what is left to names or stamps is said in the set.

    Args:
        spec: Environment the log is of; positions, velocities and other states are filled in order. None builds one.
        name: Name of the environment where `spec` is None.
        columns: Which columns are what: keys `timestamp`, `qpos`, `qvel`, `state`, `ctrl`, each with a name or several.
            None takes the names `qpos_0`, ... where there are any, what the format says, or a guess by name.
        angles: Columns that are angles, by name, or positions by number.
        units: Column -> unit. Of `deg` and `deg/s`, of states and inputs, the set is given radians.
        time_unit: Of the stamps: s, ms, us, ns. None reads it from the column's name, else takes seconds.
        control_frequency: Rate that the log must have [Hz]; None takes the log's own. A log without stamps is taken to
            have it, which is said.
        irregular: Whether every row keeps its own interval. None: where they differ, but a pause of ten intervals is
            refused. True: a pause too is a step. False refuses those that differ.
        stamps: `strict` refuses stamps that repeat or step back; `repair` leaves rows out whose stamp repeats, begins
            an episode anew where time steps back or rows are missing, and counts them.

    Raises:
        ValueError: If a choice is unknown.
    """

    spec: EnvironmentSpec | None = None
    name: str = "imported"
    columns: Columns | None = None
    angles: tuple[str | int, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    time_unit: str | None = None
    control_frequency: float | None = None
    irregular: bool | None = None
    stamps: Literal["strict", "repair"] = "strict"

    def __post_init__(self):
        if self.stamps not in ("strict", "repair"):
            raise ValueError(f"stamps must be 'strict' or 'repair', got {self.stamps!r}")
        for key, names in (self.columns or {}).items():
            if key not in (TIMESTAMP, *GROUPS):
                raise ValueError(f"columns must have keys among {[TIMESTAMP, *GROUPS]}, got {key!r}")
            if key == TIMESTAMP and not isinstance(names, str):
                raise ValueError(f"columns[{key!r}] must name one column, got {names!r}")


AS_FOUND = Reading()


def add_columns(columns: dict[str, np.ndarray], more: Mapping[str, np.ndarray], source: str) -> None:
    """Add columns to others, (T,) each.

    Raises:
        DatasetError: If a name is there already: one of both would be lost.
    """
    if twice := sorted(set(columns) & set(more)):
        raise DatasetError(f"{source}: columns must have names of their own, got {shortened(twice)} more than once")
    columns.update(more)


def refuse_unused(reading: Reading, used: Sequence[str], source: str) -> None:
    """Refuse what a file does not let anybody declare, since it says it itself.

    Raises:
        DatasetError: If a field that is not used differs from its default.
    """
    for each in fields(Reading):
        value = getattr(reading, each.name)
        if each.name not in used and value != getattr(AS_FOUND, each.name):
            raise DatasetError(f"{source}: {each.name} must be left out, the file itself says it, got {value!r}")


def shortened(names: Sequence[str], most: int = 12) -> str:
    """List names for a message, the first ones of many."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{list(names[:most])}{more}"
