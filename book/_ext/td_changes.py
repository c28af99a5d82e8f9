"""What the first edition said beside what this one says; neither number is typed.

    ```{then-and-now} metric=one_step.relative_error, env=Pendulum-v1
    :format: .2f

    own rate: model=jump, method=baseline, train_frequency=20, test_frequency=20
    with contacts: - || model=jump, method=baseline, data=contacts, train_frequency=20, test_frequency=20
    ```

A row is `label: query`, or `label: first edition's query || today's`, `-` for none. The left number comes from
`book/first_edition.csv`, made by `first_edition.py`, the right one from the published edition. As long as that is still
the first one, the right column is empty and the line below says so.

    ```{then-stated}      what the first version of each prediction said, beside its present title
    ```
"""

import yaml
from docutils import nodes
from docutils.parsers.rst import directives
from first_edition import COMMIT, DATE, STATED, TABLE, parse_row
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from td_predictions import load_known
from td_results import look_up, make_table, number_cell, page_sources
from td_tables import SPEC, QueryError, Source, find, find_row, parse_query, read_statistics

LOG = logging.getLogger(__name__)


class ThenAndNow(SphinxDirective):
    """A table of old and new numbers."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = {"format": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        """Build the table."""
        path = TABLE if TABLE.exists() else None
        if path is None:
            LOG.warning("then-and-now: %s is missing", TABLE.name, location=self.get_location())
            return []
        self.env.note_dependency(str(path))
        then, places = read_statistics(path), page_sources(self.env)
        still_first = is_first(then, places)
        body = []
        for line in filter(None, (line.strip() for line in self.content)):
            label, old, new = parse_row(self.arguments[0], line)
            cells = [self._old(then, old), nodes.paragraph("", "–") if still_first else self._new(places, new)]
            body.append([nodes.paragraph("", label), *cells])
        wrapper = nodes.container(classes=["td-scroll", "td-then"])
        wrapper += make_table(["", "First edition [range of its seeds]", "Now"], body)
        if still_first:
            now = "The edition in git is still that one; the next fills the column."
        else:
            now = f"Now: {places[0].label}, {places[0].interval} over its seeds."
        note = f"First edition: commit {COMMIT}, {DATE}. {now}"
        return [wrapper, nodes.paragraph("", note, classes=["td-source"])]

    def _old(self, rows: list[dict[str, str]], query: str | None) -> nodes.Node:
        if query is None:
            return nodes.paragraph("", "not there")
        try:
            return number_cell(find(rows, parse_query(query)), self.options.get("format", SPEC), seeds=True)
        except QueryError as error:
            LOG.warning("then-and-now: %s", error, location=self.get_location(), type="td", subtype="res")
            return nodes.paragraph("", "no row")

    def _new(self, places: list[Source], query: str | None) -> nodes.Node:
        if query is None:
            return nodes.paragraph("", "no longer shown")
        try:
            value, _ = look_up(places, parse_query(query))
        except QueryError:  # an arm that a preset leaves out
            return nodes.paragraph("", "not in this edition")
        return number_cell(value, self.options.get("format", SPEC), seeds=True)


def is_first(then: list[dict[str, str]], places: list[Source]) -> bool:
    """Whether the numbers of today are those of the first edition: every kept row is there, with the same digits."""
    if not places:
        return True
    keys = [key for key in then[0] if key not in ("mean", "ci_low", "ci_high", "n_seeds", "n")]
    for row in then:
        try:
            now = find_row(places[0].rows, {key: row[key] for key in keys})
        except QueryError:
            return False
        if float(now["mean"]) != float(row["mean"]) and row["metric"] != "ensemble.auroc":  # rounded when it is kept
            return False
    return True


class ThenStated(SphinxDirective):
    """What the first version of a prediction said, beside the title it has now."""

    def run(self) -> list[nodes.Node]:
        """Build one table row per prediction of the first version, and say how many came later."""
        self.env.note_dependency(str(STATED))
        first = yaml.safe_load(STATED.read_text(encoding="utf-8"))
        now = load_known(self)
        body = []
        for name, old in first.items():
            said = self._words(f"{old['title'][0].upper()}{old['title'][1:]}. {old['statement']}")
            new = self._words(now[name].title) if name in now else nodes.paragraph("", "left out")
            body.append([nodes.paragraph("", "", nodes.literal("", name)), said, new])
        wrapper = nodes.container(classes=["td-scroll"])
        wrapper += make_table(["Prediction", "First version", "Title now"], body)
        later = f"Written later: {len(now.keys() - first.keys())} more."
        return [wrapper, nodes.paragraph("", later, classes=["td-source"])]

    def _words(self, text: str) -> nodes.Node:
        box = nodes.container()
        box += self.parse_text_to_nodes(text)
        return box


def setup(app: Sphinx) -> dict:
    """Register both directives."""
    app.add_directive("then-and-now", ThenAndNow)
    app.add_directive("then-stated", ThenStated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
