"""How long a job spends on what: imports, collection, training, evaluation, control, figures.

    with part("training"):
        ...

Blocks may lie inside each other; each second counts once, for the innermost. `tdlib.grid.report` times the cells of a
notebook around them, and has the clock keep its times in a file, so that those of an interrupted job are not lost.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tdlib.core.files import write_text

OTHER = "other"  # what no block and no tag of a cell names
Times = dict[str, list[float]]  # part -> wall and CPU seconds


class Clock:
    """Adds up wall and CPU seconds per part; only the innermost open part runs."""

    def __init__(self):
        self.seconds: Times = {}
        self.kept_in: Path | None = None  # where `keep` writes; None to keep nothing
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

    def keep(self) -> None:
        """Write what every part took so far, the open one too, to the file of this clock."""
        self._stop()
        if self.kept_in is not None:
            times = {name: [round(x, 3) for x in total] for name, total in self.seconds.items()}
            write_text(self.kept_in, json.dumps(times))

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
