"""What the rate doctor found: its verdict among its rules, errors by rate, defects at finer rates, what was tried."""

import numpy as np
import pandas as pd
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from tdlib.figures.save import Drawing
from tdlib.figures.style import (
    METHOD_COLORS,
    NEUTRAL,
    SMALL,
    NothingToDrawError,
    new_figure,
    plain_log_axis,
    shared_legend,
    style,
)
from tdlib.figures.theme import THEME
from tdlib.figures.words import number_text

LINES = {  # column -> color, marker, what it is
    "as it is": ("baseline", "o", "the model as it is"),
    "rescaled": ("rescaled", "s", "rescaled"),
    "newton_2": ("newton_2", "^", "Newton, order 2"),
    "composed": ("recurrent_rollout", "D", "composed"),
}
LIMITS = {  # column -> line, color, what it is
    "limit": (":", "reference", "|1 − h/Δ|"),
    "limit_here": ("-", "muted", "limit of these states"),
    "rescaled_here": ("--", "muted", "that of rescaling, of these states"),
}
SMALLEST = 1e-4  # errors below are drawn here
KINDS = {"healthy": "good", "fault": "warn", "open": "focus"}
NEAR = 0.15  # relative difference up to which an error is called that of the limit


def draw_verdict(table: pd.DataFrame, log: str) -> Drawing:
    """Draw the doctor's rules from above, and which of them apply.

    Args:
        table: Rows rule, kind (healthy, fault, open), state (verdict, also, no).
        log: Name of the log.
    """
    signals, places = THEME["light"]["signal"], np.arange(len(table))
    with style():
        figure, axes = new_figure(height=0.5 + 0.25 * len(table))
        axis = axes[0, 0]
        for place, row in zip(places, table.itertuples(), strict=True):
            shown = row.state != "no"
            color = signals[KINDS[str(row.kind)]] if shown else NEUTRAL["grid"]
            filled = color if row.state == "verdict" else NEUTRAL["background"]
            axis.plot(
                [0], [place], "s", markersize=11, markeredgecolor=color, markerfacecolor=filled, markeredgewidth=2
            )
            weight = "bold" if row.state == "verdict" else "normal"
            words = {"verdict": "verdict", "also": "applies too", "no": ""}[str(row.state)]
            axis.text(0.4, place, row.rule, va="center", weight=weight, color=NEUTRAL["text" if shown else "muted"])
            axis.text(
                5.6, place, words, va="center", ha="right", weight=weight, color=color if shown else NEUTRAL["text"]
            )
        axis.set(xlim=(-0.4, 5.7), ylim=(len(table) - 0.4, -0.6))
        axis.set_axis_off()
    verdict = table.loc[table["state"] == "verdict", "rule"].iloc[0]
    also = list(table.loc[table["state"] == "also", "rule"])
    further = f"; {', '.join(also)} would apply too" if also else "; none below it applies"
    caption = (
        "The rules of the doctor, read from above: filled the first that applies, outlined those that apply too. "
        f"The verdict is {verdict}{further} ({log}, n = {len(table)} rules)."
    )
    return Drawing(figure, caption, f"List of {len(table)} rules; {verdict} is marked as the verdict.", table)


def draw_log_rates(table: pd.DataFrame, h: float, log: str) -> Drawing:
    """Draw errors over the recorded change at a log's rate and coarser ones, beside what an exact map would err by.

    Args:
        table: Rows delta_t [s], n, limit, limit_here, rescaled_here and errors of the model as it is and repaired.
        h: Step of the model [s].
        log: Name of the log.

    Raises:
        NothingToDrawError: If there is no rate.
    """
    if table.empty:
        raise NothingToDrawError("the log has no rate at which the model was scored")
    steps = 1000 * table["delta_t"]
    with style():
        figure, axes = new_figure(height=4.8)
        axis = axes[0, 0]
        for name, (line, color, label) in LIMITS.items():
            axis.plot(steps, table[name].clip(lower=SMALLEST), line, color=NEUTRAL[color], label=label)
        for name, (color, marker, label) in LINES.items():
            axis.plot(steps, table[name].clip(lower=SMALLEST), marker=marker, color=METHOD_COLORS[color], label=label)
        axis.axhline(1.0, color=NEUTRAL["reference"], linewidth=0.8, zorder=0)
        axis.set(xscale="log", yscale="log", xlabel="Δt [ms]", ylabel="error over the recorded change")
        errors = table[list(LINES)].to_numpy()
        least = float(np.nanmin(errors)) if np.isfinite(errors).any() else SMALLEST
        axis.set_ylim(bottom=max(SMALLEST, 0.5 * least))
        axis.xaxis.set_major_locator(FixedLocator(list(steps)))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
        axis.xaxis.set_minor_locator(NullLocator())
        plain_log_axis(axis.yaxis)
        shared_legend(figure, axes)
    missing = "".join(f" No number: {text}." for text in dict.fromkeys(table["refused"]) if text)
    caption = (
        f"Errors over the recorded change, at the log's rate and at coarser ones (the log, decimated); h = "
        f"{number_text(1000 * h, 3)} ms. Gray: what an exact map of the step h errs by, to first order and for these "
        f"states. The line at 1 is predicting no change.{missing} {_of_rates(table, log)}"
    )
    alt = f"Errors of one model and its repairs against Δt at {len(table)} rates of a log, beside limits."
    return Drawing(figure, caption, alt, table)


