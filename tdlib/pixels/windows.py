"""Windows of frames: K for an encoder and T steps of a rollout, painted from stored states when they are asked for.

    frames x_0 … x_{K−1+T},   actions a_0 … a_{K−2+T},   a_i is held from x_i to x_{i+1}

What an encoder sees are x_0 … x_{K−1}; its state belongs to x_{K−1}, so that a rollout uses a_{K−1} … a_{K−2+T} and is
compared with x_{K−1} … x_{K−1+T}. Windows are runs of whole intervals: none crosses an episode, a pause or an interval
that was cut short.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from tdlib.data.schema import DatasetError, TransitionDataset
from tdlib.data.storage import load_dataset
from tdlib.pixels.frames import frame_source
from tdlib.pixels.options import USUAL, RenderOptions
from tdlib.pixels.order import turns

CACHE_BYTES = 2**30


@dataclass(frozen=True)
class PixelBatch:
    """B windows; every field has the batch in front.

    Args:
        frames: (B, K + T, C, H, W) levels 0 .. 255.
        states: (B, K + T, D) true states of the frames; angles run on from the first frame's.
        actions: (B, K + T − 1, A) held from each frame to the next.
        delta_t: (B, K + T − 1) [s].
        encoder_frames: K.
    """

    frames: Tensor
    states: Tensor
    actions: Tensor
    delta_t: Tensor
    encoder_frames: int

    @property
    def context(self) -> Tensor:
        """Frames of the encoder, oldest first, behind each other in channels: (B, K C, H, W)."""
        return self.frames[:, : self.encoder_frames].flatten(1, 2)

    @property
    def targets(self) -> Tensor:
        """Frames of a rollout, that of the encoder's state first: (B, T + 1, C, H, W)."""
        return self.frames[:, self.encoder_frames - 1 :]

    @property
    def target_states(self) -> Tensor:
        """True states of these, (B, T + 1, D)."""
        return self.states[:, self.encoder_frames - 1 :]

    @property
    def rollout_actions(self) -> Tensor:
        """Actions of the rollout, (B, T, A)."""
        return self.actions[:, self.encoder_frames - 1 :]

    @property
    def rollout_delta_t(self) -> Tensor:
        """Intervals of the rollout, (B, T) [s]."""
        return self.delta_t[:, self.encoder_frames - 1 :]


class PixelWindows(Dataset):
    """All windows of a set; item i is a dict of the i-th, `batch` gives many at once.

    | key | shape | what it is |
    |---|---|---|
    | `frames` | (K + T, C, H, W) | levels 0 .. 255 |
    | `states` | (K + T, D) | true states of the frames |
    | `actions` | (K + T − 1, A) | held from each frame to the next; an index where actions are a table |
    | `delta_t` | (K + T − 1,) | intervals [s] |

    Args:
        dataset: Set of kind "episodes".
        encoder_frames: K.
        num_steps: T, steps of the rollout.
        options: Size, colors, quality, window.
        noise: Standard deviation of errors added to states before they are painted, one number or (D,), in the units
            of the state; the states that are returned have none.
        seed: Seed of these errors.
        stride: Frames between the starts of windows.
        recorded: Whether to take the set's own column `frames`, (N, H, W, C) levels, instead of painting states; if
            left out, where it has one. The last interval of an episode then has no frame at its end.
        cache_bytes: Frames are kept once painted if all of them need no more memory than this.
        name: What errors call the set.
        dtype: Precision of states and intervals.

    Raises:
        DatasetError: If the set has no window, no frames, or a frame of another kind; the message names it.
        ValueError: If a number is out of its range, or the system has no picture.
    """

    def __init__(
        self,
        dataset: TransitionDataset,
        *,
        encoder_frames: int = 2,
        num_steps: int = 16,
        options: RenderOptions = USUAL,
        noise: float | Sequence[float] = 0.0,
        seed: int = 0,
        stride: int = 1,
        recorded: bool | None = None,
        cache_bytes: int = CACHE_BYTES,
        name: str = "dataset",
        dtype: torch.dtype = torch.float32,
    ):
        for key, value in (("encoder_frames", encoder_frames), ("num_steps", num_steps), ("stride", stride)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{key} must be a whole number >= 1, got {value!r}")
        if dataset.kind != "episodes":
            raise DatasetError(f"{name}: must be of kind 'episodes' to have windows, got {dataset.kind!r}")
        self.dataset, self.dtype, self.encoder_frames, self.num_steps = dataset, dtype, encoder_frames, num_steps
        self._order, self._source = frame_source(
            dataset, options, noise=noise, seed=seed, recorded=recorded, cache_bytes=cache_bytes, name=name
        )
        size = encoder_frames + num_steps
        if self._order.longest < size:
            raise DatasetError(
                f"{name}: episodes must have {size} frames in a row (encoder_frames {encoder_frames} + num_steps "
                f"{num_steps}), the longest has {self._order.longest}"
            )
        self._starts = self._order.window_starts(size, stride)
        self._states, self._turns = self._order.states(dataset.state, dataset.next_state), turns(dataset)

    @classmethod
    def from_file(cls, path: str | Path, **options: Any) -> "PixelWindows":
        """Read a stored set; options as the class has them.

        Raises:
            DatasetError: If the file is no set, was changed, or has no window.
        """
        return cls(load_dataset(path), name=str(path), **options)

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of a frame."""
        return self._source.shape

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index must be in 0 .. {len(self) - 1}, got {index}")
        found = self.batch([index])
        return {key: getattr(found, key)[0] for key in ("frames", "states", "actions", "delta_t")}

    def batch(self, indices: Sequence[int] | Tensor) -> PixelBatch:
        """Return some windows at once: (B,) numbers of windows."""
        starts = self._starts[np.asarray(indices, dtype=np.int64)]
        places = starts[:, None] + np.arange(self.encoder_frames + self.num_steps)  # (B, K + T)
        rows, angles = self._order.rows[places], list(self.dataset.spec.angle_dims)
        states = self._states[places]
        states[..., angles] += 2 * np.pi * (self._turns[rows] - self._turns[rows[:, :1]])
        return PixelBatch(
            self._source.frames(places),
            torch.from_numpy(states).to(self.dtype),
            torch.from_numpy(self.dataset.action[rows[:, :-1]]).to(self.dtype),
            torch.from_numpy(self.dataset.delta_t[rows[:, :-1]]).to(self.dtype),
            self.encoder_frames,
        )
