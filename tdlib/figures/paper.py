"""Figures 1 to 5 of the founding document, over all environments of a run."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tdlib.core.facts import LOG_FORMS, POOLED, SECONDS, TRANSITIONS
from tdlib.figures.control import episode_counts, episode_means
from tdlib.figures.heatmaps import (
    CELL_HEIGHT,
    CELL_WIDTH,
    GAP,
    LABELS,
    MARGIN,
    TITLE,
    axes_at,
    color_bar,
    color_norm,
    draw_matrix,
    mean_errors,
    rate_ticks,
    row_label,
)
from tdlib.figures.horizon import draw_rollout_lines, starts_text
from tdlib.figures.save import Drawing
from tdlib.figures.selection import (
    ARM,
    arms_in,
    default_sizes,
    key_arms,
    main_model,
    method_panels,
    own_models,
    pick,
    rates_in,
)
from tdlib.figures.state_space import draw_state_space
from tdlib.figures.style import (
    METHOD_COLORS,
    METHOD_LABELS,
    NothingToDrawError,
    arm_label,
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
    "amount of data": "every arm has equally many",
    "training rates": "Δt of the training set",
}
SIZES = ("hidden64", "small", "medium", "large")


def draw_figure1(table: pd.DataFrame) -> Drawing:
    """Figure 1: heat maps of the relative error, training rate × test rate, for each method and environment.

    Args:
        table: one_step_errors of all environments.
    """
    value, shown = "relative_error", mean_errors(table, "relative_error")
    envs, rates = list(dict.fromkeys(shown["env"])), sort_rates(shown["test_frequency"])
    known, own = shown[~shown["model"].isin(own_models(shown))], default_sizes(shown)
    panels = [(title, pick(known, arms)) for title, arms in method_panels()]
    panels += [(model.rpartition(":")[2], own[own["model"] == model]) for model in own_models(shown)]
    panels = [(title, rows) for title, rows in panels if len(rows)]
    if not panels:
        raise NothingToDrawError("none of the arms that it shows is among what was chosen")
    counts = {title: len(rows.drop_duplicates(ARM)) for title, rows in panels}
    cell = CELL_WIDTH * 0.88
    width = LABELS + len(envs) * (cell * len(rates) + MARGIN) + 0.1
    height = 0.1 + sum(TITLE + GAP + CELL_HEIGHT * n for n in counts.values()) + 1.15
    with style():
        figure, norm, top = Figure(figsize=(width, height)), color_norm(value, shown["mean"]), height - 0.05
        for i, (title, rows) in enumerate(panels):
            tall = CELL_HEIGHT * counts[title]
            for j, env in enumerate(envs):
                left = LABELS + j * (cell * len(rates) + MARGIN)
                axis = axes_at(figure, left, top - TITLE - tall, cell * len(rates), tall)
                matrix = _rows_of(rows, env, rates)
                draw_matrix(axis, matrix, rates, value, norm, labels=j == 0)
                axis.set_title(f"{env} · {title}" if i == 0 else title, fontsize=8, pad=3)
                if i == len(panels) - 1:
                    rate_ticks(axis, rates)
                    axis.set_xlabel("test rate [Hz]", fontsize=8)
            top -= TITLE + GAP + tall
        color_bar(figure, axes_at(figure, LABELS, 0.5, width - LABELS - 0.5, 0.1), norm, value)
    caption = (
        f"Relative one-step error by training rate (rows) and test rate (columns), pooled held-out pairs; jump models "
        f"except where named, means over seeds, {counts_text(table[table['test_set'] == 'pooled'])}. 1 (white) is "
        f"predicting no change, blue is better."
    )
    alt = f"Heat maps of relative error for {len(panels)} methods in {len(envs)} environments."
    return Drawing(figure, caption, alt, pd.concat([rows for _, rows in panels], ignore_index=True))


def draw_figure2(table: pd.DataFrame) -> Drawing:
    """Figure 2: rollout error against time for the key arms.

    Args:
        table: rollout_errors of all environments.
    """
    table = table[(table["dimension"] == "all") & ~table["truncated"]]
    chosen = pick(table[table["test_frequency"].isin(rates_in(table["test_frequency"]))], key_arms())
    summary = over_seeds(chosen, "relative_error", ["env", *ARM, "test_frequency", "truncated", "time"])
    envs, rates = list(dict.fromkeys(summary["env"])), sort_rates(summary["test_frequency"])
    with style():
        figure, axes = new_figure(
            len(envs), len(rates), width=8.8, height=2.1 * len(envs) + 1.0, sharex=True, sharey=True
        )
        for row, env in zip(axes, envs, strict=True):
            for axis, rate in zip(row, rates, strict=True):
                draw_rollout_lines(
                    axis, summary[(summary["env"] == env) & (summary["test_frequency"] == rate)], with_model=True
                )
                axis.set_title(f"{env} at {rate} Hz", fontsize=8.5)
            row[0].set_ylabel("relative error")
        for axis in axes[-1]:
            axis.set_xlabel("time [s]")
        shared_legend(figure, axes, columns=3)
    caption = (
        f"Relative error of open-loop rollouts against time at three test rates, all rollouts counted to the end; "
        f"means over seeds, bands span the seeds, {starts_text(chosen)}. The gray line is predicting no "
        "change."
    )
    alt = f"Rollout error against time for {len(arms_in(summary))} arms in {len(envs)} environments at three rates."
    return Drawing(figure, caption, alt, summary)


def draw_figure3(table: pd.DataFrame) -> Drawing:
    """Figure 3: control performance of the key arms against control rate.

    Args:
        table: control_performance of all environments.
    """
    parts = []
    for env, rows in table.groupby("env", sort=False):
        means = episode_means(rows)
        oracle = means[means["method"] == "oracle"]
        parts.append((env, pd.concat([oracle, pick(means, key_arms())], ignore_index=True)))
    if all(set(means["method"]) <= {"oracle"} for _, means in parts):
        raise NothingToDrawError("none of the key arms is among what was chosen")
    with style():
        figure, axes = new_figure(1, len(parts), width=8.8, height=3.9)
        for axis, (env, means) in zip(axes[0], parts, strict=True):
            _control_lines(axis, means)
            axis.set_title(env)
            axis.set_xlabel("control rate [Hz]")
        axes[0, 0].set_ylabel("episode return [reward]")
        shared_legend(figure, axes, columns=3)
    caption = (
        f"Return of closed-loop episodes against control rate, the model stepping at the control rate; dots are means "
        f"over episodes and seeds, bars span the seeds' means, {episode_counts(table)} per point. Black: the oracle "
        f"with the same planner; a hollow marker where it solves less than 90 % (planner-limited)."
    )
    alt = f"Episode return against control rate in {len(parts)} environments for the key arms and the oracle."
    return Drawing(figure, caption, alt, pd.concat([means for _, means in parts], ignore_index=True))


def draw_figure4(table: pd.DataFrame) -> Drawing:
    """Figure 4: the state space colored by error.

    Args:
        table: state_errors of one environment.
    """
    return draw_state_space(table)


def draw_figure5(table: pd.DataFrame) -> Drawing:
    """Figure 5: ablations of model size, amount of data and training rates.

    Args:
        table: one_step_errors of all environments.
    """
    table = table[(table["test_set"] == "pooled") & (table["dimension"] == "all") & (table["model"] == main_model())]
    summary = over_seeds(table, "relative_error", ["env", *ARM, "test_frequency"])
    envs = list(dict.fromkeys(summary["env"]))
    with style():
        figure, axes = new_figure(len(envs), 3, width=8.8, height=2.4 * len(envs) + 0.9, sharey="row")
        drawn = []
        for row, env in zip(axes, envs, strict=True):
            own = summary[summary["env"] == env]
            for axis, (title, lines) in zip(row, _ablations(own).items(), strict=True):
                for label, look, names, rows in lines:
                    drawn.append(rows)
                    bars = [(rows["mean"] - rows["low"]).clip(lower=0), (rows["high"] - rows["mean"]).clip(lower=0)]
                    axis.errorbar(names, rows["mean"], yerr=bars, **look, label=label, capsize=2, elinewidth=0.8)
                axis.set_title(f"{env}: {title}", fontsize=8.5)
                axis.set_yscale("log")
                axis.axhline(1.0, color="#808080", linewidth=0.8, zorder=0)
                axis.margins(x=0.15)
                axis.set_xlabel(ABLATION_AXES[title], fontsize=8)
            row[0].set_ylabel("relative one-step error")
        if not any(map(len, drawn)):
            raise NothingToDrawError("no arm that varies in size, data, or rates is among what was chosen")
        shared_legend(figure, axes, columns=3)
    caption = (
        f"Ablations of the jump model: size of the network, equal transitions or equal seconds of data, three "
        f"training rates or log-uniform intervals; relative one-step error, means over seeds, bars span the seeds, "
        f"{counts_text(table)}. Sizes that this run does not train are missing. The gray line is predicting no change."
    )
    alt = f"Relative error against model size, data and training rates in {len(envs)} environments."
    return Drawing(figure, caption, alt, pd.concat(drawn, ignore_index=True))


def _rows_of(rows: pd.DataFrame, env: str, rates: list[str]) -> list:
    result = []
    for (_, *key), arm in rows.groupby(["method", "form", "size", "data", "train_frequency"], sort=False):
        values = arm[arm["env"] == env].set_index("test_frequency")["mean"].reindex(rates).to_numpy(dtype=float)
        result.append((row_label(*key), values))
    return result


def _control_lines(axis: Axes, means: pd.DataFrame) -> None:
    for arm, rows in arms_in(means):
        rows = rows.assign(rate=rows["control_frequency"].astype(float)).sort_values("rate")
        bars = [(rows["mean"] - rows["low"]).clip(lower=0), (rows["high"] - rows["mean"]).clip(lower=0)]
        if arm["method"] == "oracle":
            axis.plot(rows["rate"], rows["mean"], color="black", linewidth=1.2, label=METHOD_LABELS["oracle"])
            for _, point in rows.iterrows():
                axis.plot(point["rate"], point["mean"], "o", color="black", markersize=4,
                          markerfacecolor="white" if point["limited"] else "black")  # fmt: skip
            continue
        look = method_style(arm["method"], arm["form"], arm["train_frequency"])
        axis.errorbar(
            rows["rate"],
            rows["mean"],
            yerr=bars,
            **look,
            capsize=2,
            label=arm_label(arm, with_model=arm["model"] != main_model()),
        )
    log_rate_axis(axis, sorted(means["control_frequency"].astype(float).unique()))


def _ablations(own: pd.DataFrame) -> dict[str, list]:
    """Lines of the three panels: (label, look, categories, rows)."""

    def rows_of(keep: pd.Series, column: str, order: tuple[str, ...]) -> tuple[list[str], pd.DataFrame]:
        rows = own[keep & own[column].isin(order)]
        rows = rows.assign(order=rows[column].map({name: i for i, name in enumerate(order)})).sort_values("order")
        return list(rows[column]), rows.drop(columns="order")

    panels: dict[str, list] = {"size of the network": [], "amount of data": [], "training rates": []}
    for method, form, train in (("baseline", "none", "20"), ("multi_resolution", "scaled_concat", "mixed")):
        for test, line in (("20", "-"), ("50", "--")):
            keep = (own["method"] == method) & (own["form"] == form) & (own["train_frequency"] == train)
            keep &= (own["test_frequency"] == test) & (own["data"] == "transitions")
            look = {"color": METHOD_COLORS[method], "linestyle": line, "marker": "o"}
            panels["size of the network"].append(
                (f"{METHOD_LABELS[method]} at {test} Hz", look, *rows_of(keep, "size", SIZES))
            )
    for train, marker in (("10", "s"), ("20", "o")):
        keep = (own["method"] == "baseline") & (own["train_frequency"] == train) & (own["test_frequency"] == train)
        look = {"color": METHOD_COLORS["baseline"], "linestyle": ":", "marker": marker}
        values = rows_of(keep & (own["size"] == "hidden64"), "data", (TRANSITIONS, SECONDS, POOLED))
        panels["amount of data"].append((f"baseline {train} Hz at its own rate", look, *values))
    for form in ("concat", "scaled", "scaled_concat", *LOG_FORMS):
        keep = (own["method"] == "multi_resolution") & (own["form"] == form) & (own["test_frequency"] == "33.3")
        values = rows_of(keep & (own["size"] == "hidden64"), "train_frequency", ("mixed", "loguniform"))
        panels["training rates"].append(
            (f"multi-resolution {form} at 33.3 Hz", method_style("multi_resolution", form), *values)
        )
    return panels
