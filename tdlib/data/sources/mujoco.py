"""Collect sets from the simulator MuJoCo: HalfCheetah, Hopper, PointMaze and FrankaKitchen, whole or partly observed.

Needs the optional extra `mujoco` of pyproject.toml (`pip install -e ".[mujoco]"`). By hand:

    python -m tdlib.data.sources.mujoco half_cheetah --rate 20 --transitions 50000 --out FOLDER

The action is held by `FixedFrequencyWrapper`, so that the rate changes no plant. A set has no system whose truth at
other Δt were known: its state is what is observed, all of it or the positions alone.
"""

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import gymnasium
import numpy as np

from tdlib.core.seeding import derive_seed, numpy_generator
from tdlib.core.specs import EnvironmentSpec
from tdlib.core.time_grid import rate_label
from tdlib.data.schema import TransitionDataset
from tdlib.data.sources.recorder import EpisodeRecorder
from tdlib.data.sources.scripted_policies import MazeWalk, Policy, PostureWalk
from tdlib.data.splits import write_splits
from tdlib.data.storage import save_dataset
from tdlib.envs.frequency_wrapper import FixedFrequencyWrapper

PACKAGES, ROBOTS = ("mujoco", "gymnasium-robotics"), "gymnasium_robotics"
OBSERVED = ("all", "positions", "published")
JOINT_STATES = {  # MuJoCo's kinds of joints, by number: endings and units of positions, then of velocities
    0: ((("_x", "m"), ("_y", "m"), ("_z", "m"), ("_qw", "1"), ("_qx", "1"), ("_qy", "1"), ("_qz", "1")),
        (("_vx", "m/s"), ("_vy", "m/s"), ("_vz", "m/s"), ("_wx", "rad/s"), ("_wy", "rad/s"), ("_wz", "rad/s"))),
    2: ((("", "m"),), (("_rate", "m/s"),)),
    3: ((("", "rad"),), (("_rate", "rad/s"),)),
}  # fmt: skip


@dataclass(frozen=True)
class Machine:
    """One environment of MuJoCo, and how it is driven.

    Args:
        env_id: Gymnasium's name.
        rate: The environment's own control frequency [Hz].
        time_limit: Length of an episode [s].
        positions: Columns of the observation that are positions.
        published: Columns that are seen in Shaj et al. (2023), MTS3; the positions where it has no such set.
        hidden: Positions at the start of the simulator's state that an observation leaves out.
        robot: Joints of a robot whose positions and velocities come before those of other things; 0 for none.
        package: What registers the environment beside Gymnasium itself; empty for nothing.
        inner_step: Step of the environment [s] where it does not say so.
        scripted: (environment, generator) -> policy; None for one that is learned by SAC.
        options: Of `gymnasium.make`.
    """

    env_id: str
    rate: float
    time_limit: float
    positions: tuple[int, ...]
    published: tuple[int, ...]
    hidden: int = 0
    robot: int = 0
    package: str = ""
    inner_step: float | None = None
    scripted: Callable[[gymnasium.Env, np.random.Generator], Policy] | None = None
    options: dict[str, object] = field(default_factory=dict)


ARM = (*range(9), *range(18, 39))  # joints of the arm, places of what stands in the kitchen
MACHINES: dict[str, Machine] = {
    "half_cheetah": Machine("HalfCheetah-v5", 20, 50.0, tuple(range(8)), tuple(range(9)), hidden=1),
    "hopper": Machine("Hopper-v5", 125, 8.0, tuple(range(5)), tuple(range(5)), hidden=1),
    "point_maze": Machine(
        "PointMaze_Medium-v3", 100, 20.0, (0, 1), (0, 1), package=ROBOTS, inner_step=0.01,
        scripted=MazeWalk, options={"continuing_task": True, "reset_target": True},
    ),
    "franka_kitchen": Machine(
        "FrankaKitchen-v1", 12.5, 22.4, ARM, ARM, robot=9, package=ROBOTS, inner_step=0.08, scripted=PostureWalk,
    ),
}  # fmt: skip


