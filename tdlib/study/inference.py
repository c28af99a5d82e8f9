"""Intervals and tests for results of few seeds: seeds are the independent repetitions, starts are nested in them."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

EXACT_SIGN_FLIPS = 12  # up to here all 2^n sign patterns are enumerated
TIE = 1e-12  # relative; sign patterns that equal the observed mean up to rounding count as ties

Values = np.ndarray | Sequence[Sequence[float]]


@dataclass(frozen=True)
class Interval:
    """An estimate with its bootstrap interval.

    Args:
        mean: The estimate from all data.
        ci_low: Lower end of the percentile interval.
        ci_high: Upper end.
        n_seeds: Independent repetitions.
        n: Values in all.
    """

    mean: float
    ci_low: float
    ci_high: float
    n_seeds: int
    n: int


@dataclass(frozen=True)
class PairedTest:
    """A paired test.

    Args:
        mean: Mean difference.
        p_value: Two-sided, or of the equivalence claim.
        n: Pairs.
        exact: Whether all sign patterns were enumerated (sign-flip test).
    """

    mean: float
    p_value: float
    n: int
    exact: bool = False


def hierarchical_bootstrap(
    values: Values, *, generator: np.random.Generator, num_resamples: int = 2000, confidence: float = 0.95
) -> Interval:
    """Mean over seeds of the mean over starts, with an interval: seeds are resampled, then starts inside each.

    Args:
        values: One row of values per seed; rows may differ in length.
        generator: Source of the resamples.
        num_resamples: Bootstrap samples.
        confidence: Coverage of the percentile interval.

    Raises:
        ValueError: If there is no value, or one is not finite.
    """
    padded, lengths = _padded(values)
    weights = _resampled_counts(lengths, padded.shape[1], num_resamples, generator)  # (R, S, E)
    means = (weights * padded).sum(axis=2) / np.maximum(weights.sum(axis=2), 1)
    drawn = weights.sum(axis=2) / lengths  # how often each seed was drawn
    estimates = (drawn * means).sum(axis=1) / drawn.sum(axis=1)
    point = np.mean([row[:n].mean() for row, n in zip(padded, lengths, strict=True)])
    return _interval(point, estimates, lengths, confidence)


def seed_bootstrap(
    values: np.ndarray, *, generator: np.random.Generator, num_resamples: int = 2000, confidence: float = 0.95
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means over seeds with intervals for many measures at once; all measures meet the same resamples.

    Args:
        values: (G, S) one row per measure, one column per seed, finite.
        generator: Source of the resamples.
        num_resamples: Bootstrap samples.
        confidence: Coverage of the percentile interval.

    Returns:
        Mean, lower and upper end, (G,) each.

    Raises:
        ValueError: If a value is not finite or there is no seed.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or values.shape[1] == 0 or not np.isfinite(values).all():
        raise ValueError(f"values must be finite with one row per measure, got shape {values.shape}")
    num_seeds = values.shape[1]
    drawn = generator.integers(num_seeds, size=(num_resamples, num_seeds))
    weights = np.stack([(drawn == seed).sum(axis=1) for seed in range(num_seeds)], axis=1) / num_seeds  # (R, S)
    low, high = np.quantile(values @ weights.T, [(1 - confidence) / 2, (1 + confidence) / 2], axis=1)
    return values.mean(axis=1), low, high


def ratio_of_sums_bootstrap(
    numerators: Values,
    denominators: Values,
    *,
    generator: np.random.Generator,
    transform: Callable[[np.ndarray], np.ndarray] = lambda ratio: ratio,
    num_resamples: int = 2000,
    confidence: float = 0.95,
) -> Interval:
    """Σ numerators / Σ denominators with an interval, numerator and denominator resampled together.

    A relative error is such a ratio: with squared errors over squared increments pass `transform=np.sqrt`.

    Args:
        numerators: One row per seed.
        denominators: The same shape, with positive sums.
        generator: Source of the resamples.
        transform: Applied to every ratio.
        num_resamples: Bootstrap samples.
        confidence: Coverage of the percentile interval.

    Raises:
        ValueError: If the rows do not pair up, a value is not finite, or the denominators do not sum to more than 0.
    """
    top, lengths = _padded(numerators)
    bottom, other_lengths = _padded(denominators)
    if list(lengths) != list(other_lengths):
        raise ValueError(f"denominators must pair up with numerators, got rows of {other_lengths} and {lengths}")
    if bottom.sum() <= 0:
        raise ValueError(f"denominators must sum to more than 0, got {bottom.sum()}")
    weights = _resampled_counts(lengths, top.shape[1], num_resamples, generator)
    ratios = (weights * top).sum(axis=(1, 2)) / (weights * bottom).sum(axis=(1, 2))
    point = float(transform(np.asarray(top.sum() / bottom.sum())))
    return _interval(point, transform(ratios), lengths, confidence)


def sign_flip_test(
    differences: Sequence[float], *, generator: np.random.Generator | None = None, num_resamples: int = 100_000
) -> PairedTest:
    """Paired two-sided test of a mean difference of 0: how often do random signs give as large a mean?

    Exact for at most 12 pairs, where the smallest possible value is 2 / 2^n; above that by random signs, with the
    observed pattern counted.

    Args:
        differences: One per seed.
        generator: Source of random signs, needed for more than 12 pairs.
        num_resamples: Random sign patterns.

    Raises:
        ValueError: If there is no difference, one is not finite, or a generator is missing.
    """
    x = _checked_vector(differences, "differences")
    observed = abs(x.sum()) * (1 - TIE)
    if len(x) <= EXACT_SIGN_FLIPS:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(x))))
        return PairedTest(float(x.mean()), float((np.abs(signs @ x) >= observed).mean()), len(x), exact=True)
    if generator is None:
        raise ValueError(f"generator must be given for more than {EXACT_SIGN_FLIPS} pairs, got {len(x)} pairs")
    signs = generator.choice((1.0, -1.0), size=(num_resamples, len(x)))
    count = int((np.abs(signs @ x) >= observed).sum())
    return PairedTest(float(x.mean()), (count + 1) / (num_resamples + 1), len(x))


def smallest_p_value(n: int) -> float:
    """Smallest two-sided value that a sign-flip test of n pairs can reach: 0.0625 for 5, 0.00195 for 10."""
    return min(1.0, 2.0 ** (1 - n))


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Adjust p-values for testing all of them at once, (n,) -> (n,) in the given order.

    Raises:
        ValueError: If a value lies outside [0, 1].

    Source:
        Holm (1979), A simple sequentially rejective multiple test procedure.
    """
    p = np.asarray(p_values, dtype=float)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p_values must be numbers in [0, 1], got {p_values}")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def tost(differences: Sequence[float], margin: float) -> PairedTest:
    """Paired equivalence test: a small value says that the mean difference lies within ± margin.

    Two one-sided t tests; the value is the larger of the two.

    Args:
        differences: One per seed, at least two.
        margin: Largest difference that counts as none.

    Raises:
        ValueError: If the margin is not positive, or there are fewer than two finite differences.
    """
    x = _checked_vector(differences, "differences")
    if not (math.isfinite(margin) and margin > 0):
        raise ValueError(f"margin must be positive and finite, got {margin}")
    if len(x) < 2:
        raise ValueError(f"differences must be at least two, got {len(x)}")
    error = x.std(ddof=1) / math.sqrt(len(x))
    if error == 0:
        return PairedTest(float(x.mean()), 0.0 if abs(x.mean()) < margin else 1.0, len(x))
    above = stats.t.sf((x.mean() + margin) / error, len(x) - 1)
    below = stats.t.cdf((x.mean() - margin) / error, len(x) - 1)
    return PairedTest(float(x.mean()), float(max(above, below)), len(x))


