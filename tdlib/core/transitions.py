"""Batches of transitions under a zero-order hold."""

from dataclasses import dataclass

import torch
from torch import Tensor

from tdlib.core.context import Parts


@dataclass(frozen=True)
class Transitions(Parts):
    """A flat batch of transitions under a zero-order hold.

    Args:
        state: (N, D) physical state at the start of the interval.
        action: (N, A) physical input or action index held over the interval.
        next_state: (N, D) flow over the whole interval; angles continue from `state`, they are not wrapped.
        delta_t: (N,) interval [s].
        parameters: (N, P) parameters of the equation, for models that may read them; None if there are none.
    """

    state: Tensor
    action: Tensor
    next_state: Tensor
    delta_t: Tensor
    parameters: Tensor | None = None

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
        return Transitions(state, action, next_state, delta_t, drawn)
