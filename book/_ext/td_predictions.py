"""Predictions written before the run, and verdicts computed from result files.

`book/predictions.yaml` holds the predictions. A check compares a measured number, or the ratio of two, with what theory
says. The interval of a ratio is taken as [low / high, high / low], which is wider than it need be. A verdict is

    holds     the whole interval lies where the prediction says
    refuted   the whole interval lies elsewhere
    open      the interval covers both, or there is none

    ```{prediction} off-rate-formula     the statement
    ```{verdict} off-rate-formula        a table of predicted and measured values; without a name: all predictions
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from td_results import look_up, make_table, number_cell, page_sources
from td_tables import QueryError, Value, parse_query

LOG = logging.getLogger(__name__)
PREDICTIONS = Path("book/predictions.yaml")
RATES = {"33.3": 0.03}  # a rate quoted with rounded digits stands for this interval [s]
ENVIRONMENT = re.compile(r"(.+)-v\d+")  # an environment's name as Gymnasium writes it
ABSENT = "not in this run"
VERDICTS = ("holds", "refuted", "open", ABSENT)
CHECK_KEYS = {"what", "left", "over", "mismatch", "near", "tolerance", "below", "above", "formula", "env"}


@dataclass(frozen=True)
class Check:
    """One number that a prediction speaks about.

    Args:
        env: Environment, or a short text if the check compares environments.
        what: What is measured, in words.
        left: Query of the number.
        over: Query of the number it is divided by; None if it stands alone.
        low: Smallest value the prediction allows.
        high: Largest value.
        expected: The prediction in words.
    """

    env: str
    what: str
    left: dict[str, str]
    over: dict[str, str] | None
    low: float
    high: float
    expected: str


@dataclass(frozen=True)
class Prediction:
    """A statement with its checks.

    Args:
        name: Key used by the directives.
        title: A few words.
        statement: Markdown, with the formula.
        source: Where the statement comes from.
        checks: The numbers it speaks about.
    """

    name: str
    title: str
    statement: str
    source: str
    checks: list[Check]


def delta_t(rate: str | float) -> float:
    """Return the control interval [s] of a rate [Hz]."""
    return RATES.get(str(rate), 1.0 / float(rate))


def load_predictions(path: Path) -> dict[str, Prediction]:
    """Read and check the file.

    Raises:
        ValueError: If a check has an unknown key or no condition.
    """
    result = {}
    for item in yaml.safe_load(path.read_text(encoding="utf-8")):
        everywhere = item.get("env", [""])
        checks = [_check(item["name"], env, raw) for raw in item["checks"] for env in raw.get("env", everywhere)]
        result[item["name"]] = Prediction(item["name"], item["title"], item["statement"], item["source"], checks)
    return result


def _check(name: str, env: str, raw: dict) -> Check:
    unknown = set(raw) - CHECK_KEYS
    if unknown:
        raise ValueError(f"prediction {name!r}: unknown keys {sorted(unknown)}; known are {sorted(CHECK_KEYS)}")
    low, high = -math.inf, math.inf
    if "mismatch" in raw:
        trained, tested = raw["mismatch"]
        near = abs(1 - delta_t(trained) / delta_t(tested))
    else:
        near = raw.get("near")
    if near is not None:
        spread = raw["tolerance"]
        low, high = near * (1 - spread), near * (1 + spread)
        expected = f"{near:.3g} ± {spread:.0%}"
    elif "below" in raw:
        high, expected = raw["below"], f"below {raw['below']:.3g}"
    elif "above" in raw:
        low, expected = raw["above"], f"above {raw['above']:.3g}"
    else:
        raise ValueError(f"prediction {name!r}: a check needs mismatch, near, below or above")
    place = f"env={env}, " if ENVIRONMENT.fullmatch(env) else ""
    return Check(
        env,
        raw["what"],
        parse_query(place + raw["left"]),
        parse_query(place + raw["over"]) if "over" in raw else None,
        low,
        high,
        expected,
    )


def ratio(left: Value, over: Value) -> Value:
    """Divide two positive numbers; the interval is the widest that the two intervals allow."""
    low, high = math.nan, math.nan
    if left.has_interval and over.has_interval and over.low > 0:
        low, high = left.low / over.high, left.high / over.low
    mean = left.mean / over.mean if over.mean else math.nan
    return Value(mean, low, high, min(left.num_seeds, over.num_seeds), min(left.n, over.n))


def judge(value: Value, check: Check) -> str:
    """Return holds, refuted or open; one seed decides nothing."""
    if not math.isfinite(value.mean) or not value.has_interval or value.num_seeds < 2:
        return "open"
    if check.low <= value.low and value.high <= check.high:
        return "holds"
    if value.high < check.low or value.low > check.high:
        return "refuted"
    return "open"


class PredictionDirective(SphinxDirective):
    """The statement of one prediction, or of all (argument `all`)."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Emit an admonition, or one section-free block per prediction."""
        known = _load(self)
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
            result.append(box)
        return result


class VerdictDirective(SphinxDirective):
    """Predicted and measured values of one prediction, or of all."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Build the table."""
        known = _load(self)
        names = [self.arguments[0]] if self.arguments else list(known)
        if set(names) - set(known):
            LOG.warning("no prediction %r", names[0], location=self.get_location())
            return []
        places = page_sources(self.env)
        wrapper = nodes.container(classes=["td-scroll", "td-verdicts"])
        counts = dict.fromkeys(VERDICTS, 0)
        for name in names:
            rows = []
            for check in known[name].checks:
                measured, verdict = self._measure(places, check)
                counts[verdict] += 1
                place = nodes.strong("", ENVIRONMENT.sub(r"\1:", check.env))
                what = nodes.paragraph("", "", place, nodes.Text(f" {check.what}"))
                rows.append([what, nodes.paragraph("", check.expected), measured, _verdict_node(verdict)])
            if len(names) > 1:
                wrapper += nodes.rubric("", known[name].title)
            wrapper += make_table(["What", "Predicted", "Measured", "Verdict"], rows)
        total = ", ".join(f"{word} {count}" for word, count in counts.items() if count)
        label = places[0].label if places else "no results"
        return [wrapper, nodes.paragraph("", f"{total}. Source of the numbers: {label}.", classes=["td-source"])]

    def _measure(self, places: list, check: Check) -> tuple[nodes.Node, str]:
        try:
            value, _ = look_up(places, check.left)
            if check.over is not None:
                value = ratio(value, look_up(places, check.over)[0])
        except QueryError as error:
            if not places or str(error).startswith("exactly one row must match, 0"):
                return nodes.paragraph("", "–"), ABSENT  # a preset may leave sizes out
            LOG.warning("verdict: %s", error, location=self.get_location(), type="td", subtype="res")
            return nodes.paragraph("", "–"), ABSENT
        return number_cell(value, ".3g", seeds=True), judge(value, check)


def _verdict_node(verdict: str) -> nodes.paragraph:
    return nodes.paragraph("", "", nodes.inline("", verdict, classes=["td-verdict", f"td-{verdict.split()[0]}"]))


def _load(directive: SphinxDirective) -> dict[str, Prediction]:
    path = Path(directive.env.srcdir) / PREDICTIONS
    directive.env.note_dependency(str(path))
    return load_predictions(path)


def setup(app: Sphinx) -> dict:
    """Register both directives."""
    app.add_directive("prediction", PredictionDirective)
    app.add_directive("verdict", VerdictDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
