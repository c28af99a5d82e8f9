"""An ensemble's spread as an alarm: how often it sounds at every rate, and which failures it misses."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tdlib.core.facts import FALSE_ALARMS
from tdlib.figures.save import Drawing
from tdlib.figures.selection import ARM, name_arms
from tdlib.figures.style import METHOD_COLORS, NEUTRAL, log_rate_axis, new_figure, shared_legend, span_text, style
from tdlib.figures.words import interval_text, seeds_text

LINES = {  # column -> label, color, marker, line
    "alarms": ("raises an alarm", METHOD_COLORS["baseline"], "o", "-"),
    "failures": ("fails: error above half the change", NEUTRAL["muted"], "s", "--"),
    "missed": ("of those that fail: no alarm", METHOD_COLORS["rescaled"], "X", ":"),
}
TICKS = (5, 10, 20, 50, 100, 200)


def draw_alarm(table: pd.DataFrame) -> Drawing:
    """Draw the shares of alarms, failures and missed failures, one panel per environment and ensemble.

    Args:
        table: Rows of env, the arm, test_frequency, alarms, failures and missed with `_low` and `_high`, n_seeds, n,
            n_failures.
    """
    table = name_arms(table[table["test_frequency"] != "irregular"])
    table = table.assign(rate=table["test_frequency"].astype(float), arm=table["arm"].str.rpartition(": ")[2])
    envs, arms = list(dict.fromkeys(table["env"])), list(dict.fromkeys(table["arm"]))
    with style():
        figure, axes = new_figure(len(envs), len(arms), height=1.7 * len(envs) + 1.2, sharex=True, sharey=True)
        for line, env in zip(axes, envs, strict=True):
            for axis, arm in zip(line, arms, strict=True):
                _draw_panel(axis, table[(table["env"] == env) & (table["arm"] == arm)])
                axis.set_title(f"{env}\n{arm}")
            line[0].set_ylabel("share of pairs")
        for axis in axes[-1]:
            axis.set_xlabel("test rate [Hz]")
        shared_legend(figure, axes, columns=1)
    caption = (
        f"{', '.join(envs)}: share of pairs on which the spread of an ensemble raises an alarm, share on which it "
        "fails, and share of the failing ones without an alarm, against test rate. The threshold is the spread, "
        f"relative to the change over the step, that {FALSE_ALARMS:.0%} of known pairs exceed; others are counted. "
        f"Bars: 95 % intervals over seeds that also count pairs; n = {span_text(table['n_seeds'])} seeds, "
        f"{span_text(table['n'] // table['n_seeds'])} pairs each. {_conclusion(table)}"
    )
    alt = "Shares of alarms, failures and missed failures of ensembles against test rate."
    return Drawing(figure, caption, alt, table)


def _draw_panel(axis: Axes, rows: pd.DataFrame) -> None:
    rows = rows.sort_values("rate")
    for name, (label, color, marker, line) in LINES.items():
        own = rows[np.isfinite(rows[name])]
        ends = [own[f"{name}_{end}"].fillna(own[name]) for end in ("low", "high")]  # one seed has no interval
        bars = [(own[name] - ends[0]).clip(lower=0), (ends[1] - own[name]).clip(lower=0)]
        axis.errorbar(own["rate"], own[name], yerr=bars, color=color, marker=marker, linestyle=line, label=label,
                      elinewidth=0.8, capsize=1.5)  # fmt: skip
    axis.axhline(FALSE_ALARMS, color=NEUTRAL["reference"], linewidth=0.8, zorder=0)
    log_rate_axis(axis, TICKS)
    axis.set_ylim(-0.03, 1.03)


def _conclusion(table: pd.DataFrame) -> str:
    """Say of every ensemble where it fails most, what the alarm makes of that, and where it sounds most in vain."""
    parts = []
    for _, rows in table.groupby(["env", *ARM], sort=False):
        worst, vain = rows.loc[rows["failures"].idxmax()], rows.loc[(rows["alarms"] - rows["failures"]).idxmax()]
        told = "fails on no pair counted"
        if worst["n_failures"]:
            told = (
                f"fails most at {worst['test_frequency']} Hz, on {worst['failures']:.0%} of the pairs, of which a "
                f"share of {interval_text(worst, 'missed')} raises no alarm"
            )
        parts.append(
            f"{worst['arm']} on {worst['env']} {told}, and sounds most in vain at {vain['test_frequency']} Hz, where "
            f"a share of {interval_text(vain, 'alarms')} raises one and {vain['failures']:.0%} fail"
        )
    return f"{'; '.join(parts)} ({seeds_text(table['n_seeds'].max())})."
