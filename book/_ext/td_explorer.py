"""The explorer on any page: the element that the explorer's notebook made, with its figure and table for no scripts.

    ```{explorer}
    ```

One object serves every page: the directive takes the element from the staged notebook, so its numbers are the run's.
With a system of a chapter it opens there, in a view of its own, below what is said in its body:

    ```{explorer} oscillator
    :view: hz=10

    Move Δt.
    ```

A book whose page carries no models of that system stands without it. So it is with those of beliefs and of pictures,
which read what a chapter's run found for a system:

    ```{beliefs} oscillator
    Move Δt.
    ```
"""

import html
import re
from pathlib import Path

import nbformat
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

NOTEBOOK = "notebooks/07_explorer.ipynb"
WEIGHTS = "book/_static/weights/weights-{}.js"
FOUND = "book/_static/{kind}/{env}-{kind}.js"
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


WITHOUT_SCRIPTS = "With scripts, Δt is moved here; the figures of this page show the same models without."


def system_element(env: str, view: str) -> str:
    """Return the element of an explorer that opens with a system, in the rest of a link."""
    link = html.escape("&".join(filter(None, ("dt-explorer", f"env={env}", view))))
    fallback = f'<div class="td-explorer-fallback"><p>{WITHOUT_SCRIPTS}</p></div>'
    return f'<div class="td-explorer" data-env="{html.escape(env)}" data-view="{link}">{fallback}</div>'


class ExplorerDirective(SphinxDirective):
    """Show the explorer of the run, in its first view or in one of another system."""

    optional_arguments = 1
    has_content = True
    option_spec = {"view": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        if self.arguments:
            return self._of_system(self.arguments[0])
        notebook = Path(self.env.srcdir) / NOTEBOOK
        self.env.note_dependency(str(notebook))
        try:
            return [nodes.raw("", explorer_element(notebook), format="html")]
        except (OSError, ValueError) as error:
            return [self.state.document.reporter.warning(f"explorer: {error}", line=self.lineno)]

    def _of_system(self, env: str) -> list[nodes.Node]:
        weights = Path(self.env.srcdir) / WEIGHTS.format(env.replace("-", "_"))
        self.env.note_dependency(str(weights))
        if not weights.exists():
            return []
        element = system_element(env, self.options.get("view", ""))
        return [*self.parse_content_to_nodes(), nodes.raw("", element, format="html")]


class FoundDirective(SphinxDirective):
    """Show what a run found for a system, of the kind that the directive is called by, below what its body says."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        env, kind = self.arguments[0], self.name
        found = Path(self.env.srcdir) / FOUND.format(kind=kind, env=env)
        self.env.note_dependency(str(found))
        if not found.exists():
            return []
        fallback = f'<div class="td-explorer-fallback"><p>{WITHOUT_SCRIPTS}</p></div>'
        element = f'<div class="td-{kind}" data-env="{html.escape(env)}">{fallback}</div>'
        return [*self.parse_content_to_nodes(), nodes.raw("", element, format="html")]


def setup(app: object) -> dict:
    """Register the directives."""
    app.add_directive("explorer", ExplorerDirective)
    for kind in ("beliefs", "pictures"):
        app.add_directive(kind, FoundDirective)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
