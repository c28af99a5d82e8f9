"""Batches for many models from one table: all data once on the device, each model's own indices drawn ahead."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tdlib.core.context import Batch
from tdlib.core.specs import EnvironmentSpec
from tdlib.core.transitions import Frames, Transitions, brightness
from tdlib.models import Needs

OBSERVATIONS, PARAMETERS = ("observation", "next_observation"), ("parameters",)


@dataclass(frozen=True)
class Drawn:
    """A batch of K models, or C of them one after the other with a leading axis C.

    Args:
        rows: (K, F, B) transitions, or (K, F, B, T) windows, as `Layout.columns` splits them.
        valid: (K, B, T) which steps of the windows count; None counts all.
        noise: (K, B, N) or (K, B, T, N) standard normal numbers, for models that need them.
        images: (K, B, T + 1, C, H, W) uint8 frames at the ends of the steps, for models that need them.
    """

    rows: Tensor
    valid: Tensor | None = None
    noise: Tensor | None = None
    images: Tensor | None = None

    @property
    def parts(self) -> tuple[Tensor | None, ...]:
        """What there may be, in order."""
        return self.rows, self.valid, self.noise, self.images

    def tensors(self) -> list[Tensor]:
        """Return those there are, as `Layout.drawn` takes them back."""
        return [x for x in self.parts if x is not None]

    def samples(self, begin: int, end: int) -> "Drawn":
        """Return some of the B samples of one batch."""
        rows, *others = self.parts
        assert rows is not None
        return Drawn(rows[:, :, begin:end], *(None if x is None else x[:, begin:end] for x in others))

    def __getitem__(self, index: object) -> "Drawn":
        return Drawn(*(None if x is None else x[index] for x in self.parts))


class Layout:
    """What a batch holds for models of one specification and need.

    Args:
        spec: State and action sizes.
        needs: What the models need.
        example: Training data, for the sizes of what is optional.
    """

    def __init__(self, spec: EnvironmentSpec, needs: Needs, example: Transitions):
        self.needs = needs
        optional = (OBSERVATIONS if needs.observations else ()) + (PARAMETERS if needs.parameters else ())
        self.sizes = {"state": spec.state_dim, "action": spec.action_dim, "next_state": spec.state_dim, "delta_t": 1}
        self.sizes |= {name: getattr(example, name).shape[-1] for name in optional}

    def rows_of(self, part: Transitions) -> Tensor:
        """Put a set into rows of a table, (N, F)."""
        columns = [getattr(part, name) for name in self.sizes]
        return torch.cat([x.unsqueeze(-1) if x.ndim == 1 else x for x in columns], dim=-1)

    def columns(self, rows: Tensor) -> dict[str, Tensor]:
        """Name the rows of gathered transitions: (K, F, B) or (K, F, B, T) -> (K, B, ., size) or (K, B, T, size)."""
        parts = rows.split(list(self.sizes.values()), dim=1)
        named = {name: x.movedim(1, -1) for name, x in zip(self.sizes, parts, strict=True)}
        return named | {"delta_t": named["delta_t"].squeeze(-1)}

    def batch(self, drawn: Drawn, unit: Tensor | None = None) -> Batch:
        """Name what was drawn, every tensor with a leading K; pixels become numbers in [0, 1]."""
        images = None if drawn.images is None else brightness(drawn.images, drawn.rows.dtype)
        return Batch(**self.columns(drawn.rows), valid=drawn.valid, unit=unit, noise=drawn.noise, images=images)

    def drawn(self, tensors: Sequence[Tensor]) -> tuple[Drawn, Sequence[Tensor]]:
        """Make a batch of the first of some tensors; return the others too."""
        rows, *rest = tensors
        valid = rest.pop(0) if self.needs.window > 1 else None
        noise = rest.pop(0) if self.needs.noise else None
        images = rest.pop(0) if self.needs.images else None
        return Drawn(rows, valid, noise, images), rest


class DataPool:
    """All transitions of a fit as rows of a table; shared sets are stored once.

    Args:
        layout: What a row is.
    """

    def __init__(self, layout: Layout):
        self._layout = layout
        self._first_row: dict[int, int] = {}
        self._parts: list[Transitions] = []  # also keeps the sets alive, so that their ids stay unique
        self._count = 0
        self.rows = torch.empty(0)
        self._frames: Frames | None = None

    def add(self, part: Transitions) -> int:
        """Store a set unless it is there already; return the row of its first transition."""
        if id(part) not in self._first_row:
            self._first_row[id(part)] = self._count
            self._parts.append(part)
            self._count += len(part)
        return self._first_row[id(part)]

    def build(self, dtype: torch.dtype, device: torch.device | str) -> None:
        """Make the table, (N, F).

        Raises:
            ValueError: If frames are needed and a set has none: those of the sets after it would be shown in its place.
        """
        self.rows = torch.cat([self._layout.rows_of(part).to(dtype) for part in self._parts]).to(device)
        if self._layout.needs.images:
            shown = [part.frames for part in self._parts if part.frames is not None]
            if len(shown) < len(self._parts):
                raise ValueError(f"every set must hold frames, {len(self._parts) - len(shown)} do not")
            self._frames = Frames.concatenate(shown).to(device=device)

    def gather(self, index: Tensor) -> Tensor:
        """Transitions by number, one row per column of the table: (..., B, T) -> (..., F, B, T); T = 1 is left out."""
        found = self.rows.index_select(0, index.reshape(-1)).view(*index.shape, -1).movedim(-1, -3)
        return (found.squeeze(-1) if index.shape[-1] == 1 else found).contiguous()

    def images(self, index: Tensor, valid: Tensor) -> Tensor | None:
        """Frames at the ends of steps (..., T), uint8 (..., T + 1, C, H, W), if they are needed.

        Steps that do not count show the end of the last that does.
        """
        if self._frames is None:
            return None
        first = self._frames.first[index]
        shown = torch.cat([first + (~valid).long(), first[..., -1:] + 1], dim=-1)
        return self._frames.pixels.index_select(0, shown.flatten()).unflatten(0, shown.shape)


class Sampler:
    """What one model may draw: the rows of its transitions or windows, rate by rate.

    Args:
        parts: One set per rate.
        offsets: Per set its episode offsets (E + 1); needed for windows.
        pool: Where the rows are.
        window: Steps per window; 1 for single transitions.
        generator: The model's own stream.
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
            if offsets is None or window == 1:
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
    """Draws row numbers for all models of a stack: the rate uniformly, then a transition or window start uniformly.

    Random numbers come from every model's own stream on the processor, so that each device trains on the same batches;
    what they stand for is looked up on the device.

    Args:
        samplers: One per model, of one window length.
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

    def noise(self, *shape: int) -> Tensor:
        """Standard normal numbers for all models, each from its own stream: (C, ...) -> (C, K, ...)."""
        drawn = torch.stack([torch.randn(shape, generator=g) for g in self._generators], dim=1)
        return drawn.to(self._device)


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


def padded(chosen: Sequence[Tensor]) -> Tensor:
    """Stack tensors (V, ...) of different V; padding is zero: a row number, or False, which does not count."""
    longest = max(len(x) for x in chosen)
    return torch.stack([torch.nn.functional.pad(x, (0, 0) * (x.ndim - 1) + (0, longest - len(x))) for x in chosen])
