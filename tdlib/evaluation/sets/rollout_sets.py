"""Open-loop test rollouts: starts from test episodes, one physical input signal, and the true states at every rate."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tdlib.core.facts import CONTEXT_STEPS
from tdlib.evaluation.sets.history import PairOrigin, pair_context
from tdlib.evaluation.sets.schedules import hold_of, past_intervals, rollout_intervals
from tdlib.models import Context
from tdlib.systems import System

NUM_CANDIDATES = 64  # input signals per start, of which the one is taken that keeps the truth within its limits longest


@dataclass(frozen=True)
class RolloutSet:
    """S rollouts of T steps at one rate.

    Args:
        state: (S, D) starts, angles wrapped.
        actions: (S, T, A) held inputs.
        delta_t: (S, T) intervals [s].
        states: (S, T, D) true states after each step.
        inside: (S, T) bool, whether the truth had not left its limits up to then; None where there are no limits.
        times: (T,) physical time after each step [s]; the mean over starts where steps are irregular.
        context: The true steps before the starts, (S, C, ...), or None.
        parameters: (S, P) parameters of the system in each rollout, or None where none are drawn.
    """

    state: Tensor
    actions: Tensor
    delta_t: Tensor
    states: Tensor
    inside: Tensor | None
    times: Tensor
    context: Context | None = None
    parameters: Tensor | None = None

    def cut(self, num_starts: int, num_steps: int) -> "RolloutSet":
        """Return the first steps of the first rollouts."""
        actions, delta_t, states = (x[:num_starts, :num_steps] for x in (self.actions, self.delta_t, self.states))
        inside = None if self.inside is None else self.inside[:num_starts, :num_steps]
        context = None if self.context is None else self.context.map(lambda x: x[:num_starts])
        drawn = None if self.parameters is None else self.parameters[:num_starts]
        times = self.times[:num_steps]
        return RolloutSet(self.state[:num_starts], actions, delta_t, states, inside, times, context, drawn)


def build_rollouts(
    system: System,
    origin: PairOrigin,
    rates: tuple[str, ...],
    horizon: float,
    generator: torch.Generator,
    *,
    with_context: bool,
    hold: float | None = None,
) -> dict[str, RolloutSet]:
    """Draw one input signal per start and follow the truth under it at every rate.

    The k-th input of a start is the same at every rate; it is held 0.2 s, at 33.3 Hz 0.6 s and at 16 Hz 0.1875 s,
    because their intervals do not divide 0.2 s; or `hold` seconds at every rate.
    """
    start = origin.state
    holds = {rate: hold_of(rate, hold) for rate in rates}
    num_holds = max(math.ceil(horizon / held - 1e-9) for held in holds.values())
    drawn = origin.parameters
    signal = draw_inputs(system, start, num_holds, generator, drawn, hold)  # (S, H, A)
    result = {}
    for rate in rates:
        delta_t = rollout_intervals(rate, len(origin), horizon, generator)
        begins = delta_t.cumsum(dim=1) - delta_t
        number = ((begins + 1e-9) / holds[rate]).floor().long().unsqueeze(-1)
        actions = signal.gather(1, number.expand(-1, -1, signal.shape[-1]))
        states, inside = follow(system, start, actions, delta_t, drawn)
        context = None
        if with_context:
            context = pair_context(origin, past_intervals(rate, len(origin), CONTEXT_STEPS, generator))
        inside = inside if system.has_limits else None
        times = delta_t.cumsum(dim=1).mean(dim=0)
        result[rate] = RolloutSet(start, actions, delta_t, states, inside, times, context, drawn)
    return result


def draw_inputs(
    system: System,
    start: Tensor,
    num_holds: int,
    generator: torch.Generator,
    parameters: Tensor | None = None,
    hold: float | None = None,
) -> Tensor:
    """Draw piecewise constant inputs, uniform over their range or table, (S, H, A).

    Of 64 candidates per start the one is taken under which the truth stays within its limits longest (the first one
    where there are no limits): a cart-pole would otherwise leave them at once. Models have no part in this choice.
    """
    count, spec = len(start), system.spec
    shape = (count, NUM_CANDIDATES, num_holds, spec.action_dim)
    if spec.discrete:
        candidates = torch.randint(spec.num_actions, shape, generator=generator).double()
    else:
        unit = torch.rand(shape, dtype=torch.float64, generator=generator)
        low, high = (torch.tensor(x, dtype=torch.float64) for x in (spec.input_low, spec.input_high))
        candidates = low + (high - low) * unit
    if not system.has_limits:
        return candidates[:, 0]
    delta_t = torch.full(shape[:3], hold or hold_of(""), dtype=torch.float64)
    each = start.unsqueeze(1).expand(-1, NUM_CANDIDATES, -1)
    survived = survival_time(system, each, candidates, delta_t, None if parameters is None else parameters.unsqueeze(1))
    best = survived.argmax(dim=1)  # the first of equals
    return candidates[torch.arange(count), best]


def follow(
    system: System, start: Tensor, actions: Tensor, delta_t: Tensor, parameters: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return true states after each step (..., T, D), and whether the truth had stayed within its limits (..., T)."""
    states, exits = [], []
    alive = torch.ones(start.shape[:-1], dtype=torch.bool)
    state = start
    for t in range(actions.shape[-2]):
        outcome = system.simulate(state, actions[..., t, :], delta_t[..., t], parameters)
        alive = alive & outcome.exit_time.isinf()
        state = outcome.next_state
        states.append(state)
        exits.append(alive)
    return torch.stack(states, dim=-2), torch.stack(exits, dim=-1)


def survival_time(
    system: System, start: Tensor, actions: Tensor, delta_t: Tensor, parameters: Tensor | None = None
) -> Tensor:
    """Return how long the truth stays within its limits, (...) [s]."""
    state, survived = start, torch.zeros(start.shape[:-1], dtype=torch.float64)
    alive = torch.ones(start.shape[:-1], dtype=torch.bool)
    for t in range(actions.shape[-2]):
        outcome = system.simulate(state, actions[..., t, :], delta_t[..., t], parameters)
        stayed = torch.minimum(outcome.exit_time, delta_t[..., t])
        survived = survived + torch.where(alive, stayed, torch.zeros_like(stayed))
        alive = alive & outcome.exit_time.isinf()
        state = outcome.next_state
    return survived
