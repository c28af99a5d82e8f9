"""Measured records: errors at other rates beside what the records themselves say, and where noise ends the law."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from tdlib.figures.lines import no_change_line
from tdlib.figures.save import Drawing
from tdlib.figures.selection import main_model
from tdlib.figures.style import (
    METHOD_COLORS,
    NEUTRAL,
    NothingToDrawError,
    log_rate_axis,
    new_figure,
    plain_log_axis,
    shared_legend,
    style,
)
from tdlib.figures.words import number_text

ERROR, LIMIT, FORMULA = "record.relative_error", "record.limit", "record.formula"
LINES, NETWORK = "least_squares", "network"
LOOKS = {  # (kind of model, method) -> how it is drawn, in the order of the legend
    (LINES, "baseline"): ("least squares", {"color": METHOD_COLORS["baseline"], "marker": "o"}),
    (NETWORK, "baseline"): (
        "network", {"color": METHOD_COLORS["baseline"], "marker": "s", "linestyle": "--", "markerfacecolor": "none"},
    ),
    (LINES, "rescaled"): ("least squares, rescaled", {"color": METHOD_COLORS["rescaled"], "marker": "^"}),
    (LINES, "recurrent_rollout"): (
        "least squares, composed", {"color": METHOD_COLORS["recurrent_rollout"], "marker": "D"},
    ),
}  # fmt: skip
OWN_RATE = {
    (LINES, "baseline"): ("least squares", "o", METHOD_COLORS["baseline"]),
    (NETWORK, "baseline"): ("network", "s", METHOD_COLORS["multi_resolution"]),
    ("none", "last_change"): ("the change before", "x", NEUTRAL["muted"]),
}
BLOCKS = "bars: 95 % interval of the jackknife over blocks of the record"


def draw_law(statistics: pd.DataFrame, panels: Sequence[tuple[str, str]], at: str) -> Drawing:
    """Draw the error of one-rate models against the test rate, one panel per record.

    Args:
        statistics: Of `evaluate_records`.
        panels: Record and kind of state, `all` or `positions`.
        at: Test rate that the caption compares at, of the first record.
    """
    with style():
        rows = -(-len(panels) // 2)
        figure, axes = new_figure(rows, 2, height=2.3 * rows + 0.9)
        for axis, (name, detail) in zip(axes.ravel(), panels, strict=False):
            _law_panel(axis, _of(statistics, name), detail)
            axis.set_title(name if detail == "all" else f"{name}, {detail}")
        for axis in axes.ravel()[len(panels) :]:
            axis.set_visible(False)
        for axis in axes[:, 0]:
            axis.set_ylabel("relative error")
        for axis in axes[-1]:
            axis.set_xlabel("test rate [Hz]")
        shared_legend(figure, axes, columns=2)
    name, detail = panels[0]
    chosen = _of(statistics, name)
    error = _one(chosen, ERROR, LINES, "baseline", detail, at)
    limit, formula = (_one(chosen, each, "none", "baseline", "all", at)["mean"] for each in (LIMIT, FORMULA))
    caption = (
        "Relative error of models of one rate on measured rows; triangles and diamonds: repaired without training. "
        f"Crosses: what the record itself says of an exact map; gray: |1 − h/Δ|; {BLOCKS}. At {at} Hz least squares "
        "errs by "
        f"{number_text(error['mean'], 3)}, the record says {number_text(limit, 3)} and the formula "
        f"{number_text(formula, 3)} ({name}, n = {error['n']} rows in {error['n_seeds']} blocks)."
    )
    alt = "Errors of models of one rate on measured records lie on the limit that the records themselves give."
    return Drawing(figure, caption, alt, chosen)


def draw_noise(statistics: pd.DataFrame, clocks: pd.DataFrame, record: str, fine: str, names: Sequence[str]) -> Drawing:
    """Draw where the first-order formula ends: one record at finer rates, and all at half of theirs over their noise.

    Args:
        statistics: Of `evaluate_records`.
        clocks: Of the same.
        record: That of the upper panel.
        fine: Its test rate that the caption speaks of.
        names: Records of the lower panel.
    """
    chosen = _of(statistics, record)
    with style():
        figure, axes = new_figure(2, 1, height=6.4)
        _law_panel(axes[0, 0], chosen, "all", [(LINES, "baseline"), (NETWORK, "baseline")])
        axes[0, 0].set(xlabel="test rate [Hz]", ylabel="relative error", title=record)
        half = _at_half(statistics, clocks, names).sort_values("noise")
        axis, places = axes[1, 0], range(len(half))
        axis.plot(half["ratio"], places, "o", color=METHOD_COLORS["baseline"])
        axis.plot(half["limit"], places, "x", color=NEUTRAL["text"], markersize=7)
        axis.axvline(1.0, color=NEUTRAL["muted"], linewidth=1.0)
        axis.set_yticks(places, [f"{row.env}, {row.noise:.0%}" for row in half.itertuples()])
        axis.invert_yaxis()
        axis.set_xlabel("error at half of the own rate / |1 − h/Δ|")
        shared_legend(figure, axes, columns=2)
    error = _one(chosen, ERROR, LINES, "baseline", "all", fine)
    limit, formula = (_one(chosen, each, "none", "baseline", "all", fine)["mean"] for each in (LIMIT, FORMULA))
    caption = (
        "Above: the same model asked at finer steps, where the velocity's change sinks into its noise; "
        f"{BLOCKS}. Below: least squares at half of its own rate over |1 − h/Δ| = ½ (circles), and the record's own "
        "limit over it (crosses); behind each name the share of a change that is noise, largest dimension. At "
        f"{fine} Hz the formula says {number_text(formula, 3)}, the record {number_text(limit, 3)}, and least squares "
        f"errs by {number_text(error['mean'], 3)} ({record}, n = {error['n']} rows)."
    )
    alt = "Errors at half of the rate over the formula, record by record, beside the limits of the records themselves."
    return Drawing(figure, caption, alt, half)


def draw_own_rate(statistics: pd.DataFrame, names: Sequence[str], said: str) -> Drawing:
    """Draw what models err by at their own rate, beside going on as before and no change at all.

    Args:
        statistics: Of `evaluate_records`.
        names: Records, from above.
        said: The record that the caption speaks of.
    """
    found = []
    with style():
        figure, axes = new_figure(height=0.42 * len(names) + 1.7)
        axis = axes[0, 0]
        for place, name in enumerate(names):
            own = _of(statistics, name).query(
                "metric == @ERROR and detail == 'all' and train_frequency == test_frequency"
            )
            own = own.drop_duplicates(["model", "method"])  # a record that is asked at two rates counts at its coarser
            for (model, method), (label, marker, color) in OWN_RATE.items():
                row = own[(own["model"] == _named(model)) & (own["method"] == method)]
                if len(row):
                    _bar(axis, row.iloc[0], place, label, marker, color)
                    found.append(row)
        if not found:
            raise NothingToDrawError("no record has an error at its own rate")
        axis.axvline(1.0, color=NEUTRAL["muted"], linewidth=1.0)
        axis.set_yticks(range(len(names)), names)
        axis.invert_yaxis()
        axis.set_xscale("log")
        plain_log_axis(axis.xaxis)
        axis.set_xlabel("relative error at the own rate (1: no change)")
        shared_legend(figure, axes, columns=3)
    row = _of(pd.concat(found), said).query("model == @LINES").iloc[0]
    caption = (
        "Relative error at the rate of training; 1 is predicting no change, and crosses go on with the change before; "
        f"{BLOCKS}. Least squares leaves {number_text(row['mean'])} [{number_text(row['ci_low'])}, "
        f"{number_text(row['ci_high'])}] of a change ({said}, n = {row['n']} rows in {row['n_seeds']} blocks)."
    )
    alt = "Relative errors of least squares, a network and the change before on each record, at the rate of training."
    return Drawing(figure, caption, alt, pd.concat(found))


def live_record(axis: Axes, rows: pd.DataFrame, table: pd.DataFrame) -> str:
    """Draw one record and kind of state: all arms, the record's limit and the formula.

    Args:
        axis: Empty axes.
        rows: Rows of one record (`env`) and kind of state (`detail`).
        table: All of them.
    """
    name, detail = rows["env"].iloc[0], rows["detail"].iloc[0]
    _law_panel(axis, rows, detail)
    axis.set(xlabel="test rate [Hz]", ylabel="relative error")
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    errors = rows[(rows["metric"] == ERROR) & (rows["model"] == LINES) & (rows["method"] == "baseline")]
    worst = errors.loc[errors["mean"].idxmax()]
    return (
        f"Least squares of {worst['train_frequency']} Hz errs most at {worst['test_frequency']} Hz, by "
        f"{number_text(worst['mean'])} of the change ({name}, {detail}, n = {worst['n']} rows)."
    )


def choices_of(statistics: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that `live_record` chooses from; of two own rates the coarser, and the formula for each kind."""
    rate = statistics["train_frequency"].astype(float)
    coarse = rate == rate.groupby(statistics["env"]).transform("min")
    formula = statistics["metric"] == FORMULA
    table = pd.concat([statistics[coarse], statistics[coarse & formula].assign(detail="positions")], ignore_index=True)
    return table[table.groupby(["env", "detail"])["metric"].transform(lambda names: (names == ERROR).any())]


