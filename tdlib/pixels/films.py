"""Frames as files: a film that moves (GIF) and a grid of stills (PNG)."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from tdlib.core.files import atomic_path
from tdlib.data.schema import DatasetError, TransitionDataset
from tdlib.data.sources.sequences import collect_sequences
from tdlib.pixels.frames import FRAMES
from tdlib.pixels.options import USUAL, RenderOptions, picture_of
from tdlib.pixels.renderer import LEVELS
from tdlib.pixels.windows import PixelWindows
from tdlib.systems import System, get_system

GAP = 2  # pixels between the stills of a grid
TICK = 10  # [ms]: what durations in a GIF are counted in
SHORTEST = 2 * TICK  # shorter ones are slowed down by viewers


def system_frames(
    system: System | str,
    num_frames: int,
    options: RenderOptions = USUAL,
    *,
    delta_t: float | None = None,
    seed: int = 0,
    noise: float = 0.0,
) -> tuple[Tensor, float]:
    """Follow a system from a drawn start under random actions: -> frames (N, C, H, W) levels, their interval [s].

    Raises:
        ValueError: If the system is unknown or has no picture, or there are fewer than two frames.
    """
    _require_frames(num_frames)
    system = get_system(system) if isinstance(system, str) else system
    picture_of(system)
    dataset = collect_sequences(system, 1, num_frames - 1, seed, delta_t)
    return set_frames(dataset, 0, num_frames, options, noise=noise, seed=seed)


def set_frames(
    dataset: TransitionDataset,
    episode: int,
    num_frames: int,
    options: RenderOptions = USUAL,
    *,
    noise: float = 0.0,
    seed: int = 0,
    name: str = "dataset",
) -> tuple[Tensor, float]:
    """Return the first frames of one episode of a set, recorded ones where it holds them, and their interval [s].

    Raises:
        DatasetError: If there is no such episode, or it is shorter than two frames.
        ValueError: If the system has no picture, or there are fewer than two frames.
    """
    _require_frames(num_frames)
    if not 0 <= episode < dataset.num_episodes:
        raise DatasetError(f"{name}: episode must be in 0 .. {dataset.num_episodes - 1}, got {episode}")
    chosen, recorded = dataset.select_episodes([episode]), FRAMES in dataset.extras
    if recorded:
        size, channels = chosen.extras[FRAMES].shape[-2:]
        options = replace(options, img_size=int(size), color=channels == 3)
    count = min(num_frames, len(chosen) + (0 if recorded else 1))
    windows = PixelWindows(
        chosen, encoder_frames=1, num_steps=max(1, count - 1), options=options, noise=noise, seed=seed,
        recorded=recorded, name=name,
    )  # fmt: skip
    return windows.batch([0]).frames[0], float(chosen.delta_t[0])


def write_gif(frames: Tensor, path: str | Path, delta_t: float, *, scale: int = 1) -> Path:
    """Write a film that repeats: (N, C, H, W) levels, the time between two frames [s].

    Durations in a GIF are whole hundredths of a second, two at least: shorter intervals are played more slowly.
    """
    path = _named(path, ".gif")
    pictures = [Image.fromarray(each) for each in _pixels(frames, scale)]
    duration = max(SHORTEST, TICK * round(1000 * delta_t / TICK))
    with atomic_path(path) as temporary:
        pictures[0].save(temporary, save_all=True, append_images=pictures[1:], duration=duration, loop=0)
    return path


def write_grid(frames: Tensor, path: str | Path, *, columns: int | None = None, scale: int = 1) -> Path:
    """Write all frames beside and below each other, in the order of reading: (N, C, H, W) levels."""
    path = _named(path, ".png")
    columns = min(len(frames), columns or math.ceil(math.sqrt(2 * len(frames))))
    rows = math.ceil(len(frames) / columns)
    pictures = torch.from_numpy(_pixels(frames, scale)).permute(0, 3, 1, 2)
    pictures = functional.pad(pictures, (0, GAP, 0, GAP), value=LEVELS)
    missing = pictures.new_full((rows * columns - len(frames), *pictures.shape[1:]), LEVELS)
    tiles = torch.cat([pictures, missing]).unflatten(0, (rows, columns))  # (rows, columns, 3, H, W)
    whole = tiles.permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)[:-GAP, :-GAP]
    with atomic_path(path) as temporary:
        Image.fromarray(whole.contiguous().numpy()).save(temporary)
    return path


def _pixels(frames: Tensor, scale: int) -> np.ndarray:
    """Levels as a picture has them, each pixel so many times as large: (N, C, H, W) -> (N, scale H, scale W, 3)."""
    if scale < 1:
        raise ValueError(f"scale must be a whole number >= 1, got {scale}")
    large = frames.repeat_interleave(scale, dim=-2).repeat_interleave(scale, dim=-1)
    return large.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).contiguous().numpy()


def _named(path: str | Path, ending: str) -> Path:
    path = Path(path)
    if path.suffix != ending:
        raise ValueError(f"path must end in {ending}, got {path.name!r}")
    return path


def _require_frames(num_frames: int) -> None:
    if num_frames < 2:
        raise ValueError(f"num_frames must be at least 2, got {num_frames}")
