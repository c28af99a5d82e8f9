"""A process that has imported everything once, and forks into the jobs of a grid.

    with preloaded(folder, logs) as environment:
        subprocess.run(command, env=environment)   # its `python -m tdlib.grid.job …` find the process

Sixteen notebooks need two interpreters each; imports cost each of them seconds. The process executes nothing before it
forks: no thread, no CUDA, no random number, no open file, so that a job is what it would be in a fresh interpreter. It
listens on a socket that only its owner reaches and ends with the process that started it.
"""

import atexit
import contextlib
import gc
import json
import os
import pkgutil
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from tdlib.grid.job import FOLDER, LENGTH, SETTINGS, SOCKET, STARTED, run, skip_url_checker, write_cost

JOB = "preload"  # its name among the jobs of a run
FORKED = "TDLIB_FORKED"  # environment variable: this process is a fork, and may fork its kernel
IMPORTED = (
    "papermill", "ipykernel.kernelapp", "matplotlib.pyplot", "matplotlib_inline.backend_inline", "torch._dynamo",
    "seaborn", "tdlib.data.sources.ppo",
)  # fmt: skip
PACKAGES = ("tdlib.study", "tdlib.grid", "tdlib.publish")  # whose modules jobs import
LEFT_OUT = ("explore", "live", "command", "__main__", "preload")  # widgets look for their kernel when they are imported
# variables that act when a process or a package starts: a job that asks for other values needs a process of its own
FIXED = ("OMP_", "MKL_", "OPENBLAS_", "KMP_", "GOMP_", "MALLOC_", "JE_", "PYTHON", "LD_", "DYLD_", "CUDA_", "PYTORCH_")
REQUEST_TIMEOUT = 10.0  # [s]


@contextlib.contextmanager
def preloaded(folder: Path, logs: Path) -> Iterator[dict[str, str]]:
    """Start the process and give the environment in which jobs find it; end it with the block.

    Args:
        folder: New folder for the socket, removed at the end.
        logs: Where the process writes its log and what its imports cost.
    """
    environment = {**os.environ, **SETTINGS}
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    logs.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-P", "-m", "tdlib.grid.preload", str(folder.resolve())]
    started = {STARTED: repr(time.time()), "TDLIB_LOGS": str(logs)}
    with (logs / f"{JOB}.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, env={**environment, **started},
            start_new_session=True,  # Ctrl-C reaches jobs through their commands, once
        )  # fmt: skip
    try:
        while not (folder / SOCKET).exists() and process.poll() is None:  # a job that came now would run by itself
            time.sleep(0.01)
        yield {**environment, FOLDER: str(folder)}
    finally:
        process.communicate()  # closes its input, its sign to end, and waits
        shutil.rmtree(folder, ignore_errors=True)


def main(arguments: list[str] | None = None) -> int:
    """Listen in a folder, import, and serve until standard input closes."""
    (folder,) = sys.argv[1:] if arguments is None else arguments
    os.chdir(folder)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(SOCKET)  # by its short name: whole paths are limited to some hundred characters
    listener.listen(64)  # commands that come early wait here until the imports are done
    try:
        skip_url_checker()
        import_everything()
        write_cost(JOB, time.time() - float(os.environ[STARTED]))
        _Server(listener).serve()
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(SOCKET)
    return 0


def import_everything() -> None:
    """Import what jobs import; a module that cannot be imported is left to the job that needs it.

    Raises:
        RuntimeError: If an import left behind what a fork must not inherit.
    """
    found = [
        module.name
        for package in PACKAGES
        for module in pkgutil.walk_packages(import_module(package).__path__, f"{package}.")
    ]
    for name in (*IMPORTED, *(name for name in found if name.split(".")[-1] not in LEFT_OUT)):
        try:
            import_module(name)
        except Exception:
            traceback.print_exc()
    _remember_sources()
    check_untouched()
    gc.collect()
    gc.freeze()  # collections in the forks then leave these pages shared


def _remember_sources() -> None:
    """Look once at which module imports which and at the commit in memory; forks then know."""
    from tdlib.core.sources import source_hash
    from tdlib.study.provenance import commit_of_memory

    source_hash("tdlib.publish.site", "tdlib.grid.checks", "tdlib.study.phases.control")
    commit_of_memory()


def check_untouched() -> None:
    """Check that a fork of this process is as good as a fresh one.

    Raises:
        RuntimeError: If there are threads, or CUDA was initialized.
    """
    import torch

    tasks = Path("/proc/self/task")  # also counts the threads of compiled libraries, on Linux
    threads = len(list(tasks.iterdir())) if tasks.is_dir() else threading.active_count()
    if threads != 1 or torch.cuda.is_initialized():
        found = f"{threads} threads, CUDA initialized: {torch.cuda.is_initialized()}"
        raise RuntimeError(f"preloaded process must have one thread and no CUDA after its imports, got {found}")


