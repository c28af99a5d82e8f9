"""The study on paper: `python -m tdlib.publish.report quick` writes `runs/quick/results/summary_report.pdf`.

A title page with preset, commit and versions; figures 1 to 5 of the founding question with their captions, as vectors,
each also as two files beside its picture, PDF and SVG; every declared contrast with its verdict; the table of remedies
from the book. Text stays text, so it can be searched. A chapter that runs beside the study has its pages in the book,
none on paper.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.text import Text

from tdlib import figures
from tdlib.core.files import atomic_path, write_bytes
from tdlib.figures.save import VECTOR_STYLE, VECTORS, vector_bytes
from tdlib.figures.style import NothingToDrawError
from tdlib.study.chapters import STUDY
from tdlib.study.layout import ROOT
from tdlib.study.phases.evaluate import load_parts
from tdlib.study.presets import PresetError
from tdlib.study.run import Run, open_run
from tdlib.study.selection import NO_MODEL
from tdlib.study.statistics import load_tables

PAGE = (8.27, 11.69)  # [in] A4
MARGIN = 0.9  # [in]
NORMAL, SMALL, LARGE = 9.0, 7.5, 16.0  # [pt]
RIM, GAP = 0.4, 0.15  # [in] around a figure's page, and above its caption
LEADING = 1.35  # lines, in units of the size of the letters
GUTTER = 2.0  # between columns, the same unit: print is a little wider than it is measured
FOLDER = "paper_figures"
FIGURES = {  # name of the file -> what draws it, and from which table; in the order of their numbers
    "figure1_heatmaps": (figures.draw_figure1, "one_step_errors"),
    "figure2_horizon": (figures.draw_figure2, "rollout_errors"),
    "figure3_control": (figures.draw_figure3, "control_performance"),
    "figure4_state_space": (figures.draw_figure4, "state_errors"),
    "figure5_ablations": (figures.draw_figure5, "one_step_errors"),
}
QUESTION = "If a dynamics model is trained at one sampling rate, what happens at another, and what makes it generalize?"
NEEDED = ("summary_statistics.json", "contrasts.csv")
REMEDIES = ROOT / "book" / "recommendations.md"
ROLE = re.compile(r",?\s*\{\w+\}`[^`]*`")  # a cross reference of the book: on paper it leads nowhere


@dataclass(frozen=True)
class Column:
    """One column of a table on paper.

    Args:
        head: What stands above it.
        share: Of the width of the page.
    """

    head: str
    share: float


class Paper:
    """Pages that are filled from the top with wrapped lines and tables."""

    def __init__(self) -> None:
        self.pages: list[Figure] = []
        self.new_page()

    def write(self, text: str, size: float = NORMAL, *, weight: str = "normal", gap: float = 0.4) -> None:
        """Write a paragraph over the whole width, and leave a gap below it in lines."""
        for line in wrapped(self._page, text, self._width, size, weight):
            self._line([(line, 0.0)], size, weight)
        self._down(gap * size)

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[str]], size: float = SMALL) -> None:
        """Write a table whose cells wrap; its head stands again on every page."""
        lefts = [sum(column.share for column in columns[:i]) * self._width for i in range(len(columns))]
        head = [column.head for column in columns]
        self._row(head, columns, lefts, size, "bold")
        for row in rows:
            lines = max(len(cell) for cell in self._cells(row, columns, size, "normal"))
            if self._y - lines * size * LEADING / 72 < MARGIN:
                self.new_page()
                self._row(head, columns, lefts, size, "bold")
            self._row(row, columns, lefts, size, "normal")

    @property
    def _page(self) -> Figure:
        return self.pages[-1]

    @property
    def _width(self) -> float:
        return PAGE[0] - 2 * MARGIN

    def new_page(self) -> None:
        """Go on at the top of another page."""
        page = Figure(figsize=PAGE)
        FigureCanvasAgg(page)
        self.pages.append(page)
        self._y = PAGE[1] - MARGIN

    def _cells(self, row: Sequence[str], columns: Sequence[Column], size: float, weight: str) -> list[list[str]]:
        return [
            wrapped(self._page, cell, column.share * self._width - GUTTER * size / 72, size, weight)
            for cell, column in zip(row, columns, strict=True)
        ]

    def _row(
        self, row: Sequence[str], columns: Sequence[Column], lefts: Sequence[float], size: float, weight: str
    ) -> None:
        cells = self._cells(row, columns, size, weight)
        for i in range(max(map(len, cells))):
            self._line(
                [(cell[i], left) for cell, left in zip(cells, lefts, strict=True) if i < len(cell)], size, weight
            )
        self._down(0.5 * size)

    def _line(self, words: Sequence[tuple[str, float]], size: float, weight: str) -> None:
        if self._y - size * LEADING / 72 < MARGIN:
            self.new_page()
        for text, left in words:
            place = (MARGIN + left) / PAGE[0], self._y / PAGE[1]
            self._page.text(*place, text, fontsize=size, fontweight=weight, va="top")
        self._down(size * LEADING)

    def _down(self, points: float) -> None:
        self._y -= points / 72


def wrapped(page: Figure, text: str, width: float, size: float, weight: str = "normal") -> list[str]:
    """Break a text into lines no wider than `width` [in], at spaces outside formulas."""
    lines, line = [], ""
    for word in _words(text):
        longer = f"{line} {word}".strip()
        if line and _width(page, longer, size, weight) > width:
            lines.append(line)
            longer = word
        line = longer
    return [*lines, line]


def write_report(run: Run) -> Path:
    """Write the report of a finished run and return its path.

    Raises:
        ValueError: If the run is of a chapter beside the study, or is not finished.
    """
    if run.preset.chapter != STUDY:
        raise ValueError(f"report needs a run of chapter {STUDY!r}, {run.preset.name!r} is of {run.preset.chapter!r}")
    missing = [name for name in NEEDED if not (run.layout.metrics / name).is_file()]
    if missing:
        raise ValueError(f"report needs a finished run of preset {run.preset.name!r}, missing {missing}")
    path = run.layout.root / "results" / "summary_report.pdf"
    metadata = {"Title": _title(run), "CreationDate": None}
    look = matplotlib.rc_context(VECTOR_STYLE)
    with look, atomic_path(path) as temporary, PdfPages(temporary, metadata=metadata) as pdf:
        for page in front_page(run).pages:
            pdf.savefig(page)
        _add_figures(run, pdf)
        for page in tables_on_paper(run).pages:
            pdf.savefig(page)
    return path


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code.

    A chapter's run is not an error: `make edition` takes it as it takes the study's.
    """
    parser = argparse.ArgumentParser(prog="python -m tdlib.publish.report", description=__doc__)
    parser.add_argument("preset")
    try:
        run = open_run(parser.parse_args(arguments).preset)
        if run.preset.chapter != STUDY:
            print(f"no report on paper: {run.preset.name} is of the chapter {run.preset.chapter}, reported in the book")
            return 0
        path = write_report(run)
    except (PresetError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"the report is at {path}")
    return 0


