"""What a job took in all its runs: one that was interrupted, or run again, does not count with its last run alone.

In the log folder, `<job>.parts.json` holds the parts of the run that goes on, kept up to date by its kernel;
`<job>.times.json` the whole process, once it ended well; `<job>.earlier.json` what the runs before this one took, and
how they count:

* from the same source (the job was interrupted, and goes on), runs add up, part by part;
* from other source (a figure changed, say), each part counts with its longest time, as what stands is only loaded;
* of another preset or other parameters, earlier runs do not count.
"""

import json
import operator
from dataclasses import dataclass, field
from pathlib import Path

from tdlib.core.files import write_text
from tdlib.study.clock import Times

REST = "process and kernel start"  # of a notebook: all that is outside its cells
WHOLE = {"preload": "imports", "checks": "checks", "book": "book"}  # jobs that are no notebooks are one part each
ADD, LONGEST = "add", "longest"


@dataclass(frozen=True)
class Spent:
    """What runs of one job took.

    Args:
        runs: How many there were.
        parts: Wall and CPU seconds of each part; they add up to the whole.
        peak_mb: Peak memory of the largest process [MB]; 0 where none ended well.
    """

    runs: int = 0
    parts: Times = field(default_factory=dict)
    peak_mb: float = 0.0

    @property
    def wall_seconds(self) -> float:
        """Wall seconds of all parts."""
        return sum(wall for wall, _ in self.parts.values())

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of all parts."""
        return sum(cpu for _, cpu in self.parts.values())


def set_aside(logs: Path, job: str, work: str, source: str) -> None:
    """Begin a run of a job: keep what its runs before took.

    Args:
        logs: Log folder of the run.
        job: Name of the job.
        work: What says which work it is: preset and parameters.
        source: What says from which source it is done.
    """
    before = _read(logs / f"{job}.earlier.json")
    of = [work, source]
    known = before.get("of", [None, None])
    spent = spent_of(logs, job) if known[0] == work else Spent()
    content = {
        "of": of, "how": ADD if known == of else LONGEST, "runs": spent.runs, "parts": spent.parts,
        "peak_mb": spent.peak_mb,
    }  # fmt: skip
    write_text(logs / f"{job}.earlier.json", json.dumps(content))
    for kind in ("parts", "times"):
        (logs / f"{job}.{kind}.json").unlink(missing_ok=True)


def spent_of(logs: Path, job: str) -> Spent:
    """Return what all runs of a job took, the one that goes on or was interrupted among them."""
    before = _read(logs / f"{job}.earlier.json")
    earlier = Spent(before.get("runs", 0), before.get("parts", {}), before.get("peak_mb", 0.0))
    last = _last_run(logs, job)
    if not last.runs:
        return earlier
    combine, nothing = max if before.get("how") == LONGEST else operator.add, [0.0, 0.0]
    parts = {
        name: list(map(combine, earlier.parts.get(name, nothing), last.parts.get(name, nothing)))
        for name in dict.fromkeys([*earlier.parts, *last.parts])
    }
    return Spent(earlier.runs + 1, parts, max(earlier.peak_mb, last.peak_mb))


def _last_run(logs: Path, job: str) -> Spent:
    """Return what the last run took; of one that did not end well, its parts alone."""
    parts, whole = (_read(logs / f"{job}.{kind}.json") for kind in ("parts", "times"))
    if whole:
        inside = [sum(times[i] for times in parts.values()) for i in range(2)]
        outside = [max(0.0, whole[key] - x) for key, x in zip(("wall_seconds", "cpu_seconds"), inside, strict=True)]
        parts = {**parts, WHOLE.get(job, REST): outside}
    return Spent(int(bool(parts)), parts, whole.get("peak_mb", 0.0))


def _read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
