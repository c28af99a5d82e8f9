"""One row per model and rate it is deployed at: what could be known before, and how it erred.

Known before are the kind of arm, its training step h and the step Δ that is asked for, the error at its own rate, the
limit of its form on the states at hand (which takes the equation, or data at Δ), how far it contradicts itself (the
semigroup defect needs no truth), and of an ensemble the spread of its members.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tdlib.core.facts import MIXED, TRANSITIONS
from tdlib.core.time_grid import delta_t_of
from tdlib.evaluation.tables import ARM_COLUMNS, frequency_value
from tdlib.study.arms import DEFAULT_SIZE

ARM = ["env", *ARM_COLUMNS]
AT_RATE = [*ARM, "test_frequency", "seed"]
NUMBERS = ["step_ratio", "error", "own_error", "limit", "defect", "spread"]
COLUMNS = [*AT_RATE, "kind", *NUMBERS]


@dataclass(frozen=True)
class Kind:
    """What arms of one kind have in common off their rate.

    Args:
        label: In words.
        method: Method of its arms.
        form: Form of its arms.
        limit: What the exact flow scores in that form; None for a field, whose solver leaves less than its fit.
    """

    label: str
    method: str
    form: str
    limit: str | None


KINDS = (
    Kind("raw map", "baseline", "none", "fixed_step"),
    Kind("rescaled map", "rescaled", "none", "rescaled"),
    Kind(
        "Δt-conditioned, one rate", "dt_conditioned", "scaled_concat", "rescaled"
    ),  # to the factor Δt, no more is taught
    Kind("multi-resolution", "multi_resolution", "scaled_concat", "interpolation scaled_concat"),
    Kind("field by RK4", "ode", "rk4", None),
)


def limit_name(method: str, form: str) -> str | None:
    """Name the limit of an arm's kind; None where it has none, or is of no kind."""
    return next((kind.limit for kind in KINDS if (kind.method, kind.form) == (method, form)), None)


def deployed(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Gather every arm of a kind at every rate that it was not trained at.

    Args:
        tables: Merged result tables by name: one_step_errors and limits; where there are, consistency_errors and
            ensemble_calibration.

    Returns:
        Columns env, the arm, test_frequency, seed, kind, step_ratio (Δ/h, h the training step next to Δ), error and
        own_error (relative, at Δ and at h, on pooled states), limit (0 for a field), defect (one step of Δ against the
        finest that make it up) and spread (RMS, relative to the true change), both nan where they were not measured.
        No rows without errors and limits.
    """
    errors, limits = tables.get("one_step_errors"), tables.get("limits")
    if errors is None or limits is None:
        return pd.DataFrame({name: pd.Series(dtype=float if name in NUMBERS else object) for name in COLUMNS})
    errors = errors[(errors["test_set"] == "pooled") & (errors["dimension"] == "all")]
    errors = errors[(errors["size"] == DEFAULT_SIZE) & (errors["data"] == TRANSITIONS)]
    errors = errors[np.isfinite(errors["test_frequency"].map(frequency_value))]
    kinds = pd.DataFrame([vars(kind) for kind in KINDS]).rename(columns={"label": "kind", "limit": "limit_name"})
    rows = errors[[*AT_RATE, "relative_error"]].merge(kinds, on=["method", "form"])
    rows = rows.rename(columns={"relative_error": "error"})
    rates = [rate for rate in dict.fromkeys(limits["train_frequency"]) if np.isfinite(frequency_value(rate))]
    pairs = zip(rows["train_frequency"], rows["test_frequency"], strict=True)
    rows["own"] = [_next_rate(train, test, rates) for train, test in pairs]
    rows = rows.dropna(subset="own")  # intervals between the rates have none of their own
    own = rows.loc[rows["own"] == rows["test_frequency"], [*AT_RATE, "error"]]
    own = own.rename(columns={"test_frequency": "own", "error": "own_error"})
    rows = rows[rows["own"] != rows["test_frequency"]].merge(own, on=[*ARM, "own", "seed"])
    steps = {rate: delta_t_of(float(rate)) for rate in {*rows["own"], *rows["test_frequency"]}}
    rows["step_ratio"] = rows["test_frequency"].map(steps) / rows["own"].map(steps)
    place = ["env", "train_frequency", "test_frequency", "seed"]
    named = limits.rename(columns={"limit": "limit_name", "relative_error": "limit"})
    rows = rows.merge(named[["limit_name", *place, "limit"]], on=["limit_name", *place], how="left")
    rows.loc[rows["limit_name"].isna(), "limit"] = 0.0
    for name, table in (("defect", _defects(tables)), ("spread", _spreads(tables))):
        rows = rows.merge(table, on=AT_RATE, how="left") if table is not None else rows.assign(**{name: np.nan})
    return rows.dropna(subset="limit")[COLUMNS].reset_index(drop=True)


def _next_rate(train: str, test: str, rates: Sequence[str]) -> str | None:
    """The training rate next to a test rate; of an arm of one rate, that."""
    if train == MIXED:
        return min(rates, key=lambda rate: abs(np.log(float(rate) / float(test))))
    return train if train in rates else None


def _defects(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame | None:
    """Of several ways to cut a step, the finest."""
    table = tables.get("consistency_errors")
    if table is None:
        return None
    fine = table["fine_frequency"].map(frequency_value)
    table = table.assign(fine=fine).sort_values("fine", ascending=False, kind="stable")
    return table.drop_duplicates(AT_RATE)[[*AT_RATE, "defect"]]


def _spreads(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame | None:
    table = tables.get("ensemble_calibration")
    return None if table is None else table.loc[table["bin"] == "all", [*AT_RATE, "spread"]]
