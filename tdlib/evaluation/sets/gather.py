"""Bring the test sets of K stacked models, whose seeds may differ, into tensors with a leading axis K."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from tdlib.evaluation.sets.imagination import Imagined
from tdlib.evaluation.sets.rollout_sets import RolloutSet
from tdlib.evaluation.sets.sequences import Sequences
from tdlib.evaluation.sets.test_sets import PairSet, TestSet
from tdlib.evaluation.tables import ARM_DEFAULTS, Member
from tdlib.models import Context

Part = TypeVar("Part")
TestSets = TestSet | Mapping[int, TestSet]
MAX_PAIRS = 600_000  # K x R x N pairs held at once; the float64 tensors of one group then take some 100 MB


def members_of(model: object, test_sets: TestSets, env: str, members: Sequence[Member] | None) -> Sequence[Member]:
    """Return the members given, or nameless ones of the test set's seed.

    Raises:
        ValueError: If their number is not the number of models, or one has a seed without a test set.
    """
    count = model.num_models if hasattr(model, "num_models") else None
    if members is None:
        seed = next(iter(test_sets)) if isinstance(test_sets, Mapping) else test_sets.seed
        members = [{**ARM_DEFAULTS, "env": env, "model": "", "seed": seed}] * (count or 1)
    if count not in (None, len(members)):
        raise ValueError(f"members must name each of the {count} models, got {len(members)}")
    if isinstance(test_sets, Mapping):
        missing = {member["seed"] for member in members} - set(test_sets)
        if missing:
            raise ValueError(f"test_sets must hold every seed of the members, {sorted(test_sets)} lacks {missing}")
    return members


def first_of(test_sets: TestSets, members: Sequence[Member]) -> TestSet:
    """The first member's test set; those of other seeds have the same parts."""
    return test_sets if isinstance(test_sets, TestSet) else test_sets[members[0]["seed"]]