def remedies(text: str) -> list[list[str]]:
    """Return the rows of the book's table of remedies, its head first, without the markup that paper has not."""
    block = text.split(":::{div} td-remedies", 1)[1].split(":::", 1)[0]
    lines = [line for line in block.splitlines() if line.startswith("|") and not set(line) <= set("|-: ")]
    return [[ROLE.sub("", cell).replace("`", "").strip() for cell in line.strip("|").split("|")] for line in lines]


def front_page(run: Run) -> Paper:
    """Say what ran: preset, sizes, commit, versions."""
    summary = json.loads((run.layout.metrics / "summary_statistics.json").read_text(encoding="utf-8"))
    paper = Paper()
    paper.write(_title(run), LARGE, weight="bold", gap=1.0)
    paper.write(QUESTION)
    paper.write(f"Preset {summary['preset']}: {summary['description']}", gap=1.5)
    versions = ", ".join(f"{name} {number}" for name, number in summary["versions"].items())
    facts = {
        "systems": ", ".join(summary["environments"]),
        "seeds": summary["seeds"],
        "transitions per set": summary["num_transitions"],
        "optimizer steps": summary["num_steps"] or "of the preset's epochs",
        "trained models": summary["num_checkpoints"],
        "control episodes": summary["num_control_episodes"],
        "commit": summary["git_commit"] or "unknown",
        "Python": summary["python"],
        "versions": versions,
    }
    paper.table([Column("", 0.28), Column("", 0.72)], [[name, str(value)] for name, value in facts.items()], NORMAL)
    return paper


