"""One motion of a system: its states, inputs and energy against time, and pictures along it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Rectangle

from tdlib.figures.save import Drawing
from tdlib.figures.style import METHOD_COLORS, NEUTRAL, NothingToDrawError, new_figure, state_label, style
from tdlib.figures.words import number_text
from tdlib.systems import SYSTEMS
from tdlib.systems.sketch import Sketch

INPUT = "input "  # begins the names of input columns
MOST_STATES = 4  # of a system with more, the first so many positions are drawn
DISC = 0.06  # radius of a disc, in half widths of the picture


def draw_motion(table: pd.DataFrame) -> Drawing:
    """Draw states, inputs and energy of one sequence against time.

    Args:
        table: Of `stored_motion`.
    """
    env = str(table["env"].iloc[0])
    spec, time = SYSTEMS[env].spec, table["time"]
    shown = spec.state_names if spec.state_dim <= MOST_STATES else spec.state_names[:MOST_STATES]
    has_energy = "energy" in table
    with style():
        figure, axes = new_figure(2 + has_energy, 1, height=1.7 * (2 + has_energy) + 0.6, sharex=True)
        for name, color in zip(shown, METHOD_COLORS.values(), strict=False):
            axes[0, 0].plot(time, table[name], color=color, label=state_label(name, env))
        axes[0, 0].set_ylabel("state")
        for name, color in zip(spec.input_names, METHOD_COLORS.values(), strict=False):
            axes[1, 0].plot(time, table[INPUT + name], color=color, linewidth=1.0, label=name)
        axes[1, 0].set_ylabel(f"input [{spec.input_units[0]}]")
        if has_energy:
            axes[2, 0].plot(time, table["energy"], color=NEUTRAL["text"], label="from the state")
            axes[2, 0].plot(time, table["energy_by_power"], "--", color=METHOD_COLORS["baseline"],
                            label="start and power")  # fmt: skip
            axes[2, 0].set_ylabel("energy [J]")
        for axis in axes[:, 0]:
            axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        axes[-1, 0].set_xlabel("time [s]")
    caption = f"{_origin(table)} {_balance(table) if has_energy else ''}".rstrip()
    alt = f"States and inputs{' and energy' if has_energy else ''} of {env} against time along one sequence."
    return Drawing(figure, caption, alt, table)


def draw_frames(table: pd.DataFrame, count: int = 8) -> Drawing:
    """Draw pictures of one sequence at equal intervals of time, with the way of its last point.

    Args:
        table: Of `stored_motion`.
        count: Number of pictures.

    Raises:
        NothingToDrawError: If the system has no sketch.
        ValueError: If count is not positive.
    """
    env = str(table["env"].iloc[0])
    sketch = SYSTEMS[env].views.sketch
    if sketch is None:
        raise NothingToDrawError(f"{env} has no sketch")
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    rows = table.iloc[np.linspace(0, len(table) - 1, count).round().astype(int)]
    number = sum(name.startswith("across ") for name in table)
    half_width, half_height = sketch.reach
    columns = min(count, 4)
    lines = -(-count // columns)
    with style():
        height = lines * (1.65 * min(half_height / half_width, 1.6) + 0.35) + 0.3
        figure, axes = new_figure(lines, columns, height=height)
        for axis in axes.ravel()[count:]:
            axis.set_axis_off()
        for axis, (_, row) in zip(axes.ravel(), rows.iterrows(), strict=False):
            points = [(float(row[f"across {i}"]), float(row[f"up {i}"])) for i in range(number)]
            so_far = table[table["time"] <= row["time"]]
            _draw_sketch(axis, sketch, points, (so_far[f"across {number - 1}"], so_far[f"up {number - 1}"]))
            axis.set_title(f"{row['time']:.2g} s")
    step = table["time"].iloc[-1] / max(count - 1, 1)
    caption = f"{_origin(table)} One picture every {number_text(step)} s; the gray line is the way of its last point."
    alt = f"{count} pictures of {sketch.name} along one sequence."
    return Drawing(figure, caption, alt, rows)


def live_motion(axis: Axes, rows: pd.DataFrame, table: pd.DataFrame) -> str:
    """Draw the first coordinate of one sequence over those of the others of its system and rate.

    Args:
        axis: Empty axes.
        rows: time [s], value, energy [J] of one system, rate and sequence.
        table: Those of all.
    """
    env, rate = rows["env"].iloc[0], rows["rate"].iloc[0]
    name = SYSTEMS[env].spec.state_names[0]
    for _, other in table[(table["env"] == env) & (table["rate"] == rate)].groupby("sequence", sort=False):
        axis.plot(other["time"], other["value"], color=NEUTRAL["grid"], linewidth=1.0)
    axis.plot(rows["time"], rows["value"], color=METHOD_COLORS["baseline"])
    axis.set(xlabel="time [s]", ylabel=state_label(name, env))
    span = number_text(rows["value"].max() - rows["value"].min())
    energy = rows["energy"].dropna()
    told = f", and its energy through {number_text(energy.max() - energy.min())} J" if len(energy) else ""
    return f"It goes through a range of {span} in {state_label(name, env)}{told} ({env}, n = 1 sequence)."


def _draw_sketch(
    axis: Axes, sketch: Sketch, points: Sequence[tuple[float, float]], way: tuple[pd.Series, pd.Series]
) -> None:
    half_width, half_height = sketch.reach
    ink, color = NEUTRAL["text"], METHOD_COLORS["ode"]
    axis.plot(*way, color=NEUTRAL["muted"], linewidth=0.8, zorder=1)
    if sketch.ground is not None:
        axis.axhline(sketch.ground, color=NEUTRAL["muted"], linewidth=1.0)
    for i, j in sketch.rods:
        axis.plot(*zip(points[i], points[j], strict=True), color=ink, linewidth=1.6)
    for i, width, height in sketch.boxes:
        x, y = points[i]
        axis.add_patch(Rectangle((x - width, y - height), 2 * width, 2 * height, color=color))
    for i in sketch.discs:
        axis.add_patch(Circle(points[i], DISC * max(half_width, half_height), color=color, zorder=3))
    for i in sketch.pivots:
        axis.plot(*points[i], "o", color=ink, markersize=4)
    axis.set_xlim(-half_width, half_width)
    axis.set_ylim(sketch.middle - half_height, sketch.middle + half_height)
    axis.set_aspect("equal")
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[["left", "bottom"]].set_visible(False)


def _origin(table: pd.DataFrame) -> str:
    first = table.iloc[0]
    drawn = ", ".join(f"{name} = {number_text(value)}" for name, value in table.attrs.get("parameters", {}).items())
    return (
        f"{first['env']}: sequence {first['sequence']} of the {first['split']} split, {first['rate']:g} Hz, seed "
        f"{first['seed']} (n = 1){f', which drew {drawn}' if drawn else ''}."
    )


def _balance(table: pd.DataFrame) -> str:
    """Say how far the energy is from what power accounts for, beside how much it changed."""
    off = (table["energy"] - table["energy_by_power"]).abs().max()
    span = table["energy"].max() - table["energy"].min()
    taken = " Impacts take what no power accounts for." if SYSTEMS[table["env"].iloc[0]].contact is not None else ""
    return (
        f"The energy spans {number_text(span)} J and differs from its start plus the integral of the power by "
        f"{number_text(off)} J at most.{taken}"
    )
