"""The declared contrasts with their intervals, beside what was predicted."""

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, NullFormatter

from tdlib.figures.save import Drawing
from tdlib.figures.style import new_figure, span_text, style

PLAIN = FuncFormatter(lambda value, _: f"{value:g}")
GREEN, ORANGE, GRAY = "#009E73", "#D55E00", "#7F7F7F"
VERDICT_LOOKS = {  # color, and whether the mark is filled: only what can be decided is
    "confirmed": (GREEN, True), "refuted": (ORANGE, True), "consistent": (GREEN, False),
    "inconsistent": (ORANGE, False), "open": (GRAY, False),
}  # fmt: skip
EXPECTED_MARKS = {"less": "< 1", "greater": "> 1", "equal": "1 within a factor {:g}"}


def draw_contrasts(table: pd.DataFrame) -> Drawing:
    """Draw the ratio of errors of every declared contrast, one panel per environment.

    Args:
        table: Rows of env, name, expected ("less", "greater", "equal"), margin, ratio, ci_low, ci_high, p_holm, verdict
            ("confirmed", "refuted", "consistent", "inconsistent", "open"), n_seeds.
    """
    names, envs = list(dict.fromkeys(table["name"])), list(dict.fromkeys(table["env"]))
    place = {name: i for i, name in enumerate(names)}
    with style():
        figure, axes = new_figure(1, len(envs), width=9.4, height=0.3 * len(names) + 1.1, sharex=True, sharey=True)
        for axis, env in zip(axes[0], envs, strict=True):
            rows = table[table["env"] == env]
            for _, row in rows.iterrows():
                y, (color, filled) = place[row["name"]], VERDICT_LOOKS[row["verdict"]]
                axis.plot([row["ci_low"], row["ci_high"]], [y, y], color=color, linewidth=1.6)
                axis.plot(row["ratio"], y, "o", color=color, markersize=4.5, markerfacecolor=color if filled else "w")
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
    counts = table["verdict"].value_counts()
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICT_LOOKS if verdict in counts)
    caption = (
        "Declared contrasts: ratio of the relative one-step errors of two arms, geometric mean over seeds with its "
        f"95 % t interval, n = {span_text(table['n_seeds'])} seeds; p: adjusted by Holm within the environment, of "
        "paired sign-flip tests, of TOST where no difference was predicted. Green: as predicted, orange: not, gray: "
        f"open; filled: decided, which takes five seeds, and nine to confirm a difference. In this figure: {told}."
    )
    alt = f"Ratios of errors with intervals for {len(names)} declared contrasts in {len(envs)} environments: {told}."
    return Drawing(figure, caption, alt, table)


def _label(table: pd.DataFrame, name: str) -> str:
    rows = table[table["name"] == name]
    expected = dict.fromkeys(
        EXPECTED_MARKS.get(what, what).format(margin)
        for what, margin in zip(rows["expected"], rows["margin"], strict=True)
    )
    return f"{name} (predicted {' or '.join(expected)})"
