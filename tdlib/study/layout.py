"""Where everything of a run lies: the seed's tree with its names below `runs/<preset>/`."""

import os
from dataclasses import dataclass
from pathlib import Path

from tdlib.core.facts import env_folder

ROOT = Path(__file__).resolve().parents[2]  # the repository: presets, notebooks and book live beside the library
WORKED = "book/own"  # below it: a preset and files of a user's own, of which a chapter tells
CELLS = "cells"  # folder of the notebooks of a grid's parts, which begins the names of their jobs
PREDICTED = "book/predictions.yaml"  # what was claimed before any run
RECORDS = "book/measured"  # below it: what others measured on hardware, and its licenses


def runs_root() -> Path:
    """Return the folder of all runs: `TDLIB_RUNS` if set, else `runs/` in the repository."""
    return Path(os.environ.get("TDLIB_RUNS", ROOT / "runs")).resolve()


@dataclass(frozen=True)
class RunLayout:
    """Folders and files of one run.

    Args:
        root: Folder of the run, for example `runs/quick`.
    """

    root: Path

    @staticmethod
    def of(preset_name: str) -> "RunLayout":
        """Return the layout of a preset's run below `runs_root()`."""
        return RunLayout(runs_root() / preset_name)

    @property
    def data(self) -> Path:
        """Data sets of all kinds."""
        return self.root / "data"

    @property
    def models(self) -> Path:
        """Checkpoints."""
        return self.root / "models"

    @property
    def unfinished(self) -> Path:
        """States of long trainings, until their checkpoints are there."""
        return self.root / "unfinished"

    @property
    def metrics(self) -> Path:
        """Tables of results."""
        return self.root / "results" / "metrics"

    @property
    def metric_parts(self) -> Path:
        """Tables of single cells, merged into `metrics` by the statistics notebook."""
        return self.root / "results" / "metrics" / "parts"

    @property
    def trajectories(self) -> Path:
        """Predicted and true trajectories kept for failure analysis."""
        return self.root / "results" / "trajectories"

    @property
    def figures(self) -> Path:
        """Figures, one folder per family."""
        return self.root / "results" / "figures"

    @property
    def figure_parts(self) -> Path:
        """Figures of parts of the grid, one folder per part."""
        return self.root / "results" / "figure_parts"

    @property
    def videos(self) -> Path:
        """Rollout videos."""
        return self.root / "results" / "videos"

    @property
    def evaluations(self) -> Path:
        """Evaluations of single checkpoints, one folder each."""
        return self.root / "results" / "evaluations"

    @property
    def reports(self) -> Path:
        """Comparisons of checkpoints, one folder for every time one was written."""
        return self.root / "reports"

    @property
    def notebooks(self) -> Path:
        """Executed notebooks."""
        return self.root / "notebooks"

    @property
    def logs(self) -> Path:
        """One log file and one progress file per job."""
        return self.root / "logs"

    @property
    def site(self) -> Path:
        """Staged sources of the book."""
        return self.root / "site"

    @property
    def html(self) -> Path:
        """The built book."""
        return self.root / "html"

    def ppo_folder(self, env: str, label: str, seed: int) -> Path:
        """Folder of one PPO agent and its data; `label` is a rate label such as `10hz`."""
        return self.data / "raw" / env_folder(env) / label / f"seed{seed}"

    def random_folder(self, env: str, label: str, seed: int) -> Path:
        """Folder of one random-input data set."""
        return self.data / "random" / env_folder(env) / label / f"seed{seed}"

    def partly_seen_folder(self, name: str, label: str, seed: int) -> Path:
        """Folder of one set of which a part is seen."""
        return self.data / "partly_seen" / env_folder(name) / label / f"seed{seed}"

    def branched_folder(self, env: str, seed: int) -> Path:
        """Folder of the branched data sets of one seed."""
        return self.data / "branched" / env_folder(env) / f"seed{seed}"

    def model_folder(self, env: str, model: str, arm_folder: str, seed: int) -> Path:
        """Folder of one checkpoint."""
        return self.models / env_folder(env) / model / arm_folder / f"seed{seed}"

    def part(self, table: str, cell: str) -> Path:
        """Path of one cell's part of a result table."""
        return self.metric_parts / f"{table}-{cell}.csv"
