"""Training curves: one small picture per checkpoint, and all arms of an environment in one figure."""

import functools
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator
from PIL import Image

from tdlib.core.files import write_bytes
from tdlib.figures.save import Drawing
from tdlib.figures.selection import ARM, arms_in, default_sizes
from tdlib.figures.style import arm_label, method_style, model_label, new_figure, shared_legend, sort_models, style

CURVES = (("train_loss", "#999999", "training loss"), ("val_loss", "#0072B2", "validation loss"),
          ("grad_norm", "#D55E00", "gradient norm"))  # fmt: skip


def draw_training_curves(csv: str | Path, png: str | Path) -> Path:
    """Draw one model's `training_curves.csv` (step, train_loss, val_loss, grad_norm); quick, one per checkpoint.

    All pictures of a budget share their axes, so they compare at a glance, and the frame is drawn once: a picture costs
    its three lines. Values beyond the axes are drawn at their edge.
    """
    table, path = pd.read_csv(csv), Path(png)
    frame = _frame(max(1.0, float(table["step"].max())))
    frame.canvas.restore_region(frame.background)
    for axis, group in zip(frame.axes, (CURVES[:2], CURVES[2:]), strict=True):
        low, high = axis.get_ylim()
        for (name, _, _), line in zip(group, axis.lines, strict=True):
            points = table[["step", name]].dropna() if name in table else pd.DataFrame({"step": [], name: []})
            line.set_data(points["step"], points[name].clip(low, high))
            axis.draw_artist(line)
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(frame.canvas.buffer_rgba())).convert("RGB").save(buffer, "PNG", compress_level=1)
    write_bytes(path, buffer.getvalue())
    return path


@dataclass(frozen=True)
class _Frame:
    """Axes without lines, drawn once, to be restored before each picture."""

    canvas: FigureCanvasAgg
    axes: list[Axes]
    background: object


@functools.cache
def _frame(last_step: float) -> _Frame:
    with style():
        figure = Figure(figsize=(7.0, 2.6), dpi=70)
        canvas = FigureCanvasAgg(figure)
        axes = [figure.add_axes((0.09, 0.19, 0.38, 0.72)), figure.add_axes((0.59, 0.19, 0.38, 0.72))]
        labels = (("loss [σ²]", (1e-5, 10.0)), ("gradient norm", (1e-3, 100.0)))
        for axis, group, (label, limits) in zip(axes, (CURVES[:2], CURVES[2:]), labels, strict=True):
            for _, color, name in group:
                axis.plot([], [], color=color, label=name, animated=True)
            axis.set(yscale="log", xlim=(0, last_step), ylim=limits, xlabel="optimizer step", ylabel=label)
            axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            axis.yaxis.set_minor_locator(NullLocator())
        axes[0].legend(loc="lower left")
        canvas.draw()
    return _Frame(canvas, axes, canvas.copy_from_bbox(figure.bbox))


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
            axis.set_title(model_label(model))
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
