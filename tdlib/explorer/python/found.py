"""Explorers of what torch finds out about models that no script can run: one script for JupyterLab and for pages.

In JupyterLab torch answers when a choice asks for something. A page has no kernel: it reads what torch found for some
choices from a file beside it, `<env>-<kind>.js`, once it is looked at; without scripts it has a table.
"""

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, TypeVar

from tdlib.core.files import write_text
from tdlib.explorer.assets import found_script, read_asset
from tdlib.explorer.python.widget import ScriptWidget
from tdlib.study.phases.offered import OfferedPaths
from tdlib.study.provenance import produced
from tdlib.study.run import Missing, Run, undrawn_here
from tdlib.study.selection import Selection

KINDS = {"beliefs": "tdBeliefs", "pictures": "tdPictures"}  # -> global name of its script


class FoundExplorer(ScriptWidget):
    """An explorer in JupyterLab.

    Args:
        paths: What there is to choose.

    Attributes:
        kind: One of KINDS.
        offers: Makes the paths of a run.
        lacking: Begins the sentence that says why there is nothing to explore: "… is among what was chosen".
        limit: Most bytes that a page may read at once.
    """

    kind: ClassVar[str]
    offers: ClassVar[type[OfferedPaths]]
    lacking: ClassVar[str]
    limit: ClassVar[int]

    def __init__(self, paths: OfferedPaths):
        self.paths = paths
        told = f'globalThis.tdFoundWidget = "{KINDS[self.kind]}";'
        scripts = [told, found_script(self.kind), read_asset("found_widget.js")]
        super().__init__("\n".join(scripts), config=self.header())
        self.on_msg(self._on_message)

    def header(self) -> dict:
        """Return what there is to choose, as the kind's script reads it."""
        raise NotImplementedError("header() -> {name: value}")

    def page_content(self) -> dict:
        """Return what a page without a kernel reads: plain values, numbers finite."""
        raise NotImplementedError("page_content() -> {name: value}")

    def answer(self, request: Mapping) -> dict:
        """Return what the script draws for its choices, {rate [Hz], ...}.

        Raises:
            ValueError: If a choice is not on offer; also other errors of a bad request.
        """
        raise NotImplementedError("answer(request) -> {name: value}")

    def _on_message(self, widget: object, content: Mapping, buffers: object) -> None:
        if content.get("kind") == "ask":
            self.send(self.respond(content))

    def respond(self, request: Mapping) -> dict:
        """Answer one request of the script, {id, rate, ...}.

        A bad request is answered with a sentence, not raised, so that the script can show it.
        """
        try:
            return {"id": request.get("id"), **self.answer(request)}
        except (ValueError, KeyError, IndexError, TypeError, OSError) as error:
            return {"id": request.get("id"), "error": str(error)}


Explorer = TypeVar("Explorer", bound=FoundExplorer)


def open_found(explorer: type[Explorer], run: Run, env: str, chosen: Selection, family: str) -> Explorer | Missing:
    """Return an explorer of a run, and write what a page shows of it beside the figures.

    Args:
        explorer: Its class.
        run: Preset and folders; what is chosen must be trained.
        env: One of its systems.
        chosen: A part of the grid; the page's file is written where it is the whole.
        family: Folder of the figures.
    """
    kind = explorer.kind
    if (undrawn := undrawn_here(family, f"{env}-{kind}", chosen.label)) is not None:
        return undrawn
    paths = explorer.offers(run, env, chosen)
    if not paths.arms:
        return Missing(f"no {kind}: {explorer.lacking} is among what was chosen")
    found = explorer(paths)
    if not chosen.label:
        produced(write_page_file(kind, env, found.page_content(), run.layout.figures / family, explorer.limit))
    return found


def write_page_file(kind: str, env: str, content: Mapping, folder: Path, limit: int) -> Path:
    """Write what a page reads of a system, `<env>-<kind>.js`.

    Args:
        kind: One of KINDS.
        env: System.
        content: Plain values; numbers are finite.
        folder: Where to.
        limit: Most bytes that a page may read at once.

    Raises:
        ValueError: If there are more.
    """
    text = f"{KINDS[kind]}.load({json.dumps(content, separators=(',', ':'), allow_nan=False)});\n"
    if len(text) > limit:
        raise ValueError(f"the {kind} of {env} must take at most {limit} bytes, got {len(text)}")
    return write_text(folder / f"{env}-{kind}.js", text)


def found_element(kind: str, env: str, caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the element that a page's script turns into the explorer; without scripts it is a table."""
    cells = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    heads = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in head)
    return (
        f'<div class="td-{kind}" data-env="{html.escape(env)}"><div class="td-explorer-fallback">'
        f"<table><caption>{html.escape(caption)}</caption>"
        f"<thead><tr>{heads}</tr></thead><tbody>{cells}</tbody></table></div></div>"
    )
