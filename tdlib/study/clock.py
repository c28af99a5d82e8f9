"""How long a job spends on what: imports, collection, training, evaluation, control, figures.

    with part("training"):
        ...

Blocks may lie inside each other; each second counts once, for the innermost. In a job of the grid this module is an
extension of the notebook's kernel: what a cell does outside any block counts for what the cell is there for.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tdlib.core.files import write_text

CELLS = (("open_run(", "imports"), ("save_figure(", "figures"), ("record_videos(", "figures"))  # a word of it -> part
OTHER = "other"
Times = dict[str, list[float]]  # part -> wall and CPU seconds


class Clock:
    """Adds up wall and CPU seconds per part; only the innermost open part runs."""

    def __init__(self):
        self.seconds: Times = {}
        self._open: list[str] = []
        self._since = (0.0, 0.0)

    def begin(self, name: str) -> None:
        """Open a part inside the one that is open."""
        self._stop()
        self._open.append(name)

    def end(self) -> None:
        """Close the innermost part."""
        self._stop()
        self._open.pop()

    def _stop(self) -> None:
        now = (time.perf_counter(), time.process_time())
        if self._open:
            total = self.seconds.setdefault(self._open[-1], [0.0, 0.0])
            for i in range(2):
                total[i] += now[i] - self._since[i]
        self._since = now


CLOCK = Clock()  # of this process, as the time it measures is


@contextmanager
def part(name: str) -> Iterator[None]:
    """Count the time of a block, or of a function it decorates, for a part of the study."""
    CLOCK.begin(name)
    try:
        yield
    finally:
        CLOCK.end()


def part_of_cell(source: str) -> str:
    """Return what the time of a cell counts for where no block says so."""
    return next((name for word, name in CELLS if word in source), OTHER)


def load_ipython_extension(shell: Any) -> None:
    """Time every cell of this kernel and keep `<job>.parts.json` in the log folder up to date."""
    path = Path(os.environ["TDLIB_LOGS"]) / f"{os.environ['TDLIB_JOB']}.parts.json"

    def after_cell(_: Any) -> None:
        CLOCK.end()
        write_text(path, json.dumps({name: [round(x, 3) for x in total] for name, total in CLOCK.seconds.items()}))

    shell.events.register("pre_run_cell", lambda info: CLOCK.begin(part_of_cell(info.raw_cell or "")))
    shell.events.register("post_run_cell", after_cell)
