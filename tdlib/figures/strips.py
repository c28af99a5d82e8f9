"""Motions as rows of small pictures: as cameras of several rates see one, and true frames beside predicted ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from tdlib.figures.save import Drawing
from tdlib.figures.style import NothingToDrawError, new_figure, sort_rates, style
from tdlib.figures.visual_words import IN_TABLES, name_of
from tdlib.figures.words import number_text

SHOWN_FRAMES, SHOWN_MODELS = 5, 6
BRIGHTER = 4  # errors of models that have learned are dim
FRAME_POINTS = 13  # side of a small picture [pt]: at 20 Hz they stand side by side


@dataclass(frozen=True)
class Strip:
    """One motion in pictures.

    Args:
        key: Key columns of the model that predicts it.
        times: (T,) since the start [s].
        truth: (T, C, H, W) in [0, 1].
        predicted: The same shape.
        baselines: What the baselines predict by name, each of that shape.
    """

    key: Mapping[str, Any]
    times: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray
    baselines: Mapping[str, np.ndarray]


def draw_motions(images: Mapping[str, tuple[np.ndarray, np.ndarray]], env: str) -> Drawing:
    """Draw one motion as a camera of each rate sees it.

    Args:
        images: Rate -> times [s] (F,), the start at 0, and frames (F, C, H, W) in [0, 1].
        env: System.
    """
    rates = sort_rates(list(images))
    first, last = min(times[0] for times, _ in images.values()), 0.5
    with style():
        figure, axes = new_figure(len(rates), 1, height=0.6 + 0.36 * len(rates), sharex=True)
        for axis, rate in zip(axes[:, 0], rates, strict=True):
            times, frames = images[rate]
            kept = times <= last + 1e-6
            for time, frame in zip(times[kept], frames[kept], strict=True):
                small = OffsetImage(picture(frame), zoom=FRAME_POINTS / frame.shape[-1])
                axis.add_artist(AnnotationBbox(small, (time, 0.5), frameon=False, pad=0))
            axis.set(xlim=(first - 0.05, last + 0.05), ylim=(0, 1), yticks=[])
            axis.set_ylabel(f"{rate} Hz", rotation=0, ha="right", va="center")
            axis.grid(visible=False)
        axes[-1, 0].set_xlabel("time since the start [s]")
    caption = (
        f"{env}: one motion seen at {len(rates)} rates, n = 1; the first frame of each row is the one before the "
        f"start. An encoder reads the velocity off the first two frames of a row: at {rates[0]} Hz the ball moves "
        f"{number_text(float(rates[-1]) / float(rates[0]))} times as long between them as at {rates[-1]} Hz."
    )
    return Drawing(figure, caption, f"Rows of small pictures of {env}, one row per camera rate, on a common time axis.")


def draw_visual_rollouts(strips: Sequence[Strip]) -> Drawing:
    """Draw one motion: true frames, predicted ones, and their absolute difference.

    Args:
        strips: One per model.

    Raises:
        NothingToDrawError: If there is none.
    """
    if not strips:
        raise NothingToDrawError("none of the models that were chosen reads pictures")
    strips = [strip for strip in strips if strip.truth.shape == strips[0].truth.shape][:SHOWN_MODELS]
    count = min(SHOWN_FRAMES, len(strips[0].times))
    places = np.linspace(0, len(strips[0].times) - 1, count).round().astype(int)
    rows = [("truth", strips[0].truth)]
    rows += [(IN_TABLES[name], frames) for name, frames in strips[0].baselines.items()]
    for strip in strips:
        rows += [
            (name_of(strip.key), strip.predicted),
            (f"|error| × {BRIGHTER}", BRIGHTER * np.abs(strip.predicted - strip.truth)),
        ]
    with style():
        figure, axes = new_figure(len(rows), count, height=0.4 + 0.55 * len(rows))
        for line, (name, frames) in zip(axes, rows, strict=True):
            for axis, place in zip(line, places, strict=True):
                show_picture(axis, frames[place])
            line[0].set_ylabel(name, rotation=0, ha="right", va="center")
        for axis, place in zip(axes[0], places, strict=True):
            axis.set_title(f"{strips[0].times[place]:.2g} s")
    errors = {name_of(strip.key): float(((strip.predicted - strip.truth) ** 2).mean()) for strip in strips}
    best, env = min(errors, key=errors.__getitem__), strips[0].key["env"]
    caption = (
        f"{env}: one motion of the first seed predicted open loop at {strips[0].key['test_frequency']} Hz, n = 1 "
        f"motion: true frames, those of the baselines, predicted ones, and below each its absolute difference, "
        f"{BRIGHTER} times as bright. The squared error of this motion is least for {best}, "
        f"{number_text(errors[best])} per value."
    )
    return Drawing(figure, caption, f"Rows of small pictures of {env}: the truth, and {len(strips)} predictions.")


def show_picture(axis: Axes, frame: np.ndarray) -> None:
    """Fill bare axes with a frame, (C, H, W) in [0, 1]."""
    axis.imshow(picture(frame), vmin=0, vmax=1)
    bare(axis)


def bare(axis: Axes) -> None:
    """Leave of axes what is drawn in them: no ticks, lines or frame."""
    axis.set(xticks=[], yticks=[])
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)


def picture(frame: np.ndarray) -> np.ndarray:
    """(C, H, W) in [0, 1] -> (H, W, 3)."""
    shown = np.broadcast_to(np.moveaxis(frame, 0, -1), (*frame.shape[1:], 3))
    return np.clip(shown, 0.0, 1.0)
