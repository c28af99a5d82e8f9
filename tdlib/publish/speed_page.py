"""The book's chapter on speed, written from what this run and `make bench` measured; a part not measured is said so."""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tdlib.figures.save import Drawing, save_drawing
from tdlib.figures.speed import draw_growth, draw_time_split
from tdlib.grid.times import WORK, phase_of, phase_times, split_of
from tdlib.study.blocks import notes_of
from tdlib.study.book import runs_of
from tdlib.study.cost import KINDS, load_units, predict, predicted_hours
from tdlib.study.predicted_cost import cpu_hours, of_all_seeds, predicted_before
from tdlib.study.presets import PRESET_FOLDER, Preset, load_preset

PREDICTED = ("quick", "full", "full_literal")
CORES = 2  # that costs are predicted for
SEEN_AT_ONCE = 60  # jobs; a long study has a thousand
UNFOLDED = 40  # rows of a table of benchmarks; of more a reader wants one
NOTHING = "–"
PROCESSOR = "cpu"  # as `make bench` names it; another device is a card
GROUPS = {
    "training": "Training",
    "planning": "Planning",
    "truth": "Truth",
    "pixels": "Frames",
    "mpc": "Control with a memory",
    "collection": "Collection",
    "evaluation": "Evaluation",
    "scaling": "Unit costs",
    "mts3": "Two clocks",
    "live": "Live figures of the notebooks",
    "browser": "The explorer on the page",
    "logs": "Reading a log",
}


def speed_page(results: Path) -> str:
    """Write the chapter, and its figures below `figures/speed`.

    Args:
        results: Folder with `metrics` and `figures`; `metrics` may hold job_times.csv, part_times.csv, bench.json and
            scaling.json.
    """
    metrics, figures = results / "metrics", results / "figures" / "speed"
    bench, growth = (_read_json(metrics / name) for name in ("bench.json", "scaling.json"))
    sections = [
        _opening(bench is not None, growth is not None),
        _time_split(_read_table(metrics / "part_times.csv"), figures),
        _phases(results, load_units(metrics / "scaling.json")),
        _jobs(_read_table(metrics / "job_times.csv")),
        _benchmarks(bench or []),
        _growth(growth or {}, figures),
        _predictions(load_units(metrics / "scaling.json"), _read_table(metrics / "part_times.csv")),
        _limits(),
    ]
    return "\n".join(line for section in sections if section for line in [*section, ""])


def _opening(has_bench: bool, has_growth: bool) -> list[str]:
    absent = "the comparison with others" * (not has_bench) + " and " * (not has_bench and not has_growth)
    absent += "how the cost grows and what the presets cost" * (not has_growth)
    lines = [
        "# Speed and memory",
        "",
        "**Question.** What does the study cost, where does the time go, and what would more of it cost?",
        "",
        "A run costs the sum over its kinds of work of what is asked for, times the measured cost of one unit,",
        "",
        "$$T = \\sum_w N_w\\, c_w,$$",
        "",
        "where $N_w$ counts transitions collected, optimizer steps times models, test transitions and imagined "
        "transitions. `tdlib.study.cost` counts $N_w$ from a preset alone; `tests/benchmarks/bench_scaling.py` "
        "measures $c_w$ (part of `make bench`).",
    ]
    if absent:
        lines += [
            "",
            f"Not here, since `make bench` was not run on this machine: {absent}. On a machine with a card "
            "`make bench DEVICE=cuda` adds its rows.",
        ]
    return lines


def _time_split(parts: pd.DataFrame | None, figures: Path) -> list[str]:
    lines = ["## Where the time of this run went", ""]
    if parts is None:
        return [*lines, "This run kept no times by part."]
    split, by = split_of(parts), "job"
    if parts["job"].nunique() > SEEN_AT_ONCE:
        parts, by = parts.assign(phase=parts["job"].map(phase_of)), "phase"
    rows = [[r.part, f"{r.wall_seconds:.0f}", f"{r.cpu_seconds:.0f}", _percent(r.share)] for r in split.itertuples()]
    return [
        *lines,
        "Each job times its parts itself; a second counts once, for the innermost part. A notebook's kernel is a fork "
        "of a process that has imported everything, so imports are paid once. A part whose results were in place "
        "already cost only the look at them.",
        "",
        *_table(["part", "wall [s]", "CPU [s]", "share of CPU"], rows),
        "",
        *_figure(draw_time_split(parts, by), figures / "time_split.png", "Where the time went."),
    ]


