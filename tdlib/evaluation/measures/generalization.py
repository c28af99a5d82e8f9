"""How well does a model predict at intervals it was not trained on: one step, and whole sequences open loop?

`dt_generalization_test` scores one step of one model at every rate in one call. `dt_generalization` is a measure: it
scores sequences of 0.05, 0.1, 0.2 and 0.5 s, of equal numbers of steps and of equal physical time.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tdlib.core.specs import EnvironmentSpec
from tdlib.evaluation.errors import mean_over, over_dimensions, relative_error, squared_error
from tdlib.evaluation.measures.measure import Measure, Skipped, Subject
from tdlib.evaluation.measures.one_step import one_step_errors
from tdlib.evaluation.measures.take import Question, take
from tdlib.evaluation.sets.gather import TestSets, gather_sequences, members_of
from tdlib.evaluation.sets.schedules import nominal_delta_t
from tdlib.evaluation.sets.sequences import Sequences
from tdlib.evaluation.sets.test_sets import TestSet
from tdlib.evaluation.tables import KEY_COLUMNS, Member, tidy
from tdlib.speed import Model, Query

WORSE_THAN_NO_CHANGE = 1.0
DT_RATES = ("20", "10", "5", "2")  # intervals of 0.05, 0.1, 0.2 and 0.5 s
NUM_STEPS = 50
DIVERGED = 100.0  # an error of so many times the RMS true change, or one that is not finite


def dt_generalization_test(
    model: Model,
    test_sets: TestSets,
    spec: EnvironmentSpec,
    member: Member | None = None,
    *,
    train_delta_t: float | None = None,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Score one model at every rate, beside what a map that ignores Δt would score.

    Args:
        model: One model.
        test_sets: Its test set.
        spec: Names the dimensions and angles.
        member: Key columns of the model.
        train_delta_t: h of a model trained at one step [s]; gives the column fixed_step_limit = |1 − h/Δ|.
        device: Where the model is.

    Returns:
        One row per rate: test_frequency, delta_t [s], mse, relative_error, fixed_step_limit, verdict ("better than no
        change" or "worse than no change"), n.
    """
    members = None if member is None else [member]
    table = one_step_errors(model, test_sets, spec, members, sets=("pooled",), device=device)
    table = table[table["dimension"] == "all"].reset_index(drop=True)
    delta_t = np.array([nominal_delta_t(rate) for rate in table["test_frequency"]])
    limit = np.abs(1 - train_delta_t / delta_t) if train_delta_t else np.full(len(table), np.nan)
    limit[table["test_frequency"].to_numpy() == "irregular"] = np.nan
    worse = ~(table["relative_error"].to_numpy() < WORSE_THAN_NO_CHANGE)  # nan is worse
    return pd.DataFrame({
        "test_frequency": table["test_frequency"],
        "delta_t": delta_t,
        "mse": table["mse"],
        "relative_error": table["relative_error"],
        "fixed_step_limit": limit,
        "verdict": np.where(worse, "worse than no change", "better than no change"),
        "n": table["n"],
    })  # fmt: skip


