"""Predicted pictures: errors over time and over rates beside what knows no motion, and the pictures themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from tdlib.figures.save import Drawing
from tdlib.figures.style import (
    METHOD_COLORS,
    NEUTRAL,
    NothingToDrawError,
    log_rate_axis,
    new_figure,
    shared_legend,
    sort_rates,
    span_text,
    style,
)
from tdlib.figures.visual_words import (
    CODES,
    IN_TABLES,
    LARGE,
    MODEL,
    PICTURED,
    back_text,
    gains_text,
    name_of,
    unbeaten_text,
    with_names,
    worst_text,
)
from tdlib.figures.words import number_text, seeds_text

COLORS = {  # predictor -> the method whose color it has, one for each kind
    "spatial_jump": "baseline", "latent_mlp": "baseline", "spatial_lstm": "multi_resolution",
    "latent_lstm": "multi_resolution", "spatial_ode": "dt_conditioned", "latent_ode": "dt_conditioned",
    "spatial_newtonian": "rescaled", "latent_newtonian": "rescaled", "spatial_hamiltonian": "ode",
    "latent_hamiltonian": "ode",
}  # fmt: skip
FOUNDED = {"mean_energy": (0, (5, 2, 1, 2, 1, 2)), "raw_kl": (0, (2, 2))}  # settings that let latents collapse -> lines
APART = (LARGE, *FOUNDED)  # not drawn among the others
BASELINES: dict[str, dict[str, Any]] = {
    "mean_image": {"color": NEUTRAL["muted"], "linestyle": (0, (4, 1.5)), "label": "mean image"},
    "copy_last": {"color": NEUTRAL["text"], "linestyle": ":", "label": "copy of the last frame"},
}
ASKED = {  # what a model can be asked -> marker and words
    "model_reconstruction": ("|", "true frames encoded and decoded"),
    "model_teacher_forced": ("o", "one step from true frames"),
    MODEL: ("D", "open loop"),
}
BACK = {"model_back": ("<", "back from the end")}  # of what integrates a field
KNOWN = {"copy_last": ("x", "copy of the last frame"), "mean_image": ("+", "mean image")}
SHOWN_FRAMES, SHOWN_MODELS = 5, 6
BRIGHTER = 4  # errors of models that have learned are dim
FRAME_POINTS = 13  # side of a small picture [pt]: at 20 Hz they stand side by side


@dataclass(frozen=True)
class Strip:
    """One motion in pictures.

    Args:
        key: Key columns of the model that predicts it.
        times: (T,) since the start [s].
        truth: (T, C, H, W) in [0, 1].
        predicted: The same shape.
        baselines: What the baselines predict by name, each of that shape.
    """

    key: Mapping[str, Any]
    times: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray
    baselines: Mapping[str, np.ndarray]


def look_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Color by kind of predictor, line by kind of latent; models of states are black."""
    if row["model"] != PICTURED:
        line = "-" if row["method"] == "baseline" else (0, (5, 1, 1, 1))
        return {"color": METHOD_COLORS["oracle"], "linestyle": line, "linewidth": 1.0}
    color = METHOD_COLORS[COLORS[row["form"]]]
    if row["method"] == CODES:
        return {"color": color, "linestyle": (0, (1, 1))}
    if row["method"] in FOUNDED:
        return {"color": color, "linestyle": FOUNDED[row["method"]]}
    return {"color": color, "linestyle": "-" if row["form"].startswith("spatial") else (0, (3, 1))}


def with_words(table: pd.DataFrame | None) -> pd.DataFrame | None:
    """Add the column `steps`: in words, what is predicted in a row of `visual_dt_generalization`, if there is one."""
    return None if table is None else table.assign(steps=table["prediction"].map(IN_TABLES))


