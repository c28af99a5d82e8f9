"""Sequences of one length cut out of episodes, as models with beliefs are tested on them."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tdlib.core.seeding import numpy_generator
from tdlib.data.schema import DatasetError, TransitionDataset


class Cuts(NamedTuple):
    """N sequences of T steps.

    Args:
        states: (N, T, D) at the start of each step.
        actions: (N, T, A) held over it.
        targets: (N, T, D) at its end.
    """

    states: Tensor
    actions: Tensor
    targets: Tensor


def cut_sequences(
    dataset: TransitionDataset, length: int, count: int, seed: int, dtype: torch.dtype = torch.float32
) -> Cuts:
    """Draw an episode and a first step in it, both uniformly and with replacement, so that sequences may overlap.

    Rows that were cut short take part in none.

    Args:
        dataset: Set of kind "episodes".
        length: T.
        count: N.
        seed: Of the draw.
        dtype: Precision of the tensors.

    Raises:
        DatasetError: If no episode has `length` steps.

    Source:
        Shaj et al. (2023), MTS3, code: trajectories and starts drawn uniformly, the test draw with seed 0.
    """
    for name, value in (("length", length), ("count", count)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a whole number >= 1, got {value!r}")
    rows, offsets = dataset.transitions_with_offsets(dtype)
    lengths = np.diff(offsets)
    long_enough = np.flatnonzero(lengths >= length)
    if not len(long_enough):
        raise DatasetError(f"length must be at most that of the longest episode, {lengths.max()} steps, got {length}")
    generator = numpy_generator(seed, "cuts", dataset.spec.name, length)
    episodes = generator.choice(long_enough, size=count)
    starts = offsets[episodes] + generator.integers(0, lengths[episodes] - length + 1)
    index = torch.from_numpy(starts[:, None] + np.arange(length))
    return Cuts(rows.state[index], rows.action[index], rows.next_state[index])
