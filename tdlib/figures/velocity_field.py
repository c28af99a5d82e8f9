"""Learned velocity fields beside the true one."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tdlib.figures.conclusions import conclusion
from tdlib.figures.save import Drawing
from tdlib.figures.selection import ARM
from tdlib.figures.state_space import COLORS
from tdlib.figures.style import arm_label, model_label, new_figure, sort_models, state_label, style

MOST = 5  # models beside the true field


def draw_velocity_field(table: pd.DataFrame) -> Drawing:
    """Draw arrows of the true field, of the exact map's, and of one arm per model, colored by error.

    Args:
        table: velocity_field of one environment: key columns, horizontal, vertical, x, y, dx, dy, dx_true, dy_true,
            dx_map, dy_map. The first arm and seed of each model are drawn.
    """
    env, models = str(table["env"].iloc[0]), sort_models(table["model"])[:MOST]
    names = str(table["horizontal"].iloc[0]), str(table["vertical"].iloc[0])
    scale = np.sqrt((table[["dx_true", "dy_true"]] ** 2).mean().to_numpy())  # RMS, since the mean need not be zero
    fields, errors = [], []
    for model in models:
        rows = table[table["model"] == model]
        first = rows.iloc[0]
        fields.append(rows[(rows[ARM] == first[ARM]).all(axis=1) & (rows["seed"] == first["seed"])])
    rate = fields[0]["train_frequency"].iloc[0]
    shown = [(f"exact map, {rate} Hz", fields[0], ("dx_map", "dy_map"))]
    shown += [(model_label(field["model"].iloc[0]), field, ("dx", "dy")) for field in fields]
    count = len(shown) + 1
    columns = min(2, count)
    lines = -(-count // columns)
    with style():
        figure, axes = new_figure(lines, columns, height=2.2 * lines + 0.9, sharex=True, sharey=True)
        panels = axes.ravel()
        _arrows(panels[0], fields[0], ("dx_true", "dy_true"), scale, None)
        panels[0].set_title("true field")
        for axis, (name, field, learned) in zip(panels[1:], shown, strict=False):
            off = (field[list(learned)].to_numpy() - field[["dx_true", "dy_true"]].to_numpy()) / scale
            error = np.hypot(*off.T)
            arrows = _arrows(axis, field, learned, scale, error)
            rms = float(np.sqrt(np.mean(error**2)))
            axis.set_title(f"{name}: {rms:.2g}")
            errors.append({"env": env, "arm": name, "mean": rms, "seeds": 1})
        for axis in panels[count:]:
            axis.set_visible(False)
        for axis in axes[:, 0]:
            axis.set_ylabel(state_label(names[1], env))
        for i in range(count):
            if i + columns >= count:
                panels[i].set_xlabel(state_label(names[0], env))
                panels[i].tick_params(labelbottom=True)
        figure.colorbar(arrows, ax=axes, label="error of the arrow [RMS of the true rates]", orientation="horizontal",
                        aspect=45, pad=0.02)  # fmt: skip
    arms = "; ".join(dict.fromkeys(arm_label(field.iloc[0]) for field in fields))
    caption = (
        f"{env}: true and learned velocity on a grid of {len(fields[0])} states, other dimensions zero, held input "
        f"zero (discrete: action 1); arms {arms}, seed {int(fields[0]['seed'].iloc[0])}, n = 1 model each. The field "
        "of a map of step h is (Φ − x)/h; that of the exact map is its limit. Numbers are RMS errors over the "
        "grid, both components in units of the RMS of the true rates. "
        f"{conclusion(pd.DataFrame(errors), place='Over this grid')}"
    )
    alt = f"Arrow plots of the true velocity field on {env} and of {len(models)} learned ones, colored by their error."
    return Drawing(figure, caption, alt, pd.concat(fields, ignore_index=True))


def _arrows(
    axis: Axes, field: pd.DataFrame, names: tuple[str, str], scale: np.ndarray, error: np.ndarray | None
) -> object:
    width = np.ptp(field["x"]), np.ptp(field["y"])  # arrows in units of the plane, so that both components show
    u, v = (field[name] / s * w for name, s, w in zip(names, scale, width, strict=True))
    points = [field["x"], field["y"], u, v]
    options = {"angles": "xy", "scale_units": "xy", "scale": 22, "width": 0.006, "pivot": "mid"}
    if error is None:
        return axis.quiver(*points, color="#222222", **options)
    return axis.quiver(*points, error, cmap=COLORS, clim=(0, 1), **options)
