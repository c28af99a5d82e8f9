"""What the jobs of a run cost, gathered from what each measured itself, by job, by part of a job, and by phase."""

from pathlib import Path

import pandas as pd

from tdlib.core.files import write_text
from tdlib.grid.spent import spent_of
from tdlib.study.blocks import TIMES, taken_times
from tdlib.study.chapters import CHAPTERS, load_chapter
from tdlib.study.run import Run

JOB_COLUMNS = ("job", "runs", "wall_seconds", "cpu_seconds", "peak_mb")
PART_COLUMNS = ("job", "part", "wall_seconds", "cpu_seconds")
PHASE_COLUMNS = ("phase", "jobs", "wall_seconds", "cpu_seconds", "work_seconds", "peak_mb")
WORK = {  # notebook -> the parts that are its work, of those that are predicted
    name: notebook.work
    for chapter in map(load_chapter, CHAPTERS)
    for name, notebook in chapter.notebooks.items()
    if notebook.work
}


def write_times(run: Run) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write the times of jobs, parts and phases, and return the first two; what is not measured yet has no row.

    Those of seeds that earlier runs made stand beside the run's own: a phase is what it cost for all seeds. The book is
    built after its pages are written, so its row is that of the build before.
    """
    jobs, parts = (
        pd.concat([own, taken_times(run.preset.name, run.preset.taken, name)], ignore_index=True)
        for name, own in zip(TIMES, gather_times(run.layout.logs), strict=True)
    )
    if len(jobs):
        write_text(run.layout.metrics / "job_times.csv", jobs.to_csv(index=False))
        write_text(run.layout.metrics / "part_times.csv", parts.to_csv(index=False))
        write_text(run.layout.metrics / "phase_times.csv", phase_times(jobs, parts).to_csv(index=False))
    return jobs, parts


def gather_times(logs: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read what the jobs that ended well left in a log folder; the parts of a job add up to its whole."""
    jobs, parts = [], []
    for path in sorted(logs.rglob("*.times.json")):
        name = path.relative_to(logs).as_posix().removesuffix(".times.json")
        spent = spent_of(logs, name)
        whole = _row([spent.wall_seconds, spent.cpu_seconds])
        jobs.append({"job": name, "runs": spent.runs, **whole, "peak_mb": spent.peak_mb})
        parts += [{"job": name, "part": part, **_row(times)} for part, times in spent.parts.items()]
    return pd.DataFrame(jobs, columns=list(JOB_COLUMNS)), pd.DataFrame(parts, columns=list(PART_COLUMNS))


def phase_times(jobs: pd.DataFrame, parts: pd.DataFrame) -> pd.DataFrame:
    """Sum the jobs of every phase: those of one notebook, of all environments and cells.

    Args:
        jobs: Of `gather_times`.
        parts: Of `gather_times`.

    Returns:
        Rows of phase (name of the notebook, or of another job), jobs (number), wall_seconds and cpu_seconds (sums over
        jobs), work_seconds (CPU seconds in the parts that the phase is for, of those that have some), peak_mb (of the
        largest job).
    """
    names, phases = jobs["job"].map(phase_of), parts["job"].map(phase_of)
    rows = []
    for phase, own in jobs.groupby(names, sort=False):
        work = parts[(phases == phase) & parts["part"].isin(WORK.get(str(phase), ()))]["cpu_seconds"].sum()
        rows.append({
            "phase": phase, "jobs": len(own), "wall_seconds": own["wall_seconds"].sum(),
            "cpu_seconds": own["cpu_seconds"].sum(), "work_seconds": work if phase in WORK else float("nan"),
            "peak_mb": own["peak_mb"].max(),
        })  # fmt: skip
    return pd.DataFrame(rows, columns=list(PHASE_COLUMNS)).sort_values("phase").reset_index(drop=True).round(2)


def split_of(parts: pd.DataFrame) -> pd.DataFrame:
    """Sum the parts over jobs, the largest first: part, wall_seconds, cpu_seconds, share of the CPU seconds."""
    total = parts.groupby("part")[["wall_seconds", "cpu_seconds"]].sum().sort_values("cpu_seconds", ascending=False)
    return total.assign(share=total["cpu_seconds"] / max(total["cpu_seconds"].sum(), 1e-9)).reset_index()


def phase_of(job: str) -> str:
    """Return the phase that a job belongs to: the name of its notebook, or its own."""
    return job.rpartition("/")[2].partition("-")[0]


def _row(times: list[float]) -> dict[str, float]:
    return {"wall_seconds": round(times[0], 2), "cpu_seconds": round(times[1], 2)}
