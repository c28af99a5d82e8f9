"""How every figure looks: one color per method, one marker and line per form, one order of models and rates.

Figures are `matplotlib.figure.Figure` objects drawn without pyplot, so nothing global changes and no display is needed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from tdlib.core.facts import ARM_COLUMNS, MODES, method_and_mode
from tdlib.figures.theme import THEME

if TYPE_CHECKING:
    from tdlib.models import Family

METHOD_COLORS: dict[str, str] = dict(THEME["light"]["method"])
RATE_COLORS: dict[str, str] = THEME["light"]["rate"]
METHOD_LABELS = {
    "baseline": "baseline",
    "dt_conditioned": "Δt-conditioned",
    "multi_resolution": "multi-resolution",
    "ode": "ODE",
    "rescaled": "rescaled increment",
    "warped": "warped memory",
    "newton_2": "Newton's series, order 2",
    "newton_3": "Newton's series, order 3",
    "recurrent_rollout": "recurrent rollout",
    "persistence": "persistence",
    "oracle": "oracle (true system)",
    "random": "random actions",
    "hgn": "end to end",
    "hgn_64px": "end to end, 64 px,",
    "two_phase": "on cached latents",
    "vqvae": "on codes",
    "mean_energy": "end to end, energy averaged,",
    "raw_kl": "end to end, divergence undivided,",
}
MODE_LINES = {"shooting": (0, (1, 1)), "reversible": (0, (4, 1, 1, 1, 1, 1))}
for _mode in MODES[1:]:  # a mode of training has the color of its method, and a line of its own
    for _method in ("baseline", "dt_conditioned", "multi_resolution", "ode"):
        METHOD_LABELS[f"{_method}_{_mode}"] = f"{METHOD_LABELS[_method]}, {_mode}"
        METHOD_COLORS[f"{_method}_{_mode}"] = METHOD_COLORS[_method]
FORM_MARKERS = {
    "none": "o", "concat": "s", "scaled": "^", "scaled_concat": "D", "log_tau": "v", "log_tau_scaled": "<", "rk4": "P",
    "euler": "X",
}  # fmt: skip
FORM_LINES = {
    "none": "-", "concat": ":", "scaled": (0, (5, 1)), "scaled_concat": "-", "log_tau": "-.",
    "log_tau_scaled": (0, (5, 1, 1, 1)), "rk4": "-", "euler": (0, (3, 1.5)),
}  # fmt: skip
LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
GREEK = {"alpha": "α", "beta": "β", "theta": "θ", "omega": "ω", "phi": "φ", "psi": "ψ"}

NEUTRAL: dict[str, str] = THEME["light"]["neutral"]
WIDTH = 4.8  # [in] of every figure
PHONE_WIDTH, PHONE_TEXT = 340, 9  # [px] a phone shows a figure this wide, and no text in it may be smaller
SMALL, NORMAL, LARGE = (THEME["type"]["figure_points"] * factor for factor in THEME["type"]["scale"].values())

STYLE = {
    "font.family": THEME["type"]["figure_family"], "font.size": NORMAL, "axes.titlesize": SMALL,
    "axes.labelsize": SMALL, "figure.titlesize": LARGE, "legend.fontsize": SMALL, "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL, "text.color": NEUTRAL["text"], "axes.labelcolor": NEUTRAL["text"],
    "axes.titlecolor": NEUTRAL["text"], "axes.edgecolor": NEUTRAL["text"], "xtick.color": NEUTRAL["text"],
    "ytick.color": NEUTRAL["text"], "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.color": NEUTRAL["grid"], "grid.linewidth": 0.6, "axes.axisbelow": True, "lines.linewidth": 1.4,
    "lines.markersize": 4.5, "figure.facecolor": NEUTRAL["background"], "axes.facecolor": NEUTRAL["background"],
    "savefig.facecolor": NEUTRAL["background"], "legend.frameon": False, "axes.titlelocation": "left",
}  # fmt: skip


@contextmanager
def style() -> Iterator[None]:
    """Apply the style while a figure is drawn; it is undone afterwards."""
    with matplotlib.rc_context(STYLE):
        yield


class NothingToDrawError(ValueError):
    """A table has no row of what a figure shows; the message says what it lacks."""


def new_figure(
    rows: int = 1, columns: int = 1, *, width: float = WIDTH, height: float = 3.2, **options: object
) -> tuple[Figure, np.ndarray]:
    """Return a figure and its (rows, columns) axes; sizes in inches. Call it inside `style()`.

    Raises:
        NothingToDrawError: If there is not one panel.
    """
    if rows < 1 or columns < 1:
        raise NothingToDrawError("none of the arms and rates that it shows is among what was chosen")
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)  # seaborn draws a figure to measure its labels, without a canvas it would ask pyplot
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def method_style(method: str, form: str = "none", train_frequency: str = "") -> dict[str, object]:
    """Color by method, marker by form, line by form or mode; an ODE of several rates has hollow markers."""
    name, mode = method_and_mode(method)
    look: dict[str, object] = {
        "color": METHOD_COLORS.get(method, NEUTRAL["muted"]),
        "marker": FORM_MARKERS.get(form, "o"),
        "linestyle": MODE_LINES.get(mode, FORM_LINES.get(form, "-")),
    }
    several = name == "ode" and train_frequency in ("mixed", "loguniform")
    return {**look, "markerfacecolor": NEUTRAL["background"]} if several else look


def known_models() -> "dict[str, Family]":
    """The registry of model families, imported when a figure is drawn: reading figures' code needs no torch."""
    from tdlib.models import MODELS

    return MODELS


