"""The explorer on any page: the element that the explorer's notebook made, with its figure and table for no scripts.

    ```{explorer}
    ```

One object serves every page: the directive takes the element from the staged notebook, so its numbers are the run's.
"""

import re
from pathlib import Path

import nbformat
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

NOTEBOOK = "notebooks/07_explorer.ipynb"
ELEMENT = re.compile(r'<div class="td-explorer".*<!-- end of explorer -->', re.DOTALL)


def explorer_element(notebook: Path) -> str:
    """Return the explorer's element from an executed notebook.

    Raises:
        ValueError: If the notebook holds none.
    """
    for cell in nbformat.read(notebook, as_version=4).cells:
        for output in cell.get("outputs", ()):
            found = ELEMENT.search("".join(output.get("data", {}).get("text/html", "")))
            if found:
                return found.group()
    raise ValueError(f"{notebook.name} must show an explorer, none found")


class ExplorerDirective(SphinxDirective):
    """Show the explorer of the run."""

    def run(self) -> list[nodes.Node]:
        notebook = Path(self.env.srcdir) / NOTEBOOK
        self.env.note_dependency(str(notebook))
        try:
            return [nodes.raw("", explorer_element(notebook), format="html")]
        except (OSError, ValueError) as error:
            return [self.state.document.reporter.warning(f"explorer: {error}", line=self.lineno)]


def setup(app: object) -> dict:
    """Register the directive."""
    app.add_directive("explorer", ExplorerDirective)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
