"""Closed-loop control: how well a model serves a planner that acts on the real system.

At every planning time t a planner maximizes the negative cost of what the model predicts,

    J = Σ_j w_j c(ŝ_j, u_j) + w_T c(ŝ_T, u_T),   w_j = Δt but Δt/2 at the horizon's end,

with the system's declared cost rate c [1/s], and the real system (float64, exact zero-order hold) carries out the first
inputs. All members of a stack and all episodes are planned at once, M problems times E. Every member meets the same
starts and the same planner noise, and each episode has its own noise, so members are compared in pairs.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tdlib.core.facts import CONTEXT_STEPS
from tdlib.core.seeding import torch_generator
from tdlib.core.time_grid import TOLERANCE, delta_t_of, steps_within
from tdlib.evaluation.control.dynamics import Dynamics
from tdlib.evaluation.control.plant import Plant
from tdlib.models import Context, DynamicsModel
from tdlib.planning import CEM, KnotClock, Objective, Planner, fresh_start, inputs_of, prediction_objective
from tdlib.speed import Stack, prepared
from tdlib.systems.system import System

COMPACTION_MEMBERS = 32  # smaller stacks cost the same when half of their members are left out
LARGEST_PART = 4096  # plans per member that are predicted and scored before the next ones
ORACLE_SUCCESS = 0.9  # a cell whose oracle succeeds less often says more about the planner than about models


@dataclass(frozen=True)
class ControlSettings:
    """How episodes are run; the defaults are the study's, a short preset may shrink `duration` and `replan_interval`.

    Args:
        horizon: Length of a plan [s].
        knots_per_second: Decisions per second of plan; no knot is shorter than a control or a model step.
        replan_interval: Time between plans [s], rounded to whole control steps; 0 plans at every control step.
        duration: Length of an episode [s]; None is the environment's own time limit.
        terminal_weight: Time for which the cost at the end of the horizon counts on [s].
        context_steps: True past steps that a model with memory is given.
        model_delta_t: Prediction step [s]; a whole multiple or a whole fraction of the control step. None is equal.
        seed: Of the planner's noise.
        dtype: Precision of predictions; the real system is always float64.
        device: Where predictions run.
    """

    horizon: float = 1.0
    knots_per_second: float = 10.0
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
    times: Tensor
    episode_return: Tensor
    success: Tensor
    exit_time: Tensor
    num_nonfinite: Tensor
    control_frequency: float
    model_delta_t: float
    planner: str
    seconds: float

    def members(self, chosen: slice) -> "ControlResult":
        """Return the episodes of some of the members."""
        names = ("states", "actions", "episode_return", "success", "exit_time", "num_nonfinite")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})


def control_starts(system: System, num_episodes: int, seed: int = 0) -> Tensor:
    """Draw the starts that all arms share from the reset box: (E, D) float64; more episodes keep the first ones."""
    low, high = (torch.tensor(x, dtype=torch.float64) for x in (system.reset_low, system.reset_high))
    generator = torch_generator(seed, "control starts", system.spec.name)
    return low + (high - low) * torch.rand(num_episodes, len(low), dtype=torch.float64, generator=generator)


def control_parameters(system: System, num_episodes: int, seed: int = 0) -> Tensor | None:
    """Draw the parameters of the episodes that all arms share: (E, P) float64; None where a system draws none."""
    if not system.spec.parameter_names:
        return None
    return system.draw_parameters(num_episodes, torch_generator(seed, "control parameters", system.spec.name))


@torch.no_grad()
def evaluate_control(
    dynamics: Dynamics | Stack | DynamicsModel,
    system: System,
    control_frequency: float,
    starts: Tensor,
    *,
    num_members: int = 1,
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
        parameters: (E, P) parameters of the real system in every episode; nominal if None. Models see them in their
            context, if they may; the cost that planners minimize is that of the nominal ones.
        planner: CEM with its defaults if None.
        settings: Horizon, knots, duration, prediction step, precision; the study's defaults if None.
        progress: Called with (control steps done, control steps in all).

    Raises:
        ValueError: If starts or parameters have the wrong shape, or the model step does not fit the control step.
    """
    started = time.process_time()
    planner, settings = planner or CEM(), settings or ControlSettings()
    dynamics = prepared(dynamics)
    delta_t = delta_t_of(control_frequency)
    model_delta_t = _checked_model_step(settings.model_delta_t, delta_t)
    dtype, device = settings.dtype, settings.device
    clock = KnotClock.at_rate(settings.horizon, settings.knots_per_second, delta_t, model_delta_t)
    state = _checked_starts(starts, system, num_members)
    drawn = None if parameters is None else _checked_parameters(parameters, system, state)
    plant = Plant(system, state, delta_t, min(delta_t, model_delta_t), drawn)
    num_episodes = plant.state.shape[1]
    generators = [torch_generator(settings.seed, "planner", system.spec.name, e) for e in range(num_episodes)]
    total = steps_within(system.spec.time_limit if settings.duration is None else settings.duration, delta_t)
    replan_steps = max(1, round(settings.replan_interval / delta_t))

    inputs = inputs_of(system.spec)
    live = torch.arange(num_members)  # members with an episode that still runs
    warm_start = fresh_start(inputs, (num_members, num_episodes), clock.num_knots, device)
    num_nonfinite = torch.zeros(num_members, num_episodes, dtype=torch.long)
    last_knot = 0

    def noise(population: int, knots: int) -> Tensor:
        return torch.stack([inputs.draw_noise(population, knots, g) for g in generators]).to(device)

    for first in range(0, total, replan_steps):
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
        for step in range(first, min(first + replan_steps, total)):
            held = min(clock.knot_at(step * delta_t) - knot, clock.num_knots - 1)
            plant.step(live, plan.knots[..., held, :].to("cpu", torch.float64))
        if progress:
            progress(min(first + replan_steps, total), total)
    states, actions, times = plant.episodes(total)
    return ControlResult(
        states=states,
        actions=actions,
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


def planning_objective(
    dynamics: Dynamics,
    system: System,
    start: Tensor,
    context: Context | None,
    clock: KnotClock,
    time: float,
    terminal_weight: float,
) -> Objective:
    """Return the scores of plans made at `time` [s], all from the same start, in parts that stay in cache.

    Args:
        dynamics: M models.
        system: Gives the cost.
        start: (M, E, 1, D) states in the precision of the predictions.
        context: The past of models with memory, (M, E, 1, C, ...).
        clock: Knots and model steps.
        time: When the plans start [s].
        terminal_weight: Time for which the last cost counts on [s].

    Returns:
        Plans (M, E, P, N, A) -> scores (M, E, P).
    """

    def cost_rate(states: Tensor, actions: Tensor) -> Tensor:
        return system.cost(states, system.spec.held_input(actions))

    def of_part(part: slice) -> Objective:
        own = None if context is None else context.map(lambda x: x[:, part])

        def predict(actions: Tensor) -> Tensor:
            state = start[:, part].expand(*actions.shape[:3], -1)
            return dynamics.predict_sequence(state, actions.to(start.dtype), clock.model_delta_t, own)

        return prediction_objective(predict, cost_rate, clock, time, terminal_weight)

    def objective(plans: Tensor) -> Tensor:
        size = max(1, LARGEST_PART // plans.shape[2])
        parts = [slice(begin, begin + size) for begin in range(0, plans.shape[1], size)]
        scores = [of_part(part)(plans[:, part]) for part in parts]
        return scores[0] if len(scores) == 1 else torch.cat(scores, dim=1)

    return objective


def control_rows(
    result: ControlResult, keys: Sequence[Mapping[str, object]], oracle: ControlResult | None = None
) -> list[dict]:
    """Return the rows of control_performance.csv, one per member and episode.

    Args:
        result: Episodes of M members.
        keys: Key columns of each member, in order; `test_frequency` is filled in.
        oracle: The oracle's episodes from the same starts at the same rate; None leaves regret and mark empty.
    """
    if len(keys) != len(result.episode_return):
        raise ValueError(f"keys must be one per member: {len(result.episode_return)}, got {len(keys)}")
    limited = None if oracle is None else bool(oracle.success.double().mean() < ORACLE_SUCCESS)
    rows = []
    for member, key in enumerate(keys):
        for episode in range(result.episode_return.shape[1]):
            episode_return = float(result.episode_return[member, episode])
            rows.append(
                {
                    **key,
                    "test_frequency": f"{result.control_frequency:g}",
                    "control_frequency": f"{result.control_frequency:g}",
                    "model_frequency": f"{1 / result.model_delta_t:.3g}",
                    "planner": result.planner,
                    "duration": float(result.times[-1]),
                    "episode": episode,
                    "episode_return": episode_return,
                    "success": bool(result.success[member, episode]),
                    "exit_time": float(result.exit_time[member, episode]),
                    "regret": None if oracle is None else float(oracle.episode_return[0, episode]) - episode_return,
                    "planner_limited": limited,
                    "num_nonfinite": int(result.num_nonfinite[member, episode]),
                    "n": 1,
                }
            )
    return rows


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
    """Return the parameters of all members' episodes: (E, P) -> (M, E, P)."""
    shape = (starts.shape[1], len(system.spec.parameter_names))
    if tuple(parameters.shape) != shape or not parameters.isfinite().all():
        raise ValueError(f"parameters must be {shape} finite numbers, {system.spec.parameter_names}, got {parameters}")
    return parameters.to("cpu", torch.float64).expand(len(starts), *shape)
