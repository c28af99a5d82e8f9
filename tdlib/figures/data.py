"""What the agents did and saw: returns against time, and coverage of the state space."""

import numpy as np
import pandas as pd

from tdlib.figures.conclusions import conclusion
from tdlib.figures.save import Drawing
from tdlib.figures.style import (
    RATE_COLORS,
    new_figure,
    over_seeds,
    sort_rates,
    span_text,
    state_label,
    state_plane,
    style,
)

MAX_POINTS = 1500  # per panel; more would only blacken it
GRID = 12  # cells of each dimension that coverage is counted in
WINDOWS = 25  # running means are over this part of a curve


def draw_returns(table: pd.DataFrame) -> Drawing:
    """Draw the return of every training episode against physical time.

    Args:
        table: Rows of env, train_frequency (or control_frequency), seed, time [s] at the end of the episode,
            episode_return.
    """
    env, rate_column = str(table["env"].iloc[0]), _rate_column(table)
    rates = sort_rates(table[rate_column])
    with style():
        figure, axes = new_figure(1, len(rates), height=2.5, sharey=True)
        for axis, rate in zip(axes[0], rates, strict=True):
            shown = table[table[rate_column].astype(str) == rate]
            color = RATE_COLORS.get(rate, "#444444")
            for _, episodes in shown.groupby("seed"):
                episodes = episodes.sort_values("time")
                axis.scatter(
                    episodes["time"] / 60, episodes["episode_return"], s=4, color=color, alpha=0.35, linewidths=0
                )
                window = max(3, len(episodes) // WINDOWS)
                mean = episodes["episode_return"].rolling(window, min_periods=1).mean()
                axis.plot(episodes["time"] / 60, mean, color=color, linewidth=1.3)
            axis.set_title(f"{rate} Hz")
            axis.set_xlabel("acted [min]")
        axes[0, 0].set_ylabel("episode return [reward]")
    per_cell = table.groupby([rate_column, "seed"]).size()
    seeds = table["seed"].nunique()
    caption = (
        f"{env}: return of every episode during PPO training against the physical time the agent has acted; points are "
        f"episodes, lines running means over a {WINDOWS}th of the curve, one per seed, n = {seeds} seed"
        f"{'' if seeds == 1 else 's'} × {span_text(per_cell)} episodes. Equal numbers of transitions are more "
        f"seconds at lower rates. {_late_returns(table, rate_column, env)}"
    )
    alt = f"Episode return against time on {env} for agents at {', '.join(rates)} Hz."
    return Drawing(figure, caption, alt, table)


def draw_coverage(table: pd.DataFrame) -> Drawing:
    """Draw visited states, rows are sources (ppo, random), columns rates.

    Args:
        table: Rows of env, source, train_frequency (or control_frequency), seed, and the state's dimensions.
    """
    env, rate_column = str(table["env"].iloc[0]), _rate_column(table)
    table = table.assign(source=table["source"] if "source" in table else "data")
    others = ("env", "source", "train_frequency", "control_frequency", "seed")
    horizontal, vertical = state_plane([name for name in table if name not in others], env)
    rates, sources = sort_rates(table[rate_column]), list(dict.fromkeys(table["source"]))
    drawn = []
    with style():
        figure, axes = new_figure(len(sources), len(rates), height=1.75 * len(sources) + 0.5,
                                  sharex=True, sharey=True)  # fmt: skip
        for row, source in zip(axes, sources, strict=True):
            for axis, rate in zip(row, rates, strict=True):
                points = table[(table["source"] == source) & (table[rate_column].astype(str) == rate)]
                every = max(1, -(-len(points) // MAX_POINTS))
                points = points.iloc[::every]
                drawn.append(points)
                axis.scatter(points[horizontal], points[vertical], s=2.5, alpha=0.35, linewidths=0,
                             color=RATE_COLORS.get(rate, "#444444"))  # fmt: skip
                axis.set_title(f"{source.upper() if source == 'ppo' else source}, {rate} Hz")
            row[0].set_ylabel(state_label(vertical, env))
        for axis in axes[-1]:
            axis.set_xlabel(state_label(horizontal, env))
    shown = pd.concat(drawn, ignore_index=True)
    counts = shown.groupby(["source", rate_column]).size()
    caption = (
        f"{env}: states in the data sets by source (rows) and control rate (columns), n = {span_text(counts)} "
        f"states per panel, evenly thinned, seeds {', '.join(map(str, np.unique(table['seed'])))}. "
        f"{_covered(shown, rate_column, horizontal, vertical, env)}"
    )
    alt = f"Scatter plots of visited states on {env} for {len(sources)} sources at {', '.join(rates)} Hz."
    return Drawing(figure, caption, alt, shown)


def _late_returns(table: pd.DataFrame, rate_column: str, env: str) -> str:
    """Say the agent of which rate returns most over the last tenth of its episodes, and which least."""
    rows = []
    for (rate, seed), own in table.groupby([rate_column, "seed"], sort=False):
        late = own.sort_values("time")["episode_return"].tail(max(1, len(own) // 10))
        mean = late.mean(skipna=False)
        rows.append({"env": env, "arm": f"the agent at {rate} Hz", "seed": seed, "late": mean})
    summary = over_seeds(pd.DataFrame(rows), "late", ["env", "arm"])
    place, words = "Over the last tenth of the episodes", ("lowest", "highest")
    return conclusion(summary, place=place, verb="returns", words=words, digits=3)


def _covered(shown: pd.DataFrame, rate_column: str, horizontal: str, vertical: str, env: str) -> str:
    """Say which panel visits most of a grid over all states shown, and which least."""
    places = [(shown[name] - shown[name].min()) / max(np.ptp(shown[name]), 1e-12) for name in (horizontal, vertical)]
    cells = [(GRID * place).astype(int).clip(0, GRID - 1) for place in places]
    visited = shown.assign(cell=cells[0] * GRID + cells[1]).groupby(["source", rate_column])["cell"].nunique()
    parts = [f"{100 * count / GRID**2:.0f} % at {rate} Hz by {source}" for (source, rate), count in visited.items()]
    least, most = (" at {1} Hz by {0}".format(*end) for end in (visited.idxmin(), visited.idxmax()))
    ends = f"most{most}, least{least}" if visited.nunique() > 1 else "as much everywhere"
    return f"Of a {GRID} × {GRID} grid over these states {', '.join(parts)} are visited: {ends} ({env})."


def _rate_column(table: pd.DataFrame) -> str:
    return "train_frequency" if "train_frequency" in table else "control_frequency"
