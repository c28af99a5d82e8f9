"""The live figure of a notebook's own cells on a finished run, without the figures before it."""

import time
from unittest.mock import patch

from notebook_cells import run_cells

from tdlib.grid.jobs import grid_jobs
from tdlib.study.book import runs_of
from tdlib.study.live import LiveFigure
from tdlib.study.presets import load_preset
from tdlib.study.run import Missing, Run

PRESET = "smoke"
FIRST_SYSTEM = load_preset(PRESET).environments[0]
NOT_HERE = ("07_explorer",)  # it is live as a whole
CELLS = [
    (job.notebook, job.parameters if run.name == PRESET else {**job.parameters, "preset": run.name})
    for run in runs_of(load_preset(PRESET))
    for job in grid_jobs(run)
    if job.notebook not in NOT_HERE
]  # (notebook, its parameters) of every live figure of the run and of its chapters
NAMES = [" ".join([name, *parameters.values()]) for name, parameters in CELLS]


def live_figure(name: str, **parameters: object) -> tuple[LiveFigure, float]:
    """Run a notebook up to its live figure; return that and how long its cell took [s]."""
    whole = Run.save_figure

    def only_live(run: Run, family: str, *arguments: object, **options: object) -> object:
        return whole(run, family, *arguments, **options) if family == "live" else Missing("left out")

    with patch.object(Run, "save_figure", only_live):
        cells = run_cells(name, {}, **{"preset": PRESET, **parameters})
        while True:
            started = time.perf_counter()
            shown = next(cells)
            if isinstance(shown, LiveFigure):
                return shown, time.perf_counter() - started
