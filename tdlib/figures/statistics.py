"""The declared contrasts with their intervals, beside what was predicted."""

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, NullFormatter

from tdlib.figures.save import Drawing
from tdlib.figures.style import new_figure, span_text, style

PLAIN = FuncFormatter(lambda value, _: f"{value:g}")
VERDICT_COLORS = {"confirmed": "#009E73", "refuted": "#D55E00", "open": "#7F7F7F"}
EXPECTED_MARKS = {"less": "predicted < 1", "greater": "predicted > 1", "equal": "predicted = 1 (±10 %)"}


def draw_contrasts(table: pd.DataFrame) -> Drawing:
    """Draw the ratio of errors of every declared contrast, one panel per environment.

    Args:
        table: Rows of env, name, expected ("less", "greater", "equal"), ratio, ci_low, ci_high, p_holm, n_seeds, and
            where there is one verdict ("confirmed", "refuted", "open").
    """
    names, envs = list(dict.fromkeys(table["name"])), list(dict.fromkeys(table["env"]))
    place = {name: i for i, name in enumerate(names)}
    with style():
        figure, axes = new_figure(1, len(envs), width=9.4, height=0.3 * len(names) + 1.1, sharex=True, sharey=True)
        for axis, env in zip(axes[0], envs, strict=True):
            for _, row in table[table["env"] == env].iterrows():
                y, color = place[row["name"]], VERDICT_COLORS.get(_verdict(row), "#444444")
                axis.plot([row["ci_low"], row["ci_high"]], [y, y], color=color, linewidth=1.6)
                axis.plot(row["ratio"], y, marker="o", color=color, markersize=4.5)
                text = f"p = {row['p_holm']:.2g}" if np.isfinite(row["p_holm"]) else ""
                axis.text(
                    1.01, y, text, transform=axis.get_yaxis_transform(), fontsize=6.5, va="center", color="#555555"
                )
            axis.axvline(1.0, color="#808080", linewidth=0.8, zorder=0)
            axis.set_xscale("log")
            axis.xaxis.set_major_formatter(PLAIN)
            axis.xaxis.set_minor_formatter(NullFormatter())
            axis.set_title(env)
            axis.set_xlabel("error of a / error of b")
            axis.set_yticks(range(len(names)), [_label(table, name) for name in names], fontsize=7.5)
            axis.set_ylim(len(names) - 0.4, -0.6)
            axis.tick_params(axis="y", length=0)
    meaning = "by the declared tests" if "verdict" in table else "by the side on which the interval lies"
    caption = (
        "Declared contrasts: ratio of the relative one-step errors of two arms with 95 % bootstrap intervals over "
        f"the seeds, n = {span_text(table['n_seeds'])} seeds; p: Holm-adjusted, of paired sign-flip tests. Green: the "
        f"prediction is confirmed, orange: refuted, gray: open, {meaning}. Few seeds cannot decide."
    )
    alt = f"Ratios of errors with intervals for {len(names)} declared contrasts in {len(envs)} environments."
    return Drawing(figure, caption, alt, table)


def _label(table: pd.DataFrame, name: str) -> str:
    expected = str(table.loc[table["name"] == name, "expected"].iloc[0])
    return f"{name} ({EXPECTED_MARKS.get(expected, expected)})"


def _verdict(row: pd.Series) -> str:
    """The table's own verdict, or where the interval lies."""
    if isinstance(row.get("verdict"), str) and row["verdict"] in VERDICT_COLORS:
        return row["verdict"]
    low, high = row["ci_low"], row["ci_high"]
    if row["expected"] == "equal":
        return "confirmed" if 0.9 <= low and high <= 1.1 else "refuted" if low > 1.1 or high < 0.9 else "open"
    below, above = high < 1, low > 1
    wanted, other = (below, above) if row["expected"] == "less" else (above, below)
    return "confirmed" if wanted else "refuted" if other else "open"
