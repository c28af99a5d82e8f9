"""A drop zone for a log: a container for `_static/log_check.js`, and a fallback where it does not run.

```{log-check}
What a reader without JavaScript sees.
```
"""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

LOG = logging.getLogger(__name__)


class LogCheck(SphinxDirective):
    """One drop zone; the body is the fallback."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Emit the container."""
        if not self.content:
            LOG.warning("log-check needs a fallback", location=self.get_location())
            return []
        fallback = nodes.container(classes=["td-fallback"])
        fallback += self.parse_content_to_nodes()
        box = nodes.container(classes=["td-logcheck"])
        box += fallback
        return [box]


def add_script(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: object) -> None:
    """Load the script where there is a drop zone."""
    if "td-logcheck" in context.get("body", ""):
        app.add_js_file("log_check.js", loading_method="defer")


def setup(app: Sphinx) -> dict:
    """Register the directive."""
    app.add_directive("log-check", LogCheck)
    app.connect("html-page-context", add_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
