"""The table that shows that PPO learns at each rate, from the file a full phase 1 left in `book/_data`."""

import csv
import json
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from td_results import make_table

TABLE, ORIGIN = "book/_data/ppo_learning.csv", "book/_data/ppo_learning.json"


class PPOLearning(SphinxDirective):
    """Mean return of the episodes in each fifth of the collection, with interval and number of episodes."""

    def run(self) -> list[nodes.Node]:
        """Build the table from the file."""
        root = Path(self.env.srcdir)
        for name in (TABLE, ORIGIN):
            self.env.note_dependency(str(root / name))
        with (root / TABLE).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        parts = sorted({float(row["part"]) for row in rows})
        groups: dict[tuple[str, str], dict[float, dict]] = {}
        for row in rows:
            groups.setdefault((row["env"], row["control_frequency"]), {})[float(row["part"])] = row
        body = []
        for (env, rate), cells in groups.items():
            columns = [nodes.paragraph("", f"{env}, {rate} Hz"), *(_cell(cells[part]) for part in parts)]
            body.append(columns)
        titles = ["agent", *(f"to {part:.0%}" for part in parts)]
        wrapper = nodes.container(classes=["td-scroll"])
        wrapper += make_table(titles, body)
        seeds = sorted({row["seed"] for row in rows})
        transitions = sorted({int(row["transitions"]) for row in rows})
        origin = json.loads((root / ORIGIN).read_text(encoding="utf-8"))
        versions = origin.get("versions", {})
        named = [f"{name} {versions[name]}" for name in ("stable-baselines3", "torch", "gymnasium") if name in versions]
        note = (
            f"Mean return of the episodes in each fifth of {transitions[0]:,} transitions, 95 % bootstrap interval "
            f"over episodes, n episodes; seed {', '.join(seeds)}. Versions: {', '.join(named)}."
        )
        return [wrapper, nodes.paragraph("", note, classes=["td-source"])]


def _cell(row: dict[str, str]) -> nodes.Node:
    cell = nodes.line_block(classes=["td-cell"])
    cell += nodes.line("", "", nodes.inline("", _number(row["mean_return"]), classes=["td-number"]))
    interval = f"[{_number(row['ci_low'])}, {_number(row['ci_high'])}], n = {row['n_episodes']}"
    cell += nodes.line("", "", nodes.inline("", interval, classes=["td-interval"]))
    return cell


def _number(text: str) -> str:
    return f"{float(text):.0f}".replace("-", "−")


def setup(app: Sphinx) -> dict:
    """Register the directive."""
    app.add_directive("ppo-learning", PPOLearning)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
