"""The live figure of a notebook's own cells on a finished run, without the figures before it."""

import time
from unittest.mock import patch

from notebook_cells import run_cells

from tdlib.study.live import LiveFigure
from tdlib.study.presets import load_preset
from tdlib.study.run import Missing, Run

PRESET = "smoke"
SYSTEMS = load_preset(PRESET).environments
FIRST_SYSTEM = SYSTEMS[0]
PER_SYSTEM = ("01_data_exploration", "02_training_analysis", "03_results_visualization", "04_control")
OF_ALL = ("00_ground_truth", "05_statistics", "06_paper_figures", "08_bring_your_own")
CHAPTER = "physics_smoke"
CHAPTER_SYSTEMS = load_preset(CHAPTER).environments
CELLS = [
    *((name, {"env": env}) for name in PER_SYSTEM for env in SYSTEMS),
    *((name, {}) for name in OF_ALL),
    *(
        (name, {"env": env, "preset": CHAPTER})
        for name in ("10_physics_train", "11_physics_evaluate")
        for env in CHAPTER_SYSTEMS
    ),
    *((name, {"preset": CHAPTER}) for name in ("12_physics_report", "13_physics_visualize")),
]  # (notebook, its parameters) of every live figure of the run
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
