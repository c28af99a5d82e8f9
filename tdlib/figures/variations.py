"""What the error of a field over that of the Δt-scaled network depends on, factor by factor."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from tdlib.figures.physics import look_of
from tdlib.figures.save import Drawing
from tdlib.figures.style import NEUTRAL, NothingToDrawError, model_label, new_figure, plain_log_axis, span_text, style
from tdlib.figures.words import interval_text, seeds_text

TITLES = {"data": "share of the data", "noise": "noise", "friction": "friction"}
WORDS = {"data": "of the data", "noise": "noise", "friction": "friction"}  # after a level
DODGE = 0.12  # between models at one level
LOWEST, HIGHEST = 0.02, 50.0  # ends of intervals beyond are drawn there


def draw_variations(ratios: pd.DataFrame, rate: str) -> Drawing:
    """Draw error over the network's error against the levels of each factor, a row of panels per system and test rate.

    Args:
        ratios: Of `tdlib.study.prior_ratios`.
        rate: The test rate that the concluding sentence speaks of.

    Raises:
        NothingToDrawError: If data, noise and friction were the same throughout.
    """
    table = ratios[ratios["factor"].isin(TITLES)]
    if table.empty:
        raise NothingToDrawError("no arm was trained on parts of the data, with noise, or with other friction")
    factors = [name for name in TITLES if name in set(table["factor"])]
    places = list(dict.fromkeys(zip(table["env"], table["test_frequency"], strict=True)))
    models = list(dict.fromkeys(table["model"]))
    with style():
        figure, axes = new_figure(
            len(places), len(factors), height=1.35 * len(places) + 1.3, sharey="row", sharex="col"
        )
        for row, (env, frequency) in zip(axes, places, strict=True):
            here = table[(table["env"] == env) & (table["test_frequency"] == frequency)]
            for axis, factor in zip(row, factors, strict=True):
                _draw_panel(axis, here[here["factor"] == factor], models)
            row[0].set_ylabel(f"{env}\nat {frequency} Hz")
            finite = here["ratio"][np.isfinite(here["ratio"])]  # by the means: wide intervals would leave no room
            row[0].set_yscale("log")
            row[0].set_ylim(min([0.6, *finite / 1.6]), max([1.6, *finite * 1.6]))
            plain_log_axis(row[0].yaxis)
        for axis, factor in zip(axes[-1], factors, strict=True):
            axis.set_xlabel(TITLES[factor])
        keys = [Line2D([], [], **look_of(name), label=model_label(name, short=True) or name) for name in models]
        figure.legend(handles=keys, loc="outside lower center", ncols=2)
    caption = (
        "One-step error of fields of several rates over that of the Δt-scaled network trained on the same data; below "
        "1 the field errs less. Left to right: share of the sequences, standard deviation of the errors of states over "
        "that of the states, factor on the drawn losses, with which both are tested too. Geometric means with 95 % t "
        f"intervals over seeds, n = {span_text(table['n_seeds'])} seeds; intervals may leave a panel. "
        f"{_moved(table[table['test_frequency'] == rate], rate)}"
    )
    alt = f"Error of {len(models)} models over the network's against {', '.join(TITLES[name] for name in factors)}."
    return Drawing(figure, caption.strip(), alt, table)


def _draw_panel(axis: Axes, rows: pd.DataFrame, models: list[str]) -> None:
    levels = list(dict.fromkeys(rows.sort_values("order")["level"]))
    for k, model in enumerate(models):
        own = rows[rows["model"] == model].sort_values("order")
        x = np.array([levels.index(level) for level in own["level"]]) + DODGE * (k - (len(models) - 1) / 2)
        axis.plot(x, own["ratio"], **{**look_of(model), "markersize": 4.0, "linewidth": 1.0})
        axis.vlines(x, own["ci_low"].clip(lower=LOWEST), own["ci_high"].clip(upper=HIGHEST),
                    color=look_of(model)["color"], linewidth=0.9)  # fmt: skip
    axis.axhline(1.0, color=NEUTRAL["reference"], linewidth=0.8, zorder=0)
    axis.set_xticks(range(len(levels)), levels)
    axis.set_xlim(-0.5, len(levels) - 0.5)


def _moved(rows: pd.DataFrame, rate: str) -> str:
    """Say of each system and factor which ratio moves most between the ends, and where none leaves its interval."""
    moves: list[str] = []
    stays: list[str] = []
    for (env, factor), own in rows.groupby(["env", "factor"], sort=False):
        ends = own["order"].min(), own["order"].max()
        wide = own[own["order"].isin(ends) & np.isfinite(own["ratio"])].sort_values("order")
        sides = [tuple(pair.iloc[i] for i in (0, 1)) for _, pair in wide.groupby("model", sort=False) if len(pair) == 2]
        if not sides:
            continue
        first, last = max(sides, key=_distance)
        overlap = first["ci_low"] <= last["ci_high"] and last["ci_low"] <= first["ci_high"]  # not without intervals
        what = f"{first['level']} to {last['level']} {WORDS[factor]} on {env}"
        name = model_label(first["model"], short=True) or first["model"]
        numbers = [interval_text(end, "ratio", "ci") for end in (first, last)]
        (stays if overlap else moves).append(f"{what} ({name} {' to '.join(numbers)})")
    parts = [f"the ratio moves from {'; '.join(moves)}"] if moves else []
    parts += [f"no difference is shown, since intervals overlap, from {'; '.join(stays)}"] if stays else []
    return f"At {rate} Hz {'; and '.join(parts)} ({seeds_text(rows['n_seeds'].max())})." if parts else ""


def _distance(pair: tuple[pd.Series, pd.Series]) -> float:
    first, last = pair
    return abs(float(np.log(last["ratio"] / first["ratio"])))
