"""Heat maps of the one-step error: training rate and form against test rate, one panel per model and method."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from tdlib.figures.save import Drawing
from tdlib.figures.style import METHOD_LABELS, counts_text, model_label, sort_models, sort_rates, style

CELL_WIDTH, CELL_HEIGHT = 0.37, 0.2  # [in]
TITLE, GAP, LABELS, MARGIN = 0.25, 0.1, 1.62, 0.12
FOOT = 1.2  # below the panels: tick labels, axis label, color bar
VALUES = {
    "relative_error": ("relative one-step error (1 = predicting no change)", "RdBu_r", (0.01, 100.0)),
    "mse": ("one-step MSE, mean over dimensions [mixed squared units]", "viridis", None),
}
METHOD_ORDER = tuple(METHOD_LABELS)


def draw_error_heatmaps(table: pd.DataFrame, value: str = "relative_error", test_set: str = "pooled") -> Drawing:
    """Draw every arm of one environment against every test rate.

    Args:
        table: one_step_errors of one environment.
        value: "relative_error" or "mse".
        test_set: Which pairs.

    Raises:
        ValueError: If `value` is neither.
    """
    check_value(value)
    shown = mean_errors(table, value, test_set)
    rates = sort_rates(shown["test_frequency"])
    env = str(table["env"].iloc[0])
    panels = [
        (panel_title(model, method), rows)
        for model in sort_models(shown["model"])
        for method in sort_methods(shown[shown["model"] == model]["method"])
        for rows in [matrix_rows(shown[(shown["model"] == model) & (shown["method"] == method)], rates)]
    ]
    with style():
        figure = _two_columns(panels, rates, value, shown["mean"])
    counts = counts_text(table[table["test_set"] == test_set])
    caption = (
        f"{env}: {VALUES[value][0]}, by training rate (rows) and test rate (columns, Hz), {test_set} held-out pairs; "
        f"mean over seeds, {counts}. Models with memory are scored on fewer pairs."
    )
    caption += (
        " Blue is better than predicting no change, red is worse."
        if value == "relative_error"
        else " Raw error orders the rates by the length of the step first."
    )
    alt = f"Heat maps of {value} for {len(panels)} combinations of model and method on {env}."
    return Drawing(figure, caption, alt, shown.drop(columns=["low", "high"]))


def panel_title(model: str, method: str) -> str:
    """Name a panel, for example `jump (MLP) · baseline`."""
    parts = [] if model == "none" else [model_label(model)]
    parts += [] if method == "ode" else [METHOD_LABELS.get(method, method)]
    return " · ".join(parts)


def check_value(value: str) -> None:
    """Refuse a measure that has no color scale."""
    if value not in VALUES:
        raise ValueError(f"value must be one of {list(VALUES)}, got {value!r}")


def mean_errors(table: pd.DataFrame, value: str, test_set: str = "pooled") -> pd.DataFrame:
    """Mean over seeds of the error of all dimensions together, one row per arm and test rate."""
    chosen = table[(table["test_set"] == test_set) & (table["dimension"] == "all")]
    by = ["env", "model", "method", "form", "size", "data", "train_frequency", "test_frequency"]
    grouped = chosen.groupby(by, sort=False)[value]
    result = grouped.agg(mean="mean", low="min", high="max").reset_index()
    return result.assign(seeds=chosen.groupby(by, sort=False)["seed"].nunique().to_numpy())


def sort_methods(methods: Sequence[str]) -> list[str]:
    """Methods in the order of the study."""
    return sorted(set(methods), key=lambda m: METHOD_ORDER.index(m) if m in METHOD_ORDER else len(METHOD_ORDER))


def matrix_rows(table: pd.DataFrame, rates: Sequence[str]) -> list[tuple[str, np.ndarray]]:
    """Label and values (R,) of every arm, in table order."""
    rows = []
    for key, arm in table.groupby(["form", "size", "data", "train_frequency"], sort=False):
        values = arm.set_index("test_frequency")["mean"].reindex(rates).to_numpy(dtype=float)
        rows.append((row_label(*key), values))
    return rows


def row_label(form: str, size: str, data: str, train_frequency: str) -> str:
    """Short name of an arm within its method, for example `scaled_concat @ 20 Hz`."""
    parts = [form] if form != "none" else []
    parts += [size] if size not in ("hidden64", "none") else []
    parts += ["= seconds"] if data == "seconds" else []
    rate = f"{train_frequency} Hz" if train_frequency[:1].isdigit() else train_frequency
    return " ".join([*parts, f"@ {rate}"] if rate else parts)


def draw_matrix(
    axis: Axes,
    rows: Sequence[tuple[str, np.ndarray]],
    rates: Sequence[str],
    value: str,
    norm: LogNorm,
    *,
    labels: bool = True,
) -> None:
    """Draw one panel: colored cells with their numbers, row labels at the left."""
    values = np.array([v for _, v in rows])
    colors = ScalarMappable(norm, VALUES[value][1])
    axis.imshow(values, norm=norm, cmap=VALUES[value][1], aspect="auto", interpolation="nearest")
    for i, j in np.ndindex(values.shape):
        if np.isfinite(values[i, j]):
            red, green, blue, _ = colors.to_rgba(values[i, j])
            dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.55
            axis.text(j, i, number(float(values[i, j]), value), ha="center", va="center", fontsize=6.6,
                      color="white" if dark else "black")  # fmt: skip
    axis.set_yticks(range(len(rows)), [label for label, _ in rows] if labels else [""] * len(rows), fontsize=7)
    axis.set_xticks(range(len(rates)), [])
    axis.tick_params(length=0)
    axis.grid(False)
    for spine in axis.spines.values():
        spine.set_visible(False)


def number(value: float, kind: str) -> str:
    """Write a cell's number in at most five characters."""
    if kind == "mse":
        mantissa, exponent = f"{value:.0e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    return f"{value:.2f}" if value < 9.995 else f"{value:.0f}"


