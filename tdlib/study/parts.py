"""Tables of one environment and one family, kept row by row: what stands stays, what is missing is made and added.

So any part of a grid can be run in any order: a part of the arms, then all; one seed, then more. Work that takes long
is written while it goes on, unit by unit (`KeptRows`), so that what is interrupted goes on where it was.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from tdlib.evaluation import merge_tables
from tdlib.evaluation.tables import MEMBER_COLUMNS, as_written, order_columns, read_table
from tdlib.study.arms import Arm
from tdlib.study.provenance import Result, answers_for, commit_of_memory
from tdlib.study.selection import Member

Tables = dict[str, pd.DataFrame]
SAVE_SECONDS = 20.0  # between two writes of rows that are being made; longer where a write takes more than 1 s


def member_name(arm: Arm, seed: int) -> str:
    """Name a member as the key columns of its rows do."""
    return "/".join([*arm.keys().values(), str(seed)])


def ensure_members(
    results: Mapping[str, tuple[Result, Mapping[str, object]]],
    chosen: Mapping[str, Sequence[Member]],
    load: Callable[[str], Tables],
    make: Callable[[dict[str, list[Member]]], dict[str, Tables]],
    save: Callable[[str, Tables, set[str]], list[Path]],
) -> None:
    """Make the rows of chosen members that do not stand, beside those that do.

    Args:
        results: Of each family, the result and what each of all its members depends on.
        chosen: Of each family, the members that are wanted.
        load: Reads the tables of a family.
        make: Makes the tables of some members of some families.
        save: Writes the tables of a family, told which members stand from before; returns the files.
    """
    missing, standing = {}, {}
    for name, (result, members) in results.items():
        standing[name] = result.standing(members)
        answers_for(result.stamp, [member_name(*member) for member in chosen[name]])
        lacking = [member for member in chosen[name] if member_name(*member) not in standing[name]]
        if lacking:
            missing[name] = lacking
    made = make(missing) if missing else {}
    for name, tables in made.items():
        result, members = results[name]
        tables = {key: table.assign(git_commit=commit_of_memory()) for key, table in tables.items()}
        before = {key: rows_of(table, standing[name]) for key, table in load(name).items()} if standing[name] else {}
        joined = merge_tables([before, tables])
        now = standing[name] | {member_name(*member) for member in missing[name]}
        result.record(save(name, joined, standing[name]), members={key: members[key] for key in members if key in now})


class KeptRows:
    """Rows of one table by unit: those that stand were read, what is added is written while more is being made.

    The rows stand in the order of the units, whenever they were made, so an interrupted run that goes on ends with the
    table of one that was not.

    Args:
        result: The table with its stamp.
        units: What each unit depends on, by name, in the order of the table.
        columns: Columns whose values, joined, name the unit of a row.
        path: File of the table.
        save: Writes the table, and what belongs to its rows; returns the files.
    """

    def __init__(
        self,
        result: Result,
        units: Mapping[str, object],
        columns: Sequence[str],
        path: Path,
        save: Callable[[pd.DataFrame], list[Path]],
    ):
        self.result, self.units, self._save, self._columns = result, units, save, columns
        standing = result.standing(units)
        self._rows: dict[str, pd.DataFrame] = {}
        if standing:
            table = read_table(path)
            self._rows = {str(name): rows for name, rows in table.groupby(unit_names(table, columns), sort=False)}
            self._rows = {name: rows for name, rows in self._rows.items() if name in standing}
        self._changed, self._written, self._duration = False, time.monotonic(), 0.0

    def lacks(self, name: str) -> bool:
        """Whether the rows of a unit, which this process then answers for, are still to be made."""
        answers_for(self.result.stamp, [name])
        return name not in self._rows

    def add(self, rows: Iterable[Mapping[str, object]]) -> None:
        """Add the rows of whole units; write if the last time was a while ago."""
        table = order_columns(as_written(pd.DataFrame(list(rows))).assign(git_commit=commit_of_memory()))
        self._rows |= {str(name): own for name, own in table.groupby(unit_names(table, self._columns), sort=False)}
        self._changed = True
        if time.monotonic() - self._written >= SAVE_SECONDS * max(1.0, self._duration):
            self.write()

    def table(self) -> pd.DataFrame:
        """Return all rows."""
        found = [self._rows[name] for name in self.units if name in self._rows]
        return pd.concat(found, ignore_index=True) if found else pd.DataFrame()

    def write(self, complete: Callable[[pd.DataFrame], pd.DataFrame] | None = None) -> None:
        """Write what there is, if it is not written.

        Args:
            complete: Fills in columns that depend on other tables; what they hold may change though no unit did.
        """
        table, began = self.table(), time.monotonic()
        if table.empty:
            return
        filled = table if complete is None else complete(table)
        if self._changed or not filled.astype(str).equals(table.astype(str)):
            made_from = {name: self.units[name] for name in self.units if name in self._rows}
            self.result.record(self._save(filled), members=made_from)
            self._rows = {str(n): rows for n, rows in filled.groupby(unit_names(filled, self._columns), sort=False)}
            self._changed = False
        self._written = time.monotonic()
        self._duration = self._written - began


def rows_of(table: pd.DataFrame, members: set[str]) -> pd.DataFrame:
    """Keep the rows of some members; other rows, which belong to none, go."""
    return table[unit_names(table, MEMBER_COLUMNS).isin(members)].reset_index(drop=True)


def unit_names(table: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """Name the unit that each row belongs to, as `member_name` does."""
    columns_as_text = [table[name].astype(str) for name in columns]
    names = ["/".join(values) for values in zip(*columns_as_text, strict=True)]
    return pd.Series(names, index=table.index, dtype=object)
