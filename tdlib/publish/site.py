"""The book: stage a run's notebooks and results beside the prose, build it, and make or build the edition in git.

    python -m tdlib.publish.site build quick        stage runs/quick and build its book
    python -m tdlib.publish.site edition quick      take runs/quick into book/published; a chapter's run into its folder
    python -m tdlib.publish.site published          build the edition in git

Everything is staged into one folder, so that one `_toc.yml` serves every preset that the chapters speak of; another one
gets its own (`tdlib.publish.contents`).
"""

import argparse
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from tdlib.core.files import stored, stored_bytes, write_bytes, write_text, yaml_text
from tdlib.evaluation.tables import write_table
from tdlib.figures.theme import theme_css
from tdlib.grid.jobs import grid_jobs
from tdlib.grid.stamps import CONCLUSIONS
from tdlib.publish.contents import leave_out_absent, write_own_contents
from tdlib.publish.edition import (
    MEDIA_FOLDERS,
    OF_CHAPTER,
    OF_STUDY,
    PUBLISHED,
    add_taken,
    copy_results,
    pack,
    unpack,
    write_stripped_notebook,
)
from tdlib.publish.examples import write_examples
from tdlib.publish.failures_page import failures_page
from tdlib.publish.gallery import write_gallery
from tdlib.publish.origin import ORIGIN, origin_of
from tdlib.publish.pages import build_pages
from tdlib.publish.runs_shown import Finished, write_runs
from tdlib.publish.scripts import write_scripts
from tdlib.publish.speed_page import speed_page
from tdlib.publish.staged_explorer import stage_explorer, stage_found
from tdlib.publish.staged_media import stage_media
from tdlib.study.blocks import BLOCKS, blocks_of, presets_on_pages, taken_rows
from tdlib.study.book import fills_the_book, is_whole_study, runs_of
from tdlib.study.chapters import CHAPTERS, STUDY, load_chapter, owner_of
from tdlib.study.layout import ROOT, RunLayout, runs_root
from tdlib.study.prediction_history import HISTORY, write_history
from tdlib.study.presets import load_preset, preset_path
from tdlib.study.provenance import outside_history
from tdlib.study.run import Run
from tdlib.study.statistics import statistics_of, table_names

LOOKED_UP = ("statistics.csv", "predictions.csv")  # pages look for the rows of all chapters in the study's table
BENCH_FILES = ("bench.json", "scaling.json")


def stage(study: Finished, seed: int, site: Path, chapters: Mapping[str, Finished] | None = None) -> None:
    """Lay out a book's sources in an empty folder.

    Args:
        study: The main study's run.
        seed: Seed of the models that the explorer carries.
        site: Folder to fill; what it held is removed.
        chapters: Runs of chapters beside it, by the chapter's name.
    """
    shutil.rmtree(site, ignore_errors=True)
    site.mkdir(parents=True)
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy2(ROOT / name, site / name)
    shutil.copytree(
        ROOT / "book", site / "book", ignore=shutil.ignore_patterns("published", BLOCKS.name, "__pycache__")
    )
    for path in study.executed():
        write_stripped_notebook(path, site / "notebooks" / path.name)
    copy_results(study.results, site / "results")
    for name, run in (chapters or {}).items():
        stage_chapter(name, run, site)
    leave_out_absent(site)
    for name in BENCH_FILES:
        if (runs_root() / "bench" / name).is_file() and not (site / "results" / "metrics" / name).exists():
            shutil.copy2(runs_root() / "bench" / name, site / "results" / "metrics" / name)
    static = site / "book" / "_static"
    write_text(static / "theme.css", theme_css())
    beside = [run.models for run in (chapters or {}).values()]
    stage_explorer(static, study.models, seed, site / "results" / "metrics" / "statistics.csv", beside)
    stage_found(static, site / "results" / "figures")
    write_text(site / "book" / "speed.md", speed_page(site / "results"))
    write_scripts(site)
    stage_media(site)
    write_gallery(site)
    write_text(site / "book" / "failures_gallery.md", failures_page(site / "results"))
    write_history(site / "book" / HISTORY, stored=PUBLISHED / HISTORY)
    published = site / "book" / "published" / "results"
    for name in CONCLUSIONS:  # pages with conclusions read the published edition
        source = stored(PUBLISHED / "results" / "metrics" / name)
        if source.is_file():
            target = published / "metrics" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(target, stored_bytes(source))
    for name in published_chapters():
        add_rows(name, load_preset(PUBLISHED / name / "preset.yaml").name, PUBLISHED / name / "results", published)
    add_blocks(study.preset, site / "results" / BLOCKS.name)
    write_runs([study, *(chapters or {}).values()], site / "results")


