"""Self-consistency of learned maps: the semigroup defect beside the error, and the convergence test of fields."""

import numpy as np
import pandas as pd

from tdlib.core.facts import GOOD_AT_OWN_STEP
from tdlib.figures.conclusions import conclusion
from tdlib.figures.lines import DASHES, MARKERS, arm_looks, draw_lines, grid_of, label_outer
from tdlib.figures.save import Drawing
from tdlib.figures.selection import ARM, field_arms, forms_text, key_arms, name_arms, pick_or_first
from tdlib.figures.style import (
    METHOD_COLORS,
    NEUTRAL,
    bad_text,
    counts_text,
    new_figure,
    over_seeds,
    plain_log_axis,
    shared_legend,
    sort_models,
    style,
)

DEFECT_FLOOR = 1e-4  # smaller defects are drawn here
FIELD_COLORS = [METHOD_COLORS[name] for name in ("ode", "multi_resolution", "rescaled", "dt_conditioned", "baseline")]


def draw_consistency(table: pd.DataFrame) -> Drawing:
    """Draw the semigroup defect against the relative error, one panel per pair of rates, one point per key arm.

    Args:
        table: consistency_errors of one environment.
    """
    import seaborn  # imports pyplot: only where a figure is drawn

    env = str(table["env"].iloc[0])
    table = name_arms(pick_or_first(table, key_arms()))
    by = ["env", *ARM, "arm", "fine_frequency", "coarse_frequency"]
    errors = over_seeds(table, "relative_error", by).rename(columns={"mean": "relative_error"})
    summary = over_seeds(table, "defect", by).merge(errors[[*by, "relative_error"]], on=by)
    pairs = list(dict.fromkeys(zip(summary["fine_frequency"], summary["coarse_frequency"], strict=True)))
    rows, columns = grid_of(len(pairs), 2)
    looks = {name: look for name, look in arm_looks(table).items() if name != "dashes"}
    drawn = summary.assign(defect=summary["mean"].clip(lower=DEFECT_FLOOR))
    with style():
        figure, axes = new_figure(rows, columns, height=1.9 * rows + 1.1, sharex=True, sharey=True)
        for axis, (fine, coarse) in zip(axes.ravel(), pairs, strict=False):
            points = drawn[(drawn["fine_frequency"] == fine) & (drawn["coarse_frequency"] == coarse)]
            seaborn.scatterplot(points, x="relative_error", y="defect", s=45, ax=axis, **looks,
                                legend="full" if axis is axes[0, 0] else False)  # fmt: skip
            axis.set_title(f"1 at {coarse} Hz, {round(float(fine) / float(coarse))} at {fine} Hz")
            axis.axvline(1.0, color=NEUTRAL["reference"], linewidth=0.8, zorder=0)
            axis.set(xscale="log", yscale="log")
        label_outer(axes, len(pairs), "error of the coarse step", "defect")
        shared_legend(figure, axes)
    fine, coarse = pairs[0]
    first = summary[(summary["fine_frequency"] == fine) & (summary["coarse_frequency"] == coarse)]
    unlike = conclusion(first, place=f"One step at {coarse} Hz against those at {fine} Hz:", verb="disagrees by")
    caption = (
        f"{env}: disagreement of one coarse step with the fine steps that make it up (RMS, relative to the true "
        f"change) against the relative error of the coarse step; one point per arm, means over seeds, "
        f"{counts_text(table)}. A good model is at the lower left; a field that is integrated accurately, or one map "
        f"that is composed to both, has no defect however wrong it is. Defects below {DEFECT_FLOOR:g} are drawn at "
        f"{DEFECT_FLOOR:g}; the gray line is predicting no change.{forms_text(table, key_arms())}"
        f"{bad_text(summary, 'no mark is drawn')} {unlike}"
    )
    alt = f"Scatter plots of semigroup defect against relative error on {env} for {len(pairs)} pairs of rates."
    return Drawing(figure, caption, alt, summary.drop(columns=["low", "high"]))


def draw_convergence(table: pd.DataFrame) -> Drawing:
    """Draw the error of learned fields against the solver step, for one arm of each field that stands among others.

    Args:
        table: convergence_test of one environment.
    """
    env = str(table["env"].iloc[0])
    table = name_arms(pick_or_first(table, field_arms()))
    summary = over_seeds(table, "error", ["env", *ARM, "arm", "k"])
    models, names = sort_models(table["model"]), list(dict.fromkeys(table["arm"]))
    of = dict(zip(table["arm"], zip(table["model"], table["form"], strict=True), strict=True))
    looks = arm_looks(table) | {
        "palette": {name: FIELD_COLORS[models.index(of[name][0]) % len(FIELD_COLORS)] for name in names},
        "dashes": {name: DASHES[of[name][1] == "euler"] for name in names},
        "markers": {name: MARKERS[models.index(of[name][0]) % len(MARKERS)] for name in names},
    }
    with style():
        figure, axes = new_figure(height=3.9)
        axis = axes[0, 0]
        draw_lines(axis, table, "k", "error", looks)
        axis.axvline(0, color=NEUTRAL["reference"], linewidth=0.8, zorder=0)
        axis.set(xlabel="k: solver step is h·2$^{-k}$ (h = training step)", ylabel="relative error at T = 4h")
        axis.set_yscale("log")
        low, high = axis.get_ylim()
        if high / low < 30:  # decades alone would label next to nothing
            plain_log_axis(axis.yaxis)
        if high / low < 3:  # a flat panel would zoom into rounding
            axis.set_ylim(low / 1.8, high * 1.8)
        shared_legend(figure, axes, columns=1)
    caption = (
        f"{env}: error of learned fields integrated with solver steps around the training step h (k = 0), relative to "
        f"the true change over 4h; means over seeds, bars span the seeds, {counts_text(table)}. Finer solver steps are "
        f"at the right: a flow keeps or lowers its error there; a minimum at k = 0 is a learned map. A field that errs "
        f"by more than {GOOD_AT_OWN_STEP:.0%} at its own step is called poor, since its flat curve says nothing. Other "
        f"arms are in the tables.{bad_text(summary)} {_verdicts(table, summary)}"
    )
    alt = f"Error against solver step for {len(names)} learned fields on {env}, solid for RK4, dashed for Euler."
    return Drawing(figure, caption, alt, summary)


def _verdicts(table: pd.DataFrame, summary: pd.DataFrame) -> str:
    """Say of every arm how many seeds pass, and how its error changes from its own to the finest solver step."""
    parts = []
    for name, rows in summary.groupby("arm", sort=False):
        seeds = table[table["arm"] == name].drop_duplicates("seed")["verdict"]
        told = f"{name} passes with {int((seeds == 'pass').sum())} of {len(seeds)} seeds"
        told += f" ({int((seeds == 'poor').sum())} poor)" * bool((seeds == "poor").any())
        own, finest = rows.loc[rows["k"] == 0, "mean"], rows.loc[rows["k"].idxmax()]
        if len(own) and np.isfinite([own.iloc[0], finest["mean"]]).all():
            told += f", {own.iloc[0]:.2g} at k = 0 and {finest['mean']:.2g} at k = {finest['k']:g}"
        parts.append(told)
    return f"On {table['env'].iloc[0]}: {'; '.join(parts)}."
