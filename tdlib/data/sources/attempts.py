"""When an agent counts as one that learned, and by which rule another takes its place.

PPO does not learn in every run. An agent without a gain would make data of another kind than those of its rate's other
seeds, and it is no reason to stop a study. So attempt k of an experiment seed has an agent seed derived from (seed,
environment, rate, k), the first without k; the first attempt whose return gained is kept, the last one where none of
the allowed attempts did. Nothing else is looked at. Every attempt, kept or not, is in the attributes of the set.
"""

import json
from dataclasses import asdict, dataclass

from tdlib.core.seeding import derive_seed
from tdlib.data.schema import TransitionDataset
from tdlib.data.verify import has_gain, returns_over_time

MAX_ATTEMPTS = 3
SEED_RANGE = 2**31  # stable-baselines3 takes seeds of 31 bits


@dataclass(frozen=True)
class Attempt:
    """One agent and what its return did.

    Args:
        attempt: 1, 2, ...
        agent_seed: Seed of the agent.
        first_return: Mean return of the complete episodes in the first fifth of its collection.
        last_return: The same in the last fifth.
        last_ci_low: Lower end of the 95 % interval of that.
        gained: Whether that lies above the first.
    """

    attempt: int
    agent_seed: int
    first_return: float
    last_return: float
    last_ci_low: float
    gained: bool


def agent_seed(seed: int, env: str, control_frequency: float, attempt: int) -> int:
    """Return the seed of an agent; that of the first attempt does not name its number."""
    labels = () if attempt == 1 else ("attempt", attempt)
    return derive_seed(seed, "ppo", env, float(control_frequency), *labels) % SEED_RANGE


def outcome_of(dataset: TransitionDataset, attempt: int, seed: int) -> Attempt:
    """Judge an agent by all transitions of its training."""
    rows = returns_over_time(dataset)
    first, last = rows[0], rows[-1]
    return Attempt(attempt, seed, first["mean"], last["mean"], last["ci_low"], has_gain(rows))


def attempts_text(attempts: list[Attempt]) -> str:
    """Write attempts as an attribute of a set."""
    return json.dumps([asdict(attempt) for attempt in attempts])


def read_attempts(dataset: TransitionDataset) -> list[Attempt]:
    """Read the attempts behind a set; none for sets that name none."""
    return [Attempt(**values) for values in json.loads(str(dataset.attributes.get("attempts", "[]")))]
