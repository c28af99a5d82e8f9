"""A renderer as one writes it first: one frame after the other, all samples of the picture, sums over a blur's taps."""

import numpy as np

MARGIN = 2  # pixels around the frame from which light is blurred into it


def looped_frame(places: np.ndarray, radii, colors, background, size: int, samples: int) -> np.ndarray:
    """Paint one frame: (bodies, 2) pixels, their radii in pixels and colors in [0, 1] -> (3, size, size) in [0, 1]."""
    steps = (np.arange((size + 2 * MARGIN) * samples) + 0.5) / samples - MARGIN
    weights = np.exp(-(np.arange(-MARGIN, MARGIN + 1) ** 2) / 2)
    weights = np.outer(weights, weights) / weights.sum() ** 2
    frame = np.zeros((3, size, size)) + np.asarray(background)[:, None, None]
    for (x, y), radius, color in zip(places, radii, colors, strict=True):
        distance = np.hypot(steps[None, :] - x, steps[:, None] - y) * samples
        mask = np.clip(1 - np.clip(distance - radius * samples, 0, 1), 0, 1)
        pixels = mask.reshape(size + 2 * MARGIN, samples, size + 2 * MARGIN, samples).mean(axis=(1, 3))
        light = np.zeros((size, size))
        for i in range(2 * MARGIN + 1):
            for j in range(2 * MARGIN + 1):
                light += weights[i, j] * pixels[i : i + size, j : j + size]
        frame += np.asarray(color)[:, None, None] * light
    return np.clip(frame, 0, 1)
