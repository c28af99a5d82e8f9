"""How does an error grow with the mismatch of two steps, beyond what the exact map of the same form would get wrong?

    r² = L² + (ε₀ f(s))²,   s = Δ/h

with the exact limit L, the error ε₀ at the own rate, and a few declared forms f with f(1) = 1. Each is fitted in logs
to some environments and rates, and scored on an environment *and* a rate that the fit has seen neither of.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from tdlib.core.facts import MIXED
from tdlib.core.seeding import numpy_generator
from tdlib.figures.selection import key_arms
from tdlib.study import measurements
from tdlib.study.deployed import KINDS, Kind
from tdlib.study.inference import Interval, holm, sign_flip_test, t_interval
from tdlib.study.verdicts import CONFIRMED, CONSISTENT, Claim, judge

METRIC = "form.log_error"
CONSTANT, LIMIT = "constant", "limit alone"
SMALLER = Claim(0.0, 1.0)  # than the trivial one's
NOTHING = Interval(math.nan, math.nan, math.nan, 0, 0)
SMALLEST = 1e-6  # a form that crosses zero keeps a logarithm
SUMMARY_COLUMNS = (
    "kind", "form", "parameters", "log_error", "ci_low", "ci_high", "trivial", "ratio", "ratio_low", "ratio_high",
    "p_holm", "verdict", "chosen", "envs", "bad", "n_seeds", "n",
)  # fmt: skip


@dataclass(frozen=True)
class Form:
    """One way in which a fitting error may grow with the ratio of the steps.

    Args:
        num_parameters: How many numbers are fitted.
        factor: f(s, parameters), with f(1) = 1.
    """

    num_parameters: int
    factor: Callable[[np.ndarray, np.ndarray], np.ndarray]


FORMS = {
    "own error": Form(0, lambda s, p: np.ones_like(s)),  # an increment that is scaled keeps its relative error
    "repeated step": Form(0, lambda s, p: 1 / s),  # the same error, relative to another change
    "mismatch": Form(1, lambda s, p: 1 + np.abs(p[0] * (1 - 1 / s))),
    "power": Form(1, lambda s, p: s ** p[0]),
    "two powers": Form(2, lambda s, p: s ** np.where(s > 1, p[0], -p[1])),
    "quadratic": Form(2, lambda s, p: np.abs(1 + p[0] * (s - 1) + p[1] * (s - 1) ** 2 / 2)),  # as Newton's series
}
TRIVIAL = (CONSTANT, LIMIT)


def form_scores(rows: pd.DataFrame) -> pd.DataFrame:
    """Score every form of every kind out of its groups, for the main family of that kind.

    Args:
        rows: Of `deployed`.

    Returns:
        Rows as `measurements.measure` has them: metric "form.log_error", env (the one held out), the arm without rates,
        detail (the form), seed, value (RMS difference of log errors over training and test rates), n (their number);
        beside them bad, how many errors have no logarithm, which are left out. None of a kind with fewer than two
        environments or rates.
    """
    found = []
    for kind, model in _kinds_and_models():
        every = rows[(rows["kind"] == kind.label) & (rows["model"] == model)]
        every = every[(every["train_frequency"] != MIXED) | (kind.method == "multi_resolution")]
        finite = np.isfinite(every["error"]) & (every["error"] > 0) & np.isfinite(every["own_error"])
        own = every[finite]
        if min(own["env"].nunique(), own["test_frequency"].nunique()) < 2:
            continue
        for name in [*TRIVIAL, *FORMS] if kind.limit else [CONSTANT, *FORMS]:
            residual = np.log(own["error"].to_numpy()) - predict_out_of_group(own, name)
            groups = own.assign(square=residual**2).groupby(["env", "size", "data", "seed"], sort=False)["square"]
            scores = groups.agg(value="mean", n="size").reset_index()
            keys = {"metric": METRIC, "model": model, "method": kind.method, "form": kind.form, "detail": name}
            keys |= {"train_frequency": "", "test_frequency": ""}
            found.append(scores.assign(value=np.sqrt(scores["value"]), bad=int((~finite).sum()), **keys))
    columns = [*measurements.COLUMNS, "bad"]
    return pd.concat(found, ignore_index=True)[columns] if found else pd.DataFrame(columns=columns)


def predict_out_of_group(rows: pd.DataFrame, name: str) -> np.ndarray:
    """Log error that a form fitted to the other environments and the other rates gives each row, (N,)."""
    env, rate = rows["env"].to_numpy(), rows["test_frequency"].to_numpy()
    log_error = np.log(rows["error"].to_numpy())
    s, own, limit = (rows[column].to_numpy() for column in ("step_ratio", "own_error", "limit"))
    result = np.full(len(rows), np.nan)
    for held_env, held_rate in rows[["env", "test_frequency"]].drop_duplicates().itertuples(index=False):
        fit, test = (env != held_env) & (rate != held_rate), (env == held_env) & (rate == held_rate)
        if name == CONSTANT:
            result[test] = log_error[fit].mean()
        elif name == LIMIT:
            result[test] = np.log(np.maximum(limit[test], SMALLEST))
        else:
            parameters = _fit(FORMS[name], s[fit], own[fit], limit[fit], log_error[fit])
            result[test] = _log_model(FORMS[name], parameters, s[test], own[test], limit[test])
    return result


def compare_forms(scores: pd.DataFrame) -> pd.DataFrame:
    """Set every form beside the better of the trivial ones, all held-out environments and rates together.

    Chosen among the forms that beat the trivial one by the rule of contrasts, where those of a kind are a family for
    Holm's correction, is the one with fewest parameters that the least log error is not seen to be below; where no form
    beats it, none is.

    Returns:
        One row per kind and form: parameters, log_error (RMS) with its interval over seeds, trivial (the better one),
        ratio to it with its interval, paired by seed, p_holm, verdict on a ratio below 1, chosen, envs (their names),
        bad, n_seeds, n.
    """
    found = []
    for kind, _ in _kinds_and_models():
        own = scores[(scores["method"] == kind.method) & (scores["form"] == kind.form)]
        if own.empty:
            continue
        sums = (
            own.assign(square=own["n"] * own["value"] ** 2)
            .groupby(["detail", "seed"], sort=False)[["square", "n"]]
            .sum()
        )
        errors = np.sqrt(sums["square"] / sums["n"]).unstack("seed")
        count = int(sums["n"].groupby("detail").sum().iloc[0])
        shared = {
            "kind": kind.label,
            "envs": ", ".join(dict.fromkeys(own["env"])),
            "bad": int(own["bad"].iloc[0]),
            "n": count,
        }
        found += [shared | row for row in _compared(errors)]
    return pd.DataFrame(found, columns=list(SUMMARY_COLUMNS))


def _compared(errors: pd.DataFrame) -> list[dict]:
    """Rows of one kind, from its log errors by form and seed."""
    trivial = min((name for name in TRIVIAL if name in errors.index), key=lambda name: errors.loc[name].mean())
    estimates = {name: t_interval(errors.loc[name], logarithmic=True) for name in errors.index}
    ratios = {name: t_interval(errors.loc[name] / errors.loc[trivial], logarithmic=True) for name in FORMS}
    generator = numpy_generator(0, METRIC)
    tests = [sign_flip_test(np.log(errors.loc[name] / errors.loc[trivial]), generator=generator) for name in FORMS]
    adjusted = dict(zip(FORMS, holm([test.p_value for test in tests]), strict=True))
    verdicts = {name: judge(SMALLER, ratios[name], adjusted[name]) for name in FORMS}
    better = [name for name in FORMS if verdicts[name] in (CONSISTENT, CONFIRMED)]
    least = min(better, key=lambda name: estimates[name].mean, default=None)
    simplest = sorted(better, key=lambda name: (FORMS[name].num_parameters, estimates[name].mean))
    chosen = next((name for name in simplest if _as_good(errors.loc[name], errors.loc[least])), None)
    rows = []
    for name, estimate in estimates.items():
        ratio = ratios.get(name, NOTHING)
        rows.append(
            {
                "form": name,
                "parameters": FORMS[name].num_parameters if name in FORMS else int(name == CONSTANT),
                "log_error": estimate.mean,
                "ci_low": estimate.ci_low,
                "ci_high": estimate.ci_high,
                "trivial": trivial,
                "ratio": ratio.mean,
                "ratio_low": ratio.ci_low,
                "ratio_high": ratio.ci_high,
                "p_holm": adjusted.get(name, np.nan),
                "verdict": verdicts.get(name, ""),
                "chosen": name == chosen,
                "n_seeds": estimate.n_seeds,
            }
        )
    return rows


def _as_good(errors: pd.Series, least: pd.Series) -> bool:
    """Whether log errors by seed are not seen to be larger than the least ones."""
    return bool(np.array_equal(errors, least)) or t_interval(errors / least, logarithmic=True).ci_low <= 1


def _kinds_and_models() -> list[tuple[Kind, str]]:
    """Every kind with the family that stands for it in the figures."""
    models = {(method, form): model for model, method, form, _ in key_arms()}
    return [(kind, models[kind.method, kind.form]) for kind in KINDS]


def _fit(form: Form, s: np.ndarray, own: np.ndarray, limit: np.ndarray, log_error: np.ndarray) -> np.ndarray:
    if not form.num_parameters:
        return np.empty(0)
    start = np.full(form.num_parameters, 0.1)  # at 0 a form in |p| has no slope
    return least_squares(lambda p: _log_model(form, p, s, own, limit) - log_error, start, method="lm").x


def _log_model(form: Form, parameters: np.ndarray, s: np.ndarray, own: np.ndarray, limit: np.ndarray) -> np.ndarray:
    excess = own * np.maximum(form.factor(s, parameters), SMALLEST)
    return 0.5 * np.log(limit**2 + excess**2)
