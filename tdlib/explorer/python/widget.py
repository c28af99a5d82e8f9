"""How JupyterLab carries a page's scripts with Python behind them: anywidget, which enters here only."""

from typing import Any

import anywidget
import traitlets

from tdlib.explorer.assets import read_asset
from tdlib.figures.theme import theme_css


class ScriptWidget(anywidget.AnyWidget):
    """A script with Python behind it; where no kernel runs, the element that the page's own copy of the script fills.

    Args:
        script: Module that anywidget loads.
        traits: First values of the synchronized traits.
    """

    config = traitlets.Dict().tag(sync=True)

    def __init__(self, script: str, **traits: object):
        self._esm = script
        self._css = theme_css() + read_asset("explorer.css")
        super().__init__(**traits)

    def page_element(self) -> str:
        """Return the element for a page without a kernel."""
        raise NotImplementedError("page_element() -> str")

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict, dict]:
        data, metadata = super()._repr_mimebundle_(**options) or ({}, {})
        return {**data, "text/html": self.page_element()}, metadata
