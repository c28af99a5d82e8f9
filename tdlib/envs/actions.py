"""What an action must be before it is held: finite, and of the one who holds it, since a step may write into it."""

import copy

import numpy as np


def held_copy(action: object) -> object:
    """Return an action that an inner step may change without changing the next one's."""
    return action.copy() if isinstance(action, np.ndarray) else copy.deepcopy(action)


def require_finite(action: object) -> None:
    """Refuse an action with NaN or infinite numbers, which no limit would ever notice.

    Args:
        action: A number, an array, or a nesting of them in tuples, lists and dicts.

    Raises:
        ValueError: If a number is not finite.
    """
    if isinstance(action, dict):
        action = tuple(action.values())
    if isinstance(action, tuple | list):
        for part in action:
            require_finite(part)
    elif isinstance(action, float | np.ndarray | np.floating):
        values = np.asarray(action)
        if values.dtype.kind in "fc" and not np.isfinite(values).all():
            raise ValueError(f"action must be finite numbers, got {values.tolist()}")
