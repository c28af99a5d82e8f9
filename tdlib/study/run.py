"""A run: a checked preset and the folder its results go to."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from tdlib.evaluation.tables import write_table
from tdlib.figures.save import Drawing, SavedFigure, save_drawing
from tdlib.study.layout import RunLayout
from tdlib.study.presets import Preset, PresetError, load_preset
from tdlib.study.provenance import commit_of_memory, produced


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
        """Return the seeds to work on: all of the preset, or the given ones among them."""
        return _select("seeds", self.preset.seeds, seeds)

    def select_models(self, models: Sequence[str] | None) -> tuple[str, ...]:
        """Return the models to work on: all of the preset, or the given ones among them."""
        return _select("models", self.preset.models, models)

    def save_figure(self, family: str, name: str, drawing: Drawing) -> SavedFigure:
        """Write a drawing to `results/figures/<family>/<name>.png` with its caption, alternative text and data."""
        saved = save_drawing(drawing, self.layout.figures / family / f"{name}.png")
        produced(*(path for path in map(saved.path.with_suffix, (".png", ".json", ".csv")) if path.is_file()))
        return saved

    def save_table(self, name: str, table: pd.DataFrame) -> Path:
        """Write a table to `results/metrics/<name>.csv`."""
        return _write(self.layout.metrics / f"{name}.csv", table)

    def save_part(self, name: str, part: str, table: pd.DataFrame) -> Path:
        """Write one part of a table; its rows name the commit of the source that made them, unless they do so."""
        made = table if "git_commit" in table else table.assign(git_commit=commit_of_memory())
        return _write(self.layout.part(name, part), made)

    def select_environment(self, env: str) -> str:
        """Return the environment if it belongs to the preset."""
        return _select("env", self.preset.environments, [env])[0]


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