def draw_motions(images: Mapping[str, tuple[np.ndarray, np.ndarray]], env: str) -> Drawing:
    """Draw one motion as a camera of each rate sees it.

    Args:
        images: Rate -> times [s] (F,), the start at 0, and frames (F, C, H, W) in [0, 1].
        env: System.
    """
    rates = sort_rates(list(images))
    first, last = min(times[0] for times, _ in images.values()), 0.5
    with style():
        figure, axes = new_figure(len(rates), 1, height=0.6 + 0.36 * len(rates), sharex=True)
        for axis, rate in zip(axes[:, 0], rates, strict=True):
            times, frames = images[rate]
            kept = times <= last + 1e-6
            for time, frame in zip(times[kept], frames[kept], strict=True):
                small = OffsetImage(picture(frame), zoom=FRAME_POINTS / frame.shape[-1])
                axis.add_artist(AnnotationBbox(small, (time, 0.5), frameon=False, pad=0))
            axis.set(xlim=(first - 0.05, last + 0.05), ylim=(0, 1), yticks=[])
            axis.set_ylabel(f"{rate} Hz", rotation=0, ha="right", va="center")
            axis.grid(visible=False)
        axes[-1, 0].set_xlabel("time since the start [s]")
    caption = (
        f"{env}: one motion seen at {len(rates)} rates, n = 1; the first frame of each row is the one before the "
        f"start. An encoder reads the velocity off the first two frames of a row: at {rates[0]} Hz the ball moves "
        f"{number_text(float(rates[-1]) / float(rates[0]))} times as long between them as at {rates[-1]} Hz."
    )
    return Drawing(figure, caption, f"Rows of small pictures of {env}, one row per camera rate, on a common time axis.")


def draw_visual_curves(table: pd.DataFrame) -> Drawing:
    """Draw the validation loss of predictors that are trained end to end.

    Args:
        table: Rows step, val_loss with the columns of arms and seed.

    Raises:
        NothingToDrawError: If none was.
    """
    table = table[table["method"].str.startswith("hgn") & table["val_loss"].notna()] if len(table) else table
    if table.empty:
        raise NothingToDrawError("no predictor was trained end to end")
    with style():
        figure, axes = new_figure()
        for _, rows in table.groupby(["method", "form"], sort=False):
            first = rows.iloc[0]
            thin = 0.8 if first["method"] == LARGE else 1.4
            _band(axes[0, 0], rows, "step", "val_loss", {**look_of(first), "label": name_of(first), "linewidth": thin})
        axes[0, 0].set(yscale="log", xlabel="optimizer step", ylabel="validation loss per value")
        shared_legend(figure, axes)
    last = table.groupby(["method", "form"])["val_loss"].min()
    best, env = last.idxmin(), table["env"].iloc[0]
    caption = (
        f"{env}: squared error per value of whole clips, and the divergence of their first latent, on held-out "
        f"sequences; means over n = {seeds_text(table['seed'].nunique())}, bands from the least to the largest. The "
        f"least is {number_text(last.min())}, of {best[1].replace('_', ' ')}."
    )
    return Drawing(figure, caption, f"Validation loss of {len(last)} predictors of pictures of {env}.", table)


def draw_visual_metrics(table: pd.DataFrame) -> Drawing:
    """Draw the squared error of predicted pictures against time, a row of panels per system.

    Args:
        table: Rows of `visual_metrics`.

    Raises:
        NothingToDrawError: If nothing was scored over time.
    """
    table = table[table["time"].notna()]
    table = table[~table["method"].isin(APART)]
    if table.empty:
        raise NothingToDrawError("nothing was scored over time")
    systems, groups = list(dict.fromkeys(table["env"])), [("spatial", "maps"), ("latent", "vectors")]
    with style():
        figure, axes = new_figure(len(systems), 2, height=2.1 * len(systems) + 1.5, sharex=True, sharey="row")
        for row, env in zip(axes, systems, strict=True):
            for axis, (begins, words) in zip(row, groups, strict=True):
                own = table[(table["env"] == env)]
                seen = (own["model"] != PICTURED) | own["form"].str.startswith(begins)
                _lines(axis, own[seen], "time", "mse")
                axis.set(title=f"{env}: {words}", yscale="log")
            row[0].set_ylabel("MSE per value")
        for axis in axes[-1]:
            axis.set_xlabel("time [s]")
            axis.xaxis.set_major_locator(MaxNLocator(4))
        shared_legend(figure, axes)
    last = table[table["time"] == table["time"].max()]
    caption = (
        f"Mean squared error per value of pictures predicted open loop, at the rate of training; means over n = "
        f"{seeds_text(table['seed'].nunique())}, {span_text(table['n'])} motions each, bands from the least to the "
        f"largest. Models that see the state are drawn by the same camera. {gains_text(last)}"
    )
    alt = f"Squared error of pictures against time for {len(systems)} systems, spatial and flat predictors apart."
    return Drawing(figure, caption, alt, table)


