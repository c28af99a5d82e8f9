"""How a system looks: pictures of one state, for videos. A system without a scene is not filmed."""

import math
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


def _paint_pendulum(canvas: Canvas, size: int, truth: Sequence[float], ghost: Sequence[float], color: str) -> None:
    factor = size // WIDTH
    center, length = (size / 2, size * 0.52), size * 0.33
    radius = 5 * factor
    canvas.line([center, (center[0], center[1] - length)], fill=FAINT, width=factor)  # upright, θ = 0
    for (theta,), fill, width in ((truth, INK, 9), (ghost, color + "B0", 9)):
        tip = (center[0] - length * math.sin(theta), center[1] - length * math.cos(theta))
        canvas.line([center, tip], fill=fill, width=width * factor)
        canvas.ellipse(_disc(tip, 2.2 * radius), fill=fill)
    canvas.ellipse(_disc(center, radius), fill=INK)


def _paint_cartpole(canvas: Canvas, size: int, truth: Sequence[float], ghost: Sequence[float], color: str) -> None:
    factor = size // WIDTH
    unit, ground = size / 7.0, size * 0.66  # 7 m across
    canvas.line([(0, ground), (size, ground)], fill=FAINT, width=2 * factor)
    for limit in (-2.4, 2.4):
        x = size / 2 + limit * unit
        canvas.line([(x, ground - 8 * factor), (x, ground + 8 * factor)], fill=FAINT, width=2 * factor)
    for (x, theta), cart, pole in ((truth, INK, INK), (ghost, color + "78", color + "B0")):
        left = size / 2 + x * unit
        width, height, length = 30 * factor, 18 * factor, 130 * factor
        canvas.rectangle([left - width, ground - height, left + width, ground], fill=cart)
        hinge = (left, ground - height)
        tip = (left + length * math.sin(theta), hinge[1] - length * math.cos(theta))
        canvas.line([hinge, tip], fill=pole, width=7 * factor)


def _disc(center: tuple[float, float], radius: float) -> list[float]:
    return [center[0] - radius, center[1] - radius, center[0] + radius, center[1] + radius]


PENDULUM_SCENE = Scene(("theta",), _paint_pendulum)
CARTPOLE_SCENE = Scene(("x", "theta"), _paint_cartpole)
