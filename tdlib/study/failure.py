"""Can one tell before deployment whether a model will fail at another rate?

A logistic regression of "the relative error exceeds a threshold" on what is known before, scored on an environment
*and* a rate that it was not fitted on. An honest probability lies on the diagonal of the reliability diagram, and a
useful one has a Brier score below that of the base rate, which knows only how often models fail.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from scipy.optimize import minimize
from scipy.special import expit

from tdlib.core.facts import FAILURES
from tdlib.evaluation.errors import auroc
from tdlib.study import measurements
from tdlib.study.deployed import KINDS
from tdlib.study.inference import Interval, share_interval, t_interval
from tdlib.study.verdicts import Claim, judge

BRIER, RANKING = "failure.brier", "failure.auc"
BASE_RATE, MAIN = "base rate", "expected error"
RIDGE = 1e-3  # of standardized features: without it, classes that separate have no estimate
EDGES = np.array([0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0])  # of the bins of probability
LOG_RANGE = (1e-6, 1e3)  # of an error whose logarithm is taken; what diverged at its own rate has the largest
PREDICTED_COLUMNS = ("env", "test_frequency", "seed", "threshold", "subset", "predictor", "failed", "probability")
Features = Callable[[pd.DataFrame], np.ndarray]


def _log(values: pd.Series | np.ndarray) -> np.ndarray:
    return np.log(np.clip(np.nan_to_num(np.asarray(values, float), nan=LOG_RANGE[1]), *LOG_RANGE))


def _arm_and_rates(rows: pd.DataFrame) -> np.ndarray:
    """Of every kind its own level and slopes towards coarse and fine steps, (N, 3 kinds)."""
    s = np.log(rows["step_ratio"].to_numpy())
    one_hot = np.stack([rows["kind"] == kind.label for kind in KINDS], axis=1).astype(float)
    return np.concatenate([one_hot, one_hot * np.maximum(s, 0)[:, None], one_hot * np.maximum(-s, 0)[:, None]], axis=1)


def _own_error(rows: pd.DataFrame) -> np.ndarray:
    return np.column_stack([_arm_and_rates(rows), _log(rows["own_error"])])


def _expected_error(rows: pd.DataFrame) -> np.ndarray:
    return _log(np.hypot(rows["limit"], rows["own_error"]))[:, None]


def _with(column: str) -> Features:
    return lambda rows: np.column_stack([_expected_error(rows), _log(rows[column])])


PREDICTORS: dict[str, tuple[Features, str | None]] = {  # name -> features, and the column that not all rows have
    "arm and rates": (_arm_and_rates, None),
    "arm, rates, own error": (_own_error, None),
    MAIN: (_expected_error, None),  # limit and own error, added as squares
    "expected error and defect": (_with("defect"), "defect"),
    "expected error and spread": (_with("spread"), "spread"),
}


def predict_failures(rows: pd.DataFrame) -> pd.DataFrame:
    """Predict for every row, without its environment and its rate, how likely its error exceeds each threshold.

    Args:
        rows: Of `deployed`. An error that is not finite exceeds every threshold.

    Returns:
        Columns env, test_frequency, seed, threshold, subset (empty, or the column that its rows have), predictor,
        failed, probability. A predictor that reads a column stands beside the main one and the base rate on the same
        rows.
    """
    found = []
    for threshold in FAILURES:
        failed = ~(rows["error"] <= threshold).to_numpy()
        for subset in dict.fromkeys(column for _, column in PREDICTORS.values()):
            kept = rows[subset].notna().to_numpy() if subset else np.ones(len(rows), bool)
            own, outcome = rows[kept], failed[kept]
            if min(own["env"].nunique(), own["test_frequency"].nunique()) < 2:
                continue
            for name in [BASE_RATE, *_predictors_of(subset)]:
                probability = _out_of_group(own, outcome, None if name == BASE_RATE else PREDICTORS[name][0])
                keys = {"threshold": threshold, "subset": subset or "", "predictor": name}
                place = own[["env", "test_frequency", "seed"]]
                found.append(place.assign(**keys, failed=outcome, probability=probability))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=list(PREDICTED_COLUMNS))


def _predictors_of(subset: str | None) -> list[str]:
    """Those of all rows, or the one that reads a column and what it adds to."""
    names = [name for name, (_, column) in PREDICTORS.items() if column == subset]
    return [MAIN, *names] if subset else names


def failure_scores(predicted: pd.DataFrame) -> pd.DataFrame:
    """Brier score of every held-out environment and seed, as `measurements.measure` has its rows.

    Metric "failure.brier", method (a predictor of all rows), test_frequency (the threshold).
    """
    whole = predicted[predicted["subset"] == ""]
    square = (whole["probability"] - whole["failed"]) ** 2
    keys = ["env", "predictor", "threshold", "seed"]
    scores = whole.assign(square=square).groupby(keys, sort=False)["square"].agg(value="mean", n="size").reset_index()
    named = scores.rename(columns={"predictor": "method"})
    arm = {"metric": BRIER, "model": "none", "form": "none", "size": "none", "data": "none", "train_frequency": ""}
    arm |= {"detail": ""}
    return named.assign(**arm, test_frequency=named["threshold"].map("{:g}".format))[measurements.COLUMNS]


def compare_predictors(predicted: pd.DataFrame) -> pd.DataFrame:
    """Score every predictor over all held-out rows, with intervals over seeds.

    Returns:
        One row per threshold, subset and predictor: failures (their share), brier and auc with intervals, ratio of the
        Brier score to the base rate's with its interval (paired by seed), verdict on a ratio below 1, envs (their
        names), n_seeds, n.
    """
    found, envs = [], ", ".join(dict.fromkeys(predicted["env"]))
    for (threshold, subset), rows in predicted.groupby(["threshold", "subset"], sort=False):
        brier = {name: _per_seed(own, _brier) for name, own in rows.groupby("predictor", sort=False)}
        for name, own in rows.groupby("predictor", sort=False):
            score, base = t_interval(brier[name]), brier[BASE_RATE]
            ratio = t_interval(brier[name] / base, logarithmic=True) if (base > 0).all() else _nothing(score)
            ranking = _per_seed(own, _ranking) if name != BASE_RATE else np.array([np.nan])  # it ranks nothing
            auc = t_interval(ranking) if np.isfinite(ranking).all() else _nothing(score)
            found.append(
                {"threshold": threshold, "subset": subset, "predictor": name, "failures": own["failed"].mean()}
                | _ends("brier", score) | _ends("auc", auc) | _ends("ratio", ratio, np.inf)
                | {"verdict": "" if name == BASE_RATE else judge(Claim(0.0, 1.0), ratio),
                   "envs": envs, "n_seeds": score.n_seeds, "n": len(own)}
            )  # fmt: skip
    return pd.DataFrame(found)


def reliability(predicted: pd.DataFrame) -> pd.DataFrame:
    """Set predicted probability beside observed share of failures, in bins of probability.

    Returns:
        One row per threshold, predictor and bin (of the rows that all have): probability (mean), observed with its
        interval over seeds, envs (their names), n_seeds, n.
    """
    whole = predicted[predicted["subset"] == ""]
    found, envs = [], ", ".join(dict.fromkeys(whole["env"]))
    place = np.clip(np.digitize(whole["probability"].astype(float), EDGES) - 1, 0, len(EDGES) - 2)
    for (threshold, name, _), rows in whole.assign(bin=place).groupby(["threshold", "predictor", "bin"], sort=False):
        counts = rows.groupby("seed")["failed"].agg(["sum", "size"])
        observed = share_interval(counts["sum"], counts["size"])
        keys = {"threshold": threshold, "predictor": name, "envs": envs, "probability": rows["probability"].mean()}
        found.append(keys | _ends("observed", observed) | {"n_seeds": observed.n_seeds, "n": len(rows)})
    return pd.DataFrame(found)


def _out_of_group(rows: pd.DataFrame, failed: np.ndarray, features: Features | None) -> np.ndarray:
    env, rate = rows["env"].to_numpy(), rows["test_frequency"].to_numpy()
    x = features(rows) if features else np.empty((len(rows), 0))
    result = np.full(len(rows), np.nan)
    for held_env, held_rate in rows[["env", "test_frequency"]].drop_duplicates().itertuples(index=False):
        fit, test = (env != held_env) & (rate != held_rate), (env == held_env) & (rate == held_rate)
        result[test] = _logistic(x[fit], failed[fit], x[test])
    return result


def _logistic(x: np.ndarray, failed: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Fit a logistic regression with a ridge penalty and ask it: (N, F), (N,), (M, F) -> (M,)."""
    if not x.shape[1] or failed.all() or not failed.any():
        return np.full(len(asked), failed.mean())
    mean, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-9)
    design, query = (np.column_stack([np.ones(len(each)), (each - mean) / scale]) for each in (x, asked))
    penalty = np.array([0.0, *[RIDGE] * x.shape[1]])  # not of the constant

    def loss(w: np.ndarray) -> float:
        return float((np.logaddexp(0, design @ w) - failed * (design @ w)).mean() + penalty @ w**2 / 2)

    def gradient(w: np.ndarray) -> np.ndarray:
        return design.T @ (expit(design @ w) - failed) / len(design) + penalty * w

    def curvature(w: np.ndarray) -> np.ndarray:
        p = expit(design @ w)
        return (design.T * (p * (1 - p))) @ design / len(design) + np.diag(penalty)

    start = np.zeros(design.shape[1])
    found = minimize(loss, start, jac=gradient, hess=curvature, method="trust-exact", options={"gtol": 1e-6})
    return expit(query @ found.x)


def _brier(rows: pd.DataFrame) -> float:
    return float(((rows["probability"] - rows["failed"]) ** 2).mean())


def _ranking(rows: pd.DataFrame) -> float:
    """Probability that a failure has a larger predicted probability than a success; nan without both."""
    scores, failed = torch.tensor(rows["probability"].to_numpy()), torch.tensor(rows["failed"].to_numpy())
    return auroc(scores[failed], scores[~failed]) if 0 < failed.sum() < len(failed) else float("nan")


def _per_seed(rows: pd.DataFrame, score: Callable[[pd.DataFrame], float]) -> np.ndarray:
    return np.array([score(own) for _, own in rows.groupby("seed")])


def _nothing(like: Interval) -> Interval:
    return Interval(np.nan, np.nan, np.nan, like.n_seeds, like.n)


def _ends(name: str, interval: Interval, highest: float = 1.0) -> dict[str, float]:
    """Columns of a value between 0 and the highest it can have."""
    low, high = (float(np.clip(end, 0.0, highest)) for end in (interval.ci_low, interval.ci_high))
    return {name: interval.mean, f"{name}_low": low, f"{name}_high": high}
