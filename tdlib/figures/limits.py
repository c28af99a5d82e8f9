"""Measured one-step errors beside those of exact models of the same form."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from tdlib.figures.save import Drawing
from tdlib.figures.selection import ARM, MAIN_RATE, arms_in, limit_panels, main_model, main_rate, pick
from tdlib.figures.style import (
    NothingToDrawError,
    arm_label,
    counts_text,
    log_rate_axis,
    method_style,
    model_look,
    new_figure,
    over_seeds,
    shared_legend,
    sort_rates,
    style,
)

LIMIT_LINES = ("-", "--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)), (0, (8, 3)), (0, (1, 2)))


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
    summary = over_seeds(table, "relative_error", ["env", *ARM, "test_frequency"])
    rates = [float(rate) for rate in sort_rates(summary["test_frequency"])]
    drawn, floor = [], 0.3 * float(summary["mean"].min())
    with style():
        figure, axes = new_figure(2, 2, width=8.8, height=6.9, sharex=True, sharey=True)
        for axis, (title, arms, names) in zip(axes.ravel(), limit_panels(), strict=True):
            chosen = pick(summary, arms)
            drawn.append(chosen)
            draw_rate_lines(axis, chosen, with_model=True)
            _draw_limits(axis, limits, names, floor)
            axis.axhline(1.0, color="#808080", linewidth=0.8, zorder=0)
            axis.set_title(title.replace(f"{MAIN_RATE} Hz", f"{main} Hz"))
            axis.set_yscale("log")
            axis.set_ylim(bottom=floor)
            log_rate_axis(axis, rates)
        if not any(map(len, drawn)):
            raise NothingToDrawError("none of the arms that are compared with limits is among what was chosen")
        for axis in axes[:, 0]:
            axis.set_ylabel("relative one-step error")
        for axis in axes[-1]:
            axis.set_xlabel("test rate [Hz]")
            axis.tick_params(axis="x", labelrotation=45)
        shared_legend(figure, axes, columns=3)
    caption = (
        f"{env}: relative one-step error against test rate. Colored lines: means over seeds, bars span the seeds; "
        f"{counts_text(table)}. Gray curves: what an exact model of that form scores on these states; of a "
        f"fixed-step map that is |1 − h/Δt| to first order. Curves that leave the axis go to 0. The line at 1 is "
        f"predicting no change."
    )
    alt = f"Four panels of relative error against test rate on {env}, measured and analytic limits."
    return Drawing(figure, caption, alt, pd.concat(drawn, ignore_index=True))


def draw_rate_lines(axis: Axes, summary: pd.DataFrame, *, with_model: bool = False) -> None:
    """Draw one line per arm against test rate, with bars over the seeds' range."""
    for arm, rows in arms_in(summary):
        rows = rows.assign(rate=rows["test_frequency"].astype(float)).sort_values("rate")
        spread = [(rows["mean"] - rows["low"]).clip(lower=0), (rows["high"] - rows["mean"]).clip(lower=0)]
        label = arm_label(arm, with_model=with_model and arm["model"] != main_model())
        look = method_style(arm["method"], arm["form"], arm["train_frequency"]) | model_look(arm["model"])
        axis.errorbar(rows["rate"], rows["mean"], yerr=spread, **look, label=label, elinewidth=0.8, capsize=1.5)


def _draw_limits(axis: Axes, limits: pd.DataFrame, names: Sequence[str], floor: float) -> None:
    for i, kind in enumerate(dict.fromkeys(limits["limit"])):
        if kind.split(" ")[0] not in names:
            continue
        rows = limits[limits["limit"] == kind]
        rows = rows.assign(rate=pd.to_numeric(rows["test_frequency"], errors="coerce")).dropna(subset="rate")
        rows = rows.groupby("rate", as_index=False)["relative_error"].mean()  # sorts by rate
        look = {"color": "#555555", "linewidth": 1.0, "linestyle": LIMIT_LINES[i % len(LIMIT_LINES)], "zorder": 1}
        values = rows["relative_error"].clip(lower=1e-3 * floor)  # a limit of zero leaves the panel
        axis.plot(rows["rate"], values, **look, label=f"limit: {kind.replace('_', ' ', 1)}")