def add_blocks(study: str, target: Path) -> None:
    """Write the statistics of presets that pages show tables of and whose seeds lie in blocks, as they are looked up.

    Args:
        study: Name of the preset that the book shows; its seeds in blocks are part of its run.
        target: Folder that gets one of each preset, laid out as a run.
    """
    for name in sorted(presets_on_pages() - {study}):
        seeds = sorted(blocks_of(name))
        tables = {table: rows for table in table_names() if len(rows := taken_rows(name, seeds, table))}
        if tables:
            metrics = target / name / "results" / "metrics"
            write_table(metrics / "statistics.csv", statistics_of(tables))
            write_text(metrics / "summary_statistics.json", json.dumps({"preset": name, "seeds": len(seeds)}))


def stage_chapter(name: str, run: Finished, site: Path) -> None:
    """Lay a chapter's pages, figures and tables beside the study's; pages look up all statistics in one table.

    Systems tell the figures of a chapter from others of the same kind. Its own tables lie in a folder of its name.

    Args:
        name: The chapter's name.
        run: Its run.
        site: Folder of the study's pages and results; of the chapter's notebooks those in the contents are shown.
    """
    contents = (site / "_toc.yml").read_text(encoding="utf-8")
    for path in run.executed():
        if f"notebooks/{path.stem}\n" in contents:
            write_stripped_notebook(path, site / "notebooks" / path.name)
    copy_results(run.results, site / "results" / name, ["metrics"])
    copy_results(run.results, site / "results", MEDIA_FOLDERS)
    add_rows(name, run.preset, run.results, site / "results")


def add_rows(name: str, preset: str, chapter: Path, study: Path) -> None:
    """Add the rows of a chapter's statistics and verdicts to those of the study, where both have some.

    Chapters share systems and arms, at sizes of their own: of the verdicts a chapter adds those on its own predictions.

    Args:
        name: The chapter's name.
        preset: Its run's preset, which its rows say.
        chapter: Folder of the chapter's results.
        study: Folder of the study's, which gets the rows.
    """
    for table in LOOKED_UP:
        paths = [stored(folder / "metrics" / table) for folder in (study, chapter)]
        if all(path.is_file() for path in paths):
            rows, added = (pd.read_csv(path, dtype=str, keep_default_na=False) for path in paths)
            if "prediction" in added:
                added = added[[owner_of(prediction) == name for prediction in added["prediction"]]]
            write_text(paths[0], pd.concat([rows, added.assign(preset=preset)]).fillna("").to_csv(index=False))


def published_chapters() -> list[str]:
    """Return the chapters that the edition in git has a folder of."""
    return [name for name in CHAPTERS if name != STUDY and (published_folder(name) / "notebooks").is_dir()]


def published_folder(chapter: str) -> Path:
    """Return the folder of a chapter in the edition in git; the others lie in that of the main study."""
    return PUBLISHED if chapter == STUDY else PUBLISHED / chapter


def make_edition(preset_name: str) -> int:
    """Copy a finished run into `book/published`, a chapter's into its folder there; return the bytes it takes.

    Raises:
        ValueError: If the run is not finished, shows a part of the book only, or would be larger than its chapter may.
    """
    preset = load_preset(preset_name)
    layout, chapter = RunLayout.of(preset.name), load_chapter(preset.chapter)
    if preset.chapter == STUDY and not is_whole_study(preset):  # it would take the place of one that is
        raise ValueError(f"edition must be of all that the book speaks of, which {preset.name!r} does not run")
    missing = [cell.name for cell in grid_jobs(preset) if not (layout.notebooks / f"{cell.name}.ipynb").is_file()]
    if missing:
        raise ValueError(f"edition needs a finished run of preset {preset.name!r}, missing notebooks: {missing}")
    staged = layout.root / "edition"
    shutil.rmtree(staged, ignore_errors=True)
    room = OF_STUDY if preset.chapter == STUDY else OF_CHAPTER
    pack(layout.notebooks, layout.root / "results", staged, room, preset.taken)
    for checkpoint in shipped_checkpoints(Run(preset, layout)):
        copied = staged / "models" / checkpoint.relative_to(layout.models)
        copied.mkdir(parents=True)
        for name in ("model.pt", "config.yaml"):
            shutil.copy2(checkpoint / name, copied / name)
    shutil.copy2(preset_path(preset_name), staged / "preset.yaml")
    beside: list[Path] = []
    if preset.chapter == STUDY:  # what belongs to the book as a whole lies with it
        write_examples(layout.trajectories, staged / "results" / "trajectories", preset)
        copy_benchmarks(staged / "results" / "metrics")
        write_history(staged / HISTORY, stored=PUBLISHED / HISTORY)
        beside = [published_folder(name) for name in published_chapters()]
    write_text(staged / ORIGIN, yaml_text(origin_of(Run(preset, layout), staged)))
    size = sum(path.stat().st_size for path in staged.rglob("*") if path.is_file())
    if size > chapter.max_bytes:
        raise ValueError(f"edition of {preset.name} must be at most {chapter.max_bytes} bytes in all, got {size}")
    for folder in beside:  # they are replaced by their own runs
        shutil.move(folder, staged / folder.name)
    target = published_folder(preset.chapter)
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(staged, target)
    return size


