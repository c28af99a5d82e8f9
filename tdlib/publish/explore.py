"""The explorer of a run: its trained models, and its own table of errors where the run has one."""

import os

from tdlib.explorer import Explorer
from tdlib.explorer.python.page import heatmap_rows, heatmap_source, read_statistics
from tdlib.study.run import Run, open_run


def open_explorer(run: Run | str | os.PathLike, env: str | None = None, view: str = "") -> Explorer:
    """Build the explorer of a run.

    Args:
        run: A run, or the name or path of its preset.
        env: Environment of the first view, one of the preset's; the preset's first if None.
        view: Part of a link after "#" that names the first view.

    Raises:
        ValueError: If nothing is trained yet.
    """
    run = run if isinstance(run, Run) else open_run(run)
    env = run.select_environment(run.preset.environments[0] if env is None else env)
    if not run.layout.models.is_dir():
        raise ValueError(f"run must have trained models, got preset {run.preset.name!r} without any")
    statistics = read_statistics(run.layout.metrics / "statistics.csv")
    return Explorer(
        run.layout.models,
        view,
        env,
        heatmap={} if statistics is None else heatmap_rows(statistics),
        heatmap_note="" if statistics is None else heatmap_source(statistics),
    )
