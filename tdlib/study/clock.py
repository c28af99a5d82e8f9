"""How long a job spends on what: imports, collection, training, evaluation, control, figures.

    with part("training"):
        ...

Blocks may lie inside each other; each second counts once, for the innermost. `tdlib.grid.report` times the cells of a
notebook around them.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

OTHER = "other"  # what no block and no tag of a cell names
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
