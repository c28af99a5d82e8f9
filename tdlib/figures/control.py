"""Closed-loop performance of planners that look through learned models."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from tdlib.figures.conclusions import conclusion
from tdlib.figures.lines import SPAN
from tdlib.figures.save import Drawing
from tdlib.figures.selection import ARM, Arms, forms_text, key_arms, name_arms, pick_or_first, rates_in
from tdlib.figures.style import (
    METHOD_COLORS,
    METHOD_LABELS,
    NEUTRAL,
    SMALL,
    NothingToDrawError,
    bad_text,
    new_figure,
    over_seeds,
    shared_legend,
    style,
)

REFERENCES = ("oracle", "random")  # drawn as lines


def draw_control(table: pd.DataFrame, rates: Sequence[str] | None = None, arms: Arms | None = None) -> Drawing:
    """Draw the return of some arms at every control rate, the oracle as a line.

    Args:
        table: control_performance of one environment, one row per episode.
        rates: Control rates of the panels, by default all of 10, 20, 50 Hz that occur.
        arms: Which, by default the key ones.
    """
    env, wanted = str(table["env"].iloc[0]), key_arms() if arms is None else arms
    rates = [r for r in rates or rates_in(table["control_frequency"]) if r in set(table["control_frequency"])]
    references = table["method"].isin(REFERENCES)
    learned = pick_or_first(table[~references], wanted)
    if learned.empty:
        raise NothingToDrawError("none of what was controlled with was learned")
    shown = name_arms(pd.concat([table[references], learned], ignore_index=True))
    summary, seeds = episode_means(shown), seed_means(shown)
    names = list(dict.fromkeys(seeds.loc[~seeds["method"].isin(REFERENCES), "arm"]))
    with style():
        figure, axes = new_figure(len(rates), 1, height=(0.24 * len(names) + 0.35) * len(rates) + 0.9, sharex=True)
        for axis, rate in zip(axes[:, 0], rates, strict=True):
            at = summary["control_frequency"] == rate
            draw_control_points(axis, seeds[seeds["control_frequency"] == rate], summary[at], names)
            axis.set_title(f"control at {rate} Hz" + " (planner-limited)" * _is_limited(summary[at]))
            axis.text(1.01, 1.0, "solved", transform=axis.transAxes, color=NEUTRAL["muted"], va="bottom",
                      fontsize=SMALL)  # fmt: skip
        axes[-1, 0].set_xlabel("episode return [reward]")
        shared_legend(figure, axes, extra=_reference_keys(summary))
    drawn = summary[summary["control_frequency"].isin(rates)]
    caption = (
        f"{env}: return of closed-loop episodes, by arm (rows) and control rate (panels); {episode_counts(shown)}. "
        f"Points are means over episodes and seeds, bars span the seeds' means, numbers are the share of solved "
        f"episodes. The black line is the oracle, which plans through the true system with the same planner and budget "
        f"from the same starts; dotted where it solves less than 90 % of at least 20 (planner-limited), so that the "
        f"panel compares planners.{forms_text(learned, wanted)}{bad_text(drawn)}{limited_text(drawn)} "
        f"{control_conclusion(drawn)}"
    )
    alt = f"Points of episode return on {env} for {len(names)} arms at {len(rates)} control rates, with the oracle."
    return Drawing(figure, caption, alt, summary)


def seed_means(table: pd.DataFrame) -> pd.DataFrame:
    """Mean return of every arm, rate and seed, over the starts that all share."""
    table = _main_question(table)
    learned = table.loc[~table["method"].isin(REFERENCES), "episode"]
    shared = table[table["episode"] <= learned.max()] if len(learned) else table
    by = ["env", *ARM, *(["arm"] if "arm" in table else []), "control_frequency", "seed"]
    # an episode that is not finite makes its seed's mean so: nothing is dropped in silence
    return shared.groupby(by, sort=False)["episode_return"].agg(lambda values: values.mean(skipna=False)).reset_index()


def episode_means(table: pd.DataFrame) -> pd.DataFrame:
    """Mean return and success per arm and rate; low and high are the extreme means of single seeds.

    Returns are of the starts that all share; the oracle's success counts those too that only it has.
    """
    seeds, table = seed_means(table), _main_question(table)
    by = ["env", *ARM, *(["arm"] if "arm" in table else []), "control_frequency"]
    summary = over_seeds(seeds, "episode_return", by)
    table = table.assign(success=table["success"].astype(float), limited=_as_bool(table["planner_limited"]))
    success = table.groupby([*by, "seed"], sort=False)["success"].mean().groupby(by, sort=False).mean().reset_index()
    return summary.merge(success, on=by).merge(table.groupby(by, sort=False)["limited"].any().reset_index(), on=by)


def draw_control_points(axis: Axes, seeds: pd.DataFrame, summary: pd.DataFrame, names: Sequence[str]) -> None:
    """Draw one point per arm, from top to bottom, the share of solved episodes beside it."""
    import seaborn  # imports pyplot: only where a figure is drawn

    learned = seeds[~seeds["method"].isin(REFERENCES)]
    finite = learned[np.isfinite(learned["episode_return"])]
    colors = {arm["arm"]: METHOD_COLORS.get(arm["method"], NEUTRAL["muted"]) for _, arm in learned.iterrows()}
    seaborn.pointplot(finite, x="episode_return", y="arm", hue="arm", order=names, hue_order=list(colors),
                      palette=colors, errorbar=SPAN, linestyle="none", linewidth=1.2, markersize=5, legend=False,
                      ax=axis)  # fmt: skip
    for _, arm in summary.iterrows():
        if arm["method"] in REFERENCES:
            line = ":" if arm["limited"] and arm["method"] == "oracle" else "-"
            axis.axvline(arm["mean"], color=METHOD_COLORS[arm["method"]], linewidth=1.2, linestyle=line, zorder=0)
            continue
        y = names.index(arm["arm"])
        axis.text(1.01, y, f"{arm['success']:.0%}", transform=axis.get_yaxis_transform(), va="center",
                  color=NEUTRAL["muted"], fontsize=SMALL)  # fmt: skip
        if arm["bad"]:
            axis.plot(0.98, y, "x", color=colors[arm["arm"]], transform=axis.get_yaxis_transform())
    axis.set(xlabel="", ylabel="", ylim=(len(names) - 0.4, -0.6))
    axis.tick_params(axis="y", length=0)


def control_conclusion(summary: pd.DataFrame) -> str:
    """Say at the finest control rate which arm returns most and which least, and what the oracle does."""
    rate = max(rates_in(summary["control_frequency"]), key=float)
    rows = summary[summary["control_frequency"] == rate]
    learned = rows[~rows["method"].isin(REFERENCES)]
    oracle = rows[rows["method"] == "oracle"].set_index("env")
    text = conclusion(learned, place=f"At {rate} Hz", verb="returns", words=("lowest", "highest"), digits=3)
    beside = [
        f"{'planner-limited ' * bool(oracle.loc[env, 'limited'])}oracle {oracle.loc[env, 'mean']:.3g} ({env})"
        for env in dict.fromkeys(learned["env"])
        if env in oracle.index
    ]
    return text.removesuffix(".") + "".join(f"; {each}" for each in beside) + "."


def limited_text(summary: pd.DataFrame) -> str:
    """Count the cells whose oracle is planner-limited, with a leading space."""
    cells = summary[summary["method"] == "oracle"]
    return (
        f" Planner-limited: {int(cells['limited'].sum())} of {len(cells)} pairs of environment and rate."
        if len(cells)
        else " The oracle was not run."
    )


def episode_counts(table: pd.DataFrame) -> str:
    """State seeds and episodes for a caption."""
    learned = table[~table["method"].isin(("oracle", "random"))]
    # rows of other model steps and planners repeat the same episodes
    per_cell = learned.groupby([*ARM, "control_frequency", "seed"])["episode"].nunique()
    seeds, episodes = learned["seed"].nunique(), int(per_cell.max()) if len(per_cell) else 0
    return f"n = {seeds} seed{'' if seeds == 1 else 's'} × {episodes} episode{'' if episodes == 1 else 's'}"


def _reference_keys(summary: pd.DataFrame) -> list[Line2D]:
    found = [method for method in REFERENCES if method in set(summary["method"])]
    return [Line2D([], [], color=METHOD_COLORS[method], label=METHOD_LABELS[method]) for method in found]


def _main_question(table: pd.DataFrame) -> pd.DataFrame:
    """Keep models that step at the control rate and the main planner; the rest is a table's matter."""
    if "model_frequency" in table:
        same = pd.to_numeric(table["model_frequency"]) / pd.to_numeric(table["control_frequency"])
        table = table[(same - 1).abs() < 0.02]
    return table[~table["planner"].str.lower().str.startswith("mppi")]


def _is_limited(summary: pd.DataFrame) -> bool:
    return bool(summary.loc[summary["method"] == "oracle", "limited"].any())


def _as_bool(values: pd.Series) -> pd.Series:
    return values.map(lambda v: str(v).lower() in ("true", "1", "1.0"))