def model_label(name: str, *, short: bool = False) -> str:
    """Name a model in words; a class that is in no registry by its own name."""
    if name not in known_models():
        return {"none": "no model"}.get(name, name.rpartition(":")[2])
    family = known_models()[name]
    return family.short_label if short else family.label or name


def model_look(name: str) -> dict[str, str]:
    """What tells a model from others of its method and form, for `Axes.plot`."""
    return dict(known_models()[name].look) if name in known_models() else {}


def arm_label(row: pd.Series, *, with_model: bool = False, with_rate: bool = True) -> str:
    """Name an arm in words, for example `multi-resolution scaled_concat, mixed`."""
    method, model = METHOD_LABELS.get(row["method"], row["method"]), model_label(row["model"])
    named = with_model and row["model"] != "none"
    name, mode = method_and_mode(row["method"])
    if named and name == "ode":
        text = model if mode == MODES[0] else f"{model}, {mode}"
    else:
        text = f"{model}: {method}" if named else method
    if row["form"] != "none":
        text += f" {row['form']}"
    if with_rate and row["train_frequency"]:
        rate = row["train_frequency"]
        text += f", {rate} Hz" if rate[0].isdigit() else f", {rate}"
    return text


def state_symbol(name: str) -> str:
    """Write a state dimension as a symbol: `theta_dot` as dθ/dt, `theta_1` as θ₁."""
    base = name.removesuffix("_dot")
    stem, _, index = base.rpartition("_")
    numbered = stem in GREEK and index.isdecimal()
    symbol = GREEK[stem] + index.translate(LOWERED) if numbered else GREEK.get(base, base)
    return symbol if base == name else f"d{symbol}/dt"


def state_label(name: str, env: str) -> str:
    """Axis label of a state dimension with the unit its system gives it, for example `ω [rad/s]` or `dθ/dt [rad/s]`."""
    from tdlib.systems import SYSTEMS  # asked when a figure is drawn: reading figures' code needs no torch

    symbol = state_symbol(name)
    if env not in SYSTEMS or name not in SYSTEMS[env].spec.state_names:
        return symbol
    spec = SYSTEMS[env].spec
    return f"{symbol} [{spec.state_units[spec.state_names.index(name)]}]"


def state_plane(names: Sequence[str], env: str) -> tuple[str, str]:
    """Two state dimensions to draw against each other: what the system names, else the first two."""
    from tdlib.systems import SYSTEMS

    return SYSTEMS[env].plane if env in SYSTEMS else (names[0], names[min(1, len(names) - 1)])


def sort_models(models: Sequence[str]) -> list[str]:
    """Models in the order of the study, others last."""
    known = {name: i for i, name in enumerate(("none", *known_models()))}
    return sorted(set(models), key=lambda name: (known.get(name, len(known)), name))


def sort_rates(rates: Sequence[str]) -> list[str]:
    """Rate labels by size, names such as "irregular" last."""

    def order(label: str) -> tuple[int, float, str]:
        try:
            return (0, float(label), "")
        except ValueError:
            return (1, 0.0, label)

    return sorted(set(map(str, rates)), key=order)