def _of_rates(table: pd.DataFrame, log: str) -> str:
    last = table.iloc[-1]
    errors = {label: float(last[name]) for name, (_, _, label) in LINES.items()}
    known = {label: error for label, error in errors.items() if np.isfinite(error)}
    at = f"At {number_text(1000 * last['delta_t'], 3)} ms"
    if not known:
        return f"{at} it gives no number ({log}, n = {int(last['n'])} rows)."
    asked, limit = errors[LINES["as it is"][2]], float(last["limit_here"])
    said = f"the model errs by {number_text(asked)}" if np.isfinite(asked) else "the model gives no number"
    if np.isfinite(limit):
        near = abs(asked - limit) <= NEAR * limit
        exact = "as an exact map of its step does" if near else "where an exact map of its step would err"
        said += f", {exact}, by {number_text(limit)}"
    best = min(known, key=lambda label: known[label])
    return f"{at} {said}; least errs {best}, by {number_text(known[best])} ({log}, n = {int(last['n'])} rows)."


def draw_finer(table: pd.DataFrame, log: str) -> Drawing:
    """Draw how far several short steps are from one: there is no truth at finer rates than the log's.

    Args:
        table: Rows parts, delta_t [s], defect, of_a_map, n, refused.
        log: Name of the log.

    Raises:
        NothingToDrawError: If there is no row.
    """
    if table.empty:
        raise NothingToDrawError("the model was not asked for parts of an interval")
    with style():
        figure, axes = new_figure(height=3.4)
        axis = axes[0, 0]
        axis.plot(table["parts"], table["of_a_map"], ":", color=NEUTRAL["reference"], label="a map of one step: n − 1")
        axis.plot(
            table["parts"], table["defect"].clip(lower=1e-6), "o-", color=METHOD_COLORS["ode"], label="this model"
        )
        axis.set(yscale="log", xlabel="n, steps of Δt/n for one of Δt", ylabel="difference over the\nrecorded change")
        axis.xaxis.set_major_locator(FixedLocator(list(table["parts"])))
        plain_log_axis(axis.yaxis)
        shared_legend(figure, axes)
    last = table.iloc[-1]
    parts, defect = int(last["parts"]), float(last["defect"])
    said = (
        f"{parts} steps of {number_text(1000 * last['delta_t'], 3)} ms differ from one by {number_text(defect)} of the "
        f"change, those of a map of one step by about {number_text(last['of_a_map'])}"
        if np.isfinite(defect)
        else f"The model refuses steps of {number_text(1000 * last['delta_t'], 3)} ms: {last['refused']}"
    )
    caption = (
        "Finer rates than the log's: n short steps against one long one, over the recorded change; which of them is "
        f"right is not in the log. {said} ({log}, n = {int(last['n'])} rows)."
    )
    alt = f"Difference of several short steps from one long step of a model, for up to {parts} steps."
    return Drawing(figure, caption, alt, table)


def draw_trials(table: pd.DataFrame, rows: int, log: str) -> Drawing:
    """Draw the model's error as it is asked and as it would be if one thing were otherwise.

    Args:
        table: Of `trials_table`: trial, error, floor, repairs; the least error first.
        rows: Rows of the log that were asked about.
        log: Name of the log.
    """
    known = table[np.isfinite(table["error"])]
    if known.empty:
        raise NothingToDrawError("the model gave no number for what was tried")
    asked = float(table.loc[table["trial"] == "as it is", "error"].iloc[0])
    most = 3 * asked if np.isfinite(asked) and asked > 0 else float(known["error"].max())
    floor = float(table["floor"].iloc[0])
    with style():
        figure, axes = new_figure(height=1.4 + 0.27 * len(table))
        axis, places = axes[0, 0], np.arange(len(table))
        colors = [
            METHOD_COLORS["ode"] if row.repairs else METHOD_COLORS["baseline"] if row.trial == "as it is"
            else NEUTRAL["border"] for row in table.itertuples()
        ]  # fmt: skip
        axis.barh(places, table["error"].clip(upper=most).fillna(0), color=colors, height=0.7)
        for place, error in zip(places, table["error"], strict=True):
            text = number_text(error) if np.isfinite(error) else "no number"
            axis.annotate(text, (min(error, most) if np.isfinite(error) else 0, place), xytext=(3, 0),
                          textcoords="offset points", va="center", fontsize=SMALL)  # fmt: skip
        if floor > 0:
            axis.axvline(
                min(floor, most), color=NEUTRAL["text"], linestyle=":", label="what noise makes of it, at most"
            )
        axis.set(
            yticks=places, yticklabels=table["trial"], xlabel="error over the recorded change", xlim=(0, 1.25 * most)
        )
        axis.grid(visible=False, axis="y")
        axis.invert_yaxis()
        shared_legend(figure, axes)
    mends = table[table["repairs"]]
    best = (mends if len(mends) else table).iloc[0]
    said = (
        f"With {best['trial']} the error is {number_text(best['error'])} where it was {number_text(asked)}"
        if len(mends)
        else f"As it is the error is {number_text(asked)}, and no rule takes one of these for its repair"
    )
    caption = (
        "The model's error as it is asked (orange) and if one thing were otherwise (green: the trial that mends it; "
        f"bars end at {number_text(most)}). {said} ({log}, n = {rows} rows)."
    )
    return Drawing(figure, caption, f"Bars of the error of one model, asked in {len(table)} ways.", table)