def rate_groups(rates: Sequence[str], num_members: int, num_pairs: int) -> list[list[str]]:
    """Cut the rates into groups that are evaluated in one pass each, small enough for memory."""
    size = max(1, MAX_PAIRS // (num_members * num_pairs))
    return [list(rates[i : i + size]) for i in range(0, len(rates), size)]


def gather_pairs(
    test_sets: TestSets,
    members: Sequence[Member],
    name: str,
    *,
    rates: Sequence[str] | None = None,
    count: int | None = None,
    with_context: bool = False,
) -> PairSet:
    """Stack the members' pair sets: every field (K, R, N, ...), or (1, R, N, ...) where all share one set.

    Where sets differ in size (logs), all are cut to the smallest.

    Args:
        test_sets: One test set, or one per seed.
        members: K members.
        name: Pair set.
        rates: Rates to keep, those that exist; None for all.
        count: Pairs to keep per rate, the first ones.
        with_context: Keep only pairs whose past is known, and their past.

    Raises:
        ValueError: If a member has no set of that name, or with_context is asked and there is none.
    """
    own = _by_seed(test_sets, members, lambda test_set: _named(test_set, name, with_context))
    known = min(_num_pairs(pairs, with_context) for pairs in own.values())
    own = {seed: _cut(pairs, rates, min(known, count or known), with_context) for seed, pairs in own.items()}
    names = ("state", "action", "delta_t", "next_state", "limit_hit")
    state, action, delta_t, next_state, limit_hit = _stack(own, members, names)
    context = _stack_context(own, members) if with_context else None
    return PairSet(next(iter(own.values())).rates, state, action, delta_t, next_state, limit_hit, context)


def gather_rollouts(
    test_sets: TestSets, members: Sequence[Member], rate: str, *, with_context: bool = False
) -> RolloutSet:
    """Stack the members' rollouts at one rate: every field (K|1, S, ...); `times` become their mean.

    Where sets differ in size (logs), all are cut to the smallest.
    """
    return _stack_rollouts(
        _by_seed(test_sets, members, lambda test_set: test_set.rollouts[rate]), members, with_context
    )


def gather_sequences(
    test_sets: TestSets,
    members: Sequence[Member],
    rates: tuple[str, ...],
    num_steps: int,
    *,
    with_context: bool = False,
) -> list[Sequences]:
    """Stack the members' test sequences, one for every protocol and rate: every field (K|1, S, ...)."""

    def of(test_set: TestSet) -> tuple[Sequences, ...]:
        assert test_set.sequences is not None  # a log has none, and is not asked
        return test_set.sequences(rates, num_steps)

    own = _by_seed(test_sets, members, of)
    found = []
    for several in zip(*own.values(), strict=True):
        of_seed = dict(zip(own, several, strict=True))
        rollouts = _stack_rollouts({seed: one.rollouts for seed, one in of_seed.items()}, members, with_context)
        of_members = _of_members(own, members)
        unaware = {rate: of_members(torch.stack([one.unaware[rate] for one in several])) for rate in several[0].unaware}
        found.append(Sequences(several[0].protocol, several[0].rate, rollouts, unaware))
    return found


def gather_imagined(
    test_sets: TestSets, members: Sequence[Member], rates: tuple[str, ...], context: float, horizon: float
) -> dict[str, Imagined]:
    """Stack the members' long predictions, by rate: every field (K|1, S, ...); rates that one does not have are left.

    Args:
        test_sets: One test set, or one per seed.
        members: K members.
        rates: Rates to keep, those that exist.
        context: What is known [s].
        horizon: What is imagined [s].
    """

    def of(test_set: TestSet) -> Mapping[str, Imagined]:
        return {} if test_set.imagined is None else test_set.imagined(rates, context, horizon)

    own = _by_seed(test_sets, members, of)
    found = {}
    for rate in [rate for rate in rates if all(rate in each for each in own.values())]:
        of_seed = {seed: each[rate] for seed, each in own.items()}
        rollouts = _stack_rollouts({seed: one.rollouts for seed, one in of_seed.items()}, members, with_context=True)
        means = [one.at_mean for one in of_seed.values() if one.at_mean is not None]
        at_mean = _of_members(own, members)(torch.stack(means)) if len(means) == len(own) else None
        found[rate] = Imagined(rollouts, at_mean)
    return found


def _stack_rollouts(own: dict[int, RolloutSet], members: Sequence[Member], with_context: bool) -> RolloutSet:
    num_starts, num_steps = (min(rollouts.delta_t.shape[axis] for rollouts in own.values()) for axis in (0, 1))
    own = {seed: rollouts.cut(num_starts, num_steps) for seed, rollouts in own.items()}
    first = next(iter(own.values()))
    names = ("state", "actions", "delta_t", "states", "times")
    state, actions, delta_t, states, times = _stack(own, members, names)
    inside, drawn = (
        None if getattr(first, name) is None else _stack(own, members, (name,))[0] for name in ("inside", "parameters")
    )
    context = _stack_context(own, members) if with_context else None
    return RolloutSet(state, actions, delta_t, states, inside, times.mean(dim=0), context, drawn)


def join_rates(tensor: Tensor) -> Tensor:
    """Make one batch of all rates: (K, R, N, ...) -> (K, R*N, ...)."""
    return tensor.flatten(1, 2)


def join_context(context: Context) -> Context:
    """Make one batch of the contexts of all rates: (K, R, N, C, ...) -> (K, R*N, C, ...)."""
    return context.map(join_rates)


def _named(test_set: TestSet, name: str, with_context: bool) -> PairSet:
    pairs = test_set.pairs.get(name)
    if pairs is None or (with_context and pairs.context is None):
        past = " with a known past" if with_context else ""
        raise ValueError(f"name must be a pair set{past}, among {list(test_set.pairs)}, got {name!r}")
    return pairs


def _num_pairs(pairs: PairSet, with_context: bool) -> int:
    known = pairs.context.mask if with_context and pairs.context is not None else pairs.delta_t
    return known.shape[1]


def _by_seed(test_sets: TestSets, members: Sequence[Member], pick: Callable[[TestSet], Part]) -> dict[int, Part]:
    if isinstance(test_sets, TestSet):
        return {-1: pick(test_sets)}
    return {seed: pick(test_sets[seed]) for seed in dict.fromkeys(member["seed"] for member in members)}


def _cut(pairs: PairSet, rates: Sequence[str] | None, count: int, with_context: bool) -> PairSet:
    index = [i for i, rate in enumerate(pairs.rates) if rates is None or rate in rates]

    def kept(x: Tensor) -> Tensor:
        return x[index, :count]

    return PairSet(
        rates=tuple(pairs.rates[i] for i in index),
        state=kept(pairs.state),
        action=kept(pairs.action),
        delta_t=kept(pairs.delta_t),
        next_state=kept(pairs.next_state),
        limit_hit=kept(pairs.limit_hit),
        context=pairs.context.map(kept) if with_context and pairs.context is not None else None,
    )


def _stack(own: Mapping[int, object], members: Sequence[Member], names: Sequence[str]) -> list[Tensor]:
    of_members = _of_members(own, members)
    return [of_members(torch.stack([getattr(item, name) for item in own.values()])) for name in names]


def _of_members(own: Mapping[int, object], members: Sequence[Member]) -> Callable[[Tensor], Tensor]:
    """Return what turns a stack over seeds into one over members; a single seed stays one, for all."""
    if len(own) == 1:
        return lambda stacked: stacked
    place = {seed: i for i, seed in enumerate(own)}
    index = torch.tensor([place[member["seed"]] for member in members])
    return lambda stacked: stacked[index]


def _stack_context(own: Mapping[int, PairSet] | Mapping[int, RolloutSet], members: Sequence[Member]) -> Context:
    contexts = [item.context for item in own.values() if item.context is not None]
    if len(contexts) < len(own):
        raise ValueError(f"every test set must hold the steps before its starts, {len(own) - len(contexts)} do not")
    return Context.joined(contexts, torch.stack).map(_of_members(own, members))
