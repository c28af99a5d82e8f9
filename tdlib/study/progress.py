"""How far a long job is: a bar on the terminal, or a small file that the grid shows while the job runs.

A job of the grid has its name in `TDLIB_JOB` and its run's log folder in `TDLIB_LOGS`; anything else gets a tqdm bar.
"""

import json
import os
import sys
import time
from pathlib import Path

from tqdm import tqdm

from tdlib.core.files import write_text

INTERVAL = 0.5  # [s] between two writes of the progress file


class Progress:
    """Callable progress of one stage: `progress(done, total)`.

    Args:
        label: What is being done, for example `training Pendulum-v1`.
    """

    def __init__(self, label: str):
        self.label = label
        self._job = os.environ.get("TDLIB_JOB")
        self._bar: tqdm | None = None
        self._written = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Report that `done` of `total` units are finished."""
        if self._job:
            now = time.monotonic()
            if now - self._written >= INTERVAL or done >= total:
                self._written = now
                path = Path(os.environ.get("TDLIB_LOGS", ".")) / f"{self._job}.progress"
                write_text(path, json.dumps({"label": self.label, "done": done, "total": total}))
            return
        if self._bar is None:
            self._bar = tqdm(total=total, desc=self.label, file=sys.stderr, leave=False, mininterval=INTERVAL)
        self._bar.total = total
        self._bar.update(done - self._bar.n)
        if done >= total:
            self._bar.close()
            self._bar = None
