"""One explorer, two homes: live widgets in JupyterLab, and the same sliders on the published page without a kernel."""

from tdlib.interactive.explorer import Explorer
from tdlib.interactive.predictions import Exploration

__all__ = ["Exploration", "Explorer"]
