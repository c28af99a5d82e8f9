"""Pairs of a state and the next, at several rates."""

from dataclasses import dataclass

from torch import Tensor

from tdlib.models import Context


@dataclass(frozen=True)
class PairSet:
    """States and held inputs with their true next states at R rates, N pairs each.

    Args:
        rates: R labels.
        state: (R, N, D) physical states, float64, angles wrapped.
        action: (R, N, A) held inputs.
        delta_t: (R, N) intervals [s].
        next_state: (R, N, D) exact flow; angles continue from `state`.
        limit_hit: (R, N) bool, whether the speed limit was touched.
        context: The true steps before the first M <= N pairs, (R, M, C, ...); None without models that remember.
    """

    rates: tuple[str, ...]
    state: Tensor
    action: Tensor
    delta_t: Tensor
    next_state: Tensor
    limit_hit: Tensor
    context: Context | None = None

    @property
    def increment(self) -> Tensor:
        """True change over the interval, (R, N, D)."""
        return self.next_state - self.state
