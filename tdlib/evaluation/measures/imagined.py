"""How good are long predictions after a known stretch, as they go on: their error, their likelihood, their intervals?

Two windows of 0.5 s are known, ten seconds are imagined. Errors and likelihoods are averaged over a window that slides
along the prediction, as the founding document of two time scales has it; here it is as long in seconds at every rate
as rows allow, half a second to the nearest row, and ends where a row does.
Errors are counted in standard deviations of the true states of that rate, dimension by dimension, so that units and
rates compare. Of models that say how sure they are, a calibrated one finds the truth in its intervals of 50, 80 and
95 % as often as they say, and its probability integral transform Φ((x − μ)/σ) is uniform.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tdlib.core.specs import state_difference, wrap_state
from tdlib.evaluation.measures.measure import Measure, Skipped, Subject
from tdlib.evaluation.measures.take import Question
from tdlib.evaluation.sets.gather import gather_imagined
from tdlib.evaluation.sets.imagination import Imagined
from tdlib.evaluation.sets.schedules import nominal_delta_t
from tdlib.evaluation.sliding import FLOOR, mean_before
from tdlib.evaluation.tables import KEY_COLUMNS, frequency_value, tidy
from tdlib.models import DynamicsModel, Prediction
from tdlib.models.beliefs.likelihood import negative_log_likelihood
from tdlib.speed import Query, Stack
from tdlib.speed.structure import num_models

WINDOW, NUM_WINDOWS, HORIZON = 0.5, 2, 10.0  # [s] of a window; known windows; [s] imagined
FINEST_RATE = 50.0  # [Hz] rates above are not asked about: their paths are longer, and no less smooth
LEVELS = (0.5, 0.8, 0.95)
NUM_BINS = 10
SPANS = {"to 1 s": (0.0, 1.0), "1 to 3 s": (1.0, 3.0), "3 s on": (3.0, float("inf"))}
MAX_STEPS = 12_000  # K x S x T predicted at once: a transformer compares each step with all before it


def ask(subject: Subject, *, horizon: float = HORIZON) -> Iterator[Question[Mapping[str, pd.DataFrame]] | Skipped]:
    """Put one question per rate.

    Args:
        subject: Models and what they are asked about.
        horizon: What is imagined [s].

    Yields:
        Rows of key columns, of `sliding_windows`: time [s] at which the window ends (0 for the first step alone),
        window [s] (its own length, in whole rows), rmse, nll (nan of models without a variance), hidden_rmse (of the
        exact flow at the mean of a hidden parameter; nan where there is none), n starts. Of `interval_calibration`:
        span, coverage_50, coverage_80, coverage_95 (share of true values within the interval), pit_1 … pit_10 (share
        in each tenth of the transform),
        spread (RMS standard deviation, in those of the true states), error (RMS error, likewise), n starts.
    """
    there = [rate for rate in subject.test_set.rollouts if not frequency_value(rate) > FINEST_RATE]
    found = gather_imagined(subject.test_sets, subject.members, tuple(there), NUM_WINDOWS * WINDOW, horizon)
    if not found:
        yield Skipped("", "needs a path as long as what is known and what is imagined")
    for rate, imagined in found.items():
        yield _question(subject, rate, imagined)


IMAGINED = Measure("imagined", ("sliding_windows", "interval_calibration"), frozenset({"state", "rollouts"}), ask)


def predict_with_spread(subject: Subject, imagined: Imagined) -> Prediction:
    """Ask models that predict a variance for whole stretches: states and variances (K, S, T, D) float64."""
    rollouts, parts, model = imagined.rollouts, [], subject.model
    assert isinstance(model, Stack | DynamicsModel)  # what else predicts states alone
    count, num_steps = num_models(model), rollouts.delta_t.shape[-1]
    chunk = max(1, MAX_STEPS // (count * num_steps))
    assert rollouts.context is not None  # the stretch that is known
    with torch.inference_mode():
        for begin in range(0, rollouts.state.shape[1], chunk):

            def own(x: Tensor, begin: int = begin) -> Tensor:
                return x[:, begin : begin + chunk].to(subject.device, torch.float32 if x.is_floating_point() else None)

            state, actions, delta_t = (own(x) for x in (rollouts.state, rollouts.actions, rollouts.delta_t))
            found = model.predict(state, actions, delta_t, rollouts.context.map(own))
            parts.append(Prediction(found.state, found.variance).map(lambda x: x.to("cpu", torch.float64)))
    return Prediction.joined(parts, lambda several: torch.cat(several, dim=1)).map(torch.clone)


def _question(subject: Subject, rate: str, imagined: Imagined) -> Question[Mapping[str, pd.DataFrame]]:
    rollouts = imagined.rollouts
    if "variance" in subject.predicts:
        yield []
        found = predict_with_spread(subject, imagined)
    else:
        context = rollouts.context if subject.remembers else None
        (states,) = yield [Query(rollouts.state, rollouts.actions, rollouts.delta_t, context)]
        found = Prediction(states)
    scored = _Scores(subject, imagined, found)
    return {"sliding_windows": scored.sliding(subject, rate), "interval_calibration": scored.calibration(subject, rate)}


class _Scores:
    """Errors of one rate in standard deviations of the true states, (K, S, T, D)."""

    def __init__(self, subject: Subject, imagined: Imagined, found: Prediction):
        truth, spec = imagined.rollouts.states, subject.spec
        self.scale = wrap_state(truth, spec).std(dim=(1, 2), keepdim=True)
        self.error = state_difference(found.state, truth, spec) / self.scale
        self.variance = None if found.variance is None else found.variance / self.scale**2
        self.missed = None
        if imagined.at_mean is not None:
            self.missed = state_difference(imagined.at_mean, truth, spec) / self.scale
        self.times = imagined.rollouts.times

    def sliding(self, subject: Subject, rate: str) -> pd.DataFrame:
        step, num_steps = nominal_delta_t(rate) if rate != "recorded" else float(self.times[0]), self.error.shape[2]
        window = max(1, round(WINDOW / step))
        ends = window_ends(step, num_steps, window, whole=rate != "recorded")
        squared = self.error.square().mean(dim=-1).nan_to_num(nan=torch.inf)
        values = {"rmse": _sliding(squared, ends, window).sqrt()}
        values["nll"] = torch.full_like(values["rmse"], torch.nan)
        if self.variance is not None:
            zero = torch.zeros_like(self.error)
            values["nll"] = _sliding(negative_log_likelihood(self.error, zero, self.variance, FLOOR), ends, window)
        values["hidden_rmse"] = torch.full_like(values["rmse"], torch.nan)
        if self.missed is not None:
            values["hidden_rmse"] = (
                _sliding(self.missed.square().mean(dim=-1), ends, window).sqrt().expand_as(values["rmse"])
            )
        times = [0.0, *(WINDOW * round(end * step / WINDOW) for end in ends)]
        shaped = {name: x.unsqueeze(1).numpy() for name, x in values.items()}
        counts = {"window": np.array(window * step), "n": self.error.shape[1]}
        return tidy(subject.members, {"test_frequency": [rate], "time": times}, shaped | counts)

    def calibration(self, subject: Subject, rate: str) -> pd.DataFrame:
        if self.variance is None:
            return pd.DataFrame()
        unit = self.error / self.variance.sqrt()  # true minus predicted has the other sign
        transform = torch.special.ndtr(-unit)
        bins = (transform * NUM_BINS).nan_to_num(nan=0.0).long().clamp(0, NUM_BINS - 1)
        tables = []
        for span, (begin, end) in SPANS.items():
            kept = (self.times > begin + 1e-9) & (self.times <= end + 1e-9)
            if not kept.any():
                continue

            def mean(x: Tensor, kept: Tensor = kept) -> np.ndarray:
                return x[:, :, kept].double().flatten(1).mean(dim=1, keepdim=True).numpy()

            values = {f"coverage_{100 * level:g}": mean(unit.abs() <= _half_width(level)) for level in LEVELS}
            values |= {f"pit_{k + 1}": mean(bins == k) for k in range(NUM_BINS)}
            values |= {"spread": np.sqrt(mean(self.variance)), "error": np.sqrt(mean(self.error.square()))}
            table = tidy(subject.members, {"test_frequency": [rate]}, values | {"n": self.error.shape[1]})
            table.insert(len(KEY_COLUMNS), "span", span)
            tables.append(table)
        return pd.concat(tables, ignore_index=True)


def window_ends(step: float, num_steps: int, window: int, *, whole: bool = True) -> list[int]:
    """Return rows before which windows end: those of every half second.

    Args:
        step: Interval of a row [s].
        num_steps: Rows of the prediction.
        window: Rows of a window.
        whole: Whether half seconds that are not whole rows are left out, as every other one at 5 and 25 Hz; else the
            nearest row is taken, where intervals vary in any case.
    """
    last = int(num_steps * step / WINDOW + 1e-6) if whole else round(num_steps * step / WINDOW)
    rows = [k * WINDOW / step for k in range(1, last + 1)]
    kept = [min(round(end), num_steps) for end in rows if not whole or abs(end - round(end)) < 1e-6 * end]
    return [end for end in kept if end >= window]


def _sliding(scores: Tensor, ends: Sequence[int], window: int) -> Tensor:
    """First step alone, then each window: (K, S, T) -> (K, M)."""
    return torch.stack([scores[..., 0], *(mean_before(scores, end, window) for end in ends)], dim=-1).mean(dim=1)


def _half_width(level: float) -> float:
    """Standard deviations on each side of the mean that hold a share of a normal variable."""
    return float(torch.special.ndtri(torch.tensor(0.5 + level / 2, dtype=torch.float64)))
