"""Run one command of the grid: `python -m tdlib.grid.job tdlib.grid.batch notebook.ipynb out.ipynb -y …`.

Under `tdlib.grid.command` a process waits that has imported everything (`tdlib.grid.preload`); this command then only
hands over its arguments and output, and the job is a fork of that process. Without it (Slurm, a command by hand) the
module is imported and run here, with the same result.
"""

import json
import os
import resource
import signal
import socket
import struct
import sys
import time
from importlib import import_module
from pathlib import Path

from tdlib.grid.cards import known_cards, take_card

FOLDER = "TDLIB_PRELOAD"  # environment variable: folder of the preloaded process's socket
STARTED = "TDLIB_STARTED"  # environment variable: when the job was started [s since 1970]
CARD = "TDLIB_GPU"  # environment variable: whether the job is to have a graphics card of its own
SOCKET = "socket"
# read when a process starts. One thread: two jobs beat two threads at these sizes. Freed memory stays with the process
# instead of going back to the system at every optimizer step. Where pyarrow is installed, pandas imports it, and its
# allocator would start a thread that no fork may have.
SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "1000000000",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LENGTH = struct.Struct("!I")


def main(arguments: list[str] | None = None) -> int:
    """Run a module's `main` on the arguments that follow its name; return its exit code."""
    module, *rest = sys.argv[1:] if arguments is None else arguments
    if os.environ.pop(CARD, "0") != "0":
        take_card(Path(os.environ["TDLIB_LOGS"]) / "cards", known_cards())
    os.environ.setdefault(STARTED, repr(time.time()))
    folder = os.environ.pop(FOLDER, "")
    code = _ask(Path(folder), module, rest) if folder else None
    if code is not None:
        return code
    if not SETTINGS.items() <= os.environ.items():
        os.environ.update(SETTINGS)
        os.execv(sys.executable, [sys.executable, "-m", "tdlib.grid.job", module, *rest])
    return run(module, rest)


def run(module: str, arguments: list[str]) -> int:
    """Run a module's `main` in this process and write what the job cost beside its log."""
    skip_url_checker()
    code = import_module(module).main(arguments)
    if code == 0 and "TDLIB_JOB" in os.environ:
        write_cost(os.environ["TDLIB_JOB"], time.time() - float(os.environ[STARTED]))
    return code


def skip_url_checker() -> None:
    """Have this process do without an optional checker of URLs: 3 of papermill's 4 s of import, and never needed."""
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # None: Python's word for "do without"


def write_cost(job: str, wall_seconds: float) -> None:
    """Write wall and CPU seconds and peak memory [MB] of this process and those it waited for, by the system's account.

    Args:
        job: Name of the job; its file lies in the folder `TDLIB_LOGS`.
        wall_seconds: Time since the job was started.
    """
    from tdlib.core.files import write_text

    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cpu = sum(usage.ru_utime + usage.ru_stime for usage in (own, children))
    unit = 1024**2 if sys.platform == "darwin" else 1024  # Linux counts in kB, macOS in bytes
    peak = max(own.ru_maxrss, children.ru_maxrss) / unit  # of the larger process
    cost = {"wall_seconds": round(wall_seconds, 2), "cpu_seconds": round(cpu, 2), "peak_mb": round(peak)}
    write_text(Path(os.environ["TDLIB_LOGS"]) / f"{job}.times.json", json.dumps(cost))


def _ask(folder: Path, module: str, arguments: list[str]) -> int | None:
    """Have the preloaded process run the job; None if it cannot, and the job has not begun."""
    request = {"module": module, "arguments": arguments, "cwd": os.getcwd(), "environment": dict(os.environ)}
    content = json.dumps(request).encode()
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connect(connection, folder)
        socket.send_fds(connection, [LENGTH.pack(len(content))], [1, 2])
        connection.sendall(content)
        if connection.recv(1) != b"+":  # refused, or the process ended while it was importing
            return None
    except OSError:
        return None
    for number in FORWARDED:
        signal.signal(number, lambda received, _: connection.send(bytes([received])))
    code = connection.recv(LENGTH.size, socket.MSG_WAITALL)
    if len(code) < LENGTH.size:
        print("error: the process that ran this job ended before it", file=sys.stderr)
        return 1
    return LENGTH.unpack(code)[0]


def connect(connection: socket.socket, folder: Path) -> None:
    """Connect to the socket in a folder by its short name: a socket's whole path may have some hundred characters."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        connection.connect(SOCKET)
    finally:
        os.chdir(before)


if __name__ == "__main__":
    sys.exit(main())
