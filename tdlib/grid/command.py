"""Run a preset through the grid and say what happens: `python -m tdlib.grid.command quick book`.

Snakemake decides what has to run, resumes after an interruption and keeps the provenance; this file checks the preset
first, starts it with the flags for that, and turns its output into one line per finished job and a live status line.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tdlib.core.files import parse_yaml
from tdlib.grid.jobs import Job, cells_of_seeds, grid_jobs
from tdlib.grid.owner import Ended, RunningError, end_group, only_owner, signals_end
from tdlib.grid.preload import preloaded
from tdlib.grid.stamps import BOOK, job_names, job_result
from tdlib.study.book import runs_of
from tdlib.study.layout import ROOT, RunLayout, runs_root
from tdlib.study.phases.partly_seen import lacking
from tdlib.study.presets import PRESET_ENDINGS, Preset, load_preset
from tdlib.study.run import Run

OUTPUT = re.compile(r"^\s*output: (.+)$")
STARTED = re.compile(r"^\s*jobid: (\d+)")
FINISHED = re.compile(r"^Finished jobid: (\d+)")
STEPS = re.compile(r"^(\d+) of (\d+) steps \(\d+%\) done")
TOTAL = re.compile(r"^total\s+(\d+)")
SHOWN_REASONS = 3
SHOWN_UNTIMED = 3  # kinds of work that a prediction leaves out
PRELOAD = ".preload-"  # beginning of the name of the preloaded process's folder
CELLS = "cells"  # the target of a block of seeds
STATUS_INTERVAL = {True: 0.5, False: 20.0}  # [s] between status lines on a terminal, and elsewhere


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tdlib.grid.command", description=__doc__)
    parser.add_argument("preset", help="name of a preset in params/, or the path of a YAML file")
    parser.add_argument("target", nargs="?", default="book", choices=["book", "grid"])
    parser.add_argument("--seeds", type=int, nargs="+", help="the cells of these seeds only, of a preset with cells")
    parser.add_argument("--alone", action="store_true", help="without the presets of other chapters")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--dry-run", action="store_true", help="list the jobs and run none")
    parser.add_argument("--profile", help="folder of a Snakemake profile, for example params/profiles/slurm")
    options = parser.parse_args(arguments)
    try:
        preset = load_preset(options.preset)
        runs = [preset] if options.seeds or options.alone else runs_of(preset)
        jobs = {run.name: grid_jobs(run) for run in runs}
        if options.seeds:
            jobs = {preset.name: cells_of_seeds(preset, options.seeds)}
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    layout = RunLayout.of(preset.name)
    name, target = _name_anywhere(options.preset), CELLS if options.seeds else options.target
    chosen = [f"seeds={'-'.join(map(str, options.seeds))}"] if options.seeds else []
    chosen += ["alone=1"] * options.alone
    command = [
        sys.executable, "-m", "snakemake", "-s", str(ROOT / "params" / "Snakefile"), target,
        "--directory", str(layout.root), "--config", f"preset={name}", *chosen,
        "--rerun-incomplete", "--keep-going", "--nocolor", "--show-failed-logs",
    ]  # fmt: skip
    command += ["--profile", options.profile] if options.profile else ["--cores", str(options.cores)]
    logs = [RunLayout.of(run.name).logs for run in runs]
    layout.root.mkdir(parents=True, exist_ok=True)
    here = {"TDLIB_RUNS": str(runs_root())}  # a relative folder means another one where a job starts
    missing = list(filter(None, (lacking(Run(run, RunLayout.of(run.name))) for run in runs)))
    if options.dry_run:  # lists the jobs, whatever is missing
        code = _dry_run(command, runs, jobs, target, options.cores, options.seeds or (), {**os.environ, **here})
        return _refused(missing) or code
    return _refused(missing) or _run_alone(command, layout, logs, target, here, _runs_elsewhere(options.profile))


def _refused(missing: Sequence[str]) -> int:
    """Name what a run lacks, if anything; return the exit code."""
    if not missing:
        return 0
    sys.stdout.flush()  # the jobs come first where both streams are one
    print("\n".join(f"error: {line}" for line in missing), file=sys.stderr)
    return 2


def _run_alone(
    command: list[str], layout: RunLayout, logs: list[Path], target: str, here: dict[str, str], elsewhere: bool
) -> int:
    """Run as the only owner of the run's folder, with a preloaded process unless jobs run elsewhere."""
    try:
        with only_owner(layout.root), signals_end():
            if elsewhere:
                return _run(command, layout, logs, target, {**os.environ, **here})
            _remove_leftovers(layout.root)
            with preloaded(layout.root / f"{PRELOAD}{os.getpid()}", layout.logs) as environment:
                return _run(command, layout, logs, target, {**environment, **here})
    except RunningError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except Ended as error:
        return error.code