def color_norm(value: str, values: pd.Series) -> LogNorm:
    """Logarithmic color scale: fixed and centered on 1 for the relative error, the data's range for MSE."""
    limits = VALUES[value][2]
    if limits is None:
        positive = values[np.isfinite(values) & (values > 0)]
        limits = (positive.min(), positive.max()) if len(positive) else (1e-6, 1.0)
    return LogNorm(*limits, clip=True)


def rate_ticks(axis: Axes, rates: Sequence[str], side: str = "bottom") -> None:
    """Label the columns with their test rates."""
    axis.set_xticks(range(len(rates)), ["irreg." if r == "irregular" else r for r in rates], fontsize=7)
    axis.tick_params(axis="x", length=0, labelbottom=side == "bottom", labeltop=side == "top")


def _two_columns(panels: Sequence[tuple[str, list]], rates: Sequence[str], value: str, values: pd.Series) -> Figure:
    heights = [TITLE + GAP + CELL_HEIGHT * len(rows) for _, rows in panels]
    total, split, used = sum(heights), 0, 0.0
    while split < len(panels) and used + heights[split] / 2 < total / 2:
        used += heights[split]
        split += 1
    columns = [list(zip(panels, heights, strict=True))[part] for part in (slice(None, split), slice(split, None))]
    columns = [column for column in columns if column]
    panel_width = CELL_WIDTH * len(rates)
    column_width = LABELS + panel_width + MARGIN
    width = column_width * len(columns)
    height = max(sum(h for _, h in column) for column in columns) + FOOT
    figure, norm = Figure(figsize=(width, height)), color_norm(value, values)
    for c, column in enumerate(columns):
        top = height
        for i, ((title, rows), panel_height) in enumerate(column):
            tall = CELL_HEIGHT * len(rows)
            axis = axes_at(figure, c * column_width + LABELS, top - TITLE - tall, panel_width, tall)
            draw_matrix(axis, rows, rates, value, norm)
            axis.set_title(title, fontsize=8.5, pad=3)
            top -= panel_height
            if i == len(column) - 1:
                rate_ticks(axis, rates)
                axis.set_xlabel("test rate [Hz]", fontsize=8)
    color_bar(figure, axes_at(figure, LABELS, 0.52, width - LABELS - MARGIN - 0.6, 0.11), norm, value)
    return figure


def axes_at(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Add axes at a place given in inches."""
    total_width, total_height = figure.get_size_inches()
    return figure.add_axes((left / total_width, bottom / total_height, width / total_width, height / total_height))


def color_bar(figure: Figure, axis: Axes, norm: LogNorm, value: str) -> None:
    """Explain the colors."""
    figure.colorbar(ScalarMappable(norm, VALUES[value][1]), cax=axis, orientation="horizontal")
    axis.set_xlabel(VALUES[value][0], fontsize=8)
    axis.tick_params(labelsize=7)
