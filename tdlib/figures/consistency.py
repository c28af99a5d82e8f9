"""Self-consistency of learned maps: the semigroup defect beside the error, and the convergence test of fields."""

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from tdlib.core.facts import GOOD_AT_OWN_STEP
from tdlib.figures.save import Drawing
from tdlib.figures.selection import ARM, arms_in, default_sizes
from tdlib.figures.style import (
    METHOD_COLORS,
    METHOD_LABELS,
    RATE_COLORS,
    counts_text,
    method_style,
    model_label,
    new_figure,
    over_seeds,
    shared_legend,
    sort_models,
    style,
)

PLAIN = FuncFormatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "125" else "")
DEFECT_FLOOR = 1e-4  # smaller defects, among them the zeros of persistence, are drawn here


def draw_consistency(table: pd.DataFrame) -> Drawing:
    """Draw the semigroup defect against the relative error, one panel per pair of rates, one point per arm.

    Args:
        table: consistency_errors of one environment.
    """
    env = str(table["env"].iloc[0])
    table = default_sizes(table)
    by = ["env", *ARM, "fine_frequency", "coarse_frequency"]
    summary = over_seeds(table, "defect", by).merge(
        over_seeds(table, "relative_error", by).rename(columns={"mean": "relative_error"})[[*by, "relative_error"]],
        on=by,
    )
    pairs = list(dict.fromkeys(zip(summary["fine_frequency"], summary["coarse_frequency"], strict=True)))
    columns = min(3, len(pairs))
    rows = -(-len(pairs) // columns)
    with style():
        figure, axes = new_figure(rows, columns, width=8.8, height=2.75 * rows + 1.0, sharex=True, sharey=True)
        for axis, (fine, coarse) in zip(axes.ravel(), pairs, strict=False):
            points = summary[(summary["fine_frequency"] == fine) & (summary["coarse_frequency"] == coarse)]
            for _, arm in points.iterrows():
                look = method_style(arm["method"], arm["form"])
                axis.plot(arm["relative_error"], max(arm["mean"], DEFECT_FLOOR), color=look["color"],
                          marker=look["marker"], linestyle="none", alpha=0.75)  # fmt: skip
            times = round(float(fine) / float(coarse))
            axis.set_title(f"one step at {coarse} Hz against {times} at {fine} Hz", fontsize=8.5)
            axis.axvline(1.0, color="#808080", linewidth=0.8, zorder=0)
            axis.set_xscale("log")
            axis.set_yscale("log")
        for axis in axes.ravel()[len(pairs) :]:
            axis.set_visible(False)
        for axis in axes[:, 0]:
            axis.set_ylabel("semigroup defect")
        for axis in axes[-1]:
            axis.set_xlabel("relative error of the coarse step")
        shared_legend(figure, axes, columns=5, extra=_keys(summary))
    caption = (
        f"{env}: disagreement of one coarse step with the fine steps that make it up (RMS, relative to the true "
        f"change) against the relative error of the coarse step; one point per arm, means over seeds, "
        f"{counts_text(table)}. A good model is at the lower left; a field that is integrated accurately, or "
        f"persistence, has no defect however wrong it is. Defects below {DEFECT_FLOOR:g} are drawn at "
        f"{DEFECT_FLOOR:g}; the gray line is predicting no change."
    )
    alt = f"Scatter plots of semigroup defect against relative error on {env} for {len(pairs)} pairs of rates."
    return Drawing(figure, caption, alt, summary)


def draw_convergence(table: pd.DataFrame) -> Drawing:
    """Draw the error of learned fields against the solver step, one panel per field.

    Args:
        table: convergence_test of one environment.
    """
    env = str(table["env"].iloc[0])
    models = sort_models(table["model"])
    summary = over_seeds(table, "error", ["env", *ARM, "k"])
    passed = table.drop_duplicates([*ARM, "seed"]).groupby(ARM, sort=False)["verdict"].apply(
        lambda verdicts: tuple(int((verdicts == word).sum()) for word in ("pass", "poor")) + (len(verdicts),)
    )  # fmt: skip
    with style():
        columns = min(2, len(models))
        rows = -(-len(models) // columns)
        figure, axes = new_figure(rows, columns, width=8.8, height=2.9 * rows + 0.8, sharex=True)
        for axis, model in zip(axes.ravel(), models, strict=False):
            for arm, points in arms_in(summary[summary["model"] == model]):
                points, rate = points.sort_values("k"), arm["train_frequency"]
                euler = arm["form"] == "euler"
                name = f"{arm['form']}, {rate} Hz" if rate[:1].isdigit() else f"{arm['form']}, {rate}"
                axis.plot(points["k"], points["mean"], color=RATE_COLORS.get(rate, "#444444"), label=name,
                          linestyle="--" if euler else "-", marker="X" if euler else "o", markersize=3.5)  # fmt: skip
                good, poor, total = passed[tuple(arm[ARM])]
                if good < total:
                    count = "poor" if poor == total else f"{good} of {total}"
                    axis.annotate(count, (points["k"].iloc[-1], points["mean"].iloc[-1]), fontsize=7,
                                  xytext=(5, 0), textcoords="offset points", va="center",
                                  color=RATE_COLORS.get(rate, "#444444"))  # fmt: skip
            axis.axvline(0, color="#808080", linewidth=0.8, zorder=0)
            axis.set_title(model_label(model))
            axis.set_yscale("log")
            axis.margins(x=0.1)
            axis.yaxis.set_major_formatter(PLAIN)
            axis.yaxis.set_minor_formatter(PLAIN)
            axis.tick_params(axis="y", which="minor", labelsize=7)
            low, high = axis.get_ylim()
            if high / low < 3:  # a flat panel would zoom into rounding
                axis.set_ylim(low / 1.8, high * 1.8)
        for axis in axes.ravel()[len(models) :]:
            axis.set_visible(False)
        for axis in axes[:, 0]:
            axis.set_ylabel("relative error at T = 4h")
        for axis in axes[-1]:
            axis.set_xlabel("k: solver step is h·2$^{-k}$ (h = training step)")
        shared_legend(figure, axes, columns=4)
    caption = (
        f"{env}: error of learned fields integrated with solver steps around the training step h (k = 0), relative to "
        f"the true change over 4h; means over seeds, {counts_text(table)}. Finer solver steps are at the "
        f"right: a flow keeps or lowers its error there; a minimum at k = 0 is a learned map. At the right: how many "
        f"seeds pass the convergence test, where not all do; poor: every seed errs by more than "
        f"{GOOD_AT_OWN_STEP:.0%} at its own step, so that a flat curve says nothing."
    )
    alt = f"Error against solver step for {len(models)} kinds of fields on {env}, solid for RK4, dashed for Euler."
    return Drawing(figure, caption, alt, summary)


def _keys(summary: pd.DataFrame) -> list[Line2D]:
    methods = [m for m in METHOD_COLORS if m in set(summary["method"])]
    forms = [f for f in dict.fromkeys(summary["form"]) if f != "none"]
    keys = [
        Line2D([], [], color=METHOD_COLORS[m], marker="o", linestyle="none", label=METHOD_LABELS[m]) for m in methods
    ]
    looks = [(form, method_style("", form)["marker"]) for form in forms]
    return keys + [Line2D([], [], color="#444444", marker=m, linestyle="none", label=form) for form, m in looks]