def _remove_leftovers(folder: Path) -> None:
    """Remove the sockets' folders of runs that were killed; the lock says that none of them lives."""
    for leftover in folder.glob(f"{PRELOAD}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _name_anywhere(preset: str) -> str:
    """Return a preset's name as jobs find it, which start in other folders: a file by its whole path."""
    path = Path(preset)
    return str(path.resolve()) if path.suffix in PRESET_ENDINGS else preset


def _runs_elsewhere(profile: str | None) -> bool:
    """Whether a Snakemake profile sends the jobs to other machines."""
    path = Path(profile or "") / "config.yaml"
    return bool(profile) and path.is_file() and "executor" in (parse_yaml(path.read_text(encoding="utf-8")) or {})


def _dry_run(
    command: list[str],
    runs: list[Preset],
    jobs: dict[str, list[Job]],
    target: str,
    cores: int,
    seeds: Sequence[int],
    environment: dict[str, str],
) -> int:
    quiet = [*command, "--dry-run", "--quiet", "rules"]
    result = subprocess.run(quiet, capture_output=True, text=True, env=environment)
    if result.returncode:
        sys.stderr.write(result.stdout + result.stderr)
        return result.returncode
    then = "" if target == CELLS else ", then the checks and the book"
    any_runs = False
    for preset in runs:
        own = jobs[preset.name]
        print(f"{len(own)} notebook jobs of preset {preset.name}{then}:")
        for job in own:
            print(f"  {job.name}  {json.dumps(job.parameters)}")
        book = target == BOOK and preset == runs[0]
        wanted = [name for name in job_names(preset) if name != BOOK or book]
        wanted = [job.name for job in own] if target == CELLS else wanted
        reasons = {name: job_result(preset, name).reasons() for name in wanted}
        for name, why in reasons.items():
            if why:
                print(f"{name} runs: {', '.join(why[:SHOWN_REASONS])}{' …' if len(why) > SHOWN_REASONS else ''}")
        any_runs = any_runs or any(reasons.values())
        then = ""
    print("and the jobs that wait for these" if any_runs else "all of them are up to date")
    for line in _predictions([_of_seeds(preset, seeds) for preset in runs] if seeds else runs, cores):
        print(line)
    return 0


def _of_seeds(preset: Preset, seeds: Sequence[int]) -> Preset:
    """Return a preset of which a run makes some seeds only."""
    return preset.model_copy(update={"taken": tuple(seed for seed in preset.seeds if seed not in seeds)})


def _predictions(presets: list[Preset], cores: int) -> list[str]:
    """What the runs cost together, by the unit costs that `make bench` measured here or for the edition in git."""
    from tdlib.study.cost import load_units, predicted_hours, unmeasured  # slow to import
    from tdlib.study.predicted_cost import units_known

    lines, measured = [], "" if load_units() else ", measured for the edition in git, not here"
    for device, units in units_known().items():
        hours, missing = predicted_hours(presets, units, cores), unmeasured(presets, units)
        wall, cpu = (f"{x:.0f}" if x >= 10 else f"{x:.2g}" for x in (hours["wall"], hours["cpu"]))
        but = f" but what was not timed ({_few(missing)})" if missing else ""
        lines.append(
            f"all of it{but}, by the unit costs of {device}{measured}: {wall} h on {cores} cores, {cpu} h of "
            "computing; figures and the book come on top"
        )
    return lines or ["how long it takes: unknown until `make bench` has measured this machine's unit costs"]


def _few(things: Sequence[str]) -> str:
    """Name the first of many things and count the rest."""
    more = len(things) - SHOWN_UNTIMED
    return "; ".join(things[:SHOWN_UNTIMED]) + (f"; {more} kinds more" if more > 0 else "")


def _run(command: list[str], layout: RunLayout, logs: list[Path], target: str, environment: dict[str, str]) -> int:
    if any((layout.root / ".snakemake" / "locks").glob("*")):  # of a run that was killed: this one is the only owner
        subprocess.run([*command, "--unlock"], capture_output=True)
    for folder in logs:
        for stale in folder.glob("*.progress"):
            stale.unlink()
    status = _Status(logs)
    log = layout.root / "grid.log"
    started = time.monotonic()
    nothing_to_do = False
    with log.open("w", encoding="utf-8") as sink:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
            start_new_session=True,  # a group that ends as one
        )  # fmt: skip
        try:
            for line in process.stdout or ():  # a pipe
                sink.write(line)
                sink.flush()
                nothing_to_do = nothing_to_do or "Nothing to be done" in line
                status.read(line)
            code = process.wait()
        except BaseException as error:  # also a closed pipe or a full disk: nothing goes on without this process
            end_group(process)
            status.close(quiet=True)
            if not isinstance(error, KeyboardInterrupt):
                raise
            print("interrupted; the same command goes on where this one stopped", file=sys.stderr)
            return 130
    status.close()
    page = layout.html / "index.html"
    if code:
        print(f"failed: see {log} and the job's own file in {', '.join(map(str, logs))}", file=sys.stderr)
        sys.stderr.write(_failures(log))
        return code
    seconds = time.monotonic() - started
    print("nothing to do: every result is up to date" if nothing_to_do else f"done in {seconds:.0f} s")
    if target == "book":
        print(f"the book is at {page}")
    return 0


