"""Each page's code as one script, in the percent format that editors and jupytext read as cells.

A notebook's script is its source in `notebooks/`. A chapter's holds its Python blocks in order, each under the heading
it stands below.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from tdlib.core.files import write_text
from tdlib.study.layout import ROOT

SCRIPTS = "scripts"  # in a staged site
HEADING = re.compile(r"#{1,3} (.+)")
BLOCK = "```python"


def write_scripts(site: Path) -> None:
    """Write the script of every notebook and of every page with code into `scripts/` of a staged site."""
    for notebook in sorted({script_name(path.stem) for path in (site / "notebooks").glob("*.ipynb")}):
        source = ROOT / "notebooks" / f"{notebook}.py"
        write_text(site / SCRIPTS / source.name, source.read_text(encoding="utf-8"))
    for page in sorted((site / "book").glob("*.md")):
        text = script_of(page.read_text(encoding="utf-8"))
        if text:
            write_text(site / SCRIPTS / f"{page.stem}.py", text)


def script_name(page: str) -> str:
    """Return the script of a page: notebooks of several environments share one."""
    return page.partition("-")[0]


def script_of(page: str) -> str:
    """Return the Python blocks of a page as cells; empty if it has none."""
    cells = [f"# %% [markdown]\n# # {heading}\n\n# %%\n{code}" for heading, code in code_blocks(page)]
    return "\n".join(cells)


def code_blocks(page: str) -> Iterator[tuple[str, str]]:
    """Yield every Python block of a page with the heading above it."""
    code: list[str] | None = None  # lines of the block that is open
    heading, fence = "", ""
    for line in page.splitlines(keepends=True):
        if code is not None:
            if line.strip() == "```":
                yield heading, "".join(code)
                code = None
            else:
                code.append(line)
        elif fence:
            fence = "" if line.strip() == fence else fence
        elif line.startswith(BLOCK):
            code = []
        elif line.startswith("```") and not line.startswith("````"):
            fence = "```"  # of another language, or a directive: a line in it is no heading
        elif found := HEADING.match(line):
            heading = found[1].strip()
