"""The sentence that ends a caption: which of the rows shown is least and which most, and nothing wider."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tdlib.core.facts import FINEST
from tdlib.figures.style import sort_rates


def conclusion(
    rows: pd.DataFrame, *, place: str, verb: str = "errs by", words: tuple[str, str] = ("least", "most"),
    value: str = "mean", digits: int = 2,
) -> str:  # fmt: skip
    """Say in one sentence, environment by environment, which of the arms shown is smallest and which largest.

    Where the seeds of the two overlap the sentence says that no order is seen; where something is not finite, or only
    one arm is there, it says that.

    Args:
        rows: Columns env, arm, the value, and where there are several seeds low, high, seeds, bad.
        place: How the sentence begins, for example "At 50 Hz".
        verb: What stands before a number.
        words: What the smallest and the largest are called.
        value: Column of the values.
        digits: Significant digits.
    """
    rows = rows.assign(**{name: rows[value] for name in ("low", "high") if name not in rows})
    parts = [_of_one(env, own, verb, words, value, digits) for env, own in rows.groupby("env", sort=False)]
    return (
        f"Of those shown, {place[0].lower()}{place[1:]} "
        + ("; ".join(parts) if parts else "nothing was measured")
        + "."
    )


def main_test_rate(rates: Sequence[str]) -> str:
    """Return the rate that sentences compare at: the finest of training where it was tested, else the finest number."""
    found = [rate for rate in sort_rates(rates) if rate.replace(".", "", 1).isdigit()]
    return FINEST if FINEST in found or not found else found[-1]


def _of_one(env: str, rows: pd.DataFrame, verb: str, words: tuple[str, str], value: str, digits: int) -> str:
    where = f"({env}, {_seeds(rows)})" if "seeds" in rows else f"({env})"
    finite, said = rows[np.isfinite(rows[value].astype(float))], _not_finite(rows)
    if finite.empty:
        return f"no value is finite {where}{said}"
    least, most = finite.loc[finite[value].idxmin()], finite.loc[finite[value].idxmax()]
    low, high = (_said(row[value], digits) for row in (least, most))
    if finite["arm"].nunique() == 1:
        return f"{least['arm']} {verb} {low}, with nothing to compare it to {where}{said}"
    ends = f"{_alike(finite, least, value, digits)} {verb} {low}, the {words[0]}, and "
    ends += f"{_alike(finite, most, value, digits)} {verb} {high}, the {words[1]}"
    if least[value] == most[value]:
        ends = f"all {len(finite)} arms alike: each {verb} {low}"
    elif least["high"] >= most["low"]:
        ends = f"no order is seen beyond the span of the seeds: {least['arm']} {verb} {low}, {most['arm']} {high}"
    return f"{ends} {where}{said}"


def _said(number: float, digits: int) -> str:
    if number == 0:
        return "0"
    return f"{number:#.{digits}g}".rstrip(".") if abs(number) < 10**digits else f"{number:.0f}"


def _alike(rows: pd.DataFrame, row: pd.Series, value: str, digits: int) -> str:
    """Name an arm, and how many others have the same number as it is written."""
    others = sum(_said(number, digits) == _said(row[value], digits) for number in rows[value]) - 1
    return f"{row['arm']} (and {others} more)" if others else row["arm"]


def _seeds(rows: pd.DataFrame) -> str:
    low, high = int(rows["seeds"].min()), int(rows["seeds"].max())
    return f"{low} seed{'' if high == 1 else 's'}" if low == high else f"{low}–{high} seeds"


def _not_finite(rows: pd.DataFrame) -> str:
    if "bad" not in rows or not rows["bad"].sum():
        return ""
    listed = [f"{row['arm']} {int(row['bad'])}" for _, row in rows[rows["bad"] > 0].iterrows()]
    return f"; not finite, by arm: {', '.join(listed)}"