def _phases(results: Path, units: dict[str, pd.DataFrame]) -> list[str]:
    """Set what every phase took beside what was predicted for its work from the preset alone."""
    jobs, parts = (_read_table(results / "metrics" / f"{name}_times.csv") for name in ("job", "part"))
    if jobs is None or parts is None:
        return []
    predicted = _predicted_work(results, units)
    table = phase_times(jobs, parts)
    rows, ratios = [], []
    for r in table.itertuples():
        expected = sum(predicted.get(kind, math.nan) for kind in WORK[r.phase]) if r.phase in WORK else math.nan
        ratio = r.work_seconds / 3600 / expected if expected > 0 else math.nan
        ratios += [] if math.isnan(ratio) else [ratio]
        rows.append([
            r.phase, str(r.jobs), _hours(r.wall_seconds / 3600), _hours(r.cpu_seconds / 3600),
            _hours(r.work_seconds / 3600), _hours(expected), NOTHING if math.isnan(ratio) else f"{ratio:.2f}",
            f"{r.peak_mb:.0f}",
        ])  # fmt: skip
    header = ["phase", "jobs", "wall [h]", "CPU [h]", "its work [CPU h]", "predicted [CPU h]", "of the prediction",
              "peak memory [MB]"]  # fmt: skip
    again = (
        "A job that was interrupted and went on counts with all its runs; of one that ran again from other source, "
        "each part counts with its longest time."
        if "runs" in jobs
        else "A job that was run again counts with its last time."
    )
    whole, done = sum(predicted.values()), table["work_seconds"].sum() / 3600
    told = (
        f" All work together took {done / whole:.2f} times what was predicted, that of a phase between "
        f"{min(ratios):.2f} and {max(ratios):.2f} times."
        if ratios and whole > 0
        else ""
    )
    summary = _read_json(results / "metrics" / "summary_statistics.json") or {}
    told += "".join(f" {note}" for note in notes_of(str(summary.get("preset", "")), summary.get("taken", ())))
    return [
        "## Every phase, beside its prediction",
        "",
        "Wall and CPU hours are summed over the jobs of a phase, which run side by side; "
        f"{_hours(table['cpu_seconds'].sum() / 3600)} CPU hours in all. The prediction counts the preset's work times "
        "unit costs that `make bench` measured, and is of the work alone, without figures and the start of kernels; "
        f"that of a long run was written down before it began (`book/_data/predicted_cost.csv`). {again}{told}",
        "",
        *_table(header, rows),
    ]


def _predicted_work(results: Path, units: dict[str, pd.DataFrame]) -> dict[str, float]:
    """Return the predicted CPU hours of every kind of work of the run's preset, of all its seeds.

    Those that were written down before a long run began, else those of the unit costs; nothing without either.
    """
    summary = _read_json(results / "metrics" / "summary_statistics.json") or {}
    name = str(summary.get("preset", ""))
    if before := predicted_before(name):
        return before
    if not units or not (PRESET_FOLDER / f"{name}.yaml").is_file():
        return {}
    return cpu_hours(of_all_seeds(load_preset(name)), next(iter(units.values())))


def _jobs(jobs: pd.DataFrame | None) -> list[str]:
    if jobs is None:
        return []
    names = {"job": "job", "runs": "runs", "wall_seconds": "wall [s]", "cpu_seconds": "CPU [s]",
             "peak_mb": "peak memory [MB]"}  # fmt: skip
    shown = jobs[[name for name in names if name in jobs]]  # editions from before runs were counted lack them
    told = ""
    if len(jobs) > SEEN_AT_ONCE:
        shown = shown.sort_values("wall_seconds", ascending=False).head(SEEN_AT_ONCE)
        told = f" Below are the {len(shown)} that took longest of {len(jobs)}; all are in `job_times.csv`."
    rows = [[row[0], *(f"{x:.0f}" for x in row[1:])] for row in shown.itertuples(index=False)]
    wall, cpu, peak = jobs["wall_seconds"].sum(), jobs["cpu_seconds"].sum(), jobs["peak_mb"].max()
    return [
        "## Every job",
        "",
        f"All jobs together took {wall:.0f} s of wall time and {cpu:.0f} s of CPU time, side by side on the run's "
        f"cores; the largest process took {peak:.0f} MB. One thread each. Peak memory is that of the larger of a "
        f"job's two processes and counts shared pages in each.{told}",
        "",
        *_table([names[name] for name in shown], rows),
    ]


