"""A model with a history: its losses while it was trained, and its errors over the steps it predicts."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from tdlib.figures.save import Drawing
from tdlib.figures.style import (
    METHOD_COLORS,
    NEUTRAL,
    NothingToDrawError,
    new_figure,
    plain_log_axis,
    shared_legend,
    style,
)
from tdlib.figures.words import number_text

MODEL = "model"
LOOKS: dict[str, dict[str, Any]] = {  # predictor -> look of its line
    MODEL: {"color": METHOD_COLORS["baseline"], "marker": "o"},
    "constant velocity": {"color": NEUTRAL["muted"], "marker": "s", "linestyle": (0, (4, 1.5))},
    "last delta": {"color": NEUTRAL["text"], "marker": "^", "linestyle": ":"},
}
ERRORS = {"mse": "mean squared error", "mae": "mean absolute error"}
LOSSES = {"train_loss": ("training", NEUTRAL["muted"]), "val_loss": ("held-out files", METHOD_COLORS["baseline"])}


def draw_training_history(table: pd.DataFrame, task: str) -> Drawing:
    """Draw the losses of every epoch.

    Args:
        table: Columns epoch, train_loss, val_loss.
        task: What was trained.

    Raises:
        NothingToDrawError: If there is no epoch.
    """
    if not len(table):
        raise NothingToDrawError("the checkpoint has no epoch of training")
    with style():
        figure, axes = new_figure()
        for column, (label, color) in LOSSES.items():
            axes[0, 0].plot(table["epoch"], table[column], color=color, label=label, marker="." * (len(table) < 30))
        axes[0, 0].set(yscale="log", xlabel="epoch", ylabel="loss [(Δt·σ)²]")
        axes[0, 0].xaxis.set_major_locator(MaxNLocator(5, integer=True))
        plain_log_axis(axes[0, 0].yaxis)
        shared_legend(figure, axes)
    best = table.loc[table["val_loss"].idxmin()]
    caption = (
        f"{task}: mean loss of every epoch, on the files that are trained on and on held-out ones, in units of the "
        f"typical change of an interval, squared; one training. The held-out loss is least after epoch "
        f"{best['epoch']:g} of {len(table)}, {number_text(best['val_loss'])}."
    )
    return Drawing(figure, caption, f"Training and held-out loss of {task} against the epoch.", table)


def draw_prediction_errors(table: pd.DataFrame, task: str) -> Drawing:
    """Draw errors against the number of steps predicted, beside those of rules without training.

    Args:
        table: Rows predictor, step, mse, mae (in what a network sees), relative_error (NaN if unknown), n.
        task: What was predicted.
    """
    with style():
        figure, axes = new_figure(1, 2, height=2.9, sharex=True)
        for axis, (column, label) in zip(axes[0], ERRORS.items(), strict=True):
            for predictor, rows in table.groupby("predictor", sort=False):
                axis.plot(rows["step"], rows[column], label=predictor, **LOOKS[predictor])
            axis.set(yscale="log", xlabel="step predicted", ylabel=label)
            axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        shared_legend(figure, axes, columns=len(LOOKS))
    last = table[table["step"] == table["step"].max()].set_index("predictor")
    errors = last["mse"].drop(MODEL)
    beside = f", of {errors.idxmin()} {number_text(errors.min())}" if len(errors) else ""
    caption = (
        f"{task}: errors of open-loop predictions in what the network sees (angles as cosine and sine), means over "
        f"n = {int(last['n'].iloc[0])} windows. At step {table['step'].max()} the mean squared error is "
        f"{number_text(last.loc[MODEL, 'mse'])}{beside}"
    )
    known = np.isfinite(last.loc[MODEL, "relative_error"])
    caption += f", and the error {number_text(last.loc[MODEL, 'relative_error'])} of the true change." if known else "."
    alt = f"Mean squared and mean absolute error against the step predicted, of {', '.join(last.index)}."
    return Drawing(figure, caption, alt, table)
