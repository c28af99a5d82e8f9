"""What the jobs of a run cost, gathered from what each measured itself: `job_times.csv` and `part_times.csv`."""

import json
from pathlib import Path

import pandas as pd

from tdlib.core.files import write_text
from tdlib.study.run import Run

JOB_COLUMNS = ("job", "wall_seconds", "cpu_seconds", "peak_mb")
PART_COLUMNS = ("job", "part", "wall_seconds", "cpu_seconds")
REST = "process and kernel start"  # of a notebook: all that is outside its cells
WHOLE = {"preload": "imports", "checks": "checks", "book": "book"}  # jobs that are no notebooks are one part each


def write_times(run: Run) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write and return the times of the jobs and of their parts; what is not measured yet has no row.

    The book is built after its pages are written, so its row is that of the build before.
    """
    jobs, parts = gather_times(run.layout.logs)
    if len(jobs):
        write_text(run.layout.metrics / "job_times.csv", jobs.to_csv(index=False))
        write_text(run.layout.metrics / "part_times.csv", parts.to_csv(index=False))
    return jobs, parts


def gather_times(logs: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read what the jobs left in a log folder; the parts of a job add up to its whole."""
    jobs, parts = [], []
    for path in sorted(logs.rglob("*.times.json")):
        name = path.relative_to(logs).as_posix().removesuffix(".times.json")
        cost = json.loads(path.read_text(encoding="utf-8"))
        jobs.append({"job": name, **cost})
        found = path.with_name(path.name.replace(".times.json", ".parts.json"))
        seconds = json.loads(found.read_text(encoding="utf-8")) if found.is_file() else {}
        rest = [cost[key] - sum(times[i] for times in seconds.values()) for i, key in enumerate(JOB_COLUMNS[1:3])]
        seconds[WHOLE.get(name, REST)] = [max(0.0, x) for x in rest]
        parts += [{"job": name, "part": part, **_row(times)} for part, times in seconds.items()]
    return pd.DataFrame(jobs, columns=list(JOB_COLUMNS)), pd.DataFrame(parts, columns=list(PART_COLUMNS))


def split_of(parts: pd.DataFrame) -> pd.DataFrame:
    """Sum the parts over jobs, the largest first: part, wall_seconds, cpu_seconds, share of the CPU seconds."""
    total = parts.groupby("part")[["wall_seconds", "cpu_seconds"]].sum().sort_values("cpu_seconds", ascending=False)
    return total.assign(share=total["cpu_seconds"] / max(total["cpu_seconds"].sum(), 1e-9)).reset_index()


def _row(times: list[float]) -> dict[str, float]:
    return {"wall_seconds": round(times[0], 2), "cpu_seconds": round(times[1], 2)}
