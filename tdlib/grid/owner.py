"""One run of a preset at a time: which process it belongs to, and how it ends with that process.

The lock is the system's own on an open file, so that it is gone with its owner however that ends; what the file says
is for people.
"""

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

OWNER = ".owner"
ENDING = (signal.SIGTERM, signal.SIGHUP)  # what services, batch systems and closed terminals send
PATIENCE = 30.0  # [s] for Snakemake to end its jobs


class RunningError(RuntimeError):
    """Another process runs this preset."""


class Ended(BaseException):
    """The process was asked to end by a signal."""

    def __init__(self, number: int):
        super().__init__(number)
        self.code = 128 + number


@contextlib.contextmanager
def only_owner(folder: Path) -> Iterator[None]:
    """Hold the lock of a run's folder while the block runs.

    Raises:
        RunningError: If another process holds it; its folder is left as it is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / OWNER).open("a+", encoding="utf-8") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            raise RunningError(f"{folder} belongs to {file.read().strip() or 'another process'}, which runs") from error
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


@contextlib.contextmanager
def signals_end() -> Iterator[None]:
    """Let the signals that end a process raise `Ended` in the block, so that what it started is ended too."""

    def end(number: int, frame: FrameType | None) -> None:
        raise Ended(number)

    before = {number: signal.signal(number, end) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_group(process: subprocess.Popen) -> None:
    """End a process that leads a group, and all that it started there, as Ctrl-C in a terminal would."""
    for number in (signal.SIGINT, signal.SIGKILL):  # the second also for those whom the shell lets ignore the first
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
