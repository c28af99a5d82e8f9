"""Chapter 0: the plant that changes with the simulator's step, and what a held input is."""

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tdlib.core.facts import ROLLOUT_HOLD, TRAIN_FREQUENCIES
from tdlib.figures.save import Drawing
from tdlib.figures.style import (
    RATE_COLORS,
    log_rate_axis,
    new_figure,
    shared_legend,
    state_label,
    state_symbol,
    style,
)

if TYPE_CHECKING:
    from tdlib.core.specs import EnvironmentSpec
    from tdlib.systems import System

DIMENSION_LOOKS = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"))
HORIZON = 2.0  # [s]
FINE = 0.005  # [s] clock of the smooth curve


def draw_plant_change(table: pd.DataFrame) -> Drawing:
    """Draw the error of Gymnasium's own integrator if its step is set to the control interval.

    Args:
        table: Rows of env, control_frequency (or test_frequency) [Hz], dimension, relative_change, n.
    """
    rate = "control_frequency" if "control_frequency" in table else "test_frequency"
    table = table.assign(rate=pd.to_numeric(table[rate]))
    names = list(dict.fromkeys(table["env"]))
    with style():
        figure, axes = new_figure(1, len(names), height=3.2, sharey=True)
        for axis, env in zip(axes[0], names, strict=True):
            shown = table[(table["env"] == env) & (table["dimension"] != "all")]
            for (color, marker), (dimension, rows) in zip(
                cycle(DIMENSION_LOOKS), shown.groupby("dimension", sort=False), strict=False
            ):
                rows = rows.sort_values("rate")
                axis.plot(rows["rate"], 100 * rows["relative_change"], color=color, marker=marker,
                          label=state_symbol(dimension))  # fmt: skip
            axis.set_title(env)
            axis.set_yscale("log")
            axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            log_rate_axis(axis, sorted(shown["rate"].unique()))
            axis.set_xlabel("control rate [Hz]")
            axis.legend()
        axes[0, 0].set_ylabel("error of one step [% of its RMS change]")
    caption = (
        f"Setting env.dt or env.tau to the control interval changes the plant: RMS error of one step of Gymnasium's "
        f"own integrator relative to the RMS true change, per state dimension; n = {int(table['n'].max())} states, "
        f"uniform over a box, transitions that touch the speed limit left out. "
        f"{_worst(table)}"
    )
    alt = (
        "Error of Gymnasium's integrator against control rate, falling with the rate, for " + " and ".join(names) + "."
    )
    return Drawing(figure, caption, alt, table.drop(columns="rate"))


