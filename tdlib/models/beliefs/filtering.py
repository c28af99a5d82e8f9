"""A belief through time: told what was seen, moved on, told again; the Kalman filter of every level of every model."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from tdlib.models.beliefs.belief import Belief
from tdlib.models.beliefs.conditioning import Evidence, condition
from tdlib.models.beliefs.unrolled import LinearStep, filter_linear

Advance = Callable[[Belief, Any], Belief]  # a belief after a step, from the one before and what else has an effect


class Effects(Protocol):
    """What else moves a belief, step by step: beliefs in a row, or what a dynamics makes of them and the intervals."""

    def unstack(self) -> Sequence[Any]:
        """Take them apart."""


def filter_beliefs(
    prior: Belief,
    seen: Evidence,
    effects: Effects,
    advance: Advance,
    detach_every: int | None = None,
    exists: Tensor | None = None,
) -> tuple[Belief, Belief]:
    """Condition and advance in turn.

    Args:
        prior: Of the first step; its batch shape may be smaller.
        seen: (..., T, d) what each step shows.
        effects: (..., S, ·) what else moves the belief from each step to the next, S = T, or T − 1 if nothing is asked
            beyond the last.
        advance: (posterior, effect) -> next prior.
        detach_every: Steps after which the gradient through the carried belief is cut; None never cuts it. What is
            returned keeps its own.
        exists: (..., T) whether a step does; after one that does not the first prior is back. None: all do.

    Returns:
        Priors (..., S + 1, ·), the given one first, and posteriors (..., T, ·).
    """
    plain = not prior.mean.requires_grad
    if plain and isinstance(advance, LinearStep) and isinstance(effects, Belief):  # its gradient is written out
        return filter_linear(prior, seen, effects, advance, detach_every, exists)
    moves = effects.unstack()
    first = carried = prior.expand(*seen.precision.shape[:-2])
    priors, posteriors = [carried], []
    for t, member in enumerate(seen.unstack()):
        posteriors.append(condition(carried, member))
        if t == len(moves):
            break
        carried = advance(posteriors[-1], moves[t])
        if exists is not None:
            there = exists[..., t, None]
            carried = Belief(*(torch.where(there, x, x0) for x, x0 in zip(carried, first, strict=True)))
        priors.append(carried)
        if detach_every is not None and (t + 1) % detach_every == 0:
            carried = carried.detach()
    return Belief.stack(priors), Belief.stack(posteriors)
