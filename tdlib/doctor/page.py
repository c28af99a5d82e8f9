"""The doctor's answer as one HTML page that needs nothing beside it: sentences, figures, tables and the wrapper."""

import base64
import contextlib
import html
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from tdlib.core.files import write_text
from tdlib.doctor.report import Examination
from tdlib.doctor.tables import rules_table, trials_table
from tdlib.figures import Drawing, draw_finer, draw_log_rates, draw_stamps, draw_trials, draw_verdict
from tdlib.figures.dark import dark_png
from tdlib.figures.save import png_bytes
from tdlib.figures.style import NothingToDrawError
from tdlib.figures.theme import theme_css

NAME = "doctor.html"
SECTIONS = {  # name of a figure -> heading above it
    "verdict": "Verdict", "stamps": "The clock of the log", "rates": "Errors by rate",
    "finer": "Finer rates than the log's", "trials": "What was tried",
}  # fmt: skip
STYLE = """
body { margin: 0; background: var(--td-background); color: var(--td-text);
  font: var(--td-font-size-normal)/1.5 system-ui, sans-serif; }
main { max-width: 46rem; margin: 0 auto; padding: var(--td-space-3); overflow-wrap: break-word; }
h1 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
figure { margin: var(--td-space-3) 0; } figure img { max-width: min(100%, 36rem); height: auto; }
figcaption, footer { color: var(--td-muted); font-size: var(--td-font-size-small); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: var(--td-font-size-small); }
th, td { padding: var(--td-space-1) var(--td-space-2); text-align: right; border-bottom: 1px solid var(--td-grid); }
th:first-child, td:first-child { text-align: left; }
pre { background: var(--td-surface); padding: var(--td-space-2); overflow-x: auto; border-radius: var(--td-radius);
  font-size: var(--td-font-size-small); }
.verdict { border-left: 0.35rem solid var(--td-warn); padding-left: var(--td-space-3); }
.healthy { border-left-color: var(--td-good); }
"""


def drawings(found: Examination) -> dict[str, Drawing]:
    """The figures of an examination by the names of `SECTIONS`; those with nothing to show are missing.

    A model that remembers has none of rates, one that gave no number none of what was tried.
    """
    findings, rule, log = found.findings, found.verdict.rule, found.log
    draw: dict[str, Callable[[], Drawing]] = {
        "verdict": lambda: draw_verdict(rules_table(found.verdict), log),
        "stamps": lambda: draw_stamps(found.intervals, findings.stamps.rate, log, findings.label),
        "rates": lambda: draw_log_rates(found.rates, found.h, log),
        "finer": lambda: draw_finer(found.finer, log),
        "trials": lambda: draw_trials(trials_table(findings, rule.repair), findings.rows, log),
    }
    drawn = {}
    for name, each in draw.items():
        with contextlib.suppress(NothingToDrawError):
            drawn[name] = each()
    return drawn


def write_page(found: Examination, folder: Path | str, *, model: str, log: str) -> Path:
    """Write `doctor.html` into a folder, which is made where it is missing.

    Args:
        found: What the doctor says.
        folder: Where.
        model: How the model is called on the page.
        log: How the log is.
    """
    path = Path(folder) / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, page(found, model=model, log=log))
    return path


def page(found: Examination, *, model: str, log: str) -> str:
    """The page's text; it asks for nothing from anywhere."""
    verdict, title = found.verdict, f"Rate doctor: {found.verdict.name}"
    sentences = [verdict.rule.verdict, f"Because {verdict.evidence}.", f"Remedy: {verdict.rule.remedy}"]
    if found.expected:
        sentences.append(found.expected)
    sentences += [f"Also {name}: {evidence}." for name, evidence in verdict.also]
    kind = "verdict healthy" if verdict.rule.healthy else "verdict"
    drawn = drawings(found)
    after = {
        "stamps": [_paragraph(f"{found.findings.stamps}.")],
        "rates": [_of_table(found.rates), *_repair(found)],
        "finer": [_of_table(found.finer)],
        "trials": [_of_table(trials_table(found.findings, verdict.rule.repair).drop(columns="floor"))],
    }
    body = [
        f"<h1>{html.escape(title)}</h1>",
        _paragraph(f"Model {model} on log {log}, {found.findings.rows} rows asked about."),
        f'<div class="{kind}">{"".join(map(_paragraph, sentences))}</div>',
    ]
    for name, drawing in drawn.items():
        body += [f"<h2>{html.escape(SECTIONS[name])}</h2>", _figure(drawing), *after.get(name, [])]
    if found.notes:
        body += ["<h2>What was read</h2>", "<ul>", *(f"<li>{html.escape(note)}</li>" for note in found.notes), "</ul>"]
    return _document(title, body)


def _document(title: str, body: Sequence[str]) -> str:
    return "\n".join([
        "<!DOCTYPE html>", '<html lang="en">', "<head>", '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{html.escape(title)}</title>", f"<style>{theme_css()}{STYLE}</style>", "</head>",
        "<body>", "<main>", *body, "</main>", "</body>", "</html>", "",
    ])  # fmt: skip


def _repair(found: Examination) -> list[str]:
    said = [_paragraph(f"Best over these rates: {found.repair}.")]
    if not found.wrapper:
        return said
    code = f"# around model(state, action), one step of h, in NumPy\n{found.wrapper}"
    return [*said, "<h3>The wrapper</h3>", f"<pre><code>{html.escape(code)}</code></pre>"]


def _figure(drawing: Drawing) -> str:
    light = png_bytes(drawing.figure)
    dark, light64 = (base64.b64encode(data).decode() for data in (dark_png(light), light))
    return (
        "<figure><picture>"
        f'<source media="(prefers-color-scheme: dark)" srcset="data:image/png;base64,{dark}">'
        f'<img src="data:image/png;base64,{light64}" alt="{html.escape(drawing.alt)}"></picture>'
        f"<figcaption>{html.escape(drawing.caption)}</figcaption></figure>"
    )


def _of_table(table: pd.DataFrame) -> str:
    kept = table[[name for name in table if name != "refused" or table[name].astype(bool).any()]]
    head = "".join(f"<th>{html.escape(HEADS.get(name, name))}</th>" for name in kept)
    rows = "".join(
        f"<tr>{''.join(f'<td>{html.escape(_cell(value))}</td>' for value in row)}</tr>"
        for row in kept.itertuples(index=False)
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


HEADS: Mapping[str, str] = {
    "every": "rows in one step", "delta_t": "Δt [s]", "limit": "|1 − h/Δ|", "limit_here": "limit, these states",
    "rescaled_here": "rescaled, these states", "n": "rows", "parts": "steps", "of_a_map": "a map of one step",
    "repairs": "mends it", "newton_2": "Newton, order 2",
}  # fmt: skip


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _paragraph(text: str) -> str:
    return f"<p>{html.escape(text)}</p>"
