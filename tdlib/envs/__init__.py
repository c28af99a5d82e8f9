"""Systems with exact zero-order hold, and the Gymnasium environments over them.

`SYSTEMS` maps names to equations, `ENVIRONMENTS` names to Gymnasium ids. Importing the package registers `tdlib/<name>`
for every system of the library, and `tdlib/<name>_visual` where a camera sees something of it (`tdlib.pixels`);
`register_system` adds one of one's own.
"""

import gymnasium

from tdlib.core.specs import EnvironmentSpec
from tdlib.envs.environments import SystemEnvironment
from tdlib.envs.frequency_wrapper import FixedFrequencyWrapper
from tdlib.envs.physics import (
    ForcedOscillator,
    ForcedPendulum,
    ForcedTwoBodySpaceship,
    PhysicsControlEnv,
    ThreeBodyEnv,
)
from tdlib.systems import SYSTEMS, IntervalOutcome, System, get_system

ENVIRONMENTS: dict[str, str] = {}
OTHERS = {"pendulum_dmcontrol": "tdlib.pixels.dmcontrol:make_dmcontrol_pendulum"}  # physics of optional packages

__all__ = [
    "ENVIRONMENTS",
    "SYSTEMS",
    "EnvironmentSpec",
    "FixedFrequencyWrapper",
    "ForcedOscillator",
    "ForcedPendulum",
    "ForcedTwoBodySpaceship",
    "IntervalOutcome",
    "PhysicsControlEnv",
    "System",
    "SystemEnvironment",
    "ThreeBodyEnv",
    "get_system",
    "make_environment",
    "make_system_environment",
    "register_system",
]


def make_system_environment(
    system: str, control_frequency: float, time_limit: float | None = None
) -> SystemEnvironment:
    """Build the environment of a named system; the entry point of the registered ids."""
    return SystemEnvironment(get_system(system), control_frequency, time_limit)


def make_environment(name: str, control_frequency: float, **options: object) -> gymnasium.Env:
    """Make a registered environment by its short name at a control frequency [Hz].

    Raises:
        ValueError: If the name is unknown or the rate is not a positive number.
    """
    known = {**ENVIRONMENTS, **{other: f"tdlib/{other}" for other in OTHERS}}
    if name not in known:
        raise ValueError(f"environment must be one of {sorted(known)}, got {name!r}")
    return gymnasium.make(known[name], control_frequency=control_frequency, **options)


def register_system(system: System) -> System:
    """Make a system known by its name, also to Gymnasium as `tdlib/<name>` (and `tdlib/<name>_visual`); return it.

    Raises:
        ValueError: If another system has this name.
    """
    name = system.spec.name
    if SYSTEMS.setdefault(name, system) is not system:
        raise ValueError(f"system must have a name of its own, {name!r} is taken by another")
    entry_points = {name: "tdlib.envs:make_system_environment"}
    if system.views.picture is not None:  # named, not imported: a later layer paints
        entry_points[f"{name}_visual"] = "tdlib.pixels.environments:make_visual_environment"
    for environment, entry_point in entry_points.items():
        ENVIRONMENTS[environment] = f"tdlib/{environment}"
        if ENVIRONMENTS[environment] not in gymnasium.registry:
            gymnasium.register(
                id=ENVIRONMENTS[environment],
                entry_point=entry_point,
                kwargs={"system": name, "control_frequency": 1 / system.delta_t},
            )
    return system


for _system in tuple(SYSTEMS.values()):
    register_system(_system)

for _name, _entry_point in OTHERS.items():
    if f"tdlib/{_name}" not in gymnasium.registry:
        gymnasium.register(id=f"tdlib/{_name}", entry_point=_entry_point)