def installed() -> list[str]:
    """Return which packages of the extra there are, with their versions."""
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return found


def missing_packages(name: str) -> list[str]:
    """Return which packages of the extra a machine needs and are not there."""
    wanted = {"mujoco": "mujoco", **({MACHINES[name].package: PACKAGES[1]} if MACHINES[name].package else {})}
    return [package for module, package in wanted.items() if importlib.util.find_spec(module) is None]


def make_machine(name: str, control_frequency: float | None = None) -> FixedFrequencyWrapper:
    """Return an environment whose actions are held at a rate, its own if None.

    Raises:
        ValueError: If there is no such machine, a package is missing, or the rate does not fit the simulator's step.
    """
    if name not in MACHINES:
        raise ValueError(f"machine must be one of {list(MACHINES)}, got {name!r}")
    machine = MACHINES[name]
    try:
        importlib.import_module("mujoco")
        if machine.package:
            gymnasium.register_envs(importlib.import_module(machine.package))
    except ImportError as error:
        rule = 'needs mujoco and gymnasium-robotics: pip install -e ".[mujoco]"'
        raise ValueError(f"machine {name!r} {rule}, got {installed() or 'neither'}") from error
    env = gymnasium.make(machine.env_id, max_episode_steps=-1, disable_env_checker=True, **machine.options)
    rate = machine.rate if control_frequency is None else control_frequency
    return FixedFrequencyWrapper(env, rate, sim_dt=machine.inner_step, time_limit=machine.time_limit)


def machine_spec(name: str, env: gymnasium.Env, observed: str = "all") -> tuple[EnvironmentSpec, list[int]]:
    """Return names and units of what is observed, and its columns in the environment's observation.

    Raises:
        ValueError: If `observed` is none of `OBSERVED`.
    """
    if observed not in OBSERVED:
        raise ValueError(f"observed must be one of {list(OBSERVED)}, got {observed!r}")
    machine = MACHINES[name]
    positions, velocities = _joints(env.unwrapped.model, machine.hidden)
    at = machine.robot
    names = positions[:at] + velocities[:at] + positions[at:] + velocities[at:]
    columns = list(range(len(names))) if observed == "all" else list(getattr(machine, observed))
    chosen, inputs = [names[i] for i in columns], env.action_space
    spec = EnvironmentSpec(
        name=machine.env_id if observed == "all" else f"{machine.env_id}-{observed}",
        state_names=tuple(x for x, _ in chosen), state_units=tuple(unit for _, unit in chosen), angle_dims=(),
        position_dims=(), velocity_dims=(), input_names=tuple(f"u{i}" for i in range(inputs.shape[0])),
        input_units=("1",) * inputs.shape[0], input_low=tuple(map(float, inputs.low)),
        input_high=tuple(map(float, inputs.high)), reward_delta_t=env.reward_delta_t, time_limit=machine.time_limit,
    )  # fmt: skip
    return spec, columns


def collect_mujoco(
    name: str,
    num_transitions: int,
    seed: int,
    control_frequency: float | None = None,
    observed: str = "all",
    training_steps: int = 50_000,
) -> TransitionDataset:
    """Drive a machine by its policy and keep exactly `num_transitions` steps.

    Args:
        name: A key of `MACHINES`.
        num_transitions: How many.
        seed: Of the policy, of starts and of noise.
        control_frequency: Decisions per second [Hz]; the environment's own if None.
        observed: `all`, `positions`, or what the paper's set shows (`published`); the set's `observation` has all.
        training_steps: Decisions that SAC learns from first; not used where the policy is written down.

    Returns:
        A set whose attributes name the policy and the minutes that learning and collecting took.
    """
    if isinstance(num_transitions, bool) or not isinstance(num_transitions, int) or num_transitions < 1:
        raise ValueError(f"num_transitions must be a whole number >= 1, got {num_transitions!r}")
    env, machine, started = make_machine(name, control_frequency), MACHINES[name], time.perf_counter()
    spec, columns = machine_spec(name, env, observed)
    label = f"scripted: {machine.scripted.__name__}" if machine.scripted else f"SAC after {training_steps} decisions"
    policy = _policy(machine, env, training_steps, seed)
    learned = time.perf_counter()
    recorder = EpisodeRecorder(spec, 1, num_transitions)
    _drive(env, policy, recorder, columns, seed)
    attributes: dict[str, str | int | float] = {
        "seed": seed, "policy": label, "packages": ", ".join(installed()), "observed": observed,
        "sim_step": env.sim_dt, "integrator": "MuJoCo", "learning_minutes": (learned - started) / 60,
        "collection_minutes": (time.perf_counter() - learned) / 60, "time_limit": machine.time_limit,
    }  # fmt: skip
    env.close()
    return recorder.dataset(env.control_frequency, attributes)


