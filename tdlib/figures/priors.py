"""Do models that know mechanics carry over: errors inside and outside of the training rates, energy beside error."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from tdlib.core.facts import MIXED
from tdlib.figures.physics import COLORS, look_of
from tdlib.figures.save import Drawing
from tdlib.figures.selection import main_model
from tdlib.figures.style import (
    NEUTRAL,
    NothingToDrawError,
    model_label,
    new_figure,
    plain_log_axis,
    span_text,
    style,
)
from tdlib.figures.words import interval_text, seeds_text

SHOWN = {"multi_resolution": "scaled_concat", "ode": "rk4"}  # method -> form of the arms that are set side by side
FLOOR, CEILING = 1e-3, 10.0  # values beyond are drawn there
ROOM = 2.0  # around the means; intervals of few seeds run out of the panel


def several_rates(statistics: pd.DataFrame) -> pd.DataFrame:
    """Keep the arms of several rates, one per model, in their main form and size."""
    kept = (statistics["train_frequency"] == MIXED) & (statistics["size"] == "hidden64")
    kept &= statistics["form"] == statistics["method"].map(SHOWN)
    return statistics[kept & (statistics["data"] == "transitions")]


def draw_priors(statistics: pd.DataFrame, inside: str, outside: tuple[str, str]) -> Drawing:
    """Draw one-step errors of the models of several rates, one panel per system.

    Args:
        statistics: Rows of `statistics.csv`, the limits of hidden parameters among them.
        inside: A test rate between those of training.
        outside: Test rates beyond them.

    Raises:
        NothingToDrawError: If models of several rates were not measured at these rates.
    """
    rates = [outside[0], inside, outside[1]]
    errors = statistics[statistics["metric"] == "one_step.relative_error"]
    chosen = several_rates(errors)
    chosen = chosen[chosen["test_frequency"].isin(rates)]
    if chosen.empty:
        raise NothingToDrawError("models of several rates were not measured at these rates")
    hidden = statistics[statistics["metric"] == "limit.hidden_parameters"]
    models, systems = list(dict.fromkeys(chosen["model"])), list(dict.fromkeys(chosen["env"]))
    with style():
        figure, axes = new_figure(
            len(systems), 1, height=(0.19 * len(models) + 0.75) * len(systems) + 0.6, sharex=True, sharey=True
        )
        for axis, env in zip(axes[:, 0], systems, strict=True):
            floor = hidden[(hidden["env"] == env) & (hidden["test_frequency"] == inside)]["mean"]
            if len(floor) and floor.iloc[0] > 0:
                axis.axvline(floor.iloc[0], color=NEUTRAL["muted"], linestyle="--", linewidth=1.0, zorder=1)
            _draw_models(axis, chosen[chosen["env"] == env], models, rates)
            axis.axvline(1.0, color=NEUTRAL["reference"], linewidth=0.8, zorder=0)
            axis.set_title(env)
        axes[0, 0].set_yticks(range(len(models)), [_name(name) for name in models])
        axes[0, 0].set_ylim(len(models) - 0.4, -0.6)
        axes[-1, 0].set_xscale("log")
        plain_log_axis(axes[-1, 0].xaxis)
        axes[-1, 0].set_xlabel("relative one-step error")
        keys = [
            Line2D([], [], color=color, marker="o", linestyle="", label=f"{rate} Hz")
            for rate, color in zip(rates, COLORS, strict=False)
        ]
        floor_key = Line2D([], [], color=NEUTRAL["muted"], linestyle="--", label="exact flow at the mean parameter")
        figure.legend(handles=[*keys, floor_key], loc="outside lower center", ncols=2)
    caption = (
        f"Relative one-step error of models of several rates, {inside} Hz inside of their range, {outside[0]} and "
        f"{outside[1]} Hz beyond it; means with 95 % t intervals over seeds, n = {span_text(chosen['n_seeds'])} seeds, "
        f"{span_text(chosen['n'] // chosen['n_seeds'])} pairs each. Dashed: the exact flow that knows no more than the "
        f"hidden parameter's mean. At 1 predicting no change is as good. {_best(chosen, inside, outside)}"
    )
    alt = f"Points of one-step error for {len(models)} models on {len(systems)} systems at three test rates."
    return Drawing(figure, caption, alt, chosen)


def draw_energy_beside_error(statistics: pd.DataFrame, rate: str) -> Drawing:
    """Draw the unforced drift of the energy against the error of driven rollouts, a point per model and system.

    Args:
        statistics: Rows of `statistics.csv`.
        rate: Test rate.

    Raises:
        NothingToDrawError: If models of several rates lack one of the numbers.
    """
    at_rate = several_rates(statistics[statistics["test_frequency"] == rate])
    drift = at_rate[(at_rate["metric"] == "energy.scaled_drift") & (at_rate["detail"] == "unforced")]
    error = at_rate[(at_rate["metric"] == "rollout.relative_error") & (at_rate["detail"] == "1")]
    both = drift.merge(error, on=["env", "model"], suffixes=("", "_error"))
    if both.empty:
        raise NothingToDrawError("models of several rates lack a drift of the energy or an error after a second")
    models, systems = list(dict.fromkeys(both["model"])), list(dict.fromkeys(both["env"]))
    points = {name: {**look_of(name), "linestyle": ""} for name in models}
    columns = 2 if len(systems) > 1 else 1
    rows = -(-len(systems) // columns)
    with style():
        figure, axes = new_figure(rows, columns, height=2.2 * rows + 0.9)
        for axis in axes.ravel()[len(systems) :]:
            axis.set_axis_off()
        for axis, env in zip(axes.ravel(), systems, strict=False):
            for _, row in both[both["env"] == env].iterrows():
                x, y = (float(np.clip(row[name], FLOOR, CEILING)) for name in ("mean_error", "mean"))
                ends = [[row["ci_low_error"], row["ci_high_error"]], [row["ci_low"], row["ci_high"]]]
                ends = np.clip(ends, FLOOR, CEILING)
                point = points[row["model"]]
                axis.plot(ends[0], [y, y], color=point["color"], linewidth=1.0, alpha=0.6)
                axis.plot([x, x], ends[1], color=point["color"], linewidth=1.0, alpha=0.6)
                axis.plot(x, y, **point)
            axis.set(title=env, xscale="log", yscale="log")
            own = both[both["env"] == env][["mean_error", "mean"]].clip(FLOOR, CEILING)
            axis.set_xlim(own["mean_error"].min() / ROOM, own["mean_error"].max() * ROOM)
            axis.set_ylim(own["mean"].min() / ROOM, own["mean"].max() * ROOM)
            plain_log_axis(axis.xaxis)
            plain_log_axis(axis.yaxis)
        for axis in axes.ravel()[len(systems) - columns : len(systems)]:  # the lowest of every column
            axis.set_xlabel("error after 1 s, driven")
        for axis in axes[:, 0]:
            axis.set_ylabel("energy drift [σ], unforced")
        keys = [Line2D([], [], **points[name], label=_name(name)) for name in models]
        figure.legend(handles=keys, loc="outside lower center", ncols=3)
    caption = (
        f"Drift of the energy without input and losses, in standard deviations of the starts' energies, against the "
        f"relative error of driven rollouts after a second, at {rate} Hz; means with 95 % t intervals over seeds, n = "
        f"{span_text(both['n_seeds'])} seeds. Lower is better on both axes; points beyond {FLOOR:g} or {CEILING:g} are "
        f"drawn there, and intervals may leave a panel. {_least(both)}"
    )
    alt = f"Energy drift against prediction error: {len(models)} models, a panel for each of {len(systems)} systems."
    return Drawing(figure, caption, alt, both)


def _name(model: str) -> str:
    """Short name of a model; that of the main one, which other figures leave out, too."""
    return model_label(model, short=True) or model


def _draw_models(axis: Axes, rows: pd.DataFrame, models: list[str], rates: list[str]) -> None:
    for _, row in rows.iterrows():
        place = rates.index(row["test_frequency"])
        y, color = models.index(row["model"]) + 0.22 * (place - 1), COLORS[place]
        axis.plot([row["ci_low"], row["ci_high"]], [y, y], color=color, linewidth=1.2)
        axis.plot(row["mean"], y, "o", color=color, markersize=4.5)
    axis.tick_params(axis="y", length=0)


def _best(rows: pd.DataFrame, inside: str, outside: tuple[str, str]) -> str:
    """Say of each system at the coarsest rate which model errs least, beside the network that scales its step."""
    parts = []
    for env, own in rows[rows["test_frequency"] == outside[0]].groupby("env", sort=False):
        network, fields = own[own["model"] == main_model()], own[own["model"] != main_model()]
        if network.empty or not np.isfinite(fields["mean"]).any():
            continue
        first = fields.loc[fields["mean"].idxmin()]
        parts.append(
            f"on {env} {_name(first['model'])} errs least of the others, "
            f"{interval_text(first, 'mean', 'ci')} beside {interval_text(network.iloc[0], 'mean', 'ci')} of the network"
        )
    return f"At {outside[0]} Hz, {'; '.join(parts)} ({seeds_text(rows['n_seeds'].max())})." if parts else ""


def _least(both: pd.DataFrame) -> str:
    """Say of each system which model's energy drifts least, and whether it also errs least."""
    parts = []
    for env, own in both.groupby("env", sort=False):
        if not (np.isfinite(own["mean"]).any() and np.isfinite(own["mean_error"]).any()):
            continue
        calm, right = own.loc[own["mean"].idxmin(), "model"], own.loc[own["mean_error"].idxmin(), "model"]
        words = "errs least too" if calm == right else f"{_name(right)} errs least"
        parts.append(f"on {env} the energy of {_name(calm)} drifts least and {words}")
    return f"By their means, {'; '.join(parts)} ({seeds_text(both['n_seeds'].max())})." if parts else ""
