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

from tdlib.core.time_grid import TOLERANCE
from tdlib.data.noise import with_noise
from tdlib.data.schema import DatasetError, TransitionDataset
from tdlib.data.storage import load_dataset
from tdlib.pixels.options import USUAL, RenderOptions, picture_of
from tdlib.pixels.renderer import render_states
from tdlib.systems import SYSTEMS

FRAMES = "frames"  # column of recorded frames, (N, H, W, C) levels at the start of every row
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
        recorded: Take the set's own column `frames`, (N, H, W, C) levels, instead of painting states. The last
            interval of an episode then has no frame at its end.
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
        recorded: bool = False,
        cache_bytes: int = CACHE_BYTES,
        name: str = "dataset",
        dtype: torch.dtype = torch.float32,
    ):
        for key, value in (("encoder_frames", encoder_frames), ("num_steps", num_steps), ("stride", stride)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{key} must be a whole number >= 1, got {value!r}")
        if dataset.kind != "episodes":
            raise DatasetError(f"{name}: must be of kind 'episodes' to have windows, got {dataset.kind!r}")
        self.dataset, self.options, self.name, self.dtype = dataset, options, name, dtype
        self.encoder_frames, self.num_steps = encoder_frames, num_steps
        first, last = _runs(dataset)
        self._recorded = self._checked_frames() if recorded else None
        self._states = np.concatenate([dataset.state, dataset.next_state[np.maximum(last, 0)]])
        self._painted_from = self._states if recorded else self._seen(noise, seed, last)
        lengths = last - first + (1 if recorded else 2)  # frames of every run
        size = encoder_frames + num_steps
        if lengths.max() < size:
            raise DatasetError(
                f"{name}: episodes must have {size} frames in a row (encoder_frames {encoder_frames} + num_steps "
                f"{num_steps}), the longest has {max(0, lengths.max())}"
            )
        # frame k of run r is that at the start of row first[r] + k; the one after the last row is kept behind all rows
        self._starts = np.concatenate(
            [np.arange(a, a + n - size + 1, stride) for a, n in zip(first, lengths, strict=True)]
        )
        self._last_frame = np.zeros(len(dataset), dtype=np.int64)  # of a run's last row: the frame at its end
        self._last_frame[last] = len(dataset) + np.arange(len(last))
        self._turns = _turns(dataset)
        self._parameters = None if recorded else self._frame_parameters(last)
        self._keeps = not recorded and self._frame_bytes * len(self._states) <= cache_bytes
        self._store = torch.empty((len(self._states), *self.frame_shape) if self._keeps else (0,), dtype=torch.uint8)
        self._kept = torch.zeros(len(self._states), dtype=torch.bool)

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
        if self._recorded is not None:
            height, width, channels = self._recorded.shape[1:]
            return channels, height, width
        return self.options.channels, self.options.img_size, self.options.img_size

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
        rows = starts[:, None] + np.arange(self.encoder_frames + self.num_steps - 1)  # (B, K + T − 1)
        ends = self._last_frame[rows[:, -1]]
        places = np.concatenate([rows, np.where(ends > 0, ends, rows[:, -1] + 1)[:, None]], axis=1)
        states, angles = self._states[places], list(self.dataset.spec.angle_dims)
        turns = np.concatenate([self._turns[rows], self._turns_at_end(rows[:, -1], ends)[:, None]], axis=1)
        states[..., angles] += 2 * np.pi * (turns - turns[:, :1])
        return PixelBatch(
            self.frames(places),
            torch.from_numpy(states).to(self.dtype),
            torch.from_numpy(self.dataset.action[rows]).to(self.dtype),
            torch.from_numpy(self.dataset.delta_t[rows]).to(self.dtype),
            self.encoder_frames,
        )

    def frames(self, places: np.ndarray) -> Tensor:
        """Return frames by number, painting those that are not kept yet: (...) -> (..., C, H, W) levels.

        Frames 0 .. N − 1 are those at the starts of rows; behind them follow those at the ends of runs.
        """
        if self._recorded is not None:
            return torch.from_numpy(np.moveaxis(self._recorded[places], -1, -3).copy())
        if not self._keeps:
            return self._paint(places)
        missing = torch.from_numpy(np.unique(places))
        missing = missing[~self._kept[missing]]
        if len(missing):
            self._store[missing] = self._paint(missing.numpy())
            self._kept[missing] = True
        return self._store[torch.from_numpy(places)]

    def _paint(self, places: np.ndarray) -> Tensor:
        drawn = None if self._parameters is None else torch.from_numpy(self._parameters[places])
        states = torch.from_numpy(self._painted_from[places])
        return render_states(SYSTEMS[self.dataset.spec.name], states, self.options, drawn)

    def _turns_at_end(self, rows: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Whole turns of the last frame's angles: those of its own row, or of the run's last row, which goes on."""
        return self._turns[np.where(ends > 0, rows, np.minimum(rows + 1, len(self._turns) - 1))]

    def _seen(self, noise: float | Sequence[float], seed: int, last: np.ndarray) -> np.ndarray:
        """States as a sensor with errors sees them, (frames, D)."""
        spec = self.dataset.spec
        if spec.name not in SYSTEMS:
            rule = "must have recorded frames or be of a known system to be seen"
            raise DatasetError(f"{self.name}: {rule}, got {spec.name!r}")
        picture_of(SYSTEMS[spec.name])
        scale = np.broadcast_to(np.asarray(noise, dtype=np.float64), (spec.state_dim,))
        if not (np.isfinite(scale) & (scale >= 0)).all():
            raise ValueError(f"noise must be finite and >= 0, got {noise}")
        if not scale.any():
            return self._states
        noisy = with_noise(self.dataset, 1.0, scale, seed=seed)
        return np.concatenate([noisy.state, noisy.next_state[last]])

    def _frame_parameters(self, last: np.ndarray) -> np.ndarray | None:
        drawn = self.dataset.row_parameters
        return None if drawn is None else np.concatenate([drawn, drawn[last]])

    def _checked_frames(self) -> np.ndarray:
        """Recorded frames, if there are any of the wanted size.

        Raises:
            DatasetError: If not.
        """
        if FRAMES not in self.dataset.extras:
            columns = list(self.dataset.extras)
            raise DatasetError(f"{self.name}: must hold recorded frames in a column {FRAMES!r}, got columns {columns}")
        found = self.dataset.extras[FRAMES]
        size = self.options.img_size
        wanted = (len(self.dataset), size, size, self.options.channels)
        if found.shape != wanted or found.dtype != np.uint8:
            rule = f"{FRAMES} must be levels (uint8) of shape {wanted}"
            raise DatasetError(f"{self.name}: {rule}, got {found.dtype} of shape {found.shape}")
        return found

    @property
    def _frame_bytes(self) -> int:
        return int(np.prod(self.frame_shape))


def _runs(dataset: TransitionDataset) -> tuple[np.ndarray, np.ndarray]:
    """First and last row of every run of whole intervals that follow each other within an episode, (R,) each."""
    whole, ends = dataset.full_length, dataset.t + dataset.delta_t
    begins = np.zeros(len(dataset) + 1, dtype=bool)
    begins[dataset.episode_offsets] = True
    begins[1:-1] |= np.abs(dataset.t[1:] - ends[:-1]) > TOLERANCE * np.maximum(1.0, ends[:-1])
    begins[:-1] |= ~whole  # a row that was cut short belongs to no run
    begins[1:] |= ~whole
    edges = np.flatnonzero(begins)
    first, last = edges[:-1], edges[1:] - 1
    kept = whole[first]
    if not kept.any():
        return np.zeros(1, dtype=np.int64), np.full(1, -2)  # a run without a frame, too short for any window
    return first[kept], last[kept]


def _turns(dataset: TransitionDataset) -> np.ndarray:
    """Whole turns by which angles were wrapped since the first row, (N, angles)."""
    angles = list(dataset.spec.angle_dims)
    turned = np.zeros((len(dataset), len(angles)))
    turned[1:] = np.round((dataset.next_state[:-1, angles] - dataset.state[1:, angles]) / (2 * np.pi))
    return turned.cumsum(axis=0)
