"""Between knots: held, straight, or a cubic through them. Every input is a weighted sum of the knots around its time.

    zero      u = p_0
    linear    u = (1 − s) p_0 + s p_1
    cubic     u = p_0 + s/2 (p_1 − p_−1) + s²/2 (2 p_−1 − 5 p_0 + 4 p_1 − p_2) + s³/2 (3 p_0 − p_−1 − 3 p_1 + p_2)

with the knot p_0 at or before the time, s the share of the knot interval that has passed since, and p_1 the next knot.
The cubic passes through its knots with the slope (p_1 − p_−1)/2 of their neighbors (Catmull and Rom 1974). It is
local: a knot that has passed for good takes nothing of the later signal with it, which that of a global spline would.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Interpolation:
    """One way to go from knot to knot.

    Args:
        weights: Share s of the interval, (T,) -> (T, K) weights of K knots in a row.
        before: Which of the K is p_0: how many knots before it are needed.
        further: Knots of a plan beyond one per knot interval.
        overshoots: Whether inputs may lie outside the range of the knots.
    """

    weights: Callable[[Tensor], Tensor]
    before: int = 0
    further: int = 0
    overshoots: bool = False


def _cubic(s: Tensor) -> Tensor:
    square, cube = s**2, s**3
    weights = (2 * square - s - cube, 2 - 5 * square + 3 * cube, s + 4 * square - 3 * cube, cube - square)
    return 0.5 * torch.stack(weights, dim=-1)


INTERPOLATIONS: dict[str, Interpolation] = {
    "zero": Interpolation(lambda s: torch.ones_like(s).unsqueeze(-1)),
    "linear": Interpolation(lambda s: torch.stack([1 - s, s], dim=-1), further=1),
    "cubic": Interpolation(_cubic, before=1, further=2, overshoots=True),
}


def find_interpolation(name: str) -> Interpolation:
    """Look an interpolation up by name.

    Raises:
        ValueError: If there is none of that name.
    """
    if name not in INTERPOLATIONS:
        raise ValueError(f"interpolation must be one of {list(INTERPOLATIONS)}, got {name!r}")
    return INTERPOLATIONS[name]


def knot_weights(name: str, position: Tensor, num_knots: int) -> Tensor:
    """Return what every knot of a plan adds to the inputs at some times: (T,) -> (T, N).

    Args:
        name: One of `INTERPOLATIONS`.
        position: Times in knot intervals, 0 at the first knot of the plan. Beyond its last knot that one is held on.
        num_knots: N.
    """
    found = find_interpolation(name)
    passed = position.floor()
    weights = found.weights(position - passed).to(position)  # (T, K)
    index = passed.long().unsqueeze(-1) + torch.arange(weights.shape[-1]) - found.before
    return position.new_zeros(len(position), num_knots).scatter_add(-1, index.clamp(0, num_knots - 1), weights)
