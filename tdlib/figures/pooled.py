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
    counts_text,
    model_label,
    new_figure,
    over_seeds,
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
    with style():
        figure, axes = new_figure(len(envs), 1, width=8.8, height=2.9 * len(envs) + 0.9)
        for axis, env in zip(axes[:, 0], envs, strict=True):
            _draw_panel(axis, summary[summary["env"] == env])
            axis.set_title(env)
        axes[-1, 0].set_xlabel("training rates, and where there are several the test rate")
        handles = [
            Line2D([], [], color=COLORS[data], marker="o" if test == POOLED else "s", linestyle="",
                   markerfacecolor=COLORS[data] if test == POOLED else "white",
                   label=f"trained on {TRAINED[data]}, {SETS[test]}")
            for data, test in OFFSETS
        ]  # fmt: skip
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    drawn = table[table["test_set"].isin(SETS) & table["env"].isin(envs)]
    caption = (
        f"{', '.join(envs)}: relative one-step error at rates that an arm was trained at, of arms trained on the "
        "states of their own rate's agent and on as many pooled states of all rates' agents, scored on the pooled test "
        "states and on those of the test rate's own agent (where there is no agent: of the random set of that rate). "
        f"Points are means, bars span the seeds; {counts_text(drawn)}. {_conclusion(summary)}"
    )
    alt = f"Points of one-step error for arms trained on own and on pooled states, in {len(envs)} environments."
    return Drawing(figure, caption, alt, summary)


def _draw_panel(axis: Axes, summary: pd.DataFrame) -> None:
    places: dict[tuple[str, ...], float] = {}
    labels, place, before = [], 0.0, None
    for key in summary[["model", "train_frequency", "test_frequency"]].drop_duplicates().itertuples(index=False):
        place += 0.0 if before is None else 1.0 if key.model == before else 1.7
        places[tuple(key)], before = place, key.model
        mixed = key.train_frequency == MIXED
        labels.append(f"{key.train_frequency}\nat {key.test_frequency} Hz" if mixed else f"{key.train_frequency} Hz")
    for (data, test), offset in OFFSETS.items():
        rows = summary[(summary["data"] == data) & (summary["test_set"] == test)]
        x = [places[key] + offset for key in zip(rows["model"], rows["train_frequency"], rows["test_frequency"],
                                                 strict=True)]  # fmt: skip
        bars = [(rows["mean"] - rows["low"]).clip(lower=0), (rows["high"] - rows["mean"]).clip(lower=0)]
        axis.errorbar(x, rows["mean"], yerr=bars, linestyle="", marker="o" if test == POOLED else "s", markersize=4.5,
                      color=COLORS[data], markerfacecolor=COLORS[data] if test == POOLED else "white",
                      elinewidth=0.9, capsize=2)  # fmt: skip
    axis.set_yscale("log")
    axis.set_ylabel("relative error")
    axis.set_xticks(list(places.values()), labels)
    axis.grid(axis="x", visible=False)
    for model in dict.fromkeys(summary["model"]):
        middle = np.mean([x for key, x in places.items() if key[0] == model])
        axis.annotate(model_label(model), (middle, 0.99), xycoords=("data", "axes fraction"), ha="center", va="top",
                      fontsize=8.5)  # fmt: skip
    axis.set_ymargin(0.18)


def _conclusion(summary: pd.DataFrame) -> str:
    """Say for which arm training on other states makes the largest difference, on both test sets."""
    keys = ["env", *ARM, "test_frequency"]
    means = summary.pivot_table(index=keys, columns=["test_set", "data"], values="mean", sort=False)
    ratio = np.log(means[(POOLED, TRANSITIONS)] / means[(POOLED, POOLED)]).abs()
    row = means.loc[ratio.idxmax()]
    arm = pd.Series(dict(zip(keys, ratio.idxmax(), strict=True)))
    text = (
        "The training states make the largest difference for "
        f"{arm_label(arm, with_model=True)} on {arm['env']} at {arm['test_frequency']} Hz: "
        f"on pooled test states it errs by {_both(row, POOLED)}"
    )
    return f"{text}, on own test states by {_both(row, 'ppo')}." if ("ppo", POOLED) in means else f"{text}."


def _both(row: pd.Series, test: str) -> str:
    return f"{row[(test, TRANSITIONS)]:.2g} if trained on own and {row[(test, POOLED)]:.2g} if trained on pooled states"
