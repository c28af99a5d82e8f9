"""Where the time of a run goes, and how the cost of its parts grows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from tdlib.figures.save import Drawing
from tdlib.figures.style import METHOD_COLORS, NEUTRAL, new_figure, style

COLORS = [color for color in METHOD_COLORS.values() if color != NEUTRAL["text"]]  # no methods in these figures


def draw_time_split(parts: pd.DataFrame, by: str = "job") -> Drawing:
    """Draw the CPU seconds of every job, or of every phase, split by part.

    Args:
        parts: Columns job or phase, part, cpu_seconds.
        by: Which of them has a bar of its own.
    """
    wide = parts.pivot_table(index=by, columns="part", values="cpu_seconds", aggfunc="sum", fill_value=0.0)
    wide = wide[wide.sum().sort_values(ascending=False).index].iloc[::-1]
    with style():
        figure, axes = new_figure(height=1.4 + 0.24 * len(wide))
        axis, left = axes[0, 0], np.zeros(len(wide))
        for place, (part, seconds) in enumerate(wide.items()):  # the largest first; small ones share the last color
            color = COLORS[place] if place < len(COLORS) else NEUTRAL["muted"]
            axis.barh(wide.index, seconds, left=left, color=color, label=part, height=0.72)
            left = left + seconds.to_numpy()
        axis.set_xlabel("CPU time [s]")
        axis.grid(visible=False, axis="y")
        figure.legend(loc="outside lower center", ncols=2)
    caption = f"CPU seconds of every {by} of this run by what they were spent on; n = 1 run on this machine. "
    caption += _largest(wide, by)
    alt = f"Stacked bars of CPU seconds of {len(wide)} {by}s; the largest part is {wide.sum().idxmax()}."
    return Drawing(figure, caption, alt, parts)


def draw_growth(series: Sequence[Mapping[str, Any]], device: str) -> Drawing:
    """Draw measured times against what was increased, in logarithms, each with its fitted power.

    Args:
        series: Each with `name`, `axis` (what was increased), `x`, `y` [s], `exponent`, `low`, `high`.
        device: Where it was measured.
    """
    axes_of = list(dict.fromkeys(str(line["axis"]) for line in series))
    columns = 1  # legends are as wide as a page on a phone
    rows = -(-len(axes_of) // columns)
    with style():
        figure, grid = new_figure(rows, columns, height=0.4 + 3.6 * rows)
        for axis, name in zip(np.ravel(grid), axes_of, strict=False):
            for color, line in zip(COLORS, (line for line in series if line["axis"] == name), strict=False):
                x, y, power = np.array(line["x"], float), np.array(line["y"], float), float(line["exponent"])
                label = f"{line['name']}:\npower {power:.2f} [{line['low']:.2f}, {line['high']:.2f}]"
                axis.loglog(x, y, "o", color=color, label=label)
                axis.loglog(x, np.exp(np.log(y).mean()) * (x / np.exp(np.log(x).mean())) ** power, color=color)
            _plain_ticks(axis, sorted({x for line in series if line["axis"] == name for x in line["x"]}))
            axis.set_xlabel(name)
            axis.set_ylabel("time [s]")
            axis.legend(loc="upper left", bbox_to_anchor=(0, -0.22))
        for axis in np.ravel(grid)[len(axes_of) :]:
            axis.set_visible(False)
    data = pd.DataFrame(
        [
            {"name": line["name"], "axis": line["axis"], "x": x, "y": y}
            for line in series
            for x, y in zip(line["x"], line["y"], strict=True)
        ]
    )
    top = max(series, key=lambda line: float(line["exponent"]))
    steepest = (
        f"The steepest is {top['name']}, power {float(top['exponent']):.2f} [{top['low']:.2f}, {top['high']:.2f}] of "
        f"{top['axis']} (n = {len(top['x'])} sizes)."
    )
    caption = (
        f"Measured time (dots, best of several runs on {device}) against what was increased, and the fitted power law "
        "(lines). In brackets: 95 % interval of the exponent over the points; 1 is proportional, 0 is for free. "
        f"{steepest}"
    )
    powers = ", ".join(f"{line['name']} {float(line['exponent']):.2f}" for line in series)
    return Drawing(figure, caption, f"Log-log lines of time against {', '.join(axes_of)}; exponents: {powers}.", data)


def _plain_ticks(axis: Axes, measured: Sequence[float]) -> None:
    """Mark what was measured, and times within one decade by few plain numbers: a log axis writes powers of both."""
    axis.xaxis.set_major_locator(FixedLocator(measured))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,g}"))
    low, high = axis.get_ylim()
    if high < 10 * low:
        axis.yaxis.set_major_locator(MaxNLocator(4))
        axis.yaxis.set_minor_locator(NullLocator())
        axis.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))


def _largest(wide: pd.DataFrame, by: str) -> str:
    total, parts = float(wide.to_numpy().sum()), wide.sum()
    share = float(parts.max()) / total if total > 0 else 0.0
    return f"The largest part is {parts.idxmax()}: {share:.0%} of {total:.0f} s over {len(wide)} {by}s."
