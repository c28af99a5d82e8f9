"""How sure models are: bands of long predictions, how often intervals hold the truth, and where in them it lies."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tdlib.figures.imagined import best_known
from tdlib.figures.lines import DASHES, MARKERS, grid_of, label_outer
from tdlib.figures.physics import COLORS
from tdlib.figures.save import Drawing
from tdlib.figures.selection import ARM
from tdlib.figures.style import (
    NEUTRAL,
    NothingToDrawError,
    counts_text,
    model_label,
    new_figure,
    over_seeds,
    shared_legend,
    sort_models,
    state_label,
    state_plane,
    style,
)
from tdlib.figures.words import number_text

SPREAD = 2.0  # standard deviations of a band on each side


def draw_likelihoods(table: pd.DataFrame) -> Drawing:
    """Draw the validation loss of models that are trained by likelihood, each in the form that is told most of time.

    Args:
        table: Curves of one environment: key columns, step, val_loss.

    Raises:
        NothingToDrawError: If models of three rates are not among what was chosen.
    """
    env, own = str(table["env"].iloc[0]), best_known(table.dropna(subset=["val_loss"]))
    if own.empty:
        raise NothingToDrawError("models of three rates are not among what was chosen")
    summary, names = over_seeds(own, "val_loss", ["env", *ARM, "step"]), sort_models(own["model"])
    with style():
        figure, axes = new_figure(height=3.6)
        for i, name in enumerate(names):
            rows, color = summary[summary["model"] == name], COLORS[i % len(COLORS)]
            axes[0, 0].plot(rows["step"], rows["mean"], color=color, label=model_label(name))
            axes[0, 0].fill_between(rows["step"], rows["low"], rows["high"], color=color, alpha=0.13, linewidth=0)
        axes[0, 0].set(xlabel="optimizer step", ylabel="validation loss [nats]")
        shared_legend(figure, axes)
    end = summary[summary["step"] == summary["step"].max()]
    told = "; ".join(f"{model_label(str(row.model))} {number_text(row.mean)}" for row in end.itertuples())
    caption = (
        f"{env}: negative log-likelihood of the next observation on held-out sequences with masks, summed over "
        f"dimensions in standard units, of models of three rates, each told most of time; what is masked grows in the "
        f"first part of training. Means over seeds, bands span the seeds; {counts_text(own)}. At the last step: {told} "
        f"({env})."
    )
    return Drawing(figure, caption, f"Validation loss against optimizer step on {env}, a line per model.", summary)


def draw_intervals(table: pd.DataFrame, rate: str = "20") -> Drawing:
    """Draw how often intervals hold the truth against how often they say, and the transform's histogram.

    Args:
        table: interval_calibration of one environment.
        rate: Test rate [Hz].

    Raises:
        NothingToDrawError: If models of three rates were not measured at the rate.
    """
    env, own = str(table["env"].iloc[0]), best_known(table[table["test_frequency"] == rate])
    if own.empty:
        raise NothingToDrawError(f"models of three rates were not measured at {rate} Hz")
    levels = [int(name.rpartition("_")[2]) for name in own if name.startswith("coverage_")]
    tenths = [name for name in own if name.startswith("pit_")]
    spans, names = list(dict.fromkeys(own["span"])), sort_models(own["model"])
    long = own.melt([*ARM, "env", "seed", "span", "n"], [f"coverage_{level}" for level in levels], "level", "share")
    long = long.assign(level=long["level"].str.rpartition("_")[2].astype(int))
    summary = over_seeds(long, "share", ["env", *ARM, "span", "level"])
    with style():
        figure, axes = new_figure(2, len(spans), height=5.6, sharey="row")
        for j, span in enumerate(spans):
            upper, lower = axes[0, j], axes[1, j]
            for i, name in enumerate(names):
                look = {"color": COLORS[i % len(COLORS)], "linestyle": (0, DASHES[i // len(COLORS)] or (1, 0))}
                rows = summary[(summary["span"] == span) & (summary["model"] == name)]
                upper.plot(
                    rows["level"], 100 * rows["mean"], marker=MARKERS[i % len(MARKERS)], label=model_label(name), **look
                )
                shares = own[(own["span"] == span) & (own["model"] == name)][tenths].mean()
                lower.stairs(len(tenths) * shares.to_numpy(), np.linspace(0, 1, len(tenths) + 1), **look)
            upper.plot([0, 100], [0, 100], color=NEUTRAL["reference"], linewidth=0.8, zorder=0)
            lower.axhline(1.0, color=NEUTRAL["reference"], linewidth=0.8, zorder=0)
            upper.set(title=span, xlim=(40, 100), ylim=(0, 103), xticks=levels, xlabel="said [%]")
            lower.set(ylim=(0, None), xticks=(0, 0.5, 1), xlabel="transform")
        axes[0, 0].set_ylabel("truth within [%]")
        axes[1, 0].set_ylabel("density")
        shared_legend(figure, axes)
    last = summary[(summary["span"] == spans[-1]) & (summary["level"] == max(levels))]
    shares = zip(last["model"], 100 * last["mean"], strict=True)
    told = "; ".join(f"{model_label(str(name))} {number_text(share)} %" for name, share in shares)
    caption = (
        f"{env}: above, the share of true values within intervals against the share that they say, at {rate} Hz, by "
        f"how far ahead; below, the density of the probability integral transform, which is 1 for a calibrated model: "
        f"a hill in the middle says too unsure, ends too sure. Models of three rates; means over seeds; "
        f"{counts_text(own, 'starts')}. Within their {max(levels)} % intervals, {spans[-1]}: {told} ({env})."
    )
    return Drawing(figure, caption, f"Coverage of intervals and histograms of the transform on {env}.", summary)


def draw_belief(paths: pd.DataFrame, rate: str = "20") -> Drawing:
    """Draw one long prediction with its band, a panel per arm, and the truth.

    Args:
        paths: Rows of `imagined_paths` of one environment.
        rate: Test rate [Hz].

    Raises:
        NothingToDrawError: If there is no path at the rate.
    """
    env, asked = str(paths["env"].iloc[0]), paths[(paths["test_frequency"] == rate) & (paths["start"] == 0)]
    asked = asked[asked["seed"] == asked["seed"].min()]
    own = best_known(asked)
    if own.empty:
        raise NothingToDrawError(f"models of three rates have no path at {rate} Hz")
    names = sort_models(own["model"])
    rows, columns = grid_of(len(names), 2)
    with style():
        figure, axes = new_figure(rows, columns, height=1.75 * rows + 1.2, sharex=True, sharey=True)
        for axis, name in zip(axes.ravel(), names, strict=False):
            line = own[own["model"] == name].sort_values("time")
            dimension = _belief_panel(axis, line)
            axis.set_title(model_label(name))
        label_outer(axes, len(names), "time [s]", state_label(dimension, env))
        shared_legend(figure, axes, columns=3)
    held = pd.Series({name: _held(rows) for name, rows in own.groupby("model")})
    caption = (
        f"{env}: one start of one seed, n = 1, at {rate} Hz: a second is known (gray), then the model goes on by "
        f"itself; its mean and a band of {SPREAD:g} standard deviations on each side, and the truth. Over all that is "
        f"shown the band of {model_label(str(held.idxmax()))} holds {number_text(100 * held.max())} % of the truth and "
        f"that of {model_label(str(held.idxmin()))} {number_text(100 * held.min())} % ({env})."
    )
    return Drawing(figure, caption, f"Long predictions with their bands on {env}, a panel per model.", own)


def live_belief(axis: Axes, rows: pd.DataFrame, table: pd.DataFrame) -> str:
    """Draw one long prediction with its band.

    Args:
        axis: Empty axes.
        rows: Of `imagined_paths`: one arm, rate, seed and start.
        table: All of them.
    """
    env, rows = str(rows["env"].iloc[0]), rows.sort_values("time")
    dimension = _belief_panel(axis, rows)
    true = table[f"{dimension}_true"]
    margin = max(0.3 * float(np.ptp(true)), 1e-3)
    axis.set(xlabel="time [s]", ylabel=state_label(dimension, env), ylim=(true.min() - margin, true.max() + margin))
    axis.legend()
    return (
        f"The band of {SPREAD:g} standard deviations holds {number_text(100 * _held(rows))} % of the truth over "
        f"{rows['time'].max():.3g} s ({env}, n = 1 start)."
    )


def _belief_panel(axis: Axes, rows: pd.DataFrame) -> str:
    env = str(rows["env"].iloc[0])
    name, _ = state_plane([column.removesuffix("_true") for column in rows if column.endswith("_true")], env)
    ahead = rows[rows["time"] > 0]
    axis.axvspan(rows["time"].min(), 0, color=NEUTRAL["grid"], alpha=0.6, linewidth=0, zorder=0)
    axis.plot(rows["time"], rows[f"{name}_true"], color=NEUTRAL["text"], linewidth=1.8, alpha=0.8, label="truth")
    width = SPREAD * ahead[f"{name}_spread"]
    axis.fill_between(ahead["time"], ahead[name] - width, ahead[name] + width, color=COLORS[0], alpha=0.22, linewidth=0)
    axis.plot(ahead["time"], ahead[name], color=COLORS[0], linewidth=1.1, label="mean and band")
    return name


def _held(rows: pd.DataFrame) -> float:
    """Share of true values within the band, of the dimension that is drawn."""
    ahead, env = rows[rows["time"] > 0], str(rows["env"].iloc[0])
    name, _ = state_plane([column.removesuffix("_true") for column in rows if column.endswith("_true")], env)
    off = (ahead[f"{name}_true"] - ahead[name]).abs()
    return float((off <= SPREAD * ahead[f"{name}_spread"]).mean())
