"""How far a long job is: a bar on the terminal, or a small file that the grid shows while the job runs.

A job of the grid has its name in `TDLIB_JOB` and its run's log folder in `TDLIB_LOGS`; a notebook gets a line of
its own, anything else a tqdm bar.
"""

import json
import os
import sys
import time
from pathlib import Path

from tqdm import tqdm

from tdlib.core.files import write_text
from tdlib.study.clock import CLOCK

INTERVAL = 0.5  # [s] between two writes of the progress file


class Progress:
    """Callable progress of one stage: `progress(done, total)`.

    Args:
        label: What is being done, for example `training Pendulum-v1`.
    """

    def __init__(self, label: str):
        self.label = label
        self._job = os.environ.get("TDLIB_JOB")
        self._bar: tqdm | _NotebookLine | None = None
        self._written = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Report that `done` of `total` units are finished."""
        if self._job:
            now = time.monotonic()
            if now - self._written >= INTERVAL or done >= total:
                self._written = now
                path = Path(os.environ.get("TDLIB_LOGS", ".")) / f"{self._job}.progress"
                write_text(path, json.dumps({"label": self.label, "done": done, "total": total}))
                CLOCK.keep()  # long work reports how far it is; if it is cut off, its time is not lost
            return
        if self._bar is None:
            self._bar = _NotebookLine(self.label, total) if _in_kernel() else _terminal_bar(self.label, total)
        self._bar.total = total
        self._bar.update(done - self._bar.n)
        if done >= total:
            self._bar.close()
            self._bar = None


def _terminal_bar(label: str, total: int) -> tqdm:
    return tqdm(total=total, desc=label, file=sys.stderr, leave=False, mininterval=INTERVAL)


def _in_kernel() -> bool:
    """Whether this is a notebook's kernel; IPython is loaded there already."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


class _NotebookLine:
    """One line of a cell's output, written again as work goes on; a bar on stderr would leave an empty red strip."""

    def __init__(self, label: str, total: int):
        from IPython.display import Pretty, display

        self.label, self.total, self.n = label, total, 0
        self._started = self._shown = time.monotonic()
        self._text = Pretty
        self._handle = display(Pretty(label), display_id=True)

    def update(self, steps: int) -> None:
        self.n += steps
        if time.monotonic() - self._shown >= INTERVAL:
            self._shown = time.monotonic()
            self._handle.update(self._text(f"{self.label}: {self.n} of {self.total}"))

    def close(self) -> None:
        self._handle.update(self._text(f"{self.label}: {self.n} in {time.monotonic() - self._started:.0f} s"))
