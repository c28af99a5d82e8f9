"""Predictions written before the run, and the verdicts that the run's statistics came to.

`book/predictions.yaml` holds the predictions, `results/metrics/predictions.csv` what was measured and the verdict of
each check (`tdlib.study.judging`), and `book/predictions_history.yaml`, written when a book is staged, the commit and
date of each prediction's first version and of its changes. A row of the table counts only for the prediction that it
was judged by: where the bound is another one now, the check is not in this run.

    ```{prediction} off-rate-formula     the statement, and since when it stands
    ```{verdict} off-rate-formula        a table of predicted and measured values; without a name: all predictions
                                         many rows are folded under their counts, what went against it is not, and
                                         `book/otherwise.yaml` says why
    {counts}`off-rate-formula`           in a sentence: how many of its checks came to which verdict; `a + b` of both
"""

import csv
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx_design.shared import create_component
from td_results import NumberRole, make_table, number_cell, page_sources
from td_tables import PREDICTIONS as TABLE
from td_tables import QueryError, Source, Value, ran

from tdlib.core.files import parse_yaml
from tdlib.study.prediction_history import HISTORY
from tdlib.study.predictions import Check, Prediction, load_predictions
from tdlib.study.verdicts import VERDICTS

LOG = logging.getLogger(__name__)
PREDICTIONS = Path("book/predictions.yaml")
OTHERWISE = Path("book/otherwise.yaml")
ENVIRONMENT = re.compile(r"^(.+)-v\d+$")  # an environment's name as Gymnasium writes it
ABSENT = "not in this run"
AGAINST = ("refuted", "inconsistent")
SEEN_AT_ONCE = 8  # rows: on a phone each takes a fifth of the screen
UNKNOWN = "unknown"  # what changed, where no history says
Judged = dict[tuple[str, str, str, str], dict[str, str]]  # (prediction, env, what, expected) -> row
Rows = list[tuple[Check, dict[str, str] | None]]  # of one prediction


def read_judged(place: Source) -> Judged:
    """Read the table of verdicts of a run or edition; empty if it has none."""
    path = place.folder / TABLE
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {(row["prediction"], row["env"], row["what"], row["expected"]): row for row in csv.DictReader(file)}


def since(history: dict | None) -> str:
    """Say since when a prediction stands and what was changed."""
    versions = (history or {}).get("versions", [])
    if not versions:
        return "When it was written is not known here: neither git nor the edition says."
    first, *changes = versions
    text = f"First written {first['date']} in commit {first['commit']}" if first["commit"] else "Not committed yet"
    if not changes:
        return text + "; not changed since."
    told = [
        f"{change['date']} in commit {change['commit']} ({_parts(change)})"
        if change["commit"]
        else f"since the last commit known here ({_parts(change)})"
        for change in changes
    ]
    return f"{text}; changed {', '.join(told)}."


def _parts(change: dict) -> str:
    parts = [part for part in change["changed"] if part != UNKNOWN]
    return ", ".join(parts) or "what, is not recorded"


class PredictionDirective(SphinxDirective):
    """The statement of one prediction, or of all (argument `all`)."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Emit an admonition, or one section-free block per prediction."""
        known, history = load_known(self), _load_history(self)
        names = list(known) if self.arguments[0] == "all" else [self.arguments[0]]
        result = []
        for name in names:
            if name not in known:
                LOG.warning("no prediction %r; known are %s", name, ", ".join(known), location=self.get_location())
                continue
            box = nodes.admonition(classes=["td-prediction"])
            box += nodes.title("", f"Prediction, written before the run: {known[name].title}")
            box += self.parse_text_to_nodes(known[name].statement)
            box += self.parse_text_to_nodes(f"Source: {known[name].source}")
            box += nodes.paragraph("", since(history.get(name)), classes=["td-source"])
            result.append(box)
        return result


class VerdictDirective(SphinxDirective):
    """Predicted and measured values of one prediction, or of all; `:whole:` folds nothing, inside of what is folded."""

    optional_arguments = 1
    option_spec = {"whole": directives.flag}

    def run(self) -> list[nodes.Node]:
        """Build the table."""
        known = load_known(self)
        names = [self.arguments[0]] if self.arguments else list(known)
        if set(names) - set(known):
            LOG.warning("no prediction %r", names[0], location=self.get_location())
            return []
        judged, label = judged_of(page_sources(self.env))
        shown = {name: list(rows_of(known[name], judged)) for name in names}
        if len(names) > 1:
            result = [_folded(f"{known[name].title}: {_counts(rows)}", rows) for name, rows in shown.items()]
        else:
            result = tables_of(shown[names[0]], "whole" in self.options)
        total = _counts([row for rows in shown.values() for row in rows])
        note = f"{total}. Brackets: 95 % interval over the n seeds. Source of the numbers: {_ran(shown, label)}."
        source = nodes.paragraph("", note, classes=["td-source"])
        why = [] if len(names) > 1 else self._otherwise(names[0], shown[names[0]])
        if len(result) == 1 and result[0].get("design_component"):  # folded whole, with its source
            result[0] += source
            return [*result, *why]
        return [*result, source, *why]

    def _otherwise(self, name: str, rows: Rows) -> list[nodes.Node]:
        """Say of the checks that went against the prediction why, where that is known."""
        path = Path(self.env.srcdir) / OTHERWISE
        self.env.note_dependency(str(path))
        known = parse_yaml(path.read_text(encoding="utf-8")) if path.exists() else {}
        try:
            found = explanations(known.get(name, {}), rows)
        except ValueError as error:
            LOG.warning("verdict: %s", error, location=self.get_location(), type="td", subtype="res")
            return []
        return [node for text in found for node in self.parse_text_to_nodes(f"*Otherwise than predicted.* {text}")]