def _failures(log: Path) -> str:
    """Return what Snakemake printed about failed jobs, at most its last 60 lines."""
    lines = log.read_text(encoding="utf-8").splitlines()
    first = next((i for i, line in enumerate(lines) if line.startswith(("Error in rule", "RuleException"))), None)
    return "\n".join(lines[first:][-60:] if first is not None else lines[-20:]) + "\n"


class _Status:
    """Reads Snakemake's lines and shows jobs done of jobs, with the bars of the long jobs that run now."""

    def __init__(self, logs: list[Path]):
        self.logs = logs  # of the run and of its chapters
        self.done, self.total = 0, 0
        self._jobs: dict[str, tuple[str, float]] = {}  # Snakemake's job id -> (name, start)
        self._output = ""
        self._finished = ""
        self._terminal = sys.stdout.isatty()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def read(self, line: str) -> None:
        """Take one line of Snakemake's output."""
        if match := OUTPUT.match(line):
            self._output = Path(match[1].strip()).stem
        elif match := STARTED.match(line):
            self._jobs[match[1]] = (self._output, time.monotonic())
        elif match := FINISHED.match(line):
            name, start = self._jobs.get(match[1], (f"job {match[1]}", time.monotonic()))
            self._finished = f"{name} ({time.monotonic() - start:.0f} s)"
            for folder in self.logs:
                (folder / f"{name}.progress").unlink(missing_ok=True)
        elif match := STEPS.match(line):
            self.done, self.total = int(match[1]), int(match[2])
            self._write(f"[{self.done:2d}/{self.total} jobs] {self._finished}\n")
        elif match := TOTAL.match(line):
            self.total = int(match[1])

    def close(self, quiet: bool = False) -> None:
        """Stop the status line; quietly where nobody may be left to read it."""
        self._stop.set()
        self._thread.join()
        if not quiet:
            self._write("")

    def _loop(self) -> None:
        while not self._stop.wait(STATUS_INTERVAL[self._terminal]):
            if bars := self._bars():
                self._write(f"[{self.done:2d}/{self.total} jobs] {bars}"[:180] + ("" if self._terminal else "\n"))

    def _bars(self) -> str:
        bars = []
        for path in sorted(path for folder in self.logs for path in folder.glob("**/*.progress")):
            try:
                stage = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, json.JSONDecodeError):  # being replaced right now
                continue
            if stage["done"] < stage["total"]:
                share = stage["done"] / stage["total"]
                bars.append(f"{stage['label']} [{'#' * int(10 * share):<10}] {share:4.0%}")
        return "  ".join(bars)

    def _write(self, text: str) -> None:
        sys.stdout.write(("\r\x1b[K" if self._terminal else "") + text)
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
