"""Long predictions after a known stretch of the same path: the first seconds are seen, the rest is to be imagined.

    |<-- context: states and inputs are known -->|<-- horizon: inputs are known, states are not -->|

The path is one rollout under one physical input, so that the same seconds are known and imagined at every rate. Beside
the truth stands the exact flow that knows no more than the mean of a hidden parameter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tdlib.core.time_grid import steps_within
from tdlib.evaluation.sets.history import PairOrigin
from tdlib.evaluation.sets.rollout_sets import RolloutSet, build_rollouts, follow
from tdlib.evaluation.sets.schedules import nominal_delta_t
from tdlib.models import Context
from tdlib.systems import System


@dataclass(frozen=True)
class Imagined:
    """One rate.

    Args:
        rollouts: From the end of the context on; their context is the stretch that is known.
        at_mean: (S, T, D) the exact flow at the mean of the drawn parameters; None where none are drawn, and of a log.
    """

    rollouts: RolloutSet
    at_mean: Tensor | None = None


def split_rollouts(whole: RolloutSet, known: int) -> RolloutSet:
    """Make the first steps of rollouts the context of the rest.

    Raises:
        ValueError: If nothing is known, or nothing left.
    """
    num_steps = whole.delta_t.shape[-1]
    if not 1 <= known < num_steps:
        raise ValueError(f"known must be in [1, steps - 1] for rollouts of {num_steps} steps, got {known}")
    before = torch.cat([whole.state.unsqueeze(-2), whole.states[..., : known - 1, :]], dim=-2)
    actions, delta_t = whole.actions[..., :known, :], whole.delta_t[..., :known]
    context = Context(before, actions, delta_t, torch.ones_like(delta_t, dtype=torch.bool))
    return replace(
        whole,
        state=whole.states[..., known - 1, :],
        actions=whole.actions[..., known:, :],
        delta_t=whole.delta_t[..., known:],
        states=whole.states[..., known:, :],
        inside=None if whole.inside is None else whole.inside[..., known:],
        times=whole.times[known:] - whole.times[known - 1],
        context=replace(context, parameters=whole.parameters),
    )


def build_imagined(
    system: System,
    origin: PairOrigin,
    rates: Sequence[str],
    context: float,
    horizon: float,
    generator: torch.Generator,
    hold: float | None = None,
) -> Mapping[str, Imagined]:
    """Follow the truth from starts for `context + horizon` seconds at every rate.

    Args:
        system: Exact flow.
        origin: S starts.
        rates: Labels of the rates.
        context: What is known [s].
        horizon: What is imagined [s].
        generator: Source of the inputs.
        hold: How long one input is held [s]; the study's own times if None.
    """
    labels = tuple(rates)
    whole = build_rollouts(system, origin, labels, context + horizon, generator, with_context=False, hold=hold)
    found = {}
    for rate, rollouts in whole.items():
        own = split_rollouts(rollouts, steps_within(context, nominal_delta_t(rate)))
        at_mean = None
        if own.parameters is not None:
            mean = own.parameters.mean(dim=0).expand_as(own.parameters)
            at_mean = follow(system, own.state, own.actions, own.delta_t, mean)[0]
        found[rate] = Imagined(own, at_mean)
    return found
