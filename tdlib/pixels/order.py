"""Which frames a set of transitions has: one at the start of each interval, and one at the end of each unbroken run.

A run is a row of whole intervals that follow each other: it ends with its episode, before a pause, and before an
interval that was cut short. A frame that ends one interval and begins the next is there once.
"""

from dataclasses import dataclass

import numpy as np

from tdlib.core.time_grid import TOLERANCE
from tdlib.data.schema import TransitionDataset


@dataclass(frozen=True)
class FrameOrder:
    """F frames, run after run.

    Args:
        rows: (F,) row of the set whose start a frame shows, or whose end.
        at_end: (F,) whether it shows the end.
        begins: (R,) first frame of every run.
        lengths: (R,) frames of every run.
    """

    rows: np.ndarray
    at_end: np.ndarray
    begins: np.ndarray
    lengths: np.ndarray

    @property
    def longest(self) -> int:
        """Frames of the longest run; 0 without runs."""
        return int(self.lengths.max(initial=0))

    def window_starts(self, size: int, stride: int) -> np.ndarray:
        """First frames of windows of so many frames, (W,)."""
        runs = zip(self.begins, self.lengths, strict=True)
        return np.concatenate([np.arange(a, a + n - size + 1, stride) for a, n in runs])

    def states(self, state: np.ndarray, next_state: np.ndarray) -> np.ndarray:
        """States of frames, from those at the starts and ends of rows: (N, D), (N, D) -> (F, D)."""
        return np.where(self.at_end[:, None], next_state[self.rows], state[self.rows])


def frame_order(dataset: TransitionDataset, *, with_ends: bool = True) -> FrameOrder:
    """Return the frames of a set, those at the ends of runs among them or not (recorded ones are not)."""
    first, last = _runs(dataset)
    lengths = last - first + 1
    rows = np.concatenate([np.zeros(0, dtype=np.int64), *map(np.arange, first, last + 1)])
    at_end = np.zeros(len(rows), dtype=bool)
    if with_ends:
        behind = np.cumsum(lengths)
        rows, at_end = np.insert(rows, behind, last), np.insert(at_end, behind, True)
        lengths = lengths + 1
    return FrameOrder(rows, at_end, np.cumsum(lengths) - lengths, lengths)


def turns(dataset: TransitionDataset) -> np.ndarray:
    """Whole turns by which angles were wrapped since the first row, (N, angles)."""
    angles = list(dataset.spec.angle_dims)
    turned = np.zeros((len(dataset), len(angles)))
    turned[1:] = np.round((dataset.next_state[:-1, angles] - dataset.state[1:, angles]) / (2 * np.pi))
    return turned.cumsum(axis=0)


def _runs(dataset: TransitionDataset) -> tuple[np.ndarray, np.ndarray]:
    """First and last row of every run, (R,) each."""
    whole, ends = dataset.full_length, dataset.t + dataset.delta_t
    begins = np.zeros(len(dataset) + 1, dtype=bool)
    begins[dataset.episode_offsets] = True
    begins[1:-1] |= np.abs(dataset.t[1:] - ends[:-1]) > TOLERANCE * np.maximum(1.0, ends[:-1])
    begins[:-1] |= ~whole  # an interval that was cut short belongs to no run
    begins[1:] |= ~whole
    edges = np.flatnonzero(begins)
    first, last = edges[:-1], edges[1:] - 1
    return first[whole[first]], last[whole[first]]
