"""What a camera sees of one motion: stills in the order of reading, and a film that plays when it is asked for."""

import base64
import html
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from torch import Tensor

from tdlib.evaluation.visual.pictures import centroid, ground_of
from tdlib.figures.save import Drawing
from tdlib.figures.strips import bare, picture
from tdlib.figures.style import SMALL, new_figure, style
from tdlib.figures.words import number_text
from tdlib.pixels import RenderOptions, render_states, write_gif
from tdlib.pixels.renderer import LEVELS
from tdlib.systems import SYSTEMS

STATE, PARAMETER = "state ", "parameter "  # begin the columns of what a live figure paints
CHANNELS = {"three channels": True, "one channel": False}  # a choice in words -> `color` of the camera
COLUMNS = 8  # stills beside each other
GAP = 0.08  # between them, in sides of one
ABOVE = 0.34  # room for the time of a still, likewise
SHOWN_SIDE = 160  # least side of a film [pixels]


@dataclass(frozen=True)
class SeenMotion:
    """One motion as frames.

    Args:
        env: System.
        frames: (N, C, H, W) levels 0 .. 255, two at least.
        delta_t: Time between two of them [s].
        origin: Where it comes from, in words that go on after the system's name.
    """

    env: str
    frames: Tensor
    delta_t: float
    origin: str

    @property
    def times(self) -> np.ndarray:
        """Times of the frames since the first, (N,) [s]."""
        return np.arange(len(self.frames)) * self.delta_t

    @property
    def caption(self) -> str:
        """What is shown, and how far it moves."""
        return f"{self.env}: {self.origin}, n = {len(self.frames)} frames of 1 motion. {moved_text(self.frames)}"


@dataclass(frozen=True)
class SavedFilm:
    """A film on disk; notebooks show it folded, so that nothing moves before a reader opens it.

    Args:
        path: The GIF file.
        alt: Text in place of it.
    """

    path: Path
    alt: str

    def _repr_html_(self) -> str:
        data = base64.b64encode(self.path.read_bytes()).decode()
        return (
            f"<details><summary>Film: {html.escape(self.alt)}</summary>"
            f'<img src="data:image/gif;base64,{data}" alt="{html.escape(self.alt)}" '
            'style="image-rendering:pixelated"></details>'
        )


def draw_stills(seen: SeenMotion) -> Drawing:
    """Draw the frames of one motion in the order of reading, each below its time."""
    rows = math.ceil(len(seen.frames) / COLUMNS)
    with style():
        figure, axes = new_figure(height=0.2 + rows * (1 + ABOVE + GAP) * 4.8 / (COLUMNS * (1 + GAP)))
        _tile(axes[0, 0], seen.frames, seen.times, COLUMNS)
    alt = f"{len(seen.frames)} small pictures of {seen.env}, one every {number_text(seen.delta_t)} s."
    return Drawing(figure, seen.caption, alt)


def save_film(seen: SeenMotion, path: str | Path) -> SavedFilm:
    """Write the film of one motion as a GIF that plays at its own speed.

    Raises:
        ValueError: If the path is no GIF.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    written = write_gif(seen.frames, path, seen.delta_t, scale=math.ceil(SHOWN_SIDE / seen.frames.shape[-1]))
    return SavedFilm(written, f"{seen.env}, {seen.origin}, {number_text(seen.times[-1])} s")


def live_stills(axis: Axes, rows: pd.DataFrame, table: pd.DataFrame) -> str:
    """Paint one motion as a camera of some rate and size sees it.

    Args:
        axis: Empty axes.
        rows: time [s], `state <i>`, `parameter <name>`, with env, rate, img_size, color (of `CHANNELS`) and
            render_quality of one camera.
        table: Those of all.
    """
    first = rows.iloc[0]
    spec = SYSTEMS[first["env"]].spec
    states = rows[[f"{STATE}{i}" for i in range(spec.state_dim)]].to_numpy(dtype=float)
    drawn = first[[f"{PARAMETER}{name}" for name in spec.parameter_names]].to_numpy(dtype=float)
    camera = RenderOptions(int(first["img_size"]), CHANNELS[first["color"]], str(first["render_quality"]))
    frames = render_states(first["env"], torch.tensor(states), camera, torch.tensor(drawn) if len(drawn) else None)
    _tile(axis, frames, rows["time"].to_numpy(), COLUMNS)
    return f"{moved_text(frames)[:-1]} ({first['env']}, n = {len(rows)} frames)."


def moved_text(frames: Tensor) -> str:
    """Say how far what is seen moves between two frames: (N, C, H, W) levels."""
    images = frames.double() / LEVELS
    steps = centroid(images, ground_of(images)).diff(dim=0).norm(dim=-1)
    steps = steps[steps.isfinite()]
    if not len(steps):
        return "Nothing stands out from the ground in two frames that follow each other."
    return f"From one frame to the next the middle of what is seen moves by {number_text(steps.max())} pixels at most."


def _tile(axis: Axes, frames: Tensor, times: np.ndarray, columns: int) -> None:
    """Show frames beside and below each other, each with its time above it."""
    rows = math.ceil(len(frames) / columns)
    for k, (frame, time) in enumerate(zip(frames.numpy() / LEVELS, times, strict=True)):
        left, top = (k % columns) * (1 + GAP), -(k // columns) * (1 + ABOVE + GAP)
        extent = (left, left + 1, top - 1, top)
        axis.imshow(picture(frame), extent=extent, vmin=0, vmax=1, interpolation="nearest")
        axis.text(left, top + 0.05, f"{time:.2f} s", fontsize=SMALL, va="bottom")
    axis.set(xlim=(0, columns * (1 + GAP) - GAP), ylim=(-rows * (1 + ABOVE + GAP) + ABOVE + GAP, ABOVE))
    bare(axis)
