"""Error of open-loop rollouts against physical time."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tdlib.figures.conclusions import conclusion, main_test_rate
from tdlib.figures.lines import arm_looks, draw_lines, no_change_line
from tdlib.figures.save import Drawing
from tdlib.figures.selection import ARM, forms_text, key_arms, name_arms, pick_or_first, rates_in
from tdlib.figures.style import NEUTRAL, bad_text, counts_text, new_figure, over_seeds, shared_legend, style

CEILING, FLOOR = 10.0, 1e-3
LEAST_STARTS = 3  # a mean over fewer starts of one seed is not drawn


def draw_error_vs_horizon(table: pd.DataFrame, rates: Sequence[str] | None = None) -> Drawing:
    """Draw relative rollout error of the key arms against time, one panel per test rate.

    Args:
        table: rollout_errors of one environment.
        rates: Test rates of the panels, by default those that models are trained at.
    """
    env = str(table["env"].iloc[0])
    rates = rates or rates_in(table["test_frequency"])
    table = table[(table["dimension"] == "all") & table["test_frequency"].isin(rates)]
    table = name_arms(pick_or_first(table, key_arms()))
    keys = ["env", *ARM, "arm", "test_frequency", "truncated", "time"]
    counted = enough_starts(table, keys)
    summary, survivors = over_seeds(counted, "relative_error", keys), surviving(table)
    shown = [rate for rate in rates if rate in set(summary["test_frequency"])]
    limited, looks = len(survivors) > 0, arm_looks(table)
    with style():
        ratios = [1.0] * len(shown) + [0.5] * limited
        figure, axes = new_figure(len(ratios), 1, height=1.9 * sum(ratios) + 1.1, sharex=True,
                                  height_ratios=ratios)  # fmt: skip
        for axis, rate in zip(axes[:, 0], shown, strict=False):
            rows = counted[counted["test_frequency"] == rate]
            draw_rollout_lines(axis, rows, looks, legend=axis is axes[0, 0])
            axis.set_title(f"tested at {rate} Hz")
            axis.set_ylabel("relative error")
        _share_limits(axes[: len(shown)])
        if limited:
            for line, rate in zip(("-", "--", ":"), shown, strict=False):
                _draw_surviving(axes[-1, 0], survivors[survivors["test_frequency"] == rate], line)
            axes[-1, 0].set_ylabel("starts left")
        axes[-1, 0].set_xlabel("time [s]")
        shared_legend(figure, axes)
    limits = f" {_limits_text(survivors, shown)}" if limited else ""
    caption = (
        f"{env}: relative error of open-loop rollouts (RMS error over RMS true change since the start, all dimensions) "
        f"against time, one panel per test rate. Lines are means over seeds, bands span the seeds; "
        f"{starts_text(table)}. Above the gray line at 1 predicting no change is better. Values are cut at "
        f"{FLOOR:g} and {CEILING:g}.{limits}{forms_text(table, key_arms())}{bad_text(summary)} "
        f"{_conclusion(summary, shown, survivors)}"
    )
    alt = f"Curves of rollout error on {env} for {table['arm'].nunique()} arms at {len(shown)} test rates."
    return Drawing(figure, caption, alt, summary)


def enough_starts(table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Keep the rows of times to which enough starts of every seed survive: one line stands for the same seeds."""
    lines = [name for name in keys if name != "time"]
    table = table.assign(seeds=table.groupby(lines, sort=False)["seed"].transform("nunique"))
    enough = table[~table["truncated"] | (table["n"] >= LEAST_STARTS)]
    whole = enough.groupby(list(keys), sort=False)["seed"].transform("nunique") == enough["seeds"]
    return enough[whole].drop(columns="seeds")


def surviving(table: pd.DataFrame) -> pd.DataFrame:
    """How many starts are left at the times that every seed has, mean over seeds; no rows where nothing has limits.

    Returns:
        Columns test_frequency, time, n, n_starts; the truth decides, so that every arm has the same.
    """
    place = ["test_frequency", "time"]
    held = table.groupby(place)["seed"].transform("nunique") == table["seed"].nunique()  # rows of blocks have few times
    table = table[held]
    cut = table[table["truncated"]]
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
        f"than {LEAST_STARTS} starts of a seed are left; pale lines count all rollouts to the end. The lowest panel "
        f"shows how many starts are left, mean over seeds; of {survivors['n_starts'].max():g}, after {middle:.2g} s "
        f"these are {', '.join(left)}."
    )


def _draw_surviving(axis: Axes, survivors: pd.DataFrame, line: str) -> None:
    rows = survivors.sort_values("time")
    axis.plot([0, *rows["time"]], [rows["n_starts"].max(), *rows["n"]], color=NEUTRAL["text"], linewidth=1.0,
              linestyle=line, marker=".", markersize=3)  # fmt: skip
    axis.axhline(LEAST_STARTS, color=NEUTRAL["muted"], linewidth=0.8, linestyle=":")
    axis.set_ylim(0, 1.08 * survivors["n_starts"].max())


def _share_limits(axes: np.ndarray) -> None:
    """Give all panels one range; the one of surviving starts, which shares their time, has its own."""
    limits = np.array([axis.get_ylim() for axis in axes.flat])
    for axis in axes[:, 0]:
        axis.set_ylim(limits[:, 0].min(), limits[:, 1].max())


def draw_rollout_lines(axis: Axes, table: pd.DataFrame, looks: dict[str, object], *, legend: bool = False) -> None:
    """Draw one line per arm: means over seeds with a band over their range; pale where limits do not end it."""
    cut = table.assign(relative_error=table["relative_error"].clip(FLOOR, CEILING))
    limited = cut["truncated"].any()
    for truncated, rows in cut.groupby("truncated"):
        strong = bool(truncated) or not limited
        thin = {"alpha": 0.35, "linewidth": 1.0, "errorbar": None}
        draw_lines(axis, rows, "time", "relative_error", looks, band=True, markersize=3.5,
                   legend="full" if legend and strong else False, **({} if strong else thin))  # fmt: skip
    no_change_line(axis)
    axis.set_yscale("log")
    axis.set_xlim(0, max(0.1, float(np.nanmax(table["time"], initial=1.0)) * 1.02))


def _conclusion(summary: pd.DataFrame, rates: Sequence[str], survivors: pd.DataFrame) -> str:
    """Compare at the finest rate at the last time; where limits end rollouts, the last that a fifth of them reach."""
    rate = main_test_rate(rates)
    lasting = survivors[(survivors["test_frequency"] == rate) & (survivors["n"] >= survivors["n_starts"] / 5)]
    own = summary[summary["test_frequency"] == rate]
    inside = own[own["truncated"] & own["time"].isin(lasting["time"])]
    rows, counted = (inside, "of the rollouts still inside") if len(inside) else (own, "all rollouts counted")
    end = rows["time"].max()
    return conclusion(rows[np.isclose(rows["time"], end)], place=f"After {end:g} s at {rate} Hz, {counted},")