def fork(work: Callable[[], int], before: Callable[[], None] = lambda: None) -> int:
    """Fork; the child works and exits with what `work` returns. Return the child's process id.

    Args:
        work: What the child does.
        before: Called first in the child, to let go of what belongs to the parent.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _exit_after(before, work)
    return pid


def renew() -> None:
    """Give a fork what a fresh process has of its own: signals, and global random states that nobody can predict.

    Python's `random` seeds itself again at a fork. Results use generators with seeds of their own.
    """
    import numpy as np
    import torch

    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    np.random.seed()
    torch.default_generator.seed()


@dataclass
class _Job:
    connection: socket.socket
    pid: int


class _Server:
    """Forks one job per request and sends its exit code when it ends; a client that goes away ends its job."""

    def __init__(self, listener: socket.socket):
        self.listener = listener
        self.jobs: dict[int, _Job] = {}
        self.selector = selectors.DefaultSelector()
        self.wakeup, self._woken = socket.socketpair()

    def serve(self) -> None:
        """Serve until standard input closes, then end the jobs that still run."""
        self.wakeup.setblocking(False)
        self._woken.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._woken.fileno(), warn_on_full_buffer=False)
        self.selector.register(self.listener, selectors.EVENT_READ, self._accept)
        self.selector.register(self.wakeup, selectors.EVENT_READ, self._reap)
        self.selector.register(0, selectors.EVENT_READ, None)
        while True:
            for key, _ in self.selector.select():
                if key.data is None:
                    self._end()
                    return
                key.data()

    def _accept(self) -> None:
        connection, _ = self.listener.accept()
        connection.settimeout(REQUEST_TIMEOUT)
        try:
            request, outputs = _read_request(connection)
        except (OSError, ValueError):
            connection.close()
            return
        connection.setblocking(True)
        if others := _other_settings(request["environment"]):
            print(f"a job wants a process of its own, it differs in {others}", file=sys.stderr, flush=True)
            connection.sendall(b"-")
            connection.close()
        else:
            connection.sendall(b"+")

            def let_go() -> None:
                for place, number in enumerate(outputs, start=1):
                    os.dup2(number, place)
                    os.close(number)
                connection.close()
                self._close()

            pid = fork(lambda: _work(request), let_go)
            self.jobs[pid] = job = _Job(connection, pid)
            self.selector.register(connection, selectors.EVENT_READ, lambda: self._forward(job))
        for number in outputs:
            os.close(number)

    def _forward(self, job: _Job) -> None:
        """Pass on the signals that the command received; if it is gone, end the job."""
        try:
            numbers = job.connection.recv(16)
        except OSError:
            numbers = b""
        if not numbers:
            self.selector.unregister(job.connection)
            job.connection.close()
        for number in numbers or [signal.SIGTERM]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(job.pid, number)

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self.wakeup.recv(64):
                pass
        for pid in list(self.jobs):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                job = self.jobs.pop(pid)
                code = os.waitstatus_to_exitcode(status)
                if job.connection.fileno() >= 0:
                    self.selector.unregister(job.connection)
                    with contextlib.suppress(OSError):
                        job.connection.sendall(LENGTH.pack(code if code >= 0 else 128 - code))
                    job.connection.close()

    def _end(self) -> None:
        for pid in self.jobs:
            os.kill(pid, signal.SIGTERM)
        for pid in self.jobs:
            os.waitpid(pid, 0)

    def _close(self) -> None:
        """Close in a fork what belongs to this process."""
        self.selector.close()
        for job in self.jobs.values():
            job.connection.close()
        for end in (self.listener, self.wakeup, self._woken):
            end.close()
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)


def _read_request(connection: socket.socket) -> tuple[dict, list[int]]:
    head, outputs, _, _ = socket.recv_fds(connection, LENGTH.size, 2)
    if len(head) < LENGTH.size or len(outputs) < 2:
        raise ValueError("request must begin with its length and two open files")
    content = connection.recv(LENGTH.unpack(head)[0], socket.MSG_WAITALL)
    return json.loads(content), outputs


def _other_settings(environment: dict[str, str]) -> list[str]:
    """Names of the variables that act at a process's start and that a job wants otherwise."""
    wanted = {**environment, **SETTINGS}
    fixed = {name for name in (*wanted, *os.environ) if name.startswith(FIXED)}
    return sorted(name for name in fixed if wanted.get(name) != os.environ.get(name))


def _work(request: dict) -> int:
    """Do a request in the fork."""
    os.setsid()
    renew()
    os.environ.clear()
    os.environ.update({**request["environment"], **SETTINGS, FORKED: "1"})
    os.chdir(request["cwd"])
    sys.argv = [request["module"], *request["arguments"]]
    return run(request["module"], request["arguments"])


def _exit_after(before: Callable[[], None], work: Callable[[], int]) -> NoReturn:
    """Work and end the process as an interpreter ends, without running what the parent has on its stack."""
    code = 1
    try:
        before()
        code = work()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except BaseException:  # as the interpreter's own last line
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            threading._shutdown()  # type: ignore[attr-defined]  # undeclared; waits for threads that are no daemons, as at every exit
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