def log_rate_axis(axis: Axes, rates: Sequence[float]) -> None:
    """Make x a logarithmic axis of test rates [Hz] with a tick at each."""
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(FixedLocator(list(rates)))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


class _PlainLocator(LogLocator):
    """Ticks at 1, 2 and 5 of each decade; over many decades their labels would run into one another."""

    def __init__(self, most_decades: float):
        super().__init__()
        self.most_decades = most_decades

    def tick_values(self, vmin: float, vmax: float) -> np.ndarray:
        """Return the places of ticks within a span."""
        few = vmin > 0 and np.log10(vmax / vmin) <= self.most_decades
        self.set_params(subs=(1.0, 2.0, 5.0) if few else (1.0,))
        return super().tick_values(vmin, vmax)


def plain_log_axis(axis: Axis, most_decades: float = 3.5) -> None:
    """Label 1, 2 and 5 of each decade in plain numbers, where powers of ten alone would label next to nothing.

    Args:
        axis: Logarithmic.
        most_decades: Beyond which powers of ten alone have room.
    """
    axis.set_major_locator(_PlainLocator(most_decades))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def shared_legend(figure: Figure, axes: np.ndarray, *, columns: int = 2, extra: Sequence = ()) -> None:
    """Put one legend of all distinct lines below the panels, those of their own legends among them.

    Args:
        figure: The figure.
        axes: Its panels.
        columns: Most columns; fewer where long names would leave the figure.
        extra: Further handles with labels.
    """
    handles: dict[str, object] = {}
    for axis in np.ravel(axes):
        if own := axis.get_legend():
            for handle, text in zip(own.legend_handles, own.get_texts(), strict=True):
                handles.setdefault(text.get_text(), handle)
            own.remove()
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    for handle in extra:
        handles.setdefault(handle.get_label(), handle)
    for count in range(columns if handles else 0, 0, -1):
        legend = figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=count,
                               handlelength=2.2, columnspacing=1.2)  # fmt: skip
        if count == 1 or legend.get_window_extent().width <= figure.bbox.width:
            break
        legend.remove()


def over_seeds(table: pd.DataFrame, value: str, by: Sequence[str]) -> pd.DataFrame:
    """Mean, smallest and largest value over seeds of each group: mean, low, high of those that are finite.

    Beside them stand how many seeds that are (`seeds`) and how many values are not finite (`bad`): a group without
    a finite value stays, with a mean of NaN.
    """
    finite = np.isfinite(table[value])
    marked = table.assign(**{value: table[value].where(finite), "seed": table["seed"].where(finite), "bad": ~finite})
    grouped = marked.groupby(list(by), sort=False)
    summary = grouped[value].agg(mean="mean", low="min", high="max").reset_index()
    return summary.assign(seeds=grouped["seed"].nunique().to_numpy(), bad=grouped["bad"].sum().to_numpy().astype(int))


def bad_text(summary: pd.DataFrame, mark: str = "× at the upper edge") -> str:
    """Say how many values of a summary over seeds were not finite, with a leading space; nothing if none was."""
    bad = int(summary["bad"].sum())
    if not bad:
        return ""
    of = int(summary["seeds"].sum()) + bad
    return f" Not finite (diverged): {bad} of {of} values; left out of the means, marked: {mark}."


def counts_text(table: pd.DataFrame, what: str = "pairs") -> str:
    """State the sample sizes of a table for its caption, for example `n = 2 seeds, 1024 pairs each`.

    Where some arms have fewer seeds than others it is a range, `n = 1–12 seeds`.
    """
    keys = [name for name in ("env", *ARM_COLUMNS) if name in table]
    if "seed" not in table or table.empty:
        seeds = pd.Series([0])
    else:
        seeds = table.groupby(keys)["seed"].nunique() if keys else pd.Series([table["seed"].nunique()])
    text = f"n = {span_text(seeds)} seed{'' if seeds.max() == 1 else 's'}"
    if "n" in table and len(table):
        text += f", {span_text(table['n'])} {what} each"
    return text


def span_text(counts: pd.Series) -> str:
    """Write whole numbers as one number or as a range, `10` or `256–1024`."""
    low, high = int(counts.min()), int(counts.max())
    return f"{low}" if low == high else f"{low}–{high}"
