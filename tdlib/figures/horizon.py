"""Error of open-loop rollouts against physical time."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tdlib.figures.save import Drawing
from tdlib.figures.selection import ARM, arms_in, main_arms, main_model, main_rate, rates_in
from tdlib.figures.style import (
    NEUTRAL,
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
LEAST_STARTS = 3  # a mean over fewer starts of one seed is not drawn


def draw_error_vs_horizon(table: pd.DataFrame, rates: Sequence[str] | None = None) -> Drawing:
    """Draw relative rollout error against time, one row of panels per model, one column per test rate.

    Args:
        table: rollout_errors of one environment.
        rates: Test rates of the columns, by default those that models are trained at.
    """
    env = str(table["env"].iloc[0])
    rates, main = rates or rates_in(table["test_frequency"]), main_rate(table["train_frequency"])
    table = main_arms(table[(table["dimension"] == "all") & table["test_frequency"].isin(rates)])
    keys = ["env", *ARM, "test_frequency", "truncated", "time"]
    counted = enough_starts(table, keys)
    summary, survivors = over_seeds(counted, "relative_error", keys), surviving(table)
    shown = [rate for rate in rates if rate in set(summary["test_frequency"])]
    models = [model for model in sort_models(summary["model"]) if model != "none"]
    limited = len(survivors) > 0
    with style():
        ratios = [1.0] * len(models) + [0.55] * limited
        figure, axes = new_figure(len(ratios), len(shown), width=8.8, height=1.55 * sum(ratios) + 1.5,
                                  sharex=True, sharey="row", height_ratios=ratios)  # fmt: skip
        if limited:
            for axis, rate in zip(axes[-1], shown, strict=True):
                _draw_surviving(axis, survivors[survivors["test_frequency"] == rate])
            axes[-1, 0].set_ylabel("starts left")
        for row, model in zip(axes[: len(models)], models, strict=True):
            for axis, rate in zip(row, shown, strict=True):
                rows = summary[(summary["model"] == model) & (summary["test_frequency"] == rate)]
                draw_rollout_lines(axis, rows, limited=limited)
                axis.set_title(f"{model_label(model)} at {rate} Hz", fontsize=8.5)
            row[0].set_ylabel("relative error")
        _share_limits(axes[: len(models)])
        for axis in axes[-1]:
            axis.set_xlabel("time [s]")
        shared_legend(figure, axes, columns=3)
    limits = f" {_limits_text(survivors, shown)}" if limited else ""
    caption = (
        f"{env}: relative error of open-loop rollouts (RMS error over RMS true change since the start, all dimensions) "
        f"against time, for arms trained at {main} Hz, on mixed rates, or without training; columns are test rates. "
        f"Lines are means over seeds, bands span the seeds; {starts_text(table)}. Above the gray line at 1 "
        f"predicting no change is better. Values are cut at {CEILING:g}.{limits}"
    )
    alt = f"Curves of rollout error over one second on {env} for {len(models)} models at {len(shown)} test rates."
    return Drawing(figure, caption, alt, summary)


def enough_starts(table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Keep the rows of times to which enough starts of every seed survive: one line stands for the same seeds."""
    lines = [name for name in keys if name != "time"]
    table = table.assign(seeds=table.groupby(lines, sort=False)["seed"].transform("nunique"))
    enough = table[~table["truncated"] | (table["n"] >= LEAST_STARTS)]
    whole = enough.groupby(list(keys), sort=False)["seed"].transform("nunique") == enough["seeds"]
    return enough[whole].drop(columns="seeds")


def surviving(table: pd.DataFrame) -> pd.DataFrame:
    """How many starts are left at which time, mean over seeds; no rows where nothing has limits.

    Returns:
        Columns test_frequency, time, n, n_starts; the truth decides, so that every arm has the same.
    """
    cut, place = table[table["truncated"]], ["test_frequency", "time"]
    if cut.empty:
        return cut[[*place, "n", "n_starts"]]
    counts = cut.drop_duplicates([*place, "seed"]).groupby(place)["n"].sum() / cut["seed"].nunique()
    times = pd.MultiIndex.from_frame(table[place].drop_duplicates())  # those that no start survives to among them
    return counts.reindex(times, fill_value=0).reset_index().assign(n_starts=cut["n_starts"].max())


def starts_text(table: pd.DataFrame) -> str:
    """State how many seeds and starts there are, those that do not survive among them."""
    return counts_text(table.assign(n=table["n_starts"]), "starts")


def _limits_text(survivors: pd.DataFrame, rates: Sequence[str]) -> str:
    """Say what strong and pale lines are, where the strong ones end, and how many starts are left half-way."""
    middle = survivors["time"].max() / 2
    left = []
    for rate in rates:
        rows = survivors[survivors["test_frequency"] == rate]
        if len(rows):
            row = rows.loc[(rows["time"] - middle).abs().idxmin()]
            left.append(f"{row['n']:.3g} at {rate} Hz")
    return (
        "Strong lines count a rollout until its truth leaves the limits of the task, and are not drawn where fewer "
        f"than {LEAST_STARTS} starts of a seed are left; pale lines count all rollouts to the end. The lowest panels "
        f"show how many starts are left, mean over seeds; of {survivors['n_starts'].max():g}, after {middle:.2g} s "
        f"these are {', '.join(left)}."
    )


def _draw_surviving(axis: Axes, survivors: pd.DataFrame) -> None:
    rows = survivors.sort_values("time")
    axis.plot([0, *rows["time"]], [rows["n_starts"].max(), *rows["n"]], color=NEUTRAL["text"], linewidth=1.0,
              marker=".", markersize=3)  # fmt: skip
    axis.axhline(LEAST_STARTS, color=NEUTRAL["muted"], linewidth=0.8, linestyle=":")
    axis.set_ylim(0, 1.08 * survivors["n_starts"].max())


def _share_limits(axes: np.ndarray) -> None:
    """Give all panels one range, which `sharey="row"` gives to rows only."""
    limits = np.array([axis.get_ylim() for axis in axes.flat])
    for axis in axes[:, 0]:
        axis.set_ylim(limits[:, 0].min(), limits[:, 1].max())


def draw_rollout_lines(axis: Axes, summary: pd.DataFrame, *, with_model: bool = False, limited: bool = False) -> None:
    """Draw one line per arm: means over seeds with a band over their range; pale where limits do not end it."""
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
