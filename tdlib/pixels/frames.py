"""Where the frames of a set come from: painted from its states when they are asked for, or recorded in it."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tdlib.core.transitions import Frames, Transitions
from tdlib.data.noise import with_noise
from tdlib.data.schema import DatasetError, TransitionDataset
from tdlib.pixels.options import USUAL, RenderOptions, picture_of
from tdlib.pixels.order import FrameOrder, frame_order
from tdlib.pixels.renderer import render_states
from tdlib.systems import SYSTEMS

FRAMES = "frames"  # column of recorded frames, (N, H, W, C) levels at the start of every row


class Painted:
    """Frames of states, kept once painted if all of them fit.

    Args:
        dataset: Where the states are.
        order: Which frames there are.
        options: Size, colors, quality, window.
        noise: Standard deviation of errors added to states first, one number or (D,).
        seed: Of these errors.
        cache_bytes: Most memory for frames that are kept.
        name: What errors call the set.

    Raises:
        DatasetError: If the set's system is unknown.
        ValueError: If the system has no picture, or noise is negative or not finite.
    """

    def __init__(
        self,
        dataset: TransitionDataset,
        order: FrameOrder,
        options: RenderOptions,
        noise: float | Sequence[float],
        seed: int,
        cache_bytes: int,
        name: str,
    ):
        spec = dataset.spec
        if spec.name not in SYSTEMS:
            rule = "must have recorded frames or be of a known system to be seen"
            raise DatasetError(f"{name}: {rule}, got {spec.name!r}")
        self._system, self._options = SYSTEMS[spec.name], options
        picture_of(self._system)
        scale = np.broadcast_to(np.asarray(noise, dtype=np.float64), (spec.state_dim,))
        if not (np.isfinite(scale) & (scale >= 0)).all():
            raise ValueError(f"noise must be finite and >= 0, got {noise}")
        seen = with_noise(dataset, 1.0, scale, seed=seed) if scale.any() else dataset
        self._states = torch.from_numpy(order.states(seen.state, seen.next_state))
        drawn = dataset.row_parameters
        self._parameters = None if drawn is None else torch.from_numpy(drawn[order.rows])
        self.shape = options.channels, options.img_size, options.img_size
        fits = int(np.prod(self.shape)) * len(self._states) <= cache_bytes
        self._store = torch.empty((len(self._states), *self.shape), dtype=torch.uint8) if fits else None
        self._kept = torch.zeros(len(self._states), dtype=torch.bool)

    def frames(self, places: np.ndarray) -> Tensor:
        """Frames by number, painting those that are not kept yet: (...) -> (..., C, H, W) levels."""
        wanted = torch.from_numpy(places)
        if self._store is None:
            return self._paint(wanted)
        missing = wanted.unique()
        missing = missing[~self._kept[missing]]
        if len(missing):
            self._store[missing] = self._paint(missing)
            self._kept[missing] = True
        return self._store[wanted]

    def _paint(self, places: Tensor) -> Tensor:
        drawn = None if self._parameters is None else self._parameters[places]
        return render_states(self._system, self._states[places], self._options, drawn)


class Recorded:
    """Frames that the set itself holds, one at the start of each row.

    Args:
        dataset: Where the frames are, in the column `frames`.
        order: Which of them there are.
        options: Size and channels that they must have.
        name: What errors call the set.

    Raises:
        DatasetError: If there are none, or of another kind.
    """

    def __init__(self, dataset: TransitionDataset, order: FrameOrder, options: RenderOptions, name: str):
        if FRAMES not in dataset.extras:
            columns = list(dataset.extras)
            raise DatasetError(f"{name}: must hold recorded frames in a column {FRAMES!r}, got columns {columns}")
        self._frames, self._rows = dataset.extras[FRAMES], order.rows
        size = options.img_size
        wanted = (len(dataset), size, size, options.channels)
        if self._frames.shape != wanted or self._frames.dtype != np.uint8:
            rule = f"{FRAMES} must be levels (uint8) of shape {wanted}"
            raise DatasetError(f"{name}: {rule}, got {self._frames.dtype} of shape {self._frames.shape}")
        self.shape = options.channels, size, size

    def frames(self, places: np.ndarray) -> Tensor:
        """Frames by number: (...) -> (..., C, H, W) levels."""
        return torch.from_numpy(np.moveaxis(self._frames[self._rows[places]], -1, -3).copy())


def frame_source(
    dataset: TransitionDataset,
    options: RenderOptions,
    *,
    noise: float | Sequence[float] = 0.0,
    seed: int = 0,
    recorded: bool | None = None,
    cache_bytes: int = 0,
    name: str = "dataset",
) -> tuple[FrameOrder, Painted | Recorded]:
    """Return which frames a set has, and where they come from; arguments as `PixelWindows` has them.

    Raises:
        DatasetError: If the set has no frames, or of another kind; the message names it.
        ValueError: If noise is out of its range, or is asked of recorded frames, or the system has no picture.
    """
    recorded = FRAMES in dataset.extras if recorded is None else recorded
    if recorded and np.any(noise):
        raise ValueError(f"noise must be 0 for recorded frames, which no state is painted for, got {noise}")
    order = frame_order(dataset, with_ends=not recorded)
    if recorded:
        return order, Recorded(dataset, order, options, name)
    return order, Painted(dataset, order, options, noise, seed, cache_bytes, name)


def filmed_transitions(
    dataset: TransitionDataset,
    options: RenderOptions = USUAL,
    *,
    noise: float | Sequence[float] = 0.0,
    seed: int = 0,
    recorded: bool | None = None,
    name: str = "dataset",
    dtype: torch.dtype = torch.float32,
) -> tuple[Transitions, Tensor]:
    """Return what a `Trial` of a model that reads images is trained on: transitions with frames, run after run.

    A run is a row of whole intervals that follow each other, so that windows inside it cross neither a pause nor an
    interval that was cut short, as episodes do.

    Args:
        dataset: Set of kind "episodes".
        options: Size, colors, quality, window.
        noise: As in `PixelWindows`.
        seed: Of the noise.
        recorded: As in `PixelWindows`; without a frame at its end the last interval of a run is left out.
        name: What errors call the set.
        dtype: Precision of states, actions and intervals.

    Returns:
        N transitions, and (R + 1,) the offsets of their runs, as `Trial.train_offsets` holds them.

    Raises:
        DatasetError: If the set is branched, or has no frames, or none at both ends of an interval.
        ValueError: As `frame_source`.
    """
    if dataset.kind != "episodes":
        raise DatasetError(f"{name}: must be of kind 'episodes' to have frames, got {dataset.kind!r}")
    order, source = frame_source(dataset, options, noise=noise, seed=seed, recorded=recorded, name=name)
    first = np.setdiff1d(np.arange(len(order.rows)), order.begins + order.lengths - 1)  # all but the last of each run
    if not len(first):
        raise DatasetError(f"{name}: must have frames at both ends of an interval, got none")
    kept = dataset.select_rows(order.rows[first])
    state, action, following, delta_t = (
        torch.from_numpy(x).to(dtype) for x in (kept.state, kept.action, kept.next_state, kept.delta_t)
    )
    drawn = dataset.row_parameters
    parameters = None if drawn is None else torch.from_numpy(drawn[order.rows[first]]).to(dtype)
    frames = Frames(source.frames(np.arange(len(order.rows))), torch.from_numpy(first))
    rows = Transitions(state, action, following, delta_t, parameters, frames)
    return rows, torch.from_numpy(np.concatenate([[0], np.cumsum(order.lengths - 1)]))
