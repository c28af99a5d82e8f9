"""Has a model learned a differential equation, or only the map of its training step?

    E(k) = relative error at the time T = 4h of the learned field integrated with solver step h·2^-k,   k = -2 ... 5

A continuous system passes: E falls, or stays, to a plateau as the step shrinks. A minimum at the training step h (k =
0) with a rise on both sides is the sign of a map: the field has absorbed the error of its solver. A field that is wrong
at its own step has nothing to keep, and its E is flat too: it passes only if it is good there, else it is poor.

Source: Krishnapriyan, Queiruga, Erichson, Mahoney (2023), Learning continuous models for continuous physics.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tdlib.core.facts import GOOD_AT_OWN_STEP
from tdlib.evaluation.errors import mean_over, over_dimensions, relative_error, squared_error
from tdlib.evaluation.measures.measure import Measure, Subject
from tdlib.evaluation.measures.take import Question, take
from tdlib.evaluation.sets.gather import TestSets, first_of, gather_pairs, members_of
from tdlib.evaluation.tables import Member, tidy
from tdlib.speed import Model, Query
from tdlib.systems import System

LEVELS = tuple(range(-2, 6))
TOLERANCE = 1.1  # a refined step may be this much worse than the best so far
FLOOR = 1e-5  # relative errors below are rounding in single precision


def convergence_test(
    model: Model,
    test_sets: TestSets,
    system: System,
    members: Sequence[Member] | None = None,
    *,
    train_delta_t: Tensor | float | None = None,
    num_pairs: int = 64,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> pd.DataFrame:
    """Integrate one learned field with ever smaller solver steps.

    A model that takes one solver step per interval is asked for 2^(k+2) intervals of h·2^-k in a row, which is exactly
    its field integrated with that step; states are held-out pairs, those that touch the speed limit before T are left
    out.

    Args:
        model: Stack of K models with one solver step per interval, or one model.
        test_sets: One test set, or one per seed.
        system: Exact flow.
        members: K mappings with the key columns of each model.
        train_delta_t: h of each model, (K,) or one number [s]; by default the model's own.
        num_pairs: Pairs, at most.
        device: Where the model is.
        dtype: Precision of the evaluation.

    Returns:
        Rows of key columns (test_frequency is empty), k, solver_step [s], error (relative), order (observed
        self-convergence order, nan where differences are rounding), verdict ("pass", "fail" or "poor", equal in all
        rows of a model), n.
    """
    members = members_of(model, test_sets, system.spec.name, members)
    h = own_step(model) if train_delta_t is None else train_delta_t
    question = _question(test_sets, system, members, h, num_pairs)
    return take(model, [question], len(members), device=device, dtype=dtype)[0]


def ask(subject: Subject, *, num_pairs: int = 64) -> Iterator[Question[pd.DataFrame]]:
    """Put `convergence_test` as one question, from the models' own training steps."""
    assert subject.system is not None  # the measure needs it
    yield _question(subject.test_sets, subject.system, subject.members, own_step(subject.model), num_pairs)


CONVERGENCE = Measure("convergence", ("convergence_test",), frozenset({"field", "system", "truth", "pairs"}), ask)


def own_step(model: Model) -> Tensor:
    """Return the training step [s] that a model or stack knows of itself, () or (K,).

    Raises:
        ValueError: If it does not know it.
    """
    if not hasattr(model, "train_delta_t"):
        raise ValueError(f"train_delta_t must be given for a model that has none, got {model!r}")
    return model.train_delta_t


def _question(
    test_sets: TestSets,
    system: System,
    members: Sequence[Member],
    train_delta_t: Tensor | float,
    num_pairs: int,
) -> Question[pd.DataFrame]:
    count = len(members)
    h = torch.as_tensor(train_delta_t, dtype=torch.float64).cpu().expand(count)
    pairs = gather_pairs(test_sets, members, first_of(test_sets, members).main, count=num_pairs)
    state, action = (x[:, 0].expand(count, -1, -1) for x in (pairs.state, pairs.action))
    horizon = (4 * h).unsqueeze(1).expand(-1, state.shape[1])
    outcome = system.simulate(state, action, horizon)
    kept = ~outcome.limit_hit
    change = mean_over((outcome.next_state - state) ** 2, kept, dim=-1)

    def size(a: Tensor, b: Tensor) -> np.ndarray:
        mse = mean_over(squared_error(a, b, system.spec), kept, dim=-1)
        return over_dimensions(mse, relative_error(mse, change))[1][:, -1].numpy()

    queries = []
    for k in LEVELS:
        num_steps = 2 ** (k - LEVELS[0])
        actions = action.unsqueeze(-2).expand(-1, -1, num_steps, -1)
        delta_t = (horizon / num_steps).unsqueeze(-1).expand(-1, -1, num_steps)
        queries.append(Query(state, actions, delta_t, only_last=True))
    answers = yield queries
    ends = [answer[:, :, 0] for answer in answers]
    errors = np.stack([size(end, outcome.next_state) for end in ends], axis=1)  # (K, L)
    differences = np.stack([size(a, b) for a, b in zip(ends, ends[1:], strict=False)], axis=1)
    verdicts = np.array([convergence_verdict(row) for row in errors], dtype=object)
    values = {
        "solver_step": h.unsqueeze(1).numpy() * 2.0 ** -np.array(LEVELS),
        "error": errors,
        "order": observed_order(differences),
        "verdict": verdicts[:, None],
        "n": kept.sum(dim=1, keepdim=True).numpy(),
    }
    return tidy(members, {"test_frequency": [""], "k": LEVELS}, {name: x[:, None] for name, x in values.items()})


def convergence_verdict(errors: np.ndarray) -> str:
    """Judge E(k), k = -2 ... 5.

    | verdict | meaning |
    |---|---|
    | poor | E(0) is above `GOOD_AT_OWN_STEP` or not finite: the field is wrong at its own step |
    | pass | from k = 0 on, E never rises more than a tenth above its least value so far |
    | fail | it does |
    """
    refined = np.maximum(errors[LEVELS.index(0) :], FLOOR)
    if not refined[0] <= GOOD_AT_OWN_STEP:
        return "poor"
    kept = np.isfinite(refined).all() and (refined <= TOLERANCE * np.minimum.accumulate(refined)).all()
    return "pass" if kept else "fail"


def observed_order(differences: np.ndarray) -> np.ndarray:
    """Order p = log2 of the ratio of differences between successive steps: (K, L-1) -> (K, L), nan at the end."""
    with np.errstate(divide="ignore", invalid="ignore"):
        order = np.log2(differences[:, :-1] / differences[:, 1:])
    order = np.where(differences[:, 1:] > FLOOR, order, np.nan)
    return np.concatenate([order, np.full((len(order), 2), np.nan)], axis=1)
