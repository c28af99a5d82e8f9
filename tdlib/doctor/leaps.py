"""Whether a position that was not declared as an angle leaps from one end of a turn to the other."""

import math

import numpy as np

from tdlib.data import TransitionDataset

MAY_TURN = ("rad", "1", "m")  # units of positions that may be angles which nobody declared
FASTEST = 1.2  # [rad]; a usual change above, and a leap is not told from fast motion
EDGE, LEFT = 0.1, 2.0  # [rad]; how far an angle within one turn may lie outside of it, and what a leap may miss of one


def jumps_of(dataset: TransitionDataset) -> dict[str, float]:
    """Share of rows in which a position that is no angle leaps from one end of a turn to the other.

    A wrapped angle stays within one turn, from −π or from 0, and what is left of a leap is a usual motion. Meters are
    looked at too, since an import takes them where nobody named a unit.
    """
    spec, turn = dataset.spec, 2 * math.pi
    found = {}
    for i, (name, unit) in enumerate(zip(spec.state_names, spec.state_units, strict=True)):
        if i in spec.angle_dims or i in spec.velocity_dims or unit not in MAY_TURN or not len(dataset):
            continue
        start, end = dataset.state[:, i], dataset.next_state[:, i]
        lowest, highest = (float(f(np.concatenate([start, end]))) for f in (np.min, np.max))
        within = any(low - EDGE <= lowest and highest <= low + turn + EDGE for low in (-math.pi, 0.0))
        size = np.abs(end - start)
        usual = size[size < turn - LEFT]
        most = float(np.quantile(usual, 0.95)) if len(usual) else math.inf
        if not within or most > FASTEST:
            continue
        leaps = np.abs(size - turn) < min(LEFT, EDGE + 1.5 * most)
        if leaps.any() and leaps.mean() < 0.2:
            found[name] = float(leaps.mean())
    return found
