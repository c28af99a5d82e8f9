"""Planners by the names that tasks and tables give them."""

from collections.abc import Callable

from tdlib.planning.dial import DIAL
from tdlib.planning.enumeration import Enumeration
from tdlib.planning.planners import CEM, MPPI, Planner
from tdlib.planning.predictive_sampling import PredictiveSampling

PLANNERS: dict[str, Callable[..., Planner]] = {
    "cem": CEM,
    "mppi": MPPI,
    "predictive_sampling": PredictiveSampling,
    "dial": DIAL,
    "enumeration": Enumeration,
}
SAMPLING = ("cem", "mppi", "predictive_sampling", "dial")  # those whose budget is a choice


def build_planner(name: str, **budget: int) -> Planner:
    """Return a planner by name.

    Args:
        name: One of `PLANNERS`.
        budget: Samples and iterations, of planners that sample; one that scores everything has no use for them.

    Raises:
        ValueError: If there is none of that name.
    """
    if name not in PLANNERS:
        raise ValueError(f"planner must be one of {sorted(PLANNERS)}, got {name!r}")
    return PLANNERS[name](**budget) if name in SAMPLING else PLANNERS[name]()