def _benchmarks(rows: Sequence[dict]) -> list[str]:
    if not rows:
        return []
    lines = [
        "## Ours and others",
        "",
        "Both sides do the same work on the same machine with the same threads, in turn (A B A B …) after a warm-up. "
        "Numbers are medians; the range of the ratio is over pairs of runs. A ratio above 1 means that ours is faster. "
        "A goal that was missed is marked. The fraction of peak compares counted arithmetic with this machine's own "
        "product of two 1024 × 1024 float32 matrices.",
        "",
    ]
    header = ["what", "ours", "peer", "unit", "ratio (range)", "goal", "of peak", "peer is", "on"]
    for group in dict.fromkeys(row.get("group", "") for row in rows):
        chosen = [row for row in rows if row.get("group", "") == group]
        title = GROUPS.get(group, str(group).capitalize() or "Others")
        table, places = [_bench_row(row) for row in chosen], {_place(row) for row in chosen}
        said = [i for i in range(len(header)) if {row[i] for row in table} != {NOTHING}]  # no peer, no columns of it
        columns = said[: -1 if len(places) == 1 else None]  # where all ran alike, a line says so
        left = [place for place, i in enumerate(columns) if i in (0, 3, 7, 8)]
        shown = _table([header[i] for i in columns], [[row[i] for i in columns] for row in table], left=left)
        lines += [f"### {title}", "", *([f"All on {places.pop()}.", ""] if len(places) == 1 else [])]
        lines += [*(_folded(shown, len(table)) if len(table) > UNFOLDED else shown), ""]
    torch = sorted({row["torch"] for row in rows if row.get("torch")})
    return [*lines, f"Measured with torch {', '.join(torch)}."] if torch else lines


def _bench_row(row: dict) -> list[str]:
    ratio, goal = row.get("ratio"), row.get("goal")
    low, high = row.get("ratio_low") or ratio, row.get("ratio_high") or ratio
    shown = NOTHING if ratio is None else f"{ratio:.2f} ({low:.2f}–{high:.2f})"
    missed = ratio is not None and goal is not None and ratio < goal
    return [
        row["name"],
        _number(row.get("ours")),
        _number(row.get("peer")),
        row.get("unit", ""),
        shown,
        NOTHING if goal is None else f"{goal:g} **missed**" if missed else f"{goal:g}",
        NOTHING if row.get("fraction_of_peak") is None else _percent(row["fraction_of_peak"]),
        row.get("peer_name") or NOTHING,
        _place(row),
    ]


def _place(row: dict) -> str:
    """Return the device that a row was measured on, and how many threads the processor gave."""
    threads = row.get("threads", 1)
    return f"{row.get('device', '')}, {threads} thread{'' if threads == 1 else 's'}"


def _growth(found: dict, figures: Path) -> list[str]:
    measured = {device: content["series"] for device, content in found.items() if content.get("series")}
    if not measured:
        return []
    lines = [
        "## How the cost grows",
        "",
        "$t = c\\,x^p$, fitted to logarithms: $p = 1$ is proportional, $p = 0$ is for free.",
        "",
    ]
    for place, (device, series) in enumerate(measured.items()):
        rows = [
            [s["name"], s["axis"], f"{s['exponent']:.2f}", f"{s['low']:.2f} to {s['high']:.2f}", str(len(s["x"]))]
            for s in series
        ]
        name = "growth" if place == 0 else f"growth_{place}"
        lines += [*_table(["cost of", "against", "exponent", "95 % interval", "points"], rows, left=(0, 1)), ""]
        lines += [*_figure(draw_growth(series, device), figures / f"{name}.png", "Growth of the cost."), ""]
    return lines


