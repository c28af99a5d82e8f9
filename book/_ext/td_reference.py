"""Reference tables made from files: the library's public names, and what became of those in the founding documents."""

import ast
import importlib.util
import re
from pathlib import Path

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from td_results import make_table

from tdlib.core.layers import LAYERS

LOG = logging.getLogger(__name__)
SEED_MAP = Path("book/seed_map.yaml")
SEEDS = ("000", "001", "002", "003", "004")
STATUS = ("kept", "replaced", "left out", "coming")


def public_names(source: str) -> list[tuple[str, str, str]]:
    """List (kind, signature, first line of the docstring) of the public classes and functions of one module."""
    result = []
    for node in ast.parse(source).body:
        if not isinstance(node, (ast.ClassDef, ast.FunctionDef)) or node.name.startswith("_"):
            continue
        words = (ast.get_docstring(node) or "").strip().splitlines()
        kind = "class" if isinstance(node, ast.ClassDef) else "function"
        result.append((kind, node.name, words[0] if words else ""))
    return result


def library_modules() -> list[tuple[str, Path]]:
    """List (module name, file) of the installed library in the order of its layers, without importing it."""
    spec = importlib.util.find_spec("tdlib")
    if spec is None or not spec.submodule_search_locations:
        return []
    root = Path(next(iter(spec.submodule_search_locations)))
    files = [p for p in root.rglob("*.py") if not any(part.startswith("_") for part in p.relative_to(root).parts)]
    packages = [p for p in root.rglob("__init__.py") if p.parent != root]

    def order(path: Path) -> tuple:
        first = path.relative_to(root).parts[0].removesuffix(".py")
        return (LAYERS.index(first) if first in LAYERS else len(LAYERS), path.name != "__init__.py", str(path))

    named = []
    for path in sorted(files + packages, key=order):
        parts = path.relative_to(root.parent).with_suffix("").parts
        named.append((".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return named


def with_code(line: str) -> list[nodes.Node]:
    """Turn a line of a docstring into nodes: what stands between backticks is code."""
    parts = re.split(r"`+([^`]+)`+", line)
    return [nodes.literal("", part) if i % 2 else nodes.Text(part) for i, part in enumerate(parts) if part]


class ApiListing(SphinxDirective):
    """One table row per public name of the library."""

    def run(self) -> list[nodes.Node]:
        """Read the sources with `ast`; nothing is imported."""
        result: list[nodes.Node] = []
        modules = library_modules()
        if not modules:
            LOG.warning("api-listing: tdlib is not installed", location=self.get_location())
        for name, path in modules:
            self.env.note_dependency(str(path))
            source = path.read_text(encoding="utf-8")
            words = (ast.get_docstring(ast.parse(source)) or "").strip().splitlines()
            names = public_names(source)
            if path.name == "__init__.py" and not names:
                continue
            result.append(nodes.rubric("", "", nodes.literal("", name)))
            result.append(nodes.paragraph("", "", *with_code(words[0] if words else "")))
            if names:
                items = nodes.bullet_list(classes=["td-api"])
                for _, title, line in names:
                    words = nodes.paragraph("", "", nodes.literal("", title), nodes.Text(" – "), *with_code(line))
                    items += nodes.list_item("", words)
                result.append(items)
        return result


def load_seed_map(path: Path) -> list[dict]:
    """Read the map and check it.

    Raises:
        ValueError: If an entry lacks a key, has an unknown status, or gives no reason where one is due.
    """
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    for entry in entries:
        missing = {"kind", "seeds", "seed", "status", "ours", "why"} - set(entry)
        if missing:
            raise ValueError(f"seed map entry {entry.get('seed')!r} lacks {sorted(missing)}")
        if not entry["seeds"] or not set(entry["seeds"]) <= set(SEEDS):
            raise ValueError(f"seed map entry {entry['seed']!r}: seeds must be some of {SEEDS}, got {entry['seeds']}")
        status = entry["status"]
        if status not in STATUS:
            raise ValueError(f"seed map entry {entry['seed']!r}: status must be one of {STATUS}, got {status!r}")
        if entry["status"] != "kept" and not entry["why"]:
            raise ValueError(f"seed map entry {entry['seed']!r}: what is {entry['status']} needs a reason")
    return entries


class SeedTable(SphinxDirective):
    """The entries of one kind: command, file, flag, configuration key, name, dependency."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Build the table."""
        path = Path(self.env.srcdir) / SEED_MAP
        self.env.note_dependency(str(path))
        entries = [entry for entry in load_seed_map(path) if entry["kind"] == self.arguments[0]]
        if not entries:
            LOG.warning("seed-table: no entry of kind %r", self.arguments[0], location=self.get_location())
        rows = []
        for entry in entries:
            seed = nodes.paragraph("", "", nodes.literal("", entry["seed"].replace("`", "")))  # code as a whole
            ours = nodes.paragraph("", "", *[n for n in self._inline(entry["ours"])])
            seeds = nodes.paragraph("", " ".join(entry["seeds"]))
            status = nodes.paragraph("", entry["status"])
            why = nodes.paragraph("", "", *[n for n in self._inline(entry["why"])])
            rows.append([seeds, seed, status, ours, why])
        wrapper = nodes.container(classes=["td-scroll", "td-seed"])
        wrapper += make_table(["Document", "Its name", "Here", "What takes its place", "Why"], rows)
        return [wrapper]

    def _inline(self, text: str) -> list[nodes.Node]:
        parsed = self.parse_text_to_nodes(text) if text else []
        return parsed[0].children if parsed else []


def setup(app: Sphinx) -> dict:
    """Register both directives."""
    app.add_directive("api-listing", ApiListing)
    app.add_directive("seed-table", SeedTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
