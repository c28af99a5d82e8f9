"""One model, all rates, one call: how well does it predict at intervals it was not trained on?"""

import numpy as np
import pandas as pd
import torch

from tdlib.core.specs import EnvironmentSpec
from tdlib.evaluation.measures.one_step import one_step_errors
from tdlib.evaluation.sets.gather import TestSets
from tdlib.evaluation.sets.schedules import nominal_delta_t
from tdlib.evaluation.tables import Member
from tdlib.speed import Model

WORSE_THAN_NO_CHANGE = 1.0


def dt_generalization_test(
    model: Model,
    test_sets: TestSets,
    spec: EnvironmentSpec,
    member: Member | None = None,
    *,
    train_delta_t: float | None = None,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Score one model at every rate, beside what a map that ignores Δt would score.

    Args:
        model: One model.
        test_sets: Its test set.
        spec: Names the dimensions and angles.
        member: Key columns of the model.
        train_delta_t: h of a model trained at one step [s]; gives the column fixed_step_limit = |1 − h/Δ|.
        device: Where the model is.

    Returns:
        One row per rate: test_frequency, delta_t [s], mse, relative_error, fixed_step_limit, verdict ("better than no
        change" or "worse than no change"), n.
    """
    members = None if member is None else [member]
    table = one_step_errors(model, test_sets, spec, members, sets=("pooled",), device=device)
    table = table[table["dimension"] == "all"].reset_index(drop=True)
    delta_t = np.array([nominal_delta_t(rate) for rate in table["test_frequency"]])
    limit = np.abs(1 - train_delta_t / delta_t) if train_delta_t else np.full(len(table), np.nan)
    limit[table["test_frequency"].to_numpy() == "irregular"] = np.nan
    worse = ~(table["relative_error"].to_numpy() < WORSE_THAN_NO_CHANGE)  # nan is worse
    return pd.DataFrame({
        "test_frequency": table["test_frequency"],
        "delta_t": delta_t,
        "mse": table["mse"],
        "relative_error": table["relative_error"],
        "fixed_step_limit": limit,
        "verdict": np.where(worse, "worse than no change", "better than no change"),
        "n": table["n"],
    })  # fmt: skip
