"""Closed-loop control: how well a model serves a planner that acts on the real system.

At every planning time t a planner maximizes the negative cost of what the model predicts,

    J = Σ_j w_j c(ŝ_j, u_j) + w_T c(ŝ_T, u_T),   w_j = Δt but Δt/2 at the horizon's end,

with the system's declared cost rate c [1/s], a declared terminal cost in place of the last term, and the real system
(float64, exact zero-order hold) carries out the first inputs. All members of a stack and all episodes are planned at
once, M problems times E. Members of one seed meet the same starts and the same planner noise, and each episode has its
own noise, so members of a seed are compared in pairs.
"""

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tdlib.core.facts import CONTEXT_STEPS
from tdlib.core.time_grid import TOLERANCE, delta_t_of, steps_within
from tdlib.evaluation.control.dynamics import Dynamics
from tdlib.evaluation.control.plans import (
    SharedNoise,
    declared_inputs,
    declared_planner,
    knot_clock,
    planning_objective,
)
from tdlib.evaluation.control.plant import Plant
from tdlib.models import DynamicsModel
from tdlib.planning import Planner, fresh_start, planning_steps
from tdlib.speed import Stack, prepared
from tdlib.systems.system import System

COMPACTION_MEMBERS = 32  # smaller stacks cost the same when half of their members are left out


@dataclass(frozen=True)
class ControlSettings:
    """How episodes are run; the defaults are the study's, a short preset may shrink `duration` and `replan_interval`.

    Args:
        horizon: Length of a plan [s]; None is what the system's task declares.
        knots_per_second: Decisions per second of plan; no knot is shorter than a control or a model step. None is what
            the task declares.
        interpolation: How inputs go from knot to knot: zero, linear or cubic. None is what the task declares.
        replan_interval: Time between plans [s], see `planning_steps`; 0 plans at every control step.
        duration: Length of an episode [s]; None is the environment's own time limit.
        terminal_weight: Time for which the cost at the end of the horizon counts on [s], of tasks that declare no
            terminal cost.
        context_steps: True past steps that a model with memory is given.
        model_delta_t: Prediction step [s]; a whole multiple or a whole fraction of the control step. None is equal.
        seed: Of the planner's noise, where members have no seeds of their own.
        dtype: Precision of predictions; the real system is always float64.
        device: Where predictions run.
    """

    horizon: float | None = None
    knots_per_second: float | None = None
    interpolation: str | None = None
    replan_interval: float = 0.0
    duration: float | None = None
    terminal_weight: float = 0.5
    context_steps: int = CONTEXT_STEPS
    model_delta_t: float | None = None
    seed: int = 0
    dtype: torch.dtype = torch.float32
    device: torch.device | str = "cpu"

    def __post_init__(self):
        for name, smallest in (("horizon", 0.0), ("knots_per_second", 0.0), ("duration", 0.0)):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > smallest):
                raise ValueError(f"{name} must be positive and finite, got {value}")
        for name in ("replan_interval", "terminal_weight", "context_steps"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be finite and not negative, got {value}")


@dataclass(frozen=True)
class ControlResult:
    """Closed-loop episodes of M members from E starts.

    Args:
        states: (M, E, T+1, D) true states at the control times, float64; held after the episode has ended.
        actions: (M, E, T, A) inputs carried out, as in the data sets (index if discrete).
        reward: (M, E, T) Gymnasium's reward integrated over each control step until exit.
        times: (T+1,) [s].
        episode_return: (M, E) Gymnasium's reward integrated over time until exit.
        success: (M, E) whether the task was solved.
        exit_time: (M, E) time of leaving the limits [s]; inf if it did not happen.
        num_nonfinite: (M, E) plans that scored NaN or infinity.
        control_frequency: [Hz].
        model_delta_t: Prediction step [s].
        planner: Name of the planner.
        seconds: CPU time of the whole evaluation [s].
    """

    states: Tensor
    actions: Tensor
    reward: Tensor
    times: Tensor
    episode_return: Tensor
    success: Tensor
    exit_time: Tensor
    num_nonfinite: Tensor
    control_frequency: float
    model_delta_t: float
    planner: str
    seconds: float

    def members(self, chosen: slice | list[int]) -> "ControlResult":
        """Return the episodes of some of the members."""
        names = ("states", "actions", "reward", "episode_return", "success", "exit_time", "num_nonfinite")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})


