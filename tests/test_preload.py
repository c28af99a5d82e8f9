"""Jobs forked from a preloaded process are what they would be in an interpreter of their own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import nbformat
import pytest

from tdlib.grid.job import FOLDER, SETTINGS, SOCKET
from tdlib.grid.preload import check_untouched, preloaded

PROBE = """
import json, os, random, signal, sys, threading, time

def main(arguments):
    action, *rest = arguments
    if action == "tell":
        known = {"cwd": os.getcwd(), "value": os.environ.get("PROBE_VALUE"), "rest": rest, "parent": os.getppid(),
                 "inherited": os.environ.get("TDLIB_PRELOAD"), "omp": os.environ["OMP_NUM_THREADS"],
                 "open": sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else []}
        print(json.dumps(known))
        print("to stderr", file=sys.stderr)
        return 3
    if action == "draw":
        import numpy, torch
        print(json.dumps([torch.rand(1).item(), float(numpy.random.rand()), random.random()]))
        torch.manual_seed(0)
        print(json.dumps([torch.rand(3).tolist(), torch.randn(5, 5).matmul(torch.randn(5, 5)).tolist()]))
    if action == "fail":
        raise RuntimeError("on purpose")
    if action == "burn":
        kept, end = bytearray(b"x") * 400_000_000, time.process_time() + 0.4  # written, so that it is in memory
        while time.process_time() < end:
            kept[0] += 1 if kept[0] < 255 else 0
    if action == "sleep":
        open(rest[0], "w").write(str(os.getpid()))
        time.sleep(60)
    return 0
"""
NOTEBOOK = [
    "import os, threading\nimport torch, matplotlib",
    "torch.manual_seed(seed)\nprint(torch.rand(2).tolist(), os.path.basename(os.getcwd()))",
    "from matplotlib import get_backend\nget_backend()",
    "{'a': seed}",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a module and notebooks, and a preloaded process that knows it."""
    folder = tmp_path_factory.mktemp("preload")
    (folder / "probe.py").write_text(PROBE)
    write_notebook(folder / "good.ipynb", NOTEBOOK)
    write_notebook(folder / "bad.ipynb", ["print('before')", "raise KeyError('lost')"])
    return folder


@pytest.fixture(scope="module")
def served(place):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(place))
        with preloaded(place / "socket", place / "logs") as environment:
            yield environment


@pytest.fixture(scope="module")
def alone(place):
    return {**os.environ, "PYTHONPATH": str(place)}


def write_notebook(path, sources):
    parameters = nbformat.v4.new_code_cell("seed: int = 1", metadata={"tags": ["parameters"]})
    cells = [parameters, *map(nbformat.v4.new_code_cell, sources)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)


def job(environment, *arguments, cwd=None, **more):
    command = [sys.executable, "-m", "tdlib.grid.job", *map(str, arguments)]
    return subprocess.run(
        command, env={**environment, **more}, cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )


def told(result):
    return json.loads(result.stdout.splitlines()[0])


def pid_of(path, timeout=60.0):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if path.exists() and path.read_text():
            return int(path.read_text())
        time.sleep(0.05)
    raise TimeoutError(path)


def has_ended(pid, timeout=20.0):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        with contextlib.suppress(FileNotFoundError):
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_a_job_gets_its_arguments_folder_environment_and_outputs(served, place):
    result = job(served, "probe", "tell", "a b", "é", cwd=place, PROBE_VALUE="x=1")
    assert result.returncode == 3
    assert result.stderr.strip() == "to stderr"
    found = told(result)
    assert found["rest"] == ["a b", "é"] and found["value"] == "x=1" and found["cwd"] == str(place)
    assert found["parent"] != os.getpid() and found["inherited"] is None and found["omp"] == "1"


def test_a_job_inherits_no_open_file_of_the_preloaded_process(served):
    first, second = (told(job(served, "probe", "tell"))["open"] for _ in range(2))
    assert first == second
    assert len(first) <= 4  # the three standard ones and the listing itself


def test_seeded_numbers_are_equal_and_global_states_are_not(served, alone):
    forked = [job(served, "probe", "draw").stdout.splitlines() for _ in range(2)]
    fresh = job(alone, "probe", "draw").stdout.splitlines()
    assert forked[0][1] == forked[1][1] == fresh[1]
    for a, b in zip(json.loads(forked[0][0]), json.loads(forked[1][0]), strict=True):
        assert a != b


def test_an_error_is_shown_as_by_an_interpreter(served, alone):
    for environment in (served, alone):
        result = job(environment, "probe", "fail")
        assert result.returncode == 1
        assert "Traceback" in result.stderr and "RuntimeError: on purpose" in result.stderr
    assert job(served, "no_such_module", "x").returncode == 1


