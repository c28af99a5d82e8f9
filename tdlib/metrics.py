"""The measures under one name: pure functions of predictions and truth, and what takes them of a model."""

from tdlib.evaluation.errors import (
    auroc,
    mse_over_horizon,
    rank_correlation,
    relative_error,
    squared_error,
)
from tdlib.evaluation.measures.calibration import ensemble_calibration
from tdlib.evaluation.measures.consistency import consistency_error
from tdlib.evaluation.measures.convergence import convergence_test
from tdlib.evaluation.measures.energy import energy_drift
from tdlib.evaluation.measures.generalization import dt_generalization, dt_generalization_test
from tdlib.evaluation.measures.one_step import one_step_errors
from tdlib.evaluation.measures.rollout import open_loop_rollout, rollout_errors
from tdlib.evaluation.sliding import sliding_nll, sliding_rmse

__all__ = [
    "auroc",
    "consistency_error",
    "convergence_test",
    "dt_generalization",
    "dt_generalization_test",
    "energy_drift",
    "ensemble_calibration",
    "mse_over_horizon",
    "one_step_errors",
    "open_loop_rollout",
    "rank_correlation",
    "relative_error",
    "rollout_errors",
    "sliding_nll",
    "sliding_rmse",
    "squared_error",
]