def _interval(point: float, estimates: np.ndarray, lengths: np.ndarray, confidence: float) -> Interval:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    low, high = np.quantile(estimates, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(point), float(low), float(high), len(lengths), int(lengths.sum()))


def _padded(values: Values) -> tuple[np.ndarray, np.ndarray]:
    """Return rows filled up with zeros (S, E) and their lengths (S,)."""
    rows = [_checked_vector(row, "values") for row in values]
    if not rows:
        raise ValueError("values must hold at least one seed, got none")
    lengths = np.array([len(row) for row in rows])
    padded = np.zeros((len(rows), lengths.max()))
    for row, target in zip(rows, padded, strict=True):
        target[: len(row)] = row
    return padded, lengths


def _resampled_counts(
    lengths: np.ndarray, width: int, num_resamples: int, generator: np.random.Generator
) -> np.ndarray:
    """How often each value enters each resample, (R, S, E): seeds drawn with replacement, then starts inside each."""
    num_seeds = len(lengths)
    counts = np.zeros((num_resamples, num_seeds, width))
    rows = np.arange(num_resamples)
    for _ in range(num_seeds):
        seed = generator.integers(num_seeds, size=num_resamples)
        draws = (generator.random((num_resamples, width)) * lengths[seed, None]).astype(int)
        used = np.arange(width) < lengths[seed, None]
        np.add.at(counts, (rows[:, None], seed[:, None], draws), used.astype(float))
    return counts


def _checked_vector(values: Sequence[float], name: str) -> np.ndarray:
    x = np.atleast_1d(np.asarray(values, dtype=float))
    if x.ndim != 1 or len(x) == 0 or not np.isfinite(x).all():
        raise ValueError(f"{name} must be a sequence of finite numbers, at least one, got {values}")
    return x
