"""Whether failure at another rate is foreseen: predicted probabilities beside observed shares, and Brier scores."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tdlib.figures.save import Drawing
from tdlib.figures.style import METHOD_COLORS, NEUTRAL, new_figure, plain_log_axis, shared_legend, span_text, style
from tdlib.figures.words import interval_text, number_text, seeds_text

COLORS = {"arm, rates, own error": METHOD_COLORS["multi_resolution"], "expected error": METHOD_COLORS["baseline"]}
MARKS = ("o", "s", "D")  # of thresholds
BASE_RATE = "base rate"
ROWS_OF = {"": "", "defect": ",\nrows with a defect", "spread": ",\nensembles"}


def draw_reliability(curve: pd.DataFrame) -> Drawing:
    """Draw the observed share of failures against the predicted probability, one panel per threshold.

    Args:
        curve: Rows of threshold, predictor, probability, observed with `_low` and `_high`, n_seeds, n: one per bin.
    """
    panels = list(curve.groupby("threshold", sort=False))
    with style():
        figure, axes = new_figure(1, len(panels), height=3.6, sharey=True)
        for axis, (threshold, rows) in zip(axes[0], panels, strict=True):
            _draw_curve(axis, rows)
            axis.set_title(f"error above {threshold:g}")
        axes[0, 0].set_ylabel("observed share")
        shared_legend(figure, axes)
    total = curve.groupby(["threshold", "predictor"])["n"].sum()
    caption = (
        "Will the relative error at another rate exceed a threshold (1 is predicting no change)? Observed share "
        "against the probability that a logistic regression gives from what is known before, in bins, each time in a "
        "system and at a test rate that the fit has not seen. Expected error: the root of limit² + own error². "
        f"Bars: 95 % intervals over seeds that also count rows; n = {span_text(total)} rows of "
        f"{seeds_text(curve['n_seeds'].max())}. On the gray diagonal a probability is honest; the dotted line is the "
        f"share of failures. {_distances(curve)}"
    )
    alt = "Reliability diagrams of predicted failure at another rate, for two thresholds."
    return Drawing(figure, caption, alt, curve)


def draw_predictors(comparison: pd.DataFrame) -> Drawing:
    """Draw the Brier score of every predictor over that of the base rate, one mark per threshold.

    Args:
        comparison: Rows of threshold, subset, predictor, failures, brier, auc and ratio with `_low` and `_high`,
            verdict, n_seeds, n.
    """
    shown = comparison[comparison["predictor"] != BASE_RATE]
    shown = shown.assign(label=shown["predictor"] + shown["subset"].map(ROWS_OF))
    labels, thresholds = list(dict.fromkeys(shown["label"])), list(dict.fromkeys(shown["threshold"]))
    with style():
        figure, axes = new_figure(height=0.5 * len(labels) + 1.2)
        axis = axes[0, 0]
        for i, (threshold, mark) in enumerate(zip(thresholds, MARKS, strict=False)):
            rows, look = (
                shown[shown["threshold"] == threshold],
                {"color": NEUTRAL["text"], "marker": mark, "linestyle": ""},
            )
            axis.plot([], [], **look, markerfacecolor="w" if i else NEUTRAL["text"], label=f"error above {threshold:g}")
            for _, row in rows[np.isfinite(rows["ratio"])].iterrows():
                y, color = labels.index(row["label"]) + 0.3 * i - 0.15, COLORS.get(row["predictor"], NEUTRAL["text"])
                axis.plot([row["ratio_low"], row["ratio_high"]], [y, y], color=color, linewidth=1.4)
                axis.plot(row["ratio"], y, **look | {"color": color}, markerfacecolor="w" if i else color)
        axis.axvline(1.0, color=NEUTRAL["reference"], linewidth=0.8, zorder=0)
        axis.set_xscale("log")
        plain_log_axis(axis.xaxis)
        axis.set_xlabel("Brier score / that of the base rate")
        axis.set_yticks(range(len(labels)), labels)
        axis.set_ylim(len(labels) - 0.4, -0.6)
        axis.tick_params(axis="y", length=0)
        shared_legend(figure, axes)
    empty = shown[~np.isfinite(shown["ratio"])]
    pairs = zip(empty["label"].str.replace("\n", " "), empty["threshold"], strict=True)
    blank = [f"{label} above {threshold:g}" for label, threshold in pairs]
    caption = (
        "Brier score (mean squared error of a predicted probability of failure at another rate) over that of the base "
        "rate, which knows how often models fail elsewhere, each time in a system and at a test rate that the "
        "fit has not seen. Left of 1 a predictor knows more. Expected error: the root of limit² + own error². "
        "In color: the two whose calibration is drawn next. "
        f"Ratios paired by seed, geometric means with 95 % t intervals, n = {seeds_text(comparison['n_seeds'].max())}, "
        f"{span_text(shown['n'])} rows."
        + f" Without a failure, so not drawn: {'; '.join(blank)}." * bool(blank)
        + f" {_conclusion(comparison)}"
    )
    alt = f"Brier scores of {shown['predictor'].nunique()} predictors of failure over that of the base rate."
    return Drawing(figure, caption, alt, comparison)


def _distances(curve: pd.DataFrame) -> str:
    """Say how far each predictor's probabilities lie from what was observed, mean over rows."""
    parts = []
    for threshold, rows in curve[curve["predictor"].isin(COLORS)].groupby("threshold", sort=False):
        off = {
            name: np.average((own["probability"] - own["observed"]).abs(), weights=own["n"])
            for name, own in rows.groupby("predictor", sort=False)
        }
        told = " and ".join(f"{number_text(value)} for \u201c{name}\u201d" for name, value in off.items())
        parts.append(f"{told} at the threshold {threshold:g}")
    told = f"mean over rows of {curve['envs'].iloc[0]}"
    return f"Probabilities lie off the observed shares by {'; by '.join(parts)} ({told})."


