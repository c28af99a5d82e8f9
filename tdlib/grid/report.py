"""What a kernel reports while it runs a notebook: how long it spent on what, and what it has made, from which source.

An extension of the kernel's shell (`--IPKernelApp.extra_extensions=tdlib.grid.report`) in the jobs of a grid. What a
cell does outside any part counts for the part that a tag of the cell names, `part:imports`.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tdlib.grid.stamps import write_made
from tdlib.study.clock import CLOCK, OTHER

PARTS = "TDLIB_CELL_PARTS"  # environment variable: JSON, text of a cell -> part
TAG = "part:"


def parts_of_cells(cells: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the part that each tagged cell of a notebook names, by the cell's text."""
    return {cell["source"]: tag.removeprefix(TAG) for cell in cells for tag in cell["tags"] if tag.startswith(TAG)}


def load_ipython_extension(shell: Any) -> None:
    """Time every cell of this kernel; keep `<job>.parts.json` and `<job>.made.json` in the log folder up to date."""
    logs, job = Path(os.environ["TDLIB_LOGS"]), os.environ["TDLIB_JOB"]
    parts = json.loads(os.environ.get(PARTS, "{}"))
    CLOCK.kept_in = logs / f"{job}.parts.json"

    def after_cell(_: Any) -> None:
        CLOCK.end()
        CLOCK.keep()
        write_made(logs, job)

    shell.events.register("pre_run_cell", lambda info: CLOCK.begin(parts.get(info.raw_cell or "", OTHER)))
    shell.events.register("post_run_cell", after_cell)
