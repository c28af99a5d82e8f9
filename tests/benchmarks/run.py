"""All benchmarks in turn: `make bench`. Prints one line each and writes `runs/bench/bench.json`; asserts nothing.

Rows: name, ours (per wall second or in wall milliseconds), cpu (the same by CPU time, less disturbed by other
processes), unit, threads, device. Whole presets: wall time, CPU time and peak memory of every job of a finished run are
measured by the grid itself and shown on the book's page on speed.
"""

import argparse
import json
import platform
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bench_collection
import bench_training

from tdlib.files import write_text
from tdlib.runs.layout import runs_root

BENCHMARKS = {"training": bench_training.rows, "collection": bench_collection.rows}


def main() -> None:
    """Run the chosen benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=sorted(BENCHMARKS))
    chosen = parser.parse_args().only
    torch.set_num_threads(1)
    machine = {"threads": 1, "device": "cpu", "machine": platform.machine(), "torch": torch.__version__}
    results = []
    for name, measure in BENCHMARKS.items():
        if chosen in (None, name):
            for row in measure():
                results.append({**row, **machine})
                print(f"{row['name']:<48}{row['ours']:>12.3g}{row['cpu']:>12.3g} (CPU)  {row['unit']}", flush=True)
    path = runs_root() / "bench" / "bench.json"
    write_text(path, json.dumps(results, indent=1) + "\n")
    print(f"saved to {path}")


if __name__ == "__main__":
    main()
