"""Checkpoints of one system side by side: a sequence, its energy, the error against time and against Δt.

Tables come with a column `arm`, a name of what is compared; geometric means over seeds bring the 95 % t intervals of
their logarithms as `low` and `high`, which one seed does not have. A color stands for a model, in the registry's order.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from tdlib.figures.lines import DASHES, MARKERS, no_change_line
from tdlib.figures.save import Drawing
from tdlib.figures.style import (
    METHOD_COLORS,
    NEUTRAL,
    NothingToDrawError,
    bad_text,
    known_models,
    new_figure,
    plain_log_axis,
    shared_legend,
    state_label,
    style,
)
from tdlib.figures.words import number_text, seeds_text

COLORS = [
    METHOD_COLORS[name]
    for name in (
        "baseline",
        "multi_resolution",
        "ode",
        "newton_2",
        "persistence",
        "dt_conditioned",
        "rescaled",
        "recurrent_rollout",
    )
]
TITLES = {
    "driven": "under inputs and losses",
    "unforced": "without input or losses",
    "fixed_steps": "equal numbers of steps",
    "fixed_time": "equal time, equal forces",
}
MOST_DIMS = 4  # panels of states
LONGEST_BESIDE = 26  # letters of an arm's name where two fit beside each other
DODGE = 0.025  # of the decade between arms at one interval
CEILING = 1e3  # relative errors above are drawn here


def draw_sequence(table: pd.DataFrame) -> Drawing:
    """Draw states against time, the truth in black and predictions in color, of one test sequence.

    Args:
        table: Rows of env, model, arm, delta_t [s], start, seed, time [s], `<dimension>` and `<dimension>_true`.

    Raises:
        NothingToDrawError: If there is no row.
    """
    env = _env(table)
    names = _shown_dims([name.removesuffix("_true") for name in table if name.endswith("_true")], env)
    looks = _looks(table)
    with style():
        figure, axes = new_figure(len(names), 1, height=1.45 * len(names) + 1.1, sharex=True)
        for axis, name in zip(axes[:, 0], names, strict=True):
            truth = _longest(table)
            axis.plot(truth["time"], truth[f"{name}_true"], color="black", linewidth=2.6, alpha=0.75, label="truth")
            for arm, rows in table.groupby("arm", sort=False):
                axis.plot(rows["time"], rows[name], **_line(looks[arm]), linewidth=1.2, label=arm)
            _limit_to(axis, truth[f"{name}_true"], 0.4)
            axis.set_ylabel(state_label(name, env))
        axes[-1, 0].set_xlabel("time [s]")
        _legend(figure, axes, looks)
    end = table[np.isclose(table["time"], table.groupby("arm")["time"].transform("max"))]
    off = ((end[names].to_numpy() - end[[f"{name}_true" for name in names]].to_numpy()) ** 2).mean(axis=1) ** 0.5
    ends = end.assign(mean=off)
    caption = (
        f"{env}: open-loop predictions of one test sequence of seed {_listed(table['seed'])} (start "
        f"{_listed(table['start'])}, n = 1), every prediction fed back, each arm at its own step, and the truth. Axes "
        f"follow the truth; predictions may leave them. "
        f"{_compared(ends, env, 'At the end the RMS error of the states shown is')}"
    )
    alt = f"States of {env} against time, the truth in black and predictions of {len(looks)} arms."
    return Drawing(figure, caption, alt, table)


def draw_energy(table: pd.DataFrame) -> Drawing:
    """Draw the energy along one test sequence: of predictions, of the truth, and the learned one where there is one.

    Args:
        table: Rows of env, model, arm, seed, start, kind, time [s], energy, energy_true [J], and energy_learned: the
            learned energy, scaled to the spread of the starts' true energies and shifted to the true one at the start.

    Raises:
        NothingToDrawError: If there is no row.
    """
    env, looks = _env(table), _looks(table)
    kinds = [kind for kind in ("driven", "unforced") if kind in set(table["kind"])]
    learned = table["energy_learned"].notna().any()
    with style():
        figure, axes = new_figure(len(kinds), 1, height=1.9 * len(kinds) + 1.2, sharex=True)
        for axis, kind in zip(axes[:, 0], kinds, strict=True):
            own = table[table["kind"] == kind]
            truth = _longest(own)
            axis.plot(truth["time"], truth["energy_true"], color="black", linewidth=2.6, alpha=0.75, label="truth")
            for arm, rows in own.groupby("arm", sort=False):
                axis.plot(rows["time"], rows["energy"], **_line(looks[arm]), linewidth=1.2, label=arm)
                if rows["energy_learned"].notna().any():
                    axis.plot(rows["time"], rows["energy_learned"], color=looks[arm]["color"], linestyle=":")
            every = pd.concat([truth["energy_true"], own["energy"], own["energy_learned"].dropna()])
            _limit_to(axis, every.clip(*_around(truth["energy_true"])), 0.15)
            axis.set(title=TITLES[kind], ylabel="energy [J]")
        axes[-1, 0].set_xlabel("time [s]")
        _legend(figure, axes, looks)
    last = table[table["kind"] == kinds[-1]]
    last = last[np.isclose(last["time"], last.groupby("arm")["time"].transform("max"))]
    ends = last.assign(mean=(last["energy"] - last["energy_true"]).abs())
    dotted = " Dotted: the learned energy, known up to an affine scale and drawn in that of the starts." * bool(learned)
    caption = (
        f"{env}: energy along one test sequence of seed {_listed(table['seed'])} (start {_listed(table['start'])}, "
        f"n = 1), predicted open loop, and of the truth; lines may leave the axes.{dotted} "
        f"{_compared(ends, env, f'At the end, {TITLES[kinds[-1]]}, the energy is off by', ' J')}"
    )
    alt = f"Energy of {env} against time, the truth in black and predictions of {len(looks)} arms."
    return Drawing(figure, caption, alt, table)


def draw_dt_generalization(table: pd.DataFrame) -> Drawing:
    """Draw the relative error of whole sequences against Δt, at equal numbers of steps and at equal time.

    Args:
        table: Rows of env, model, arm, protocol, delta_t [s], mean, low, high (relative error over seeds), unaware
            (of the exact map of the training interval that ignores Δt), seeds, bad, n.

    Raises:
        NothingToDrawError: If there is no row.
    """
    env, looks = _env(table), _looks(table)
    protocols = [name for name in ("fixed_steps", "fixed_time") if name in set(table["protocol"])]
    steps = sorted(set(table["delta_t"]))
    with style():
        figure, axes = new_figure(len(protocols), 1, height=2.1 * len(protocols) + 1.3, sharex=True)
        for axis, protocol in zip(axes[:, 0], protocols, strict=True):
            own = table[table["protocol"] == protocol]
            for i, (arm, rows) in enumerate(own.groupby("arm", sort=False)):
                _draw_bars(axis, rows, 10 ** (DODGE * (i - (len(looks) - 1) / 2)), looks[arm], str(arm))
            limit = own.dropna(subset="unaware").groupby("delta_t")["unaware"].mean().clip(upper=CEILING)
            limit = limit[limit > 0]
            axis.plot(limit.index, limit, color=NEUTRAL["muted"], linestyle="--", linewidth=1.0, zorder=1,
                      label="exact map that ignores Δt")  # fmt: skip
            no_change_line(axis)
            axis.set_yscale("log")
            plain_log_axis(axis.yaxis)
            low = own["mean"].min()
            axis.set_ylim(bottom=0.5 * low if np.isfinite(low) and low > 0 else None)
            axis.set(title=TITLES[protocol], ylabel="relative error")
            axis.set_xscale("log")
            axis.xaxis.set_major_locator(FixedLocator(steps))
            axis.xaxis.set_minor_locator(NullLocator())
            axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes[-1, 0].set_xlabel("Δt [s]")
        _legend(figure, axes, looks)
    longest = table[(table["protocol"] == protocols[-1]) & (table["delta_t"] == steps[-1])]
    caption = (
        f"{env}: relative error of whole open-loop sequences (RMS error over RMS true change since the start, all "
        f"steps) against their interval, {_n_text(table)}. Above the line at 1 predicting no change is better; dashed: "
        f"what the exact map of the training interval scores where it ignores Δt; values above {CEILING:g} are drawn "
        f"there.{bad_text(table)} "
        f"{_compared(longest, env, f'At {steps[-1]:g} s over {TITLES[protocols[-1]]} the error is')}"
    )
    alt = f"Relative error on {env} against the interval, {len(looks)} arms, {len(protocols)} protocols."
    return Drawing(figure, caption, alt, table)


def draw_mse_over_horizon(table: pd.DataFrame) -> Drawing:
    """Draw the mean squared error of open-loop sequences against time, on a logarithmic axis.

    Args:
        table: Rows of env, model, arm, time [s], mean, low, high (over seeds), seeds, bad, n.

    Raises:
        NothingToDrawError: If there is no row.
    """
    env, looks = _env(table), _looks(table)
    with style():
        figure, axes = new_figure(height=3.7)
        axis = axes[0, 0]
        for i, (arm, rows) in enumerate(table.groupby("arm", sort=False)):
            rows = rows.sort_values("time")
            axis.plot(rows["time"], rows["mean"], **_line(looks[arm]), label=arm)
            at = rows.iloc[_marks(len(rows), i, len(looks))]
            ends = [(at["mean"] - at["low"]).clip(lower=0).fillna(0), (at["high"] - at["mean"]).clip(lower=0).fillna(0)]
            axis.errorbar(at["time"], at["mean"], yerr=ends, linestyle="none", color=looks[arm]["color"],
                          marker=looks[arm]["marker"], elinewidth=0.9, capsize=2, markersize=4.5)  # fmt: skip
        axis.set_yscale("log")
        axis.set(xlabel="time [s]", ylabel="mean squared error")
        _legend(figure, axes, looks)
    end = table[np.isclose(table["time"], table.groupby("arm")["time"].transform("max"))]
    caption = (
        f"{env}: mean squared error of open-loop predictions over all state dimensions, each arm at its own step, "
        f"{_n_text(table)}; bars are the intervals.{bad_text(table, 'a gap')} "
        f"{_compared(end, env, 'At the last step the error is')}"
    )
    alt = f"Mean squared error on {env} against time for {len(looks)} arms, logarithmic."
    return Drawing(figure, caption, alt, table)


def _longest(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the arm that goes furthest in time, whose truth is that of the others too."""
    return max((rows for _, rows in table.groupby("arm", sort=False)), key=lambda rows: rows["time"].max())


