"""How well models predict: one step, open loop, against themselves at other steps, and in control."""

from tdlib.core.facts import RATES, TRAIN_RATES
from tdlib.evaluation.control.collect import collect_planned
from tdlib.evaluation.control.custom import ControlTask
from tdlib.evaluation.control.dynamics import Oracle, SideBySide
from tdlib.evaluation.control.episodes import (
    ControlResult,
    ControlSettings,
    evaluate_control,
)
from tdlib.evaluation.control.starts import control_starts
from tdlib.evaluation.diagnose import Diagnosis, diagnose
from tdlib.evaluation.errors import mse_over_horizon, relative_error, squared_error
from tdlib.evaluation.evaluate import evaluate_stack, merge_tables
from tdlib.evaluation.files.episode_file import EpisodeFile, Episodes, load_episodes, stored_settings
from tdlib.evaluation.files.rollout_file import RolloutFile, Rollouts, load_rollouts, stored_rates
from tdlib.evaluation.measures import MEASURES, Measure, Skipped, Subject, register_measure, result_tables
from tdlib.evaluation.measures.calibration import ensemble_calibration
from tdlib.evaluation.measures.consistency import FREQUENCY_PAIRS, consistency_error
from tdlib.evaluation.measures.convergence import convergence_test
from tdlib.evaluation.measures.energy import energy_drift
from tdlib.evaluation.measures.generalization import dt_generalization, dt_generalization_test
from tdlib.evaluation.measures.ground_truth import plant_change_table, plant_motions
from tdlib.evaluation.measures.one_step import one_step_errors
from tdlib.evaluation.measures.points import pointwise_errors
from tdlib.evaluation.measures.rollout import open_loop_rollout, rollout_errors
from tdlib.evaluation.measures.velocity_field import field_errors, velocity_field
from tdlib.evaluation.sets.pairs import PairSet
from tdlib.evaluation.sets.rollout_sets import RolloutSet
from tdlib.evaluation.sets.test_sets import TestSet, build_pairs, build_test_set, flow_pairs
from tdlib.evaluation.tables import KEY_COLUMNS, at_time, read_table, write_table
from tdlib.evaluation.visual import (
    FrameSequences,
    compute_visual_metrics,
    visual_dt_generalization_test,
    visual_open_loop_rollout,
)

__all__ = [
    "FREQUENCY_PAIRS",
    "KEY_COLUMNS",
    "MEASURES",
    "ControlResult",
    "ControlSettings",
    "ControlTask",
    "Diagnosis",
    "EpisodeFile",
    "Episodes",
    "FrameSequences",
    "Measure",
    "Oracle",
    "RATES",
    "TRAIN_RATES",
    "PairSet",
    "RolloutFile",
    "RolloutSet",
    "Rollouts",
    "SideBySide",
    "Skipped",
    "Subject",
    "TestSet",
    "at_time",
    "build_pairs",
    "build_test_set",
    "collect_planned",
    "compute_visual_metrics",
    "consistency_error",
    "control_starts",
    "convergence_test",
    "diagnose",
    "dt_generalization",
    "dt_generalization_test",
    "energy_drift",
    "ensemble_calibration",
    "evaluate_control",
    "evaluate_stack",
    "field_errors",
    "flow_pairs",
    "load_episodes",
    "load_rollouts",
    "merge_tables",
    "mse_over_horizon",
    "one_step_errors",
    "open_loop_rollout",
    "plant_change_table",
    "plant_motions",
    "pointwise_errors",
    "read_table",
    "register_measure",
    "relative_error",
    "result_tables",
    "rollout_errors",
    "squared_error",
    "stored_rates",
    "stored_settings",
    "velocity_field",
    "visual_dt_generalization_test",
    "visual_open_loop_rollout",
    "write_table",
]
