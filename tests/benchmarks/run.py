"""All benchmarks in turn: `make bench`. Prints one line each and writes `runs/bench/bench.json`; asserts nothing.

Every row is one `harness.Row`: ours and the peer on the same machine, same work, same threads, in turn. What `--only`
leaves out keeps its rows from the last call on the same device, so a part can be measured again alone.
"""

import argparse
import json
import os
import platform
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# freed memory stays with the process, as in the grid: else the system's page faults are what is measured, on both sides
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "1000000000"}
BENCHMARKS = (
    "training", "planning", "mpc", "truth", "pixels", "collection", "evaluation", "scaling", "mts3", "live", "browser",
    "logs",
)  # fmt: skip
ON_DEVICE = ("training", "scaling")  # the others run on the processor whatever the device

if __name__ == "__main__" and not MALLOC.items() <= os.environ.items():  # read when a process starts
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **MALLOC})

sys.path[:0] = [str(HERE), str(HERE.parent.parent / ".peers")]

import harness  # noqa: E402  (sets the threads before torch starts them)
import torch  # noqa: E402

from tdlib.core.files import write_text  # noqa: E402
from tdlib.study.layout import runs_root  # noqa: E402


def main() -> None:
    """Run the chosen benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=BENCHMARKS, nargs="+", default=list(BENCHMARKS))
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--quick", action="store_true", help="fewer repeats: a look, not a result")
    options = parser.parse_args()
    torch.set_num_threads(1)
    path = runs_root() / "bench" / "bench.json"
    saved = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    device = harness.device_name(options.device)
    chosen = [name for name in options.only if options.device == "cpu" or name in ON_DEVICE]
    for name in chosen:
        print(f"# {name}", flush=True)
        rows = []
        for row in __import__(f"bench_{name}").rows(device=options.device, quick=options.quick):
            print(row.line(), flush=True)
            about = {"group": name, "processor": platform.machine(), "torch": torch.__version__}
            rows.append({**row.as_dict(), **about})
        saved = [row for row in saved if (row.get("group"), row.get("device")) != (name, device)] + rows
        write_text(path, json.dumps(saved, indent=1) + "\n")  # after every part: what is measured is kept
    print(f"saved to {path}")


if __name__ == "__main__":
    main()
