"""What closed-loop control asks a planner: knots on a clock, a score for every plan, noise that members share."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from tdlib.core.seeding import torch_generator
from tdlib.evaluation.control.dynamics import Dynamics
from tdlib.models import Context
from tdlib.planning import (
    BoxInputs,
    Inputs,
    KnotClock,
    Objective,
    Planner,
    build_planner,
    inputs_of,
    prediction_objective,
)
from tdlib.systems.system import System

LARGEST_PART = 4096  # plans per member that are predicted and scored before the next ones


def knot_clock(
    system: System,
    delta_t: float,
    model_delta_t: float | None = None,
    horizon: float | None = None,
    knots_per_second: float | None = None,
    interpolation: str | None = None,
) -> KnotClock:
    """Return the clock of plans at a control and a model step [s]; what is None is as the system's task declares.

    Raises:
        ValueError: If discrete actions are to be joined, which have nothing between them.
    """
    declared, spec = system.planning, system.spec
    interpolation = interpolation or declared.interpolation
    if spec.discrete and interpolation != "zero":
        raise ValueError(f"interpolation of discrete actions must be 'zero', got {interpolation!r} for {spec.name}")
    return KnotClock.at_rate(
        horizon or declared.horizon,
        knots_per_second or declared.knots_per_second,
        delta_t,
        model_delta_t,
        interpolation,
        (spec.input_low, spec.input_high),
    )


def declared_inputs(system: System) -> Inputs:
    """Return what plans of a system are drawn from, with the spread that its task declares."""
    inputs, declared = inputs_of(system.spec), system.planning
    if isinstance(inputs, BoxInputs):
        return replace(inputs, initial_spread=declared.spread, smallest_scale=declared.smallest_scale)
    return inputs


def declared_planner(system: System) -> Planner:
    """Return the planner that a system's task declares, with its population and iterations if it names them."""
    declared = system.planning
    budget = {"population": declared.population, "num_iterations": declared.num_iterations}
    return build_planner(declared.planner, **{name: value for name, value in budget.items() if value is not None})


class SharedNoise:
    """Planner noise of M members, drawn once per seed and episode."""

    def __init__(self, system: System, seeds: Sequence[int], num_members: int, num_episodes: int):
        if len(seeds) != num_members:
            raise ValueError(f"seeds must be one per member: {num_members}, got {len(seeds)}")
        own = list(dict.fromkeys(seeds))
        self.place = torch.tensor([own.index(seed) for seed in seeds])  # (M,)
        names = [(seed, episode) for seed in own for episode in range(num_episodes)]
        self.generators = [torch_generator(seed, "planner", system.spec.name, episode) for seed, episode in names]
        self.num_episodes = num_episodes

    def __call__(self, inputs: Inputs, population: int, knots: int, live: Tensor) -> Tensor:
        """Draw for the live members: (m, E, P, N, A)."""
        drawn = torch.stack([inputs.draw_noise(population, knots, generator) for generator in self.generators])
        drawn = drawn.unflatten(0, (-1, self.num_episodes))
        return drawn if len(drawn) == 1 else drawn[self.place[live]]


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
        terminal_weight: Time for which the last cost counts on [s] where the task declares no terminal cost.

    Returns:
        Plans (M, E, P, N, A) -> scores (M, E, P).
    """
    failure_cost = system.planning.failure_cost
    outside = system.outside if system.has_limits and failure_cost is not None else None
    terminal_cost = system.terminal_cost if system.has_terminal_cost else None

    def cost_rate(states: Tensor, actions: Tensor) -> Tensor:
        return system.cost(states, system.spec.held_input(actions))

    def of_part(part: slice) -> Objective:
        own = None if context is None else context.map(lambda x: x[:, part])

        def predict(actions: Tensor) -> Tensor:
            state = start[:, part].expand(*actions.shape[:3], -1)
            return dynamics.predict_sequence(state, actions.to(start.dtype), clock.model_delta_t, own)

        return prediction_objective(
            predict, cost_rate, clock, time, terminal_weight, outside, failure_cost, terminal_cost
        )

    def objective(plans: Tensor) -> Tensor:
        size = max(1, LARGEST_PART // plans.shape[2])
        parts = [slice(begin, begin + size) for begin in range(0, plans.shape[1], size)]
        scores = [of_part(part)(plans[:, part]) for part in parts]
        return scores[0] if len(scores) == 1 else torch.cat(scores, dim=1)

    return objective
