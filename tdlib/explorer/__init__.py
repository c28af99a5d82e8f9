"""One explorer, two homes: torch behind it in JupyterLab, the page's own weights on a published page."""

from tdlib.explorer.python.checkpoints import find_checkpoints
from tdlib.explorer.python.explorer import Explorer

__all__ = ["Explorer", "find_checkpoints"]
