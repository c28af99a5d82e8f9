"""Heat maps of the one-step error: arm and training rate against test rate."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from tdlib.figures.conclusions import conclusion, main_test_rate
from tdlib.figures.save import Drawing
from tdlib.figures.selection import ARM, Arms, forms_text, matrix_arms, name_arms, pick, pick_or_first
from tdlib.figures.style import (
    NEUTRAL,
    SMALL,
    NothingToDrawError,
    bad_text,
    counts_text,
    new_figure,
    over_seeds,
    sort_rates,
    style,
)

ROW_HEIGHT = 0.22  # [in]
VALUES = {
    "relative_error": ("relative one-step error", (0.01, 100.0)),
    "mse": ("one-step MSE [mixed squared units]", None),
}
SHORT = {"multi-resolution": "multi-res.", "rescaled increment": "rescaled", "recurrent rollout": "recurrent",
         "Δt-conditioned": "Δt-cond.", " ODE": ""}  # fmt: skip
# every color is light enough to carry ink, and dark enough for light text once the dark theme turns it over (a test)
BLUE, RED = ("#9ad3ff", "#bfe2ff", "#e0f1ff"), ("#ffe9df", "#ffd3bd", "#ffbfa3")


def draw_error_heatmaps(table: pd.DataFrame, value: str = "relative_error", test_set: str = "pooled") -> Drawing:
    """Draw the key arms of one environment, those of one rate at every rate, against every test rate.

    Args:
        table: one_step_errors of one environment.
        value: "relative_error" or "mse".
        test_set: Which pairs.

    Raises:
        ValueError: If `value` is neither.
    """
    return _draw(table, value, test_set, pick_or_first(table, matrix_arms()))


def draw_error_matrices(table: pd.DataFrame, arms: Arms) -> Drawing:
    """Draw the relative error of given arms against every test rate, one panel per environment."""
    return _draw(table, "relative_error", "pooled", pick(table, arms))


def color_map(value: str) -> Colormap:
    """Blue below and red above no change; for raw errors blue alone."""
    colors = [*BLUE, "#ffffff", *RED] if value == "relative_error" else ["#ffffff", *BLUE[::-1]]
    return LinearSegmentedColormap.from_list(value, colors)


def number(value: float, kind: str) -> str:
    """Write a cell's number in at most four characters: an error, or the negative logarithm of an MSE."""
    if not np.isfinite(value):
        return ""
    if kind == "mse":
        return f"{0 - np.log10(value):.1f}" if value > 0 else "∞"
    if value < 0.0095:
        return f"{value:.3f}".removeprefix("0") if value >= 0.00095 else f"{value:.0e}".replace("e-0", "e-")
    if value < 0.995:
        return f"{value:.2f}".removeprefix("0")
    return f"{value:.1f}" if value < 9.95 else f"{value:.0f}" if value < 9999 else ">1e4"


def _draw(table: pd.DataFrame, value: str, test_set: str, chosen: pd.DataFrame) -> Drawing:
    if value not in VALUES:
        raise ValueError(f"value must be one of {list(VALUES)}, got {value!r}")
    chosen = chosen[(chosen["test_set"] == test_set) & (chosen["dimension"] == "all")]
    if chosen.empty:
        raise NothingToDrawError("none of the arms that it shows is among what was chosen")
    summary = name_arms(over_seeds(chosen, value, ["env", *ARM, "test_frequency"]))
    envs, rates = list(dict.fromkeys(summary["env"])), sort_rates(summary["test_frequency"])
    counts = [summary[summary["env"] == env]["arm"].nunique() for env in envs]
    norm = _norm(value, summary["mean"])
    with style():
        figure, axes = new_figure(len(envs), 1, height=ROW_HEIGHT * sum(counts) + 0.3 * len(envs) + 1.25,
                                  height_ratios=counts)  # fmt: skip
        for axis, env in zip(axes[:, 0], envs, strict=True):
            draw_matrix(axis, summary[summary["env"] == env], rates, value, norm)
            axis.set_title(env)
        axes[-1, 0].set_xlabel("test rate [Hz]")
        _explain(figure, axes, value, has_gaps=len(summary) < sum(counts) * len(rates) or summary["bad"].any())
    numbers = ("1 is predicting no change, blue is better" if value == "relative_error" else
               "numbers are −log10, and raw error orders the rates by the length of the step first")  # fmt: skip
    rate = main_test_rate(rates)
    caption = (
        f"{', '.join(envs)}: {VALUES[value][0]} by arm with its training rate (rows) and test rate (columns), "
        f"{test_set} held-out pairs; {numbers}. Mean over seeds, {counts_text(chosen)}."
        f"{forms_text(chosen, matrix_arms())}{bad_text(summary, 'hatched')} "
        f"{conclusion(summary[summary['test_frequency'] == rate], place=f'At {rate} Hz')}"
    )
    alt = f"Heat map of {value} for {max(counts)} arms at {len(rates)} test rates on {', '.join(envs)}."
    return Drawing(figure, caption, alt, summary)


