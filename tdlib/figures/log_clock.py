"""The clock of a log: how long its intervals are, beside the rate that it is said to have, and where it stood still."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tdlib.figures.save import Drawing
from tdlib.figures.style import METHOD_COLORS, NEUTRAL, NothingToDrawError, new_figure, shared_legend, style
from tdlib.figures.words import number_text

MOST_POINTS = 4000  # intervals drawn one by one; of longer logs every n-th
BINS = 60
OTHER = 0.02  # relative; a label that differs by more is said to
EQUAL = 1e-9  # relative; less is the rounding of numbers
SHARE = 0.005  # of the intervals at each end that the histogram leaves to its outermost bars


def draw_stamps(table: pd.DataFrame, rate: float, log: str, label: float = float("nan")) -> Drawing:
    """Draw the intervals of a log: how many there are of each length, and each of them over the time of the log.

    Args:
        table: Rows episode, t [s], delta_t [s], pause [s] before the row, 0 where there is none.
        rate: That the stamps have [Hz].
        log: Name of the log.
        label: That somebody says the log has [Hz]; nan if nobody did.

    Raises:
        NothingToDrawError: If there is no interval.
    """
    if table.empty:
        raise NothingToDrawError("the log has no interval")
    with style():
        figure, axes = new_figure(2, height=5.2)
        lengths, along = axes[:, 0]
        _draw_lengths(lengths, table, rate, label)
        _draw_along(along, table)
        shared_legend(figure, axes)
    pauses = table["pause"][table["pause"] > 0]
    told = f", labeled {label:.4g} Hz" if np.isfinite(label) else ""
    paused = f" {len(pauses)} pauses of up to {number_text(pauses.max())} s begin an episode." if len(pauses) else ""
    caption = (
        "Intervals between the stamps of the log: above how many there are of each length, those beyond the edges in "
        f"the outermost bars, below each of them over time{', marks where it paused' * bool(len(pauses))}.{paused} "
        f"{_said(table, rate, label, log)}"
    )
    return Drawing(figure, caption, f"Histogram of the intervals of a log of {rate:.4g} Hz{told}, and the intervals "
                   "over time.", table)  # fmt: skip


def _draw_lengths(axis: Axes, table: pd.DataFrame, rate: float, label: float) -> None:
    steps = 1000 * table["delta_t"].to_numpy()
    marks = [1000 / rate, *([1000 / label] if np.isfinite(label) else [])]
    low, high = (float(f(np.append(np.quantile(steps, at), marks))) for f, at in ((np.min, SHARE), (np.max, 1 - SHARE)))
    room = max(0.05 * (high - low), 0.02 * low)
    bins = np.linspace(low - room, high + room, BINS)
    axis.hist(np.clip(steps, bins[0], bins[-1]), bins=bins, color=METHOD_COLORS["multi_resolution"])
    axis.axvline(marks[0], color=NEUTRAL["text"], label=f"its rate: {rate:.4g} Hz")
    if len(marks) > 1:
        axis.axvline(marks[1], color=METHOD_COLORS["baseline"], linestyle="--", label=f"its label: {label:.4g} Hz")
    axis.set(xlabel="interval [ms]", ylabel="rows", yscale="log")
    axis.set_ylim(bottom=0.7)


def _draw_along(axis: Axes, table: pd.DataFrame) -> None:
    shown = table.iloc[:: max(1, -(-len(table) // MOST_POINTS))]
    time = table["delta_t"].cumsum() - table["delta_t"] + table["pause"].cumsum()  # clocks of files begin anew
    axis.plot(
        time.loc[shown.index], 1000 * shown["delta_t"], ".", markersize=2.5, color=METHOD_COLORS["multi_resolution"]
    )
    for at in time[table["pause"] > 0]:
        axis.axvline(at, color=METHOD_COLORS["baseline"], linewidth=0.8)
    steps = 1000 * table["delta_t"]
    if steps.max() > 20 * steps.median():
        axis.set_yscale("log")
    else:
        axis.set_ylim(0, 1.15 * steps.max())
    axis.set(xlabel="time of the log [s]", ylabel="interval [ms]")


def _said(table: pd.DataFrame, rate: float, label: float, log: str) -> str:
    steps = table["delta_t"]
    jitter = float(steps.std(ddof=0) / steps.median())
    if not np.isfinite(label):
        claim = f"The log has {rate:.4g} Hz"
    elif abs(np.log(rate / label)) > OTHER:
        claim = f"The log is labeled {label:.4g} Hz and has {rate:.4g} Hz, {number_text(rate / label)} times as much"
    else:
        claim = f"The log has the {label:.4g} Hz of its label"
    spread = f"spread by {100 * jitter:.2g} % of one" if jitter > EQUAL else "are equal"
    return f"{claim}; its intervals {spread} ({log}, n = {len(table)} intervals)."
