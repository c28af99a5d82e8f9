"""Rows of seeds that earlier runs made: a long study goes block by block, and what surely stays of a block is its rows.

`make block PRESET=full SEEDS="2 3"` writes `book/blocks/full/seeds2-3/` with the rows of these seeds, compressed, and
what they were made with (`tdlib.publish.block`). A preset that says `taken: [2, 3]` makes nothing of these seeds:
tables, figures, intervals and verdicts of its run show their rows beside those of its own seeds.
"""

import functools
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from tdlib.core.files import parse_yaml, stored
from tdlib.evaluation.tables import read_table
from tdlib.study.layout import ROOT

BLOCKS = ROOT / "book" / "blocks"
MADE_WITH = "block.yaml"  # preset, seeds, commits, versions and hashes of the test data
SHOWN = re.compile(r"^:of: (\w+)$", re.MULTILINE)  # in a page's table
TIMES = ("job_times", "part_times")  # tables of what jobs cost, whose names end with their seeds
SEEDS = re.compile(r"-seeds?(\d+(?:-\d+)*)$")  # at the end of a cell's name
FREE = ("taken", "seeds_per_cell", "chapters", "description", "device")  # keys of a preset that change no row


def block_folder(preset_name: str, seeds: Iterable[int]) -> Path:
    """Return the folder of the rows of some seeds of a preset."""
    return BLOCKS / preset_name / ("seeds" + "-".join(map(str, seeds)))


def blocks_of(preset_name: str) -> dict[int, Path]:
    """Return the folder of every seed of a preset that is in a block.

    Raises:
        ValueError: If a seed is in two.
    """
    found: dict[int, Path] = {}
    for path in sorted((BLOCKS / preset_name).glob(f"[!.]*/{MADE_WITH}")):
        for seed in made_with(path.parent)["seeds"]:
            if seed in found:
                two = f"{_shown(found[seed])} and {_shown(path.parent)}"
                raise ValueError(f"a seed must be in one block, seed {seed} is in {two}")
            found[seed] = path.parent
    return found


@functools.cache
def made_with(folder: Path) -> dict[str, Any]:
    """Read what a block was made with."""
    return parse_yaml((folder / MADE_WITH).read_text(encoding="utf-8"))


def check_blocks(
    preset_name: str,
    taken: Collection[int],
    preset: Mapping[str, Any],
    completed: Callable[[Mapping[str, Any]], Mapping[str, Any]],
) -> None:
    """Check that the seeds that a preset takes were made as it says.

    Args:
        preset_name: Its name.
        taken: Seeds.
        preset: All its keys as plain values.
        completed: Gives a preset of an earlier time the defaults of keys that it did not know.

    Raises:
        ValueError: If a seed is in no block, or its block was made with another value of a key that decides rows.
    """
    there = blocks_of(preset_name)
    if missing := [seed for seed in taken if seed not in there]:
        raise ValueError(
            f"taken must be seeds whose rows lie in {_shown(BLOCKS / preset_name)}, got {missing}; there are "
            f"{sorted(there)}"
        )
    for folder in dict.fromkeys(there[seed] for seed in taken):
        before = completed(made_with(folder)["preset"])
        for key in sorted({*before, *preset} - set(FREE)):
            if before.get(key) != preset.get(key):
                raise ValueError(
                    f"taken must be seeds that were made as the preset says: {_shown(folder)} was made with {key} = "
                    f"{before.get(key)}, got {preset.get(key)}"
                )


def taken_rows(
    preset_name: str, taken: Collection[int], name: str, env: str | None = None, models: Collection[str] | None = None
) -> pd.DataFrame:
    """Read the rows of some seeds of a preset; empty if their blocks lack the table.

    Args:
        preset_name: Name of the preset.
        taken: Seeds.
        name: Name of the table.
        env: Keep rows of this environment only; None for all.
        models: Keep rows of these models only; None for all.
    """
    there, frames = blocks_of(preset_name), []
    for folder in dict.fromkeys(there[seed] for seed in taken):
        if (path := stored(folder / f"{name}.csv")).is_file():
            rows = _rows(path)
            kept = rows["seed"].isin([seed for seed in taken if there[seed] == folder])
            if env is not None:
                kept &= rows["env"] == env
            if models is not None and "model" in rows:
                kept &= rows["model"].isin(models)
            frames.append(rows[kept])
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def presets_on_pages(book: Path = ROOT / "book") -> set[str]:
    """Return the presets that pages show tables of (`:of: full_literal`), whose rows lie in blocks alone."""
    texts = (path.read_text(encoding="utf-8") for path in sorted(book.glob("*.md")))
    return {name for text in texts for name in SHOWN.findall(text)}


def taken_times(preset_name: str, taken: Collection[int], name: str) -> pd.DataFrame:
    """Read what the jobs of some seeds of a preset cost, by job or by part of a job; empty if no block says so.

    A job of several seeds counts with the share of those that are taken.

    Args:
        preset_name: Name of the preset.
        taken: Seeds.
        name: One of TIMES.
    """
    there, frames = blocks_of(preset_name), []
    for folder in dict.fromkeys(there[seed] for seed in taken):
        if (path := stored(folder / f"{name}.csv")).is_file():
            table = pd.read_csv(path)
            share = table["job"].map(lambda job: _share_of(job, taken))
            seconds = [column for column in table if column.endswith("_seconds")]
            frames.append(table.assign(**{each: (table[each] * share).round(2) for each in seconds})[share > 0])
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def notes_of(preset_name: str, taken: Collection[int]) -> list[str]:
    """Return what the blocks of some seeds say of themselves that their tables do not, each a sentence."""
    there = blocks_of(preset_name)
    folders = dict.fromkeys(there[seed] for seed in taken)
    return [str(note) for folder in folders if (note := made_with(folder).get("note"))]


def _share_of(job: str, taken: Collection[int]) -> float:
    """Return the share of a cell's seeds that are among some."""
    found = SEEDS.search(job)
    seeds = [int(seed) for seed in found[1].split("-")] if found else []
    return sum(seed in taken for seed in seeds) / len(seeds) if seeds else 1.0


@functools.cache
def _rows(path: Path) -> pd.DataFrame:
    """Read a table; rows that name no commit, as joined ones once did not, get the one that the block says."""
    table, commit = read_table(path), made_with(path.parent).get("rows_without_commit")
    if commit is None or "git_commit" not in table:
        return table
    return table.assign(git_commit=table["git_commit"].fillna("").replace("", commit))


def _shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)
