"""Predicted and true trajectories of one start, at several rates."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tdlib.figures.conclusions import conclusion, main_test_rate
from tdlib.figures.save import Drawing
from tdlib.figures.selection import ARM, arms_in, forms_text, name_arms, pick_or_first, rates_in, shown_arms
from tdlib.figures.style import method_style, new_figure, shared_legend, state_label, style


def draw_trajectories(table: pd.DataFrame, *, start: int = 0, arms: Sequence[tuple] = ()) -> Drawing:
    """Draw the state against time, rows are dimensions, columns test rates.

    Args:
        table: Trajectories of one environment: key columns, start, time [s], `<dimension>` and `<dimension>_true`.
        start: Which start.
        arms: Arms as (model, method, form, train_frequency); one of each kind if empty.
    """
    env, seed = str(table["env"].iloc[0]), int(table["seed"].min())
    names = [name.removesuffix("_true") for name in table if name.endswith("_true")]
    table = pick_or_first(table[(table["seed"] == seed) & (table["start"] == start)], arms or shown_arms())
    table = name_arms(table)
    rates = rates_in(table["test_frequency"])
    with style():
        figure, axes = new_figure(len(names), len(rates), height=1.4 * len(names) + 1.3, sharex=True)
        for row, name in zip(axes, names, strict=True):
            for axis, rate in zip(row, rates, strict=True):
                shown = table[table["test_frequency"] == rate]
                truth = arms_in(shown)[0][1].sort_values("time")
                axis.plot(truth["time"], truth[f"{name}_true"], color="black", linewidth=2.6, alpha=0.75, label="truth")
                for arm, rows in arms_in(shown):
                    rows = rows.sort_values("time")
                    look = method_style(arm["method"], arm["form"], arm["train_frequency"])
                    axis.plot(rows["time"], rows[name], **look, markersize=2.8, linewidth=1.1, label=arm["arm"])
                _limit_to(axis, truth[f"{name}_true"])
            row[0].set_ylabel(state_label(name, env))
        for axis, rate in zip(axes[0], rates, strict=True):
            axis.set_title(f"{rate} Hz")
        for axis in axes[-1]:
            axis.set_xlabel("time [s]")
        shared_legend(figure, axes)
    caption = (
        f"{env}: open-loop predictions and truth from one held-out start (start {start}, seed {seed}, n = 1) under "
        f"the same physical input at each rate. Axes follow the truth; predictions may leave them."
        f"{forms_text(table)} {_conclusion(table, names[0], main_test_rate(rates), env)}"
    )
    alt = (
        f"State against time on {env}, truth in black, predictions of {len(arms_in(table))} arms at {len(rates)} rates."
    )
    return Drawing(figure, caption, alt, table)


def _conclusion(table: pd.DataFrame, name: str, rate: str, env: str) -> str:
    """Compare how far the arms are from the truth at the end, in one state dimension."""
    rows = table[table["test_frequency"] == rate]
    rows = rows[np.isclose(rows["time"], rows["time"].max())]
    off = rows.assign(mean=(rows[name] - rows[f"{name}_true"]).abs(), seeds=1)
    off = off.assign(bad=(~np.isfinite(off["mean"])).astype(int))[["env", *ARM, "arm", "mean", "seeds", "bad"]]
    place = f"After {rows['time'].max():g} s at {rate} Hz {state_label(name, env)} of"
    return conclusion(off, place=place, verb="is off by")


def _limit_to(axis: Axes, truth: pd.Series) -> None:
    low, high = float(truth.min()), float(truth.max())
    margin = 0.6 * max(high - low, 1e-3)
    axis.set_ylim(low - margin, high + margin)
