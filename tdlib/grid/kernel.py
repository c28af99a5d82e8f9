"""A notebook kernel that is a fork of this process instead of a fresh interpreter: its imports are done.

Only for a process that came from `tdlib.grid.preload` and has not started a thread yet; everything else about the
kernel (messages, interrupts, shutdown) is Jupyter's own.
"""

import contextlib
import json
import os
import shutil
import signal
import tempfile
from typing import Any

from jupyter_client import AsyncKernelManager
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import LocalProvisioner

from tdlib.grid.preload import fork, renew

LAUNCHER = "ipykernel_launcher"  # module that a kernel's command line names; its arguments follow
LONGEST_FOLDER = 90  # characters; a socket's whole path may have some hundred


class ForkedKernel:
    """A process that waits to become a kernel; afterwards it is used as `subprocess.Popen` is."""

    stdin = stdout = stderr = None

    def __init__(self):
        receive, self._send = os.pipe()
        self.returncode: int | None = None
        self.pid = fork(lambda: _wait(receive), lambda: os.close(self._send))
        os.close(receive)
        with contextlib.suppress(OSError):  # both sides set it, so that it holds whoever is first
            os.setpgid(self.pid, self.pid)

    def launch(self, command: list[str], environment: dict[str, str], cwd: str | None) -> None:
        """Become a kernel.

        Args:
            command: Command line of an ordinary kernel.
            environment: Its environment.
            cwd: Its working folder; None for this process's.
        """
        arguments = command[command.index(LAUNCHER) + 1 :]
        with os.fdopen(self._send, "w", encoding="utf-8") as file:
            json.dump({"arguments": arguments, "environment": environment, "cwd": cwd or os.getcwd()}, file)
        self._send = -1

    def close(self) -> None:
        """End the process if it never became a kernel, and take its exit status."""
        if self._send >= 0:
            os.close(self._send)
            self._send = -1
            self.wait()

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        return self._wait(os.WNOHANG)

    def wait(self) -> int | None:
        """Wait for its end; return the exit code."""
        return self._wait(0)

    def send_signal(self, number: int) -> None:
        """Send it a signal if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def _wait(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


class ForkingProvisioner(LocalProvisioner):
    """Jupyter's local start of a kernel, by a process that already waits."""

    forked: ForkedKernel

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        self.forked.launch(cmd, kwargs.get("env") or dict(os.environ), kwargs.get("cwd"))
        self.process = self.forked  # type: ignore[assignment]  # has of Popen what Jupyter calls
        self.pid = self.pgid = self.forked.pid
        self.cwd = kwargs.get("cwd") or os.getcwd()
        return self.connection_info


class SocketKernelManager(AsyncKernelManager):
    """Jupyter's kernel manager, over sockets in a folder of its own.

    Ports are chosen, released, and bound later: of jobs that start together one takes another's. A path is its own.
    """

    def __init__(self, **options: Any):
        super().__init__(**options)
        self._folder = tempfile.mkdtemp(prefix="td-")
        if len(self._folder) <= LONGEST_FOLDER:
            self.transport, self.ip = "ipc", os.path.join(self._folder, "k")

    async def _async_cleanup_resources(self, restart: bool = False) -> None:
        await super()._async_cleanup_resources(restart)
        if not restart:
            shutil.rmtree(self._folder, ignore_errors=True)

    cleanup_resources = _async_cleanup_resources  # as Jupyter calls it


class ForkedKernelManager(SocketKernelManager):
    """Of a forked kernel; it can start it once."""

    forked: ForkedKernel

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.kernel_id = str(self.forked.pid)
        self.provisioner = ForkingProvisioner(kernel_id=self.kernel_id, kernel_spec=self.kernel_spec, parent=self)
        self.provisioner.forked = self.forked


def manager_class(forked: ForkedKernel) -> type[ForkedKernelManager]:
    """Return the class of managers of one forked kernel; whoever runs a notebook makes and ends its own manager."""
    return type("OneForkedKernelManager", (ForkedKernelManager,), {"forked": forked})


def _wait(receive: int) -> int:
    """Wait for the order to become a kernel, in the fork."""
    os.setpgid(0, 0)
    with os.fdopen(receive, encoding="utf-8") as file:
        order = file.read()
    if not order:  # the job ended without a notebook
        return 0
    order = json.loads(order)
    renew()
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["cwd"])
    _prepare_matplotlib()
    from ipykernel.kernelapp import IPKernelApp

    # the kernel ends when its parent does; an ordinary kernel reads the parent's number while it is imported
    IPKernelApp.launch_instance(argv=order["arguments"], parent_handle=os.getppid())
    return 0


def _prepare_matplotlib() -> None:
    """Choose the backend as matplotlib does when a kernel imports it."""
    import matplotlib

    backend = os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    matplotlib.rcParams["backend"] = backend
