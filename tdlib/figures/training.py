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
from tdlib.figures.conclusions import conclusion
from tdlib.figures.lines import arm_looks, draw_lines
from tdlib.figures.save import Drawing
from tdlib.figures.selection import ARM, forms_text, key_arms, name_arms, pick_or_first
from tdlib.figures.style import WIDTH, bad_text, new_figure, over_seeds, shared_legend, style

CURVES = (("train_loss", "#999999", "training loss"), ("val_loss", "#0072B2", "validation loss"),
          ("grad_norm", "#D55E00", "gradient norm"))  # fmt: skip


def draw_training_curves(csv: str | Path, png: str | Path) -> Path:
    """Draw one model's `training_curves.csv` (step, train_loss, val_loss, grad_norm); quick, one per checkpoint.

    All pictures of a budget share their axes, so they compare at a glance, and the frame is drawn once: a picture costs
    its three lines. Values beyond the axes are drawn at their edge. Losses that go below zero, as likelihoods do, have
    an axis that is not logarithmic.
    """
    table, path = pd.read_csv(csv), Path(png)
    signed = any((table[name] < 0).any() for name in ("train_loss", "val_loss") if name in table)
    frame = _frame(max(1.0, float(table["step"].max())), signed)
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
def _frame(last_step: float, signed: bool = False) -> _Frame:
    with style():
        figure = Figure(figsize=(WIDTH, 4.2), dpi=72)
        canvas = FigureCanvasAgg(figure)
        axes = [figure.add_axes((0.17, 0.6, 0.8, 0.37)), figure.add_axes((0.17, 0.12, 0.8, 0.37))]
        losses = ("loss", "linear", (-12.0, 8.0)) if signed else ("loss [σ²]", "log", (1e-5, 10.0))
        panels = (losses, ("gradient norm", "log", (1e-3, 100.0)))
        for axis, group, (label, scale, limits) in zip(axes, (CURVES[:2], CURVES[2:]), panels, strict=True):
            for _, color, name in group:
                axis.plot([], [], color=color, label=name, animated=True)
            axis.set(yscale=scale, xlim=(0, last_step), ylim=limits, xlabel="optimizer step", ylabel=label)
            axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            axis.yaxis.set_minor_locator(NullLocator())
        axes[0].legend(loc="lower left")
        canvas.draw()
    return _Frame(canvas, axes, canvas.copy_from_bbox(figure.bbox))


def draw_training_overview(table: pd.DataFrame) -> Drawing:
    """Draw the validation loss of the key arms.

    Args:
        table: Curves of one environment: key columns, step, train_loss, val_loss.
    """
    env = str(table["env"].iloc[0])
    table = name_arms(pick_or_first(table, key_arms()))
    diverged = int(np.isinf(table[[name for name in ("train_loss", "val_loss") if name in table]]).any(axis=1).sum())
    table = table.dropna(subset=["val_loss"])
    # a member that stopped early keeps its last loss, so that means are over the same seeds at every step
    keys = ["env", *ARM, "arm", "seed"]
    filled = table.pivot_table(index="step", columns=keys, values="val_loss", sort=False).sort_index().ffill()
    whole = filled.stack(level=list(range(len(keys)))).rename("val_loss").reset_index()
    summary = over_seeds(whole, "val_loss", ["env", *ARM, "arm", "step"])
    with style():
        figure, axes = new_figure(height=3.9)
        draw_lines(axes[0, 0], whole, "step", "val_loss", arm_looks(whole) | {"markers": False}, band=True)
        axes[0, 0].set(xlabel="optimizer step", ylabel="validation loss [σ²]", yscale="log")
        shared_legend(figure, axes)
    end = summary["step"].max()
    said = conclusion(summary[summary["step"] == end], place=f"At step {end:g}", verb="has a loss of")
    seeds = table["seed"].nunique()
    caption = (
        f"{env}: validation loss at the arm's own training rates, mean squared error of the rate of change in units of "
        f"its variance σ² (1 = predicting the mean rate); means over n = {seeds} seed{'' if seeds == 1 else 's'}, "
        f"bands span the seeds. Losses of different training sets are not comparable.{forms_text(table, key_arms())}"
        + f" Infinite losses in the curves: {diverged}." * bool(diverged)
        + f"{bad_text(summary)} {said}"
    )
    alt = f"Validation loss against optimizer step on {env} for {table['arm'].nunique()} arms."
    return Drawing(figure, caption, alt, summary)
