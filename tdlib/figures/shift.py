"""Errors on another policy's states beside those on pooled ones: what shift does at the own rate and off it."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from tdlib.figures.lines import arm_looks
from tdlib.figures.save import Drawing
from tdlib.figures.selection import forms_text, name_arms
from tdlib.figures.style import NEUTRAL, arm_label, new_figure, plain_log_axis, span_text, style
from tdlib.figures.words import interval_text, listed, seeds_text

LIMIT = {"color": NEUTRAL["muted"], "marker": "|", "markersize": 11, "linestyle": ""}


def draw_shift(table: pd.DataFrame) -> Drawing:
    """Draw both errors (left) and their ratio (right), one row of panels per environment and test rate.

    Args:
        table: Rows of env, the arm, test_frequency, pooled, shift, limit_pooled, limit_shift, ratio, ci_low, ci_high,
            limit_ratio, against, against_low, against_high, verdict ("more robust than a raw map" at that rate), bad,
            n_seeds, n.
    """
    table = name_arms(table)
    names, palette = list(dict.fromkeys(table["arm"])), arm_looks(table)["palette"]
    panels = list(table.groupby(["env", "test_frequency"], sort=False))
    with style():
        figure, axes = new_figure(len(panels), 2, height=1.2 * len(panels) + 1.0, sharex="col", sharey=True)
        for (left, right), ((env, rate), rows) in zip(axes, panels, strict=True):
            _draw_errors(left, rows, names, palette)
            _draw_ratios(right, rows, names, palette)
            left.set_title(f"{env}, tested at {rate} Hz", fontweight="bold")
        axes[0, 0].set_ylim(len(names) - 0.4, -0.6)
        axes[0, 0].set_yticks(range(len(names)), names)
        axes[-1, 0].set_xlabel("relative one-step error")
        axes[-1, 1].set_xlabel("shifted / pooled states")
        look = {"color": NEUTRAL["text"], "linestyle": "", "marker": "o"}
        keys = [Line2D([], [], **look, label="pooled states"),
                Line2D([], [], **look, markerfacecolor="w", label="states of another policy"),
                Line2D([], [], **LIMIT, label="the exact map in that form")]  # fmt: skip
        figure.legend(handles=keys, loc="outside lower center", ncols=2)
    bad = int(table["bad"].sum())
    caption = (
        f"{', '.join(dict.fromkeys(table['env']))}: relative one-step error of the main arms on pooled states of the "
        "agents (filled) and on states of a random policy (hollow), geometric means over seeds, and the ratio of the "
        f"two, paired by seed, with its 95 % t interval; n = {span_text(table['n_seeds'])} seeds, "
        f"{span_text(table['n'] // table['n_seeds'])} shifted pairs each. Gray bars: what an exact map of the arm's "
        "form scores on the same states, where it has an error. Own rate of one-rate arms first, then a rate between "
        f"training rates, then one beyond.{forms_text(table)}"
        f"{f' {bad} values are not finite and have no ratio.' if bad else ''} {_conclusion(table)}"
    )
    alt = (
        "Points of one-step error on pooled and on shifted states, and their ratios, for the main arms at three rates."
    )
    return Drawing(figure, caption, alt, table)


def _draw_errors(axis: Axes, rows: pd.DataFrame, names: list[str], palette: dict[str, str]) -> None:
    for _, row in rows.iterrows():
        y, color = names.index(row["arm"]), palette[row["arm"]]
        axis.plot([row["pooled"], row["shift"]], [y, y], color=color, linewidth=1.0)
        axis.plot(row["limit_pooled"], y, **LIMIT)
        axis.plot(row["pooled"], y, "o", color=color)
        axis.plot(row["shift"], y, "o", color=color, markerfacecolor="w")
    axis.set_xscale("log")
    axis.tick_params(axis="y", length=0)


def _draw_ratios(axis: Axes, rows: pd.DataFrame, names: list[str], palette: dict[str, str]) -> None:
    for _, row in rows.iterrows():
        y, color = names.index(row["arm"]), palette[row["arm"]]
        axis.plot(row["limit_ratio"], y, **LIMIT)
        if not np.isfinite(row["ratio"]):
            axis.plot(0.97, y, "x", color=color, transform=axis.get_yaxis_transform())
            continue
        axis.plot([row["ci_low"], row["ci_high"]], [y, y], color=color, linewidth=1.6)
        axis.plot(row["ratio"], y, "o", color=color)
    axis.axvline(1.0, color=NEUTRAL["reference"], linewidth=0.8, zorder=0)
    axis.set_xscale("log")
    plain_log_axis(axis.xaxis)
    axis.tick_params(axis="y", length=0)


def _conclusion(table: pd.DataFrame) -> str:
    """Say at every rate shown whether the arm of several rates is more robust than the raw map of one."""
    parts = []
    for env, rows in table.groupby("env", sort=False):
        several = rows[(rows["method"] == "multi_resolution") & np.isfinite(rows["against"])]
        if several.empty:
            parts.append(f"on {env} no ratio of an arm of several rates is there")
            continue
        grown = [f"{interval_text(row, 'against')} at {row['test_frequency']} Hz" for _, row in several.iterrows()]
        judged = [
            f"{verdict} at {listed(own['test_frequency'])} Hz"
            for verdict, own in several.groupby("verdict", sort=False)
        ]
        parts.append(
            f"on {env} the errors of {arm_label(several.iloc[0])} grow by {listed(grown)} times what the raw map's do "
            f"({seeds_text(several['n_seeds'].max())}); that it is more robust: {', '.join(judged)}"
        )
    return f"From pooled to shifted states, {'; '.join(parts)}."
