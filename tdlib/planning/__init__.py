"""Planning by sampling: time in seconds, decisions in knots, many problems at once; no planner knows a model."""

from tdlib.planning.enumeration import MAX_SEQUENCES, Enumeration, all_sequences
from tdlib.planning.knots import KnotClock, shift_knots
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
from tdlib.planning.proposals import BoxInputs, CategoricalInputs, Proposal, inputs_of

__all__ = [
    "CEM",
    "MAX_SEQUENCES",
    "MPPI",
    "BoxInputs",
    "CategoricalInputs",
    "Enumeration",
    "KnotClock",
    "Objective",
    "Plan",
    "Planner",
    "Proposal",
    "RandomInputs",
    "WarmStart",
    "all_sequences",
    "cost_weights",
    "finite_scores",
    "fresh_start",
    "inputs_of",
    "prediction_objective",
    "shift_knots",
]
