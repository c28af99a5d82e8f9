"""The explorer of a run or of the edition: trained models, and the table of errors that belongs to them."""

from dataclasses import dataclass
from pathlib import Path

from tdlib.explorer import Explorer
from tdlib.explorer.python.choices import ExplorerChoices
from tdlib.explorer.python.page import HEATMAP_SOURCE, heatmap_rows, read_statistics
from tdlib.figures.selection import main_model
from tdlib.publish.edition import PUBLISHED
from tdlib.study.layout import RunLayout, runs_root
from tdlib.study.run import Run, open_run
from tdlib.study.selection import Selection, select_arms
from tdlib.training.checkpoint import MODEL_FILE

BEST_PRESET = "quick"  # the run that `make book` makes


@dataclass(frozen=True)
class Source:
    """Where an explorer takes its models from.

    Args:
        name: What to call it, for readers.
        models: Folder of checkpoints.
        metrics: Folder of tables.
        env: Environment of the first view; the first one found if None.
    """

    name: str
    models: Path
    metrics: Path
    env: str | None = None


def find_source(preset: str = "") -> Source:
    """Return the models of a preset's run; without a preset the best there are: the edition's, else those of `quick`.

    Raises:
        ValueError: If nothing is trained yet.
    """
    if preset:
        run = open_run(preset)
        name, first = f"run of preset {run.preset.name}", run.preset.environments[0]
        found = [Source(name, run.layout.models, run.layout.metrics, first)]
    else:
        found = [_edition(), _run_source(RunLayout.of(BEST_PRESET).models)]
    for source in found:
        if source.models.is_dir():
            return source
    raise ValueError(f"preset must have trained models (`make book` trains those of quick), got {preset!r} without any")


def explored_arms(run: Run) -> Selection:
    """Return what an explorer needs to have trained: the jump models, or all of a run that has none."""
    return select_arms(run, models=[main_model()] if main_model() in run.preset.models else [])


def open_explorer(source: Source | str = "", env: str | None = None, view: str = "") -> Explorer:
    """Build the explorer of a run, with its own table of errors where it has one.

    Args:
        source: From `find_source`, or a preset's name or path; the best there is if empty.
        env: Environment of the first view; the source's first if None.
        view: Part of a link after "#" that names the first view.

    Raises:
        ValueError: If nothing is trained yet, or nothing of the environment.
    """
    source = source if isinstance(source, Source) else find_source(source)
    return Explorer(source.models, view, source.env if env is None else env, **_table(source))


def all_sources() -> dict[str, Source]:
    """Return every source that there is, by name: the edition, its chapters, and each run that has trained models."""
    found = {}
    chapters = map(_chapter, sorted(PUBLISHED.glob("*/models")))
    for source in (_edition(), *chapters, *map(_run_source, sorted(runs_root().glob("*/models")))):
        if any(source.models.rglob(MODEL_FILE)):
            found[source.name] = source
    return found


def explorer_choices(explorer: Explorer, source: Source) -> ExplorerChoices:
    """Return controls beside an explorer in JupyterLab: run, seed and checkpoints are chosen there.

    Args:
        explorer: From `open_explorer`.
        source: What it shows.
    """
    known = {source.name: source, **all_sources()}

    def show(name: str) -> None:
        explorer.switch(known[name].models, **_table(known[name]))

    return ExplorerChoices(explorer, list(known), source.name, show)


def _table(source: Source) -> dict:
    """The source's own table of errors for the heat map, where it has one."""
    statistics = read_statistics(source.metrics / "statistics.csv")
    if statistics is None:
        return {}
    return {"heatmap": heatmap_rows(statistics), "heatmap_note": HEATMAP_SOURCE}


def _edition() -> Source:
    return Source("edition in book/published", PUBLISHED / "models", PUBLISHED / "results" / "metrics")


def _chapter(models: Path) -> Source:
    name = models.parent.name
    return Source(f"edition in book/published/{name}", models, models.parent / "results" / "metrics")


def _run_source(models: Path) -> Source:
    return Source(f"run of preset {models.parent.name}", models, RunLayout(models.parent).metrics)
