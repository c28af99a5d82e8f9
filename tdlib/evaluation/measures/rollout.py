"""Open-loop rollouts: predictions fed back over one second under a known input, and their error against time."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tdlib.core.specs import EnvironmentSpec
from tdlib.evaluation.errors import mean_over, mse_over_horizon, over_dimensions, relative_error
from tdlib.evaluation.measures.measure import Measure, Subject
from tdlib.evaluation.measures.take import Question, take
from tdlib.evaluation.sets.gather import TestSets, first_of, gather_rollouts, members_of
from tdlib.evaluation.sets.rollout_sets import RolloutSet
from tdlib.evaluation.tables import Member, tidy
from tdlib.models import Context
from tdlib.speed import Model, Query, has_memory, predict_queries

TIMES_PER_SECOND = 10  # errors are kept at the steps nearest to these times, so that tables stay small at 200 Hz
Keep = Callable[[str, Sequence[Member], Tensor, RolloutSet], None]  # (rate, members, predicted (K, S, T, D), the truth)


def open_loop_rollout(
    model: Model,
    state: Tensor,
    actions: Tensor,
    delta_t: Tensor,
    context: Context | None = None,
    *,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Predict from true starts with every prediction fed back.

    Args:
        model: Stack or model.
        state: (K|1, S, D) starts; a single model may also be given (S, D) and the rest without the leading axis.
        actions: (K|1, S, T, A) held inputs.
        delta_t: (K|1, S, T) intervals [s].
        context: The true steps before the starts, for models with memory.
        device: Where the model is.

    Returns:
        (K, S, T, D) float64, or (S, T, D) for inputs without the leading axis.
    """
    if state.dim() == 2:
        past = None if context is None else context.map(lambda x: x.unsqueeze(0))
        state, actions, delta_t = (x.unsqueeze(0) for x in (state, actions, delta_t))
        return open_loop_rollout(model, state, actions, delta_t, past, device=device).squeeze(0)
    return predict_queries(model, [Query(state, actions, delta_t, context)], device=device)[0]


def rollout_errors(
    model: Model,
    test_sets: TestSets,
    spec: EnvironmentSpec,
    members: Sequence[Member] | None = None,
    *,
    rates: Sequence[str] | None = None,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Roll out from all starts at all rates and score against the truth, or against what a log recorded.

    Systems with limits (cart-pole) are scored twice: `truncated` counts a rollout only until its truth leaves the
    limits, beside it all rollouts count to the end. Relative error at time t is RMS error over RMS true change since
    the start.

    Args:
        model: Stack of K models, or one model.
        test_sets: One test set, or one per seed.
        spec: Names the dimensions and angles.
        members: K mappings with the key columns of each model.
        rates: Rates to use, by default all of the test sets.
        device: Where the model is.

    Returns:
        Key columns, time [s], dimension ("all"; single ones at the last time), truncated, mse, relative_error, n
        (starts averaged: those whose truth is still within its limits, of truncated rows; a time that none reaches has
        no row), n_starts.
    """
    members = members_of(model, test_sets, spec.name, members)
    questions = _questions(test_sets, spec, members, has_memory(model), rates, None)
    return pd.concat(take(model, questions, len(members), device=device), ignore_index=True)


def ask(
    subject: Subject, *, rates: Sequence[str] | None = None, keep: Keep | None = None
) -> Iterator[Question[pd.DataFrame]]:
    """Put `rollout_errors` as questions, one per rate.

    Args:
        subject: Models and what they are asked about.
        rates: Rates to use, by default all of the test sets.
        keep: Given every prediction, for example to store it.
    """
    return _questions(subject.test_sets, subject.spec, subject.members, subject.remembers, rates, keep)


ROLLOUT = Measure("rollout", ("rollout_errors",), frozenset({"state", "rollouts"}), ask)


def _questions(
    test_sets: TestSets,
    spec: EnvironmentSpec,
    members: Sequence[Member],
    with_context: bool,
    rates: Sequence[str] | None,
    keep: Keep | None,
) -> Iterator[Question[pd.DataFrame]]:
    for rate in rates or tuple(first_of(test_sets, members).rollouts):
        yield _rollouts(test_sets, spec, members, rate, with_context, keep)


def _rollouts(
    test_sets: TestSets,
    spec: EnvironmentSpec,
    members: Sequence[Member],
    rate: str,
    with_context: bool,
    keep: Keep | None,
) -> Question[pd.DataFrame]:
    rollouts = gather_rollouts(test_sets, members, rate, with_context=with_context)
    (predicted,) = yield [Query(rollouts.state, rollouts.actions, rollouts.delta_t, rollouts.context)]
    if keep is not None:
        keep(rate, members, predicted, rollouts)
    return _error_table(predicted, rollouts, spec, members, rate)


def kept_steps(times: np.ndarray) -> np.ndarray:
    """Indices of the steps nearest to 0.1, 0.2, ... s, and the last; steps longer than that are all kept."""
    marks = np.arange(1, int(round(times[-1] * TIMES_PER_SECOND)) + 1) / TIMES_PER_SECOND
    nearest = np.abs(times[None, :] - marks[:, None]).argmin(axis=1) if len(marks) else np.zeros(0, dtype=int)
    return np.unique(np.append(nearest, len(times) - 1))


def _error_table(
    predicted: Tensor, rollouts: RolloutSet, spec: EnvironmentSpec, members: Sequence[Member], rate: str
) -> pd.DataFrame:
    steps = torch.from_numpy(kept_steps(rollouts.times.numpy()))
    predicted, truth = predicted[:, :, steps], rollouts.states[:, :, steps]
    change = (truth - rollouts.state.unsqueeze(2)) ** 2
    everything = {False: torch.ones(truth.shape[:3], dtype=torch.bool)}
    until_exit = {} if rollouts.inside is None else {True: rollouts.inside[:, :, steps]}
    tables = []
    for truncated, kept in (everything | until_exit).items():
        mse = mse_over_horizon(predicted, truth, spec, kept.expand(predicted.shape[:3]))
        mse, relative = over_dimensions(mse, relative_error(mse, mean_over(change, kept, dim=-2)))
        averaged = kept.sum(dim=1).unsqueeze(-1).numpy()
        axes = {"test_frequency": [rate], "time": np.round(rollouts.times[steps].numpy(), 6),
                "dimension": (*spec.state_names, "all"), "truncated": [truncated]}  # fmt: skip
        values = {"mse": mse, "relative_error": relative}
        shaped = {name: x.unsqueeze(1).unsqueeze(-1).numpy() for name, x in values.items()}
        shaped |= {"n": averaged[:, None, :, :, None], "n_starts": np.array(kept.shape[1])}
        tables.append(tidy(members, axes, shaped))
    table = pd.concat(tables, ignore_index=True)
    single = table["dimension"] != "all"
    return table[(table["n"] > 0) & ~(single & (table["truncated"] | (table["time"] < table["time"].max())))]
