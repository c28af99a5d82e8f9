"""Closed-loop performance of planners that look through learned models."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from tdlib.figures.save import Drawing
from tdlib.figures.selection import ARM, rates_in
from tdlib.figures.style import (
    METHOD_COLORS,
    METHOD_LABELS,
    arm_label,
    method_style,
    model_label,
    new_figure,
    shared_legend,
    sort_models,
    style,
)


def draw_control(table: pd.DataFrame, rates: Sequence[str] | None = None) -> Drawing:
    """Draw the return of every arm at every control rate, the oracle as a line.

    Args:
        table: control_performance of one environment, one row per episode.
        rates: Control rates of the panels, by default all of 10, 20, 50 Hz that occur.
    """
    env = str(table["env"].iloc[0])
    rates = [r for r in rates or rates_in(table["control_frequency"]) if r in set(table["control_frequency"])]
    summary = episode_means(table)
    learned = summary[~summary["method"].isin(("oracle", "random"))]
    names = _arm_names(learned)
    with style():
        figure, axes = new_figure(1, len(rates), width=9.4, height=0.185 * len(names) + 1.7, sharey=True)
        for axis, rate in zip(axes[0], rates, strict=True):
            draw_control_dots(axis, summary[summary["control_frequency"] == rate], names)
            axis.set_title(f"control at {rate} Hz")
            axis.set_xlabel("episode return [reward]")
            axis.text(1.01, 1.0, "solved", transform=axis.transAxes, fontsize=6.5, color="#555555", va="bottom")
        shared_legend(figure, axes, columns=5, extra=method_keys(summary))
    caption = (
        f"{env}: return of closed-loop episodes, by model (rows) and control rate; {episode_counts(table)}. Dots are "
        f"means over episodes and seeds, bars span the seeds' means, numbers are the share of solved episodes. The "
        f"black line is the oracle, which plans through the true system with the same planner and budget from the "
        f"same starts; a dotted one marks a rate at which it solves less than 90 % of at least 20 (planner-limited)."
    )
    alt = f"Dot plot of episode returns on {env} for {len(names)} arms at {len(rates)} control rates, with the oracle."
    return Drawing(figure, caption, alt, summary)


def episode_means(table: pd.DataFrame) -> pd.DataFrame:
    """Mean return and success per arm and rate; low and high are the extreme means of single seeds.

    Returns are of the starts that all share; the oracle's success counts those too that only it has.
    """
    table = table.assign(success=table["success"].astype(float), limited=_as_bool(table["planner_limited"]))
    by = ["env", *ARM, "control_frequency"]
    if "model_frequency" in table:  # a model step other than the control step is another question
        same = pd.to_numeric(table["model_frequency"]) / pd.to_numeric(table["control_frequency"])
        table = table[(same - 1).abs() < 0.02]
    table = table[
        ~table["planner"].str.lower().str.startswith("mppi")
    ]  # the comparison of planners is a table's matter
    per_seed = table.groupby([*by, "seed"], sort=False)["success"].mean().reset_index()
    grouped = per_seed.groupby(by, sort=False)
    learned = table.loc[~table["method"].isin(("oracle", "random")), "episode"]
    shared = table[table["episode"] <= learned.max()] if len(learned) else table
    returns = shared.groupby([*by, "seed"], sort=False)["episode_return"].mean().reset_index()
    result = returns.groupby(by, sort=False)["episode_return"].agg(mean="mean", low="min", high="max").reset_index()
    result = result.merge(grouped["success"].mean().reset_index(), on=by)
    return result.merge(table.groupby(by, sort=False)["limited"].any().reset_index(), on=by)


def draw_control_dots(axis: Axes, summary: pd.DataFrame, names: Sequence[tuple[tuple, str]]) -> None:
    """Draw one dot per arm, from top to bottom."""
    place = {key: i for i, (key, _) in enumerate(names)}
    for _, arm in summary.iterrows():
        if arm["method"] in ("oracle", "random"):
            line = ":" if arm["limited"] and arm["method"] == "oracle" else "-"
            axis.axvline(arm["mean"], color=METHOD_COLORS[arm["method"]], linewidth=1.2, linestyle=line, zorder=0)
            continue
        y, look = place[tuple(arm[ARM])], method_style(arm["method"], arm["form"], arm["train_frequency"])
        bars = [[max(arm["mean"] - arm["low"], 0)], [max(arm["high"] - arm["mean"], 0)]]
        axis.errorbar(arm["mean"], y, xerr=bars, **{**look, "linestyle": "none"}, elinewidth=1.0)
        axis.text(1.01, y, f"{arm['success']:.0%}", transform=axis.get_yaxis_transform(), fontsize=6.5, va="center",
                  color="#555555")  # fmt: skip
    axis.set_yticks(range(len(names)), [name for _, name in names], fontsize=7)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.tick_params(axis="y", length=0)


def method_keys(summary: pd.DataFrame) -> list[Line2D]:
    """Legend entries of the methods that occur."""
    keys = []
    for method in [m for m in METHOD_COLORS if m in set(summary["method"])]:
        look = {"linestyle": "-"} if method in ("oracle", "random") else {"marker": "o", "linestyle": "none"}
        keys.append(Line2D([], [], color=METHOD_COLORS[method], label=METHOD_LABELS[method], **look))
    return keys


def episode_counts(table: pd.DataFrame) -> str:
    """State seeds and episodes for a caption."""
    learned = table[~table["method"].isin(("oracle", "random"))]
    # rows of other model steps and planners repeat the same episodes
    per_cell = learned.groupby([*ARM, "control_frequency", "seed"])["episode"].nunique()
    seeds, episodes = learned["seed"].nunique(), int(per_cell.max()) if len(per_cell) else 0
    return f"n = {seeds} seed{'' if seeds == 1 else 's'} × {episodes} episode{'' if episodes == 1 else 's'}"


def _arm_names(summary: pd.DataFrame) -> list[tuple[tuple, str]]:
    arms = summary.drop_duplicates(ARM)
    order = arms["model"].map({name: i for i, name in enumerate(sort_models(arms["model"]))})
    arms = arms.assign(order=order).sort_values("order", kind="stable")
    return [(tuple(arm[ARM]), _short(arm)) for _, arm in arms.iterrows()]


def _short(arm: pd.Series) -> str:
    label = arm_label(arm)
    if arm["method"] == "ode":
        label = label.removeprefix("ODE ")
    extra = "" if arm["size"] in ("hidden64", "none") else f" ({arm['size']})"
    extra += " (= seconds)" if arm["data"] == "seconds" else ""
    model = "" if arm["model"] == "none" else model_label(arm["model"], short=True)
    return f"{model} {label}{extra}".lstrip()


def _as_bool(values: pd.Series) -> pd.Series:
    return values.map(lambda v: str(v).lower() in ("true", "1", "1.0"))
