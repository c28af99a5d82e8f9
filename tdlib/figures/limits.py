"""Measured one-step errors beside those of exact models of the same form."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from tdlib.figures.conclusions import conclusion, main_test_rate
from tdlib.figures.lines import arm_looks, draw_lines, label_outer, no_change_line
from tdlib.figures.save import Drawing
from tdlib.figures.selection import ARM, forms_text, limit_panels, main_rate, name_arms, pick
from tdlib.figures.style import (
    NEUTRAL,
    NothingToDrawError,
    bad_text,
    counts_text,
    log_rate_axis,
    new_figure,
    over_seeds,
    shared_legend,
    style,
)

CROWDED = (16.0, 25.0, 33.3)  # [Hz] no room for their ticks
LIMIT_LINES = {"fixed_step": "-", "rescaled": "--", "interpolation": ":", "hidden_parameters": (0, (1.2, 2.4))}
HIDDEN = "hidden_parameters"  # what the exact flow misses that knows no more than the mean of a parameter


def draw_limits(table: pd.DataFrame, limits: pd.DataFrame) -> Drawing:
    """Draw relative error against test rate, with the analytic limits as gray curves.

    Args:
        table: one_step_errors of one environment.
        limits: Rows of limit ("fixed_step", "rescaled", "interpolation", or one of these and a form after a space),
            train_frequency, test_frequency [Hz], relative_error; drawn are means over their seeds.
    """
    env = str(table["env"].iloc[0])
    table = table[(table["test_set"] == "pooled") & (table["dimension"] == "all")]
    table = table[table["test_frequency"] != "irregular"]
    main = main_rate(table["train_frequency"])
    if "train_frequency" in limits:
        limits = limits[limits["train_frequency"].isin((main, "mixed", ""))]
    table = table.assign(rate=table["test_frequency"].astype(float))
    panels = [(title, pick(table, arms), names) for title, arms, names in limit_panels()]
    if not any(len(rows) for _, rows, _ in panels):
        raise NothingToDrawError("none of the arms that are compared with limits is among what was chosen")
    chosen = name_arms(pd.concat([rows for _, rows, _ in panels], ignore_index=True).drop_duplicates())
    summary = over_seeds(chosen, "relative_error", ["env", *ARM, "arm", "test_frequency"])
    looks, rates, floor = arm_looks(chosen), sorted(chosen["rate"].unique()), 0.3 * float(summary["mean"].min())
    with style():
        figure, axes = new_figure(2, 2, height=5.6, sharex=True, sharey=True)
        for axis, (title, rows, names) in zip(axes.ravel(), panels, strict=True):
            rows = chosen.merge(rows[ARM].drop_duplicates())
            draw_lines(axis, rows, "rate", "relative_error", looks, legend="full" if axis is axes[0, 0] else False)
            _draw_limits(axis, limits, (*names, HIDDEN), set(rows["form"]), floor)
            no_change_line(axis)
            axis.set_title(title)
            axis.set_yscale("log")
            axis.set_ylim(bottom=floor)
            log_rate_axis(axis, [rate for rate in rates if rate not in CROWDED])
        label_outer(axes, len(panels), "test rate [Hz]", "relative error")
        shared_legend(figure, axes)
    rate = main_test_rate(summary["test_frequency"])
    wanted = [arm for _, arms, _ in limit_panels() for arm in arms]
    hidden = " Of hidden parameters: the exact flow at their mean." if HIDDEN in set(limits["limit"]) else ""
    caption = (
        f"{env}: relative one-step error against test rate; arms of one rate were trained at {main} Hz. Colored lines: "
        f"means over seeds, bars span the seeds; {counts_text(chosen)}. Gray curves: what an exact model of that form "
        f"scores on these states; of a fixed-step map that is |1 − h/Δt| to first order. Where a curve leaves the axis "
        f"it goes to 0.{hidden} The line at 1 is predicting no change.{forms_text(chosen, wanted)}"
        f"{bad_text(summary)} "
        f"{conclusion(summary[summary['test_frequency'] == rate], place=f'At {rate} Hz')}"
    )
    alt = f"Four panels of relative error against test rate on {env}, measured and analytic limits."
    return Drawing(figure, caption, alt, summary)


def _draw_limits(axis: Axes, limits: pd.DataFrame, names: Sequence[str], forms: set[str], floor: float) -> None:
    for kind in dict.fromkeys(limits["limit"]):
        name, _, form = kind.partition(" ")
        if name not in names or (form and form not in forms):
            continue
        rows = limits[limits["limit"] == kind]
        rows = rows.assign(rate=pd.to_numeric(rows["test_frequency"], errors="coerce")).dropna(subset="rate")
        rows = rows.groupby("rate", as_index=False)["relative_error"].mean()  # sorts by rate
        look = {"color": NEUTRAL["muted"], "linewidth": 1.0, "linestyle": LIMIT_LINES.get(name, "-."), "zorder": 1}
        values = rows["relative_error"].clip(lower=1e-3 * floor)  # a limit of zero leaves the panel
        axis.plot(rows["rate"], values, **look, label=f"limit: {name.replace('_', ' ')}")
