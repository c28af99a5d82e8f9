"""Data of a planner at work: closed-loop episodes on the real system, its inputs disturbed, as a set of transitions."""

import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tdlib.core.seeding import derive_seed
from tdlib.core.time_grid import delta_t_of, rate_label, steps_within
from tdlib.data.schema import PARAMETERS, TransitionDataset
from tdlib.data.sources.random import collect_random
from tdlib.data.sources.simulated import origin_of, simulated_rows
from tdlib.data.splits import subset_transitions, write_splits
from tdlib.data.storage import save_dataset
from tdlib.evaluation.control.dynamics import Dynamics, Oracle
from tdlib.evaluation.control.episodes import ControlSettings, evaluate_control
from tdlib.evaluation.control.plans import declared_inputs, declared_planner
from tdlib.evaluation.control.starts import control_parameters, control_starts
from tdlib.models import DynamicsModel
from tdlib.planning import BoxInputs, Inputs, Objective, Plan, Planner, Proposal, WarmStart
from tdlib.planning.planners import FULL_SCALE, Noise
from tdlib.speed import Stack
from tdlib.systems import System, get_system


@dataclass(frozen=True)
class Exploring:
    """A planner whose plans are carried out with noise; what it keeps for its next plan is without.

    Args:
        planner: Makes the plans.
        spread: Standard deviation of the noise of every knot, relative to half the range of an input.
    """

    planner: Planner
    spread: float

    def __post_init__(self):
        if not 0 <= self.spread < float("inf"):
            raise ValueError(f"spread must be finite and not negative, got {self.spread}")

    @property
    def name(self) -> str:
        """What tables call it."""
        return self.planner.name

    def num_scored(self, inputs: Inputs, num_knots: int) -> int:
        return self.planner.num_scored(inputs, num_knots)

    def plan(self, objective: Objective, inputs: Inputs, warm_start: WarmStart, noise: Noise) -> Plan:
        """Plan, then add noise within the limits; raises a ValueError if the actions are discrete."""
        if not isinstance(inputs, BoxInputs):
            raise ValueError(f"exploration needs inputs in a box, got {type(inputs).__name__}")
        plan = self.planner.plan(objective, inputs, warm_start, noise)
        num_knots = plan.knots.shape[-2]
        fresh = inputs.initial(plan.knots.shape[:-2], num_knots).spread.to(plan.knots)
        around = Proposal(plan.knots, self.spread / inputs.initial_spread * fresh)
        knots = inputs.sample(around, noise(FULL_SCALE, num_knots))[..., -1, :, :]
        return Plan(knots, plan.score, plan.num_nonfinite, plan.warm_start)


def collect_planned(
    system: System,
    control_frequency: float,
    seed: int,
    num_episodes: int,
    *,
    exploration: float = 0.2,
    dynamics: Dynamics | Stack | DynamicsModel | None = None,
    planner: Planner | None = None,
    settings: ControlSettings | None = None,
) -> TransitionDataset:
    """Run episodes under a planner from starts as its task has them and return what happened, a row per control step.

    Starts, parameters and noise are drawn for these data alone: no episode that a controller is judged by starts alike.

    Args:
        system: The real system.
        control_frequency: Decisions per second [Hz].
        seed: Of starts, parameters, and the noise of planner and inputs; it takes the place of `settings.seed`.
        num_episodes: How many; more keep the first ones.
        exploration: Standard deviation of the noise on the planned knots, relative to half the range of an input; it
            is drawn anew with every plan.
        dynamics: What plans are made on; the true equation if None.
        planner: What the system's task declares if None.
        settings: Length of episodes, time between plans, knots; the study's defaults if None.

    Raises:
        ValueError: If the actions are discrete, or the exploration is negative or not finite.

    Source:
        Seed 001, whose logs are of sampling MPC on the simulated robot.
    """
    own = derive_seed(seed, "planned data", float(control_frequency))
    settings = replace(settings or ControlSettings(), seed=own)
    planner = Exploring(planner or declared_planner(system), exploration)
    parameters = control_parameters(system, num_episodes, own)
    result = evaluate_control(
        Oracle(system) if dynamics is None else dynamics,
        system,
        control_frequency,
        control_starts(system, num_episodes, own),
        parameters=parameters,
        planner=planner,
        settings=settings,
    )
    delta_t, ends = delta_t_of(control_frequency), result.exit_time[0].tolist()
    episodes = []
    for episode, (states, actions, end) in enumerate(zip(result.states[0], result.actions[0], ends, strict=True)):
        count = int((result.times[:-1] < end).sum())
        drawn = None if parameters is None else parameters[episode].expand(count, -1)
        episodes.append(_rows(system, states[:count], actions[:count], delta_t, drawn))
    duration = float(result.times[-1])
    policy = (
        f"{planner.name} planning every {max(settings.replan_interval, delta_t):g} s on "
        f"{'the true equation' if dynamics is None else type(dynamics).__name__}, knots disturbed by {exploration:g} "
        "of half the range of an input"
    )
    attributes = {**origin_of(system, seed, policy), "time_limit": duration}
    return TransitionDataset.from_episodes(episodes, system.spec, float(control_frequency), attributes)


