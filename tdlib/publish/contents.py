"""What the book of a run holds that the chapters do not speak of: a cover, its own pages, and those that hold for any.

The chapters name systems, models and rates, and a strict build fails where one of them has no picture or no number. So
a run of a system of one's own, or of fewer models, gets all that it made under a cover of its own.
"""

import re
from pathlib import Path

import nbformat

from tdlib.core.files import write_text, yaml_text
from tdlib.evaluation.tables import frequency_label
from tdlib.figures.style import model_label
from tdlib.grid.jobs import grid_jobs
from tdlib.publish.gallery import write_gallery
from tdlib.study.chapters import CHAPTERS, load_chapter
from tdlib.study.chapters.chapter import RESULTS
from tdlib.study.presets import Preset

COVER = "book/cover"
ANY_RUN = ("book/notation", "book/data_format", "book/model_architecture", "book/api")  # pages that need no result
LINK = re.compile(r"\[([^\]]+)\]\((\d\d_[\w-]+\.ipynb)\)")  # to a notebook beside this one
ENTRY = re.compile(r"- file: notebooks/(\S+)")
FIRST_FIGURE = "limits/{}.png"  # of every environment, where the run has it: errors against what theory says


def write_own_contents(site: Path, preset: Preset) -> None:
    """Write the table of contents and the cover of such a run into its staged site."""
    write_text(site / "_toc.yml", yaml_text(own_contents(preset)))
    write_text(site / f"{COVER}.md", cover_page(preset, site / "results" / "figures"))
    for path in sorted((site / "notebooks").glob("*.ipynb")):
        _unlink_absent(path)
    write_gallery(site)  # chapters that it leads to are none of these contents


def _unlink_absent(path: Path) -> None:
    """Leave the words alone of links to notebooks that such a run has not, as the explorer of one chapter."""
    notebook = nbformat.read(path, as_version=4)

    def kept(found: re.Match) -> str:
        return found[0] if (path.parent / found[2]).is_file() else found[1]

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = LINK.sub(kept, cell.source)
    write_text(path, nbformat.writes(notebook) + "\n")


def leave_out_absent(site: Path) -> None:
    """Take notebooks that only some presets have, where this run has them not, out of contents; of links stay words."""
    optional = {
        name
        for key in CHAPTERS
        for name, each in load_chapter(key).notebooks.items()
        if each.needs is not None or each.runs == "seen"  # which partly seen sets there are is a preset's own choice
    }
    contents = (site / "_toc.yml").read_text(encoding="utf-8")
    named = [name for name in ENTRY.findall(contents) if name.partition("-")[0] in optional]
    absent = [name for name in named if not (site / "notebooks" / f"{name}.ipynb").is_file()]
    for name in absent:
        contents = re.sub(rf"^ *- file: notebooks/{name}\n", "", contents, flags=re.MULTILINE)
        for page in sorted((site / "book").glob("*.md")):
            text = page.read_text(encoding="utf-8")
            link = rf"{{doc}}`([^`<]+?) <\.\./notebooks/{name}>`"
            if re.search(link, text):
                write_text(page, re.sub(link, r"\1", text))
    write_text(site / "_toc.yml", contents)


def own_contents(preset: Preset) -> dict[str, object]:
    """Return a table of contents of the run's notebooks, its gallery, and the pages that hold for any run."""
    notebooks = load_chapter(preset.chapter).notebooks
    pages: dict[str, list[str]] = {}
    for job in grid_jobs(preset):
        if "/" not in job.name:  # cells of one model are shown together
            pages.setdefault(notebooks[job.notebook].part, []).append(f"notebooks/{job.name}")
    pages.setdefault(RESULTS, []).extend(["book/gallery", "book/failures_gallery"])
    pages["Reference"] = list(ANY_RUN)
    parts = [{"caption": caption, "chapters": [{"file": file} for file in files]} for caption, files in pages.items()]
    return {"format": "jb-book", "root": COVER, "parts": parts}


def cover_page(preset: Preset, figures: Path) -> str:
    """Write the first page: what was run, and each environment's errors against the limits."""
    rates = {
        "trained at": preset.train_frequencies,
        "tested at": preset.test_frequencies,
        "controlled at": preset.control.frequencies,
    }
    lines = [
        f"# Run `{preset.name}`",
        "",
        preset.description,
        "",
        "| | |",
        "|---|---|",
        f"| systems | {', '.join(f'`{env}`' for env in preset.environments)} |",
        f"| models | {', '.join(model_label(name) for name in preset.models)} |",
        *(f"| {what} | {', '.join(map(frequency_label, values))} Hz |" for what, values in rates.items()),
        f"| seeds | {', '.join(map(str, preset.seeds))} |",
        "",
        "The pages below are this run's notebooks as they were executed; {doc}`gallery` shows every figure, and the",
        "tables lie in `results/metrics`. The chapters that explain what is measured speak of our own systems:",
        "`make published` builds them.",
        "",
    ]
    for env in preset.environments:
        name = FIRST_FIGURE.format(env)
        if (figures / name).is_file():
            lines += [f"```{{result-figure}} ../results/figures/{name}", "", f"**{env}**", "```", ""]
    return "\n".join(lines)
