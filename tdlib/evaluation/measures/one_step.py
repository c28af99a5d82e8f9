"""Errors of a single prediction over one interval, at every rate."""

from collections.abc import Iterator, Sequence

import pandas as pd
import torch
from torch import Tensor

from tdlib.core.specs import EnvironmentSpec
from tdlib.evaluation.errors import mean_over, over_dimensions, relative_error, squared_error
from tdlib.evaluation.measures.measure import Measure, Skipped, Subject
from tdlib.evaluation.measures.take import Question, take
from tdlib.evaluation.sets.gather import (
    TestSets,
    first_of,
    gather_pairs,
    join_context,
    join_rates,
    members_of,
    rate_groups,
)
from tdlib.evaluation.sets.test_sets import PairSet
from tdlib.evaluation.tables import KEY_COLUMNS, Member, tidy
from tdlib.speed import Model, Query, has_memory


def one_step_errors(
    model: Model,
    test_sets: TestSets,
    spec: EnvironmentSpec,
    members: Sequence[Member] | None = None,
    *,
    sets: Sequence[str] | None = None,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Score predictions of one interval against the exact flow, or against the next state of a log.

    A model with memory sees the true steps before each pair and is asked only about pairs whose past is known.

    Args:
        model: Stack of K models, or one model.
        test_sets: One test set, or one per seed.
        spec: Names the dimensions and angles.
        members: K mappings with the key columns of each model; by default nameless models of the test set's seed.
        sets: Names of the pair sets to use, by default all; those that a test set lacks are left out.
        device: Where the model is.

    Returns:
        Rows of key columns, test_set, dimension ("all" or a state name), mse [unit²], relative_error, n_limit_hit
        (pairs that touch the speed limit; they count here, and are left out of consistency and convergence), n.
    """
    members = members_of(model, test_sets, spec.name, members)
    questions = _questions(test_sets, spec, members, sets, has_memory(model))
    asked = [question for question in questions if not isinstance(question, Skipped)]
    return pd.concat(take(model, asked, len(members), device=device), ignore_index=True)


def ask(subject: Subject, *, sets: Sequence[str] | None = None) -> Iterator[Question[pd.DataFrame] | Skipped]:
    """Put `one_step_errors` as questions, one per pair set and group of rates."""
    return _questions(subject.test_sets, subject.spec, subject.members, sets, subject.remembers)


ONE_STEP = Measure("one_step", ("one_step_errors",), frozenset({"state", "pairs"}), ask)


def _questions(
    test_sets: TestSets, spec: EnvironmentSpec, members: Sequence[Member], sets: Sequence[str] | None, remembers: bool
) -> Iterator[Question[pd.DataFrame] | Skipped]:
    first = first_of(test_sets, members)
    for name in sets or first.pairs:
        available = first.pairs.get(name)
        if available is None:
            continue
        if remembers and available.context is None:
            yield Skipped(f"pairs of {name}", "needs pairs whose past is known: the model remembers")
            continue
        for rates in rate_groups(available.rates, len(members), available.delta_t.shape[1]):
            yield _one_step(test_sets, spec, members, name, rates, remembers)


def _one_step(
    test_sets: TestSets,
    spec: EnvironmentSpec,
    members: Sequence[Member],
    name: str,
    rates: Sequence[str],
    with_context: bool,
) -> Question[pd.DataFrame]:
    pairs = gather_pairs(test_sets, members, name, rates=rates, with_context=with_context)
    (predicted,) = yield [pair_query(pairs)]
    return _table(split_rates(predicted, pairs), pairs, spec, members, name)


def pair_query(pairs: PairSet) -> Query:
    """Ask for all pairs of all rates, fields (K|1, R, N, ...)."""
    context = None if pairs.context is None else join_context(pairs.context)
    state, action, delta_t = (join_rates(x) for x in (pairs.state, pairs.action, pairs.delta_t))
    return Query(state, action.unsqueeze(2), delta_t.unsqueeze(2), context)


def split_rates(predicted: Tensor, pairs: PairSet) -> Tensor:
    """Order the answer to `pair_query` by rate: (K, R·N, 1, D) -> (K, R, N, D)."""
    return predicted.squeeze(2).unflatten(1, pairs.delta_t.shape[1:])


def _table(
    predicted: Tensor, pairs: PairSet, spec: EnvironmentSpec, members: Sequence[Member], name: str
) -> pd.DataFrame:
    mse = mean_over(squared_error(predicted, pairs.next_state, spec), None, dim=-1)  # (K, R, D)
    mse, relative = over_dimensions(mse, relative_error(mse, (pairs.increment**2).mean(dim=-2)))
    axes = {"test_frequency": pairs.rates, "dimension": (*spec.state_names, "all")}
    hits = pairs.limit_hit.sum(dim=-1).unsqueeze(-1).numpy()
    values = {"mse": mse.numpy(), "relative_error": relative.numpy(), "n_limit_hit": hits, "n": pairs.delta_t.shape[-1]}
    table = tidy(members, axes, values)
    table.insert(len(KEY_COLUMNS), "test_set", name)
    return table
