"""The report on paper: its pages are there, text can be read out, nothing runs off a page or into a neighbor."""

import json
import re
import zlib

import numpy as np
import pandas as pd
import pytest
from test_figures import FEW, contrasts, control, everywhere, one_step, rollouts, state_errors

from tdlib.figures.save import VECTORS, vector_bytes
from tdlib.figures.style import new_figure, style
from tdlib.publish import report
from tdlib.study.layout import RunLayout
from tdlib.study.presets import load_preset
from tdlib.study.run import Run
from tdlib.study.statistics import write_summary


def text_of(pdf: bytes) -> str:
    """Text of a PDF as it is shown, two bytes a letter, one line per piece that is set down."""
    shown = []
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL):
        try:
            content = zlib.decompress(stream)
        except zlib.error:
            continue
        for shown_at_once in re.findall(rb"(?:\[.*?\]\s*TJ|\((?:\\.|[^()\\])*\)\s*Tj)", content, re.DOTALL):
            parts = re.findall(rb"\(((?:\\.|[^()\\])*)\)", shown_at_once, re.DOTALL)
            letters = re.sub(rb"\\(.)", rb"\1", b"".join(parts), flags=re.DOTALL)
            shown.append(letters.decode("utf-16-be", "replace"))
    return "\n".join(shown)


def pages_of(pdf: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


@pytest.fixture
def run(tmp_path):
    run = Run(load_preset("smoke"), RunLayout(tmp_path))
    tables = {"one_step_errors": one_step(FEW), "rollout_errors": rollouts(FEW), "control_performance": control(FEW)}
    for name, table in tables.items():
        run.save_table(name, everywhere(table))
    first = run.preset.environments[0]
    run.save_part("state_errors", f"{first}-jump", state_errors(FEW).assign(env=first, omega=0.5))
    many = [contrasts().assign(name=f"contrast {i} of arms with a long name that has to be wrapped") for i in range(12)]
    run.save_table("contrasts", pd.concat(many, ignore_index=True))
    statistics = one_step(FEW).assign(metric="one_step.relative_error", mean=0.1, ci_low=0.0, ci_high=0.2, n_seeds=2)
    write_summary(run, tables, statistics)
    return run


def test_the_report_has_its_pages_and_its_text_can_be_read_out(run):
    path = report.write_report(run)
    assert path.name == "summary_report.pdf" and path.parent.name == "results"
    pdf = path.read_bytes()
    for suffix in VECTORS:
        vectors = sorted(file.stem for file in (run.layout.figures / report.FOLDER).glob(f"*{suffix}"))
        assert vectors == list(report.FIGURES)
    tables = report.tables_on_paper(run)
    assert pages_of(pdf) == 1 + 5 + len(tables.pages) and len(tables.pages) > 1
    text = text_of(pdf)
    summary = json.loads((run.layout.metrics / "summary_statistics.json").read_text())
    for words in ("smoke", "torch", summary["versions"]["torch"], "Figure 1.", "Figure 5.", "consistent", "verdict",
                  "contrast 11", "Which remedy"):  # fmt: skip
        assert words in text, words


def test_no_text_runs_off_its_page_or_into_its_neighbor(run):
    for paper in (report.front_page(run), report.tables_on_paper(run)):
        for page in paper.pages:
            renderer = page.canvas.get_renderer()
            boxes = [text.get_window_extent(renderer) for text in page.texts if text.get_text().strip()]
            width, height = page.bbox.width, page.bbox.height
            for box in boxes:
                assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
            for i, box in enumerate(boxes):
                for other in boxes[:i]:
                    x = min(box.x1, other.x1) - max(box.x0, other.x0)
                    y = min(box.y1, other.y1) - max(box.y0, other.y0)
                    assert min(x, y) <= 2, (x, y)  # [px] letters hang below their line by no more


def test_lines_are_broken_outside_formulas_and_fit():
    page = report.Paper().pages[0]
    text = (
        "Rescale: $x + (\\Delta/h)(\\Phi_h - x)$ takes the first order away, and nothing of what comes after it. " * 4
    )
    lines = report.wrapped(page, text, 2.0, 8.0)
    assert " ".join(lines) == " ".join(text.split()) and len(lines) > 10
    assert all(line.count("$") % 2 == 0 and report._width(page, line, 8.0, "normal") <= 2.0 for line in lines)


def test_the_books_remedies_are_the_reports():
    head, *rows = report.remedies(report.REMEDIES.read_text(encoding="utf-8"))
    assert head == ["Your situation", "Do", "Because", "Check"] and len(rows) > 5
    assert all(len(row) == 4 and not re.search(r"[`{]\w*}?`|\{eq\}", " ".join(row)) for row in rows)
    for words in (re.sub(r"\$[^$]*\$", "", " ".join(row)) for row in rows):  # on paper no table of arms stands below
        assert not re.search(r"\b(?:above|below)\b|\w_\w", words), words


def test_a_run_that_is_not_finished_is_refused(tmp_path):
    with pytest.raises(ValueError, match="report needs a finished run of preset 'smoke', missing .*contrasts.csv"):
        report.write_report(Run(load_preset("smoke"), RunLayout(tmp_path)))


def test_a_chapter_has_its_report_in_the_book_which_stops_no_edition(tmp_path, capsys):
    with pytest.raises(ValueError, match="report needs a run of chapter 'study', 'hardware' is of 'hardware'"):
        report.write_report(Run(load_preset("hardware"), RunLayout(tmp_path)))
    assert report.main(["hardware"]) == 0 and "no report on paper" in capsys.readouterr().out
    assert report.main(["no_such_preset"]) == 2


def a_figure():
    with style():
        figure, axes = new_figure()
        axes[0, 0].plot(np.arange(3), label="an arm")
        axes[0, 0].set_xlabel("relative error")
        figure.legend(loc="outside lower center")
    return figure


def test_a_vector_figure_holds_its_letters():
    pdf, svg = (vector_bytes(a_figure(), suffix) for suffix in VECTORS)
    assert pdf.startswith(b"%PDF") and "relative error" in text_of(pdf) and b"/Subtype /Image" not in pdf
    assert b"<svg" in svg and b">relative error</text>" in svg and b"<image" not in svg
    assert [vector_bytes(a_figure(), suffix) for suffix in VECTORS] == [pdf, svg]  # no time in it, nothing by chance


def test_a_caption_stands_below_all_of_its_figure():
    figure = report.with_caption(a_figure(), "A caption of many words. " * 12)
    renderer = figure.canvas.get_renderer()
    caption = [text.get_window_extent(renderer) for text in figure.texts]
    drawn = [axes.get_tightbbox(renderer) for axes in figure.axes]
    drawn += [legend.get_window_extent(renderer) for legend in figure.legends]
    assert len(caption) > 2 and min(box.y0 for box in caption) > 0
    assert max(box.y1 for box in caption) < min(box.y0 for box in drawn)
    assert max(box.y1 for box in drawn) <= figure.bbox.height and max(box.x1 for box in caption) <= figure.bbox.width
