"""The explorer's files beside a staged book: engine and script, weights per environment, and the run's error table."""

from collections.abc import Sequence
from pathlib import Path

from tdlib.core.files import write_text
from tdlib.explorer.assets import write_assets
from tdlib.explorer.python.found import KINDS
from tdlib.explorer.python.pack import packed_seeds, weight_file, write_weights
from tdlib.explorer.python.page import page_script, read_statistics
from tdlib.study.layout import ROOT
from tdlib.systems import SYSTEMS
from tdlib.training.checkpoint import MODEL_FILE


def stage_found(static: Path, figures: Path) -> None:
    """Copy what torch found for pages, which lies beside a run's figures, into a folder of its kind in a static one."""
    for kind in KINDS:
        for path in sorted(figures.glob(f"*/*-{kind}.js")):
            write_text(static / kind / path.name, path.read_text(encoding="utf-8"))


def stage_explorer(static: Path, models: Path, seed: int, statistics: Path, chapters: Sequence[Path] = ()) -> None:
    """Write scripts, `explorer.css`, `explorer_run.js` and `weights/` into a page's static folder.

    Without any model, as in a run of a chapter that trains none, the page has the engine and no weights.

    Args:
        static: Folder to fill.
        models: Folder of checkpoints, `<env>/<model>/<arm>/seed<n>`.
        seed: Seed of the models that the page reads first; those of others are read when a reader chooses them.
        statistics: The run's `statistics.csv`; without it the explorer computes its train × test table.
        chapters: Folders of checkpoints of chapters beside it; they may share systems.
    """
    write_assets(static)
    roots = [models, *chapters]
    shown = [root.relative_to(ROOT).as_posix() if root.is_relative_to(ROOT) else root.name for root in roots]
    any_models = any(path for root in roots for path in root.glob(f"*/*/*/*/{MODEL_FILE}"))
    sizes = write_weights(roots, seed, static / "weights") if any_models else {}
    carried = [env for env, system in SYSTEMS.items() if weight_file(system.spec) in sizes]
    seeds = {env: packed_seeds(roots, env, seed) for env in carried}
    write_text(static / "explorer_run.js", page_script(read_statistics(statistics), shown, list(seeds), seeds))
