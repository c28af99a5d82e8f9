"""Models with a memory at other rates: the treatments of time side by side, and what a known past is worth."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from tdlib.core.facts import MIXED
from tdlib.figures.lines import DASHES, MARKERS, label_outer, no_change_line
from tdlib.figures.physics import COLORS
from tdlib.figures.save import Drawing
from tdlib.figures.selection import ARM, default_sizes, main_model, main_rate
from tdlib.figures.style import (
    NEUTRAL,
    NothingToDrawError,
    bad_text,
    counts_text,
    log_rate_axis,
    model_label,
    new_figure,
    over_seeds,
    plain_log_axis,
    shared_legend,
    sort_rates,
    span_text,
    style,
)
from tdlib.figures.words import interval_text, number_text, seeds_text

UNTRAINED = {"baseline": "as it is", "rescaled": "increment rescaled", "warped": "memory warped too"}
CLOCKS = {  # form of several rates -> (what it does with Δt, whether its increment is per Δt)
    "none": ("rows", False),
    "concat": ("Δt input", False),
    "decay": ("decay", False),
    "ode": ("ODE", False),
    "scaled": ("rows", True),
    "scaled_concat": ("Δt input", True),
    "decay_scaled": ("decay", True),
    "ode_scaled": ("ODE", True),
}
CLOCK_COLORS = dict(zip(dict.fromkeys(name for name, _ in CLOCKS.values()), COLORS, strict=False))
OTHERS = ("multi_resolution", "scaled_concat", MIXED)  # the arm of other models that stands beside
DECADES = (0.01, 0.1, 1.0)  # [s]
CROWDED = (25.0,)  # [Hz] no room for its tick
FLOOR, CEILING = 1e-3, 30.0  # values beyond are drawn there


def draw_memories(table: pd.DataFrame, limits: pd.DataFrame, model: str) -> Drawing:
    """Draw relative one-step errors of one model with a memory against test rate, a panel per kind of treatment.

    Args:
        table: one_step_errors of one environment.
        limits: Rows of `limit_curves`; the exact maps of one step, as they are and rescaled, are drawn in gray.
        model: The model with a memory; other models' arms of three rates stand beside in gray.

    Raises:
        NothingToDrawError: If the model was not measured.
    """
    env = str(table["env"].iloc[0])
    table = default_sizes(table[(table["test_set"] == "pooled") & (table["dimension"] == "all")])
    table = table[table["test_frequency"] != "irregular"]
    own = table[table["model"] == model]
    if own.empty:
        raise NothingToDrawError(f"{model_label(model)} is not among what was chosen")
    summary = over_seeds(table, "relative_error", ["env", *ARM, "test_frequency"])
    summary = summary.assign(rate=summary["test_frequency"].astype(float)).sort_values("rate", kind="stable")
    mine, rate = summary[summary["model"] == model], main_rate(own["train_frequency"])
    with style():
        figure, axes = new_figure(2, 2, height=6.4, sharex=True, sharey=True)
        first, second, third, fourth = axes.ravel()
        single = [each for each in dict.fromkeys(mine["train_frequency"]) if each != MIXED]
        for i, trained in enumerate(single):
            rows = mine[(mine["method"] == "baseline") & (mine["train_frequency"] == trained)]
            _line(first, rows, f"of {trained} Hz", color=NEUTRAL["text"], marker=MARKERS[i], dash=DASHES[i % 4])
            _limit(first, limits, "fixed_step", trained)
        for i, (method, words) in enumerate(UNTRAINED.items()):
            rows = mine[(mine["method"] == method) & (mine["train_frequency"] == rate)]
            look = {"color": COLORS[5 + i] if i else NEUTRAL["text"], "marker": MARKERS[3 + i]}
            _line(second, rows, words, **look)
        _limit(second, limits, "rescaled", rate)
        for form, (clock, scaled) in CLOCKS.items():
            rows = mine[(mine["method"] == "multi_resolution") & (mine["form"] == form)]
            axis = fourth if scaled else third
            _line(axis, rows, clock, color=CLOCK_COLORS[clock], marker=MARKERS[[*CLOCK_COLORS].index(clock)])
        for axis in (third, fourth):
            for i, (name, rows) in enumerate(_beside(summary, model).groupby("model", sort=False)):
                _line(axis, rows, model_label(str(name)), color=NEUTRAL["muted"], marker="", dash=DASHES[1 + i % 3])
        titles = ("of one rate", f"of {rate} Hz, without training", "of three rates, per row", "of three rates, per Δt")
        for axis, title in zip(axes.ravel(), titles, strict=True):
            axis.set(title=title, yscale="log")
            no_change_line(axis)
            log_rate_axis(axis, [each for each in sorted(summary["rate"].unique()) if each not in CROWDED])
            plain_log_axis(axis.yaxis)
        label_outer(axes, 4, "test rate [Hz]", "relative error")
        shared_legend(figure, axes)
    caption = (
        f"{env}: relative one-step error of the {model_label(model)} against test rate, by what is done about the "
        f"interval. Lines: means over seeds, bars span the seeds; {counts_text(own)}. Gray: exact maps of one step, as "
        f"they are and rescaled, and other models of three rates in the form {OTHERS[1]}. The line at 1 is predicting "
        f"no change.{bad_text(mine, 'gaps')} {_least_at_ends(mine)}"
    )
    return Drawing(figure, caption, f"Four panels of relative error against test rate on {env}.", summary)


def draw_known_rows(table: pd.DataFrame, model: str) -> Drawing:
    """Draw the one-step error against how much of the past is known, in rows and in seconds, a line per test rate.

    Args:
        table: known_rows of one environment.
        model: The model with a memory, whose arm of three rates that sees Δt and scales its increment is drawn.

    Raises:
        NothingToDrawError: If that arm was not measured.
    """
    method, form, trained = OTHERS
    kept = (table["model"] == model) & (table["method"] == method) & (table["form"] == form)
    own = default_sizes(table[kept & (table["train_frequency"] == trained) & table["past"].str.match(r"\d+ rows$")])
    own = own[own["test_frequency"] != "irregular"]
    if own.empty:
        raise NothingToDrawError(f"{model_label(model)} of three rates is not among what was chosen")
    env, rates = str(own["env"].iloc[0]), sort_rates(own["test_frequency"])
    nominal = own["past"].str.removesuffix(" rows").astype(int)
    own = own.assign(known=nominal, lasted=nominal / own["test_frequency"].astype(float))
    summary = over_seeds(own, "relative_error", ["env", *ARM, "test_frequency", "known", "lasted"])
    with style():
        figure, axes = new_figure(1, 2, height=3.4, sharey=True)
        for i, rate in enumerate(rates):
            rows = summary[summary["test_frequency"] == rate].sort_values("known")
            for axis, column in zip(axes[0], ("known", "lasted"), strict=True):
                shown = rows[rows["lasted"] > 0] if column == "lasted" else rows
                look = {"color": COLORS[i % len(COLORS)], "marker": MARKERS[i % len(MARKERS)]}
                _line(axis, shown.assign(rate=shown[column]), f"at {rate} Hz", **look)
        axes[0, 0].set(xlabel="true rows known", ylabel="relative error", yscale="log")
        axes[0, 0].set_xticks(sorted(own["known"].unique()))
        axes[0, 1].set_xlabel("seconds known")
        log_rate_axis(axes[0, 1], DECADES)
        plain_log_axis(axes[0, 0].yaxis)
        shared_legend(figure, axes, columns=3)
    middle = summary[summary["test_frequency"] == main_rate(rates)].set_index("known")["mean"]
    caption = (
        f"{env}: relative one-step error of the {model_label(model)} of three rates ({form}) against how much of the "
        f"past it is shown before the step, in rows and in seconds; means over seeds, bars span the seeds; "
        f"{counts_text(own)}.{bad_text(summary, 'gaps')} At {main_rate(rates)} Hz the error is "
        f"{number_text(middle.iloc[0])} after {middle.index[0]} and {number_text(middle.iloc[-1])} after "
        f"{middle.index[-1]} rows ({env}, {seeds_text(summary['seeds'].max())})."
    )
    return Drawing(figure, caption, f"Error on {env} against the rows and against the seconds known.", summary)


def draw_treatments(statistics: pd.DataFrame, model: str, rates: Sequence[str], rate: str) -> Drawing:
    """Draw one-step errors of each treatment at three test rates, a panel per system.

    Args:
        statistics: Rows of `statistics.csv`.
        model: The model with a memory.
        rates: The coarsest test rate, one between those of training, and the finest.
        rate: Training rate of what is trained at one.

    Raises:
        NothingToDrawError: If the model was not measured at these rates.
    """
    errors = statistics[(statistics["metric"] == "one_step.relative_error") & statistics["test_frequency"].isin(rates)]
    named = [(rows, words) for rows, words in _treatments(errors, model, rate) if len(rows)]
    if not named:
        raise NothingToDrawError(f"{model_label(model)} was not measured at {', '.join(rates)} Hz")
    chosen = pd.concat([rows.assign(treatment=words) for rows, words in named], ignore_index=True)
    names, systems = [words for _, words in named], list(dict.fromkeys(chosen["env"]))
    height = (0.2 * len(names) + 0.75) * len(systems) + 0.7
    with style():
        figure, axes = new_figure(len(systems), 1, height=height, sharex=True, sharey=True)
        for axis, env in zip(axes[:, 0], systems, strict=True):
            for _, row in chosen[chosen["env"] == env].iterrows():
                place = list(rates).index(row["test_frequency"])
                y, color = names.index(row["treatment"]) + 0.22 * (place - 1), COLORS[place]
                ends = np.clip([row["ci_low"], row["ci_high"]], FLOOR, CEILING)
                axis.plot(ends, [y, y], color=color, linewidth=1.2)
                axis.plot(np.clip(row["mean"], FLOOR, CEILING), y, "o", color=color, markersize=4.5)
            axis.axvline(1.0, color=NEUTRAL["reference"], linewidth=0.8, zorder=0)
            axis.tick_params(axis="y", length=0)
            axis.set_title(env)
        axes[0, 0].set_yticks(range(len(names)), names)
        axes[0, 0].set_ylim(len(names) - 0.4, -0.6)
        axes[-1, 0].set_xscale("log")
        plain_log_axis(axes[-1, 0].xaxis)
        axes[-1, 0].set_xlabel("relative one-step error")
        keys = [
            Line2D([], [], color=color, marker="o", linestyle="", label=f"{each} Hz")
            for each, color in zip(rates, COLORS, strict=False)
        ]
        figure.legend(handles=keys, loc="outside lower center", ncols=3)
    caption = (
        f"Relative one-step error at {rates[1]} Hz, between the training rates, and at the coarsest and the finest "
        f"test rate, {rates[0]} and {rates[2]} Hz; means with 95 % t intervals over seeds, n = "
        f"{span_text(chosen['n_seeds'])} seeds, {span_text(chosen['n'] // chosen['n_seeds'])} pairs each. What is of "
        f"one rate is of {rate} Hz. At 1 "
        f"predicting no change is as good. {_least_of(chosen, model, rates[2])}"
    )
    alt = f"Points of one-step error for {len(names)} treatments of time on {len(systems)} systems at three test rates."
    return Drawing(figure, caption, alt, chosen)


def _treatments(errors: pd.DataFrame, model: str, rate: str) -> list[tuple[pd.DataFrame, str]]:
    """Rows and name of each treatment of a model, and of other models of three rates."""
    errors = default_sizes(errors)
    own = errors[errors["model"] == model]
    one, several = own[own["train_frequency"] == rate], own[own["method"] == "multi_resolution"]
    found = [(one[one["method"] == method], words) for method, words in UNTRAINED.items()]
    for form, (clock, scaled) in CLOCKS.items():
        found.append((several[several["form"] == form], f"three rates: {clock}" + ", per Δt" * scaled))
    others = _beside(errors, model)
    return found + [(rows, f"{model_label(str(name))}, three rates") for name, rows in others.groupby("model")]


def _beside(table: pd.DataFrame, model: str) -> pd.DataFrame:
    method, form, trained = OTHERS
    kept = (table["method"] == method) & (table["form"] == form) & (table["train_frequency"] == trained)
    return table[kept & (table["model"] != model)]


def _line(axis: Axes, rows: pd.DataFrame, label: str, *, color: str, marker: str, dash: Any = "") -> None:
    if rows.empty:
        return
    values = rows[["mean", "low", "high"]].clip(FLOOR, CEILING)
    ends = [values["mean"] - values["low"], values["high"] - values["mean"]]
    line = {"linestyle": (0, dash) if dash else "-", "elinewidth": 0.8, "capsize": 1.5}
    axis.errorbar(rows["rate"], values["mean"], yerr=ends, color=color, marker=marker, label=label, **line)


def _limit(axis: Axes, limits: pd.DataFrame, name: str, trained: str) -> None:
    rows = limits[(limits["limit"] == name) & (limits["train_frequency"] == trained)]
    rows = rows.assign(rate=rows["test_frequency"].astype(float)).groupby("rate", as_index=False)
    found = rows["relative_error"].mean()
    found = found[found["relative_error"] > 0]  # at the own rate it is 0
    look = {"color": NEUTRAL["muted"], "linewidth": 1.0, "zorder": 1}
    axis.plot(found["rate"], found["relative_error"].clip(FLOOR, CEILING), **look, label="exact map")


def _least_at_ends(mine: pd.DataFrame) -> str:
    """Say which treatment errs least at the coarsest and at the finest rate."""
    parts = []
    for rate in (mine["rate"].min(), mine["rate"].max()):
        rows = mine[(mine["rate"] == rate) & np.isfinite(mine["mean"])]
        if len(rows):
            row = rows.loc[rows["mean"].idxmin()]
            parts.append(f"at {rate:g} Hz {_words(row)}, {number_text(row['mean'])}")
    told = f"{mine['env'].iloc[0]}, {seeds_text(mine['seeds'].max())}"
    return f"By their means the least error is {' and '.join(parts)} ({told})."


def _words(row: pd.Series) -> str:
    """Name an arm by its treatment."""
    if row["method"] == "multi_resolution":
        clock, scaled = CLOCKS[row["form"]]
        return f"that of three rates ({clock}" + ", per Δt" * scaled + ")"
    return f"that of {row['train_frequency']} Hz ({UNTRAINED[row['method']]})"


def _least_of(chosen: pd.DataFrame, model: str, rate: str) -> str:
    """Say of each system at one rate which treatment errs least, beside the main model without a memory."""
    parts = []
    for env, rows in chosen[chosen["test_frequency"] == rate].groupby("env", sort=False):
        own, other = rows[rows["model"] == model], rows[rows["model"] == main_model()]
        if other.empty or not np.isfinite(own["mean"]).any():
            continue
        first = own.loc[own["mean"].idxmin()]
        parts.append(
            f"on {env} {first['treatment']} errs least, {interval_text(first, 'mean', 'ci')} beside "
            f"{interval_text(other.iloc[0], 'mean', 'ci')} without a memory"
        )
    return f"At {rate} Hz, {'; '.join(parts)} ({seeds_text(chosen['n_seeds'].max())})." if parts else ""
