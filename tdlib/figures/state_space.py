"""Where in the state space a model errs."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm

from tdlib.figures.save import Drawing
from tdlib.figures.selection import arms_in, pick_or_first, rates_in, shown_arms
from tdlib.figures.style import METHOD_LABELS, model_label, new_figure, state_label, state_plane, style

NORM = LogNorm(0.01, 10.0, clip=True)


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
    with style():
        figure, axes = new_figure(len(shown), len(rates), width=8.4, height=1.75 * len(shown) + 0.7,
                                  sharex=True, sharey=True)  # fmt: skip
        for row, (arm, rows) in zip(axes, shown, strict=True):
            for axis, rate in zip(row, rates, strict=True):
                points = rows[rows["test_frequency"] == rate]
                dots = axis.scatter(points[horizontal], points[vertical], c=points["relative_error"].clip(lower=1e-6),
                                    norm=NORM, cmap="magma_r", s=9, linewidths=0)  # fmt: skip
                rms = float(np.sqrt((points["relative_error"] ** 2).mean()))
                axis.set_title(f"{_name(arm)} → {rate} Hz: {rms:.2f}", fontsize=8)
            row[0].set_ylabel(state_label(vertical, env))
        for axis in axes[-1]:
            axis.set_xlabel(state_label(horizontal, env))
        figure.colorbar(dots, ax=axes, label="relative one-step error", shrink=0.6, pad=0.02)
    count = int(table.groupby(["model", "method", "form", "test_frequency"]).size().max())
    caption = (
        f"{env}: held-out states colored by the error of one step over the RMS true increment at that rate; arms "
        f"(rows) and test rates (columns), n = {count} states of seed {seed}. The number is the RMS over the states "
        f"shown; 1 is predicting no change."
    )
    alt = f"Scatter plots of states on {env} colored by error for {len(shown)} arms at {len(rates)} test rates."
    return Drawing(figure, caption, alt, table.drop(columns=["point"], errors="ignore"))


def _name(arm: pd.Series) -> str:
    model = model_label(arm["model"])
    name = model if arm["method"] == "ode" else METHOD_LABELS.get(arm["method"], arm["method"])
    rate = arm["train_frequency"]
    return f"{name}, {rate} Hz" if rate[:1].isdigit() else f"{name}, {rate}"
