"""What the live figures of the notebooks cost on the finished smoke run; run it alone or through `run.py`.

A cell reads its table, saves the still picture and builds the widgets; what the cells before it did is not counted. A
redraw goes from a widget's new value to the element that the browser shows.
"""

import itertools
import statistics
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from harness import Row  # noqa: E402
from live_cells import CELLS, FIRST_SYSTEM, PRESET, live_figure  # noqa: E402

from tdlib.study.layout import RunLayout  # noqa: E402
from tdlib.study.live import LiveFigure  # noqa: E402

GOALS = {"cell": 500, "redraw": 200}  # [ms]


def rows(device: str = "cpu", quick: bool = False) -> list[Row]:
    """Time of each notebook's live cell, and median time of a redraw; nothing if there is no finished run."""
    if not (RunLayout.of(PRESET).root / "checks.ok").is_file():
        print(f"no finished run: make it with `python -m tdlib.grid.command {PRESET} book`")
        return []
    found, repeats = [], 8 if quick else 40
    for name, parameters in CELLS:
        if parameters.get("env", FIRST_SYSTEM) == FIRST_SYSTEM:
            figure, seconds = live_figure(name, **parameters)
            found.append(_row(name, "cell", 1e3 * seconds, 1))
            found.append(_row(name, "redraw", 1e3 * statistics.median(redraws(figure, repeats)), repeats))
    return found


def redraws(figure: LiveFigure, repeats: int) -> list[float]:
    """Times of redraws [s], of one choice after another in turn."""
    options, times = [itertools.cycle(control.options) for control in figure.choices.values()], []
    for control, values in itertools.cycle(zip(figure.choices.values(), options, strict=True)):
        before = control.value
        started = time.perf_counter()
        control.value = next(values)
        if control.value != before:
            times.append(time.perf_counter() - started)
        if len(times) == repeats:
            return times
    return times


def _row(name: str, what: str, milliseconds: float, repeats: int) -> Row:
    title = f"live figure of {name}, {what} (goal {GOALS[what]} ms)"
    return Row(title, milliseconds, None, f"ms / {what}", None, None, 1, "cpu", repeats=repeats)
