"""The sequences of intervals that stand for the rates of the study."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tdlib.core.facts import ROLLOUT_HOLD, ROLLOUT_HOLDS
from tdlib.core.time_grid import delta_t_of, num_steps, steps_within

IRREGULAR_DELTA_T, IRREGULAR_LOW, IRREGULAR_HIGH = 0.05, 0.5, 1.5  # 50 ms × U(0.5, 1.5)
STEPS_PER_HOLD_IRREGULAR = 4


def nominal_delta_t(rate: str) -> float:
    """Return the interval of a rate label [s]; the mean one of "irregular"."""
    return IRREGULAR_DELTA_T if rate == "irregular" else delta_t_of(float(rate))


def hold_of(rate: str, hold: float | None = None) -> float:
    """Return how long one input is held in rollouts at this rate [s]: the time asked for, or the study's own.

    Raises:
        ValueError: If the time asked for is not a whole number of the rate's intervals.
    """
    if hold is None:
        return ROLLOUT_HOLDS.get(rate, ROLLOUT_HOLD)
    block = 1 if rate != "irregular" else STEPS_PER_HOLD_IRREGULAR
    num_steps(hold, block * nominal_delta_t(rate))
    return hold


def pair_intervals(rates: Sequence[str], count: int, generator: torch.Generator) -> Tensor:
    """Return the intervals of independent pairs, (R, count) [s]."""
    irregular = IRREGULAR_LOW + (IRREGULAR_HIGH - IRREGULAR_LOW) * torch.rand(
        count, dtype=torch.float64, generator=generator
    )
    rows = [
        irregular * IRREGULAR_DELTA_T
        if rate == "irregular"
        else torch.full((count,), nominal_delta_t(rate), dtype=torch.float64)
        for rate in rates
    ]
    return torch.stack(rows)


def rollout_intervals(rate: str, count: int, horizon: float, generator: torch.Generator) -> Tensor:
    """Return the intervals of rollouts, (count, T) [s].

    Irregular intervals are 50 ms × U(0.5, 1.5) given that each four of them fill one hold of 0.2 s, so that all
    rates see the same physical input.
    """
    length = steps_within(horizon, nominal_delta_t(rate))
    if rate != "irregular":
        return torch.full((count, length), nominal_delta_t(rate), dtype=torch.float64)
    blocks = -(-length // STEPS_PER_HOLD_IRREGULAR)
    return IRREGULAR_DELTA_T * _four_summing_to_four(count * blocks, generator).reshape(count, -1)[:, :length]


def past_intervals(rate: str, count: int, length: int, generator: torch.Generator) -> Tensor:
    """Return the intervals of the steps before a start, (count, length) [s]."""
    shape = (count, length)
    if rate != "irregular":
        return torch.full(shape, nominal_delta_t(rate), dtype=torch.float64)
    unit = torch.rand(shape, dtype=torch.float64, generator=generator)
    return IRREGULAR_DELTA_T * (IRREGULAR_LOW + (IRREGULAR_HIGH - IRREGULAR_LOW) * unit)


def _four_summing_to_four(count: int, generator: torch.Generator) -> Tensor:
    """Draw (count, 4) numbers, uniform on [0.5, 1.5] given that each four sum to 4, by rejection."""
    drawn: list[Tensor] = []
    while sum(len(part) for part in drawn) < count:
        first = IRREGULAR_LOW + (IRREGULAR_HIGH - IRREGULAR_LOW) * torch.rand(
            2 * count + 8, STEPS_PER_HOLD_IRREGULAR - 1, dtype=torch.float64, generator=generator
        )
        last = STEPS_PER_HOLD_IRREGULAR - first.sum(dim=1, keepdim=True)
        kept = ((last >= IRREGULAR_LOW) & (last <= IRREGULAR_HIGH)).squeeze(1)
        drawn.append(torch.cat([first, last], dim=1)[kept])
    return torch.cat(drawn)[:count]
