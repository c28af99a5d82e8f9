"""What is a known past worth to a model with a memory: one step after so many true rows, and after other rows.

    0 rows … 8 rows     the last rows at the interval that is asked about; the seconds of 8 rows of another interval are
                        fewer rows of a longer one
    every other of 8    what is left if every second row is lost: half as many, twice as long, with the mean input
    at the training     8 rows at the interval that the model was trained at, before a step of the interval asked
    interval            about: as many rows, and as many seconds, as in training

All end at the same state, so that only the past differs. Models without a memory are not asked.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pandas as pd
import torch
from torch import Tensor

from tdlib.core.specs import EnvironmentSpec
from tdlib.evaluation.errors import mean_over, over_dimensions, relative_error, squared_error
from tdlib.evaluation.measures.measure import Measure, Skipped, Subject
from tdlib.evaluation.measures.one_step import pair_query, split_rates
from tdlib.evaluation.measures.take import Question
from tdlib.evaluation.sets.gather import gather_pairs
from tdlib.evaluation.sets.pairs import PairSet
from tdlib.evaluation.tables import KEY_COLUMNS, Member, tidy
from tdlib.models import Context

ROWS = (0, 1, 2, 4, 8)
THINNED, OWN_INTERVAL = "every other of 8 rows", "8 rows at the training interval"
NUM_PASTS = len(ROWS) + 2
SHARE = 4  # a quarter of the pairs, the first ones: seven pasts are asked about


def ask(subject: Subject) -> Iterator[Question[pd.DataFrame] | Skipped]:
    """Put one question: rows of key columns, past, test_frequency, rows, seconds, mse, relative_error, n."""
    if not subject.remembers:
        yield Skipped("", "needs a model with a memory")
        return
    yield _question(subject)


KNOWN_ROWS = Measure("known_rows", ("known_rows",), frozenset({"state", "pairs"}), ask)


def last_rows(context: Context, count: int) -> Context:
    """Forget all but the last rows; the others stay as rows that do not exist."""
    mask = context.mask.clone()
    mask[..., : mask.shape[-1] - count] = False
    return replace(context, mask=mask)


def every_other(context: Context, spec: EnvironmentSpec) -> Context:
    """Lose every second row of an even number: the row before lasts on, under the mean of both inputs.

    Of actions that are indices the later one is kept.
    """

    def pairs(x: Tensor, axis: int) -> Tensor:
        return x.unflatten(axis, (-1, 2))

    states, delta_t = pairs(context.states, -2)[..., 0, :], pairs(context.delta_t, -1).sum(dim=-1)
    both, mask = pairs(context.actions, -2), pairs(context.mask, -1).all(dim=-1)
    actions = both[..., 1, :] if spec.discrete else both.mean(dim=-2)

    def padded(x: Tensor, axis: int) -> Tensor:
        return torch.cat([x, x], dim=axis)  # in front stand as many rows that do not exist

    nothing = torch.zeros_like(mask)
    return replace(
        context,
        states=padded(states, -2),
        actions=padded(actions, -2),
        delta_t=padded(delta_t, -1),
        mask=torch.cat([nothing, mask], dim=-1),
    )


def at_training_interval(context: Context, rates: Sequence[str], members: Sequence[Member]) -> Context:
    """Give every model the past at its own training rate at all rates; one without a single rate keeps what it has.

    Args:
        context: Fields (K|1, R, N, C, ...), the past of the same N states at R rates.
        rates: R labels.
        members: K members.
    """
    count, places = len(members), torch.arange(len(rates))
    own = [str(member.get("train_frequency", "")) for member in members]
    chosen = torch.stack([torch.full_like(places, rates.index(rate)) if rate in rates else places for rate in own])

    def of_members(x: Tensor) -> Tensor:
        return x.expand(count, *x.shape[1:])[torch.arange(count).unsqueeze(1), chosen]

    return context.map(of_members)


def _question(subject: Subject) -> Question[pd.DataFrame]:
    members, spec = subject.members, subject.spec
    name = subject.test_set.main
    there = min(test_set.pairs[name].delta_t.shape[1] for test_set in subject.test_sets.values())
    pairs = gather_pairs(subject.test_sets, members, name, count=max(1, there // SHARE), with_context=True)
    assert pairs.context is not None  # asked for
    known = pairs.context
    pasts = {f"{count} rows": last_rows(known, count) for count in ROWS}
    pasts |= {THINNED: every_other(known, spec), OWN_INTERVAL: at_training_interval(known, pairs.rates, members)}
    asked = {past: replace(pairs, context=context) for past, context in pasts.items()}
    answers = yield [pair_query(one) for one in asked.values()]
    tables = []
    for (past, one), predicted in zip(asked.items(), answers, strict=True):
        table = _rows(split_rates(predicted, pairs), one, spec, members)
        table.insert(len(KEY_COLUMNS), "past", past)
        if past == OWN_INTERVAL:
            table = table[table["train_frequency"].astype(str).isin(pairs.rates)]
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _rows(predicted: Tensor, pairs: PairSet, spec: EnvironmentSpec, members: Sequence[Member]) -> pd.DataFrame:
    assert pairs.context is not None
    mse = mean_over(squared_error(predicted, pairs.next_state, spec), None, dim=-1)  # (K, R, D)
    mse, relative = over_dimensions(mse, relative_error(mse, (pairs.increment**2).mean(dim=-2)))
    exists, shape = pairs.context.mask.double(), mse.shape[:2]
    values = {
        "rows": exists.sum(dim=-1).mean(dim=-1).expand(shape).numpy(),
        "seconds": (exists * pairs.context.delta_t).sum(dim=-1).mean(dim=-1).expand(shape).numpy(),
        "mse": mse[..., -1].numpy(),
        "relative_error": relative[..., -1].numpy(),
        "n": pairs.delta_t.shape[-1],
    }
    return tidy(members, {"test_frequency": pairs.rates}, values)
