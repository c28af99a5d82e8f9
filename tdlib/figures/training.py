"""Training curves: one small picture per checkpoint, and all arms of an environment in one figure."""

import functools
import io
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from tdlib.figures.save import Drawing
from tdlib.figures.selection import ARM, arms_in, default_sizes
from tdlib.figures.style import (
    MODEL_LABELS,
    arm_label,
    method_style,
    new_figure,
    shared_legend,
    sort_models,
    style,
)
from tdlib.files import write_bytes

CURVES = (("train_loss", "#999999", "training loss"), ("val_loss", "#0072B2", "validation loss"),
          ("grad_norm", "#D55E00", "gradient norm"))  # fmt: skip


def draw_training_curves(csv: str | Path, png: str | Path) -> Path:
    """Draw one model's `training_curves.csv` (step, train_loss, val_loss, grad_norm); quick, one per checkpoint.

    The same figure serves every call, since building one costs more than drawing it.
    """
    table, path = pd.read_csv(csv), Path(png)
    figure, axes = _curves_figure()
    for axis, group in zip(axes, (CURVES[:2], CURVES[2:]), strict=True):
        values = []
        for (name, _, _), line in zip(group, axis.lines, strict=True):
            points = table[["step", name]].dropna() if name in table else table[["step"]].iloc[:0].assign(**{name: []})
            line.set_data(points["step"], points[name])
            values.append(points[name].to_numpy(dtype=float))
        positive = np.concatenate(values)
        positive = positive[np.isfinite(positive) & (positive > 0)]
        axis.set_xlim(0, max(1.0, float(table["step"].max())))
        axis.set_ylim(*((positive.min() / 1.3, positive.max() * 1.3) if len(positive) else (0.1, 10.0)))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=70, pil_kwargs={"compress_level": 1}, metadata={"Software": None})
    write_bytes(path, buffer.getvalue())
    return path


@functools.cache
def _curves_figure() -> tuple[Figure, list[Axes]]:
    with style():
        figure = Figure(figsize=(7.0, 2.6))
        axes = [figure.add_axes((0.09, 0.19, 0.38, 0.72)), figure.add_axes((0.59, 0.19, 0.38, 0.72))]
        for axis, group, label in zip(axes, (CURVES[:2], CURVES[2:]), ("loss [σ²]", "gradient norm"), strict=True):
            for _, color, name in group:
                axis.plot([], [], color=color, label=name)
            axis.set_yscale("log")
            axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
            axis.yaxis.set_minor_locator(NullLocator())
            axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))  # mathtext costs 10 ms
            axis.set_xlabel("optimizer step")
            axis.set_ylabel(label)
        axes[0].legend(loc="upper right")
    return figure, axes


def draw_training_overview(table: pd.DataFrame) -> Drawing:
    """Draw the validation loss of every arm, one panel per model.

    Args:
        table: Curves of one environment: key columns, step, train_loss, val_loss.
    """
    env = str(table["env"].iloc[0])
    table = default_sizes(table).dropna(subset=["val_loss"])
    # a member that stopped early keeps its last loss, so that means are over the same seeds at every step
    filled = (
        table.pivot_table(index="step", columns=["env", *ARM, "seed"], values="val_loss", sort=False)
        .sort_index()
        .ffill()
    )
    by_arm = filled.T.groupby(level=list(range(len(ARM) + 1)), sort=False).mean().T
    summary = by_arm.stack(level=list(range(len(ARM) + 1))).rename("mean").reset_index()
    models = sort_models(summary["model"])
    columns = min(3, len(models))
    rows = -(-len(models) // columns)
    with style():
        figure, axes = new_figure(rows, columns, width=8.8, height=2.4 * rows + 1.2, sharex=True)
        for axis, model in zip(axes.ravel(), models, strict=False):
            for arm, points in arms_in(summary[summary["model"] == model]):
                points = points.sort_values("step")
                look = method_style(arm["method"], arm["form"])
                axis.plot(points["step"], points["mean"], color=look["color"], linestyle=look["linestyle"], alpha=0.85,
                          linewidth=1.1, label=arm_label(arm, with_rate=False))  # fmt: skip
            axis.set_yscale("log")
            axis.set_title(MODEL_LABELS.get(model, model))
        for axis in axes.ravel()[len(models) :]:
            axis.set_visible(False)
        for i, axis in enumerate(axes.ravel()[: len(models)]):
            if i + columns >= len(models):
                axis.set_xlabel("optimizer step")
                axis.tick_params(labelbottom=True)
        for axis in axes[:, 0]:
            axis.set_ylabel("validation loss [σ²]")
        shared_legend(figure, axes, columns=4)
    seeds = table["seed"].nunique()
    caption = (
        f"{env}: validation loss of every arm at its own training rates, mean squared error of the rate of change in "
        f"units of its variance σ² (1 = predicting the mean rate); one line per arm and training rate, means over n = "
        f"{seeds} seed{'' if seeds == 1 else 's'}. Losses of different training sets are not comparable."
    )
    alt = f"Validation loss against optimizer step on {env}, one panel for each of {len(models)} models."
    return Drawing(figure, caption, alt, summary)
