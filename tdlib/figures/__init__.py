"""Figures from tables: each `draw_...` takes a DataFrame and returns a drawing with caption, alt text and data."""

from tdlib.figures.alarm import draw_alarm
from tdlib.figures.belief_sketches import (
    draw_architecture,
    draw_conditioning,
    draw_covariance,
    draw_graphical_model,
    draw_marginalization,
)
from tdlib.figures.beliefs import draw_belief, draw_intervals, draw_likelihoods, live_belief
from tdlib.figures.beside import draw_beside
from tdlib.figures.calibration import draw_calibration
from tdlib.figures.consistency import draw_consistency, draw_convergence
from tdlib.figures.control import draw_control
from tdlib.figures.data import draw_coverage, draw_returns
from tdlib.figures.doctor import draw_finer, draw_log_rates, draw_trials, draw_verdict
from tdlib.figures.excess_form import draw_excess_forms
from tdlib.figures.failure import draw_predictors, draw_reliability
from tdlib.figures.ground_truth import draw_plant_change, draw_zero_order_hold
from tdlib.figures.heatmaps import draw_error_heatmaps
from tdlib.figures.horizon import draw_error_vs_horizon
from tdlib.figures.imagined import draw_imagined, draw_imagined_rates, draw_imagined_treatments, draw_seen
from tdlib.figures.levels import draw_levels
from tdlib.figures.limits import draw_limits
from tdlib.figures.live import (
    errors_by_rate,
    live_curve,
    live_errors,
    live_intervals,
    live_likelihoods,
    live_plant,
    live_returns,
    live_rollout,
    live_states,
)
from tdlib.figures.log_clock import draw_stamps
from tdlib.figures.memories import draw_known_rows, draw_memories, draw_treatments
from tdlib.figures.paper import draw_figure1, draw_figure2, draw_figure3, draw_figure4, draw_figure5
from tdlib.figures.physics import (
    draw_dt_generalization,
    draw_energy,
    draw_mse_over_horizon,
    draw_sequence,
)
from tdlib.figures.poles import draw_poles, table_of_fields
from tdlib.figures.pooled import draw_own_and_pooled
from tdlib.figures.priors import draw_energy_beside_error, draw_priors
from tdlib.figures.save import Drawing, SavedFigure, save_drawing, save_figure
from tdlib.figures.shift import draw_shift
from tdlib.figures.state_space import draw_state_space
from tdlib.figures.statistics import draw_contrasts
from tdlib.figures.training import draw_training_curves, draw_training_overview
from tdlib.figures.trajectories import draw_trajectories
from tdlib.figures.variations import draw_variations
from tdlib.figures.velocity_field import draw_velocity_field
from tdlib.figures.videos import SavedVideo, save_rollout_video
from tdlib.figures.whole_table import WholeTable, table_of_arms

__all__ = [
    "draw_stamps",
    "draw_verdict",
    "draw_trials",
    "draw_log_rates",
    "draw_finer",
    "Drawing",
    "SavedFigure",
    "SavedVideo",
    "WholeTable",
    "draw_alarm",
    "draw_architecture",
    "draw_beside",
    "draw_calibration",
    "draw_conditioning",
    "draw_consistency",
    "draw_contrasts",
    "draw_control",
    "draw_convergence",
    "draw_covariance",
    "draw_coverage",
    "draw_dt_generalization",
    "draw_energy",
    "draw_energy_beside_error",
    "draw_error_heatmaps",
    "draw_error_vs_horizon",
    "draw_excess_forms",
    "draw_figure1",
    "draw_figure2",
    "draw_figure3",
    "draw_figure4",
    "draw_figure5",
    "draw_graphical_model",
    "draw_limits",
    "draw_belief",
    "draw_imagined",
    "draw_imagined_rates",
    "draw_imagined_treatments",
    "draw_intervals",
    "draw_levels",
    "draw_likelihoods",
    "draw_known_rows",
    "draw_marginalization",
    "draw_memories",
    "draw_mse_over_horizon",
    "draw_own_and_pooled",
    "draw_plant_change",
    "draw_poles",
    "draw_predictors",
    "draw_priors",
    "draw_reliability",
    "draw_returns",
    "draw_seen",
    "draw_sequence",
    "draw_shift",
    "draw_state_space",
    "draw_training_curves",
    "draw_training_overview",
    "draw_trajectories",
    "draw_treatments",
    "draw_variations",
    "draw_velocity_field",
    "draw_zero_order_hold",
    "errors_by_rate",
    "live_belief",
    "live_curve",
    "live_errors",
    "live_intervals",
    "live_likelihoods",
    "live_plant",
    "live_returns",
    "live_rollout",
    "live_states",
    "save_drawing",
    "save_figure",
    "save_rollout_video",
    "table_of_arms",
    "table_of_fields",
]
