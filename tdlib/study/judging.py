"""What the declared contrasts and the predictions come to: estimates per seed, intervals, and verdicts by one rule."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tdlib.core.seeding import numpy_generator
from tdlib.study.arms import DEFAULT_SIZE
from tdlib.study.contrasts import CONTRASTS, EQUAL, ArmAtRate, Contrast
from tdlib.study.inference import (
    Interval,
    crossed_interval,
    holm,
    seeds_needed,
    share_interval,
    sign_flip_test,
    smallest_p_value,
    t_interval,
    tost,
)
from tdlib.study.measurements import KEYS
from tdlib.study.predictions import Check, Prediction, Query
from tdlib.study.verdicts import DECISIVE_SEEDS, OPEN, judge

CONTRAST_COLUMNS = (
    "env", "name", "question", "a", "b", "expected", "margin", "ratio", "ci_low", "ci_high", "p_value", "p_holm",
    "p_equivalence", "p_smallest", "n_seeds", "verdict", "note",
)  # fmt: skip
PREDICTION_COLUMNS = (
    "env", "prediction", "what", "expected", "low", "high", "measured", "ci_low", "ci_high", "reference", "verdict",
    "note", "n_seeds", "n",
)  # fmt: skip


NETWORKS = "networks"  # in the column `over`: the number of one network
PerSeed = dict[int, tuple[float, int]]  # seed -> (value, values behind it)


class Measured:
    """The table of measurements, asked for one number at a time.

    Args:
        table: As `measurements.measure` gathers it. Where it has a column `over`, rows with `NETWORKS` there are
            numbers of one network each over all rows, beside those of blocks of rows.
    """

    def __init__(self, table: pd.DataFrame):
        if "over" in table:
            single = table["over"] == NETWORKS
            self._trained = Measured(table[single].drop(columns="over"))
            table = table[~single]
        numbers: dict[tuple[str, ...], PerSeed] = {}
        columns = [table[name].tolist() for name in (*KEYS, "seed", "value", "n")]
        for *key, seed, value, n in zip(*columns, strict=True):
            numbers.setdefault(tuple(key), {})[int(seed)] = (float(value), int(n))
        self._places: dict[tuple[str, str], list[tuple[Query, PerSeed]]] = {}  # by metric and env
        for place, per_seed in numbers.items():
            named = dict(zip(KEYS, place, strict=True))
            self._places.setdefault((named["metric"], named["env"]), []).append((named, per_seed))

    def trained(self, query: Query) -> PerSeed:
        """Return one number by network; empty where seeds are no blocks, or nothing was trained."""
        return self._trained.of(query) if hasattr(self, "_trained") else {}

    def of(self, query: Query) -> PerSeed:
        """Return one number by seed; empty if there is none.

        Raises:
            ValueError: If more than one number answers.
        """
        place = self._places.get((query["metric"], query["env"]), [])
        found = [per_seed for named, per_seed in place if query.items() <= named.items()]
        if len(found) > 1:
            raise ValueError(f"exactly one number must match, {len(found)} do: {query}")
        return found[0] if found else {}


def judge_contrasts(measured: pd.DataFrame, envs: Sequence[str]) -> pd.DataFrame:
    """Test every declared contrast that both arms are there for, in every environment.

    The ratio is the geometric mean over seeds of a's relative error over b's, with its t interval. `p_holm` adjusts
    within the environment's family, of all its declared contrasts: the sign-flip test of a contrast that expects a
    difference (`p_value`, two-sided), TOST's within the margin of one that expects none (`p_equivalence`).
    `p_smallest` is the least `p_holm` that this many seeds can reach.
    """
    numbers, generator = Measured(measured), numpy_generator(0, "contrasts")
    rows = []
    for env in envs:
        found = [(each, *_both(numbers, env, each)) for each in CONTRASTS]
        family = [_contrast_row(env, each, a, b, generator) for each, a, b in found if len(a)]
        own = [row["p_equivalence" if row["expected"] == EQUAL else "p_value"] for row in family]
        adjusted = holm([*own, *[1.0] * (len(CONTRASTS) - len(own))])[: len(own)]
        rows += [_judged(env, row, p) for row, p in zip(family, adjusted, strict=True)]
    return pd.DataFrame(rows, columns=list(CONTRAST_COLUMNS))


def missing_of(contrasts: pd.DataFrame, envs: Sequence[str]) -> pd.DataFrame:
    """Return the declared contrasts that a run does not answer, as it lacks an arm of one: env, name, a, b."""
    found = set(zip(contrasts["env"], contrasts["name"], strict=True))
    rows = [
        {"env": env, "name": each.name, "a": str(each.a), "b": str(each.b)}
        for env in envs
        for each in CONTRASTS
        if (env, each.name) not in found
    ]
    return pd.DataFrame(rows, columns=["env", "name", "a", "b"])


def judge_predictions(measured: pd.DataFrame, known: Mapping[str, Prediction]) -> pd.DataFrame:
    """Set every check whose numbers are there beside what was predicted.

    `measured` is the mean over seeds of the check's number (of a ratio, the geometric mean) with its t interval, or of
    a share of episodes the wider one that also counts them; `reference` is what it is divided by. Where what stands as
    seeds are blocks of rows, the interval of networks counts how they differ too, and `n_seeds` is the lesser number.
    """
    numbers = Measured(measured)
    rows = [row for each in known.values() for check in each.checks if (row := _check_row(numbers, check)) is not None]
    return pd.DataFrame(rows, columns=list(PREDICTION_COLUMNS))


def _both(numbers: Measured, env: str, contrast: Contrast) -> tuple[np.ndarray, np.ndarray]:
    """Relative errors of both arms, of the seeds that both have."""
    a, b = (numbers.of(_query_of(env, arm)) for arm in (contrast.a, contrast.b))
    seeds = sorted(a.keys() & b.keys())
    return np.array([a[seed][0] for seed in seeds]), np.array([b[seed][0] for seed in seeds])


def _query_of(env: str, arm: ArmAtRate) -> Query:
    return {
        "metric": "one_step.relative_error",
        "env": env,
        "model": arm.model,
        "method": arm.method,
        "form": arm.form,
        "size": DEFAULT_SIZE,
        "data": arm.data,
        "train_frequency": arm.train_frequency,
        "test_frequency": arm.test_frequency,
    }


def _contrast_row(env: str, contrast: Contrast, a: np.ndarray, b: np.ndarray, generator: np.random.Generator) -> dict:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = a / b
    row: dict = {
        "env": env,
        "name": contrast.name,
        "question": contrast.question,
        "a": str(contrast.a),
        "b": str(contrast.b),
        "expected": contrast.expected_in(env),
        "margin": contrast.margin,
        "n_seeds": len(ratio),
        "claim": contrast.claim_in(env),
        "estimate": None,
        "p_value": 1.0,
        "p_equivalence": 1.0,
        "note": _not_finite(ratio),
    }
    if row["note"]:
        return row
    difference = np.log(ratio)
    row["estimate"] = t_interval(ratio, logarithmic=True)
    row["p_value"] = sign_flip_test(difference, generator=generator).p_value
    if len(difference) > 1:
        row["p_equivalence"] = tost(difference, math.log(contrast.margin)).p_value
    return row


def _judged(env: str, row: dict, p_holm: float) -> dict:
    """Finish a row: verdict, and why it is open where no result could have been anything else."""
    n, estimate, claim = row["n_seeds"], row.pop("estimate"), row.pop("claim")
    directional = sum(each.expected_in(env) != EQUAL for each in CONTRASTS)
    needed = DECISIVE_SEEDS if row["expected"] == EQUAL else max(DECISIVE_SEEDS, seeds_needed(directional))
    smallest = 0.0 if row["expected"] == EQUAL else min(1.0, directional * smallest_p_value(n))
    if estimate is None:
        estimate = Interval(math.nan, math.nan, math.nan, n, n)
    verdict = judge(claim, estimate, p_holm)
    if verdict == OPEN and not row["note"] and n < needed:
        row["note"] = f"cannot be confirmed with {n} seed{'' if n == 1 else 's'}, {needed} are needed"
    ends = {"ratio": estimate.mean, "ci_low": estimate.ci_low, "ci_high": estimate.ci_high}
    return row | ends | {"p_holm": p_holm, "p_smallest": smallest, "verdict": verdict}


def _check_row(numbers: Measured, check: Check) -> dict | None:
    sides = [numbers.of(query) for query in check.queries]
    seeds = sorted(set.intersection(*(set(side) for side in sides)))
    if not seeds:
        return None
    left, *rest = (np.array([side[seed][0] for seed in seeds]) for side in sides)
    counts = [sides[0][seed][1] for seed in seeds]
    value, n, reference = left, sum(counts), math.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        if check.minus is not None:
            value = value - rest[-1]
        if check.over is not None:
            value, reference = value / rest[0], float(np.mean(rest[0]))
    note = _not_finite(value)
    trained = _trained_values(numbers, check)
    count = len(seeds) if trained is None else min(len(seeds), len(trained))
    estimate = Interval(math.nan, math.nan, math.nan, count, n)
    if trained is not None:
        note = note or _not_finite(trained)
    if not note and check.share:
        estimate = share_interval(np.round(left * counts), counts)
    elif not note and trained is not None and (not check.logarithmic or min(value.min(), trained.min()) > 0):
        estimate = crossed_interval(value, trained, n, logarithmic=check.logarithmic)
    elif not note and trained is None and (not check.logarithmic or (value > 0).all()):
        estimate = t_interval(value, n, logarithmic=check.logarithmic)
    elif not note:
        note = "not positive, so that it has no ratio"
    verdict = judge(check.claim, estimate)
    if n < check.starts:
        verdict, note = OPEN, f"cannot be decided with {n} start{'' if n == 1 else 's'}, {check.starts} are needed"
    elif verdict == OPEN and not note and count < 2:
        note = "cannot be decided with 1 seed"
    return {
        "env": check.env,
        "prediction": check.prediction,
        "what": check.what,
        "expected": check.expected,
        "low": check.claim.low,
        "high": check.claim.high,
        "measured": estimate.mean,
        "ci_low": estimate.ci_low,
        "ci_high": estimate.ci_high,
        "reference": reference,
        "verdict": verdict,
        "note": note,
        "n_seeds": count,
        "n": n,
    }


def _trained_values(numbers: Measured, check: Check) -> np.ndarray | None:
    """The check's number by network, where one of its sides was trained; of the others the mean over blocks stands."""
    sides = [(numbers.trained(query), numbers.of(query)) for query in check.queries]
    if not any(trained for trained, _ in sides):
        return None
    seeds = sorted(set.intersection(*(set(trained) for trained, _ in sides if trained)))
    values = []
    for trained, blocks in sides:
        over_blocks = np.array([value for value, _ in blocks.values()])
        center = np.exp(np.log(over_blocks).mean()) if (over_blocks > 0).all() else over_blocks.mean()
        values.append(np.array([trained[seed][0] if trained else center for seed in seeds]))
    left, *rest = values
    if check.minus is not None:
        left = left - rest[-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return left / rest[0] if check.over is not None else left


def _not_finite(values: np.ndarray) -> str:
    """Say how many seeds have no finite value: leaving them out would be choosing."""
    bad = int((~np.isfinite(values)).sum())
    return f"{bad} of {len(values)} seeds without a finite value" if bad else ""
