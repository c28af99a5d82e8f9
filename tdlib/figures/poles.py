"""How fast learned dynamics leave an equilibrium, or swing about it: the pole of each arm beside the true one."""

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from tdlib.core.facts import TRAIN_RATES
from tdlib.figures.conclusions import conclusion
from tdlib.figures.lines import SPAN, grid_of
from tdlib.figures.save import Drawing
from tdlib.figures.selection import ARM, forms_text, key_arms, main_model, name_arms, pick_or_first, shown_arms
from tdlib.figures.style import METHOD_COLORS, NEUTRAL, bad_text, counts_text, new_figure, over_seeds, style
from tdlib.figures.whole_table import WholeTable, table_of_arms

PARTS = {"real": "growth [1/s]", "imag": "frequency [rad/s]"}
QUANTITIES = ("relative_error", "relative_error_limit", "divergence_error", "divergence_error_limit")
NAMES = dict(
    zip(
        QUANTITIES,
        ("error", "error of the exact map", "divergence error", "divergence error of the exact map"),
        strict=True,
    )
)
LEAST = 1e-6  # [1/s] a part of a pole that is less is none


def pole_arms() -> list[tuple[str, str, str, str]]:
    """Arms of the figure: the map of every rate, the one of several rates, and the field through both solvers."""
    maps = [(main_model(), "baseline", "none", rate) for rate in TRAIN_RATES]
    field = shown_arms()[-1]
    return [*maps, next(arm for arm in key_arms() if arm[3] == "mixed"), field, (field[0], "ode", "euler", field[3])]


def draw_poles(table: pd.DataFrame) -> Drawing:
    """Draw the fastest growing pole of learned fields at every equilibrium, one line per arm.

    Args:
        table: field_poles of one environment: key columns, equilibrium, pole, real, imag, real_true, imag_true,
            real_limit, imag_limit, real_step, imag_step [1/s].
    """
    import seaborn  # imports pyplot: only where a figure is drawn

    env = str(table["env"].iloc[0])
    table = name_arms(pick_or_first(table[table["pole"] == 0], pole_arms()))
    panels = [
        (place, part)
        for place, rows in table.groupby("equilibrium", sort=False)
        for part in PARTS
        if rows[f"{part}_true"].abs().max() > LEAST or part == "real"
    ]
    names = list(dict.fromkeys(table["arm"]))
    colors = {name: METHOD_COLORS.get(own["method"].iloc[0], NEUTRAL["muted"]) for name, own in table.groupby("arm")}
    rows, columns = grid_of(len(panels), 1)
    with style():
        figure, axes = new_figure(rows, columns, height=(0.27 * len(names) + 1.0) * rows + 0.8)
        for axis, (place, part) in zip(axes.ravel(), panels, strict=True):
            own = table[table["equilibrium"] == place]
            axis.axvline(own[f"{part}_true"].iloc[0], color=NEUTRAL["text"], linewidth=1.0, zorder=0)
            shown = own.assign(**{part: own[part].where(np.isfinite(own[part]))})
            seaborn.pointplot(shown, x=part, y="arm", order=names, hue="arm", hue_order=names, palette=colors, ax=axis,
                              errorbar=SPAN, linestyle="none", markersize=5, err_kws={"linewidth": 1.2},
                              legend=False)  # fmt: skip
            for column, mark in ((f"{part}_limit", "D"), (f"{part}_step", "x")):
                means = own.groupby("arm", sort=False)[column].mean()
                axis.plot(means[names], np.arange(len(names)), mark, color=NEUTRAL["text"], linestyle="",
                          markerfacecolor="none", markersize=6, markeredgewidth=0.9, zorder=4)  # fmt: skip
            axis.set(ylabel="", xlabel=PARTS[part])
            axis.set_title(f"at {_in_symbols(place)}")
        keys = [
            Line2D([], [], color=NEUTRAL["text"], linewidth=1.0, label="true"),
            Line2D([], [], color=NEUTRAL["muted"], marker="o", linestyle="", label="learned field"),
            Line2D([], [], color=NEUTRAL["text"], marker="D", markerfacecolor="none", linestyle="", label="its limit"),
            Line2D([], [], color=NEUTRAL["text"], marker="x", linestyle="", label="of the model's step"),
        ]
        figure.legend(handles=keys, loc="outside lower center", ncols=2)
    place, _ = panels[-1]
    summary = over_seeds(table, "real", ["env", *ARM, "arm", "equilibrium"])
    last = table[table["equilibrium"] == place]
    shift = over_seeds(last.assign(shift=(last["real"] - last["real_true"]).abs()), "shift", ["env", *ARM, "arm"])
    caption = (
        f"{env}: the fastest growing pole of the learned velocity field at each equilibrium, the input nearest to "
        f"none held; a negative growth is damping. The field of a map of step h is (Φ − x)/h. Dots: means over seeds, "
        f"bars span the seeds, {counts_text(table)}. Line: true. Diamond: what a field free of form learns where "
        f"every step is exact, by the solver's inverse modified equation. Cross: log of the model's own step over h, "
        f"which that error has left.{forms_text(table, pole_arms())}{bad_text(summary, 'no mark is drawn')} "
        f"{conclusion(shift, place=f'At {_in_symbols(place)}, in growth per second,', verb='is off by')}"
    )
    places = len({place for place, _ in panels})
    alt = f"Poles of learned velocity fields on {env} beside the true ones, at {places} equilibria."
    return Drawing(figure, caption, alt, table)


def table_of_fields(errors: pd.DataFrame | None) -> WholeTable:
    """Errors of the velocity field of every arm and of its divergence, those of the exact map beside a map's.

    Args:
        errors: field_errors of one environment; None where nothing was measured.
    """
    title = "velocity field: relative error, mean error of the divergence [1/s], and those of the exact map of its step"
    if errors is None:
        return table_of_arms(None, "value", "quantity", title=title)
    long = errors.melt([*ARM, "seed"], QUANTITIES, var_name="quantity")
    bounded = ~long["quantity"].str.endswith("_limit") | long["value"].notna()  # a field has no such limit
    return table_of_arms(long[bounded].replace({"quantity": NAMES}), "value", "quantity", title=title)


def _in_symbols(equilibrium: str) -> str:
    return equilibrium.replace("theta", "θ").replace("pi", "π").replace("=", " = ")
