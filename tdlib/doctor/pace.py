"""Whether a log's clock agrees with its motion: how far positions go over what velocities make of the intervals."""

import math

import numpy as np

from tdlib.data import TransitionDataset
from tdlib.data.decimate import states_in_a_row
from tdlib.doctor.rows import episodes_of

WINDOW = 10  # rows over which positions are compared with their velocities


def pace_of(dataset: TransitionDataset) -> tuple[float, float]:
    """Bounds of how far positions go over how far velocities say they go, pooled over pairs.

    Regressed both ways, since noise pulls either slope to zero: the truth lies between. Angles may turn. Sums over rows
    and over every second row tell what curvature takes off them (Richardson); half of that stays as a doubt.
    """
    spec = dataset.spec
    if not spec.position_dims:
        return math.nan, math.nan
    products, bent = np.zeros(3), np.zeros(2)
    for own in episodes_of(dataset):
        states = states_in_a_row(dataset, own)
        if len(states) <= WINDOW:
            continue
        for position, velocity in zip(spec.position_dims, spec.velocity_dims, strict=True):
            plain, told = _travels(states[:, velocity], dataset.delta_t[own])
            gone = states[WINDOW:, position] - states[:-WINDOW, position]
            unit = max(float(np.mean(gone**2)), 1e-300)
            products += np.array([gone @ gone, gone @ told, told @ told]) / unit / len(gone)
            bent += np.array([(told - plain) @ told, told @ told]) / unit / len(gone)
    if not products.all() or products[1] <= 0:
        return math.nan, math.nan
    slopes = sorted((products[1] / products[2], products[0] / products[1]))
    doubt = min(abs(bent[0] / bent[1]) / 2, 1.0)
    return float(slopes[0]) * (1 - doubt), float(slopes[1]) * (1 + doubt)


def _travels(velocity: np.ndarray, delta_t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What velocities (T + 1,) make of each `WINDOW` intervals: by trapezoids, and freed from their curvature."""
    every = np.convolve(delta_t * (velocity[1:] + velocity[:-1]) / 2, np.ones(WINDOW), mode="valid")
    pairs = (delta_t[1:] + delta_t[:-1]) * (velocity[2:] + velocity[:-2]) / 2  # from row k to k + 2
    alternate = np.zeros(WINDOW - 1)
    alternate[::2] = 1.0
    second = np.convolve(pairs, alternate, mode="valid")
    return every, every + (every - second) / 3