def shipped_checkpoints(run: Run) -> list[Path]:
    """Return the folders of the checkpoints that an edition keeps.

    Of seeds whose rows were taken from a block, those whose models are here since their block was made here too.
    """
    preset, chapter = run.preset, load_chapter(run.preset.chapter)
    first, elsewhere = f"seed{preset.own_seeds[0]}", {f"seed{seed}" for seed in preset.taken}
    every = [path for env in preset.environments for path in chapter.shipped(run, env)]
    more = [path for env in preset.environments for path in chapter.shipped_of_more_seeds(run, env)]
    return [
        *(path for path in every if path.name == first),
        *(path for path in more if path.is_dir() or path.name not in elsewhere),
    ]


def copy_benchmarks(target: Path) -> None:
    """Copy what `make bench` measured here, else what the edition in git has: a run does not measure it."""
    for name in BENCH_FILES:
        measured = [runs_root() / "bench" / name, PUBLISHED / "results" / "metrics" / name]
        newest = next(filter(Path.is_file, measured), None)
        if newest is not None:
            shutil.copy2(newest, target / name)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tdlib.publish.site", description=__doc__)
    parser.add_argument("action", choices=["build", "edition", "published"])
    parser.add_argument("preset", nargs="?", help="needed by build and edition")
    options = parser.parse_args(arguments)
    if options.action != "published" and not options.preset:
        parser.error("preset must be given")
    try:
        if options.action == "edition":
            size = make_edition(options.preset)
            print(f"edition of preset {options.preset} in {PUBLISHED.relative_to(ROOT)}: {size / 1e6:.1f} MB")
            preset = load_preset(options.preset)
            if lost := outside_history(Finished.of(RunLayout.of(preset.name), preset).commits()):
                print(f"warning: its models name commits that are not in this history: {', '.join(lost)}")
            return 0
        if options.action == "published":
            if not (PUBLISHED / "notebooks").is_dir():
                raise ValueError("published edition must exist: make it with `make edition PRESET=quick`")
            layout = RunLayout.of("published")
            unpacked, seed = layout.root / "unpacked", load_preset(PUBLISHED / "preset.yaml").own_seeds[0]
            shutil.rmtree(unpacked, ignore_errors=True)
            runs = {}
            for name in (STUDY, *published_chapters()):
                edition, whole = published_folder(name), unpacked / name
                unpack(edition, whole)
                preset = load_preset(edition / "preset.yaml")
                add_taken(whole / "results", preset)
                runs[name] = Finished(
                    whole / "notebooks", whole / "results", edition / "models", preset.name, preset.description
                )
            stage(runs.pop(STUDY), seed, layout.site, runs)
        else:
            preset = load_preset(options.preset)
            layout = RunLayout.of(preset.name)
            beside = {run.chapter: Finished.of(RunLayout.of(run.name), run) for run in runs_of(preset)[1:]}
            stage(Finished.of(layout, preset), preset.own_seeds[0], layout.site, beside)
            if not fills_the_book(preset):
                write_own_contents(layout.site, preset)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    code = build_pages(layout.site, layout.html)
    if code == 0:
        print(f"the book is at {layout.html / 'index.html'}")
    return code


if __name__ == "__main__":
    sys.exit(main())
