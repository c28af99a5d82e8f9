"""The dark form of a figure: the palette of its PNG exchanged, nothing drawn again.

Figures are drawn on white and stored with a palette (`tdlib.figures.save`), so 256 colors are all there is to change.
A mixture of white and a color of the theme (lines, their soft edges, shaded bands) becomes the same mixture of their
dark forms; any other color keeps its hue and has its lightness turned over in OKLab.

Source:
    B. Ottosson (2020), A perceptual color space for image processing: the matrices of OKLab.
"""

import struct
import zlib

import numpy as np

from tdlib.figures.theme import SCHEMES, THEME, colors

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MIXTURE_TOLERANCE = 6 / 255  # distance in sRGB below which a color counts as a mixture, in part
CURVE = 2.2  # above 1: middle tones become lighter than their mirror image, which would be dim on a dark page
TO_LMS = np.array([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
                   [0.0883024619, 0.2817188376, 0.6299787005]])  # fmt: skip
TO_LAB = np.array([[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
                   [0.0259040371, 0.7827717662, -0.8086757660]])  # fmt: skip


def dark_png(png: bytes) -> bytes:
    """Return a PNG with a palette in the colors of the dark theme.

    Raises:
        ValueError: If the data are no PNG with a palette.
    """
    if not png.startswith(SIGNATURE):
        raise ValueError(f"png must begin with the PNG signature, got {png[:8]!r}")
    start = len(SIGNATURE)
    while start < len(png):
        (length,) = struct.unpack(">I", png[start : start + 4])
        kind, end = png[start + 4 : start + 8], start + 12 + length
        if kind == b"PLTE":
            palette = np.frombuffer(png, np.uint8, length, start + 8).reshape(-1, 3)
            body = kind + np.rint(255 * dark_colors(palette / 255)).astype(np.uint8).tobytes()
            chunk = struct.pack(">I", length) + body + struct.pack(">I", zlib.crc32(body))
            return png[:start] + chunk + png[end:]
        start = end
    raise ValueError("png must have a palette; figures are saved with one by tdlib.figures.save")


def dark_colors(light: np.ndarray) -> np.ndarray:
    """Dark forms of light colors, (N, 3) -> (N, 3), sRGB in 0 to 1."""
    names = [name for name in colors("light") if name not in THEME["light"]["signal"]]  # figures have no controls
    pairs = np.array([[_channels(colors(scheme)[name]) for name in names] for scheme in SCHEMES])  # (2, M, 3)
    white, night = (_channels(THEME[scheme]["neutral"]["background"]) for scheme in SCHEMES)
    kept = np.abs(pairs[0] - white).sum(axis=-1) > 0.3  # surface and grid are too close to white to name a direction
    pairs = pairs[:, kept]
    direction = pairs[0] - white  # (M, 3)
    share = ((light[:, None] - white) * direction).sum(-1) / (direction**2).sum(-1)  # (N, M)
    share = np.clip(share, 0, 1)
    distance = np.linalg.norm(light[:, None] - (white + share[..., None] * direction), axis=-1)
    nearest = distance.argmin(axis=1)
    rows = np.arange(len(light))
    mixture = night + share[rows, nearest, None] * (pairs[1][nearest] - night)
    weight = np.clip(1 - distance[rows, nearest] / MIXTURE_TOLERANCE, 0, 1)[:, None]
    return weight * mixture + (1 - weight) * _turned(light, night)


def _turned(light: np.ndarray, night: np.ndarray) -> np.ndarray:
    """Turn lightness over so that white becomes `night` and black the lightest ink; hue stays."""
    lab = _to_oklab(light)
    floor = _to_oklab(night[None])[0, 0]
    ceiling = _to_oklab(_channels(THEME["dark"]["method"]["oracle"])[None])[0, 0]
    lab[:, 0] = ceiling - (ceiling - floor) * np.clip(lab[:, 0], 0, 1) ** CURVE
    for _ in range(12):  # colors outside of sRGB lose chroma until they are inside
        outside = np.any(np.abs(_linear(lab) - 0.5) > 0.5001, axis=1)
        lab[outside, 1:] *= 0.9
    return _encoded(np.clip(_linear(lab), 0, 1))


def _to_oklab(rgb: np.ndarray) -> np.ndarray:
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ TO_LMS.T) @ TO_LAB.T


def _linear(lab: np.ndarray) -> np.ndarray:
    return (lab @ np.linalg.inv(TO_LAB).T) ** 3 @ np.linalg.inv(TO_LMS).T


def _encoded(linear: np.ndarray) -> np.ndarray:
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055)


def _channels(color: str) -> np.ndarray:
    return np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
