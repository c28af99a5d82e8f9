"""Are models more robust to other states because they know more rates? Errors on another policy's states beside pooled.

Beside the ratio of both errors stands the ratio of the exact limits on the same states: what other states do to a model
that has learned its form without error, and so what no training answers for.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from tdlib.evaluation.tables import ARM_COLUMNS
from tdlib.figures.selection import key_arms
from tdlib.study.arms import DEFAULT_SIZE
from tdlib.study.deployed import limit_name
from tdlib.study.inference import Interval, t_interval
from tdlib.study.judging import Measured, PerSeed
from tdlib.study.verdicts import Claim, judge

RATES = ("20", "33.3", "100")  # of the main arms the own one, one between training rates, one outside
MORE_ROBUST = Claim(0.0, 1.0)  # the arm's ratio over the raw map's
POOLED, SHIFT = "one_step.relative_error", "one_step.shift.relative_error"
COLUMNS = (
    "env", *ARM_COLUMNS, "test_frequency", "pooled", "shift", "limit_pooled", "limit_shift", "ratio", "ci_low",
    "ci_high", "limit_ratio", "against", "against_low", "against_high", "verdict", "bad", "n_seeds", "n",
)  # fmt: skip


def shift_ratios(measured: pd.DataFrame, rates: Sequence[str] = RATES) -> pd.DataFrame:
    """Compare the main arms' errors on shifted and pooled states, paired by seed.

    Args:
        measured: Of `measurements.measure`.
        rates: Test rates.

    Returns:
        One row per environment with shifted states, arm and rate: pooled and shift (geometric means over seeds), their
        ratio with its interval, the limits of the arm's form on both and their ratio (nan where it has none, or it is
        0), against (the ratio over the raw map's at that rate, with its interval) with the verdict on "more robust than
        a raw map", bad (seeds without a finite error), n_seeds, n (pairs). No row without shifted states.
    """
    numbers = Measured(measured)
    found = []
    for env in dict.fromkeys(measured.loc[measured["metric"] == SHIFT, "env"]):
        for rate in rates:
            raw = _ratios(numbers, env, key_arms()[0], rate)[0]
            found += [_row(numbers, env, arm, rate, raw) for arm in key_arms()]
    return pd.DataFrame([row for row in found if row is not None], columns=list(COLUMNS))


def _row(numbers: Measured, env: str, arm: Sequence[str], rate: str, raw: Mapping[int, float]) -> dict | None:
    ratios, pooled, shift = _ratios(numbers, env, arm, rate)
    if not ratios:
        return None
    against = {seed: ratio / raw[seed] for seed, ratio in ratios.items() if raw.get(seed, 0) > 0}
    ratio, compared = _estimate(ratios.values()), _estimate(against.values())
    model, method, form, train = arm
    limits = [_mean(_limit(numbers, env, method, form, train, rate, prefix)) for prefix in ("", "shift ")]
    return {
        **{"env": env, "model": model, "method": method, "form": form, "size": DEFAULT_SIZE, "data": "transitions"},
        **{"train_frequency": train, "test_frequency": rate},
        "pooled": _mean(pooled), "shift": _mean(shift), "limit_pooled": limits[0], "limit_shift": limits[1],
        "ratio": ratio.mean, "ci_low": ratio.ci_low, "ci_high": ratio.ci_high,
        "limit_ratio": limits[1] / limits[0],
        "against": compared.mean, "against_low": compared.ci_low, "against_high": compared.ci_high,
        "verdict": "" if _same(against) else judge(MORE_ROBUST, compared),
        "bad": int((~np.isfinite(list(ratios.values()))).sum()), "n_seeds": len(ratios),
        "n": sum(shift[seed][1] for seed in ratios),
    }  # fmt: skip


def _ratios(numbers: Measured, env: str, arm: Sequence[str], rate: str) -> tuple[dict[int, float], PerSeed, PerSeed]:
    """Errors on shifted over pooled states by seed, and both."""
    names = ("model", "method", "form", "train_frequency")
    query = {"env": env, **dict(zip(names, arm, strict=True)), "size": DEFAULT_SIZE, "data": "transitions"}
    pooled, shift = (numbers.of(query | {"metric": name, "test_frequency": rate}) for name in (POOLED, SHIFT))
    seeds = sorted(pooled.keys() & shift.keys())
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = {seed: float(np.divide(shift[seed][0], pooled[seed][0])) for seed in seeds}
    return ratios, pooled, shift


def _same(against: Mapping[int, float]) -> bool:
    """Whether an arm is the raw map itself, as the rescaled one is at its own rate."""
    return bool(np.allclose(list(against.values()), 1.0, rtol=1e-9, atol=0))


def _limit(numbers: Measured, env: str, method: str, form: str, train: str, rate: str, prefix: str) -> PerSeed:
    name = limit_name(method, form)
    query = {"env": env, "metric": f"limit.{prefix}{name}", "train_frequency": train, "test_frequency": rate}
    return numbers.of(query) if name else {}


def _mean(per_seed: PerSeed) -> float:
    """Geometric mean; nan of nothing, of 0, and where a value is not finite."""
    values = np.array([value for value, _ in per_seed.values()])
    return (
        float(np.exp(np.log(values).mean()))
        if len(values) and np.isfinite(values).all() and (values > 0).all()
        else np.nan
    )


def _estimate(ratios: Iterable[float]) -> Interval:
    values = np.array(list(ratios))
    if not len(values) or not (np.isfinite(values) & (values > 0)).all():  # leaving a seed out would be choosing
        return Interval(np.nan, np.nan, np.nan, len(values), len(values))
    return t_interval(values, logarithmic=True)
