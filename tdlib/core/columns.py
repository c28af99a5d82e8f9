"""Some columns of a tensor, as slices: a list as index would be sent to the device at every call."""

from collections.abc import Sequence

import torch
from torch import Tensor


class Columns:
    """Takes columns of the last axis: (..., D) -> (..., n).

    A card waits for the numbers of a list that is used as an index, and cannot capture such a step; slices are part of
    the program. Where one slice is enough, the result is a view.

    Args:
        places: The columns, in the order in which they are taken; one may be taken several times.

    Raises:
        ValueError: If there are none, or one is negative.
    """

    def __init__(self, places: Sequence[int]):
        if not places or min(places) < 0:
            raise ValueError(f"places must be at least one column counted from 0, got {list(places)}")
        self.places = tuple(places)
        self._slices: list[slice] = []
        begin = 0
        while begin < len(places):
            end, step = begin + 1, 1
            if end < len(places) and (step := places[end] - places[begin]) > 0:
                while end < len(places) and places[end] - places[end - 1] == step:
                    end += 1
            self._slices.append(slice(places[begin], places[end - 1] + 1, step if end > begin + 1 else 1))
            begin = end

    def __call__(self, x: Tensor) -> Tensor:
        """Take the columns of one tensor."""
        parts = [x[..., each] for each in self._slices]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)

    def __len__(self) -> int:
        return len(self.places)
