"""Test sequences at several intervals from the same starts: of equal numbers of steps, and of equal physical time.

    fixed_steps   T steps of every interval; the k-th input is the same at all of them, so longer intervals last longer
    fixed_time    one time at every interval; inputs are held on a common grid, so that forces are equal in time

Beside the truth stands the exact map of a training interval that ignores Δt: its T steps are what a map without Δt
predicts that has learned everything there is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tdlib.core.time_grid import delta_t_of, num_steps
from tdlib.evaluation.sets.rollout_sets import RolloutSet, draw_inputs, follow
from tdlib.systems import System

FIXED_STEPS, FIXED_TIME = "fixed_steps", "fixed_time"
HOLD = 1.0  # [s] of one input under `fixed_time`: the shortest time that 0.05, 0.1, 0.2 and 0.5 s all divide
USUAL_DELTA_T = 0.1  # [s]; `fixed_time` lasts as long as the steps do at this interval, in whole holds


@dataclass(frozen=True)
class Sequences:
    """One protocol at one rate.

    Args:
        protocol: `fixed_steps` or `fixed_time`.
        rate: Label of the rate.
        rollouts: Starts, inputs, intervals and truth.
        unaware: Training rate -> states (S, T, D) of the exact map of its interval, asked for any other.
    """

    protocol: str
    rate: str
    rollouts: RolloutSet
    unaware: Mapping[str, Tensor]

    @property
    def delta_t(self) -> float:
        """Interval [s]."""
        return delta_t_of(float(self.rate))


def build_sequences(
    system: System,
    rollouts: Mapping[str, RolloutSet],
    rates: Sequence[str],
    trained: Sequence[str],
    length: int,
    generator: torch.Generator,
) -> tuple[Sequences, ...]:
    """Draw inputs for the starts of a test set's rollouts and follow the truth at every interval, side by side.

    A rate whose interval does not divide the grid of the inputs has no `fixed_time`.

    Args:
        system: Exact flow.
        rollouts: Rollouts of the test set by rate: their starts, parameters and contexts are used.
        rates: Rates to build, among those.
        trained: Training rates, for the exact maps.
        length: Number of steps T of `fixed_steps`.
        generator: Source of the inputs.

    Raises:
        ValueError: If a rate is none of the rollouts', or the length is not positive.
    """
    unknown = [rate for rate in rates if rate not in rollouts or rate == "irregular"]
    if unknown or not rates:
        raise ValueError(f"rates must be some of the test set's {[*rollouts]} with a number, got {list(rates)}")
    if length < 1:
        raise ValueError(f"length must be >= 1, got {length}")
    first = rollouts[rates[0]]
    start, drawn = first.state, first.parameters
    intervals = {rate: delta_t_of(float(rate)) for rate in rates}
    each = draw_inputs(system, start, length, generator, drawn, min(intervals.values()))  # (S, T, A)
    held = draw_inputs(system, start, _num_holds(length), generator, drawn, HOLD)
    plans: list[tuple[str, str, Tensor]] = [
        (protocol, rate, each if protocol == FIXED_STEPS else held.repeat_interleave(steps // held.shape[1], dim=1))
        for protocol, rate, steps in sequence_plans(rates, length)
    ]
    # every plan under its own interval, then under that of each map that ignores it
    moves = [(actions, intervals[rate]) for _, rate, actions in plans]
    moves += [(actions, delta_t_of(float(known))) for known in trained for _, _, actions in plans]
    paths = _follow_all(system, start, drawn, moves)
    found = []
    for i, (protocol, rate, actions) in enumerate(plans):
        states, inside = paths[i]
        delta_t = torch.full(actions.shape[:2], intervals[rate], dtype=torch.float64)
        own = replace(
            rollouts[rate],
            actions=actions,
            delta_t=delta_t,
            states=states,
            inside=inside if system.has_limits else None,
            times=delta_t[0].cumsum(dim=0),
        )
        unaware = {known: paths[(1 + k) * len(plans) + i][0] for k, known in enumerate(trained)}
        found.append(Sequences(protocol, rate, own, unaware))
    return tuple(found)


def sequence_plans(rates: Sequence[str], length: int) -> list[tuple[str, str, int]]:
    """List protocol, rate and number of steps of what `build_sequences` follows; without what cannot be held.

    Args:
        rates: Labels of the rates.
        length: Number of steps of `fixed_steps`.
    """
    plans = []
    for rate in rates:
        delta_t = delta_t_of(float(rate))
        plans.append((FIXED_STEPS, rate, length))
        if _divides(delta_t, HOLD):
            plans.append((FIXED_TIME, rate, _num_holds(length) * num_steps(HOLD, delta_t)))
    return plans


def _num_holds(length: int) -> int:
    return max(1, round(length * USUAL_DELTA_T / HOLD))


def _divides(delta_t: float, hold: float) -> bool:
    try:
        return num_steps(hold, delta_t) > 0
    except ValueError:
        return False


def _follow_all(
    system: System, start: Tensor, drawn: Tensor | None, moves: Sequence[tuple[Tensor, float]]
) -> list[tuple[Tensor, Tensor]]:
    """Follow the truth of all (actions (S, T, A), interval) in one batch; what ends sooner waits."""
    longest, count = max(actions.shape[1] for actions, _ in moves), len(moves)
    waiting = [longest - actions.shape[1] for actions, _ in moves]
    actions = torch.stack(
        [torch.cat([x, x[:, -1:].expand(-1, wait, -1)], dim=1) for (x, _), wait in zip(moves, waiting, strict=True)]
    )  # (M, S, T, A)
    delta_t = torch.zeros(actions.shape[:3], dtype=torch.float64)
    for i, (own, interval) in enumerate(moves):
        delta_t[i, :, : own.shape[1]] = interval
    parameters = None if drawn is None else drawn.expand(count, *drawn.shape)
    states, inside = follow(system, start.expand(count, *start.shape), actions, delta_t, parameters)
    return [(x[:, : own.shape[1]], y[:, : own.shape[1]]) for x, y, (own, _) in zip(states, inside, moves, strict=True)]
