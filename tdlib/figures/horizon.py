"""Error of open-loop rollouts against physical time."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tdlib.figures.save import Drawing
from tdlib.figures.selection import ARM, arms_in, main_arms, main_model, main_rate, rates_in
from tdlib.figures.style import (
    arm_label,
    counts_text,
    method_style,
    model_label,
    new_figure,
    over_seeds,
    shared_legend,
    sort_models,
    style,
)

CEILING, FLOOR = 10.0, 1e-3
LEAST_SURVIVING = 0.3  # share of rollouts that must still count for a truncated point to be drawn


def draw_error_vs_horizon(table: pd.DataFrame, rates: Sequence[str] | None = None) -> Drawing:
    """Draw relative rollout error against time, one row of panels per model, one column per test rate.

    Args:
        table: rollout_errors of one environment.
        rates: Test rates of the columns, by default those that models are trained at.
    """
    env = str(table["env"].iloc[0])
    rates, main = rates or rates_in(table["test_frequency"]), main_rate(table["train_frequency"])
    table = main_arms(table[(table["dimension"] == "all") & table["test_frequency"].isin(rates)])
    counted = table[~table["truncated"] | (table["n_surviving"] >= LEAST_SURVIVING * table["n"])]
    summary = over_seeds(counted, "relative_error", ["env", *ARM, "test_frequency", "truncated", "time"])
    shown = [rate for rate in rates if rate in set(summary["test_frequency"])]
    models = [model for model in sort_models(summary["model"]) if model != "none"]
    with style():
        figure, axes = new_figure(len(models), len(shown), width=8.8, height=1.55 * len(models) + 1.5,
                                  sharex=True, sharey=True)  # fmt: skip
        for row, model in zip(axes, models, strict=True):
            for axis, rate in zip(row, shown, strict=True):
                draw_rollout_lines(axis, summary[(summary["model"] == model) & (summary["test_frequency"] == rate)])
                axis.set_title(f"{model_label(model)} at {rate} Hz", fontsize=8.5)
            row[0].set_ylabel("relative error")
        for axis in axes[-1]:
            axis.set_xlabel("time [s]")
        shared_legend(figure, axes, columns=3)
    limits = ""
    if table["truncated"].any():
        limits = (
            " Strong lines count a rollout until its truth leaves the limits of the task and end where under "
            f"{LEAST_SURVIVING:.0%} still count; pale lines count all rollouts to the end."
        )
    caption = (
        f"{env}: relative error of open-loop rollouts (RMS error over RMS true change since the start, all dimensions) "
        f"against time, for arms trained at {main} Hz, on mixed rates, or without training; columns are test rates. "
        f"Lines are means over seeds, bands span the seeds; {counts_text(table, 'starts')}. Above the gray line at 1 "
        f"predicting no change is better. Values are cut at {CEILING:g}.{limits}"
    )
    alt = f"Curves of rollout error over one second on {env} for {len(models)} models at {len(shown)} test rates."
    return Drawing(figure, caption, alt, summary)


def draw_rollout_lines(axis: Axes, summary: pd.DataFrame, *, with_model: bool = False) -> None:
    """Draw one line per arm: means over seeds with a band over their range."""
    limited = bool(summary["truncated"].any())
    for arm, rows in arms_in(summary):
        look = method_style(arm["method"], arm["form"], arm["train_frequency"])
        for truncated, part in rows.groupby("truncated"):
            part = part.sort_values("time")
            strong = bool(truncated) or not limited
            time, low, high = part["time"], part["low"].clip(FLOOR, CEILING), part["high"].clip(FLOOR, CEILING)
            label = (
                arm_label(arm, with_model=with_model and arm["model"] != main_model())
                if strong or not rows["truncated"].any()
                else None
            )
            axis.plot(time, part["mean"].clip(FLOOR, CEILING), **look, markersize=3, label=label,
                      alpha=1.0 if strong else 0.35, linewidth=1.3 if strong else 1.0)  # fmt: skip
            if strong:
                axis.fill_between(time, low, high, color=look["color"], alpha=0.13, linewidth=0)
    axis.axhline(1.0, color="#808080", linewidth=0.8, zorder=0)
    axis.set_yscale("log")
    axis.set_xlim(0, max(0.1, float(np.nanmax(summary["time"], initial=1.0)) * 1.02))
