"""Whether rows that come in bursts were measured so, or evenly and only sent some at a time.

A state between two others lies near the straight line that joins them, at the place that its stamp says. Where the
intervals on both sides differ much, that place is far from the middle; a state that lies in the middle nevertheless was
measured there.
"""

import numpy as np

from tdlib.data import TransitionDataset
from tdlib.data.decimate import states_in_a_row
from tdlib.doctor.rows import episodes_of

UNLIKE = 0.3  # least distance of a row's place from the middle of its neighbors, of 0.5 at most
STRAIGHTER = 0.8  # ratio of what is left of both lines, below which rows were measured evenly


def was_even(dataset: TransitionDataset) -> bool:
    """Whether states follow their numbers rather than their stamps; asked of logs whose rows come in bursts."""
    by_stamp: list[np.ndarray] = []
    by_number: list[np.ndarray] = []
    for own in episodes_of(dataset):
        states, delta_t = states_in_a_row(dataset, own), dataset.delta_t[own]
        place = delta_t[:-1] / (delta_t[:-1] + delta_t[1:])
        unlike = np.abs(place - 0.5) > UNLIKE
        for found, at in ((by_stamp, place), (by_number, np.full_like(place, 0.5))):
            found.append(_off_the_line(states, at)[unlike])
    if not any(map(len, by_stamp)):
        return False
    stamps, numbers = (np.mean(np.concatenate(found) ** 2, axis=0) for found in (by_stamp, by_number))
    known = (stamps > 0) & (numbers > 0)
    return bool(known.any() and np.exp(np.mean(np.log(numbers[known] / stamps[known])) / 2) < STRAIGHTER)


def _off_the_line(states: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Distance of each state from the line through its neighbors, in units in which white noise counts alike.

    Args:
        states: (T + 1, D).
        at: (T - 1,) place on the line, 0 at the row before and 1 at the row behind.
    """
    on_line = states[:-2] + at[:, None] * (states[2:] - states[:-2])
    return (states[1:-1] - on_line) / np.sqrt(1 + at**2 + (1 - at) ** 2)[:, None]