def write_mujoco(name: str, num_transitions: int, seed: int, path: Path | str, **how: object) -> Path:
    """Write a set to `path` (`.h5`) and its splits, by episode, beside it; `how` as `collect_mujoco` has it."""
    dataset = collect_mujoco(name, num_transitions, seed, **how)  # type: ignore[arg-type]
    write_splits(dataset, path, seed)
    return save_dataset(dataset, path)


def _joints(model: object, hidden: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return name and unit of every position but the hidden ones, and of every velocity."""
    positions, velocities = [], []
    for i in range(model.njnt):  # type: ignore[attr-defined]
        joint = model.joint(i)  # type: ignore[attr-defined]
        of_position, of_velocity = JOINT_STATES[int(joint.type[0])]
        positions += [(joint.name + ending, unit) for ending, unit in of_position]
        velocities += [(joint.name + ending, unit) for ending, unit in of_velocity]
    return positions[hidden:], velocities


def _policy(machine: Machine, env: gymnasium.Env, training_steps: int, seed: int) -> Policy:
    if machine.scripted is not None:
        return machine.scripted(env, numpy_generator(seed, machine.env_id, "policy"))
    from tdlib.data.sources.ppo import learned_policy  # heavy, and not needed by those that are written down

    return learned_policy(env, training_steps, derive_seed(seed, machine.env_id, "policy"))


def _drive(env: gymnasium.Env, policy: Policy, recorder: EpisodeRecorder, columns: list[int], seed: int) -> None:
    """Run episodes until the recorder is full."""
    observation, _ = env.reset(seed=derive_seed(seed, recorder.spec.name, "starts") % 2**31)
    while not recorder.full:
        action = policy(observation)
        before = _numbers(observation)
        observation, reward, terminated, truncated, info = env.step(action)
        after = _numbers(observation)
        kept = {"t": info["t"], "delta_t": info["delta_t"], "state": before[columns], "next_state": after[columns]}
        held = [float(x) for x in action]
        recorder.add(0, before, held, float(reward), after, terminated, truncated, kept)
        if terminated or truncated:
            observation, _ = env.reset()


def _numbers(observation: object) -> np.ndarray:
    """Return a copy of the numbers of an observation, which may come with goals."""
    return np.array(observation["observation"] if isinstance(observation, dict) else observation)


def main(arguments: list[str] | None = None) -> int:
    """Collect one set from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("machine", choices=list(MACHINES))
    parser.add_argument("--rate", type=float, help="control frequency [Hz]; the environment's own if left out")
    parser.add_argument("--observed", choices=OBSERVED, default="all")
    parser.add_argument("--seed", default=0, type=int)
    parser.add_argument("--transitions", default=50_000, type=int)
    parser.add_argument("--training-steps", default=50_000, type=int, help="decisions that SAC learns from first")
    parser.add_argument("--out", required=True, type=Path, help="folder of the set")
    options = parser.parse_args(arguments)
    rate = MACHINES[options.machine].rate if options.rate is None else options.rate
    path = options.out / f"{options.machine}_{options.observed}_{rate_label(rate)}_seed{options.seed}.h5"
    how = {"control_frequency": rate, "observed": options.observed, "training_steps": options.training_steps}
    try:
        write_mujoco(options.machine, options.transitions, options.seed, path, **how)
    except ValueError as error:
        parser.error(str(error))
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