def draw_zero_order_hold(system: "System", frequencies: Sequence[float] = TRAIN_FREQUENCIES) -> Drawing:
    """Draw one physical trajectory under one held input, and where each rate looks at it.

    Args:
        system: Exact flow.
        frequencies: Rates whose intervals divide 0.2 s.
    """
    import torch  # only this figure asks the system itself

    from tdlib.core.time_grid import delta_t_of, num_steps

    spec = system.spec
    levels = np.array([0.6, -0.9, 0.2, 0.9, -0.5, -0.2, 0.7, -0.7, 0.4, -0.3])
    wanted = torch.from_numpy(levels)[:, None] * torch.tensor(spec.input_high, dtype=torch.float64)  # (H, m)
    actions = spec.nearest_action(wanted) if spec.discrete else spec.held_input(wanted)
    labels = [f"{name} [{unit}]" for name, unit in zip(spec.input_names, spec.input_units, strict=True)]
    columns = ["input"] if spec.input_dim == 1 else [f"input_{name}" for name in spec.input_names]
    inputs = dict(zip(columns, labels, strict=True))
    start = torch.tensor([system.start], dtype=torch.float64)

    def follow(delta_t: float) -> pd.DataFrame:
        state, rows = start, []
        per_hold = num_steps(ROLLOUT_HOLD, delta_t)
        for k in range(num_steps(HORIZON, delta_t) + 1):
            action = actions[min(k // per_hold, len(actions) - 1)].unsqueeze(0)
            held = dict(zip(inputs, spec.held_input(action)[0].tolist(), strict=True))
            rows.append({"time": k * delta_t, **held, **dict(zip(spec.state_names, state[0].tolist(), strict=True))})
            state = system.flow(state, action, delta_t)
        return pd.DataFrame(rows)

    curve = follow(FINE).assign(control_frequency=f"{1 / FINE:g}")
    samples = [follow(delta_t_of(rate)).assign(control_frequency=f"{rate:g}") for rate in frequencies]
    shown = spec.state_names[-2:]
    with style():
        count = len(shown) + len(inputs)
        figure, axes = new_figure(count, 1, height=1.5 * count + 0.9, sharex=True)
        for axis, name in zip(axes[:, 0], (*shown, *inputs), strict=True):
            if name in inputs:
                axis.step(curve["time"], curve[name], where="post", color="black")
                axis.set_ylabel(inputs[name])
                continue
            axis.plot(curve["time"], curve[name], color="black", linewidth=1.1, label="exact flow")
            for size, table in zip((9, 6, 3), samples, strict=False):
                rate = table["control_frequency"].iloc[0]
                axis.plot(table["time"], table[name], linestyle="none", marker="o", markersize=size, alpha=0.8,
                          markerfacecolor="none" if size > 3 else None, color=RATE_COLORS.get(rate, "#444444"),
                          label=f"states at {rate} Hz")  # fmt: skip
            axis.set_ylabel(state_label(name, spec.name))
        axes[-1, 0].set_xlabel("time [s]")
        shared_legend(figure, axes)
    caption = (
        f"{spec.name}: one trajectory (n = 1) under an input held for {ROLLOUT_HOLD:g} s at a time. Each control rate "
        f"looks at the same curve at its own times; a step from circle to circle is what a model of that rate "
        f"predicts. "
        f"{_same_plant(samples, spec)}"
    )
    listed = ", ".join(f"{rate:g}" for rate in frequencies)
    alt = f"A smooth trajectory of {spec.name} with the states seen at {listed} Hz marked on it, above the held input."
    return Drawing(figure, caption, alt, pd.concat([curve, *samples], ignore_index=True))


def _worst(table: pd.DataFrame) -> str:
    """Say for each environment which dimension is furthest off at its lowest rate, and what is left at its highest."""
    parts = []
    for env, rows in table[table["dimension"] != "all"].groupby("env", sort=False):
        finite = rows[np.isfinite(rows["relative_change"])]
        if finite.empty:
            parts.append(f"nothing finite ({env})")
            continue
        low, high = finite["rate"].min(), finite["rate"].max()
        worst = finite.loc[finite.loc[finite["rate"] == low, "relative_change"].idxmax()]
        same = finite[(finite["rate"] == high) & (finite["dimension"] == worst["dimension"])]["relative_change"]
        told = f"{state_symbol(worst['dimension'])} is off by {100 * worst['relative_change']:.2g} % at {low:g} Hz"
        told += f" and by {100 * same.iloc[0]:.2g} % at {high:g} Hz" * bool(len(same) and high > low)
        parts.append(f"{told} ({env}, n = {int(rows['n'].max())})")
    return f"Most of all {'; '.join(parts)}."


def _same_plant(samples: Sequence[pd.DataFrame], spec: "EnvironmentSpec") -> str:
    """Say how far apart the states of the rates are where their times meet."""
    names, first = list(spec.state_names), samples[0]
    apart = 0.0
    for other in samples[1:]:
        both = first.assign(tick=(first["time"] / FINE).round()).merge(
            other.assign(tick=(other["time"] / FINE).round()), on="tick"
        )
        apart = max(apart, *(float((both[f"{name}_x"] - both[f"{name}_y"]).abs().max()) for name in names))
    counts = ", ".join(f"{len(table)} times at {table['control_frequency'].iloc[0]} Hz" for table in samples)
    verdict = "the plant is the same" if apart < 1e-6 else "the rates do not see the same plant"
    return (
        f"In {HORIZON:g} s {spec.name} is seen {counts}; where these times meet its states differ by {apart:.1g}: "
        f"{verdict}."
    )