def _law_panel(axis: Axes, rows: pd.DataFrame, detail: str, shown: Sequence = tuple(LOOKS)) -> None:
    """Errors with intervals over the record's limit and the formula; the last is drawn for any rate between."""
    coarse = rows["train_frequency"].astype(float).min()
    rows = rows[rows["train_frequency"].astype(float) == coarse]
    rows = rows.assign(rate=rows["test_frequency"].astype(float)).sort_values("rate")
    rates = sorted(set(rows["rate"]))
    fine = np.geomspace(rates[0], rates[-1], 200)
    axis.plot(
        fine, np.maximum(np.abs(1 - fine / coarse), 1e-6), color=NEUTRAL["muted"], linewidth=1.0, label="|1 − h/Δ|"
    )
    limit = rows[(rows["metric"] == LIMIT) & (rows["detail"] == detail)]
    axis.plot(
        limit["rate"], limit["mean"], "x", color=NEUTRAL["text"], markersize=7, label="the record's own limit", zorder=4
    )
    errors, least = rows[(rows["metric"] == ERROR) & (rows["detail"] == detail)], []
    for model, method in shown:
        line = errors[(errors["model"] == _named(model)) & (errors["method"] == method)]
        if line.empty:
            continue
        label, look = LOOKS[model, method]
        spread = [line["mean"] - line["ci_low"], line["ci_high"] - line["mean"]]
        axis.errorbar(line["rate"], line["mean"], yerr=np.maximum(spread, 0), label=label, elinewidth=0.8, capsize=1.5,
                      linewidth=1.0, **look)  # fmt: skip
        least.append(float(line["mean"].min()))
    no_change_line(axis)
    axis.set_yscale("log")
    axis.set_ylim(bottom=0.6 * min(least, default=0.1))
    plain_log_axis(axis.yaxis)
    log_rate_axis(axis, _apart(rates))


