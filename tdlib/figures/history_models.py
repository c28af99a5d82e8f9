"""A model with a history: losses while it was trained, errors over the steps it predicts, what one change does."""

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
    state_symbol,
    style,
)
from tdlib.figures.words import number_text, seeds_text

MODEL = "model"
LOOKS: dict[str, dict[str, Any]] = {  # predictor -> look of its line
    MODEL: {"color": METHOD_COLORS["baseline"], "marker": "o"},
    "constant velocity": {"color": NEUTRAL["muted"], "marker": "s", "linestyle": (0, (4, 1.5))},
    "last delta": {"color": NEUTRAL["text"], "marker": "^", "linestyle": ":"},
}
ERRORS = {"mse": "mean squared error", "mae": "mean absolute error"}
ABLATED = {"last_step": "error / plain", "gap": "held-out / training"}
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


def draw_errors_in_units(table: pd.DataFrame, env: str, what: str) -> Drawing:
    """Draw the error of every state dimension in its unit against the time predicted, beside rules without training.

    Args:
        table: Rows predictor, time [s], dimension, unit, rmse, n.
        env: System, whose symbols the axes have.
        what: What was predicted, and by what.
    """
    names = list(dict.fromkeys(table["dimension"]))
    columns = min(3, len(names))
    with style():
        figure, axes = new_figure(-(-len(names) // columns), columns, height=1.2 + 1.6 * -(-len(names) // columns))
        for axis, name in zip(axes.flat, names, strict=False):
            own = table[table["dimension"] == name]
            for predictor, rows in own.groupby("predictor", sort=False):
                axis.plot(rows["time"], rows["rmse"], label=predictor, **LOOKS[predictor])
            unit = own["unit"].iloc[0]
            axis.set(yscale="log", xlabel="time [s]", ylabel=f"error of {state_symbol(name)} [{unit}]")
            plain_log_axis(axis.yaxis)
        for axis in axes.flat[len(names) :]:
            axis.set_axis_off()
        shared_legend(figure, axes, columns=len(LOOKS))
    last = table[table["time"] == table["time"].max()].pivot(index="dimension", columns="predictor", values="rmse")
    better = int((last[MODEL] < last.drop(columns=MODEL).min(axis=1)).sum())
    first, unit = names[0], table["unit"].iloc[0]
    caption = (
        f"{what}: RMS errors of open-loop predictions in physical units, differences of angles wrapped, over "
        f"n = {int(table['n'].iloc[0])} windows. After {number_text(table['time'].max())} s the error of "
        f"{state_symbol(first)} of {env} is {number_text(last.loc[first, MODEL])} {unit}, and the model errs less than "
        f"what needs no training in {better} of {len(names)} dimensions."
    )
    symbols = ", ".join(state_symbol(name) for name in names)
    alt = f"Errors of {symbols} against the time predicted, of {', '.join(table['predictor'].unique())}."
    return Drawing(figure, caption, alt, table)


def draw_ablations(table: pd.DataFrame, plain: str) -> Drawing:
    """Draw what trainings come to that differ in one thing each: their error beside the plain one's, and their losses.

    Args:
        table: Rows env, ablation, seed, last_step (relative error), gap (held-out over training loss; NaN if unknown).
        plain: The training that the others are set beside.

    Raises:
        NothingToDrawError: If it is not there.
    """
    env, kept = str(table["env"].iloc[0]), table.dropna(subset=["last_step"])
    wide = kept.pivot(index="ablation", columns="seed", values="last_step").reindex(dict.fromkeys(kept["ablation"]))
    if plain not in wide.index:
        raise NothingToDrawError(f"there is no {plain} training")
    shown = {"last_step": wide / wide.loc[plain]}
    shown["gap"] = kept.pivot(index="ablation", columns="seed", values="gap").reindex(wide.index)
    means = {column: np.exp(np.log(values).mean(axis=1, skipna=False)) for column, values in shown.items()}
    with style():
        figure, axes = new_figure(1, 2, height=0.8 + 0.24 * len(wide), sharey=True)
        for axis, (column, label) in zip(axes[0], ABLATED.items(), strict=True):
            values, places = shown[column], np.arange(len(wide))
            for seed in values:
                axis.plot(values[seed], places, ".", color=NEUTRAL["muted"])
            axis.plot(means[column], places, "o", color=METHOD_COLORS["baseline"])
            axis.axvline(1.0, color=NEUTRAL["muted"], linestyle=":")
            axis.set(xscale="log", xlabel=label)
            low, high = axis.get_xlim()
            axis.set_xlim(min(low, 0.45), max(high, 2.2))  # at least half to twice, so that it can be read
            plain_log_axis(axis.xaxis, most_decades=2.0)
        axes[0, 0].set_yticks(places, wide.index)
        axes[0, 0].invert_yaxis()
    ratios = means["last_step"].drop(plain).dropna()
    caption = (
        f"{env}: relative error of the last step predicted, over that of the {plain} training, and held-out loss over "
        f"training loss at the end. Dots: n = {seeds_text(wide.shape[1])}; circles: geometric means; a training whose "
        f"loss was not finite has no second one, nor has the mean over seeds then."
    )
    if len(ratios):
        worst = ratios.idxmax()
        caption += f" Most is lost on {env} by {worst}: {number_text(ratios[worst])} times the error."
    alt = f"Error and losses of {len(wide)} trainings, each with one thing changed: {', '.join(wide.index)}."
    return Drawing(figure, caption, alt, kept)