def has_planned(system: System) -> bool:
    """Whether a planner's episodes can be collected: the task has a cost, and plans are of inputs in a box."""
    task = system.task
    has_cost = task is not None and (task.cost is not None or task.reward is not None)
    return has_cost and isinstance(declared_inputs(system), BoxInputs)


def collect_with_planned(
    env: str,
    frequency: float,
    seed: int,
    num_transitions: int,
    *,
    planned_share: float,
    replan_seconds: float = 0.1,
    planner: Planner | None = None,
) -> TransitionDataset:
    """Return a set whose rows are a planner's at work, by a share, and random inputs' for the rest, in that order.

    A planner visits what its task is about, inputs alone what surrounds it; the last planned episode is cut.

    Args:
        env: Key in `SYSTEMS`, with a task for which `has_planned` is true.
        frequency: Control frequency [Hz].
        seed: Experiment seed.
        num_transitions: N >= 4.
        planned_share: In (0, 1); rounded to whole rows.
        replan_seconds: Time between plans [s].
        planner: What the system's task declares if None.

    Raises:
        ValueError: If the share is not in (0, 1), or leaves a part without rows.
    """
    num_planned = round(planned_share * num_transitions)
    if not (0 < planned_share < 1 and 2 <= num_planned <= num_transitions - 2):
        raise ValueError(
            f"planned_share must be in (0, 1) and leave both parts rows, got {planned_share} of {num_transitions}"
        )
    system, delta_t = get_system(env), delta_t_of(frequency)
    duration = min(system.spec.time_limit, num_planned * delta_t)
    settings = ControlSettings(replan_interval=replan_seconds, duration=duration)
    num_episodes = math.ceil(num_planned / steps_within(duration, delta_t))
    collect = partial(collect_planned, system, frequency, seed, planner=planner, settings=settings)
    while len(planned := collect(num_episodes)) < num_planned:  # some episodes left their limits
        num_episodes *= 2
    planned = subset_transitions(planned, num_planned, seed=seed)
    others = collect_random(env, frequency, seed, num_transitions - num_planned)
    policy = f"{num_planned} transitions of {planned.attributes['policy']}; then {others.attributes['policy']}"
    return planned.joined_with(others).with_attributes(policy=policy)


def write_with_planned(
    env: str, frequency: float, seed: int, num_transitions: int, out_dir: Path | str, **options: Any
) -> Path:
    """Write `dataset_<rate>.h5` of `collect_with_planned`, which takes the options, and its splits below `out_dir`."""
    path = Path(out_dir) / f"dataset_{rate_label(frequency)}.h5"
    dataset = collect_with_planned(env, frequency, seed, num_transitions, **options)
    told = ", ".join(f"{name} {value}" for name, value in options.items())
    dataset = dataset.with_attributes(settings=f"{env} {frequency:g} Hz, seed {seed}, {num_transitions} rows, {told}")
    write_splits(dataset, path, seed)
    return save_dataset(dataset, path)


def _rows(
    system: System, states: Tensor, actions: Tensor, delta_t: float, parameters: Tensor | None
) -> dict[str, np.ndarray]:
    """Return the columns of one episode from its states (T, D) at the control steps and the actions (T, A) held there.

    The intervals are solved once more, which tells reward, exit and contact of each.
    """
    times = torch.arange(len(states), dtype=torch.float64) * delta_t
    outcome = system.simulate_rows(states, actions, delta_t, parameters)
    rows = simulated_rows(system, states, actions, torch.full_like(times, delta_t), times, parameters, outcome)
    rows["truncated"][-1] = not rows["terminated"][-1]
    if parameters is not None:
        rows[PARAMETERS] = parameters[0].numpy()
    return rows
