"""The book: stage a run's notebooks and results beside the prose, build it, and make or build the edition in git.

    python -m tdlib.runs.site build quick        stage runs/quick and build its book
    python -m tdlib.runs.site edition quick      take runs/quick into book/published
    python -m tdlib.runs.site published          build the edition in git

Everything is staged into one folder, so that one `_toc.yml` serves every preset.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd

from tdlib.files import write_text
from tdlib.runs.cells import grid_cells
from tdlib.runs.edition import copy_results, pack, unpack, write_stripped_notebook
from tdlib.runs.layout import ROOT, RunLayout, runs_root
from tdlib.runs.presets import load_preset, preset_path

PUBLISHED = ROOT / "book" / "published"
EDITION_LIMIT = 15_000_000  # [bytes]


def stage(notebooks: Path, results: Path, site: Path) -> None:
    """Lay out a book's sources in an empty folder.

    Args:
        notebooks: Folder of executed notebooks.
        results: Folder with `metrics`, `figures` and `videos`.
        site: Folder to fill; what it held is removed.
    """
    shutil.rmtree(site, ignore_errors=True)
    site.mkdir(parents=True)
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy2(ROOT / name, site / name)
    shutil.copytree(
        ROOT / "book", site / "book", ignore=shutil.ignore_patterns("published", "__pycache__")
    )
    for path in sorted(notebooks.glob("*.ipynb")):
        write_stripped_notebook(path, site / "notebooks" / path.name)
    copy_results(results, site / "results")
    bench = runs_root() / "bench" / "bench.json"
    if bench.is_file() and not (site / "results" / "metrics" / "bench.json").exists():
        shutil.copy2(bench, site / "results" / "metrics" / "bench.json")
    write_text(site / "book" / "speed.md", speed_page(site / "results" / "metrics"))
    write_text(site / "book" / "gallery.md", gallery_page(site / "results" / "figures"))
    for name in ("statistics.csv", "summary_statistics.json"):  # pages with conclusions read the published edition
        if (PUBLISHED / "results" / "metrics" / name).is_file():
            target = site / "book" / "published" / "results" / "metrics" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PUBLISHED / "results" / "metrics" / name, target)


def gallery_page(figures: Path) -> str:
    """Write the page that shows every figure of a run with the caption and alternative text saved beside it."""
    lines = [
        "# Gallery: every figure of this run",
        "",
        "Captions, alternative text and the plotted numbers (CSV) lie beside each figure.",
        "",
    ]
    for folder in sorted(path for path in figures.glob("*") if path.is_dir()):
        lines += [f"## {folder.name.replace('_', ' ').capitalize()}", ""]
        for image in sorted(folder.glob("*.png")):
            lines += [
                f":::{{result-figure}} ../results/figures/{folder.name}/{image.name}",
                f":name: gallery-{folder.name}-{image.stem}",
                "",
                f"**{image.stem.replace('_', ' ')}**",
                ":::",
                "",
            ]
    return "\n".join(lines)


def speed_page(metrics: Path) -> str:
    """Write the page with time and memory of every job of a run, and of the benchmarks where they were run."""
    lines = [
        "# Speed and memory",
        "",
        "**Question.** What does the study cost on this machine?",
        "",
        "Each job of the grid is one notebook in a process of its own with one thread; import of the library and start "
        "of the kernel are included. A job that found results in place cost only what it had left to do.",
        "",
    ]
    times = metrics / "job_times.csv"
    if times.is_file():
        table = pd.read_csv(times)
        total, peak = table[["wall_seconds", "cpu_seconds"]].sum(), table["peak_mb"].max()
        lines += ["| job | wall [s] | CPU [s] | peak memory [MB] |", "|---|---:|---:|---:|"]
        lines += [
            f"| {row.job} | {row.wall_seconds:.0f} | {row.cpu_seconds:.0f} | {row.peak_mb:.0f} |"
            for row in table.itertuples()
        ]
        lines += [f"| **all** | {total['wall_seconds']:.0f} | {total['cpu_seconds']:.0f} | {peak:.0f} |", ""]
    bench = metrics / "bench.json"
    if bench.is_file():
        lines += [
            "## Benchmarks",
            "",
            "`make bench`, one thread; CPU time is less disturbed by other processes than wall time.",
            "",
            "| what | by wall time | by CPU time | unit |",
            "|---|---:|---:|---|",
        ]
        lines += [
            f"| {row['name']} | {row['ours']:.3g} | {row['cpu']:.3g} | {row['unit']} |"
            for row in json.loads(bench.read_text(encoding="utf-8"))
        ]
    lines += ["", "**Limits.** One machine, one run each; jobs of one run share its cores."]
    return "\n".join(lines) + "\n"


def build(site: Path, html: Path) -> int:
    """Build a staged site strictly (every warning is an error) and move the pages to `html`; return the exit code."""
    command = [
        str(Path(sys.executable).parent / "jupyter-book"), "build", str(site), "--all", "-W", "-n", "--keep-going",
    ]  # fmt: skip
    result = subprocess.run(command, env={**os.environ, "TDLIB_SITE": str(site)})
    if result.returncode == 0:
        shutil.rmtree(html, ignore_errors=True)
        shutil.move(site / "_build" / "html", html)
    return result.returncode


def make_edition(preset_name: str) -> int:
    """Copy a finished run into `book/published`; return the number of bytes it takes.

    Raises:
        ValueError: If the run is not finished, or the edition would be larger than 15 MB.
    """
    preset = load_preset(preset_name)
    layout = RunLayout.of(preset.name)
    missing = [cell.name for cell in grid_cells(preset) if not (layout.notebooks / f"{cell.name}.ipynb").is_file()]
    if missing:
        raise ValueError(f"edition needs a finished run of preset {preset.name!r}, missing notebooks: {missing}")
    staged = layout.root / "edition"
    shutil.rmtree(staged, ignore_errors=True)
    pack(layout.notebooks, layout.root / "results", staged)
    if (runs_root() / "bench" / "bench.json").is_file():
        shutil.copy2(runs_root() / "bench" / "bench.json", staged / "results" / "metrics" / "bench.json")
    seed = preset.seeds[0]
    for checkpoint in sorted(layout.models.glob(f"*/*/*/seed{seed}")):
        target = staged / "models" / checkpoint.relative_to(layout.models)
        target.mkdir(parents=True)
        for name in ("model.pt", "config.yaml"):
            shutil.copy2(checkpoint / name, target / name)
    shutil.copy2(preset_path(preset_name), staged / "preset.yaml")
    size = sum(path.stat().st_size for path in staged.rglob("*") if path.is_file())
    if size > EDITION_LIMIT:
        raise ValueError(f"edition must be at most {EDITION_LIMIT} bytes in all, got {size}")
    shutil.rmtree(PUBLISHED, ignore_errors=True)
    shutil.move(staged, PUBLISHED)
    return size


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tdlib.runs.site", description=__doc__)
    parser.add_argument("action", choices=["build", "edition", "published"])
    parser.add_argument("preset", nargs="?", help="needed by build and edition")
    options = parser.parse_args(arguments)
    if options.action != "published" and not options.preset:
        parser.error("preset must be given")
    try:
        if options.action == "edition":
            size = make_edition(options.preset)
            print(f"edition of preset {options.preset} in {PUBLISHED.relative_to(ROOT)}: {size / 1e6:.1f} MB")
            return 0
        if options.action == "published":
            if not (PUBLISHED / "notebooks").is_dir():
                raise ValueError("published edition must exist: make it with `make edition PRESET=quick`")
            layout = RunLayout.of("published")
            shutil.rmtree(layout.root / "unpacked", ignore_errors=True)
            unpack(PUBLISHED, layout.root / "unpacked")
            stage(layout.root / "unpacked" / "notebooks", layout.root / "unpacked" / "results", layout.site)
        else:
            layout = RunLayout.of(load_preset(options.preset).name)
            stage(layout.notebooks, layout.root / "results", layout.site)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    code = build(layout.site, layout.html)
    if code == 0:
        print(f"the book is at {layout.html / 'index.html'}")
    return code


if __name__ == "__main__":
    sys.exit(main())
