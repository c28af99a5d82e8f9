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


def draw_rail(canvas: Canvas, size: int, unit: float, ground: float, limit: float) -> None:
    """Draw the rail of a cart across the picture, with a mark at either limit.

    Args:
        canvas: What is drawn on.
        size: Its pixels per side.
        unit: Pixels per meter.
        ground: Height of the rail [pixels from the top].
        limit: Distance of the marks from the middle [m].
    """
    factor = size // WIDTH
    canvas.line([(0, ground), (size, ground)], fill=FAINT, width=2 * factor)
    for side in (-limit, limit):
        x = size / 2 + side * unit
        canvas.line([(x, ground - 8 * factor), (x, ground + 8 * factor)], fill=FAINT, width=2 * factor)