def _draw_curve(axis: Axes, rows: pd.DataFrame) -> None:
    axis.plot([0, 1], [0, 1], color=NEUTRAL["reference"], linewidth=0.8, zorder=0)
    for name, color in COLORS.items():
        own = rows[rows["predictor"] == name].sort_values("probability")
        ends = [own[f"observed_{end}"].fillna(own["observed"]) for end in ("low", "high")]  # one seed has no interval
        bars = [(own["observed"] - ends[0]).clip(lower=0), (ends[1] - own["observed"]).clip(lower=0)]
        axis.errorbar(own["probability"], own["observed"], yerr=bars, color=color, marker="o", label=name,
                      elinewidth=0.8, capsize=1.5)  # fmt: skip
    base = rows[rows["predictor"] == BASE_RATE]
    axis.axhline(np.average(base["observed"], weights=base["n"]), color=NEUTRAL["muted"], linestyle=":", linewidth=1.0)
    axis.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xlabel="predicted probability")


def _conclusion(comparison: pd.DataFrame) -> str:
    parts = []
    for threshold, rows in comparison[comparison["subset"] == ""].groupby("threshold", sort=False):
        base = rows[rows["predictor"] == BASE_RATE].iloc[0]
        rows = rows[(rows["predictor"] != BASE_RATE) & np.isfinite(rows["ratio"])]
        if rows.empty:
            parts.append(f"above {threshold:g} there is nothing to tell apart")
            continue
        row = rows.loc[rows["brier"].idxmin()]
        parts.append(
            f"that an error exceeds {threshold:g} ({base['failures']:.0%} do) is best foreseen by "
            f"\u201c{row['predictor']}\u201d: Brier score {interval_text(row, 'brier')}, "
            f"{interval_text(row, 'ratio')} of the base rate's "
            f"{number_text(base['brier'])} ({row['verdict']}), AUC {interval_text(row, 'auc', digits=3)}"
        )
    told = f"{comparison['envs'].iloc[0]}; {seeds_text(comparison['n_seeds'].max())}"
    return f"In systems and at rates held out, {'; '.join(parts)} ({told})."
