"""A first reading of one model on one log: how it errs at the recorded intervals, and whether it knows what Δt is.

    response = RMS(g(2h) − g(h/2)) / RMS(g(h)),   g(Δ) = Φ_Δ(x, a) − x

is 0 for a map of one step and 1.5 for increments proportional to Δt. A map of the step h errs at the interval Δ by some
|1 − h/Δ| of the true change, so it is told apart before anything is tried on a robot.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tdlib.core.specs import EnvironmentSpec, state_difference
from tdlib.core.time_grid import TOLERANCE
from tdlib.data import TransitionDataset
from tdlib.evaluation.errors import relative_error, squared_error
from tdlib.evaluation.sets.pairs import PairSet
from tdlib.evaluation.sets.test_sets import build_test_set
from tdlib.speed import Model, Query, has_memory, predict_queries

NUM_BINS = 4  # quarters of the recorded intervals, shortest first
IGNORES = 0.05  # a response below this is that of a map of one step; increments proportional to Δt have 1.5
STEPS = (0.5, 1.0, 2.0)  # in units of h


@dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` found; printed, it is its sentence.

    Args:
        env: Name of the log's environment.
        train_delta_t: h [s].
        errors: Rows bin ("all", and where intervals differ "1" ... "4" from the shortest quarter to the longest),
            delta_t (median) [s], model, rescaled, persistence (relative errors; rescaled is the model's increment of
            the step h times Δ/h), fixed_step_limit (RMS of |1 − h/Δ|), n.
        steps: Rows delta_t (h/2, h, 2h) [s], increment (RMS over that of the step h), fixed_step_limit |1 − h/Δ|.
        defect: Difference of one recorded step and two halves of it, relative to the true change; nan for a model that
            remembers, whose past at half steps nobody recorded.
        response: See above.
        sentence: All that in words and numbers.
    """

    env: str
    train_delta_t: float
    errors: pd.DataFrame
    steps: pd.DataFrame
    defect: float
    response: float
    sentence: str

    @property
    def ignores_delta_t(self) -> bool:
        """Whether the model is a map of one step, whatever interval it is asked for."""
        return self.response < IGNORES

    @property
    def own_error(self) -> float:
        """Relative error over all recorded intervals."""
        return float(self.errors["model"].iloc[0])

    def __str__(self) -> str:
        return self.sentence


