"""What a second level adds: errors with and without one, against the time ahead and the test rate."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from tdlib.core.facts import MIXED
from tdlib.figures.imagined import edge_text, errors_line
from tdlib.figures.lines import label_outer
from tdlib.figures.save import Drawing
from tdlib.figures.selection import default_sizes, main_rate
from tdlib.figures.style import (
    NEUTRAL,
    NothingToDrawError,
    bad_text,
    counts_text,
    log_rate_axis,
    model_label,
    new_figure,
    over_seeds,
    plain_log_axis,
    shared_legend,
    sort_rates,
    style,
)
from tdlib.figures.words import number_text, seeds_text

AHEAD = (0.5, 1.0, 3.0, 5.0, 10.0)  # [s]


def draw_levels(table: pd.DataFrame, with_level: str, without: str) -> Drawing:
    """Draw the ratio of errors with and without a second level against the time ahead, a line per test rate.

    Args:
        table: sliding_windows of several environments.
        with_level: Model with the second level.
        without: Model without.

    Raises:
        NothingToDrawError: If one of them was not measured.
    """
    kept = default_sizes(table[table["time"].isin(AHEAD)])
    one = main_rate(kept[kept["model"] != "none"]["train_frequency"])
    panels = {
        f"of {one} Hz, steps": ("baseline", "none", one),
        f"of {one} Hz, time": ("dt_conditioned", "flow", one),
        "of 3 rates, time": ("multi_resolution", "flow", MIXED),
    }
    keys = ["env", "method", "form", "train_frequency", "test_frequency", "time", "seed"]
    both = kept[kept["model"] == with_level].merge(kept[kept["model"] == without], on=keys, suffixes=("", "_without"))
    both = both.assign(ratio=both["rmse"] / both["rmse_without"])
    chosen = pd.concat([_of(both, kind).assign(panel=words) for words, kind in panels.items()], ignore_index=True)
    if chosen.empty:
        raise NothingToDrawError(f"{model_label(with_level)} and {model_label(without)} are not both in this run")
    summary = over_seeds(chosen, "ratio", ["env", "panel", "test_frequency", "time"])
    systems, words, rates = (list(dict.fromkeys(chosen[name])) for name in ("env", "panel", "test_frequency"))
    with style():
        figure, axes = new_figure(len(systems), len(words), height=2.1 * len(systems) + 1.0, sharex=True, sharey=True)
        for (i, env), (j, panel) in ((x, y) for x in enumerate(systems) for y in enumerate(words)):
            axis = axes[i, j]
            for k, rate in enumerate(sort_rates(rates)):
                rows = summary[(summary["env"] == env) & (summary["panel"] == panel)]
                rows = rows[rows["test_frequency"] == rate].sort_values("time")
                named = rate if rate == "irregular" else f"{rate} Hz"
                errors_line(axis, rows.assign(rate=rows["time"]), named, k)
            axis.axhline(1.0, color=NEUTRAL["reference"], linewidth=0.8, zorder=0)
            axis.set(xscale="log", yscale="log", title=f"{env}\n{panel}")
            log_rate_axis(axis, AHEAD[::2])
            plain_log_axis(axis.yaxis)
        label_outer(axes, axes.size, "time ahead [s]", "ratio of RMSE")
        shared_legend(figure, axes, columns=3)
    caption = (
        f"RMSE of {model_label(with_level)} over that of {model_label(without)}, which has one level, the same "
        f"kind of encoder and about as many weights in wider layers, against the time ahead, a line per test rate; "
        f"below 1 the model of two levels errs less. Lines: means over seeds, bars span the seeds; "
        f"{counts_text(chosen, 'starts')}.{bad_text(summary, 'gaps')}"
        f"{edge_text(summary[['mean', 'low', 'high']])} {_span(summary)}"
    )
    alt = f"Ratios of error with and without a second level against time ahead on {len(systems)} systems."
    return Drawing(figure, caption, alt, summary)


def _of(table: pd.DataFrame, kind: tuple[str, str, str]) -> pd.DataFrame:
    method, form, trained = kind
    return table[(table["method"] == method) & (table["form"] == form) & (table["train_frequency"] == trained)]


def _span(summary: pd.DataFrame) -> str:
    """Say of each system where the ratio is least and most."""
    parts: list[str] = []
    for env, rows in summary[np.isfinite(summary["mean"])].groupby("env", sort=False):
        low, high = rows.loc[rows["mean"].idxmin()], rows.loc[rows["mean"].idxmax()]
        parts.append(f"on {env} from {_place(low)} to {_place(high)}")
    return f"The ratio goes {'; '.join(parts)} ({seeds_text(summary['seeds'].max())})."


def _place(row: Mapping) -> str:
    rate = row["test_frequency"]
    asked = "with irregular steps" if rate == "irregular" else f"at {rate} Hz"
    return f"{number_text(row['mean'])} ({row['panel']}, {asked}, {row['time']:g} s ahead)"
