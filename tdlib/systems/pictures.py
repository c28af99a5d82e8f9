"""What a camera sees of a system: glowing discs where its bodies are, in an upright square window around the origin."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from tdlib.core.namespace import Namespace

Radii = Callable[[SimpleNamespace], Sequence[Any]]  # parameters by name -> radius of every body [m]


@dataclass(frozen=True)
class Picture:
    """Where the bodies of a system are, and how large; colors, pixels and blur are the renderer's (`tdlib.pixels`).

    Args:
        places: (x, p, m) -> horizontal and upward coordinate of every body in turn [m].
        radii: Parameters by name -> radius of every body [m].
        half_width: Half the side of the window [m].
        founded_radii: Radii of the founding document, where they are others.
        founded_half_width: Its half width [m], where it is another.

    Raises:
        ValueError: If a half width is not positive and finite.
    """

    places: Callable[[Sequence[Any], SimpleNamespace, Namespace], Sequence[Any]]
    radii: Radii
    half_width: float
    founded_radii: Radii | None = None
    founded_half_width: float | None = None

    def __post_init__(self):
        for name in ("half_width", "founded_half_width"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be positive and finite [m], got {value}")
