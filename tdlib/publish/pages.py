"""Build a staged book with Jupyter Book's configuration in several processes, which its command line does not offer."""

import os
import shutil
from pathlib import Path

LARGEST = 4  # processes; reading some thirty pages feeds no more


def build_pages(site: Path, html: Path) -> int:
    """Build a staged site strictly (every warning is an error) and move the pages to `html`; return the exit code.

    Args:
        site: Sources, with `_config.yml` and `_toc.yml`.
        html: Folder of the pages; what it held is replaced once the build has succeeded.
    """
    from jupyter_book.sphinx import build_sphinx  # slow to import, and no other job builds a book

    os.environ["TDLIB_SITE"] = str(site)
    built = site / "_build" / "html"
    result = build_sphinx(
        site,
        built,
        path_config=site / "_config.yml",
        noconfig=True,
        confoverrides={
            "external_toc_path": str(site / "_toc.yml"),
            "latex_individualpages": False,
            "nitpicky": True,
        },
        freshenv=True,
        warningiserror=True,
        keep_going=True,
        jobs=min(os.cpu_count() or 1, LARGEST),
    )
    if result != 0:
        return 1
    shutil.rmtree(html, ignore_errors=True)
    shutil.move(built, html)
    return 0
