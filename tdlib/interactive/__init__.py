"""One explorer, two homes: torch behind it in JupyterLab, the page's own weights on a published page."""

from tdlib.interactive.checkpoints import find_checkpoints
from tdlib.interactive.explorer import Explorer

__all__ = ["Explorer", "find_checkpoints"]
