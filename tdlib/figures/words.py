"""Numbers as captions say them: a mean with its interval, and how many seeds stand behind it."""

from collections.abc import Iterable, Mapping

import numpy as np


def interval_text(row: Mapping, value: str, ends: str = "", digits: int = 2) -> str:
    """Write `0.83 [0.61, 1.1]`; the mean alone where there is no interval.

    Args:
        row: Holds the value and its ends.
        value: Name of the value.
        ends: Beginning of the names of the ends, `<ends>_low` and `<ends>_high`; that of the value if empty.
        digits: Significant digits.
    """
    low, high = (float(row[f"{ends or value}_{end}"]) for end in ("low", "high"))
    text = number_text(row[value], digits)
    return (
        f"{text} [{number_text(low, digits)}, {number_text(high, digits)}]" if np.isfinite([low, high]).all() else text
    )


def number_text(value: float, digits: int = 2) -> str:
    """Write a number with so many significant digits and no power of ten below 100 000."""
    return f"{value:.0f}" if 10**digits <= abs(value) < 1e5 else f"{value:.{digits}g}"


def listed(parts: Iterable[str]) -> str:
    """Join words as a sentence does: `10, 20 and 50`."""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def seeds_text(count: float) -> str:
    """Write `1 seed` or `12 seeds`."""
    return f"{int(count)} seed{'' if int(count) == 1 else 's'}"
