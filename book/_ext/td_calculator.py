"""A calculator over the result tables: a reader's two rates, and what each remedy left at those nearest to them.

```{calculator} one_step.relative_error
do nothing: model=jump, method=baseline, train_frequency=h
factor Δt, three rates: model=jump, method=multi_resolution, form=scaled_concat, train_frequency=mixed
```

Each line of the body is a remedy, as in `res-table`; `h` stands for the reader's training rate. The cells are written
here, as the tables write theirs, and looked up by `_static/calculator.js`: nothing is computed or interpolated there
but |1 − h/Δ|. Without JavaScript the tables of the page stay.
"""

import html
import json
from collections.abc import Iterable, Sequence

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from td_results import brackets, look_up, page_sources
from td_tables import QueryError, Source, parse_query

LOG = logging.getLogger(__name__)
OWN = "h"  # in a query: the reader's training rate
FORMAT = ".3f"


class Calculator(SphinxDirective):
    """Two fields and a table; the argument is the metric, each line of the body a remedy."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Write the table's cells into the page."""
        places = page_sources(self.env)
        remedies = [tuple(map(str.strip, line.split(":", 1))) for line in self.content if ":" in line]
        if not places or not remedies:
            LOG.warning("calculator needs remedies and results", location=self.get_location())
            return []
        content = calculator_cells(places, self.arguments[0], remedies)
        if not content["train"]:
            LOG.warning("calculator: no remedy has a row", location=self.get_location())
            return []
        content["source"] = f"{brackets(places, set(content.pop('seeds')))} Source of the numbers: {places[0].label}."
        data = html.escape(json.dumps(content, ensure_ascii=False), quote=True)
        return [nodes.raw("", f'<div class="td-calculator" data-cells="{data}"></div>', format="html")]


def calculator_cells(places: list[Source], metric: str, remedies: Sequence[Sequence[str]]) -> dict:
    """Look up every remedy at every pair of rates that the first place has.

    Returns:
        Systems, training and test rates, and per remedy its label and cells by "system|train|test"; a remedy that does
        not depend on the training rate has an empty one.
    """
    rows = [row for row in places[0].rows if row.get("metric") == metric]
    envs = list(dict.fromkeys(row["env"] for row in rows if row["env"].rpartition("-v")[2].isdigit()))
    arms = [parse_query(query) for _, query in remedies]
    wanted = {(query.get("model"), query.get("method")) for query in arms}
    known = [row for row in rows if (row["model"], row["method"]) in wanted and row["env"] in envs]
    train, test = (rates(row[f"{side}_frequency"] for row in known) for side in ("train", "test"))
    seeds, shown = set(), []
    for (label, _), arm in zip(remedies, arms, strict=True):
        cells = {}
        for h in train if arm.get("train_frequency") == OWN else [""]:
            for env in envs:
                for rate in test:
                    query = {"metric": metric, "env": env, "test_frequency": rate, **arm}
                    try:
                        value, _ = look_up(places[:1], query | ({"train_frequency": h} if h else {}))
                    except QueryError:
                        continue
                    seeds.add(value.num_seeds)
                    cells[f"{env}|{h}|{rate}"] = value.text(FORMAT, brief=True)
        shown.append({"label": label, "cells": cells})
    return {"systems": envs, "train": train, "test": test, "remedies": shown, "seeds": sorted(seeds)}


def rates(labels: Iterable[str]) -> list[str]:
    """Return the labels that are rates, slowest first."""

    def is_rate(label: str) -> bool:
        return label.replace(".", "", 1).isdigit()

    return sorted(set(filter(is_rate, labels)), key=float)


def add_script(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: object) -> None:
    """Load the script where there is a calculator."""
    if 'class="td-calculator"' in context.get("body", ""):
        app.add_js_file("calculator.js", loading_method="defer")


def setup(app: Sphinx) -> dict:
    """Register the directive."""
    app.add_directive("calculator", Calculator)
    app.connect("html-page-context", add_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
