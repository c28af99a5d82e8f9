"""Time in seconds, and the one place where seconds become step counts."""

import math

import numpy as np

from tdlib.core.facts import NOMINAL_DELTA_T

TOLERANCE = 1e-6  # relative; separates rounding of decimal intervals from intervals that do not fit


def delta_t_of(control_frequency: float) -> float:
    """Return the control interval [s] of a rate [Hz]; 33.3 Hz means exactly 0.03 s.

    Raises:
        ValueError: If the rate is not a positive finite number.
    """
    if isinstance(control_frequency, bool) or not isinstance(control_frequency, (int, float, np.number)):
        raise ValueError(f"control_frequency must be a number in Hz, got {control_frequency!r}")
    if not math.isfinite(control_frequency) or control_frequency <= 0:
        raise ValueError(f"control_frequency must be positive and finite [Hz], got {control_frequency}")
    return NOMINAL_DELTA_T.get(float(control_frequency), 1.0 / float(control_frequency))


def rate_label(control_frequency: float) -> str:
    """Return the folder and file label of a rate: 10 -> `10hz`, 33.3 -> `33.3hz`."""
    return f"{control_frequency:g}hz"


def num_steps(duration: float, step: float) -> int:
    """Return how many steps make up a duration exactly, both in seconds.

    Raises:
        ValueError: If the duration is not a whole number of steps.
    """
    count = round(duration / step)
    if count < 1 or abs(count * step - duration) > TOLERANCE * duration:
        raise ValueError(f"duration must be a whole number of steps: {duration} s / {step} s = {duration / step:.6g}")
    return count


def steps_within(duration: float, step: float) -> int:
    """Return how many whole steps fit into a duration, both in seconds."""
    return math.floor(duration / step * (1 + TOLERANCE))


def time_grid(horizon: float, delta_t: float) -> np.ndarray:
    """Return times 0, delta_t, ... [s] up to the last that fits into the horizon, shape (T+1,)."""
    return np.arange(steps_within(horizon, delta_t) + 1) * delta_t
