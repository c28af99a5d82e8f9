"""Several clocks made one: rows of one topic, and beside each what the others said last, since a command is held."""

from collections.abc import Mapping

import numpy as np

from tdlib.data.schema import DatasetError


def held_rows(times: np.ndarray, stamps: np.ndarray) -> np.ndarray:
    """Return for every time the row of the last stamp at or before it, −1 where there is none: (T,), (N,) -> (T,).

    Equal to `pandas.merge_asof` backward: of stamps that repeat the last counts.
    """
    return np.searchsorted(stamps, times, side="right") - 1


def align(
    on: str, topics: Mapping[str, tuple[np.ndarray, Mapping[str, np.ndarray]]]
) -> tuple[np.ndarray, dict[str, np.ndarray], list[str]]:
    """Put the columns of all topics on the clock of one, holding what the others said last.

    Args:
        on: Topic whose stamps are the rows.
        topics: Topic -> stamps (N,), and its columns (N,) by name; each in the order of its stamps.

    Returns:
        Stamps of the rows, all columns on them, and what is to be said: rows before the first message of a topic are
        left out, and how old what is held is.

    Raises:
        DatasetError: If `on` is no topic, or no row has a message of every topic before it.
    """
    if on not in topics:
        raise DatasetError(f"on must be one of the topics {list(topics)}, got {on!r}")
    times, own = topics[on]
    columns = dict(own)
    first = 0
    notes: list[str] = []
    places: dict[str, np.ndarray] = {}
    for topic, (stamps, _) in topics.items():
        if topic == on:
            continue
        if (np.diff(stamps) < 0).any():
            raise DatasetError(f"{topic}: stamps must not step back to be held, got a step of {np.diff(stamps).min()}")
        places[topic] = held_rows(times, stamps)
        first = max(first, int((places[topic] < 0).sum()))
    if first >= len(times):
        spans = {topic: (float(stamps[0]), float(stamps[-1])) for topic, (stamps, _) in topics.items()}
        raise DatasetError(f"topics must overlap in time, rows of {on} have none of the others before them: {spans}")
    for topic, rows in places.items():
        stamps, values = topics[topic]
        kept = rows[first:]
        age = times[first:] - stamps[kept]
        median, oldest = np.median(age), age.max()
        notes.append(f"{topic} is held on the clock of {on}: {median:.3g} ns old in the middle, {oldest:.3g} at most")
        columns |= {name: column[kept] for name, column in values.items()}
    columns = {name: column[first:] if name in own else column for name, column in columns.items()}
    if first:
        notes.append(f"{first} rows before the first message of every topic are left out")
    return times[first:], columns, notes
