"""Something of one's own beside ours: error against Δt, and the limit of a map of one step."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from tdlib.core.time_grid import delta_t_of
from tdlib.figures.save import Drawing
from tdlib.figures.selection import ARM, Arms, arms_in, pick
from tdlib.figures.style import (
    NEUTRAL,
    NothingToDrawError,
    arm_label,
    bad_text,
    counts_text,
    method_style,
    model_label,
    model_look,
    new_figure,
    over_seeds,
    shared_legend,
    style,
)

ALIKE = 0.1  # relative difference up to which two errors are called alike
LIMIT = "|1 − h/Δ|"


def draw_beside(
    table: pd.DataFrame, own: str, *, arms: Arms | None = None, train_delta_t: float = 0.05, at: float = 0.02
) -> Drawing:
    """Draw relative error against Δt: what is one's own with thick lines, ours beside it with thin ones.

    Args:
        table: Rows of one_step_errors, or of a log with delta_t [s] in place of a test rate.
        own: Name of one's own environment or model in the table.
        arms: Ours that are shown; None for all of the table.
        train_delta_t: h of the limit [s].
        at: Interval at which the caption compares [s]; the shortest of a table without it.

    Raises:
        NothingToDrawError: If the table has nothing of one's own.
    """
    if "delta_t" not in table:
        table = table[(table["test_set"] == "pooled") & (table["dimension"] == "all")]
        table = table[table["test_frequency"] != "irregular"]
        table = table.assign(delta_t=[delta_t_of(float(rate)) for rate in table["test_frequency"]])
    chosen = table
    if arms is not None:
        shown = pick(table, arms)
        chosen = shown[shown["model"].isin([*(arm[0] for arm in arms), own])]
    summary = over_seeds(chosen, "relative_error", ["env", *ARM, "delta_t"])
    is_own = summary["env"].eq(own) | summary["model"].eq(own)
    summary = summary.assign(own=is_own, limit=(1 - train_delta_t / summary["delta_t"]).abs())
    if not is_own.any():
        raise NothingToDrawError(f"nothing of {own} is in the table")
    several = summary["env"].nunique() > 1
    with style():
        figure, axes = new_figure(height=4.4)
        axis, labels = axes[0, 0], {}
        for own_rows in (False, True):  # one's own on top
            for _, rows in summary[summary["own"] == own_rows].groupby("env", sort=False):
                for arm, line in arms_in(rows):
                    label = f"{arm['env']}, " * several + arm_label(arm, with_model=True)
                    labels[arm["env"], *(arm[name] for name in ARM)] = label
                    _draw_line(axis, arm, line.sort_values("delta_t"), label)
        steps = np.geomspace(summary["delta_t"].min(), summary["delta_t"].max(), 200)
        limit = np.abs(1 - train_delta_t / steps)
        floor = 0.5 * float(summary["mean"].min())
        axis.plot(1000 * steps, np.maximum(limit, 1e-3 * floor), color=NEUTRAL["muted"], linewidth=1.0, zorder=1,
                  label=f"{LIMIT}, h = {1000 * train_delta_t:.3g} ms")  # fmt: skip
        axis.axhline(1.0, color=NEUTRAL["reference"], linewidth=0.8, zorder=0)
        axis.set_yscale("log")
        axis.set_ylim(bottom=floor)
        _interval_axis(axis, sorted(set(summary["delta_t"])))
        axis.set_ylabel("relative one-step error")
        shared_legend(figure, axes, columns=1)
    name = model_label(own)
    caption = (
        f"Relative one-step error against Δt; thick with stars: {name}, thin: ours beside it; {counts_text(chosen)}, "
        f"bars span the seeds. Gray: {LIMIT} of a map of the step h; the line at 1 is predicting no change."
        f"{bad_text(summary, 'no mark is drawn')} "
        f"{_conclusion(summary, labels, at)}"
    )
    alt = f"Relative error of {name} against the length of the step, beside that of known models and {LIMIT}."
    return Drawing(figure, caption, alt, summary)


def _draw_line(axis: Axes, arm: pd.Series, rows: pd.DataFrame, label: str) -> None:
    spread = [(rows["mean"] - rows["low"]).clip(lower=0), (rows["high"] - rows["mean"]).clip(lower=0)]
    look = method_style(arm["method"], arm["form"], arm["train_frequency"]) | model_look(arm["model"])
    if arm["own"]:
        look |= {"marker": "*", "markersize": 9, "linestyle": "-", "linewidth": 2.4}
    else:
        look |= {"linewidth": 1.0}
    axis.errorbar(1000 * rows["delta_t"], rows["mean"], yerr=spread, **look, label=label, elinewidth=0.8, capsize=1.5)


def _interval_axis(axis: Axes, steps: Sequence[float]) -> None:
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(FixedLocator([1000 * step for step in steps]))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axis.set_xlabel("Δt [ms]")


def _conclusion(summary: pd.DataFrame, labels: dict[tuple, str], at: float) -> str:
    """Compare one's own first line with the others at one interval, in a sentence."""
    steps = sorted(set(summary["delta_t"]))
    at = at if np.isclose(steps, at).any() else steps[0]
    rows = summary[np.isclose(summary["delta_t"], at)].sort_values("mean")
    first = rows[rows["own"]].sort_index().iloc[0]
    name = labels[first["env"], *(first[name] for name in ARM)]
    seeds = int(summary["seeds"].max())
    n = f"{', '.join(dict.fromkeys(rows['env']))}, {seeds} seed{'' if seeds == 1 else 's'}"
    if not np.isfinite(first["mean"]):
        return f"At {1000 * at:.3g} ms no error of {name} is finite ({n})."
    rows = rows[np.isfinite(rows["mean"])]
    errors = {labels[row["env"], *(row[name] for name in ARM)]: row["mean"] for _, row in rows.iterrows()}
    own = errors.pop(name)
    errors[LIMIT] = first["limit"]
    groups: dict[str, list[str]] = {"less than": [], "as much as": [], "more than": []}
    for label, error in errors.items():
        alike = abs(error - own) <= ALIKE * max(error, own)
        groups["as much as" if alike else "less than" if own < error else "more than"].append(f"{label} ({error:.2g})")
    said = "; ".join(f"{words} {', '.join(those)}" for words, those in groups.items() if those)
    return f"At {1000 * at:.3g} ms {name} errs by {own:.2g}: {said} ({n})."
