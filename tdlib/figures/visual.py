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

from tdlib.evaluation.visual import CAUSES, unbeaten
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
from tdlib.figures.words import number_text, seeds_text

MODEL = "model"
PICTURED = "visual_world_model"  # the family whose arms are named by their predictor
COLORS = {  # predictor -> the method whose color it has, one for each kind
    "spatial_jump": "baseline", "latent_mlp": "baseline", "spatial_lstm": "multi_resolution",
    "latent_lstm": "multi_resolution", "spatial_ode": "dt_conditioned", "latent_ode": "dt_conditioned",
    "spatial_newtonian": "rescaled", "latent_newtonian": "rescaled", "spatial_hamiltonian": "ode",
    "latent_hamiltonian": "ode",
}  # fmt: skip
LARGE, CODES = "hgn_64px", "vqvae"
FOUNDED = {"mean_energy": (0, (5, 2, 1, 2, 1, 2)), "raw_kl": (0, (2, 2))}  # settings that let latents collapse -> lines
APART = (LARGE, *FOUNDED)  # not drawn among the others
NAMED = {LARGE: "64 px", CODES: "codes", "mean_energy": "energy averaged", "raw_kl": "divergence undivided"}
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
IN_TABLES = {  # what is predicted -> words above a column
    MODEL: "open loop", "model_repeated": "repeated", "model_teacher_forced": "one step",
    "model_reconstruction": "none", "copy_last": "copy of last", "mean_image": "mean image", "model_back": "back",
    "copy_last_back": "copy, back",
}  # fmt: skip
WHERE = ("protocol", "test_frequency")
SHOWN_FRAMES, SHOWN_MODELS = 5, 6
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


def name_of(row: Mapping[str, Any]) -> str:
    """Name an arm for a legend: its predictor, or that it sees the state."""
    if row["model"] != PICTURED:
        return f"sees the state: {row['model']}"
    own = NAMED.get(row["method"])
    return row["form"].replace("_", " ") + (f", {own}" if own else "")


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
        f"largest. Models that see the state are drawn by the same camera. {_gains(last)}"
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
        f"The gray line is the rate of training. {_worst(table)}"
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
    causes = _unbeaten(table)
    kept = (table["protocol"] == "B") & (table["model"] == PICTURED) & table["prediction"].isin([*ASKED, *BACK, *KNOWN])
    table = table[kept & table["test_frequency"].isin(list(rates)) & ~table["method"].isin(APART)]
    if table.empty:
        raise NothingToDrawError("none of the models of pictures was asked at these rates")
    rates = [rate for rate in rates if (table["test_frequency"] == rate).any()]
    table = _named(table)
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
        f"{_found_back(share)}From one step to "
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
        rows += [(name_of(strip.key), strip.predicted), ("|error|", np.abs(strip.predicted - strip.truth))]
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
        f"motion: true frames, those of the baselines, predicted ones, and below each its absolute difference. The "
        f"squared error of this motion is least for {best}, {number_text(errors[best])} per value."
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


def _named(table: pd.DataFrame) -> pd.DataFrame:
    """Add the column `name`, what an arm is called in legends."""
    keys = ["model", "method", "form"]
    names = {tuple(key): name_of(dict(zip(keys, key, strict=True))) for key in table[keys].drop_duplicates().to_numpy()}
    return table.assign(name=[names[key] for key in zip(*(table[key] for key in keys), strict=True)])


def _ratios(table: pd.DataFrame) -> pd.DataFrame:
    """Mean squared errors of models of pictures over those of a copy of the last frame, by system and arm."""
    seen = _named(table[table["model"] == PICTURED])
    keys = ["env", "name"]
    mean = seen.groupby([*keys, "prediction"], sort=False)["mse"].mean().unstack("prediction")
    return mean.assign(ratio=mean[MODEL] / mean["copy_last"]).reset_index()


def _gains(last: pd.DataFrame) -> str:
    """Say of each system which model of pictures errs least, beside a copy of the last frame."""
    if not (last["model"] == PICTURED).any():
        return "None of them reads pictures."
    found = _ratios(last)
    parts = []
    for env, own in found.groupby("env", sort=False):
        best = own.loc[own["ratio"].idxmin()]
        parts.append(f"on {env} {best['name']} errs {number_text(best['ratio'])} times")
    text = " and ".join(parts)
    return f"At the end {text} what a copy of the last frame does."


def with_causes(table: pd.DataFrame | None) -> pd.DataFrame | None:
    """Return the tests in which a copy of the last frame is not beaten, with arms and causes in words.

    Args:
        table: Rows of `visual_dt_generalization`, if there are any.
    """
    if table is None:
        return None
    found = _named(unbeaten(table))
    return found.assign(cause=found["cause"].map(CAUSES))[["env", "name", *WHERE, "ratio", "cause"]]


def _unbeaten(table: pd.DataFrame) -> str:
    """Say which models of pictures do not beat a copy of the last frame at the rate of training, and why."""
    own = table[table["test_frequency"] == table["train_frequency"]]
    found = with_causes(own[own["protocol"] == "B"])
    if found is None or found.empty:
        return "At the rate of training each model of pictures errs less than a copy of the last frame."
    alike = found.groupby(["env", "cause"], sort=False)["name"]
    parts = [f"on {env} by {'; '.join(names)} ({cause})" for (env, cause), names in alike]
    return f"At the rate of training a copy of the last frame is not beaten {', '.join(parts)}."


def _found_back(share: pd.DataFrame) -> str:
    """Say how much more fields err on the way back, at the median of them; nothing where none ran back."""
    if "model_back" not in share or (ratio := (share["model_back"] / share[MODEL]).dropna()).empty:
        return ""
    return f"Run back from the end, fields err {number_text(ratio.median())} times as much, at their median. "


def _worst(table: pd.DataFrame) -> str:
    """Say at which rate, and in which test, models of pictures err most beside their own rate."""
    seen = table[(table["model"] == PICTURED) & (table["prediction"] == MODEL)]
    if seen.empty:
        return "None of them reads pictures."
    mean = seen.groupby(["env", "protocol", "test_frequency"])["mse"].mean()
    env, protocol, rate = mean.idxmax()
    return f"On the mean over models of pictures the error is largest on {env} in test {protocol} at {rate} Hz."