def draw_matrix(axis: Axes, summary: pd.DataFrame, rates: list[str], value: str, norm: LogNorm) -> None:
    """Draw one panel; a cell with values that are not finite is hatched, one that was not measured is crossed out."""
    import seaborn  # imports pyplot: only where a figure is drawn

    wide = summary.pivot(index="arm", columns="test_frequency", values="mean")
    wide = wide.reindex(index=list(dict.fromkeys(summary["arm"])), columns=rates)
    bad = summary.pivot(index="arm", columns="test_frequency", values="bad").reindex_like(wide)
    seaborn.heatmap(wide, annot=wide.map(lambda cell: number(cell, value)), fmt="", norm=norm, cmap=color_map(value),
                    cbar=False, linewidths=0.5, ax=axis,
                    annot_kws={"color": NEUTRAL["text"], "fontsize": SMALL})  # fmt: skip
    for i, j in zip(*np.nonzero((bad > 0).to_numpy() | bad.isna().to_numpy()), strict=True):
        hatch = "...." if np.isnan(bad.iloc[i, j]) else "////"
        axis.add_patch(Rectangle((j, i), 1, 1, fill=False, hatch=hatch, linewidth=0, edgecolor=NEUTRAL["reference"]))
    axis.set(xlabel="", ylabel="")
    axis.set_yticks(np.arange(len(wide)) + 0.5, [_shortened(name) for name in wide.index])
    axis.set_xticks(
        np.arange(len(rates)) + 0.5, ["irr." if rate == "irregular" else rate for rate in rates], rotation=0
    )
    axis.tick_params(length=0, labelrotation=0)
    axis.grid(visible=False)


def _shortened(name: str) -> str:
    for long, short in SHORT.items():
        name = name.replace(long, short)
    return name


def _norm(value: str, values: pd.Series) -> LogNorm:
    """Logarithmic color scale: fixed and centered on 1 for the relative error, the data's range for MSE."""
    limits = VALUES[value][1]
    if limits is None:
        positive = values[np.isfinite(values) & (values > 0)]
        limits = (positive.min(), max(positive.max(), 1.01 * positive.min())) if len(positive) else (1e-6, 1.0)
    return LogNorm(*limits, clip=True)


def _explain(figure: Figure, axes: np.ndarray, value: str, *, has_gaps: bool) -> None:
    from matplotlib.cm import ScalarMappable

    norm = axes[0, 0].collections[0].norm
    bar = figure.colorbar(
        ScalarMappable(norm, color_map(value)), ax=axes, orientation="horizontal", aspect=45, pad=0.03
    )
    bar.set_label(VALUES[value][0] + " (1: predicting no change)" * (value == "relative_error"))
    bar.ax.minorticks_off()
    if has_gaps:
        look = {"facecolor": "none", "edgecolor": NEUTRAL["reference"], "linewidth": 0}
        patches = [Patch(hatch="////", label="not finite", **look), Patch(hatch="....", label="not measured", **look)]
        figure.legend(handles=patches, loc="outside upper right", ncols=2)