def draw_visual_dt_generalization(table: pd.DataFrame) -> Drawing:
    """Draw the squared error of predicted pictures against the test rate, tests A and B side by side.

    Args:
        table: Rows of `visual_dt_generalization`.

    Raises:
        NothingToDrawError: If there are none.
    """
    table = table[~table["method"].isin(APART) & (table["prediction"].isin([MODEL, *BASELINES]))]
    if table.empty:
        raise NothingToDrawError("nothing was asked at other rates")
    table = table.assign(rate=table["test_frequency"].astype(float))
    systems = list(dict.fromkeys(table["env"]))
    with style():
        figure, axes = new_figure(len(systems), 2, height=2.1 * len(systems) + 2.2, sharex=True, sharey="row")
        for row, env in zip(axes, systems, strict=True):
            for axis, protocol in zip(row, ("A", "B"), strict=True):
                own = table[(table["env"] == env) & (table["protocol"] == protocol)]
                _lines(axis, own, "rate", "mse", marker="o", markersize=3)
                axis.axvline(float(own["train_frequency"].iloc[0]), color=NEUTRAL["grid"], linewidth=3, zorder=0)
                axis.set(title=f"{env}: test {protocol}", yscale="log")
                log_rate_axis(axis, sorted(own["rate"].unique()))
            row[0].set_ylabel("MSE per value")
        for axis in axes[-1]:
            axis.set_xlabel("test rate [Hz]")
        shared_legend(figure, axes)
    caption = (
        f"Mean squared error per value over {span_text(table['horizon'])} s of pictures, against the test rate; means "
        f"over n = {seeds_text(table['seed'].nunique())}, {span_text(table['n'])} motions each, bands from the least "
        f"to the largest. In test A the known frames are as far apart as in training, in test B as those asked for. "
        f"The gray line is the rate of training. {worst_text(table)}"
    )
    alt = f"Squared error of pictures against the test rate, in two tests, for {len(systems)} systems."
    return Drawing(figure, caption, alt, table)