def _predictions(units: dict[str, pd.DataFrame], parts: pd.DataFrame | None) -> list[str]:
    if not units:
        return []
    presets = list({run.name: of_all_seeds(run) for name in PREDICTED for run in runs_of(load_preset(name))}.values())
    lines = [
        "## What the presets cost",
        "",
        "Counts times unit costs; figures, statistics and the book come on top.",
        "",
    ]
    for device, table in units.items():
        on_card = device != PROCESSOR
        kinds = [kind for kind in KINDS if not on_card or kind in set(table["kind"])]
        hours = "h of the card" if on_card else "CPU h"
        header = ["preset", *(f"{kind} [{hours}]" for kind in kinds), f"all of these [{hours}]"]
        header += [] if on_card else [f"wall on {CORES} cores [h]"]
        rows = [_prediction_row(preset, table, kinds)[: len(header)] for preset in presets]
        rows = [row for row in rows if set(row[1:]) - {NOTHING, _hours(0.0)}]  # what can be counted
        lines += [f"**Unit costs of {device}.**", "", *_table(header, rows), ""]
    if parts is not None:
        measured = parts[parts["part"].isin(KINDS)].groupby("part")["cpu_seconds"].sum()
        said = ", ".join(f"{kind} {measured.get(kind, 0.0):.0f} s" for kind in KINDS)
        lines += [f"This run itself measured {said} of CPU time.", ""]
    if list(units) == [PROCESSOR]:
        lines += ["No card was measured here: `make bench DEVICE=cuda` on a machine with one adds its row."]
    return lines


def _prediction_row(preset: Preset, units: pd.DataFrame, kinds: Sequence[str]) -> list[str]:
    """Hours of each kind of work, of all of these together, and on the clock; what was not measured is no zero."""
    table = predict(preset, units)
    by_kind = table.groupby("kind")["cpu_seconds"].apply(lambda seconds: seconds.sum(skipna=False))
    found = [by_kind.get(kind, 0.0) / 3600 for kind in kinds]
    wall = predicted_hours([preset], units, CORES)["wall"] if not by_kind.isna().any() else math.nan
    return [preset.name, *map(_hours, found), _hours(sum(found)), _hours(wall)]


def _limits() -> list[str]:
    return [
        "**Limits.** One machine, in a long run one for each block of seeds; jobs of one run share its cores and "
        "caches, so their times depend on their neighbors. Predictions are estimates and no bounds: training or an "
        "episode that stops early does less than is counted, but a unit may cost more at another size or load than "
        "where it was measured; the input and output of files are left out. Benchmarks time the peers' public "
        "interfaces with settings that make the work equal, which need not be what their authors would choose.",
    ]


def _figure(drawing: Drawing, path: Path, title: str) -> list[str]:
    """Save a figure and refer to it; its caption and alternative text are read from beside it."""
    save_drawing(drawing, path)
    address, name = f"../results/figures/speed/{path.name}", f"speed-{path.stem.replace('_', '-')}"
    return [f":::{{result-figure}} {address}", f":name: {name}", "", f"**{title}**", ":::"]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[int] = (0,)) -> list[str]:
    rule = ["---" if i in left else "---:" for i in range(len(header))]
    lines = ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in (header, rule, *rows)]
    return ["::::{div} td-sortable", *lines, "::::"]


def _folded(table: Sequence[str], count: int) -> list[str]:
    return [f":::::{{dropdown}} {count} rows", *table, ":::::"]


def _read_table(path: Path) -> pd.DataFrame | None:
    return _read(path, pd.read_csv)


def _read_json(path: Path) -> Any:
    return _read(path, lambda p: json.loads(p.read_text(encoding="utf-8")))


def _read(path: Path, reader: Callable) -> Any:
    return reader(path) if path.is_file() else None


def _number(value: float | None) -> str:
    """Write three digits, and no power of ten where there are more before the point: `5,070`."""
    if value is None:
        return NOTHING
    shown = float(f"{value:.3g}")
    return f"{shown:,.0f}" if shown >= 1000 else f"{value:.3g}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _hours(hours: float) -> str:
    return NOTHING if math.isnan(hours) else f"{hours:.3f}" if hours < 1 else f"{hours:.1f}"
