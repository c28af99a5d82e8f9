"""Predicted against recorded changes of a log, at one rate and with one repair, drawn again as a choice moves."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tdlib.figures.style import METHOD_COLORS, NEUTRAL
from tdlib.figures.words import number_text


def live_changes(axis: Axes, rows: pd.DataFrame, table: pd.DataFrame) -> str:
    """Draw each predicted change against the recorded one, in units of the usual change.

    Args:
        axis: Empty axes.
        rows: recorded and predicted of one rate and repair, with env.
        table: Those of all, whose range the axes have.
    """
    finite = rows[np.isfinite(rows["predicted"])]
    slope = float(finite["predicted"] @ finite["recorded"] / max(finite["recorded"] @ finite["recorded"], 1e-300))
    error = float(np.sqrt(np.mean((finite["predicted"] - finite["recorded"]) ** 2)))
    most = 1.05 * float(table["recorded"].abs().max())
    axis.plot([-most, most], [-most, most], color=NEUTRAL["reference"], linewidth=0.8, label="as recorded")
    color = METHOD_COLORS["baseline" if rows["repair"].iloc[0] == "as it is" else "rescaled"]
    axis.scatter(finite["recorded"], finite["predicted"], s=6, linewidths=0, alpha=0.6, color=color)
    axis.set(xlim=(-most, most), ylim=(-most, most))
    axis.set(xlabel="recorded change, in usual changes", ylabel="predicted change")
    axis.legend(loc="upper left")
    return (
        f"Predicted changes are {number_text(slope)} times the recorded ones, and err by {number_text(error)} of a "
        f"usual one ({rows['env'].iloc[0]}, n = {len(finite)} changes)."
    )
