"""Does an ensemble's spread warn of an unknown rate, and does it match the error?"""

import pandas as pd

from tdlib.figures.save import Drawing
from tdlib.figures.selection import arms_in
from tdlib.figures.style import (
    RATE_COLORS,
    arm_label,
    counts_text,
    log_rate_axis,
    method_style,
    new_figure,
    over_seeds,
    shared_legend,
    style,
)

RATES = ("5", "10", "20", "50", "100")
COLORS = {**RATE_COLORS, "100": "#56B4E9"}


def draw_calibration(table: pd.DataFrame) -> Drawing:
    """Draw error against spread, one panel per ensemble, and the alarm's AUROC against test rate.

    Args:
        table: ensemble_calibration of one environment.
    """
    env = str(table["env"].iloc[0])
    by = ["env", "model", "method", "form", "size", "data", "train_frequency", "test_frequency", "bin"]
    spread, error = over_seeds(table, "spread", by), over_seeds(table, "error", by)
    summary = spread.rename(columns={"mean": "spread"})[[*by, "spread"]].merge(
        error.rename(columns={"mean": "error"})[[*by, "error"]], on=by
    )
    alarm = over_seeds(table[(table["bin"] == "all") & (table["test_frequency"] != "irregular")], "auroc", by)
    arms = arms_in(summary[summary["bin"] != "all"])
    with style():
        figure, axes = new_figure(1, len(arms) + 1, width=8.8, height=3.9)
        for axis, (arm, rows) in zip(axes[0], arms, strict=False):
            for rate in [r for r in RATES if r in set(rows["test_frequency"])]:
                points = rows[rows["test_frequency"] == rate].sort_values("spread")
                axis.plot(points["spread"], points["error"], marker="o", markersize=3, color=COLORS[rate],
                          label=f"tested at {rate} Hz")  # fmt: skip
            axis.set_xscale("log")
            axis.set_yscale("log")
            low, high = min(axis.get_xlim()[0], axis.get_ylim()[0]), max(axis.get_xlim()[1], axis.get_ylim()[1])
            axis.plot([low, high], [low, high], color="#808080", linewidth=0.8, zorder=0, label="error = spread")
            axis.set_title(arm_label(arm).replace(" scaled_concat", ""), fontsize=9)
            axis.set_xlabel("spread / true change (RMS in tenth)")
        axes[0, 0].set_ylabel("error / true change (RMS in tenth)")
        last = axes[0, -1]
        for arm, rows in arms_in(alarm):
            rows = rows.assign(rate=rows["test_frequency"].astype(float)).sort_values("rate")
            bars = [(rows["mean"] - rows["low"]).clip(lower=0), (rows["high"] - rows["mean"]).clip(lower=0)]
            look = method_style(arm["method"], arm["form"])
            last.errorbar(rows["rate"], rows["mean"], yerr=bars, **look, capsize=2, label=arm_label(arm))
        log_rate_axis(last, sorted(alarm["test_frequency"].astype(float).unique()))
        last.tick_params(axis="x", labelrotation=60)
        last.axhline(0.5, color="#808080", linewidth=0.8, zorder=0)
        last.set_ylim(-0.03, 1.03)
        last.set_xlabel("test rate [Hz]")
        last.set_ylabel("AUROC of spread as alarm")
        last.set_title("is this rate unknown?", fontsize=9)
        shared_legend(figure, axes, columns=4)
    caption = (
        f"{env}: error against ensemble spread, both relative to the RMS true change at that rate, in tenths of the "
        f"pairs by rising spread (left panels, means over seeds), and the probability that a pair at a test rate has "
        f"a larger spread than one at a training rate (right, bars span the seeds); "
        f"{counts_text(table[table['bin'] == 'all'])}. On the gray diagonal spread equals error. "
        "Right panel: 0.5 is no alarm, 1 ranks all pairs of that rate above those of known ones."
    )
    alt = f"Error against ensemble spread on {env}, and AUROC of the spread as an alarm against test rate."
    return Drawing(figure, caption, alt, summary)