def draw_where(table: pd.DataFrame, rates: Sequence[str]) -> Drawing:
    """Draw what is lost by the camera, by one step, by all steps and on the way back, frames at the rate asked for.

    Args:
        table: Rows of `visual_dt_generalization`.
        rates: Test rates, a panel each; that of training first.

    Raises:
        NothingToDrawError: If none of the models of pictures was asked at these rates.
    """
    causes = unbeaten_text(table)
    kept = (table["protocol"] == "B") & (table["model"] == PICTURED) & table["prediction"].isin([*ASKED, *BACK, *KNOWN])
    table = table[kept & table["test_frequency"].isin(list(rates)) & ~table["method"].isin(APART)]
    if table.empty:
        raise NothingToDrawError("none of the models of pictures was asked at these rates")
    rates = [rate for rate in rates if (table["test_frequency"] == rate).any()]
    table = with_names(table)
    names = {env: list(dict.fromkeys(own["name"])) for env, own in table.groupby("env", sort=False)}
    colors = {name: METHOD_COLORS[COLORS[form]] for name, form in zip(table["name"], table["form"], strict=True)}
    mean = table.groupby(["test_frequency", "env", "name", "prediction"])["mse"].mean()
    with style():
        figure, axes = new_figure(
            len(names), len(rates), height=1.9 + 0.26 * sum(map(len, names.values())), sharex=True, sharey="row",
            gridspec_kw={"height_ratios": [1.3 + len(own) for own in names.values()]},
        )  # fmt: skip
        for line, (env, own) in zip(axes, names.items(), strict=True):
            for axis, rate in zip(line, rates, strict=True):
                for place, name in enumerate(own):
                    found, color = mean[rate, env, name], colors[name]
                    axis.plot([found[key] for key in ASKED], [place] * len(ASKED), color=color, linewidth=1)
                    for key, (marker, _) in ASKED.items():
                        axis.plot(found[key], place, marker, color=color, markersize=9 if marker == "|" else 4)
                    for key, (marker, _) in BACK.items():
                        axis.plot(found.get(key, np.nan), place, marker, color=color, markersize=4, fillstyle="none")
                    for key, (marker, _) in KNOWN.items():
                        axis.plot(found[key], place, marker, color=NEUTRAL["text"], markersize=4)
                axis.set(title=f"{rate} Hz", xscale="log")
                axis.xaxis.set_major_locator(LogLocator(numticks=4))
                axis.xaxis.set_minor_formatter(NullFormatter())
            line[0].set_yticks(range(len(own)), own)
            line[0].set_ylim(len(own) - 0.5, -0.5)
            line[0].set_ylabel(env)
        axes[-1, len(rates) // 2].set_xlabel("MSE per value")
        named = [*ASKED.values(), *(BACK.values() if mean.index.isin([*BACK], level=3).any() else ()), *KNOWN.values()]
        marks = [Line2D([], [], color=NEUTRAL["text"], marker=m, linestyle="", label=w) for m, w in named]
        figure.legend(handles=marks, loc="outside lower center", ncols=2)
    share = mean.unstack("prediction")
    steps = share[MODEL] / share["model_teacher_forced"]
    largest = steps.idxmax()
    caption = (
        f"What is lost where: by encoding and decoding, by one step from true frames, and by all steps, when frames "
        f"come at the rate that is asked for; means over n = {seeds_text(table['seed'].nunique())}. "
        f"{back_text(share)}From one step to "
        f"all of them most is lost on {largest[1]} by {largest[2]} at {largest[0]} Hz, "
        f"{number_text(steps.max())} times. {causes}"
    )
    alt = f"Three errors and a baseline of each model at {len(rates)} rates, as points on a line each."
    return Drawing(figure, caption, alt, table)


def draw_visual_rollouts(strips: Sequence[Strip]) -> Drawing:
    """Draw one motion: true frames, predicted ones, and their absolute difference.

    Args:
        strips: One per model.

    Raises:
        NothingToDrawError: If there is none.
    """
    if not strips:
        raise NothingToDrawError("none of the models that were chosen reads pictures")
    strips = [strip for strip in strips if strip.truth.shape == strips[0].truth.shape][:SHOWN_MODELS]
    count = min(SHOWN_FRAMES, len(strips[0].times))
    places = np.linspace(0, len(strips[0].times) - 1, count).round().astype(int)
    rows = [("truth", strips[0].truth)]
    rows += [(IN_TABLES[name], frames) for name, frames in strips[0].baselines.items()]
    for strip in strips:
        rows += [(name_of(strip.key), strip.predicted), (f"|error| × {BRIGHTER}", BRIGHTER * np.abs(strip.predicted - strip.truth))]
    with style():
        figure, axes = new_figure(len(rows), count, height=0.4 + 0.55 * len(rows))
        for line, (name, frames) in zip(axes, rows, strict=True):
            for axis, place in zip(line, places, strict=True):
                axis.imshow(picture(frames[place]), vmin=0, vmax=1)
                axis.set(xticks=[], yticks=[])
                axis.grid(visible=False)
                axis.spines[:].set_visible(False)
            line[0].set_ylabel(name, rotation=0, ha="right", va="center")
        for axis, place in zip(axes[0], places, strict=True):
            axis.set_title(f"{strips[0].times[place]:.2g} s")
    errors = {name_of(strip.key): float(((strip.predicted - strip.truth) ** 2).mean()) for strip in strips}
    best, env = min(errors, key=errors.__getitem__), strips[0].key["env"]
    caption = (
        f"{env}: one motion of the first seed predicted open loop at {strips[0].key['test_frequency']} Hz, n = 1 "
        f"motion: true frames, those of the baselines, predicted ones, and below each its absolute difference, {BRIGHTER} times as bright. "
        f"The squared error of this motion is least for {best}, {number_text(errors[best])} per value."
    )
    return Drawing(figure, caption, f"Rows of small pictures of {env}: the truth, and {len(strips)} predictions.")


def live_visual(axis: Axes, rows: pd.DataFrame, table: pd.DataFrame) -> str:
    """Draw the squared error of one model's pictures against time, beside the baselines of the same motions.

    Args:
        axis: Empty axes.
        rows: Of `visual_metrics`, one arm and seed.
        table: Those of all.
    """
    rows = rows[rows["time"].notna()]
    known = table[table["time"].notna()]["mse"]
    _lines(axis, rows, "time", "mse")
    axis.set_yscale("log")
    axis.set(xlabel="time [s]", ylabel="MSE per value", ylim=(0.5 * known.min(), 2 * known.max()))
    axis.legend()
    last = rows[rows["time"] == rows["time"].max()].set_index("prediction")["mse"]
    return (
        f"After {rows['time'].max():.3g} s the squared error is {number_text(last[MODEL] / last['copy_last'])} times "
        f"that of a copy of the last frame ({rows['env'].iloc[0]}, n = {rows['n'].iloc[0]} motions)."
    )


def live_visual_rates(axis: Axes, rows: pd.DataFrame, table: pd.DataFrame) -> str:
    """Draw the squared error of one model's pictures against the test rate, beside the baselines.

    Args:
        axis: Empty axes.
        rows: Of `visual_dt_generalization`, one arm and test.
        table: Those of all.
    """
    rows = rows.assign(rate=rows["test_frequency"].astype(float))
    rows = rows[rows["prediction"].isin([MODEL, *BASELINES])]
    _lines(axis, rows, "rate", "mse", marker="o")
    axis.set_yscale("log")
    log_rate_axis(axis, sorted(rows["rate"].unique()))
    known = table["mse"]
    axis.set(xlabel="test rate [Hz]", ylabel="MSE per value", ylim=(0.5 * known.min(), 2 * known.max()))
    axis.legend()
    mean = rows[rows["prediction"] == MODEL].groupby("rate")["mse"].mean()
    return (
        f"The squared error is largest at {mean.idxmax():g} Hz, {number_text(mean.max() / mean.min())} times the least "
        f"({rows['env'].iloc[0]}, n = {seeds_text(rows['seed'].nunique())})."
    )


def _lines(axis: Axes, table: pd.DataFrame, x: str, y: str, **look: Any) -> None:
    """Draw each arm's mean over seeds with a band from least to largest, and the baselines once."""
    for _, rows in table[table["prediction"] == MODEL].groupby(["model", "method", "form"], sort=False):
        first = rows.iloc[0]
        _band(axis, rows, x, y, {**look_of(first), "label": name_of(first), **look})
    for name, own in BASELINES.items():
        rows = table[table["prediction"] == name]
        if len(rows):
            _band(axis, rows, x, y, {**own, **look, "marker": ""})


def _band(axis: Axes, rows: pd.DataFrame, x: str, y: str, look: Mapping[str, Any]) -> None:
    found = rows.groupby(x)[y].agg(["mean", "min", "max"])
    axis.plot(found.index, found["mean"], **look)
    axis.fill_between(found.index, found["min"], found["max"], color=look["color"], alpha=0.12, linewidth=0)


def picture(frame: np.ndarray) -> np.ndarray:
    """(C, H, W) in [0, 1] -> (H, W, 3)."""
    shown = np.broadcast_to(np.moveaxis(frame, 0, -1), (*frame.shape[1:], 3))
    return np.clip(shown, 0.0, 1.0)
