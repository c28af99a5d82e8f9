"""Errors of single pairs, for maps of the state space."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch

from tdlib.core.facts import TRAIN_RATES
from tdlib.core.specs import EnvironmentSpec
from tdlib.evaluation.errors import squared_error
from tdlib.evaluation.measures.measure import Measure, Subject
from tdlib.evaluation.measures.one_step import pair_query, split_rates
from tdlib.evaluation.measures.take import Question, take
from tdlib.evaluation.sets.gather import TestSets, first_of, gather_pairs, members_of
from tdlib.evaluation.tables import Axes, Member, tidy
from tdlib.speed import Model, has_memory


def pointwise_errors(
    model: Model,
    test_sets: TestSets,
    spec: EnvironmentSpec,
    members: Sequence[Member] | None = None,
    *,
    rates: Sequence[str] | None = None,
    num_points: int = 500,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Score single pairs of the pooled set, or of the log.

    Args:
        model: Stack of K models, or one model.
        test_sets: One test set, or one per seed.
        spec: Names the dimensions and angles.
        members: K mappings with the key columns of each model.
        rates: Rates to keep; by default the training rates, of a log all.
        num_points: Pairs per rate, at most.
        device: Where the model is.

    Returns:
        Rows of key columns, point, the state's dimensions, relative_error: root mean square over dimensions of the
        error over the RMS true increment of that rate.
    """
    members = members_of(model, test_sets, spec.name, members)
    question = _question(test_sets, spec, members, has_memory(model), rates, num_points)
    return take(model, [question], len(members), device=device)[0]


def ask(
    subject: Subject, *, rates: Sequence[str] | None = None, num_points: int = 250
) -> Iterator[Question[pd.DataFrame]]:
    """Put `pointwise_errors` as one question; rows of the smallest seed are kept, since they are for pictures."""
    yield _of_first_seed(subject, _question(
        subject.test_sets, subject.spec, subject.members, subject.remembers, rates, num_points
    ))  # fmt: skip


POINTS = Measure("points", ("state_errors",), frozenset({"state", "pairs"}), ask)


def _of_first_seed(subject: Subject, question: Question[pd.DataFrame]) -> Question[pd.DataFrame]:
    table = yield from question
    return table[table["seed"] == min(subject.test_sets)].reset_index(drop=True)


def _question(
    test_sets: TestSets,
    spec: EnvironmentSpec,
    members: Sequence[Member],
    with_context: bool,
    rates: Sequence[str] | None,
    num_points: int,
) -> Question[pd.DataFrame]:
    first = first_of(test_sets, members)
    if rates is None and first.truth:
        rates = TRAIN_RATES
    pairs = gather_pairs(test_sets, members, first.main, rates=rates, count=num_points, with_context=with_context)
    (predicted,) = yield [pair_query(pairs)]
    predicted = split_rates(predicted, pairs)
    scale = (pairs.increment**2).mean(dim=-2, keepdim=True)
    error = (squared_error(predicted, pairs.next_state, spec) / scale).mean(dim=-1).sqrt()  # (K, R, N)
    states = {name: pairs.state[..., i].numpy() for i, name in enumerate(spec.state_names)}
    axes: Axes = {"test_frequency": pairs.rates, "point": np.arange(error.shape[-1])}
    return tidy(members, axes, {**states, "relative_error": error.numpy()})
