"""Batches for many members from one table: all data once on the device, each member's own indices drawn ahead."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tdlib.core.specs import EnvironmentSpec
from tdlib.core.transitions import Transitions


class DataPool:
    """All transitions of a fit as rows (state, action, next_state, delta_t) of a table; shared sets are stored once."""

    def __init__(self):
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

    def gather(self, index: Tensor) -> Tensor:
        """Transitions by number, one row per column of the table: (..., B, T) -> (..., F, B, T); T = 1 is left out."""
        found = self.rows.index_select(0, index.reshape(-1)).view(*index.shape, -1).movedim(-1, -3)
        return (found.squeeze(-1) if index.shape[-1] == 1 else found).contiguous()


def columns(rows: Tensor, spec: EnvironmentSpec) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Name the rows of gathered transitions.

    Args:
        rows: (K, F, B) or (K, F, B, T) with F = 2D + A + 1.
        spec: State and action sizes.

    Returns:
        State (K, B, T, D), action (K, B, T, A), next state (K, B, T, D) and interval (K, B, T), or without T.
    """
    sizes = [spec.state_dim, spec.action_dim, spec.state_dim, 1]
    state, action, next_state, delta_t = (x.movedim(1, -1) for x in rows.split(sizes, dim=1))
    return state, action, next_state, delta_t.squeeze(-1)


class Sampler:
    """What one member may draw: the rows of its transitions or windows, rate by rate.

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
        self.counts = torch.tensor([len(start) for start in starts])
        self.first = self.counts.cumsum(0) - self.counts  # of every set, among the starts
        self.starts, self.lengths = torch.cat(starts), torch.cat(lengths)

    def fixed(self, size: int) -> tuple[Tensor, Tensor]:
        """A fixed subset that repeats nothing, equally many of each rate, at most `size` rows: (n, window) both."""
        windows = max(1, size // self.window // len(self.counts))
        count = int(min(windows, self.counts.min()))
        chosen = []
        for first, available in zip(self.first.tolist(), self.counts.tolist(), strict=True):
            chosen.append(first + torch.randperm(available, generator=self.generator)[:count])
        return _rows(torch.cat(chosen), self.starts, self.lengths, self.window)


class StackSampler:
    """Draws row numbers for all members of a stack: the rate uniformly, then a transition or window start uniformly.

    Random numbers come from every member's own stream on the processor, so that each device trains on the same batches;
    what they stand for is looked up on the device.

    Args:
        samplers: One per member, of one window length.
        device: Where the rows are wanted.
    """

    def __init__(self, samplers: Sequence[Sampler], device: torch.device | str = "cpu"):
        self._device, self._window = torch.device(device), samplers[0].window
        self._generators = [sampler.generator for sampler in samplers]
        totals = torch.tensor([0] + [len(sampler.starts) for sampler in samplers]).cumsum(0)
        rates = torch.tensor([len(sampler.counts) for sampler in samplers])
        tables = {
            "starts": torch.cat([sampler.starts for sampler in samplers]),
            "lengths": torch.cat([sampler.lengths for sampler in samplers]),
            "counts": torch.cat([sampler.counts for sampler in samplers]),
            "first": torch.cat([s.first + start for s, start in zip(samplers, totals.tolist()[:-1], strict=True)]),
            "rates": rates.unsqueeze(1),
            "first_rate": (rates.cumsum(0) - rates).unsqueeze(1),
        }
        self._tables = {name: table.to(device) for name, table in tables.items()}

    def draw(self, *shape: int) -> tuple[Tensor, Tensor]:
        """Random rows and which of them count: (C, B) -> (C, K, B, T) both; padding repeats a window's last row."""
        uniform = [torch.rand((2, *shape), generator=g, dtype=torch.float64) for g in self._generators]
        uniform = torch.stack(uniform, dim=2)  # (2, C, K, B)
        if self._device.type == "cuda":
            uniform = uniform.pin_memory().to(self._device, non_blocking=True)  # does not wait for the steps before
        tables = self._tables
        rate = ((uniform[0] * tables["rates"]).long() + tables["first_rate"]).flatten()
        first, count = (tables[name].index_select(0, rate).view(uniform.shape[1:]) for name in ("first", "counts"))
        chosen = first + (uniform[1] * count).long()
        return _rows(chosen, tables["starts"], tables["lengths"], self._window)


def _rows(chosen: Tensor, starts: Tensor, lengths: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Rows of the chosen starts, and which of them count: (...) -> (..., window) both."""
    start = starts.index_select(0, chosen.flatten()).view(*chosen.shape, 1)
    if window == 1:
        return start, torch.ones((), dtype=torch.bool, device=start.device).expand(start.shape)
    steps = torch.arange(window, device=start.device)
    length = lengths.index_select(0, chosen.flatten()).view(*chosen.shape, 1)
    return start + torch.minimum(steps, length - 1), steps < length


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
