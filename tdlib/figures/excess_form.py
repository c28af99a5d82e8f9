"""Which form the excess over the exact limit has, by how well each foretells systems and rates it was not fitted to."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tdlib.figures.save import Drawing
from tdlib.figures.statistics import GREEN, ORANGE
from tdlib.figures.style import NEUTRAL, new_figure, span_text, style
from tdlib.figures.words import interval_text, number_text, seeds_text

FLOOR = 1e-3  # of the axis: 0.1 %


def draw_excess_forms(table: pd.DataFrame) -> Drawing:
    """Draw the log error of every form out of its groups, one panel per kind of arm.

    Args:
        table: Rows of kind, form, parameters, log_error, ci_low, ci_high, trivial, ratio, ratio_low, ratio_high,
            verdict (empty for trivial ones), chosen, bad, n_seeds, n.
    """
    kinds = list(table.groupby("kind", sort=False))
    with style():
        heights = [len(rows) for _, rows in kinds]
        figure, axes = new_figure(len(kinds), 1, height=0.165 * sum(heights) + 0.35 * len(kinds) + 0.9, sharex=True,
                                  height_ratios=heights)  # fmt: skip
        for axis, (kind, rows) in zip(axes[:, 0], kinds, strict=True):
            _draw_panel(axis, rows)
            axis.set_title(kind, fontweight="bold")
        axes[0, 0].set_xlim(max(FLOOR, 0.5 * float(table["log_error"].min())), 3 * float(table["log_error"].max()))
        axes[-1, 0].set_xlabel("RMS difference of log errors, system and rate held out")
    bad = int(table.groupby("kind")["bad"].first().sum())
    caption = (
        "How far predicted errors lie from measured ones, of each kind of arm at rates it was not trained at, each "
        "time in a system and at a test rate that the fit has not seen. Forms: the squares of exact limit "
        "and of own error times a factor are added; the factor is 1 (own error), h/Δ (repeated step), 1 + a|1 − h/Δ| "
        "(mismatch), a power of Δ/h, one for each direction, or a quadratic as in Newton's series; in brackets the "
        "number of fitted values. Gray are the trivial ones: a constant, and the limit alone. Means over seeds with "
        f"95 % t intervals, n = {span_text(table['n_seeds'])} seeds of {span_text(table['n'])} errors in all. Green: "
        "below the better trivial one, by the rule of contrasts (Holm's correction over the forms of a kind); filled: "
        "the simplest of these that none is seen to undercut; orange: above it."
        + f" {bad} errors are not finite and left out." * bool(bad)
        + f" {_conclusion(table)}"
    )
    alt = f"Points with intervals of the log error of {table['form'].nunique()} forms for {len(kinds)} kinds of arms."
    return Drawing(figure, caption, alt, table)


def _draw_panel(axis: Axes, rows: pd.DataFrame) -> None:
    for y, (_, row) in enumerate(rows.iterrows()):
        color = _color(row)
        axis.plot([max(row["ci_low"], FLOOR / 10), row["ci_high"]], [y, y], color=color, linewidth=1.4)
        axis.plot(row["log_error"], y, "o", color=color, markerfacecolor=color if row["chosen"] else "w")
    axis.set_xscale("log")
    axis.set_yticks(range(len(rows)), [f"{row['form']} ({row['parameters']})" for _, row in rows.iterrows()])
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.tick_params(axis="y", length=0)


def _color(row: pd.Series) -> str:
    if row["verdict"] in ("consistent", "confirmed"):
        return GREEN
    if row["verdict"] in ("inconsistent", "refuted"):
        return ORANGE
    return NEUTRAL["text"] if row["verdict"] else NEUTRAL["muted"]


def _conclusion(table: pd.DataFrame) -> str:
    parts = []
    for kind, rows in table.groupby("kind", sort=False):
        trivial = rows[rows["form"] == rows["trivial"]].iloc[0]
        told = f"{trivial['form']}, {number_text(trivial['log_error'])}"
        if not rows["chosen"].any():
            parts.append(f"{kind}: no form is seen to beat the trivial one ({told})")
            continue
        row = rows[rows["chosen"]].iloc[0]
        parts.append(
            f"{kind}: {row['form']}, {interval_text(row, 'log_error', 'ci')}, a factor of "
            f"{np.exp(row['log_error']):.2f} ({told}; ratio {interval_text(row, 'ratio')}, {row['verdict']})"
        )
    told = f"{table['envs'].iloc[0]}; {seeds_text(table['n_seeds'].max())}"
    return f"Chosen by log error out of the groups ({told}): {'; '.join(parts)}."
