"""Where in the state space a model errs."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import LinearSegmentedColormap, LogNorm

from tdlib.figures.conclusions import conclusion, main_test_rate
from tdlib.figures.save import Drawing
from tdlib.figures.selection import ARM, arms_in, forms_text, name_arms, pick_or_first, rates_in, shown_arms
from tdlib.figures.style import NEUTRAL, new_figure, state_label, state_plane, style

NORM = LogNorm(0.001, 10.0, clip=True)
# without the ends of the map, which are hard to see on a light and on a dark page
COLORS = LinearSegmentedColormap.from_list("errors", colormaps["magma_r"](np.linspace(0.15, 0.85, 64)))


def draw_state_space(table: pd.DataFrame, arms: Sequence[tuple] = ()) -> Drawing:
    """Draw held-out states colored by one-step error, rows are arms, columns test rates.

    Args:
        table: state_errors of one environment: key columns, the state's dimensions, relative_error of each pair.
        arms: Arms as (model, method, form, train_frequency); one of each kind if empty.
    """
    env, seed = str(table["env"].iloc[0]), int(table["seed"].min())
    table = pick_or_first(table[table["seed"] == seed], arms or shown_arms())
    between = list(table)[list(table).index("point") + 1 : list(table).index("relative_error")]
    horizontal, vertical = state_plane(between, env)
    rates = rates_in(table["test_frequency"])
    shown = arms_in(table)
    named = name_arms(table)
    with style():
        figure, axes = new_figure(len(shown), len(rates), height=1.55 * len(shown) + 1.1, sharex=True, sharey=True)
        for row, (arm, rows) in zip(axes, shown, strict=True):
            for axis, rate in zip(row, rates, strict=True):
                points = rows[rows["test_frequency"] == rate]
                finite = points[np.isfinite(points["relative_error"])]
                dots = axis.scatter(finite[horizontal], finite[vertical], c=finite["relative_error"].clip(lower=1e-6),
                                    norm=NORM, cmap=COLORS, s=7, linewidths=0)  # fmt: skip
                bad = points[~np.isfinite(points["relative_error"])]
                axis.plot(bad[horizontal], bad[vertical], "x", color=NEUTRAL["text"], markersize=4)
                axis.set_title(f"{rate} Hz: {_rms(finite['relative_error']):.2g}")
            name = named.loc[(named[ARM] == arm[ARM]).all(axis=1), "arm"].iloc[0]
            row[0].set_ylabel(f"{name.replace(', ', ',' + chr(10))}\n{state_label(vertical, env)}")
        for axis in axes[-1]:
            axis.set_xlabel(state_label(horizontal, env))
        figure.colorbar(dots, ax=axes, label="relative one-step error", orientation="horizontal", aspect=45, pad=0.02)
    count = int(table.groupby(["model", "method", "form", "test_frequency"]).size().max())
    keys = ["env", *ARM, "arm", "test_frequency"]
    errors = named.groupby(keys, sort=False)["relative_error"]
    summary = errors.agg(mean=lambda values: _rms(values[np.isfinite(values)])).reset_index()
    summary = summary.assign(bad=errors.agg(lambda values: (~np.isfinite(values)).sum()).to_numpy(), seeds=1)
    rate, bad = main_test_rate(rates), int(summary["bad"].sum())
    caption = (
        f"{env}: held-out states colored by the error of one step over the RMS true increment at that rate; arms "
        f"(rows) and test rates (columns), n = {count} states of seed {seed}. The number is the RMS over the states "
        f"shown; 1 is predicting no change.{forms_text(table)}"
        + f" Not finite: {bad} states, crosses." * bool(bad)
        + f" {conclusion(summary[summary['test_frequency'] == rate], place=f'At {rate} Hz')}"
    )
    alt = f"Scatter plots of states on {env} colored by error for {len(shown)} arms at {len(rates)} test rates."
    return Drawing(figure, caption, alt, table.drop(columns=["point"], errors="ignore"))


def _rms(values: pd.Series) -> float:
    return float(np.sqrt((values**2).mean()))