def _apart(rates: Sequence[float]) -> list[float]:
    """Leave out rates whose labels would touch that of the one before."""
    kept: list[float] = []
    for rate in rates:
        if not kept or rate > 1.6 * kept[-1]:
            kept.append(rate)
    return kept


def _bar(axis: Axes, row: pd.Series, place: float, label: str, marker: str, color: str) -> None:
    spread = [[max(row["mean"] - row["ci_low"], 0)], [max(row["ci_high"] - row["mean"], 0)]]
    axis.errorbar(row["mean"], place, xerr=spread, fmt=marker, color=color, label=label, elinewidth=0.8, capsize=1.5)


def _at_half(statistics: pd.DataFrame, clocks: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Error of least squares and limit at half of the own rate over ½, with the share of noise, one row per record."""
    found = []
    for name in names:
        own = clocks.loc[clocks["env"] == name].iloc[0]
        rows = _of(statistics, name)
        rows = rows[(rows["train_frequency"] == own["train_frequency"]) & (rows["detail"] == "all")]
        slower = rows["test_frequency"].astype(float) < float(own["train_frequency"])
        at = rows.loc[(rows["metric"] == FORMULA) & np.isclose(rows["mean"], 0.5) & slower, "test_frequency"].iloc[0]
        both = [(ERROR, LINES), (LIMIT, "none")]
        ratio, limit = (2 * _one(rows, metric, model, "baseline", "all", at)["mean"] for metric, model in both)
        found.append({"env": name, "noise": own["noise"], "ratio": ratio, "limit": limit})
    return pd.DataFrame(found)


def _named(kind: str) -> str:
    """Name of a kind of model in tables."""
    return main_model() if kind == NETWORK else kind


def _of(statistics: pd.DataFrame, name: str) -> pd.DataFrame:
    rows = statistics[statistics["env"] == name]
    if rows.empty:
        raise NothingToDrawError(f"no record is called {name!r}")
    return rows


def _one(rows: pd.DataFrame, metric: str, model: str, method: str, detail: str, at: str) -> pd.Series:
    found = rows[
        (rows["metric"] == metric) & (rows["model"] == model) & (rows["method"] == method)
        & (rows["detail"] == detail) & (rows["test_frequency"] == at)
    ]  # fmt: skip
    if found.empty:
        raise NothingToDrawError(f"no {metric} of {model} at {at} Hz")
    return found.iloc[0]
