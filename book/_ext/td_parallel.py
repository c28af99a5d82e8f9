"""Read pages side by side: one extension of the tools does not say whether that is safe.

`sphinx_multitoc_numbering` numbers the chapters once all pages are read, in the order of the table of contents; while
they are read it keeps nothing.
"""

from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, bool]:
    """Declare the silent extension safe."""
    app.extensions["sphinx_multitoc_numbering"].parallel_read_safe = True
    return {"parallel_read_safe": True, "parallel_write_safe": True}
