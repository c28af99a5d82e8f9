"""What live figures draw of the rows that a choice leaves of a table, and the sentence that says what they show."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.ticker import FuncFormatter, NullLocator

from tdlib.core.facts import PLANT_RATES
from tdlib.figures.lines import no_change_line
from tdlib.figures.style import METHOD_COLORS, NEUTRAL, RATE_COLORS, log_rate_axis, state_label, state_plane
from tdlib.figures.words import interval_text, number_text, seeds_text

TICKS = (5, 10, 20, 50, 100, 200)
LARGEST = 30.0  # relative errors above are drawn here
KEPT = 1500  # points of all choices behind those of one; more would only darken them


def live_plant(axis: Axes, rows: pd.DataFrame, table: pd.DataFrame) -> str:
    """Draw the exact motion beside the one of Gymnasium's integrator, whose step is the control interval.

    Args:
        axis: Empty axes.
        rows: Of `plant_motions`, one system and rate.
        table: All of them.
    """
    last = rows.iloc[-1]
    exact = table[(table["env"] == last["env"]) & (table["control_frequency"] == PLANT_RATES[-1])]
    axis.plot(exact["time"], exact["exact"], color=NEUTRAL["text"], zorder=3, label="exact flow")
    axis.plot(rows["time"], rows["simulated"], "o-", color=METHOD_COLORS["baseline"], label="Gymnasium's own step")
    label = state_label(last["dimension"], last["env"])
    axis.set(xlabel="time [s]", ylabel=label)
    axis.legend()
    moved = abs(last["exact"] - rows["exact"].iloc[0])
    return (
        f"After {last['time']:.3g} s {label} of Gymnasium's integrator is off by {number_text(abs(last['off']))}, "
        f"where the exact flow has moved by {number_text(moved)} ({last['env']}, n = 1 motion)."
    )


def live_states(axis: Axes, rows: pd.DataFrame, table: pd.DataFrame) -> str:
    """Draw the states that one agent visited over those of all.

    Args:
        axis: Empty axes.
        rows: States of one rate and seed, with env and control_frequency.
        table: Those of all rates and seeds of one environment.
    """
    env, rate = rows["env"].iloc[0], str(rows["control_frequency"].iloc[0])
    others = ("env", "source", "control_frequency", "seed")
    across, up = state_plane([name for name in table if name not in others], env)
    behind = table.iloc[:: max(1, -(-len(table) // KEPT))]
    axis.scatter(behind[across], behind[up], s=3, linewidths=0, color=NEUTRAL["grid"])
    axis.scatter(rows[across], rows[up], s=4, alpha=0.5, linewidths=0, color=RATE_COLORS.get(rate, NEUTRAL["text"]))
    axis.set(xlabel=state_label(across, env), ylabel=state_label(up, env))
    own = " and ".join(f"{number_text(rows[name].std())} in {state_label(name, env)}" for name in (across, up))
    whole = " and ".join(number_text(table[name].std()) for name in (across, up))
    return (
        f"These states have a standard deviation of {own}; those of all rates and seeds, gray, of {whole} "
        f"({env}, n = {len(rows)} states)."
    )


def live_curve(axis: Axes, rows: pd.DataFrame, table: pd.DataFrame) -> str:
    """Draw the losses of one training run.

    Args:
        axis: Empty axes.
        rows: step, train_loss, val_loss of one arm and seed, with env.
        table: Those of all, whose range the axes have.
    """
    known = table["val_loss"][np.isfinite(table["val_loss"]) & (table["val_loss"] > 0)]
    limits = (0.5 * known.min(), 2 * known.max()) if len(known) else None
    axis.set_yscale("log")
    said = _losses(axis, rows, table, "loss [σ²]", limits)
    _decades(axis)
    return said


def live_likelihoods(axis: Axes, rows: pd.DataFrame, table: pd.DataFrame) -> str:
    """Draw losses that are likelihoods, which may be negative; as `live_curve`."""
    known = table["val_loss"][np.isfinite(table["val_loss"])]
    margin = 0.1 * float(np.ptp(known)) if len(known) else 0.0
    limits = (known.min() - margin, known.max() + margin) if margin else None
    return _losses(axis, rows, table, "negative log-likelihood [nats]", limits)


def _losses(axis: Axes, rows: pd.DataFrame, table: pd.DataFrame, label: str, limits: tuple[float, float] | None) -> str:
    """Draw two curves and say where the second is least."""
    for name, color, words in (("train_loss", NEUTRAL["muted"], "training"),
                               ("val_loss", METHOD_COLORS["multi_resolution"], "validation")):  # fmt: skip
        points = rows[["step", name]].dropna()
        axis.plot(points["step"], points[name], color=color, label=words)
    axis.set(xlabel="optimizer step", ylabel=label, xlim=(0, table["step"].max()))
    if limits is not None:
        axis.set_ylim(limits)
    axis.legend()
    env, finite = rows["env"].iloc[0], rows[np.isfinite(rows["val_loss"])]
    if finite.empty:
        return f"No validation loss is finite ({env}, n = 1 model)."
    best = finite.loc[finite["val_loss"].idxmin()]
    return (
        f"The validation loss is least at step {best['step']:g}, {number_text(best['val_loss'])}, and ends at "
        f"{number_text(finite['val_loss'].iloc[-1])} ({env}, n = 1 model)."
    )


def live_rollout(axis: Axes, rows: pd.DataFrame, table: pd.DataFrame) -> str:
    """Draw the prediction and the truth of one start.

    Args:
        axis: Empty axes.
        rows: time [s], `<dimension>` and `<dimension>_true` of one arm, rate, seed and start, with env.
        table: Those of all.
    """
    env, rows = rows["env"].iloc[0], rows.sort_values("time")
    name, _ = state_plane([column.removesuffix("_true") for column in table if column.endswith("_true")], env)
    true, last = rows[f"{name}_true"], rows.iloc[-1]
    axis.plot(rows["time"], true, color=NEUTRAL["text"], linewidth=2.6, alpha=0.75, label="truth")
    color = METHOD_COLORS.get(last["method"], NEUTRAL["muted"])
    axis.plot(rows["time"], rows[name], "o-", color=color, label="prediction")
    margin = max(np.ptp(true), 1e-3)
    axis.set(xlabel="time [s]", ylabel=state_label(name, env), ylim=(true.min() - margin, true.max() + margin))
    axis.legend()
    off = abs(last[name] - last[f"{name}_true"])
    told = f"is off by {number_text(off)}" if np.isfinite(off) else "is not finite"
    return (
        f"After {last['time']:.3g} s {state_label(name, env)} {told}, where the truth has gone through a range of "
        f"{number_text(np.ptp(true))} ({env}, n = 1 start)."
    )


def live_returns(axis: Axes, rows: pd.DataFrame, table: pd.DataFrame) -> str:
    """Draw the return of every episode against the oracle's from the same start, over those of all arms at the rate.

    Args:
        axis: Empty axes.
        rows: episode_return, regret, success, planner_limited of one arm and control rate, with env.
        table: Those of all.
    """
    env, finite = rows["env"].iloc[0], rows[np.isfinite(rows["episode_return"])]
    solved = finite["success"].astype(bool)
    color, oracle = (
        METHOD_COLORS.get(rows["method"].iloc[0], NEUTRAL["muted"]),
        finite["episode_return"] + finite["regret"],
    )
    axis.scatter(oracle[solved], finite["episode_return"][solved], s=26, color=color, label="solved")
    axis.scatter(oracle[~solved], finite["episode_return"][~solved], s=26, edgecolors=color, facecolors="none",
                 label="not solved")  # fmt: skip
    all_arms = table[table["control_frequency"] == rows["control_frequency"].iloc[0]]
    others = all_arms[np.isfinite(all_arms["episode_return"] + all_arms["regret"])]
    beside = others["episode_return"] + others["regret"]
    axis.scatter(beside, others["episode_return"], s=8, linewidths=0, color=NEUTRAL["grid"], zorder=0)
    if len(others):  # one range for both, so that the line is the diagonal
        both = np.concatenate([beside, others["episode_return"]])
        margin = max(0.05 * np.ptp(both), 1e-3)
        ends = (both.min() - margin, both.max() + margin)
        axis.plot(ends, ends, color=NEUTRAL["reference"], linewidth=0.8, zorder=0, label="as the oracle")
        axis.set(xlim=ends, ylim=ends)
    axis.set(xlabel="return of the oracle [reward]", ylabel="return [reward]")
    axis.legend()
    limited = "; the oracle itself is planner-limited here" * bool(rows["planner_limited"].astype(bool).any())
    bad = f"; not finite: {len(rows) - len(finite)}" * (len(finite) < len(rows))
    return (
        f"{int(solved.sum())} of {len(rows)} episodes are solved and the mean regret is "
        f"{number_text(finite['regret'].mean())}{limited}{bad} ({env}, n = {seeds_text(rows['seed'].nunique())})."
    )


def live_intervals(axis: Axes, rows: pd.DataFrame, table: pd.DataFrame) -> str:
    """Draw the value of every seed, and mean and interval of the first ones up to it.

    Args:
        axis: Empty axes.
        rows: Of `intervals_by_seeds`, one arm and test rate.
        table: All of them.
    """
    x, color = rows["n_seeds"], METHOD_COLORS.get(rows["method"].iloc[0], NEUTRAL["muted"])
    axis.fill_between(x, rows["ci_low"], rows["ci_high"], color=color, alpha=0.2, linewidth=0, label="95 % interval")
    axis.plot(x, rows["mean"], color=color, label="mean so far")
    axis.plot(x, rows["value"], "o", color=NEUTRAL["text"], label="seed")
    axis.set(xlabel="seeds", ylabel="relative one-step error", xticks=x, xlim=(x.min() - 0.4, x.max() + 0.4))
    low, high = rows["value"].min(), rows["value"].max()
    margin = max(2 * (high - low), 0.1 * high)  # the interval of two seeds would leave no room for the rest
    axis.set_ylim(max(0.0, low - margin), high + margin)
    axis.legend()
    last = rows.iloc[-1]
    mean = interval_text(last, "mean", "ci") + ", one seed without an interval" * (len(rows) == 1)
    return f"The mean is {mean} ({last['env']}, n = {seeds_text(last['n_seeds'])})."


def errors_by_rate(table: pd.DataFrame | None) -> pd.DataFrame | None:
    """Keep of one_step_errors what `live_errors` draws: pooled pairs, all dimensions; of nothing, None."""
    if table is None:
        return None
    table = table[(table["test_set"] == "pooled") & (table["dimension"] == "all")]
    table = table[table["test_frequency"] != "irregular"]
    return table.assign(rate=table["test_frequency"].astype(float))


def live_errors(axis: Axes, rows: pd.DataFrame, table: pd.DataFrame) -> str:
    """Draw the error of one arm against test rate, over those of all arms of its system.

    Args:
        axis: Empty axes.
        rows: Of `errors_by_rate`, one environment and arm.
        table: All of them.
    """
    env, arm = rows["env"].iloc[0], rows["arm"].iloc[0]
    others = table[(table["env"] == env) & (table["arm"] != arm)]
    means = others.pivot_table(index="arm", columns="rate", values="relative_error").clip(upper=LARGEST)
    lines = [np.column_stack([means.columns, values]) for values in means.to_numpy()]
    axis.add_collection(LineCollection(lines, colors=NEUTRAL["grid"], linewidths=0.8, zorder=0))
    color = METHOD_COLORS.get(rows["method"].iloc[0], NEUTRAL["muted"])
    for _, line in rows.sort_values("rate").groupby("seed"):
        axis.plot(line["rate"], line["relative_error"].clip(upper=LARGEST), "o-", color=color, alpha=0.8)
    no_change_line(axis)
    axis.set(xlabel="test rate [Hz]", ylabel="relative one-step error", yscale="log")
    _decades(axis)
    log_rate_axis(axis, TICKS)
    found = rows.groupby("rate")["relative_error"].mean()
    least, most = found.idxmin(), found.idxmax()
    return (
        f"The error is least at {least:g} Hz, {number_text(found[least])}, and largest at {most:g} Hz, "
        f"{number_text(found[most])}; 1 is predicting no change ({env}, n = {seeds_text(rows['seed'].nunique())}; "
        f"gray: {len(lines)} other arms)."
    )


def _decades(axis: Axes) -> None:
    """Label the decades of a logarithmic y in plain numbers: powers would need mathtext, and minor ticks a while."""
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
