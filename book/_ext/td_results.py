"""Numbers in prose and small tables come from result files, never from a keyboard.

    {res}`metric=one_step.relative_error, env=Pendulum-v1, model=jump, method=baseline, train_frequency=20,
          test_frequency=50 | .2f`

The part after `|` is a Python format; the word `brief` leaves the number of seeds out. A query that not exactly one row
answers is a warning, and therefore an error in the strict build.

    ```{res-table} metric=one_step.relative_error, env=Pendulum-v1
    :columns: test_frequency=10 20 50
    :format: .2f

    raw map: method=baseline, train_frequency=20
    rescaled: method=rescaled, train_frequency=20
    ```

{least}`metric=…, env=… / form=concat scaled` names the value with the least number.

With `:optional:` a row whose arm this run does not have is left out, and the line below the table names it. With
`:of: full_literal` the numbers are of another preset, whose rows lie in `book/blocks`; where none do, a line says so.
"""

import math
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole
from td_tables import (
    BLOCKS,
    PREDICTIONS,
    PUBLISHED,
    SPEC,
    STATISTICS,
    SUMMARIES,
    QueryError,
    Source,
    Value,
    find,
    open_source,
    parse_query,
    ran,
    read_preset,
    sources,
)

from tdlib.figures.words import listed
from tdlib.study.presets import load_preset
from tdlib.systems import SYSTEMS

LOG = logging.getLogger(__name__)
FEW = 4  # columns of numbers that a phone shows side by side


def page_sources(env: object) -> list[Source]:
    """Return the result folders that the present page reads, and make the page depend on their files."""
    root = Path(env.srcdir)
    for folder in (root, root / PUBLISHED):
        for name in (STATISTICS, PREDICTIONS, *SUMMARIES):
            env.note_dependency(str(folder / name))
    return sources(root, env.docname in env.config.td_conclusion_pages)


def look_up(places: list[Source], query: dict[str, str]) -> tuple[Value, Source]:
    """Answer a query from the first place that can; the error of the last one otherwise."""
    error = QueryError("there is no results/metrics/statistics.csv beside the book")
    for place in places:
        try:
            return find(place.rows, query), place
        except QueryError as caught:
            error = caught
    raise error


def has_row(places: list[Source], query: str) -> bool:
    """Whether a place answers a query."""
    try:
        look_up(places, parse_query(query))
    except QueryError:
        return False
    return True


def brackets(places: list[Source], seeds: set[int]) -> str:
    """Say what the brackets of a table are, and over how many seeds."""
    counts = sorted(seeds - {0})
    if not places or not counts or counts == [1]:
        return "One seed, no interval."
    return f"Brackets: {places[0].interval} of the mean over n = {' or '.join(map(str, counts))} seeds."


def number_cell(value: Value, spec: str, seeds: bool = False) -> nodes.Node:
    """Make a table cell: the mean, and below it in small type the interval and on request the seeds."""
    cell = nodes.line_block(classes=["td-cell"])
    mean, _, rest = value.text(spec, brief=not seeds).partition(" ")
    cell += nodes.line("", "", nodes.inline("", mean.rstrip(","), classes=["td-number"]))
    if rest:
        cell += nodes.line("", "", nodes.inline("", rest, classes=["td-interval"]))
    return cell


class NumberRole(SphinxRole):
    """A number that is read from a file; a query without an answer is a warning, so an error in the strict build."""

    def number(self) -> str:
        """Return the number as text."""
        raise NotImplementedError

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Replace the role by the number."""
        try:
            return [nodes.inline(self.rawtext, self.number(), classes=["td-number"])], []
        except (QueryError, ValueError, IndexError) as error:
            LOG.warning("%s: %s", self.name, error, location=self.get_location(), type="td", subtype="res")
            return [nodes.problematic(self.rawtext, self.rawtext)], []


class ResultRole(NumberRole):
    """One number with interval and seeds."""

    def number(self) -> str:
        """Return the number."""
        text, _, shape = " ".join(self.text.split()).partition("|")
        words = shape.split()
        brief = "brief" in words
        spec = next((word for word in words if word != "brief"), SPEC)
        value, _ = look_up(page_sources(self.env), parse_query(text))
        return value.text(spec, brief)


class LeastRole(NumberRole):
    """Which of several values of a key has the least number, and that: `metric=…, env=… / form=concat scaled`."""

    def number(self) -> str:
        """Return the value with its number."""
        query, _, choice = " ".join(self.text.split()).partition("/")
        return least(page_sources(self.env), query, choice)


def least(places: list[Source], query: str, choice: str) -> str:
    """Return the value of a key whose number is least, with that, among the values that were measured.

    Args:
        places: Where numbers come from; the first that has any of them answers.
        query: What all numbers share, `metric=…, env=…`.
        choice: `key=value value …`.

    Raises:
        QueryError: If no place has any of them.
    """
    key, _, values = choice.strip().partition("=")
    for place in places:
        found = {value: find(place.rows, parse_query(query) | {key: value}) for value in values.split()
                 if has_row([place], f"{query}, {key}={value}")}  # fmt: skip
        if finite := {value: number for value, number in found.items() if math.isfinite(number.mean)}:
            value, number = min(finite.items(), key=lambda entry: entry[1].mean)
            return f"{value}, {number.text(brief=True)}"
    raise QueryError(f"at least one number must be there of {choice.strip()}: {query.strip()}")


class SetupRole(NumberRole):
    """How a run's closed loop was set up: a key of its preset's `control`, or `Pendulum-v1.horizon` of a system."""

    def number(self) -> str:
        """Return the value."""
        return control_setup(page_sources(self.env)[0].folder, self.text.strip())


def control_setup(folder: Path, key: str) -> str:
    """Return a value as text; a list as `10, 20 and 50`.

    Args:
        folder: The folder that holds the run's `results/`.
        key: `replan_seconds`, or a system's name and a field of its planning.

    Raises:
        QueryError: If there is no such key.
    """
    system, _, name = key.rpartition(".")
    summary = read_preset(folder)
    # a run of an older version of the library did not write this down: the preset of its name stands for it
    control = summary.get("control") or load_preset(summary.get("preset", "quick")).control.model_dump()
    found = vars(SYSTEMS[system].planning) if system in SYSTEMS else control
    if name not in found or (system and system not in SYSTEMS):
        raise QueryError(f"a key must be one of {sorted(control)} or of a system's planning, got {key!r}")
    return in_words(found[name])


class PresetRole(NumberRole):
    """What a preset in `params/` asks for: `full.training.num_steps`; `#full.seeds` counts a list."""

    def number(self) -> str:
        """Return the value."""
        return preset_value(self.text.strip())


def preset_value(key: str) -> str:
    """Return a setting of a preset as text.

    Args:
        key: The preset's name and the path of the setting, joined by dots; "#" before it counts a list.

    Raises:
        QueryError: If the preset has no such setting.
        ValueError: If there is no such preset.
    """
    name, *path = key.removeprefix("#").split(".")
    value = load_preset(name).model_dump()
    for part in path:
        if not isinstance(value, dict) or part not in value:
            raise QueryError(f"a key must be a preset and the path of a setting, got {key!r}, where {part!r} is none")
        value = value[part]
    return str(len(value)) if key.startswith("#") else in_words(value)


def in_words(value: object) -> str:
    """Return a setting as text: a list as `10, 20 and 50`, thousands apart."""
    values = value if isinstance(value, tuple | list) else [value]
    return listed(as_number(each) if isinstance(each, int | float) else str(each) for each in values)


def as_number(value: float) -> str:
    """Return a number in the book's way: `30 000`, `0.003`."""
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}") if isinstance(value, int) else f"{value:g}"


