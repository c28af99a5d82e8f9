"""Does the spread of an ensemble warn of a rate it was not trained on, does it grow with the error, and as an alarm?

The score of a prediction is its spread over the ensemble's members relative to the RMS true change at that rate, and
the error is measured in the same unit, so that an honest spread lies on the diagonal. The alarm sounds where the score
is above a threshold that half of the pairs at known rates set; the other half says how often it sounds there in vain.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tdlib.core.facts import FAILURES, FALSE_ALARMS, TRAIN_RATES
from tdlib.core.specs import EnvironmentSpec
from tdlib.evaluation.errors import auroc, rank_correlation, squared_error
from tdlib.evaluation.measures.measure import Measure, Subject
from tdlib.evaluation.measures.take import Question
from tdlib.evaluation.sets.gather import TestSets, first_of, gather_pairs, join_rates, members_of
from tdlib.evaluation.tables import Member, tidy
from tdlib.speed.predict import MAX_ROWS, Model
from tdlib.speed.structure import num_members, num_models

NUM_BINS = 10
ALARM_COUNTS = ("n_tested", "n_alarms", "n_failures", "n_missed")


def ensemble_calibration(
    model: Model,
    test_sets: TestSets,
    spec: EnvironmentSpec,
    members: Sequence[Member] | None = None,
    *,
    num_pairs: int = 1024,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Compare spread and error at every rate.

    Args:
        model: Stack of K ensembles, or one ensemble.
        test_sets: One test set, or one per seed.
        spec: Names the angles.
        members: K mappings with the key columns of each ensemble; train_frequency says which rates count as known.
        num_pairs: Pairs per rate, at most.
        device: Where the model is.

    Returns:
        Rows of key columns, bin ("all", or "1" ... "10" by rising spread), spread and error (RMS in the bin, relative
        to the RMS true change), correlation (Spearman, over pairs) and auroc (probability that a pair at this rate has
        a larger spread than one at a known rate, nan where none is known) in the rows "all", n. There too, of the
        second half of the pairs: n_tested, n_alarms (score above the threshold that 5 % of the first half of the known
        ones exceed), n_failures (error of half the RMS true change or more), n_missed (failures without an alarm).

    Raises:
        ValueError: If the model has no members.
    """
    members = members_of(model, test_sets, spec.name, members)
    pairs = gather_pairs(test_sets, members, first_of(test_sets, members).main, count=num_pairs)
    inputs = [join_rates(x) for x in (pairs.state, pairs.action, pairs.delta_t)]
    mean, spread = (x.unflatten(1, pairs.delta_t.shape[1:]) for x in _predict(model, inputs, device))
    scale = (pairs.increment**2).mean(dim=-2, keepdim=True)
    error = (squared_error(mean, pairs.next_state, spec) / scale).mean(dim=-1).sqrt()  # (K, R, N)
    score = (spread**2 / scale).mean(dim=-1).sqrt()

    size = error.shape[-1] // NUM_BINS
    bins = score.argsort(dim=-1)[..., : size * NUM_BINS].unflatten(-1, (NUM_BINS, size))
    columns = {name: _per_bin(values, bins) for name, values in (("spread", score), ("error", error))}
    shape = error.shape[:2]
    correlation, alarm = np.full((*shape, NUM_BINS + 1), np.nan), np.full((*shape, NUM_BINS + 1), np.nan)
    sounded = {name: np.full((*shape, NUM_BINS + 1), np.nan) for name in ALARM_COUNTS}
    for k, member in enumerate(members):
        rate = str(member.get("train_frequency", ""))
        own = [i for i, r in enumerate(pairs.rates) if r == rate or (rate not in pairs.rates and r in TRAIN_RATES)]
        known = score[k, own].flatten()
        if own:
            for name, values in _count_alarms(score[k], error[k], own).items():
                sounded[name][k, :, 0] = values
        for r in range(shape[1]):
            correlation[k, r, 0] = rank_correlation(score[k, r], error[k, r])
            alarm[k, r, 0] = auroc(score[k, r], known) if own else np.nan
    counts = np.array([error.shape[-1]] + [size] * NUM_BINS)
    axes = {"test_frequency": pairs.rates, "bin": ["all", *map(str, range(1, NUM_BINS + 1))]}
    return tidy(members, axes, {**columns, "correlation": correlation, "auroc": alarm, **sounded, "n": counts})


def ask(subject: Subject, *, num_pairs: int = 1024) -> Iterator[Question[pd.DataFrame]]:
    """Put `ensemble_calibration` as one question, which asks the ensembles' members itself."""

    def question() -> Question[pd.DataFrame]:
        yield []
        return ensemble_calibration(
            subject.model, subject.test_sets, subject.spec, subject.members, num_pairs=num_pairs, device=subject.device
        )

    yield question()


CALIBRATION = Measure("calibration", ("ensemble_calibration",), frozenset({"spread", "pairs"}), ask)


def _predict(model: Model, inputs: Sequence[Tensor], device: torch.device | str) -> tuple[Tensor, Tensor]:
    """Mean and spread in chunks: (K|1, B, D), (K|1, B, A), (K|1, B) -> (K, B, D) float64 each."""
    if not hasattr(model, "member_predictions"):
        raise ValueError(f"model must be an ensemble or a stack of them, got {type(model).__name__}")
    stacked = hasattr(model, "num_models")
    chunk = max(1, MAX_ROWS // (num_models(model) * num_members(model)))
    parts = []
    with torch.inference_mode():
        for begin in range(0, inputs[0].shape[1], chunk):
            chunks = [x[:, begin : begin + chunk].to(device, torch.float32) for x in inputs]
            predictions = model.member_predictions(*chunks).to("cpu", torch.float64)
            axis = 1 if stacked else 0
            parts.append((predictions.mean(dim=axis), predictions.std(dim=axis)))
    mean, spread = (torch.cat(x, dim=1).clone() for x in zip(*parts, strict=True))
    return mean, spread


def _count_alarms(score: Tensor, error: Tensor, own: Sequence[int]) -> dict[str, Tensor | int]:
    """Counts of `ALARM_COUNTS` at every rate, from scores and errors (R, N) and the places of the known rates."""
    half = score.shape[-1] // 2
    threshold = score[own, :half].flatten().quantile(1 - FALSE_ALARMS)
    alarms, failures = score[:, half:] > threshold, error[:, half:] > FAILURES[0]
    counts = (alarms.sum(dim=-1), failures.sum(dim=-1), (failures & ~alarms).sum(dim=-1))
    return dict(zip(ALARM_COUNTS, (alarms.shape[-1], *counts), strict=True))


def _per_bin(values: Tensor, bins: Tensor) -> np.ndarray:
    """RMS over all pairs, then over each bin: (K, R, N), (K, R, bins, size) -> (K, R, 1 + bins)."""
    chosen = values.unsqueeze(-2).expand(*bins.shape[:-1], values.shape[-1]).gather(-1, bins)
    rms = (chosen**2).mean(dim=-1).sqrt()
    return torch.cat([(values**2).mean(dim=-1, keepdim=True).sqrt(), rms], dim=-1).numpy()
