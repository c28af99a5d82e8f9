"""The declared contrasts with their intervals, beside what was predicted."""

import textwrap
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from tdlib.figures.save import Drawing
from tdlib.figures.style import NEUTRAL, new_figure, span_text, style
from tdlib.figures.words import seeds_text

PLAIN = FuncFormatter(lambda value, _: f"{value:g}")
GREEN, ORANGE, GRAY = "#009E73", "#D55E00", "#7F7F7F"
MARKS = ("o", "s", "D", "^", "v")  # of the environments
VERDICT_LOOKS = {  # color, and whether the mark is filled: only what can be decided is
    "confirmed": (GREEN, True), "refuted": (ORANGE, True), "consistent": (GREEN, False),
    "inconsistent": (ORANGE, False), "open": (GRAY, False),
}  # fmt: skip
EXPECTED_MARKS = {"less": "< 1", "greater": "> 1", "equal": "1 ×/÷ {:g}"}


def draw_contrasts(table: pd.DataFrame) -> Drawing:
    """Draw the ratio of errors of every declared contrast, one mark per environment.

    Args:
        table: Rows of env, name, expected ("less", "greater", "equal"), margin, ratio, ci_low, ci_high, p_holm, verdict
            ("confirmed", "refuted", "consistent", "inconsistent", "open"), n_seeds.
    """
    names, envs = list(dict.fromkeys(table["name"])), list(dict.fromkeys(table["env"]))
    place = {name: i for i, name in enumerate(names)}
    offsets = dict(zip(envs, np.linspace(-0.25, 0.25, len(envs)) if len(envs) > 1 else [0.0], strict=True))
    marks = dict(zip(envs, cycle(MARKS), strict=False))
    with style():
        figure, axes = new_figure(height=0.62 * len(names) + 1.5)
        axis = axes[0, 0]
        for _, row in table.iterrows():
            y, (color, filled) = place[row["name"]] + offsets[row["env"]], VERDICT_LOOKS[row["verdict"]]
            if not np.isfinite(row["ratio"]):
                axis.plot(0.98, y, "x", color=color, transform=axis.get_yaxis_transform())
                continue
            axis.plot([row["ci_low"], row["ci_high"]], [y, y], color=color, linewidth=1.6)
            axis.plot(row["ratio"], y, marks[row["env"]], color=color, markerfacecolor=color if filled else "w")
        axis.axvline(1.0, color=NEUTRAL["reference"], linewidth=0.8, zorder=0)
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter(PLAIN)
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set_xlabel("error of a / error of b")
        axis.set_yticks(range(len(names)), [_label(table, name) for name in names])
        axis.set_ylim(len(names) - 0.4, -0.6)
        axis.tick_params(axis="y", length=0)
        keys = [Line2D([], [], color=NEUTRAL["text"], marker=marks[env], markerfacecolor="w", linestyle="", label=env)
                for env in envs]  # fmt: skip
        figure.legend(handles=keys, loc="outside lower center", ncols=1)
    counts = table["verdict"].value_counts()
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICT_LOOKS if verdict in counts)
    caption = (
        "Declared contrasts: ratio of the relative one-step errors of two arms, geometric mean over seeds with its "
        f"95 % t interval, n = {_seeds(table['n_seeds'])}; their p are in the table; ×/÷ is within a factor. "
        "Green: as predicted, orange: not, gray: "
        f"open; filled: decided, which takes five seeds, and nine to confirm a difference. {_conclusion(table, told)}"
    )
    alt = f"Ratios of errors with intervals for {len(names)} declared contrasts in {len(envs)} environments: {told}."
    return Drawing(figure, caption, alt, table)


def _seeds(counts: pd.Series) -> str:
    return seeds_text(counts.max()) if counts.nunique() == 1 else f"{span_text(counts)} seeds"


def _label(table: pd.DataFrame, name: str) -> str:
    rows = table[table["name"] == name]
    expected = dict.fromkeys(
        EXPECTED_MARKS.get(what, what).format(margin)
        for what, margin in zip(rows["expected"], rows["margin"], strict=True)
    )
    return f"{textwrap.fill(name, 28)}\n(predicted {' or '.join(expected)})"


def _conclusion(table: pd.DataFrame, told: str) -> str:
    """Count the verdicts, and name the ratio that is furthest from one."""
    sizes = np.log(table["ratio"].where(np.isfinite(table["ratio"]) & (table["ratio"] > 0))).abs()
    absent = int((~np.isfinite(table["ratio"])).sum())
    text = f"Of {len(table)} contrasts: {told}" + f"; {absent} without a finite ratio (×)" * bool(absent)
    if not sizes.notna().any():
        return f"{text}."
    row = table.loc[sizes.idxmax()]
    return (
        f"{text}; the widest ratio is {row['ratio']:.2g} of \u201c{row['name']}\u201d ({row['env']}, "
        f"{seeds_text(row['n_seeds'])}, {row['verdict']})."
    )