def diagnose(
    model: Model,
    dataset: TransitionDataset,
    *,
    train_delta_t: float | None = None,
    num_pairs: int = 4096,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Diagnosis:
    """Score a model on a log's own intervals beside persistence and rescaling, and look at its increments at others.

    No system is needed: nothing is compared with a truth that was not recorded.

    Args:
        model: One model.
        dataset: Rows the model was not trained on, for example the test split of a log.
        train_delta_t: h, the step it was trained at [s]; by default the model's own.
        num_pairs: Recorded rows, at most; drawn by the seed.
        seed: Decides which.
        device: Where the model is.

    Raises:
        ValueError: If h is neither given nor the model's, or is not positive.
    """
    h = getattr(model, "train_delta_t", None) if train_delta_t is None else train_delta_t
    if h is None or not float(h) > 0:
        raise ValueError(f"train_delta_t must be given and positive [s] for a model without one, got {h}")
    h, spec = float(h), dataset.spec
    known = num_pairs if has_memory(model) else 0
    test_set = build_test_set(None, [dataset], seed=seed, num_pairs=num_pairs, num_starts=1, num_context_pairs=known)
    pairs = test_set.pairs[test_set.main]
    predicted, composed, at = _predictions(model, pairs, h, device)

    state, target, delta_t = pairs.state[0], pairs.next_state[0], pairs.delta_t[0]
    increments = {factor: state_difference(end, state, spec) for factor, end in at.items()}
    rescaled = state + (delta_t / h).unsqueeze(-1) * increments[1.0]
    rows = [_errors("all", slice(None), (predicted, rescaled, state), target, state, delta_t, h, spec)]
    if float(delta_t.max()) > float(delta_t.min()) * (1 + TOLERANCE):
        for i, index in enumerate(torch.tensor_split(delta_t.argsort(), NUM_BINS), start=1):
            if len(index):
                rows.append(_errors(str(i), index, (predicted, rescaled, state), target, state, delta_t, h, spec))
    errors = pd.DataFrame(rows)
    own = (increments[1.0] ** 2).mean(dim=0)
    steps = pd.DataFrame({
        "delta_t": [factor * h for factor in STEPS],
        "increment": [_relative((increments[factor] ** 2).mean(dim=0), own) for factor in STEPS],
        "fixed_step_limit": [abs(1 - 1 / factor) for factor in STEPS],
    })  # fmt: skip
    response = _relative(squared_error(at[2.0], at[0.5], spec).mean(dim=0), own)
    change = ((target - state) ** 2).mean(dim=0)
    defect = np.nan if composed is None else _relative(squared_error(predicted, composed, spec).mean(dim=0), change)
    sentence = _sentence(errors, delta_t, h, defect, response)
    return Diagnosis(spec.name, h, errors, steps, float(defect), response, sentence)


def _predictions(
    model: Model, pairs: PairSet, h: float, device: torch.device | str
) -> tuple[Tensor, Tensor | None, dict[float, Tensor]]:
    """Ends of the recorded steps, of two halves of them, and of the steps h/2, h, 2h, (N, D) each."""
    context = pairs.context  # the one rate of a log takes the place of the axis of models
    state, action, delta_t = pairs.state, pairs.action.unsqueeze(2), pairs.delta_t.unsqueeze(2)
    queries = [Query(state, action, delta_t, context)]
    queries += [Query(state, action, torch.full_like(delta_t, factor * h), context) for factor in STEPS]
    if context is None:
        queries.append(Query(state, action.expand(-1, -1, 2, -1), (delta_t / 2).expand(-1, -1, 2), only_last=True))
    once, *rest = (answer[0, :, -1] for answer in predict_queries(model, queries, device=device))
    return once, rest[len(STEPS)] if context is None else None, dict(zip(STEPS, rest, strict=False))


def _errors(
    name: str,
    index: Tensor | slice,
    predictions: tuple[Tensor, Tensor, Tensor],
    target: Tensor,
    state: Tensor,
    delta_t: Tensor,
    h: float,
    spec: EnvironmentSpec,
) -> dict[str, object]:
    """One row of `Diagnosis.errors` from predictions (N, D) of model, rescaled and persistence."""
    change = ((target[index] - state[index]) ** 2).mean(dim=0)
    found = [_relative(squared_error(x[index], target[index], spec).mean(dim=0), change) for x in predictions]
    limit = float(((1 - h / delta_t[index]) ** 2).mean().sqrt())
    return {"bin": name, "delta_t": float(delta_t[index].median()),
            **dict(zip(("model", "rescaled", "persistence"), found, strict=True)),
            "fixed_step_limit": limit, "n": len(delta_t[index])}  # fmt: skip


def _relative(mse: Tensor, scale: Tensor) -> float:
    """Root mean square over dimensions of the relative errors; dimensions that never change do not count."""
    moving = scale > 0
    return float((relative_error(mse, scale)[moving] ** 2).mean().sqrt())


def _sentence(errors: pd.DataFrame, delta_t: Tensor, h: float, defect: float, response: float) -> str:
    overall = errors.iloc[0]
    low, high = float(delta_t.min()), float(delta_t.max())
    jitters = len(errors) > 1
    intervals = f"{low:.3g} to {high:.3g} s (median {overall['delta_t']:.3g} s)" if jitters else f"{low:.3g} s"
    parts = [
        f"On {overall['n']} recorded steps of {intervals} the model errs by {overall['model']:.2g} of the true change; "
        f"predicting no change errs by {overall['persistence']:.2g}, the model's increment at {h:.3g} s rescaled by "
        f"{overall['rescaled']:.2g}."
    ]
    if jitters:
        first, last = errors.iloc[1], errors.iloc[-1]
        parts.append(
            f"Over the shortest quarter of the intervals it errs by {first['model']:.2g}, over the longest by "
            f"{last['model']:.2g}."
        )
    if not np.isnan(defect):
        parts.append(f"Two half steps differ from one by {defect:.2g} of the true change.")
    if response < IGNORES:
        parts.append(
            f"It is a map of one step: its increments at {h / 2:.3g} s and {2 * h:.3g} s differ by {response:.1g} of "
            f"that at {h:.3g} s, so at an interval Δ it errs by about |1 − {h:.3g} s/Δ|, 1 at {h / 2:.3g} s and 0.5 at "
            f"{2 * h:.3g} s. Rescale its increment."
        )
    else:
        parts.append(
            f"It follows the interval: its increments at {h / 2:.3g} s and {2 * h:.3g} s differ by {response:.2g} of "
            f"that at {h:.3g} s, where proportional ones differ by 1.5."
        )
    return " ".join(parts)
