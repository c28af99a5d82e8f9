"""Batches for many members from one table: all data once on the device, each member's own indices drawn ahead."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tdlib.trajectories import Transitions


class DataPool:
    """All transitions of a fit as rows (state, action, next_state, delta_t) of one table; shared sets are stored once.

    Args:
        state_dim: D.
        action_dim: A.
    """

    def __init__(self, state_dim: int, action_dim: int):
        self.sizes = [state_dim, action_dim, state_dim, 1]
        self._first_row: dict[int, int] = {}
        self._parts: list[Transitions] = []  # also keeps the sets alive, so that their ids stay unique
        self._count = 0
        self.rows = torch.empty(0)

    def add(self, part: Transitions) -> int:
        """Store a set unless it is there already; return the row of its first transition."""
        if id(part) not in self._first_row:
            self._first_row[id(part)] = self._count
            self._parts.append(part)
            self._count += len(part)
        return self._first_row[id(part)]

    def build(self, dtype: torch.dtype, device: torch.device | str) -> None:
        """Make the table, (N, 2D + A + 1)."""
        rows = [torch.cat([p.state, p.action, p.next_state, p.delta_t.unsqueeze(-1)], dim=-1) for p in self._parts]
        self.rows = torch.cat([x.to(dtype) for x in rows]).to(device)

    def gather(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Rows by number: (...) -> state (..., D), action (..., A), next_state (..., D), delta_t (...)."""
        rows = self.rows.index_select(0, index.reshape(-1)).view(*index.shape, -1)
        state, action, next_state, delta_t = rows.split(self.sizes, dim=-1)
        return state, action, next_state, delta_t.squeeze(-1)


class Sampler:
    """Draws row numbers for one member: the rate uniformly, then a transition or a window start of it uniformly.

    Args:
        parts: One set per rate.
        offsets: Per set its episode offsets (E + 1); needed for windows.
        pool: Where the rows are.
        window: Steps per window; 1 for single transitions.
        generator: The member's own stream.
    """

    def __init__(
        self,
        parts: Sequence[Transitions],
        offsets: Sequence[Tensor] | None,
        pool: DataPool,
        window: int,
        generator: torch.Generator,
    ):
        self.window, self.generator = window, generator
        starts, lengths = [], []
        for i, part in enumerate(parts):
            if window == 1:
                start, length = torch.arange(len(part)), torch.ones(len(part), dtype=torch.long)
            else:
                start, length = window_starts(torch.as_tensor(offsets[i]), window)
            starts.append(start + pool.add(part))
            lengths.append(length)
        self._counts = torch.tensor([len(start) for start in starts])
        self._first = self._counts.cumsum(0) - self._counts
        self._starts, self._lengths = torch.cat(starts), torch.cat(lengths)

    def draw(self, *shape: int) -> tuple[Tensor, Tensor]:
        """Random rows and which of them count: shape -> (*shape, window) both; padding repeats a window's last row."""
        uniform = torch.rand((2, *shape), generator=self.generator, dtype=torch.float64)
        rate = (uniform[0] * len(self._counts)).long()
        return self._rows(self._first[rate] + (uniform[1] * self._counts[rate]).long())

    def fixed(self, size: int) -> tuple[Tensor, Tensor]:
        """A fixed subset that repeats nothing, equally many of each rate, at most `size` rows: (n, window) both."""
        windows = max(1, size // self.window // len(self._counts))
        count = int(min(windows, self._counts.min()))
        chosen = []
        for first, available in zip(self._first.tolist(), self._counts.tolist(), strict=True):
            chosen.append(first + torch.randperm(available, generator=self.generator)[:count])
        return self._rows(torch.cat(chosen))

    def _rows(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        steps = torch.arange(self.window)
        length = self._lengths[chosen].unsqueeze(-1)
        return self._starts[chosen].unsqueeze(-1) + torch.minimum(steps, length - 1), steps < length


def window_starts(offsets: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """First steps and lengths of all windows that stay inside an episode; a shorter episode is one shorter window.

    Args:
        offsets: (E + 1,) first transition of every episode, then the total.
        window: Steps per window.

    Returns:
        (W,) starts and (W,) lengths.
    """
    starts, lengths = [], []
    for first, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        if end > first:
            start = torch.arange(first, max(first + 1, end - window + 1))
            starts.append(start)
            lengths.append(torch.full_like(start, min(window, end - first)))
    return torch.cat(starts), torch.cat(lengths)
