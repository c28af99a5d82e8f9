"""Systems with exact zero-order hold, and the Gymnasium environments over them.

`SYSTEMS` maps names to equations, `ENVIRONMENTS` names to Gymnasium ids; importing the package registers
`tdlib/Pendulum-v1`, `tdlib/CartPole-v1` and `tdlib/CartPoleContinuous-v1`.
"""

import gymnasium

from tdlib.core.specs import EnvironmentSpec
from tdlib.envs.environments import SystemEnvironment
from tdlib.envs.frequency_wrapper import FixedFrequencyWrapper
from tdlib.systems import SYSTEMS, IntervalOutcome, System, get_system

ENVIRONMENTS: dict[str, str] = {name: f"tdlib/{name}" for name in SYSTEMS}

__all__ = [
    "ENVIRONMENTS",
    "SYSTEMS",
    "EnvironmentSpec",
    "FixedFrequencyWrapper",
    "IntervalOutcome",
    "System",
    "SystemEnvironment",
    "get_system",
    "make_environment",
    "make_system_environment",
]


def make_system_environment(system: str, control_frequency: float, **options: object) -> SystemEnvironment:
    """Build the environment of a named system; the entry point of the registered ids."""
    return SystemEnvironment(get_system(system), control_frequency, **options)


def make_environment(name: str, control_frequency: float, **options: object) -> gymnasium.Env:
    """Make a registered environment by its short name at a control frequency [Hz].

    Raises:
        ValueError: If the name is unknown or the rate is not a positive number.
    """
    get_system(name)
    return gymnasium.make(ENVIRONMENTS[name], control_frequency=control_frequency, **options)


for _name, _id in ENVIRONMENTS.items():
    if _id not in gymnasium.registry:
        gymnasium.register(
            id=_id,
            entry_point="tdlib.envs:make_system_environment",
            kwargs={"system": _name, "control_frequency": 1 / SYSTEMS[_name].spec.reward_delta_t},
        )
