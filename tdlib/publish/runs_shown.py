"""Which runs a staged book shows: the preset of each notebook, and of each preset what it is and what trained it.

The banner of a page, and the command below a figure, are read from these two files.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tdlib.core.files import write_text
from tdlib.study.layout import RunLayout
from tdlib.study.presets import Preset

PRESETS = "presets.json"  # in results/: which preset each notebook ran
RUNS = "runs.json"  # in results/: of each preset its description and the commits that its models were trained at
TRAINED = "training_summary.csv"  # the table in which a chapter says so; one row for each model


@dataclass(frozen=True)
class Finished:
    """What a finished run left for readers.

    Args:
        notebooks: Folder of executed notebooks.
        results: Folder with `metrics`, `figures` and `videos`.
        models: Folder of checkpoints.
        preset: Name of its preset.
        description: What that says of itself.
    """

    notebooks: Path
    results: Path
    models: Path
    preset: str
    description: str = ""

    @classmethod
    def of(cls, layout: RunLayout, preset: Preset) -> "Finished":
        """Return the run of a preset in its folder."""
        return cls(layout.notebooks, layout.root / "results", layout.models, preset.name, preset.description)

    def executed(self) -> list[Path]:
        """Return its executed notebooks in order."""
        return sorted(self.notebooks.glob("[!.]*.ipynb"))

    def commits(self) -> list[str]:
        """Return the commits that its models were trained at; none if it trained none or does not say."""
        path = self.results / "metrics" / TRAINED
        return commits_in(path) if path.is_file() else []


def commits_in(path: Path) -> list[str]:
    """Return the commits that the rows of a table name, in their order."""
    table = pd.read_csv(path, dtype=str, usecols=lambda name: name == "git_commit")
    return [] if table.empty else list(dict.fromkeys(table["git_commit"].dropna()))


def write_runs(runs: Iterable[Finished], results: Path) -> None:
    """Write both files into the `results` of a staged site."""
    runs = list(runs)
    made_by = {path.stem: run.preset for run in runs for path in run.executed()}
    write_text(results / PRESETS, json.dumps(made_by, indent=1))
    said = {run.preset: {"description": run.description, "commits": run.commits()} for run in runs}
    write_text(results / RUNS, json.dumps(said, indent=1))