def test_a_job_measures_itself_and_nobody_else(served, tmp_path):
    for action in ("burn", "draw"):
        assert job(served, "probe", action, TDLIB_JOB=action, TDLIB_LOGS=str(tmp_path)).returncode == 0
    burn, draw = (json.loads((tmp_path / f"{name}.times.json").read_text()) for name in ("burn", "draw"))
    assert 0.4 <= burn["cpu_seconds"] < 2 and burn["wall_seconds"] >= 0.4
    assert draw["cpu_seconds"] < 0.4
    assert burn["peak_mb"] - draw["peak_mb"] > 100


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 128 + 15), (signal.SIGINT, 128 + 2)])
def test_a_signal_to_the_command_reaches_the_job(served, tmp_path, number, code):
    command = [sys.executable, "-m", "tdlib.grid.job", "probe", "sleep", str(tmp_path / "pid")]
    process = subprocess.Popen(command, env=served, stderr=subprocess.DEVNULL)
    pid = pid_of(tmp_path / "pid")
    process.send_signal(number)
    assert process.wait(timeout=20) == code
    assert has_ended(pid)


def test_a_command_that_is_killed_takes_its_job_along(served, tmp_path):
    command = [sys.executable, "-m", "tdlib.grid.job", "probe", "sleep", str(tmp_path / "pid")]
    process = subprocess.Popen(command, env=served)
    pid = pid_of(tmp_path / "pid")
    process.kill()
    process.wait()
    assert has_ended(pid)


def test_only_the_owner_reaches_the_socket(served):
    assert Path(served[FOLDER]).stat().st_mode & 0o777 == 0o700
    assert (Path(served[FOLDER]) / SOCKET).is_socket()
    assert SETTINGS.items() <= served.items()


def test_other_settings_get_a_process_of_their_own(served, place):
    found = told(job(served, "probe", "tell", PYTHONHASHSEED="7"))
    assert found["parent"] == os.getpid()  # the command itself did the work
    assert "PYTHONHASHSEED" in (place / "logs" / "preload.log").read_text()


def test_without_the_process_a_job_runs_all_the_same(alone, tmp_path):
    for missing in (tmp_path / "never", tmp_path):
        result = job({**alone, FOLDER: str(missing)}, "probe", "tell")
        assert result.returncode == 3 and told(result)["parent"] == os.getpid()


def test_the_process_ends_with_its_block_and_leaves_nothing(alone, place, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(place))
    with preloaded(tmp_path / "socket", tmp_path / "logs") as environment:
        command = [sys.executable, "-m", "tdlib.grid.job", "probe", "sleep", str(tmp_path / "pid")]
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        pid = pid_of(tmp_path / "pid")
    assert process.wait(timeout=20) != 0
    assert has_ended(pid)
    assert not (tmp_path / "socket").exists()
    cost = json.loads((tmp_path / "logs" / "preload.times.json").read_text())
    assert cost["cpu_seconds"] > 1 and cost["peak_mb"] > 100


def test_a_notebook_gives_the_same_in_a_forked_kernel(served, alone, place, tmp_path):
    shown = []
    for name, environment in (("forked", served), ("fresh", alone)):
        out = tmp_path / f"{name}.ipynb"
        named = {"TDLIB_JOB": name, "TDLIB_LOGS": str(tmp_path)}
        result = job(
            environment, "tdlib.grid.batch", place / "good.ipynb", out, "-y", "{seed: 5}", "--cwd", place, **named
        )
        assert result.returncode == 0, result.stderr
        cells = nbformat.read(out, as_version=4).cells
        shown.append([cell.get("outputs") for cell in cells])
        parts = json.loads((tmp_path / f"{name}.parts.json").read_text())
        assert set(parts) == {"other"} and parts["other"][0] > 0
    assert shown[0] == shown[1]
    cost = {name: json.loads((tmp_path / f"{name}.times.json").read_text()) for name in ("forked", "fresh")}
    assert cost["forked"]["cpu_seconds"] < 0.6 * cost["fresh"]["cpu_seconds"]  # what it is for


def test_a_failed_notebook_is_kept_and_named(served, place, tmp_path):
    out, logs = tmp_path / "out.ipynb", tmp_path / "logs"
    logs.mkdir()
    named = {"TDLIB_JOB": "bad", "TDLIB_LOGS": str(logs)}
    result = job(served, "tdlib.grid.batch", place / "bad.ipynb", out, **named)
    assert result.returncode == 1
    assert "KeyError: 'lost'" in result.stderr and "Traceback" in result.stderr
    assert not out.exists() and (logs / "out-failed.ipynb").exists()
    assert not (logs / "bad.times.json").exists()


def test_a_wrong_parameter_leaves_no_kernel_behind(served, place, tmp_path):
    result = job(served, "tdlib.grid.batch", place / "good.ipynb", tmp_path / "out.ipynb", "-y", "{sed: 5}")
    assert result.returncode == 1
    assert "must be among ['seed'], got ['sed']" in result.stderr


def test_a_process_with_threads_is_refused():
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        with pytest.raises(RuntimeError, match="must have one thread and no CUDA"):
            check_untouched()
    finally:
        stop.set()
        thread.join()
