"""What models are tested on: held-out states, flowed exactly to every interval.

`pooled` pairs come from the test episodes of all rates together, so every model is asked about the same states at every
rate; `ppo` keeps each rate's own test states; `shift` are states of another policy. Truth is the exact flow in float64.
Everything is decided by the seed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tdlib.core.seeding import torch_generator
from tdlib.data import TransitionDataset
from tdlib.evaluation.sets.history import CONTEXT_STEPS, PairOrigin, pair_context
from tdlib.evaluation.sets.rollout_sets import RolloutSet, build_rollouts
from tdlib.evaluation.sets.schedules import RATES, pair_intervals, past_intervals
from tdlib.evaluation.tables import frequency_label
from tdlib.models import Context
from tdlib.systems import System


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


@dataclass(frozen=True)
class TestSet:
    """Everything one seed's models are tested on.

    Args:
        env: Environment name.
        seed: Seed of the data and of all choices made here.
        pairs: Pair sets by name: "pooled", and where given "ppo" and "shift".
        rollouts: Rollouts by rate label.
    """

    __test__ = False  # not a test case, whatever pytest thinks of the name

    env: str
    seed: int
    pairs: Mapping[str, PairSet]
    rollouts: Mapping[str, RolloutSet]


def build_test_set(
    system: System,
    datasets: Sequence[TransitionDataset],
    *,
    seed: int,
    rates: Sequence[float | str] = RATES,
    num_pairs: int = 4096,
    num_starts: int = 50,
    horizon: float = 1.0,
    own_states: bool = True,
    shift: Sequence[TransitionDataset] = (),
    num_shift_pairs: int | None = None,
    num_context_pairs: int = 256,
) -> TestSet:
    """Sample pairs and rollout starts from test episodes and compute the truth.

    Args:
        system: Exact flow.
        datasets: Test splits of all rates, of one policy; pooled with equal shares.
        seed: Decides every choice.
        rates: Test rates [Hz] and "irregular".
        num_pairs: Pairs N per set and rate.
        num_starts: Rollout starts.
        horizon: Length of rollouts [s].
        own_states: Also build "ppo": at each rate that was collected, the states of that rate's own test split.
        shift: Sets of another policy; pooled into "shift".
        num_shift_pairs: Pairs of "shift", by default a quarter of `num_pairs`.
        num_context_pairs: Pairs (the first ones) that also get the true steps before them; 0 for none.

    Raises:
        ValueError: If there is no data set, or one is of another environment or too small to sample from.
    """
    labels = tuple(frequency_label(rate) for rate in rates)
    _check(system, datasets, "datasets")
    if num_pairs < 1 or num_starts < 1:
        raise ValueError(f"num_pairs and num_starts must be >= 1, got {num_pairs} and {num_starts}")

    def stream(*purpose: object) -> torch.Generator:
        return torch_generator(seed, system.spec.name, "test set", *purpose)

    pairs = {"pooled": _pooled(system, datasets, labels, num_pairs, stream("pooled"), num_context_pairs)}
    if own_states:
        own = _own(system, datasets, labels, num_pairs, stream("own"))
        pairs |= {"ppo": own} if own else {}
    if shift:
        _check(system, shift, "shift")
        count = max(1, num_pairs // 4) if num_shift_pairs is None else num_shift_pairs
        pairs["shift"] = _pooled(system, shift, labels, count, stream("shift"), num_context_pairs // 4)
    origin = sample_origins(datasets, num_starts, stream("starts"))
    rollouts = build_rollouts(system, origin, labels, horizon, stream("rollouts"), with_context=num_context_pairs > 0)
    return TestSet(system.spec.name, seed, pairs, rollouts)


def flow_pairs(
    system: System,
    state: Tensor,
    action: Tensor,
    delta_t: Tensor,
    rates: tuple[str, ...],
    context: Context | None = None,
) -> PairSet:
    """Compute the truth of pairs (R, N, ...) under intervals (R, N)."""
    outcome = system.simulate(state, action, delta_t)
    return PairSet(rates, state, action, delta_t, outcome.next_state, outcome.limit_hit, context)


def sample_origins(datasets: Sequence[TransitionDataset], count: int, generator: torch.Generator) -> PairOrigin:
    """Draw rows from several sets with equal shares, without repetition where a set is large enough."""
    which, rows = [], []
    for i, dataset in enumerate(datasets):
        share = count // len(datasets) + (i < count % len(datasets))
        order = torch.randperm(len(dataset), generator=generator)
        if share > len(dataset):  # small presets: repeat rows rather than fail
            order = torch.randint(len(dataset), (share,), generator=generator)
        which.append(np.full(share, i))
        rows.append(order[:share].numpy())
    shuffle = torch.randperm(count, generator=generator).numpy()
    return PairOrigin(tuple(datasets), np.concatenate(which)[shuffle], np.concatenate(rows)[shuffle])


def _pooled(
    system: System,
    datasets: Sequence[TransitionDataset],
    labels: tuple[str, ...],
    num_pairs: int,
    generator: torch.Generator,
    num_context_pairs: int,
) -> PairSet:
    origin = sample_origins(datasets, num_pairs, generator)
    delta_t = pair_intervals(labels, num_pairs, generator)
    state, action = (column.expand(len(labels), *column.shape) for column in (origin.state, origin.action))
    context = None
    if num_context_pairs:
        count = min(num_context_pairs, num_pairs)
        past = torch.stack([past_intervals(label, count, CONTEXT_STEPS, generator) for label in labels])
        context = pair_context(origin.first(count), past)
    return flow_pairs(system, state, action, delta_t, labels, context)


def _own(
    system: System,
    datasets: Sequence[TransitionDataset],
    labels: tuple[str, ...],
    num_pairs: int,
    generator: torch.Generator,
) -> PairSet | None:
    by_rate = {frequency_label(d.control_frequency): d for d in datasets if d.control_frequency is not None}
    shared = tuple(label for label in labels if label in by_rate)
    if not shared:
        return None
    origins = [sample_origins([by_rate[label]], num_pairs, generator) for label in shared]
    state, action = (torch.stack([getattr(o, name) for o in origins]) for name in ("state", "action"))
    return flow_pairs(system, state, action, pair_intervals(shared, num_pairs, generator), shared)


def _check(system: System, datasets: Sequence[TransitionDataset], name: str) -> None:
    if not datasets:
        raise ValueError(f"{name} must hold at least one data set, got none")
    for dataset in datasets:
        if dataset.spec.name != system.spec.name:
            raise ValueError(f"{name} must be of {system.spec.name}, got one of {dataset.spec.name}")
        if len(dataset) == 0:
            raise ValueError(f"{name} must not be empty, got a set of {dataset.control_frequency} Hz without rows")
