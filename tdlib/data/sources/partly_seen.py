"""Sets of which only a part is seen, at one rate: positions of a system, a machine of MuJoCo as it was published.

A name is what is driven and what is seen of it, `pendulum-positions` or `HalfCheetah-v5-published`. The state of such a
set is what is seen: nobody knows the truth at other Δt from it alone, so that it is scored as it was recorded.
"""

from dataclasses import replace
from pathlib import Path

from tdlib.core.specs import EnvironmentSpec
from tdlib.data.schema import TransitionDataset
from tdlib.data.sources.mujoco import MACHINES, OBSERVED, collect_mujoco, missing_packages
from tdlib.data.sources.random import collect_random
from tdlib.data.splits import write_splits
from tdlib.data.storage import save_dataset
from tdlib.systems import SYSTEMS

POSITIONS = "positions"  # all that is seen of a system: its sensors have no speeds


def parts_of_name(name: str) -> tuple[str, str]:
    """Return what is driven, a key of `SYSTEMS` or `MACHINES`, and what is seen of it.

    Raises:
        ValueError: If there is no such set.
    """
    driven, _, seen = name.rpartition("-")
    machines = {machine.env_id: key for key, machine in MACHINES.items()}
    if driven in machines and seen in OBSERVED[1:]:
        return machines[driven], seen
    if driven in SYSTEMS and seen == POSITIONS and SYSTEMS[driven].spec.position_dims:
        return driven, seen
    systems = [key for key, system in SYSTEMS.items() if system.spec.position_dims]
    rule = f"one of {systems} and '-{POSITIONS}', or of {list(machines)} and one of {['-' + x for x in OBSERVED[1:]]}"
    raise ValueError(f"a partly seen set must be {rule}, got {name!r}")


def is_partly_seen(name: str) -> bool:
    """Whether there is such a set."""
    try:
        parts_of_name(name)
    except ValueError:
        return False
    return True


def lacking_packages(name: str) -> list[str]:
    """Return the packages that a set needs to be collected and that are not installed."""
    driven, _ = parts_of_name(name)
    return missing_packages(driven) if driven in MACHINES else []


def collect_partly_seen(
    name: str, rate: float, seed: int, num_transitions: int, training_steps: int
) -> TransitionDataset:
    """Drive a system by random inputs, or a machine by its policy, and keep what is seen as the state.

    Args:
        name: See `parts_of_name`.
        rate: Control frequency [Hz].
        seed: Experiment seed.
        num_transitions: N.
        training_steps: Decisions that a machine's policy learns from first, where it is not written down.
    """
    driven, seen = parts_of_name(name)
    if driven in MACHINES:
        return collect_mujoco(
            driven, num_transitions, seed, control_frequency=rate, observed=seen, training_steps=training_steps
        )
    return only_positions(collect_random(driven, rate, seed, num_transitions))


def write_partly_seen(path: Path, *what: object) -> Path:
    """Write a set to `path` (`.h5`) and its splits, by episode, beside it; `what` as `collect_partly_seen` has it."""
    dataset = collect_partly_seen(*what)  # type: ignore[arg-type]
    write_splits(dataset, path, int(dataset.attributes["seed"]))
    return save_dataset(dataset, path)


def only_positions(dataset: TransitionDataset) -> TransitionDataset:
    """Return a set whose state are the positions alone; speeds and what was drawn per episode are hidden.

    Raises:
        ValueError: If the set names no positions.
    """
    spec, kept = dataset.spec, list(dataset.spec.position_dims)
    if not kept:
        raise ValueError(f"dataset must name positions among its states, {spec.name} has {spec.state_names}")
    state, next_state = dataset.state[:, kept], dataset.next_state[:, kept]
    return replace(dataset, state=state, next_state=next_state, spec=seen_spec(spec), parameters=None)


def seen_spec(spec: EnvironmentSpec) -> EnvironmentSpec:
    """Return names and units of what is left of a system's state where its speeds are hidden."""
    kept = list(spec.position_dims)
    return replace(
        spec,
        name=f"{spec.name}-{POSITIONS}",
        state_names=tuple(spec.state_names[i] for i in kept),
        state_units=tuple(spec.state_units[i] for i in kept),
        angle_dims=tuple(place for place, i in enumerate(kept) if i in spec.angle_dims),
        position_dims=(),
        velocity_dims=(),
        parameter_names=(),
    )
