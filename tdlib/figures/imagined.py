"""Long predictions: their errors and likelihoods against the time ahead, the test rate, and the treatment of time."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from tdlib.core.facts import MIXED
from tdlib.figures.lines import DASHES, MARKERS, grid_of, label_outer
from tdlib.figures.physics import COLORS
from tdlib.figures.save import Drawing
from tdlib.figures.selection import ARM, default_sizes, main_rate
from tdlib.figures.style import (
    NEUTRAL,
    NothingToDrawError,
    arm_label,
    bad_text,
    counts_text,
    log_rate_axis,
    model_label,
    new_figure,
    over_seeds,
    plain_log_axis,
    shared_legend,
    sort_models,
    span_text,
    style,
)
from tdlib.figures.words import interval_text, number_text, seeds_text

Kind = tuple[str, str]  # (method, form)
TREATMENTS: dict[Kind, str] = {  # what an arm does about time
    ("baseline", "none"): "1 rate, steps",
    ("dt_conditioned", "flow"): "1 rate, time",
    ("dt_conditioned", "flow_seconds"): "1 rate, time, H in s",
    ("multi_resolution", "none"): "3 rates, steps",
    ("multi_resolution", "concat"): "3 rates, told Δt",
    ("multi_resolution", "concat_seconds"): "3 rates, told Δt, H in s",
    ("multi_resolution", "flow"): "3 rates, time",
    ("multi_resolution", "flow_seconds"): "3 rates, time, H in s",
}
BEST: tuple[Kind, ...] = (("multi_resolution", "flow"), ("multi_resolution", "concat"), ("multi_resolution", "none"))
SHOWN_AHEAD = 3.0  # [s] at which rates and treatments are compared
FLOOR, CEILING = 1e-2, 10.0  # values beyond are drawn there


def best_known(table: pd.DataFrame) -> pd.DataFrame:
    """Keep of each model its arm of three rates that is told most of time: by time, else by an input, else not."""
    table = default_sizes(table)
    parts = []
    for _, rows in table[table["train_frequency"] == MIXED].groupby("model", sort=False):
        there = [kind for kind in BEST if ((rows["method"] == kind[0]) & (rows["form"] == kind[1])).any()]
        if there:
            method, form = there[0]
            parts.append(rows[(rows["method"] == method) & (rows["form"] == form)])
    return pd.concat(parts, ignore_index=True) if parts else table.iloc[:0]


def draw_imagined(table: pd.DataFrame, rate: str = "20") -> Drawing:
    """Draw sliding RMSE and NLL against the time ahead at one rate, a line per model, persistence and a limit beside.

    Args:
        table: sliding_windows of one environment.
        rate: Test rate [Hz].

    Raises:
        NothingToDrawError: If models of three rates were not measured at the rate.
    """
    asked = table[table["test_frequency"] == rate]
    own = best_known(asked)
    if own.empty:
        raise NothingToDrawError(f"models of three rates were not measured at {rate} Hz")
    return _ahead(asked, own, rate, "models of three rates, each in the form that is told most of time")


def draw_seen(table: pd.DataFrame) -> Drawing:
    """Draw sliding RMSE and NLL against the time ahead on a set of which a part is seen, at its one rate.

    Args:
        table: sliding_windows of one set.

    Raises:
        NothingToDrawError: If nothing that is trained was measured.
    """
    own = default_sizes(table[table["model"] != "none"])
    if own.empty:
        raise NothingToDrawError("none of the trained models is among what was chosen")
    rate = str(own["test_frequency"].iloc[0])
    return _ahead(table, own, rate, "models of that rate alone, told and scored on what is seen")


def _ahead(asked: pd.DataFrame, own: pd.DataFrame, rate: str, who: str) -> Drawing:
    """Draw models, and beside them no change and the exact flow where there is one.

    Args:
        asked: sliding_windows of one environment at one rate.
        own: Those of the models, one arm of each.
        rate: The rate [Hz].
        who: Which arms they are, in words.
    """
    env = str(own["env"].iloc[0])
    idle, names = asked[asked["model"] == "none"], sort_models(own["model"])
    summaries = {name: over_seeds(own, name, ["env", *ARM, "time"]) for name in ("rmse", "nll")}
    with style():
        figure, axes = new_figure(1, 2, height=3.9)
        for axis, (name, summary) in zip(axes[0], summaries.items(), strict=True):
            for i, model in enumerate(names):
                rows = summary[summary["model"] == model]
                _band(axis, rows, model_label(model), COLORS[i % len(COLORS)], DASHES[i // len(COLORS)])
            axis.set_xlabel("time ahead [s]")
            axis.set_ylabel({"rmse": "sliding RMSE [standard deviations]", "nll": "sliding NLL [nats]"}[name])
        first, grey = axes[0, 0], [pd.Series(dtype=float)]
        for column, rows, words, dash in (
            ("rmse", idle, "no change", (4, 1.5)),
            ("hidden_rmse", asked, "exact, mean of what is hidden", (1.2, 1.2)),
        ):
            means = rows.dropna(subset=[column]).groupby("time")[column].mean()
            look = {"color": NEUTRAL["muted"], "linewidth": 1.1, "zorder": 1, "linestyle": (0, dash)}
            grey.append(means)
            if len(means):
                first.plot(means.index, means.clip(FLOOR, CEILING), label=words, **look)
        first.set_yscale("log")
        plain_log_axis(first.yaxis)
        shared_legend(figure, axes)
    ends = summaries["rmse"][summaries["rmse"]["time"] == nearest_time(own["time"], SHOWN_AHEAD)]
    caption = (
        f"{env}: errors and negative log-likelihoods of predictions at {rate} Hz after two known windows, over the "
        f"last {_seconds(own)} before each time (the first value: of one step); {who}. "
        f"Lines: means over seeds, bands span the seeds; {counts_text(own, 'starts')}. "
        "One standard deviation is that of the true states."
        f"{bad_text(summaries['rmse'], 'no line is drawn')}{edge_text(pd.concat(grey))} "
        f"{_ordered(ends, env, nearest_time(own['time'], SHOWN_AHEAD))}"
    )
    data = pd.concat([x.assign(value=name) for name, x in summaries.items()], ignore_index=True)
    return Drawing(figure, caption, f"Error and likelihood of long predictions on {env} against the time ahead.", data)


def draw_imagined_rates(table: pd.DataFrame) -> Drawing:
    """Draw the error three seconds ahead against the test rate, a panel per model, a line per treatment of time.

    Args:
        table: sliding_windows of one environment.

    Raises:
        NothingToDrawError: If nothing that is trained was measured.
    """
    env, time = str(table["env"].iloc[0]), nearest_time(table["time"], SHOWN_AHEAD)
    rated = default_sizes(table[(table["time"] == time) & (table["test_frequency"] != "irregular")])
    one = main_rate(rated[rated["model"] != "none"]["train_frequency"])
    kinds = [*zip(rated["method"], rated["form"], rated["train_frequency"], strict=True)]
    kept = [kind[:2] in TREATMENTS and kind[2] in (one, MIXED) for kind in kinds]
    own = rated[kept]
    if own.empty:
        raise NothingToDrawError("none of the trained models is among what was chosen")
    own = own.assign(rate=own["test_frequency"].astype(float))
    summary, names = over_seeds(own, "rmse", ["env", *ARM, "rate"]), sort_models(own["model"])
    rows, columns = grid_of(len(names), 2)
    with style():
        figure, axes = new_figure(rows, columns, height=1.85 * rows + 1.9, sharex=True, sharey=True)
        for axis, name in zip(axes.ravel(), names, strict=False):
            for i, ((method, form), words) in enumerate(TREATMENTS.items()):
                line = summary[(summary["model"] == name) & (summary["method"] == method) & (summary["form"] == form)]
                errors_line(axis, line.sort_values("rate"), words, i)
            axis.set_title(model_label(name))
            axis.set_yscale("log")
            log_rate_axis(axis, [each for each in sorted(summary["rate"].unique()) if each != 25])
            plain_log_axis(axis.yaxis)
        label_outer(axes, len(names), "test rate [Hz]", "RMSE [std]")
        shared_legend(figure, axes, columns=1 if len(names) < 2 else 2)
    caption = (
        f"{env}: sliding RMSE {time:g} s ahead against the test rate, over half a second as near as rows allow "
        f"({_seconds(own)}), in standard deviations of the true states, by what is done about time; one rate is {one} "
        "Hz. H in s: windows last for a time. Lines: means over seeds, "
        f"bars span the seeds; {counts_text(own, 'starts')}."
        f"{bad_text(summary, 'gaps')}{edge_text(summary[['mean', 'low', 'high']])} {_at_ends(summary, env)}"
    )
    alt = f"Error of long predictions on {env} against test rate, a panel per model."
    return Drawing(figure, caption, alt, summary)


def draw_imagined_treatments(statistics: pd.DataFrame, rates: Sequence[str], rate: str, model: str) -> Drawing:
    """Draw errors three seconds ahead of each treatment of one model, and of the other models, a panel per system.

    Args:
        statistics: Rows of `statistics.csv`.
        rates: Three test rates.
        rate: Training rate of what is trained at one.
        model: Whose treatments.

    Raises:
        NothingToDrawError: If the model was not measured at these rates.
    """
    detail = f"{SHOWN_AHEAD:g}"
    found = statistics[(statistics["metric"] == "imagined.rmse") & (statistics["detail"] == detail)]
    found = default_sizes(found[found["test_frequency"].isin(rates)])
    own, named = found[found["model"] == model], []
    for (method, form), words in TREATMENTS.items():
        rows = own[(own["method"] == method) & (own["form"] == form) & own["train_frequency"].isin((rate, MIXED))]
        named.append(rows.assign(treatment=words))
    for name, rows in best_known(found[~found["model"].isin((model, "none"))]).groupby("model", sort=False):
        named.append(rows.assign(treatment=model_label(str(name))))
    chosen = pd.concat(named, ignore_index=True)
    if own.empty:
        raise NothingToDrawError(f"{model_label(model)} was not measured at {', '.join(rates)} Hz")
    names, systems = list(dict.fromkeys(chosen["treatment"])), list(dict.fromkeys(chosen["env"]))
    with style():
        figure, axes = new_figure(
            len(systems), 1, height=(0.21 * len(names) + 0.75) * len(systems) + 0.8, sharex=True, sharey=True
        )
        for axis, env in zip(axes[:, 0], systems, strict=True):
            for _, row in chosen[chosen["env"] == env].iterrows():
                place = list(rates).index(row["test_frequency"])
                y, color = names.index(row["treatment"]) + 0.22 * (place - 1), COLORS[place]
                axis.plot(np.clip([row["ci_low"], row["ci_high"]], FLOOR, CEILING), [y, y], color=color, linewidth=1.2)
                axis.plot(np.clip(row["mean"], FLOOR, CEILING), y, "o", color=color, markersize=4.5)
            axis.tick_params(axis="y", length=0)
            axis.set_title(env)
        axes[0, 0].set_yticks(range(len(names)), names)
        axes[0, 0].set_ylim(len(names) - 0.4, -0.6)
        axes[-1, 0].set_xscale("log")
        plain_log_axis(axes[-1, 0].xaxis)
        axes[-1, 0].set_xlabel("sliding RMSE [standard deviations]")
        said = [each if each == "irregular" else f"{each} Hz" for each in rates]
        keys = [
            Line2D([], [], color=color, marker="o", linestyle="", label=words)
            for words, color in zip(said, COLORS, strict=False)
        ]
        figure.legend(handles=keys, loc="outside lower center", ncols=3)
    caption = (
        f"Sliding RMSE {SHOWN_AHEAD:g} s ahead, over half a second as near as rows allow, in standard deviations of "
        f"the true states, at {', '.join(said)}: the "
        f"treatments of time of the {model_label(model)}, and the other models of three rates, each told most of time. "
        f"Means with 95 % t intervals over seeds, n = {span_text(chosen['n_seeds'])} seeds. One rate is {rate} Hz, "
        f"H in s: windows last for a time.{edge_text(chosen[['mean', 'ci_low', 'ci_high']])} "
        f"{_least(chosen, rates[-1])}"
    )
    alt = f"Points of error three seconds ahead for {len(names)} rows on {len(systems)} systems at three test rates."
    return Drawing(figure, caption, alt, chosen)


def errors_line(axis: Axes, rows: pd.DataFrame, label: str, place: int) -> None:
    """Draw means over `rate` with bars over the span of the seeds, in the look of a place in a list."""
    if rows.empty:
        return
    values = rows[["mean", "low", "high"]].clip(FLOOR, CEILING)
    ends = [values["mean"] - values["low"], values["high"] - values["mean"]]
    dash = DASHES[place % len(DASHES)]
    look = {"color": COLORS[place % len(COLORS)], "marker": MARKERS[place % len(MARKERS)]}
    line = {"linestyle": (0, dash) if dash else "-", "elinewidth": 0.8, "capsize": 1.5}
    axis.errorbar(rows["rate"], values["mean"], yerr=ends, label=label, **look, **line)


def edge_text(values: pd.DataFrame | pd.Series) -> str:
    """Say of what is drawn whether some lies beyond where values are cut; nothing of none."""
    numbers = values.to_numpy(dtype=float)
    beyond = np.isfinite(numbers) & ((numbers < FLOOR) | (numbers > CEILING))
    return f" What lies below {FLOOR:g} or above {CEILING:g} is drawn there." if beyond.any() else ""


def nearest_time(times: pd.Series, wanted: float) -> float:
    """Return the time among those there are that is nearest to one."""
    found = np.unique(times)
    return float(found[np.abs(found - wanted).argmin()])


def _seconds(table: pd.DataFrame) -> str:
    """Say how long windows are: `0.5 s`, or from the shortest to the longest."""
    low, high = f"{table['window'].min():.2g}", f"{table['window'].max():.2g}"
    return f"{low} s" if low == high else f"{low}–{high} s"


def _band(axis: Axes, rows: pd.DataFrame, label: str, color: str, dash: tuple | str) -> None:
    axis.plot(rows["time"], rows["mean"], color=color, linestyle=(0, dash) if dash else "-", label=label)
    axis.fill_between(rows["time"], rows["low"], rows["high"], color=color, alpha=0.13, linewidth=0)


def _ordered(rows: pd.DataFrame, env: str, time: float) -> str:
    """Say which model errs least and which most at a time."""
    rows = rows[np.isfinite(rows["mean"])]
    if rows.empty:
        return f"No value is finite ({env}, 0 seeds)."
    least, most = rows.loc[rows["mean"].idxmin()], rows.loc[rows["mean"].idxmax()]
    return (
        f"By its mean, {model_label(least['model'])} errs least {time:g} s ahead, {number_text(least['mean'])}, and "
        f"{model_label(most['model'])} most, {number_text(most['mean'])} ({env}, {seeds_text(rows['seeds'].max())})."
    )


def _at_ends(summary: pd.DataFrame, env: str) -> str:
    """Say which arm errs least at the coarsest and at the finest rate."""
    parts = []
    for rate in (summary["rate"].min(), summary["rate"].max()):
        rows = summary[(summary["rate"] == rate) & np.isfinite(summary["mean"])]
        if len(rows):
            row = rows.loc[rows["mean"].idxmin()]
            parts.append(f"at {rate:g} Hz that of {arm_label(row, with_model=True)}, {number_text(row['mean'])}")
    return f"By their means the least error is {' and '.join(parts)} ({env}, {seeds_text(summary['seeds'].max())})."


def _least(chosen: pd.DataFrame, rate: str) -> str:
    """Say of each system which row errs least at a rate."""
    parts = []
    for env, rows in chosen[chosen["test_frequency"] == rate].groupby("env", sort=False):
        rows = rows[np.isfinite(rows["mean"])]
        if len(rows):
            row = rows.loc[rows["mean"].idxmin()]
            parts.append(f"on {env} {row['treatment']}, {interval_text(row, 'mean', 'ci')}")
    asked = "With irregular steps" if rate == "irregular" else f"At {rate} Hz"
    return f"{asked} the least error has {'; '.join(parts)} ({seeds_text(chosen['n_seeds'].max())})."
