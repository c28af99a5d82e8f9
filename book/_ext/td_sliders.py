"""Sliders that move in the page itself: a container for `_static/sliders.js`, and a fallback that stays without it.

```{slider} pendulum
What a reader without JavaScript sees: a table with the same numbers.
```
"""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

LOG = logging.getLogger(__name__)
NAMES = ("pendulum", "mismatch", "euler", "interpolation", "alias", "hold")


class Slider(SphinxDirective):
    """One slider by name; the body is the fallback."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Emit the container."""
        name = self.arguments[0]
        if name not in NAMES or not self.content:
            LOG.warning("slider needs a name among %s and a fallback", ", ".join(NAMES), location=self.get_location())
            return []
        fallback = nodes.container(classes=["td-fallback"])
        fallback += self.parse_content_to_nodes()
        box = nodes.container(classes=["td-slider", f"td-slider-{name}"])
        box += fallback
        return [box]


def setup(app: Sphinx) -> dict:
    """Register the directive."""
    app.add_directive("slider", Slider)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