def tables_on_paper(run: Run) -> Paper:
    """Write every declared contrast with its verdict, and the book's remedies."""
    contrasts = pd.read_csv(run.layout.metrics / "contrasts.csv")
    paper = Paper()
    paper.write("Declared contrasts", LARGE, weight="bold")
    paper.write(
        "Ratio of the errors of two arms, geometric mean over seeds with its 95 % t interval. Below five seeds a "
        "verdict is consistent, inconsistent or open."
    )
    columns = [Column("system", 0.2), Column("contrast", 0.29), Column("predicted", 0.1),
               Column("ratio [interval]", 0.23), Column("seeds", 0.06), Column("verdict", 0.12)]  # fmt: skip
    paper.table(columns, [
        [row["env"], row["name"], row["expected"], f"{row['ratio']:.3g} [{row['ci_low']:.3g}, {row['ci_high']:.3g}]",
         str(row["n_seeds"]), row["verdict"]]
        for _, row in contrasts.iterrows()
    ])  # fmt: skip
    paper.new_page()
    paper.write("Which remedy", LARGE, weight="bold")
    head, *rows = remedies(REMEDIES.read_text(encoding="utf-8"))
    shares = (0.2, 0.24, 0.34, 0.22)
    paper.table([Column(name, share) for name, share in zip(head, shares, strict=True)], rows)
    return paper


def _add_figures(run: Run, pdf: PdfPages) -> None:
    """Draw figures 1 to 5 from the run's tables: a vector beside each picture, and with its caption a page."""
    tables = load_tables(run)
    states = load_parts(run, run.preset.environments[0], [NO_MODEL, *run.preset.models]).get("state_errors")
    for number, (name, (draw, source)) in enumerate(FIGURES.items(), start=1):
        table = states if source == "state_errors" else tables.get(source)
        vectors = {suffix: run.layout.figures / FOLDER / f"{name}{suffix}" for suffix in VECTORS}
        try:
            if table is None or table.empty:
                raise NothingToDrawError(f"this run has no {source}")
            drawing = draw(table)
        except NothingToDrawError as reason:
            for path in vectors.values():
                path.unlink(missing_ok=True)
            paper = Paper()
            paper.write(f"Figure {number} is not drawn: {reason}.")
            pdf.savefig(paper.pages[0])
            continue
        for suffix, path in vectors.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, vector_bytes(drawing.figure, suffix))
        pdf.savefig(with_caption(drawing.figure, f"Figure {number}. {drawing.caption}"))


def with_caption(figure: Figure, caption: str) -> Figure:
    """Make room below a figure and a rim around it, write the caption there, and return the figure.

    What the layout placed stays where it was: it cannot be asked again, since it knows nothing of the caption.
    """
    figure.canvas.draw()
    figure.set_layout_engine("none")
    old = figure.get_size_inches()
    lines = wrapped(figure, caption, old[0], SMALL)
    below = RIM + GAP + len(lines) * SMALL * LEADING / 72
    new = old[0] + 2 * RIM, old[1] + RIM + below

    def moved(x: float, y: float) -> tuple[float, float]:
        return (x * old[0] + RIM) / new[0], (y * old[1] + below) / new[1]

    boxes = [legend.get_window_extent().transformed(figure.transFigure.inverted()) for legend in figure.legends]
    for axes in figure.axes:
        place = axes.get_position()
        axes.set_position((*moved(place.x0, place.y0), place.width * old[0] / new[0], place.height * old[1] / new[1]))
    for legend, box in zip(figure.legends, boxes, strict=True):
        legend.borderaxespad = 0
        legend.set_loc("lower left")
        legend.set_bbox_to_anchor(moved(box.x0, box.y0), figure.transFigure)
    for text in figure.texts:
        text.set_position(moved(*text.get_position()))
    figure.set_size_inches(new)
    for i, line in enumerate(lines):
        y = (below - GAP - i * SMALL * LEADING / 72) / new[1]
        figure.text(RIM / new[0], y, line, fontsize=SMALL, va="top")
    return figure


def _title(run: Run) -> str:
    return f"Temporal resolution of learned dynamics ({run.preset.name})"


def _words(text: str) -> list[str]:
    """Split at spaces that are not inside a formula."""
    words, inside = [""], False
    for letter in " ".join(text.split()):
        inside ^= letter == "$"
        if letter == " " and not inside:
            words.append("")
        else:
            words[-1] += letter
    return words


def _width(page: Figure, text: str, size: float, weight: str) -> float:
    """Width of one line [in]."""
    shown = Text(0, 0, text, fontsize=size, fontweight=weight, figure=page)
    return shown.get_window_extent(page.canvas.get_renderer()).width / page.dpi


if __name__ == "__main__":
    sys.exit(main())