@torch.no_grad()
def evaluate_control(
    dynamics: Dynamics | Stack | DynamicsModel,
    system: System,
    control_frequency: float,
    starts: Tensor,
    *,
    num_members: int = 1,
    seeds: Sequence[int] | None = None,
    parameters: Tensor | None = None,
    planner: Planner | None = None,
    settings: ControlSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ControlResult:
    """Run closed-loop episodes on the real system with plans made on a model.

    Args:
        dynamics: Stack of M models or a wrapper of one, or `Oracle`; see `prepared` for several calls.
        system: The real system.
        control_frequency: Decisions per second [Hz].
        starts: (E, D) starts shared by all members, or (M, E, D).
        num_members: M.
        seeds: Of the planner's noise, one per member; those of one seed share it. `settings.seed` for all if None.
        parameters: (E, P) or (M, E, P) parameters of the real system in every episode; nominal if None. Models see them
            in their context, if they may; the cost that planners minimize is that of the nominal ones.
        planner: What the system's task declares, with its defaults, if None.
        settings: Horizon, knots, duration, prediction step, precision; the study's defaults if None.
        progress: Called with (control steps done, control steps in all).

    Raises:
        ValueError: If starts, seeds or parameters have the wrong shape, or the model step does not fit the control's.
    """
    started = time.process_time()
    settings = settings or ControlSettings()
    planner = planner or declared_planner(system)
    dynamics = prepared(dynamics)
    delta_t = delta_t_of(control_frequency)
    model_delta_t = _checked_model_step(settings.model_delta_t, delta_t)
    dtype, device = settings.dtype, settings.device
    clock = knot_clock(
        system, delta_t, model_delta_t, settings.horizon, settings.knots_per_second, settings.interpolation
    )
    state = _checked_starts(starts, system, num_members)
    drawn = None if parameters is None else _checked_parameters(parameters, system, state)
    plant = Plant(system, state, delta_t, min(delta_t, model_delta_t), drawn)
    num_episodes = plant.state.shape[1]
    draw_noise = SharedNoise(
        system, [settings.seed] * num_members if seeds is None else seeds, num_members, num_episodes
    )
    total = steps_within(system.spec.time_limit if settings.duration is None else settings.duration, delta_t)
    plan_at = planning_steps(total, delta_t, settings.replan_interval)

    inputs = declared_inputs(system)
    live = torch.arange(num_members)  # members with an episode that still runs
    warm_start = fresh_start(inputs, (num_members, num_episodes), clock.num_knots, device)
    num_nonfinite = torch.zeros(num_members, num_episodes, dtype=torch.long)
    last_knot = 0

    def noise(population: int, knots: int) -> Tensor:
        return draw_noise(inputs, population, knots, live).to(device)

    for first, following in itertools.pairwise([*plan_at, total]):
        running = plant.exit_time.isinf().any(dim=1)[live]  # (M,)
        if not running.any():
            break
        if running.sum() <= len(live) / 2 and len(live) >= COMPACTION_MEMBERS and hasattr(dynamics, "select"):
            # leave out members that are through
            dynamics, warm_start = dynamics.select(running.nonzero()[:, 0]), warm_start.select(running)
            live = live[running]
        now, knot = first * delta_t, clock.knot_at(first * delta_t)
        context = None
        if dynamics.has_memory:
            context = plant.context(live, settings.context_steps, model_delta_t, dtype, device)
        start = plant.state[live].to(device=device, dtype=dtype).unsqueeze(2)  # (M, E, 1, D)
        objective = planning_objective(dynamics, system, start, context, clock, now, settings.terminal_weight)
        plan = planner.plan(objective, inputs, warm_start.shifted(knot - last_knot, inputs), noise)
        warm_start, last_knot = plan.warm_start, knot
        num_nonfinite[live] += plan.num_nonfinite.cpu() * plant.exit_time[live].isinf()
        signal = clock.signal(now, [step * delta_t for step in range(first, following)])
        for action in signal(plan.knots).to("cpu", torch.float64).unbind(dim=-2):
            plant.step(live, action)
        if progress:
            progress(following, total)
    states, actions, reward, times = plant.episodes(total)
    return ControlResult(
        states=states,
        actions=actions,
        reward=reward,
        times=times,
        episode_return=plant.episode_return,
        success=system.success(states, times) & plant.exit_time.isinf(),
        exit_time=plant.exit_time,
        num_nonfinite=num_nonfinite,
        control_frequency=control_frequency,
        model_delta_t=model_delta_t,
        planner=planner.name,
        seconds=time.process_time() - started,
    )


def _checked_model_step(model_delta_t: float | None, delta_t: float) -> float:
    if model_delta_t is None:
        return delta_t
    ratio = max(model_delta_t, delta_t) / min(model_delta_t, delta_t)
    if abs(ratio - round(ratio)) > TOLERANCE * ratio:
        raise ValueError(
            f"model_delta_t must be a whole multiple or fraction of the control step {delta_t} s, got {model_delta_t}"
        )
    return model_delta_t


def _checked_starts(starts: Tensor, system: System, num_members: int) -> Tensor:
    size = system.spec.state_dim
    shape = tuple(starts.shape)
    if len(shape) not in (2, 3) or shape[-1] != size or shape[:-2] not in ((), (num_members,)):
        raise ValueError(f"starts must be (E, {size}) or ({num_members}, E, {size}), got {shape}")
    starts = starts.expand(num_members, *shape[-2:])
    if not starts.isfinite().all():
        raise ValueError("starts must be finite, got NaN or infinity")
    return starts.to("cpu", torch.float64).clone()


def _checked_parameters(parameters: Tensor, system: System, starts: Tensor) -> Tensor:
    """Return the parameters of all members' episodes: (E, P) or (M, E, P) -> (M, E, P)."""
    shape = (*starts.shape[:2], len(system.spec.parameter_names))
    if tuple(parameters.shape) not in (shape, shape[1:]) or not parameters.isfinite().all():
        raise ValueError(
            f"parameters must be {shape[1:]} or {shape} finite numbers, {system.spec.parameter_names}, got {parameters}"
        )
    return parameters.to("cpu", torch.float64).expand(shape)