def _env(table: pd.DataFrame) -> str:
    if table.empty:
        raise NothingToDrawError("no checkpoint has a row of what it shows")
    return str(table["env"].iloc[0])


def look_of(model: str, arm: int = 0) -> dict[str, object]:
    """Color of a model, the same whichever others are drawn, with the dash and marker of one of its arms.

    Args:
        model: Its name; one that is in no registry comes after those that are.
        arm: Number among the model's arms that are drawn.
    """
    order = list(known_models())
    place = order.index(model) if model in order else len(order)
    dash = DASHES[(place // len(COLORS) + arm) % len(DASHES)]
    return {
        "color": COLORS[place % len(COLORS)],
        "linestyle": (0, dash) if dash else "-",
        "marker": MARKERS[(place + arm) % len(MARKERS)],
    }


def _looks(table: pd.DataFrame) -> dict[str, dict]:
    """Look of every arm: two of one model differ by dash and marker."""
    arms = table.drop_duplicates("arm")
    return {
        arm: look_of(model, number)
        for arm, model, number in zip(arms["arm"], arms["model"], arms.groupby("model").cumcount(), strict=True)
    }


def _legend(figure: Figure, axes: np.ndarray, looks: Mapping[str, Mapping]) -> None:
    """Put the arms below the panels, side by side where their names are short enough."""
    shared_legend(figure, axes, columns=2 if max(map(len, looks)) <= LONGEST_BESIDE else 1)


def _marks(count: int, arm: int, arms: int) -> np.ndarray:
    """Steps of `count` at which an arm has its bars: five, apart from those of the others, the last step among them."""
    apart = max(1, count // (5 * (arms + 1)))
    return np.unique(np.clip(np.linspace(count / 5, count, 5).round().astype(int) - 1 - apart * arm, 0, count - 1))


def _line(look: Mapping) -> dict[str, object]:
    return {name: look[name] for name in ("color", "linestyle")}


def _draw_bars(axis: Axes, rows: pd.DataFrame, shift: float, look: Mapping, label: str) -> None:
    """Draw means with their intervals; a cross at the upper edge where no seed has a finite value."""
    rows = rows.sort_values("delta_t")
    x, mean = rows["delta_t"] * shift, rows["mean"].clip(upper=CEILING)
    spread = np.stack(
        [
            (mean - rows["low"]).clip(lower=0).fillna(0),
            (rows["high"].clip(upper=CEILING) - mean).clip(lower=0).fillna(0),
        ]
    )
    axis.errorbar(x, mean, yerr=spread, **look, label=label, elinewidth=0.9, capsize=2, markersize=4.5)
    for place in x[~np.isfinite(rows["mean"])]:
        axis.plot(place, 0.97, "x", color=look["color"], transform=axis.get_xaxis_transform(), zorder=5)


def _shown_dims(names: Sequence[str], env: str) -> list[str]:
    """All dimensions; of many, the first two positions and their velocities."""
    from tdlib.systems import SYSTEMS  # asked when a figure is drawn: reading figures' code needs no torch

    if len(names) <= MOST_DIMS or env not in SYSTEMS:
        return list(names[:MOST_DIMS])
    spec = SYSTEMS[env].spec
    return [spec.state_names[i] for i in (*spec.position_dims[:2], *spec.velocity_dims[:2])]


def _around(truth: pd.Series) -> tuple[float, float]:
    """Range that a panel of energies may show: the truth's, and to either side as much again, or as its start has."""
    width = max(float(truth.max() - truth.min()), abs(float(truth.iloc[0])), 1e-3)
    return float(truth.min()) - width, float(truth.max()) + width


def _limit_to(axis: Axes, values: pd.Series, share: float) -> None:
    finite = values[np.isfinite(values)]
    margin = share * max(float(finite.max() - finite.min()), 1e-3)
    axis.set_ylim(float(finite.min()) - margin, float(finite.max()) + margin)


def _n_text(table: pd.DataFrame) -> str:
    """Say how many seeds and sequences there are, and what stands for the spread."""
    low, high = (int(end(table["seeds"] + table["bad"])) for end in (min, max))
    seeds = seeds_text(high) if low == high else f"{low}–{high} seeds"
    counted = f"n = {seeds}, {int(table['n'].min())} sequences each"
    return (
        f"{counted}, geometric means with 95 % t intervals over seeds"
        if high > 1
        else f"{counted}; one seed has no interval"
    )


def _compared(rows: pd.DataFrame, env: str, place: str, unit: str = "") -> str:
    """Conclude: the least and the most of the arms shown, and whether their intervals part them."""
    finite = rows[np.isfinite(rows["mean"].astype(float))]
    if finite.empty:
        return f"{place} not finite for any arm shown ({env}, {len(rows)} of {len(rows)})."
    least, most = finite.loc[finite["mean"].idxmin()], finite.loc[finite["mean"].idxmax()]
    low, high = (f"{number_text(row['mean'])}{unit}" for row in (least, most))
    lost = len(rows) - len(finite)
    tail = f" ({env}{f'; {lost} not finite' if lost else ''})."
    if len(finite) == 1:
        return f"{place} {low} for {least['arm']}, the only one with a number{tail}"
    said = f"{place} least for {least['arm']} ({low}) and most for {most['arm']} ({high})"
    if "low" not in rows:
        return f"{said}, in this one sequence{tail}"
    if not np.isfinite([least["high"], most["low"]]).all():
        return f"{said}; one seed is no evidence of an order{tail}"
    parted = least["high"] < most["low"]
    return f"{said}; their intervals {'do not overlap' if parted else 'overlap, so no order is seen'}{tail}"


def _listed(values: pd.Series) -> str:
    return ", ".join(str(value) for value in dict.fromkeys(values))