class ResultTable(SphinxDirective):
    """A table of such numbers: the argument is the query shared by all cells, each line of the body a row."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = {
        "columns": directives.unchanged_required,
        "format": directives.unchanged,
        "heads": directives.unchanged,
        "unit": directives.unchanged,
        "optional": directives.flag,
        "of": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        """Build the table; a cell without a row says so and warns, unless the row is optional and has none at all."""
        places = self._places()
        if "of" in self.options and not places:
            return [nodes.paragraph("", f"Preset {self.options['of']} has not been run for this edition.")]
        key, _, values = self.options["columns"].partition("=")
        columns = values.split()
        heads = self.options.get("heads", "").split("|") if self.options.get("heads") else columns
        unit = self.options.get("unit", "Hz" if key.strip() == "test_frequency" else "")
        body, absent, self.seeds, self.presets = [], [], set(), set()
        for line in filter(None, (line.strip() for line in self.content)):
            label, _, query = line.partition(":")
            queries = [f"{self.arguments[0]}, {query}, {key}={column}" for column in columns]
            if "optional" in self.options and not any(has_row(places, each) for each in queries):
                absent.append(label.strip())
                continue
            body.append([nodes.paragraph("", label.strip()), *[self._cell(places, each) for each in queries]])
        titles = ["", *[f"{head.strip()} {unit}".strip() for head in heads]]
        label = ran(self.presets, places[0].label) if places else "none"
        note = f"{brackets(places, self.seeds)} Source of the numbers: {label}."
        if absent:
            note += f" Not in it: {', '.join(absent)}."
        note = nodes.paragraph("", note, classes=["td-source"])
        wrapper = nodes.container(classes=["td-scroll", "td-results", *(["td-few"] if len(columns) <= FEW else [])])
        wrapper += make_table(titles, body)
        return [wrapper, note]

    def _places(self) -> list[Source]:
        """Where its numbers come from: what the page reads, or another preset's blocks."""
        if "of" not in self.options:
            return page_sources(self.env)
        folder = Path(self.env.srcdir) / BLOCKS / self.options["of"]
        self.env.note_dependency(str(folder / STATISTICS))
        found = open_source(folder, "rows kept of blocks of seeds")
        return [] if found is None else [found]

    def _cell(self, places: list[Source], query: str) -> nodes.Node:
        try:
            value, _ = look_up(places, parse_query(query))
            self.seeds.add(value.num_seeds)
            self.presets.add(value.preset)
            return number_cell(value, self.options.get("format", SPEC))
        except QueryError as error:
            LOG.warning("res-table: %s", error, location=self.get_location(), type="td", subtype="res")
            return nodes.paragraph("", "no row")


def make_table(titles: list[str], body: list[list[nodes.Node]]) -> nodes.table:
    """Build a docutils table from paragraph nodes."""
    group = nodes.tgroup(cols=len(titles))
    group += [nodes.colspec(colwidth=1) for _ in titles]
    head = nodes.row()
    for title in titles:
        head += nodes.entry("", nodes.paragraph("", title))
    group += nodes.thead("", head)
    rows = nodes.tbody()
    for cells in body:
        row = nodes.row()
        for cell in cells:
            row += nodes.entry("", cell)
        rows += row
    group += rows
    return nodes.table("", group, classes=["td-table"])


def setup(app: Sphinx) -> dict:
    """Register role, directive and the list of pages that hold conclusions."""
    app.add_config_value("td_conclusion_pages", [], "env")
    app.add_role("res", ResultRole())
    app.add_role("least", LeastRole())
    app.add_role("setup", SetupRole())
    app.add_role("preset", PresetRole())
    app.add_directive("res-table", ResultTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
