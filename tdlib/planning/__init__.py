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

PLANNERS: dict[str, type] = {"cem": CEM, "mppi": MPPI, "enumeration": Enumeration, "random": RandomInputs}

__all__ = [
    "CEM",
    "MAX_SEQUENCES",
    "MPPI",
    "PLANNERS",
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
    "make_planner",
    "prediction_objective",
    "shift_knots",
]


def make_planner(name: str, **settings: int | float) -> Planner:
    """Build a planner by name; discrete actions turn CEM and MPPI into their categorical (Bernoulli) forms.

    Raises:
        ValueError: If the name or a setting is unknown; the message lists what is valid.
    """
    if name not in PLANNERS:
        raise ValueError(f"planner must be one of {sorted(PLANNERS)}, got {name!r}")
    valid = set(PLANNERS[name].__dataclass_fields__) - {"name"}
    unknown = set(settings) - valid
    if unknown:
        raise ValueError(f"planner {name!r} takes {sorted(valid)}, got {sorted(unknown)}")
    return PLANNERS[name](**settings)
