"""Lines of arms against a number, with the span of the seeds: seaborn in the study's colors."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tdlib.figures.selection import ARM, name_arms
from tdlib.figures.style import METHOD_COLORS, NEUTRAL

SPAN = ("pi", 100)  # seaborn's name of the range from the smallest to the largest
MARKERS = ("o", "s", "D", "^", "v", "P", "X")
DASHES = ("", (4, 1.5), (1.2, 1.2), (6, 1.5, 1.2, 1.5))


def arm_looks(table: pd.DataFrame) -> dict[str, Any]:
    """Hue and style of every arm by its method, for seaborn's functions; arms of one method differ by line and mark.

    Args:
        table: Rows with the column `arm` of `name_arms`.
    """
    arms = table.drop_duplicates(ARM)
    names = list(dict.fromkeys(arms["arm"]))
    methods = dict(zip(arms["arm"], arms["method"], strict=True))
    order = list(METHOD_COLORS)
    place = {name: list(methods.values())[: names.index(name)].count(methods[name]) for name in names}
    marks = {
        name: order.index(methods[name]) + place[name] if methods[name] in order else place[name] for name in names
    }
    return {
        "hue": "arm", "hue_order": names, "style": "arm", "style_order": names,
        "palette": {name: METHOD_COLORS.get(methods[name], NEUTRAL["muted"]) for name in names},
        "markers": {name: MARKERS[marks[name] % len(MARKERS)] for name in names},
        "dashes": {name: DASHES[place[name] % len(DASHES)] for name in names},
    }  # fmt: skip


def draw_lines(
    axis: Axes, table: pd.DataFrame, x: str, y: str, looks: dict[str, Any] | None = None, **options: object
) -> None:
    """Draw the mean over seeds of every arm against `x` with bars (or a band) over their span.

    Values that are not finite are left out of the means, and a cross at the upper edge stands where there are some.

    Args:
        axis: Panel; scales are set afterwards, since seaborn would average logarithms.
        table: Rows of single seeds with a number in `x`.
        x: Column of the horizontal axis.
        y: Column of the vertical axis.
        looks: Of `arm_looks` where several panels share them.
        options: For `seaborn.lineplot`.
    """
    import seaborn  # imports pyplot: only where a figure is drawn

    if table.empty:
        return
    table = table if "arm" in table else name_arms(table)
    looks = looks or arm_looks(table)
    finite = np.isfinite(table[y])
    shown = table.assign(**{y: table[y].where(finite)})
    bars = {"err_style": "bars", "err_kws": {"capsize": 1.5, "elinewidth": 0.8}}
    band = {"err_style": "band", "err_kws": {"alpha": 0.13, "linewidth": 0}}
    how = band if options.pop("band", False) else bars
    seaborn.lineplot(shown, x=x, y=y, ax=axis, **looks, **{"errorbar": SPAN, "markeredgewidth": 0} | how | options)
    axis.set(xlabel="", ylabel="")
    mark_bad(axis, table[~finite], x, looks["palette"])


def mark_bad(axis: Axes, rows: pd.DataFrame, x: str, palette: dict[str, str]) -> None:
    """Put a cross at the upper edge where an arm has values that are not finite."""
    for (name, place), _ in rows.groupby(["arm", x], sort=False):
        axis.plot(place, 0.97, "x", color=palette[name], transform=axis.get_xaxis_transform(), zorder=5)


def no_change_line(axis: Axes) -> None:
    """Mark the error of predicting no change."""
    axis.axhline(1.0, color=NEUTRAL["reference"], linewidth=0.8, zorder=0)


def grid_of(count: int, columns: int) -> tuple[int, int]:
    """Rows and columns of `count` panels with at most so many columns."""
    columns = max(1, min(columns, count))
    return -(-count // columns), columns


def label_outer(axes: np.ndarray, count: int, x: str, y: str) -> None:
    """Label the panels at the left and those with none below them; hide those that are not used."""
    rows, columns = axes.shape
    for i, axis in enumerate(axes.ravel()):
        axis.set_visible(i < count)
        axis.set(xlabel=x if count - columns <= i < count else "", ylabel=y if i % columns == 0 else "")
        axis.tick_params(labelbottom=i + columns >= count)
