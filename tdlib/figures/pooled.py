"""Is it the rate or the states? The same arms trained on their own agent's states and on the states of all, beside."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from tdlib.core.facts import MIXED, POOLED, TRANSITIONS
from tdlib.figures.save import Drawing
from tdlib.figures.style import (
    METHOD_COLORS,
    NothingToDrawError,
    arm_label,
    bad_text,
    counts_text,
    model_label,
    new_figure,
    over_seeds,
    plain_log_axis,
    sort_models,
    sort_rates,
    style,
)

TRAINED = {TRANSITIONS: "own states", POOLED: "pooled states"}  # data of an arm -> how it is called
SETS = {POOLED: "pooled test states", "ppo": "own test states"}  # test set -> how it is called
COLORS = {TRANSITIONS: METHOD_COLORS["baseline"], POOLED: METHOD_COLORS["multi_resolution"]}
OFFSETS = {(TRANSITIONS, POOLED): -0.24, (POOLED, POOLED): -0.08, (TRANSITIONS, "ppo"): 0.08, (POOLED, "ppo"): 0.24}
ARM = ["model", "method", "form", "train_frequency"]


def own_and_pooled(table: pd.DataFrame) -> pd.DataFrame:
    """Compare arms trained on their own agent's states with the same ones trained on pooled states, where they trained.

    Args:
        table: one_step_errors of any environments.

    Returns:
        One row per environment, arm, test rate among its own, data and test set: mean, low, high and seeds.

    Raises:
        NothingToDrawError: If no arm is there with both kinds of data.
    """
    table = table[(table["dimension"] == "all") & table["test_set"].isin(SETS) & table["data"].isin(TRAINED)]
    trained_at = {rate for rate in table["train_frequency"] if rate.replace(".", "", 1).isdigit()}
    own = (table["train_frequency"] == table["test_frequency"]) & table["train_frequency"].isin(trained_at)
    mixed = table["train_frequency"].eq(MIXED) & table["test_frequency"].isin(trained_at)
    table = table[own | mixed]
    kinds = table.groupby(["env", *ARM], sort=False)["data"].transform("nunique")
    table = table[kinds == len(TRAINED)]
    if table.empty:
        raise NothingToDrawError(
            "no arm trained on pooled states is among what was chosen, with its twin on own states"
        )
    summary = over_seeds(table, "relative_error", ["env", *ARM, "test_frequency", "data", "test_set"])
    rates = {rate: place for place, rate in enumerate(sort_rates([*summary["train_frequency"], MIXED]))}
    tests = {rate: place for place, rate in enumerate(sort_rates(summary["test_frequency"]))}
    models = {model: place for place, model in enumerate(sort_models(summary["model"]))}
    places = {"model": models, "train_frequency": rates, "test_frequency": tests}
    order = summary.assign(**{f"_{name}": summary[name].map(place) for name, place in places.items()})
    order = order.sort_values([f"_{name}" for name in places], kind="stable")
    return order.drop(columns=[f"_{name}" for name in places]).reset_index(drop=True)


def draw_own_and_pooled(table: pd.DataFrame) -> Drawing:
    """Draw relative error of both kinds of arm on both test sets, one panel per environment.

    Args:
        table: one_step_errors of any environments.
    """
    summary = own_and_pooled(table)
    envs = list(dict.fromkeys(summary["env"]))
    counts = [len(summary[summary["env"] == env][[*ARM, "test_frequency"]].drop_duplicates()) for env in envs]
    with style():
        figure, axes = new_figure(len(envs), 1, height=0.3 * sum(counts) + 0.3 * len(envs) + 1.3, sharex=True,
                                  height_ratios=counts)  # fmt: skip
        for axis, env in zip(axes[:, 0], envs, strict=True):
            _draw_panel(axis, summary[summary["env"] == env])
            axis.set_title(env)
        axes[-1, 0].set_xlabel("relative one-step error")
        handles = [
            Line2D([], [], color=COLORS[data], marker="o" if test == POOLED else "s", linestyle="",
                   markerfacecolor=COLORS[data] if test == POOLED else "white",
                   label=f"trained on {TRAINED[data]}, {SETS[test]}")
            for data, test in OFFSETS
        ]  # fmt: skip
        figure.legend(handles=handles, loc="outside lower center", ncols=1)
    drawn = table[table["test_set"].isin(SETS) & table["env"].isin(envs)]
    caption = (
        f"{', '.join(envs)}: relative one-step error at rates that an arm was trained at, of arms trained on the "
        "states of their own rate's agent and on as many pooled states of all rates' agents, scored on the pooled test "
        "states and on those of the test rate's own agent (where there is no agent: of the random set of that rate). "
        f"Points are means, bars span the seeds; {counts_text(drawn)}."
        f"{bad_text(summary, '× at the right edge')} {_conclusion(summary)}"
    )
    alt = f"Points of one-step error for arms trained on own and on pooled states, in {len(envs)} environments."
    return Drawing(figure, caption, alt, summary)


def _draw_panel(axis: Axes, summary: pd.DataFrame) -> None:
    keys = [*ARM, "test_frequency"]
    labels = {tuple(row[keys]): _row_label(row) for _, row in summary.drop_duplicates(keys).iterrows()}
    places = {key: i for i, key in enumerate(labels)}
    for (data, test), offset in OFFSETS.items():
        rows = summary[(summary["data"] == data) & (summary["test_set"] == test)]
        y = [places[key] + offset for key in zip(*(rows[name] for name in keys), strict=True)]
        bars = [(rows["mean"] - rows["low"]).clip(lower=0), (rows["high"] - rows["mean"]).clip(lower=0)]
        axis.errorbar(rows["mean"], y, xerr=bars, linestyle="", marker="o" if test == POOLED else "s", markersize=4.5,
                      color=COLORS[data], markerfacecolor=COLORS[data] if test == POOLED else "white",
                      elinewidth=0.9, capsize=2)  # fmt: skip
        for row, place in zip(rows["bad"], y, strict=True):
            if row:
                axis.plot(0.98, place, "x", color=COLORS[data], transform=axis.get_yaxis_transform())
    axis.set_xscale("log")
    low, high = axis.get_xlim()
    if high / low < 100:
        plain_log_axis(axis.xaxis)
        axis.tick_params(axis="x", labelrotation=45)
    axis.set_yticks(list(places.values()), list(labels.values()))
    axis.set_ylim(len(places) - 0.4, -0.6)
    axis.grid(axis="y", visible=False)
    axis.tick_params(axis="y", length=0)


def _row_label(row: pd.Series) -> str:
    trained = (
        f"{row['train_frequency']} Hz" if row["train_frequency"] != MIXED else f"mixed, at {row['test_frequency']} Hz"
    )
    model = model_label(row["model"])
    return (
        f"{model} {row['form']}, {trained}"
        if row["form"] not in ("none", "rk4", "scaled_concat")
        else f"{model}, {trained}"
    )


def _conclusion(summary: pd.DataFrame) -> str:
    """Say for which arm training on other states makes the largest difference, on both test sets."""
    keys = ["env", *ARM, "test_frequency"]
    means = summary.pivot_table(index=keys, columns=["test_set", "data"], values="mean", sort=False)
    ratio = np.log(means[(POOLED, TRANSITIONS)] / means[(POOLED, POOLED)]).abs()
    if not ratio.notna().any():
        return (
            f"No arm has finite errors with both kinds of training states ({', '.join(dict.fromkeys(summary['env']))})."
        )
    row = means.loc[ratio.idxmax()]
    arm = pd.Series(dict(zip(keys, ratio.idxmax(), strict=True)))
    if _all_overlap(summary):
        return (
            f"For no arm do the training states make a difference beyond the span of the seeds "
            f"({', '.join(dict.fromkeys(summary['env']))}, {_seeds(summary)})."
        )
    text = (
        "The training states make the largest difference for "
        f"{arm_label(arm, with_model=True)} on {arm['env']} at {arm['test_frequency']} Hz: "
        f"on pooled test states it errs by {_both(row, POOLED)}"
    )
    text += f", on own test states by {_both(row, 'ppo')}" if ("ppo", POOLED) in means else ""
    return f"{text} ({_seeds(summary)})."


def _seeds(summary: pd.DataFrame) -> str:
    most = int(summary["seeds"].max())
    return f"{most} seed{'' if most == 1 else 's'}"


def _all_overlap(summary: pd.DataFrame) -> bool:
    """Whether for every arm, rate and test set the seeds' spans of both kinds of training states overlap."""
    keys = ["env", *ARM, "test_frequency", "test_set"]
    ends = summary.groupby(keys, sort=False).agg(low=("low", "max"), high=("high", "min"), seeds=("seeds", "min"))
    return bool((ends["low"] <= ends["high"]).all() and (ends["seeds"] > 1).all())


def _both(row: pd.Series, test: str) -> str:
    return f"{row[(test, TRANSITIONS)]:.2g} if trained on own and {row[(test, POOLED)]:.2g} if trained on pooled states"