def explanations(known: Mapping[str, str], rows: Rows) -> list[str]:
    """Return why checks went against a prediction, of those that did.

    Args:
        known: How the words of checks begin, perhaps behind a system, `Pendulum-v1: error at` -> why.
        rows: Of the prediction.

    Raises:
        ValueError: If no check's words begin so.
    """
    found = []
    for begin, why in known.items():
        own = [row for check, row in rows for words in (check.what, f"{check.env}: {check.what}")
               if words.startswith(begin)]  # fmt: skip
        if not own:
            raise ValueError(f"a reason must be for the begin of a check's words, got {begin!r}")
        if any(row and row["verdict"] in AGAINST for row in own):
            found.append(why)
    return found


def tables_of(rows: Rows, whole: bool) -> list[nodes.Node]:
    """Show few rows, or `whole`, as a table; of many those that went against the prediction, and the others folded."""
    if whole or len(rows) <= SEEN_AT_ONCE:
        return [_table(rows)]
    against = [(check, row) for check, row in rows if row and row["verdict"] in AGAINST]
    rest = [entry for entry in rows if entry not in against]
    return [*([_table(against)] if against else []), *([_folded(f"Checks: {_counts(rest)}", rest)] if rest else [])]


def _table(rows: Rows) -> nodes.container:
    wrapper = nodes.container(classes=["td-scroll", "td-verdicts"])
    wrapper += make_table(["What", "Predicted", "Measured", "Verdict"], [_cells(check, row) for check, row in rows])
    return wrapper


def _folded(title: str, rows: Rows) -> nodes.container:
    looks = {"container_classes": ["sd-mb-3"], "title_classes": [], "body_classes": []}
    closed = {"opened": False, "type": "dropdown", "has_title": True, "icon": None, "chevron": None}
    box = create_component("dropdown", **closed, **looks)
    box += [nodes.rubric("", title), _table(rows)]
    return box


def _counts(rows: Rows) -> str:
    return told([row for _, row in rows])


def _ran(shown: dict[str, Rows], label: str) -> str:
    """Where the rows are from, with the presets of the chapters that measured them in the place of the study's."""
    return ran({row.get("preset") or "" for rows in shown.values() for _, row in rows if row}, label)


class CountsRole(NumberRole):
    """How many checks came to which verdict, of one prediction or of several together: `consistent 4, open 2`."""

    def number(self) -> str:
        """Return the counts."""
        known, names = load_known(self), [name.strip() for name in self.text.split("+")]
        if unknown := [name for name in names if name not in known]:
            raise QueryError(f"a name must be one of {', '.join(known)}; got {unknown[0]!r}")
        judged, _ = judged_of(page_sources(self.env))
        return told([row for name in names for _, row in rows_of(known[name], judged)])


def judged_of(places: list[Source]) -> tuple[Judged, str]:
    """Return the first table of verdicts that a page's sources have, and where it is from."""
    found = ((rows, place.label) for place in places if (rows := read_judged(place)))
    return next(found, ({}, places[0].label if places else "no results"))


def told(rows: list[dict[str, str] | None]) -> str:
    """Count verdicts in words: `holds 3, open 1`; a check without a row is not in this run."""
    found = [row["verdict"] if row else ABSENT for row in rows]
    return ", ".join(f"{word} {found.count(word)}" for word in (*VERDICTS, ABSENT) if word in found)


def rows_of(prediction: Prediction, judged: Judged) -> Iterable[tuple[Check, dict[str, str] | None]]:
    """Yield every check with its row, None where it has none or was judged by another bound."""
    for check in prediction.checks:
        yield check, judged.get((check.prediction, check.env, check.what, check.expected))


def _cells(check: Check, row: dict[str, str] | None) -> list[nodes.Node]:
    place = nodes.strong("", ENVIRONMENT.sub(r"\1:", check.env))
    what = nodes.paragraph("", "", place, nodes.Text(f" {check.what}"))
    reference = "" if row is None or not row.get("reference") else f" of {float(row['reference']):.3g}"
    predicted = nodes.paragraph("", check.expected + reference)
    if row is None:
        return [what, predicted, nodes.paragraph("", "–"), _verdict_node(ABSENT, "")]
    number = [float(row[name] or "nan") for name in ("measured", "ci_low", "ci_high")]
    value = Value(*number, int(float(row["n_seeds"])), int(float(row["n"])))
    return [what, predicted, number_cell(value, ".3g", seeds=True), _verdict_node(row["verdict"], row["note"])]


def _verdict_node(verdict: str, note: str) -> nodes.paragraph:
    node = nodes.paragraph("", "", nodes.inline("", verdict, classes=["td-verdict", f"td-{verdict.split()[0]}"]))
    if note:
        node += nodes.Text(f": {note}")
    return node


def load_known(directive: SphinxDirective | NumberRole) -> dict[str, Prediction]:
    """Read the predictions beside the page, and make the page depend on them."""
    path = Path(directive.env.srcdir) / PREDICTIONS
    directive.env.note_dependency(str(path))
    return load_predictions(path)


def _load_history(directive: SphinxDirective) -> dict[str, dict]:
    path = Path(directive.env.srcdir) / PREDICTIONS.with_name(HISTORY)
    directive.env.note_dependency(str(path))
    return parse_yaml(path.read_text(encoding="utf-8")) if path.exists() else {}


def setup(app: Sphinx) -> dict:
    """Register both directives and the role."""
    app.add_role("counts", CountsRole())
    app.add_directive("prediction", PredictionDirective)
    app.add_directive("verdict", VerdictDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
