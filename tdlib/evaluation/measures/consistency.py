"""Does one coarse step equal several fine ones? The semigroup defect of a learned map.

    S_n(Δ) = RMS(Φ_Δ(x, a) − Φ_{Δ/n}^{∘n}(x, a)) / RMS(φ_Δ(x, a) − x)

The exact flow has 0, but so have persistence and every field integrated accurately, however wrong: the defect means
something only beside the relative error, which stands in the same row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tdlib.core.specs import EnvironmentSpec
from tdlib.core.time_grid import delta_t_of, num_steps
from tdlib.evaluation.errors import mean_over, over_dimensions, relative_error, squared_error
from tdlib.evaluation.measures.measure import Measure, Skipped, Subject
from tdlib.evaluation.measures.take import Question, take
from tdlib.evaluation.sets.gather import TestSets, first_of, gather_pairs, members_of
from tdlib.evaluation.sets.test_sets import PairSet
from tdlib.evaluation.tables import Member, frequency_label, frequency_value, tidy
from tdlib.speed import Model, Query, has_memory

NUM_PAIRS = 256  # per comparison, the first of the test set
NOTHING_TO_COMPARE = "needs the truth at two rates, one a whole multiple of the other"
FREQUENCY_PAIRS = (("50", "10"), ("20", "10"), ("50", "25"), ("10", "5"), ("100", "20"), ("200", "50"))


def consistency_error(
    model: Model,
    test_sets: TestSets,
    spec: EnvironmentSpec,
    members: Sequence[Member] | None = None,
    *,
    frequency_pairs: Sequence[tuple[str, str]] | None = None,
    num_pairs: int = NUM_PAIRS,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Compare one coarse step with the fine steps that make it up, under one held input.

    Pairs whose coarse interval touches the speed limit are left out.

    Args:
        model: Stack of K models, or one model.
        test_sets: One test set, or one per seed; both rates of a pair must be in it. A log has no other rates, so a
            Markov model's recorded steps are compared with two halves.
        spec: Names the angles.
        members: K mappings with the key columns of each model.
        frequency_pairs: (fine, coarse) rate labels, by default `FREQUENCY_PAIRS`; the coarse interval is a whole
            number of fine ones.
        num_pairs: Pairs per comparison, at most.
        device: Where the model is.

    Returns:
        Rows of key columns (test_frequency is the coarse rate), fine_frequency, coarse_frequency, defect,
        relative_error of the coarse step, composed_error: relative error of the fine steps, n.

    Raises:
        ValueError: If a coarse interval is not a whole number of fine ones, or there is nothing to compare.
    """
    members = members_of(model, test_sets, spec.name, members)
    compared = _comparisons(test_sets, members, frequency_pairs, has_memory(model))
    if not compared:
        raise ValueError(f"frequency_pairs must hold two rates of the test sets, {NOTHING_TO_COMPARE}")
    question = _question(test_sets, spec, members, has_memory(model), compared, num_pairs)
    return take(model, [question], len(members), device=device)[0]


def ask(
    subject: Subject, *, frequency_pairs: Sequence[tuple[str, str]] | None = None, num_pairs: int = NUM_PAIRS
) -> Iterator[Question[pd.DataFrame] | Skipped]:
    """Put `consistency_error` as one question."""
    compared = _comparisons(subject.test_sets, subject.members, frequency_pairs, subject.remembers)
    if not compared:
        yield Skipped("", NOTHING_TO_COMPARE)
        return
    yield _question(subject.test_sets, subject.spec, subject.members, subject.remembers, compared, num_pairs)


CONSISTENCY = Measure("consistency", ("consistency_errors",), frozenset({"state", "pairs"}), ask)


@dataclass(frozen=True)
class _Comparison:
    """One coarse step against `count` fine ones; `past` is the rate whose true past the fine steps continue."""

    fine: str
    coarse: str
    count: int
    past: str


def _comparisons(
    test_sets: TestSets, members: Sequence[Member], frequency_pairs: Sequence[tuple[str, str]] | None, remembers: bool
) -> list[_Comparison]:
    first = first_of(test_sets, members)
    rates = first.pairs[first.main].rates
    if first.truth:
        pairs = [
            _Comparison(fine, coarse, num_steps(delta_t_of(float(coarse)), delta_t_of(float(fine))), fine)
            for fine, coarse in frequency_pairs or FREQUENCY_PAIRS
        ]
        return [pair for pair in pairs if pair.fine in rates and pair.coarse in rates]
    return [] if remembers else [_Comparison(twice(rate), rate, 2, rate) for rate in rates]


def twice(rate: str) -> str:
    """Label of twice a rate."""
    value = frequency_value(rate)
    return f"2 x {rate}" if isnan(value) else frequency_label(2 * value)


def _question(
    test_sets: TestSets,
    spec: EnvironmentSpec,
    members: Sequence[Member],
    with_context: bool,
    compared: Sequence[_Comparison],
    num_pairs: int,
) -> Question[pd.DataFrame]:
    name = first_of(test_sets, members).main
    queries, truth = [], []
    for pair in compared:
        pairs, past = (
            gather_pairs(test_sets, members, name, rates=[rate], count=num_pairs, with_context=with_context)
            for rate in (pair.coarse, pair.past)
        )
        state, action, delta_t = pairs.state[:, 0], pairs.action[:, 0].unsqueeze(-2), pairs.delta_t[:, 0].unsqueeze(-1)
        contexts = [None if s.context is None else s.context.map(lambda x: x[:, 0]) for s in (pairs, past)]
        queries.append(Query(state, action, delta_t, contexts[0]))
        steps = action.expand(-1, -1, pair.count, -1), (delta_t / pair.count).expand(-1, -1, pair.count)
        queries.append(Query(state, *steps, contexts[1], only_last=True))
        truth.append(pairs)
    answers = yield queries
    tables = []
    for pair, pairs, once, composed in zip(compared, truth, answers[::2], answers[1::2], strict=True):
        values = _defect(once[:, :, 0], composed[:, :, 0], pairs, spec)
        table = tidy(members, {"test_frequency": [pair.coarse]}, values)
        table.insert(table.columns.get_loc("defect"), "fine_frequency", pair.fine)
        table.insert(table.columns.get_loc("defect"), "coarse_frequency", pair.coarse)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _defect(once: Tensor, composed: Tensor, pairs: PairSet, spec: EnvironmentSpec) -> dict[str, np.ndarray]:
    """Columns of one comparison, (K, 1) each, from both predictions (K, N, D)."""
    state, target, kept = pairs.state[:, 0], pairs.next_state[:, 0], ~pairs.limit_hit[:, 0]
    change = mean_over((target - state) ** 2, kept, dim=-1)
    compared = {"defect": (once, composed), "relative_error": (once, target), "composed_error": (composed, target)}
    values = {}
    for name, (a, b) in compared.items():
        mse = mean_over(squared_error(a, b, spec), kept.expand(a.shape[:2]), dim=-1)
        values[name] = over_dimensions(mse, relative_error(mse, change))[1][:, -1:].numpy()
    return values | {"n": kept.sum(dim=1, keepdim=True).numpy()}
