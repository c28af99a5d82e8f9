"""Read pages side by side: one extension of the tools does not say whether that is safe.

`sphinx_multitoc_numbering` continues the numbers of chapters from part to part once all pages are read. Chapters of
this book have no numbers, so it has nothing to do.
"""

from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, bool]:
    """Declare the silent extension safe."""
    app.extensions["sphinx_multitoc_numbering"].parallel_read_safe = True
    return {"parallel_read_safe": True, "parallel_write_safe": True}
