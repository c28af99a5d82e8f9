"""Batches of transitions under a zero-order hold."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tdlib.core.context import Parts

BRIGHTEST = 255  # of a pixel


def brightness(pixels: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Turn pixels, uint8 of any shape, into numbers in [0, 1]."""
    return pixels.to(dtype) / BRIGHTEST


@dataclass(frozen=True)
class Frames:
    """What a camera saw at the ends of intervals; a frame that ends one and begins the next is held once.

    It is cut and moved with the other columns of a set; the pixels themselves stay where they are.

    Args:
        pixels: (F, C, H, W) uint8.
        first: (N,) which of them shows the start of each interval; the one after it shows its end.

    Raises:
        ValueError: If the pixels are of another kind or shape, or an interval has no frame.
    """

    pixels: Tensor
    first: Tensor

    def __post_init__(self):
        if self.pixels.dtype != torch.uint8 or self.pixels.ndim != 4:
            shape = tuple(self.pixels.shape)
            raise ValueError(f"pixels must be (F, C, H, W) uint8, got {shape} {self.pixels.dtype}")
        if len(self.first) and not 0 <= int(self.first.min()) <= int(self.first.max()) < len(self.pixels) - 1:
            bounds = int(self.first.min()), int(self.first.max())
            raise ValueError(f"first must be in 0 .. {len(self.pixels) - 2}, two frames per interval, got {bounds}")

    def __getitem__(self, index: Tensor | slice) -> "Frames":
        return Frames(self.pixels, self.first[index])

    def to(self, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> "Frames":
        """Return a copy on another device; pixels keep their precision."""
        del dtype
        return Frames(self.pixels.to(device=device), self.first.to(device=device))

    @staticmethod
    def concatenate(parts: "Sequence[Frames]") -> "Frames":
        """Join several sets in order; pixels that they share are held once."""
        stores = {id(part.pixels): part.pixels for part in parts}
        counts = [len(pixels) for pixels in stores.values()]
        begins = dict(zip(stores, itertools.accumulate([0, *counts]), strict=False))
        pixels = next(iter(stores.values())) if len(stores) == 1 else torch.cat(list(stores.values()))
        return Frames(pixels, torch.cat([part.first + begins[id(part.pixels)] for part in parts]))


@dataclass(frozen=True)
class Transitions(Parts):
    """A flat batch of transitions under a zero-order hold.

    Args:
        state: (N, D) physical state at the start of the interval.
        action: (N, A) physical input or action index held over the interval.
        next_state: (N, D) flow over the whole interval; angles continue from `state`, they are not wrapped.
        delta_t: (N,) interval [s].
        parameters: (N, P) parameters of the equation, for models that may read them; None if there are none.
        frames: What a camera saw at the start and the end of each, for models that read images; None if there is none.

    Raises:
        ValueError: If there are frames of another number of intervals.
    """

    state: Tensor
    action: Tensor
    next_state: Tensor
    delta_t: Tensor
    parameters: Tensor | None = None
    frames: Frames | None = None

    def __post_init__(self):
        if self.frames is not None and self.frames.first.shape != self.delta_t.shape:
            found = tuple(self.frames.first.shape)
            raise ValueError(f"frames.first must be one per interval, {tuple(self.delta_t.shape)}, got {found}")

    def __len__(self) -> int:
        return len(self.state)

    def __getitem__(self, index: Tensor | slice) -> "Transitions":
        return self.map(lambda x: x[index])

    def to(self, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> "Transitions":
        """Return a copy in another precision or on another device."""
        return self.map(lambda x: x.to(dtype=dtype, device=device))

    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return (state, action, next_state, delta_t)."""
        return self.state, self.action, self.next_state, self.delta_t

    @staticmethod
    def concatenate(parts: "list[Transitions]") -> "Transitions":
        """Join several batches in order."""
        columns = zip(*(p.tensors() for p in parts), strict=True)
        state, action, next_state, delta_t = (torch.cat(column) for column in columns)
        drawn = None if parts[0].parameters is None else torch.cat([p.parameters for p in parts])
        shown = [p.frames for p in parts if p.frames is not None]
        frames = Frames.concatenate(shown) if len(shown) == len(parts) else None
        return Transitions(state, action, next_state, delta_t, drawn, frames)
