"""Which settings an agent is trained with at which rate; every system keeps its own in its file."""

import math

from tdlib.core.time_grid import delta_t_of
from tdlib.systems import SYSTEMS, get_system
from tdlib.systems.task import PPOSettings

MIN_TRANSITIONS = 100  # of one collection: fewer leave no episode for one of its splits


def has_ppo(env: str) -> bool:
    """Whether data of a system are collected with PPO: whether it keeps settings for it."""
    return env in SYSTEMS and bool(SYSTEMS[env].collection.ppo)


def ppo_environments() -> list[str]:
    """Return the systems that are collected with PPO."""
    return sorted(name for name in SYSTEMS if has_ppo(name))


def ppo_settings(env: str, control_frequency: float) -> PPOSettings:
    """Return the settings of an environment at a rate [Hz]; a rate without its own takes those of the nearest.

    Raises:
        ValueError: If the environment has no PPO settings, or the rate is not a positive number.
    """
    if not has_ppo(env):
        raise ValueError(f"env must be one of {ppo_environments()} to be collected with PPO, got {env!r}")
    wanted = delta_t_of(control_frequency)
    rates = get_system(env).collection.ppo
    return rates[min(rates, key=lambda rate: abs(math.log(delta_t_of(rate) / wanted)))]
