"""Planning by sampling: time in seconds, decisions in knots, many problems at once; no planner knows a model."""

from tdlib.planning.dial import DIAL
from tdlib.planning.enumeration import MAX_SEQUENCES, Enumeration, all_sequences
from tdlib.planning.interpolation import INTERPOLATIONS, Interpolation, knot_weights
from tdlib.planning.knots import KnotClock, planning_steps, shift_knots
from tdlib.planning.objective import cost_weights, prediction_objective
from tdlib.planning.planners import (
    CEM,
    MPPI,
    Objective,
    Plan,
    Planner,
    RandomInputs,
    WarmStart,
    finite_scores,
    fresh_start,
)
from tdlib.planning.predictive_sampling import PredictiveSampling
from tdlib.planning.proposals import BoxInputs, CategoricalInputs, Inputs, Proposal, inputs_of
from tdlib.planning.registry import PLANNERS, build_planner

__all__ = [
    "CEM",
    "DIAL",
    "INTERPOLATIONS",
    "MAX_SEQUENCES",
    "MPPI",
    "PLANNERS",
    "BoxInputs",
    "CategoricalInputs",
    "Enumeration",
    "Inputs",
    "Interpolation",
    "KnotClock",
    "Objective",
    "Plan",
    "Planner",
    "PredictiveSampling",
    "Proposal",
    "RandomInputs",
    "WarmStart",
    "all_sequences",
    "build_planner",
    "cost_weights",
    "finite_scores",
    "fresh_start",
    "inputs_of",
    "knot_weights",
    "planning_steps",
    "prediction_objective",
    "shift_knots",
]
