"""Does an ensemble's spread warn of an unknown rate, and does it match the error?"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from tdlib.core.facts import MIXED, TRAIN_RATES
from tdlib.figures.lines import arm_looks, draw_lines, grid_of
from tdlib.figures.save import Drawing
from tdlib.figures.selection import ARM, forms_text, name_arms
from tdlib.figures.style import (
    NEUTRAL,
    RATE_COLORS,
    bad_text,
    counts_text,
    log_rate_axis,
    new_figure,
    over_seeds,
    shared_legend,
    style,
)

RATES = ("5", "10", "20", "50", "100")
LEAST_DECADES = 2.0  # of an axis
COLORS = {**RATE_COLORS, "100": "#56B4E9"}


def draw_calibration(table: pd.DataFrame) -> Drawing:
    """Draw error against spread, one panel per ensemble, and the alarm's AUROC against test rate.

    Args:
        table: ensemble_calibration of one environment.
    """
    import seaborn  # imports pyplot: only where a figure is drawn

    env, table = str(table["env"].iloc[0]), name_arms(table)
    if table["model"].nunique() == 1:
        table = table.assign(arm=table["arm"].str.rpartition(": ")[2])
    table = table.assign(tested="tested at " + table["test_frequency"] + " Hz")
    by = ["env", *ARM, "arm", "test_frequency", "tested", "bin"]
    spread, error = over_seeds(table, "spread", by), over_seeds(table, "error", by)
    summary = error.rename(columns={"mean": "error"}).merge(
        spread.rename(columns={"mean": "spread"})[[*by, "spread"]], on=by
    )
    alarms = table[(table["bin"] == "all") & (table["test_frequency"] != "irregular")].dropna(subset="auroc")
    alarms = alarms.assign(rate=alarms["test_frequency"].astype(float))
    names = list(dict.fromkeys(summary["arm"]))
    rows, columns = grid_of(len(names) + 1, 2)
    tested = {f"tested at {rate} Hz": COLORS[rate] for rate in RATES if rate in set(table["test_frequency"])}
    with style():
        figure, axes = new_figure(rows, columns, height=2.5 * rows + 1.1)
        for axis, name in zip(axes.ravel(), names, strict=False):
            points = summary[(summary["arm"] == name) & (summary["bin"] != "all")]
            seaborn.lineplot(points, x="spread", y="error", hue="tested", hue_order=list(tested), marker="o",
                             palette=tested, estimator=None, markersize=4,
                             markeredgewidth=0, legend="full" if name == names[0] else False, ax=axis)  # fmt: skip
            axis.set(xscale="log", yscale="log", xlabel="spread / true change", ylabel="error / true change")
            ends = _both_axes(axis)
            axis.plot(ends, ends, color=NEUTRAL["reference"], linewidth=0.8, zorder=0)
            axis.set(xlim=ends, ylim=ends)
            for side in (axis.xaxis, axis.yaxis):  # names of what lies between run into each other
                side.set_minor_formatter(NullFormatter())
            axis.set_title(name)
        last = axes.ravel()[len(names)]
        draw_lines(
            last, alarms, "rate", "auroc", arm_looks(alarms) | {"palette": dict.fromkeys(names, NEUTRAL["text"])}
        )
        log_rate_axis(last, [5, 10, 20, 50, 100, 200])
        last.axhline(0.5, color=NEUTRAL["reference"], linewidth=0.8, zorder=0)
        last.set(ylim=(-0.03, 1.03), xlabel="test rate [Hz]", ylabel="AUROC of spread")
        last.set_title("is this rate unknown?")
        for axis in axes.ravel()[len(names) + 1 :]:
            axis.set_visible(False)
        shared_legend(figure, axes)
    caption = (
        f"{env}: error against ensemble spread, both relative to the RMS true change at that rate, in tenths of the "
        f"pairs by rising spread (means over seeds), and the probability that a pair at a test rate has a larger "
        f"spread than one at a training rate (last panel, bars span the seeds); "
        f"{counts_text(table[table['bin'] == 'all'])}. "
        f"On the gray diagonal spread equals error. Last panel: 0.5 is no alarm, 1 ranks all pairs of that rate above "
        f"those of known ones.{forms_text(table)}{bad_text(summary, 'no mark is drawn')} {_conclusion(alarms, env)}"
    )
    alt = f"Error against ensemble spread on {env}, and AUROC of the spread as an alarm against test rate."
    return Drawing(figure, caption, alt, summary)


def _both_axes(axis: Axes) -> tuple[float, float]:
    """Return ends that hold what both logarithmic axes show, so far apart that two powers of ten name them."""
    shown = np.log10([*axis.get_xlim(), *axis.get_ylim()])
    low, high = shown.min(), shown.max()
    more = max(0.0, LEAST_DECADES - (high - low)) / 2
    return 10 ** (low - more), 10 ** (high + more)


def _conclusion(alarms: pd.DataFrame, env: str) -> str:
    """Say of every ensemble at which rate that it was not trained at its alarm is weakest, and at which strongest."""
    own = alarms["test_frequency"] == alarms["train_frequency"]
    own |= (alarms["train_frequency"] == MIXED) & alarms["test_frequency"].isin(TRAIN_RATES)
    rated = over_seeds(alarms[~own], "auroc", ["env", "arm", "rate"])
    parts = []
    for name, rows in rated[np.isfinite(rated["mean"])].groupby("arm", sort=False):
        weak, strong = rows.loc[rows["mean"].idxmin()], rows.loc[rows["mean"].idxmax()]
        low, high = (f"{row['mean']:.2f} at {row['rate']:g} Hz" for row in (weak, strong))
        alike = f"{weak['mean']:.2f}" == f"{strong['mean']:.2f}"
        parts.append(f"{name} has {weak['mean']:.2f} at all of them" if alike else f"{name} has {low} and {high}")
    seeds = alarms["seed"].nunique()
    told = "; ".join(parts) or "no value is finite"
    n = f"{seeds} seed{'' if seeds == 1 else 's'}"
    return f"Weakest and strongest alarm at rates not trained at (AUROC; {env}, {n}): {told}."
