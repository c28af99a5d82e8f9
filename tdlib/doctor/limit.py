"""What an exact map of one step errs by at another, computed for the states of a log.

A map of the step h, exact, says of a row that begins at t what was h later, x(t + h); asked over Δ it should have said
x(t + Δ). Both stand in the log. First order gives |1 − h/Δ|; this is what it comes to for these states. The same for
the rescaled increment, x(t) + (Δ/h)(x(t + h) − x(t)).
"""

import numpy as np
from scipy.interpolate import CubicSpline

from tdlib.data import TransitionDataset
from tdlib.data.decimate import EVEN, low_passed, states_in_a_row
from tdlib.doctor.rows import episodes_of

FEWEST = 4  # rows of an episode that a cubic goes through


def limits_here(dataset: TransitionDataset, every: int, h: float) -> tuple[float, float]:
    """Errors over the change of an exact map of the step h over n intervals of a log: as it is, and rescaled.

    States between rows are those of a cubic through the rows; where intervals are even they are low-passed as
    `tdlib.data.decimate` does. Inputs are those that acted, in both.

    Args:
        dataset: A log of kind "episodes".
        every: n.
        h: Step of the map [s].

    Returns:
        Both errors; nan where no row has h behind it in its episode.
    """
    plain, rescaled, change = [], [], []
    for own in episodes_of(dataset):
        states, delta_t = states_in_a_row(dataset, own), dataset.delta_t[own]
        if len(states) < max(FEWEST, every + 1):
            continue
        if every > 1 and np.ptp(delta_t) <= EVEN * np.median(delta_t):
            states = low_passed(states, every)
        times = np.concatenate([[0.0], np.cumsum(delta_t)])
        starts = np.arange(0, len(delta_t) - every + 1, every)
        starts = starts[times[starts] + h <= times[-1] + 1e-9 * h]
        moved = CubicSpline(times, states)(times[starts] + h) - states[starts]
        true = states[starts + every] - states[starts]
        ratio = (times[starts + every] - times[starts]) / h
        plain.append(moved - true)
        rescaled.append(ratio[:, None] * moved - true)
        change.append(true)
    if not any(map(len, change)):
        return float("nan"), float("nan")
    size = np.mean(np.concatenate(change) ** 2, axis=0)
    as_it_is, mended = (
        float(np.sqrt(np.mean((np.mean(np.concatenate(found) ** 2, axis=0) / size.clip(min=1e-300))[size > 0])))
        for found in (plain, rescaled)
    )
    return as_it_is, mended
