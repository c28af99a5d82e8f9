"""What models are tested on: held-out states, flowed exactly to every interval; of a log, its recorded intervals.

`pooled` pairs come from the test episodes of all rates together, so every model is asked about the same states at every
rate; `ppo` keeps each rate's own test states; `shift` are states of another policy. Where limits cut the state (a speed
that a simulator clips), pairs that touch one at any of the rates are drawn again: a clip is no part of the equation,
and a few of them decide the numbers. `contacts` are pooled pairs as they come. Truth is the exact flow in float64.
A set without a system has the one pair set `log`. Everything is decided by the seed.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tdlib.core.facts import CONTEXT_STEPS, RATES
from tdlib.core.seeding import torch_generator
from tdlib.core.specs import EnvironmentSpec
from tdlib.data import TransitionDataset
from tdlib.evaluation.sets.history import PairOrigin, pair_context, sample_origins
from tdlib.evaluation.sets.imagination import Imagined, build_imagined
from tdlib.evaluation.sets.log_sets import log_sets, log_stretches
from tdlib.evaluation.sets.pairs import PairSet
from tdlib.evaluation.sets.rollout_sets import RolloutSet, build_rollouts
from tdlib.evaluation.sets.schedules import pair_intervals, past_intervals
from tdlib.evaluation.sets.sequences import Sequences, build_sequences
from tdlib.evaluation.tables import frequency_label
from tdlib.models import Context
from tdlib.systems import System

MAX_DRAWS = 50


@dataclass(frozen=True)
class TestSet:
    """Everything one seed's models are tested on.

    Args:
        spec: Names, units and angles of the states.
        seed: Seed of the data and of all choices made here.
        pairs: Pair sets by name, the main one first: "pooled", and where given "ppo", "shift", "contacts"; of a log
            "log".
        rollouts: Rollouts by rate label.
        truth: Whether the truth is known at every interval, not only at the recorded ones.
        sequences: (rates, number of steps) -> test sequences at several intervals from the same starts, built when they
            are first asked for; None of a log.
        imagined: (rates, context [s], horizon [s]) -> long predictions after a known stretch, by rate, likewise; of a
            log its recorded stretches, at its one rate, none where no episode is as long.
    """

    __test__ = False  # not a test case, whatever pytest thinks of the name

    spec: EnvironmentSpec
    seed: int
    pairs: Mapping[str, PairSet]
    rollouts: Mapping[str, RolloutSet]
    truth: bool = True
    sequences: Callable[[tuple[str, ...], int], tuple[Sequences, ...]] | None = None
    imagined: Callable[[tuple[str, ...], float, float], Mapping[str, Imagined]] | None = None

    @property
    def env(self) -> str:
        """Environment name."""
        return self.spec.name

    @property
    def main(self) -> str:
        """Name of the main pair set."""
        return next(iter(self.pairs))


def build_test_set(
    system: System | None,
    datasets: Sequence[TransitionDataset],
    *,
    seed: int,
    rates: Sequence[float | str] = RATES,
    num_pairs: int = 4096,
    num_starts: int = 50,
    horizon: float = 1.0,
    hold: float | None = None,
    own_states: bool = True,
    shift: Sequence[TransitionDataset] = (),
    num_shift_pairs: int | None = None,
    num_context_pairs: int | None = None,
) -> TestSet:
    """Sample pairs and rollout starts from test episodes and compute the truth.

    Args:
        system: Exact flow; None for a log, which is scored on its own recorded intervals (`build_log_set`).
        datasets: Test splits of all rates, of one policy; pooled with equal shares.
        seed: Decides every choice.
        rates: Test rates [Hz] and "irregular"; a log has its own.
        num_pairs: Pairs N per set and rate.
        num_starts: Rollout starts.
        horizon: Length of rollouts [s].
        hold: How long one input of a rollout is held [s]; the study's own times if None.
        own_states: Also build "ppo": at each rate that was collected, the states of that rate's own test split.
        shift: Sets of another policy; pooled into "shift".
        num_shift_pairs: Pairs of "shift", by default a quarter of `num_pairs`.
        num_context_pairs: Pairs (the first ones) that also get the true steps before them; None for all, 0 for none.

    Raises:
        ValueError: If there is no data set, or one is of another environment or too small to sample from.
    """
    _check(system, datasets, "datasets")
    num_context_pairs = num_pairs if num_context_pairs is None else num_context_pairs
    if num_pairs < 1 or num_starts < 1:
        raise ValueError(f"num_pairs and num_starts must be >= 1, got {num_pairs} and {num_starts}")
    if system is None:
        sizes = {"num_pairs": num_pairs, "num_starts": num_starts, "num_context_pairs": num_context_pairs}
        recorded, rollouts = log_sets(datasets, seed=seed, horizon=horizon, **sizes)

        @functools.cache
        def stretches(rates: tuple[str, ...], context: float, horizon: float) -> Mapping[str, Imagined]:
            found = log_stretches(datasets, seed=seed, num_starts=num_starts, context=context, horizon=horizon)
            return {rate: Imagined(rollouts) for rate, rollouts in found.items() if rate in rates}

        return TestSet(datasets[0].spec, seed, {"log": recorded}, rollouts, truth=False, imagined=stretches)
    pairs = build_pairs(
        system,
        datasets,
        seed=seed,
        rates=rates,
        num_pairs=num_pairs,
        own_states=own_states,
        shift=shift,
        num_shift_pairs=num_shift_pairs,
        num_context_pairs=num_context_pairs,
    )
    stream = _streams(system, seed)
    labels = tuple(frequency_label(rate) for rate in rates)
    origin = sample_origins(datasets, num_starts, stream("starts"))
    drawn = stream("rollouts")
    rollouts = build_rollouts(system, origin, labels, horizon, drawn, with_context=num_context_pairs > 0, hold=hold)

    @functools.cache
    def sequences(rates: tuple[str, ...], num_steps: int) -> tuple[Sequences, ...]:
        return build_sequences(system, rollouts, rates, trained, num_steps, stream("sequences", num_steps))

    @functools.cache
    def imagined(rates: tuple[str, ...], context: float, horizon: float) -> Mapping[str, Imagined]:
        return build_imagined(system, origin, rates, context, horizon, stream("imagined", context, horizon), hold)

    found = [dataset.control_frequency for dataset in datasets]
    trained = tuple(frequency_label(rate) for rate in found if rate is not None)
    return TestSet(system.spec, seed, pairs, rollouts, sequences=sequences, imagined=imagined)


def build_pairs(
    system: System,
    datasets: Sequence[TransitionDataset],
    *,
    seed: int,
    rates: Sequence[float | str] = RATES,
    num_pairs: int = 4096,
    own_states: bool = True,
    shift: Sequence[TransitionDataset] = (),
    num_shift_pairs: int | None = None,
    num_context_pairs: int = 0,
) -> dict[str, PairSet]:
    """Build the pair sets of `build_test_set` alone, by name; the same pairs with and without contexts."""
    labels, stream = tuple(frequency_label(rate) for rate in rates), _streams(system, seed)
    pairs = {"pooled": _pooled(system, datasets, labels, num_pairs, stream("pooled"), num_context_pairs)}
    if own_states:
        own = _own(system, datasets, labels, num_pairs, stream("own"), num_context_pairs)
        if own is not None:
            pairs["ppo"] = own
    if shift:
        _check(system, shift, "shift")
        count = max(1, num_pairs // 4) if num_shift_pairs is None else num_shift_pairs
        known = min(num_context_pairs, count)
        pairs["shift"] = _pooled(system, shift, labels, count, stream("shift"), known)
    if system.clips:
        pairs["contacts"] = _pooled(
            system, datasets, labels, num_pairs, stream("pooled"), num_context_pairs, free=False
        )
    return pairs


def _streams(system: System, seed: int) -> Callable[..., torch.Generator]:
    """Return the source of random numbers for each purpose."""
    return lambda *purpose: torch_generator(seed, system.spec.name, "test set", *purpose)


def flow_pairs(
    system: System,
    state: Tensor,
    action: Tensor,
    delta_t: Tensor,
    rates: tuple[str, ...],
    context: Context | None = None,
    parameters: Tensor | None = None,
) -> PairSet:
    """Compute the truth of pairs (R, N, ...) under intervals (R, N), with parameters (R, N, P) where they are drawn."""
    outcome = system.simulate(state, action, delta_t, parameters)
    return PairSet(rates, state, action, delta_t, outcome.next_state, outcome.limit_hit, context)


def _pooled(
    system: System,
    datasets: Sequence[TransitionDataset],
    labels: tuple[str, ...],
    num_pairs: int,
    generator: torch.Generator,
    num_context_pairs: int,
    free: bool = True,
) -> PairSet:
    origin = sample_origins(datasets, num_pairs, generator)
    delta_t = pair_intervals(labels, num_pairs, generator)
    if free and system.clips:
        origin = _free_origins(system, datasets, origin, delta_t, generator)
    state, action = (column.expand(len(labels), *column.shape) for column in (origin.state, origin.action))
    context = None
    if num_context_pairs:
        count = min(num_context_pairs, num_pairs)
        past = torch.stack([past_intervals(label, count, CONTEXT_STEPS, generator) for label in labels])
        context = pair_context(origin.first(count), past)
    return flow_pairs(system, state, action, delta_t, labels, context, origin.parameters)


def _own(
    system: System,
    datasets: Sequence[TransitionDataset],
    labels: tuple[str, ...],
    num_pairs: int,
    generator: torch.Generator,
    num_context_pairs: int,
) -> PairSet | None:
    by_rate = {frequency_label(d.control_frequency): d for d in datasets if d.control_frequency is not None}
    shared = tuple(label for label in labels if label in by_rate)
    if not shared:
        return None
    origins = [sample_origins([by_rate[label]], num_pairs, generator) for label in shared]
    if system.clips:
        origins = [
            _free_origins(system, [by_rate[label]], origin, pair_intervals((label,), num_pairs, generator), generator)
            for label, origin in zip(shared, origins, strict=True)
        ]
    state, action = (torch.stack([getattr(o, name) for o in origins]) for name in ("state", "action"))
    drawn = None if origins[0].parameters is None else torch.stack([o.parameters for o in origins])
    delta_t = pair_intervals(shared, num_pairs, generator)
    context = None
    if num_context_pairs:
        count = min(num_context_pairs, num_pairs)
        past = [past_intervals(label, count, CONTEXT_STEPS, generator) for label in shared]
        found = [pair_context(origin.first(count), steps) for origin, steps in zip(origins, past, strict=True)]
        context = Context.joined(found, torch.stack)
    return flow_pairs(system, state, action, delta_t, shared, context, drawn)


def _free_origins(
    system: System,
    datasets: Sequence[TransitionDataset],
    origin: PairOrigin,
    delta_t: Tensor,
    generator: torch.Generator,
) -> PairOrigin:
    """Replace rows whose flow touches a limit at one of the intervals (R, N) by other rows.

    Raises:
        ValueError: If there are hardly any rows that touch none.
    """
    for _ in range(MAX_DRAWS):
        state, action = (x.expand(len(delta_t), *x.shape) for x in (origin.state, origin.action))
        drawn = origin.parameters
        drawn = drawn if drawn is None else drawn.expand(len(delta_t), *drawn.shape)
        hit = system.simulate(state, action, delta_t, drawn).limit_hit.any(dim=0)
        if not hit.any():
            return origin
        origin = origin.replaced(hit.numpy(), sample_origins(datasets, int(hit.sum()), generator))
    raise ValueError(
        f"datasets must hold states of {system.spec.name} that touch no limit within {float(delta_t.max()):g} s, "
        f"found none for {int(hit.sum())} of {len(origin)} pairs in {MAX_DRAWS} draws"
    )


def _check(system: System | None, datasets: Sequence[TransitionDataset], name: str) -> None:
    if not datasets:
        raise ValueError(f"{name} must hold at least one data set, got none")
    wanted = datasets[0].spec.name if system is None else system.spec.name
    for dataset in datasets:
        if dataset.spec.name != wanted:
            raise ValueError(f"{name} must be of {wanted}, got one of {dataset.spec.name}")
        if len(dataset) == 0:
            raise ValueError(f"{name} must not be empty, got a set of {dataset.control_frequency} Hz without rows")
