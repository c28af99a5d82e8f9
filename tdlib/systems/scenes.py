"""How a system looks: pictures of one state, for videos. A system without a scene is not filmed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

INK, FAINT = "#202020", "#C8C8C8"
WIDTH = 400  # what lengths below are given in; a canvas may have more pixels


class Canvas(Protocol):
    """What a scene needs of `PIL.ImageDraw.ImageDraw`."""

    def line(self, xy: Sequence, fill: str, width: int) -> None:
        """Draw a line through points."""

    def ellipse(self, xy: Sequence[float], fill: str) -> None:
        """Draw a filled ellipse in a box."""

    def rectangle(self, xy: Sequence[float], fill: str) -> None:
        """Draw a filled box."""


@dataclass(frozen=True)
class Scene:
    """How one system is painted.

    Args:
        names: State dimensions that the picture needs.
        paint: (canvas, its pixels per side, true values, predicted values, color of the prediction as #rrggbb).
    """

    names: tuple[str, ...]
    paint: Callable[[Canvas, int, Sequence[float], Sequence[float], str], None]


def disc(center: tuple[float, float], radius: float) -> list[float]:
    """Box of a disc around a point."""
    return [center[0] - radius, center[1] - radius, center[0] + radius, center[1] + radius]
