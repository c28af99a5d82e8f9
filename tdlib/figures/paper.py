"""Figures 1 to 5 of the founding document, over all environments of a run."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from tdlib.core.facts import LOG_FORMS, POOLED, SECONDS, TRANSITIONS, data_of, part_of_data
from tdlib.figures.conclusions import conclusion, main_test_rate
from tdlib.figures.control import control_conclusion, episode_counts, episode_means, limited_text, seed_means
from tdlib.figures.heatmaps import draw_error_matrices
from tdlib.figures.horizon import CEILING, FLOOR, draw_rollout_lines, enough_starts, starts_text
from tdlib.figures.lines import arm_looks, draw_lines, grid_of, no_change_line
from tdlib.figures.save import Drawing
from tdlib.figures.selection import ARM, forms_text, key_arms, main_model, matrix_arms, name_arms, pick, rates_in
from tdlib.figures.state_space import draw_state_space
from tdlib.figures.style import (
    METHOD_COLORS,
    METHOD_LABELS,
    NEUTRAL,
    NothingToDrawError,
    bad_text,
    counts_text,
    log_rate_axis,
    method_style,
    new_figure,
    over_seeds,
    shared_legend,
    sort_rates,
    style,
)

ABLATION_AXES = {
    "size of the network": "hidden layers",
    "kind of data": "every arm has equally many",
    "amount of data": "share of the data",
    "training rates": "Δt of the training set",
}
SHARED = (  # arms that are trained on shares of the data, and a rate off their own
    ("baseline", "none", "20", "50"),
    ("dt_conditioned", "scaled_concat", "20", "50"),
    ("multi_resolution", "scaled_concat", "mixed", "33.3"),
)
SIZES = ("hidden64", "small", "medium", "large")


def draw_figure1(table: pd.DataFrame) -> Drawing:
    """Figure 1: heat maps of the relative error, training rate × test rate, for each method and environment.

    Args:
        table: one_step_errors of all environments.
    """
    return draw_error_matrices(table, matrix_arms())


def draw_figure2(table: pd.DataFrame) -> Drawing:
    """Figure 2: rollout error against time for the key arms.

    Args:
        table: rollout_errors of all environments.
    """
    table = table[(table["dimension"] == "all") & ~table["truncated"]]
    chosen = name_arms(pick(table[table["test_frequency"].isin(rates_in(table["test_frequency"]))], key_arms()))
    keys = ["env", *ARM, "arm", "test_frequency", "truncated", "time"]
    chosen = enough_starts(chosen, keys)
    summary = over_seeds(chosen, "relative_error", keys)
    envs, rates = list(dict.fromkeys(summary["env"])), sort_rates(summary["test_frequency"])
    with style():
        figure, axes = new_figure(len(envs), len(rates), height=1.75 * len(envs) + 1.0, sharex=True, sharey=True)
        looks = arm_looks(chosen)
        for row, env in zip(axes, envs, strict=True):
            for axis, rate in zip(row, rates, strict=True):
                rows = chosen[(chosen["env"] == env) & (chosen["test_frequency"] == rate)]
                draw_rollout_lines(axis, rows, looks, legend=axis is axes[0, 0])
                axis.set_title(f"{rate} Hz")
            row[0].set_ylabel(f"{env}\nrelative error")
        for axis in axes[-1]:
            axis.set_xlabel("time [s]")
        shared_legend(figure, axes)
    rate, end = main_test_rate(rates), summary["time"].max()
    last = summary[(summary["test_frequency"] == rate) & np.isclose(summary["time"], end)]
    caption = (
        f"Relative error of open-loop rollouts against time at {len(rates)} test rates (columns), all rollouts counted "
        f"to the end; means over seeds, bands span the seeds, {starts_text(chosen)}. The gray line is predicting no "
        f"change; errors are cut at {FLOOR:g} and {CEILING:g}.{forms_text(chosen, key_arms())}{bad_text(summary)} "
        f"{conclusion(last, place=f'After {end:g} s at {rate} Hz')}"
    )
    alt = f"Rollout error against time for {chosen['arm'].nunique()} arms in {len(envs)} environments."
    return Drawing(figure, caption, alt, summary)


def draw_figure3(table: pd.DataFrame) -> Drawing:
    """Figure 3: control performance of the key arms against control rate.

    Args:
        table: control_performance of all environments.
    """
    arms = name_arms(pick(table, key_arms())) if len(table) else table
    if arms.empty:
        raise NothingToDrawError("none of the key arms is among what was chosen")
    seeds, means = (
        pd.concat([of(rows) for _, rows in arms.groupby("env", sort=False)], ignore_index=True)
        for of in (seed_means, episode_means)
    )
    oracle = pd.concat([episode_means(rows) for _, rows in table.groupby("env", sort=False)], ignore_index=True)
    oracle = name_arms(oracle[oracle["method"] == "oracle"])
    envs, looks = list(dict.fromkeys(arms["env"])), arm_looks(arms)
    rows, columns = grid_of(len(envs), 1)
    with style():
        figure, axes = new_figure(rows, columns, height=2.0 * rows + 1.0, sharex=True)
        for axis, env in zip(axes[:, 0], envs, strict=True):
            own = seeds[seeds["env"] == env].assign(rate=lambda those: those["control_frequency"].astype(float))
            draw_lines(axis, own, "rate", "episode_return", looks, legend="full" if axis is axes[0, 0] else False)
            _draw_oracle(axis, oracle[oracle["env"] == env])
            log_rate_axis(axis, sorted(own["rate"].unique()))
            axis.set_title(env)
            axis.set_ylabel("return [reward]")
        axes[-1, 0].set_xlabel("control rate [Hz]")
        shared_legend(figure, axes)
    drawn = pd.concat([oracle, means], ignore_index=True)
    caption = (
        f"Return of closed-loop episodes against control rate, the model stepping at the control rate; means over "
        f"episodes and seeds, bars span the seeds' means, {episode_counts(arms)} per point. Black: the oracle with the "
        f"same planner; a hollow mark where it is planner-limited.{limited_text(oracle)}{forms_text(arms, key_arms())}"
        f"{bad_text(means)} {control_conclusion(drawn)}"
    )
    alt = f"Episode return against control rate in {len(envs)} environments for the key arms and the oracle."
    return Drawing(figure, caption, alt, drawn)


def draw_figure4(table: pd.DataFrame) -> Drawing:
    """Figure 4: the state space colored by error.

    Args:
        table: state_errors of one environment.
    """
    return draw_state_space(table)


def draw_figure5(table: pd.DataFrame) -> Drawing:
    """Figure 5: ablations of model size, amount of data and training rates, those of which a run has more than one.

    Args:
        table: one_step_errors of all environments.
    """
    table = table[(table["test_set"] == "pooled") & (table["dimension"] == "all") & (table["model"] == main_model())]
    summary = over_seeds(table, "relative_error", ["env", *ARM, "test_frequency"])
    envs = list(dict.fromkeys(summary["env"]))
    panels = {env: _ablations(summary[summary["env"] == env]) for env in envs}
    there = [title for title in ABLATION_AXES if any(_varies(own[title]) for own in panels.values())]
    known = list(ABLATION_AXES)
    if "amount of data" in there:  # the whole of each kind ends the lines of its shares; pooled states have a figure
        known.remove("kind of data")
        there = [title for title in there if title in known]
    if not there:
        raise NothingToDrawError("no arm that varies in size, data, or rates is among what was chosen")
    drawn = []
    with style():
        figure, axes = new_figure(len(envs), len(there), height=1.9 * len(envs) + 1.9, sharey="row", sharex="col")
        for row, env in zip(axes, envs, strict=True):
            for axis, title in zip(row, there, strict=True):
                for line in panels[env][title]:
                    rows = line.rows
                    drawn.append(rows.assign(arm=line.label + f", {line.kind}" * bool(line.kind), panel=title))
                    bars = [(rows["mean"] - rows["low"]).clip(lower=0), (rows["high"] - rows["mean"]).clip(lower=0)]
                    named = "_" if line.kind == SECONDS else line.label  # its dots are told once
                    axis.errorbar(line.names, rows["mean"], yerr=bars, **line.look, label=named, capsize=2,
                                  elinewidth=0.8)  # fmt: skip
                no_change_line(axis)
                axis.set_title("\n".join([env] * (axis is row[0]) + [title] * (axis in axes[0])))
                axis.set_yscale("log")
                axis.margins(x=0.15)
            row[0].set_ylabel("relative error")
        for axis, title in zip(axes[-1], there, strict=True):
            axis.set_xlabel(ABLATION_AXES[title])
            for name in axis.get_xticklabels():
                name.set(rotation=40, ha="right", rotation_mode="anchor")
        figure.align_xlabels(axes[-1])
        dots = Line2D([], [], color=NEUTRAL["text"], linestyle=":", label="equal seconds instead of transitions")
        shared_legend(figure, axes, columns=2, extra=[dots] * ("amount of data" in there))
    shown = pd.concat(drawn, ignore_index=True)
    absent = [title for title in known if title not in there]
    caption = (
        f"Ablations of the jump model: {', '.join(there)}; relative one-step error, means over seeds, bars span the "
        f"seeds, {counts_text(table)}. The gray line is predicting no change."
        + f" Not varied in this run, so not drawn: {', '.join(absent)}." * bool(absent)
        + f"{bad_text(shown, 'no mark is drawn')} {_ablation_conclusion(shown)}"
    )
    alt = f"Relative error against {', '.join(there)} in {len(envs)} environments."
    return Drawing(figure, caption, alt, shown)


def _draw_oracle(axis: Axes, rows: pd.DataFrame) -> None:
    rows = rows.assign(rate=rows["control_frequency"].astype(float)).sort_values("rate")
    axis.plot(
        rows["rate"],
        rows["mean"],
        color=METHOD_COLORS["oracle"],
        linewidth=1.2,
        label=METHOD_LABELS["oracle"],
        zorder=1,
    )
    for _, point in rows.iterrows():
        axis.plot(point["rate"], point["mean"], "o", color=METHOD_COLORS["oracle"], zorder=1,
                  markerfacecolor="white" if point["limited"] else METHOD_COLORS["oracle"])  # fmt: skip


@dataclass(frozen=True)
class _Line:
    """One line of an ablation: its name, look and points, and of which kind of data it is where there are two."""

    label: str
    look: dict[str, object]
    names: list[str]
    rows: pd.DataFrame
    kind: str = ""


def _varies(lines: list[_Line]) -> bool:
    return any(len(line.rows) > 1 for line in lines)


def _ablation_conclusion(shown: pd.DataFrame) -> str:
    """Say which line changes most between its values, where it does."""
    lines = shown[np.isfinite(shown["mean"])].groupby(["env", "panel", "arm"], sort=False)["mean"]
    ratio = (lines.max() / lines.min())[lines.size() > 1]
    if ratio.empty:
        return "No line has two finite values to compare."
    env, panel, arm = ratio.idxmax()
    rows = lines.get_group((env, panel, arm))
    own = shown.loc[rows.index]
    values = ["size", "data", "train_frequency"]
    varied = next(name for name in values if own[name].nunique() > 1)
    low, high = own.loc[rows.idxmin()], own.loc[rows.idxmax()]
    n = f"{env}, {int(own['seeds'].min())} seed{'' if own['seeds'].min() == 1 else 's'}"
    if low["high"] >= high["low"]:
        span = f"{low['mean']:.2g} to {high['mean']:.2g}"
        return f"The widest change, of {arm}, is within the span of the seeds: {span} ({n})."
    return (
        f"The widest change is that of {arm}: {low['mean']:.2g} with {low[varied]}, {high['mean']:.2g} with "
        f"{high[varied]} ({n})."
    )


def _ablations(own: pd.DataFrame) -> dict[str, list[_Line]]:
    """Lines of the panels; an arm at a rate has one name and one look in all of them."""

    def rows_of(keep: pd.Series, column: str, order: tuple[str, ...]) -> tuple[list[str], pd.DataFrame]:
        rows = own[keep & own[column].isin(order)]
        rows = rows.assign(order=rows[column].map({name: i for i, name in enumerate(order)})).sort_values("order")
        return list(rows[column]), rows.drop(columns="order")

    panels: dict[str, list[_Line]] = {title: [] for title in ABLATION_AXES}
    for method, form, train, test in (("baseline", "none", "20", "20"), *SHARED):
        keep = (own["method"] == method) & (own["form"] == form) & (own["train_frequency"] == train)
        keep &= (own["test_frequency"] == test) & (own["data"] == TRANSITIONS)
        look = method_style(method, form) | {"linestyle": "--" if test == train else "-"}
        panels["size of the network"].append(_Line(_named(method, form, test), look, *rows_of(keep, "size", SIZES)))
    for train, marker in (("10", "s"), ("20", "o")):
        keep = (own["method"] == "baseline") & (own["train_frequency"] == train) & (own["test_frequency"] == train)
        look = {"color": METHOD_COLORS["baseline"], "linestyle": ":", "marker": marker}
        values = rows_of(keep & (own["size"] == "hidden64"), "data", (TRANSITIONS, SECONDS, POOLED))
        panels["kind of data"].append(_Line(f"baseline {train} Hz at its own rate", look, *values))
    shares = sorted({data_of(name).share for name in own["data"]})
    for method, form, train, test in SHARED:
        for kind, line in ((TRANSITIONS, "-"), (SECONDS, ":")):
            keep = (own["method"] == method) & (own["form"] == form) & (own["train_frequency"] == train)
            keep &= (own["test_frequency"] == test) & (own["size"] == "hidden64")
            order = tuple(part_of_data(kind, share) if share < 1 else kind for share in shares)
            names, rows = rows_of(keep, "data", order)
            percent = [f"{100 * data_of(name).share:g} %" for name in names]
            drawn = method_style(method, form) | {"linestyle": line}
            panels["amount of data"].append(_Line(_named(method, form, test), drawn, percent, rows, kind))
    for form in ("concat", "scaled", "scaled_concat", *LOG_FORMS):
        keep = (own["method"] == "multi_resolution") & (own["form"] == form) & (own["test_frequency"] == "33.3")
        keep &= (own["size"] == "hidden64") & (own["data"] == TRANSITIONS)
        values = rows_of(keep, "train_frequency", ("mixed", "loguniform"))
        look = method_style("multi_resolution", form)
        panels["training rates"].append(_Line(_named("multi_resolution", form, "33.3"), look, *values))
    return panels


def _named(method: str, form: str, test: str) -> str:
    """Name an arm at a rate: `multi-resolution scaled_concat at 33.3 Hz`."""
    return f"{METHOD_LABELS[method]}{f' {form}' * (form != 'none')} at {test} Hz"
