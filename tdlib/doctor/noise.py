"""How noisy a log is: white noise, from differences that smooth motion hardly has."""

import numpy as np

from tdlib.data import TransitionDataset
from tdlib.data.decimate import states_in_a_row
from tdlib.doctor.rows import episodes_of


def noise_of(dataset: TransitionDataset) -> np.ndarray:
    """Standard deviation of white noise in every dimension, from differences that smooth motion hardly has, (D,).

    The fourth divided difference over the stamps is scaled to the noise's own deviation; that of motion shrinks with
    Δ⁴. The median over rows is taken, so that steps of an input, which show in a few rows, do not count. Motion whose
    period is a few rows counts too, so it is an upper bound.
    """
    found = []
    for own in episodes_of(dataset):
        states = states_in_a_row(dataset, own)
        if len(states) > 4:
            found.append(np.abs(_fourth_differences(states, dataset.delta_t[own])))
    if not found:
        return np.zeros(dataset.spec.state_dim)
    typical = 0.6745  # the median of |z|
    return np.median(np.concatenate(found), axis=0) / typical


def _fourth_differences(states: np.ndarray, delta_t: np.ndarray) -> np.ndarray:
    """Divided differences over five rows whose weights have the norm 1: (T + 1, D), (T,) -> (T − 3, D)."""
    times = np.concatenate([[0.0], np.cumsum(delta_t)])
    count = len(states) - 4
    stamps = np.stack([times[i : i + count] for i in range(5)])  # (5, T - 3)
    apart = stamps[:, None] - stamps[None] + np.eye(5)[..., None]
    relative = apart / np.abs(apart).max(axis=(0, 1))  # only ratios count
    relative[np.arange(5), np.arange(5)] = 1.0
    weights = 1 / relative.prod(axis=1)
    weights /= np.linalg.norm(weights, axis=0)
    return sum(weights[i, :, None] * states[i : i + count] for i in range(5))
