"""How a system is painted into pixels: size, colors, smoothness, and the window, with the founding documents' names."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from tdlib.systems import SYSTEMS, System
from tdlib.systems.pictures import Picture

QUALITIES = {"low": 1, "medium": 2, "high": 4}  # samples per pixel in each direction
LEAST_SIZE = 8  # [pixels]
BALL_COLORS = ((173 / 255, 146 / 255, 0.0), (173 / 255, 0.0, 0.0), (0.0, 146 / 255, 0.0))  # of the bodies by turns
BACKGROUND = (81 / 255, 88 / 255, 93 / 255)

Color = tuple[float, float, float]  # red, green, blue in [0, 1]


@dataclass(frozen=True)
class RenderOptions:
    """Settings of a camera; the defaults keep a body in the window and its motion smooth.

    Args:
        img_size: Pixels per side.
        color: Three channels; otherwise one, the largest of the three.
        render_quality: `low`, `medium` or `high`: 1, 2 or 4 samples per pixel in each direction.
        ball_color: Light that every body adds to the background, (3,) in [0, 1]; a color for each if None.
        bg_color: Background, (3,) in [0, 1].
        ball_radius: Radius of every body [m]; the picture's own if None.
        half_width: Half the side of the window [m]; the picture's own if None.
        founded: The founding documents' window and radii, and bodies at whole pixels: then motions of less than a
            pixel cannot be seen, and a ball of 1 kg is half as wide as the picture.

    Raises:
        ValueError: If a setting is out of its range; the message names it.
    """

    img_size: int = 64
    color: bool = True
    render_quality: str = "medium"
    ball_color: Color | None = None
    bg_color: Color = BACKGROUND
    ball_radius: float | None = None
    half_width: float | None = None
    founded: bool = False

    def __post_init__(self):
        size = self.img_size
        if isinstance(size, bool) or not isinstance(size, int) or size < LEAST_SIZE:
            raise ValueError(f"img_size must be a whole number >= {LEAST_SIZE}, got {size!r}")
        if self.render_quality not in QUALITIES:
            raise ValueError(f"render_quality must be one of {list(QUALITIES)}, got {self.render_quality!r}")
        for name in ("color", "founded"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be true or false, got {getattr(self, name)!r}")
        for name in ("ball_color", "bg_color"):
            value = getattr(self, name)
            if value is None and name == "ball_color":
                continue
            if not isinstance(value, Sequence) or len(value) != 3 or not all(0 <= x <= 1 for x in value):
                raise ValueError(f"{name} must be three numbers in [0, 1], got {value!r}")
            object.__setattr__(self, name, tuple(float(x) for x in value))
        for name in ("ball_radius", "half_width"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be positive and finite [m], got {value}")

    @property
    def channels(self) -> int:
        """Channels of a frame."""
        return 3 if self.color else 1

    @property
    def samples(self) -> int:
        """Samples per pixel in each direction."""
        return QUALITIES[self.render_quality]

    def ball_colors(self, count: int) -> list[Color]:
        """Return the light that each of some bodies adds."""
        return [self.ball_color or BALL_COLORS[i % len(BALL_COLORS)] for i in range(count)]

    def window(self, picture: Picture) -> float:
        """Return half the side of the window [m]."""
        founded = picture.founded_half_width if self.founded else None
        return self.half_width or founded or picture.half_width

    def radii(self, picture: Picture, parameters: SimpleNamespace, count: int) -> list[Any]:
        """Return the radius of each of some bodies [m]: a number, or a tensor where a drawn parameter sets it."""
        if self.ball_radius is not None:
            return [self.ball_radius] * count
        found = (picture.founded_radii if self.founded and picture.founded_radii else picture.radii)(parameters)
        return list(found)

    def values(self) -> dict[str, Any]:
        """Return the settings by name, as plain values."""
        return dataclasses.asdict(self)


USUAL = RenderOptions()


def picture_of(system: System) -> Picture:
    """Return what a camera sees of a system.

    Raises:
        ValueError: If it has no picture; the message lists the systems that have one.
    """
    if system.views.picture is None:
        known = sorted(name for name, other in SYSTEMS.items() if other.views.picture is not None)
        raise ValueError(f"system must be one with a picture (`Views.picture`), {known}, got {system.spec.name!r}")
    return system.views.picture
