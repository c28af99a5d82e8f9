"""Intervals and tests for results of few seeds: seeds are the independent repetitions, episodes are nested in them."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
SIGNIFICANCE = 0.05
EXACT_SIGN_FLIPS = 12  # up to here all 2^n sign patterns are enumerated
Values = Sequence[float] | np.ndarray  # one per seed
TIE = 1e-12  # relative; sign patterns that equal the observed mean up to rounding count as ties


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval over seeds.

    Args:
        mean: The estimate.
        ci_low: Lower end; nan with one seed, which has no interval.
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


def t_intervals(values: np.ndarray, confidence: float = CONFIDENCE) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means over seeds with Student's t intervals, mean ± t(n − 1) s / √n, for many measures at once.

    Two seeds leave one degree of freedom, and an interval 12.7 times as wide as the two values lie apart.

    Args:
        values: (G, S) one row per measure, one column per seed, finite.
        confidence: Coverage.

    Returns:
        Mean, lower and upper end, (G,) each; the ends are nan with one seed.

    Raises:
        ValueError: If a value is not finite, there is no seed, or the confidence is no share.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or values.shape[1] == 0 or not np.isfinite(values).all():
        raise ValueError(f"values must be finite with one row per measure, got shape {values.shape}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    mean, count = values.mean(axis=1), values.shape[1]
    if count == 1:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    half = stats.t.ppf((1 + confidence) / 2, count - 1) * values.std(axis=1, ddof=1) / math.sqrt(count)
    return mean, mean - half, mean + half


def t_interval(values: Values, n: int | None = None, *, logarithmic: bool = False) -> Interval:
    """Mean over seeds with its 95 % t interval.

    Args:
        values: One per seed.
        n: Values behind them; one per seed if None.
        logarithmic: Take mean and interval of the logarithms, as for ratios: a geometric mean.

    Raises:
        ValueError: If there is no value, one is not finite, or not positive where logarithms are taken.
    """
    x = _checked_vector(values, "values")
    if logarithmic and not (x > 0).all():
        raise ValueError(f"values must be positive to take their logarithms, got {values}")
    ends = t_intervals((np.log(x) if logarithmic else x)[None])
    with np.errstate(over="ignore"):  # two seeds of which one diverged: an end beyond what a float holds is infinite
        mean, low, high = (float(np.exp(end[0]) if logarithmic else end[0]) for end in ends)
    return Interval(mean, low, high, len(x), len(x) if n is None else n)


def crossed_interval(rows: Values, trained: Values, n: int | None = None, *, logarithmic: bool = False) -> Interval:
    """Mean with an interval that counts two sources of chance: the rows that were tested and the networks' seeds.

    Each of k networks is tested on the same blocks of rows. The variance is s²/B of the blocks (networks averaged) plus
    s²/k of the networks (rows pooled), with Satterthwaite's degrees of freedom. What differs by block and network
    together is in both parts, so that the interval is rather wide.

    Args:
        rows: One per block, such as pseudo-values of a jackknife, of the networks' mean; they give the estimate.
        trained: One per network, over all rows.
        n: Values behind them; one per block if None.
        logarithmic: Take mean and variances of the logarithms.

    Returns:
        Its `n_seeds` is the lesser of both counts, as a verdict rests on the scarcer one; one network has no interval.

    Raises:
        ValueError: If there is no value, one is not finite, or not positive where logarithms are taken.

    Source:
        Satterthwaite (1946), An approximate distribution of estimates of variance components.
    """
    parts = [_checked_vector(rows, "rows"), _checked_vector(trained, "trained")]
    if logarithmic and not all((part > 0).all() for part in parts):
        raise ValueError(f"values must be positive to take their logarithms, got {rows} and {trained}")
    parts = [np.log(part) if logarithmic else part for part in parts]
    mean, least, count = parts[0].mean(), min(map(len, parts)), len(parts[0]) if n is None else n
    half = math.nan
    if least > 1:
        variances = [part.var(ddof=1) / len(part) for part in parts]
        total = sum(variances)
        below = sum(each**2 / (len(part) - 1) for each, part in zip(variances, parts, strict=True))
        half = stats.t.ppf((1 + CONFIDENCE) / 2, total**2 / below) * math.sqrt(total) if below > 0 else 0.0
    with np.errstate(over="ignore"):
        ends = [float(np.exp(end)) if logarithmic else float(end) for end in (mean, mean - half, mean + half)]
    return Interval(ends[0], ends[1], ends[2], least, count)


def share_interval(successes: Values, counts: Values) -> Interval:
    """Mean over seeds of the share of successes, with an interval that few successes or failures do not shrink to 0.

    At each end the wider of two: t over the seeds' shares, which sees that seeds differ, and Clopper and Pearson's over
    all episodes, which sees that all of 5 is not all of 500.

    Args:
        successes: Number of successes of each seed.
        counts: Episodes of each seed.

    Raises:
        ValueError: If the two do not pair up, or a seed has no episode or more successes than episodes.
    """
    k, n = _checked_vector(successes, "successes"), _checked_vector(counts, "counts")
    if k.shape != n.shape or (n < 1).any() or (k < 0).any() or (k > n).any():
        raise ValueError(f"successes must lie between 0 and counts, got {list(successes)} of {list(counts)}")
    over_seeds = t_interval(k / n, int(n.sum()))
    if len(k) == 1:
        return over_seeds
    low, high = clopper_pearson(int(k.sum()), int(n.sum()))
    low, high = min(low, over_seeds.ci_low), max(high, over_seeds.ci_high)
    return Interval(over_seeds.mean, max(low, 0.0), min(high, 1.0), len(k), int(n.sum()))


def clopper_pearson(successes: int, count: int) -> tuple[float, float]:
    """Ends of Clopper and Pearson's interval of a share: none of n, and all of n, have one too.

    Raises:
        ValueError: If there is none to count, or more successes than were counted.
    """
    if not 0 <= successes <= count or count < 1:
        raise ValueError(f"successes must lie between 0 and count, a positive one, got {successes} of {count}")
    tail = (1 - CONFIDENCE) / 2
    low = float(stats.beta.ppf(tail, successes, count - successes + 1)) if successes else 0.0
    high = float(stats.beta.ppf(1 - tail, successes + 1, count - successes)) if successes < count else 1.0
    return low, high


def sign_flip_test(
    differences: Values, *, generator: np.random.Generator | None = None, num_resamples: int = 100_000
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


def seeds_needed(num_tests: int, level: float = SIGNIFICANCE) -> int:
    """Fewest seeds with which `num_tests` sign-flip tests under Holm's correction can all fall below the level.

    Even where all of them are as clear as can be, the least is multiplied by their number: 12 tests need 9 seeds.
    """
    return next(n for n in itertools.count(2) if num_tests * smallest_p_value(n) < level)


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


def tost(differences: Values, margin: float) -> PairedTest:
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


def _checked_vector(values: Values, name: str) -> np.ndarray:
    x = np.atleast_1d(np.asarray(values, dtype=float))
    if x.ndim != 1 or len(x) == 0 or not np.isfinite(x).all():
        raise ValueError(f"{name} must be a sequence of finite numbers, at least one, got {values}")
    return x
