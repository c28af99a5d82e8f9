"""Tables of one environment and one family, kept row by row: what stands stays, what is missing is made and added.

So any part of a grid can be run in any order: a part of the arms, then all; one seed, then more.
"""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from tdlib.evaluation import merge_tables
from tdlib.evaluation.tables import ARM_COLUMNS
from tdlib.study.arms import Arm
from tdlib.study.provenance import Result, produced
from tdlib.study.selection import Member

Tables = dict[str, pd.DataFrame]


def member_name(arm: Arm, seed: int) -> str:
    """Name a member as the key columns of its rows do."""
    return "/".join([*arm.keys().values(), str(seed)])


def ensure_members(
    results: Mapping[str, tuple[Result, Mapping[str, object]]],
    chosen: Mapping[str, Sequence[Member]],
    load: Callable[[str], Tables],
    make: Callable[[dict[str, list[Member]]], dict[str, Tables]],
    save: Callable[[str, Tables], list],
) -> None:
    """Make the rows of chosen members that do not stand, beside those that do.

    Args:
        results: Of each family, the result and what each of all its members depends on.
        chosen: Of each family, the members that are wanted.
        load: Reads the tables of a family.
        make: Makes the tables of some members of some families.
        save: Writes the tables of a family; returns the files.
    """
    missing, standing = {}, {}
    for name, (result, members) in results.items():
        standing[name] = result.standing(members)
        lacking = [member for member in chosen[name] if member_name(*member) not in standing[name]]
        if lacking:
            missing[name] = lacking
        else:
            produced(result.stamp, *result.files())
    made = make(missing) if missing else {}
    for name, tables in made.items():
        result, members = results[name]
        before = {key: rows_of(table, standing[name]) for key, table in load(name).items()} if standing[name] else {}
        joined = merge_tables([before, tables])
        now = standing[name] | {member_name(*member) for member in missing[name]}
        result.record(save(name, joined), members={key: members[key] for key in members if key in now})


def rows_of(table: pd.DataFrame, members: set[str]) -> pd.DataFrame:
    """Keep the rows of some members; other rows, which belong to none, go."""
    columns = [table[name].astype(str) for name in (*ARM_COLUMNS, "seed")]
    kept = ["/".join(values) in members for values in zip(*columns, strict=True)]
    return table[kept].reset_index(drop=True)
