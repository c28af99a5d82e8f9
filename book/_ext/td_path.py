"""The reading path, the numbered part of `_toc.yml`: "Next" walks through it alone, and its figures have numbers.

The appendix is looked up, so its pages have neither "Next" nor numbered figures: a figure has one number, in the
chapter that shows it. A book without a numbered part, as a run of one's own gets, is walked through from end to end.
"""

import functools
from pathlib import Path

import yaml
from sphinx.application import Sphinx


def reading_path(contents: dict) -> list[str]:
    """List the pages of the path in order: the first page and those of numbered parts; empty if no part is numbered.

    Args:
        contents: What `_toc.yml` holds.
    """
    files = [file for part in contents["parts"] if part.get("numbered") for file in pages_of(part["chapters"])]
    return [contents["root"], *files] if files else []


def pages_of(entries: list[dict]) -> list[str]:
    """List the files of a part and of its sections in reading order."""
    return [file for entry in entries for file in (entry["file"], *pages_of(entry.get("sections", [])))]


@functools.lru_cache(maxsize=2)
def path_of_site(root: Path) -> tuple[str, ...]:
    """Read the path of a staged site."""
    return tuple(reading_path(yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))))


def keep_to_path(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: object) -> None:
    """Take away the links to the page before and after where they leave the path."""
    path = path_of_site(Path(app.srcdir))
    if path and pagename not in path:
        context["prev"] = context["next"] = None
    elif path and pagename == path[-1]:
        context["next"] = None


def setup(app: Sphinx) -> dict:
    """Connect the rule."""
    app.connect("html-page-context", keep_to_path)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