def dt_generalization(
    model: Model,
    test_sets: TestSets,
    spec: EnvironmentSpec,
    members: Sequence[Member] | None = None,
    *,
    rates: Sequence[str] | None = None,
    num_steps: int = NUM_STEPS,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Score sequences of K models at several intervals, open loop, beside what two trivial predictions score.

    Means are over all starts and steps; of systems with limits, until the truth leaves them. A prediction that is not
    finite makes them infinite.

    Args:
        model: Stack of K models, or one model.
        test_sets: One test set, or one per seed.
        spec: Names the dimensions and angles.
        members: K mappings with the key columns of each model; `train_frequency` says whose exact map stands beside.
        rates: Rates to use, by default those of `DT_RATES` that the test sets have.
        num_steps: Steps of `fixed_steps`; `fixed_time` lasts as long as they do at 0.1 s.
        device: Where the model is.

    Returns:
        Key columns, protocol (`fixed_steps` or `fixed_time`), delta_t [s], horizon [s], mse [unit²], relative_error
        (RMS error over RMS true change since the start, root mean square over dimensions), no_change_mse (of
        persistence, whose relative error is 1), unaware_mse and unaware_error (of the exact map of the training
        interval that ignores Δt; nan of models of several intervals), n_diverged (starts with an error above 100 times
        the RMS true change, or not finite), n starts.

    Raises:
        ValueError: If the test sets have no such rate.
    """
    members = members_of(model, test_sets, spec.name, members)
    sets = {test_sets.seed: test_sets} if isinstance(test_sets, TestSet) else test_sets
    asked = list(ask(Subject(model, members, sets, None, device), rates=rates, num_steps=num_steps))
    questions = [question for question in asked if not isinstance(question, Skipped)]
    if not questions:
        raise ValueError(f"test_sets must have one of the rates {list(rates or DT_RATES)}, got none")
    return pd.concat(take(model, questions, len(members), device=device), ignore_index=True)


def ask(
    subject: Subject, *, rates: Sequence[str] | None = None, num_steps: int = NUM_STEPS
) -> Iterator[Question[pd.DataFrame] | Skipped]:
    """Put `dt_generalization` as one question."""
    there = subject.test_set.rollouts
    chosen = tuple(rate for rate in rates or DT_RATES if rate in there)
    if chosen:
        yield _sequences(subject, chosen, num_steps)
    else:
        yield Skipped("", f"needs one of the test rates {', '.join(rates or DT_RATES)}")


DT_GENERALIZATION = Measure(
    "dt_generalization", ("dt_generalization",), frozenset({"state", "rollouts", "sequences"}), ask
)


def sequence_query(sequences: Sequences) -> Query:
    """Ask for all sequences of one protocol and rate, fields (K|1, S, ...)."""
    rollouts = sequences.rollouts
    return Query(rollouts.state, rollouts.actions, rollouts.delta_t, rollouts.context)


def diverged(predicted: Tensor, sequences: Sequences, spec: EnvironmentSpec) -> Tensor:
    """Whether a prediction (K, S, T, D) is lost somewhere on its way, (K, S) bool."""
    rollouts = sequences.rollouts
    typical = ((rollouts.states - rollouts.state.unsqueeze(2)) ** 2).mean(dim=(1, 2), keepdim=True)
    error = squared_error(predicted, rollouts.states, spec)
    return ~(error <= DIVERGED**2 * typical).all(dim=-1).all(dim=-1)


def _sequences(subject: Subject, rates: tuple[str, ...], num_steps: int) -> Question[pd.DataFrame]:
    every = gather_sequences(subject.test_sets, subject.members, rates, num_steps, with_context=subject.remembers)
    answers = yield [sequence_query(one) for one in every]
    parts = [_rows(one, found, subject.spec, subject.members) for one, found in zip(every, answers, strict=True)]
    return pd.concat(parts, ignore_index=True)


def _rows(sequences: Sequences, predicted: Tensor, spec: EnvironmentSpec, members: Sequence[Member]) -> pd.DataFrame:
    rollouts = sequences.rollouts
    kept = None if rollouts.inside is None else rollouts.inside.flatten(1, 2)

    def mean(squared: Tensor) -> Tensor:
        """Over starts and steps: (K|1, S, T, D) -> (K|1, D); what is not finite is infinitely wrong."""
        return mean_over(squared.nan_to_num(nan=torch.inf, posinf=torch.inf).flatten(1, 2), kept, dim=-1)

    change = mean((rollouts.states - rollouts.state.unsqueeze(2)) ** 2)

    def score(states: Tensor) -> tuple[Tensor, Tensor]:
        mse = mean(squared_error(states, rollouts.states, spec))
        whole = over_dimensions(mse, relative_error(mse, change))
        return whole[0][:, -1], whole[1][:, -1]

    count = len(members)
    mse, relative = score(predicted)
    unaware = {rate: score(states) for rate, states in sequences.unaware.items()}
    limits = torch.full((2, count), torch.nan, dtype=torch.float64)
    for k, member in enumerate(members):
        if (own := str(member.get("train_frequency", ""))) in unaware:
            limits[:, k] = torch.stack([values.expand(count)[k] for values in unaware[own]])
    values = {
        "delta_t": torch.full((count,), sequences.delta_t, dtype=torch.float64),
        "horizon": rollouts.times[-1].expand(count),
        "mse": mse,
        "relative_error": relative,
        "no_change_mse": change.mean(dim=-1).expand(count),
        "unaware_mse": limits[0],
        "unaware_error": limits[1],
        "n_diverged": diverged(predicted, sequences, spec).sum(dim=1),
    }
    shaped = {name: x.unsqueeze(1).numpy() for name, x in values.items()}
    table = tidy(members, {"test_frequency": [sequences.rate]}, {**shaped, "n": predicted.shape[1]})
    table.insert(len(KEY_COLUMNS), "protocol", sequences.protocol)
    return table
