"""A run: a checked preset and the folder its results go to."""

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from tdlib.evaluation.tables import write_table
from tdlib.figures.save import VECTORS, Drawing, SavedFigure, save_drawing
from tdlib.figures.style import NothingToDrawError
from tdlib.study import clock
from tdlib.study.blocks import taken_rows
from tdlib.study.layout import CELLS, RunLayout
from tdlib.study.presets import Preset, PresetError, load_preset
from tdlib.study.provenance import commit_of_memory, produced

SUFFIXES = (".png", ".json", ".csv")  # of the files of a figure


@dataclass(frozen=True)
class Missing:
    """What a notebook shows in place of a figure that has nothing to draw."""

    reason: str

    def __repr__(self) -> str:
        return self.reason


@dataclass(frozen=True)
class Run:
    """One preset with its folders.

    Args:
        preset: What to do.
        layout: Where to put it.
    """

    preset: Preset
    layout: RunLayout

    @property
    def device(self) -> torch.device:
        """CUDA if the preset leaves the choice and there is one."""
        if self.preset.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.device(self.preset.device)

    def select_seeds(self, seeds: Sequence[int] | None) -> tuple[int, ...]:
        """Return the seeds to work on: all that the run makes itself, or the given ones among them."""
        return _select("seeds", self.preset.own_seeds, seeds)

    def save_figure(
        self,
        family: str,
        name: str,
        draw: Callable[..., Drawing],
        *tables: object,
        part: str = "",
        **options: object,
    ) -> "SavedFigure | Missing":
        """Draw and write `results/figures/<family>/<name>.png` with its caption, alternative text and data.

        Args:
            family: Folder.
            name: Name of the file.
            draw: Draws tables.
            tables: What is drawn; None or an empty table where there is nothing.
            part: Label of a part of the grid, whose figures lie apart: those of the whole stand in the book. Where the
                grid itself runs a part, nobody looks at them, and they are not drawn.
            options: Further arguments of `draw`.

        Returns:
            The figure, or what is missing for it.
        """
        if (undrawn := undrawn_here(family, name, part)) is not None:
            return undrawn
        folder = self.layout.figures if not part else self.layout.figure_parts / part
        path = folder / family / f"{name}.png"
        for suffix in VECTORS:  # the report's, of an earlier drawing
            path.with_suffix(suffix).unlink(missing_ok=True)
        with clock.part("figures"):
            try:
                if any(table is None or isinstance(table, pd.DataFrame) and table.empty for table in tables):
                    raise NothingToDrawError("no row of what it shows is among what was chosen")
                saved = save_drawing(draw(*tables, **options), path)
            except NothingToDrawError as reason:
                for suffix in SUFFIXES:  # of another time, when there was something to draw
                    path.with_suffix(suffix).unlink(missing_ok=True)
                return Missing(f"no figure {family}/{name}: {reason}")
        produced(*(file for file in map(saved.path.with_suffix, SUFFIXES) if file.is_file()))
        return saved

    def save_table(self, name: str, table: pd.DataFrame) -> Path:
        """Write a table to `results/metrics/<name>.csv`."""
        return _write(self.layout.metrics / f"{name}.csv", table)

    def save_part(self, name: str, part: str, table: pd.DataFrame, *, shared: bool = False) -> Path:
        """Write one part of a table; its rows name the commit of the source that made them, unless they do so.

        Args:
            name: Name of the table.
            part: Label of the part.
            table: Its rows.
            shared: Whether other jobs add to it, so that this one does not answer for the file.
        """
        made = table if "git_commit" in table else table.assign(git_commit=commit_of_memory())
        path = self.layout.part(name, part)
        return write_table(path, made) if shared else _write(path, made)

    def with_taken(
        self, name: str, table: pd.DataFrame, env: str | None = None, models: Collection[str] | None = None
    ) -> pd.DataFrame:
        """Return a table with the rows of the seeds that the preset takes from earlier runs behind its own.

        Args:
            name: Name of the table.
            table: Rows of this run; empty if it has none.
            env: Environment of the rows that are taken; None for all.
            models: Models of the rows that are taken; None for all.
        """
        if not self.preset.taken:
            return table
        taken = taken_rows(self.preset.name, self.preset.taken, name, env, models)
        own = table[~table["seed"].isin(self.preset.taken)] if len(table) else table
        frames = [frame for frame in (own, taken) if len(frame)]
        return pd.concat(frames, ignore_index=True) if frames else table

    def select_environment(self, env: str) -> str:
        """Return the environment if it belongs to the preset."""
        return _select("env", self.preset.environments, [env])[0]


def is_cell(part: str) -> bool:
    """Whether the grid itself runs this part, so that what is only looked at is left to the notebook of the whole."""
    return bool(part) and os.environ.get("TDLIB_JOB", "").startswith(f"{CELLS}/")


def undrawn_here(family: str, name: str, part: str) -> Missing | None:
    """Return what stands in place of a part's figure where the grid runs the part as a job of its own."""
    if is_cell(part):
        return Missing(f"no figure {family}/{name}: the notebook of the whole grid draws it")
    return None


def open_run(preset: str | os.PathLike) -> Run:
    """Load a preset by name or path and use one torch thread: two processes beat two threads at these sizes.

    Raises:
        PresetError: If the preset cannot run.
    """
    checked = load_preset(preset)
    torch.set_num_threads(1)
    return Run(checked, RunLayout.of(checked.name))


def _write(path: Path, table: pd.DataFrame) -> Path:
    write_table(path, table)
    produced(path)
    return path


def _select(name: str, allowed: tuple, chosen: Sequence | None) -> tuple:
    if chosen is None or len(chosen) == 0:
        return allowed
    unknown = [value for value in chosen if value not in allowed]
    if unknown:
        raise PresetError(f"{name} must be among the preset's {list(allowed)}, got {unknown}")
    return tuple(chosen)
