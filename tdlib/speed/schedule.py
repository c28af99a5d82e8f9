"""Which column of a batch predicts which sample when, so that a batch of one width serves samples of any length.

A column takes the next sample as soon as its last one is through: all columns are busy until little is left.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Schedule:
    """L steps of W columns.

    Args:
        sample: (L, W) which sample begins in this column at this step; -1 if none does.
        step: (L, W) which of all samples' steps is taken, counted sample after sample; -1 if the column is idle.
    """

    sample: np.ndarray
    step: np.ndarray


def schedule(groups: Sequence[tuple[int, int]], width: int) -> Schedule:
    """Place groups of (number of samples, steps of each), those with most steps first, in columns of equal length.

    Args:
        groups: B samples of T steps each; numbers of samples and of steps go through the groups in their order.
        width: W.
    """
    load = np.zeros(width, dtype=np.int64)  # steps that each column has to take
    placed, first_sample, first_step = [], 0, 0
    offsets = []
    for count, steps in groups:
        offsets.append((first_sample, first_step))
        first_sample, first_step = first_sample + count, first_step + count * steps
    for i in sorted(range(len(groups)), key=lambda i: -groups[i][1]):
        count, steps = groups[i]
        taken = _shares(load, count, steps)
        column = np.repeat(np.arange(width), taken)
        turn = np.arange(count) - np.repeat(np.cumsum(taken) - taken, taken)
        placed.append((i, column, load[column] + turn * steps))
        load += taken * steps
    table = Schedule(*(np.full((int(load.max()), width), -1, dtype=np.int64) for _ in range(2)))
    for i, column, begin in placed:
        (count, steps), (sample, first) = groups[i], offsets[i]
        table.sample[begin, column] = sample + np.arange(count)
        step = first + np.arange(count * steps).reshape(count, steps)
        table.step[begin[:, None] + np.arange(steps), column[:, None]] = step
    return table


def _shares(load: np.ndarray, count: int, steps: int) -> np.ndarray:
    """How many of `count` samples each column takes so that the last one ends soonest: (W,) -> (W,)."""

    def room(level: int) -> np.ndarray:
        return np.maximum(-((load - level) // steps), 0)  # samples that begin before the level

    low, high = int(load.min()), int(load.max()) + (count // len(load) + 1) * steps
    while low < high:
        middle = (low + high) // 2
        if room(middle).sum() >= count:
            high = middle
        else:
            low = middle + 1
    taken = room(low)
    surplus = np.flatnonzero(taken)[np.argsort(-(load + (taken - 1) * steps)[taken > 0], kind="stable")]
    taken[surplus[: taken.sum() - count]] -= 1  # of those that would begin last
    return taken
