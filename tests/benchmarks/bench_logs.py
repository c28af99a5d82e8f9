"""A log of 10⁶ rows of CSV read into a set, beside pandas, which only parses it.

    python tests/benchmarks/bench_logs.py [--quick]

Ours is everything from the file to a checked set: columns found, stamps turned into seconds, states and next states,
the report. The row of memory is the most that was resident during one import, over what was before, per byte of file.

The row of the doctor is the whole command, from starting Python to the page with its figures, on a log of five minutes
at 100 Hz and a trained checkpoint.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import harness
import numpy as np
import pandas as pd

from tdlib.data import collect_random
from tdlib.data.sources.csv import export_csv, import_csv

ROWS, GOAL_SECONDS, GOAL_MEMORY = 1_000_000, 3.0, 4.0
DOCTOR_SECONDS, DOCTOR_RATE, GOAL_DOCTOR = 300.0, 100, 30.0
ROOT = Path(__file__).resolve().parents[2]
CHECKPOINT = ROOT / "book/published/models/Pendulum_v1/jump/baseline_20hz/seed0"
COLUMNS = ("qpos_0", "qpos_1", "qvel_0", "qvel_1", "ctrl_0", "ctrl_1")
PEAK = """
import sys
from tdlib.data.sources.csv import import_csv

def kilobytes(line):
    with open("/proc/self/status") as status:
        return next(int(text.split()[1]) for text in status if text.startswith(line))

open("/proc/self/clear_refs", "w").write("5")  # what imports needed does not count
before = kilobytes("VmRSS")
import_csv(sys.argv[1])
print(1024 * (kilobytes("VmHWM") - before))
"""


def rows(device: str = "cpu", quick: bool = False) -> list[harness.Row]:
    """Measure seconds and memory of one import."""
    del device  # files are read by the processor
    count = ROWS // 20 if quick else ROWS
    with tempfile.TemporaryDirectory() as folder:
        path = write_log(Path(folder) / "log.csv", count)
        title = f"CSV of {count:,} rows to a set (goal {GOAL_SECONDS * count / ROWS:g} s)"
        seconds = harness.compare(
            title, lambda: import_csv(path), lambda: pd.read_csv(path), count=count / 1e6, unit="ms / 10⁶ rows",
            peer_name=f"pandas.read_csv {pd.__version__}, which only parses", repeats=3 if quick else 5,
        )  # fmt: skip
        return [seconds, _memory(path, count), _doctor(Path(folder), quick)]


def write_log(path: Path, count: int) -> Path:
    """Write a log of two positions, two velocities and two inputs, with nine digits a number."""
    times = np.arange(count) * 0.01
    noise = np.random.default_rng(0).normal(scale=1e-3, size=(count, len(COLUMNS)))
    waves = np.sin(times[:, None] * (1 + np.arange(len(COLUMNS))) * 0.1) * 1.7
    table = pd.DataFrame(waves + noise, columns=list(COLUMNS))
    table.insert(0, "timestamp", np.round(times, 6))
    table.to_csv(path, index=False, float_format="%.9g")
    return path


def _memory(path: Path, count: int) -> harness.Row:
    """Bytes that an import adds to a process, per byte of the file; a process of its own, so that nothing is warm."""
    found = subprocess.run([sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, check=True)
    share = int(found.stdout) / os.path.getsize(path)
    title = f"memory of an import of {count:,} rows (goal {GOAL_MEMORY:g})"
    return harness.Row(title, share, None, "bytes / byte of file", None, None, 1, "cpu", goal=GOAL_MEMORY)


def _doctor(folder: Path, quick: bool) -> harness.Row:
    """Seconds of one examination with its page; nothing is trained."""
    rows = int(DOCTOR_SECONDS * DOCTOR_RATE) // (20 if quick else 1)
    log = export_csv(collect_random("Pendulum-v1", DOCTOR_RATE, 0, rows), folder / "doctor")
    command = [sys.executable, "-m", "tdlib.doctor", str(CHECKPOINT), str(log), "--out", str(folder / "answer")]

    def examined() -> None:
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert found.returncode in (0, 1), found.stderr

    title = f"doctor on {rows:,} rows at {DOCTOR_RATE} Hz, with its page (goal {GOAL_DOCTOR:g} s)"
    return harness.compare(title, examined, count=1e3, unit="s", repeats=3)


def main() -> None:
    """Print one row per measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    for row in rows(quick=parser.parse_args().quick):
        print(row.line(), flush=True)


if __name__ == "__main__":
    main()
