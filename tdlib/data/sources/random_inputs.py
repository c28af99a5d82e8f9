"""Episodes under random inputs, simulated side by side in double precision."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tdlib.core.time_grid import steps_within
from tdlib.data.observations import observe
from tdlib.data.schema import FIELDS, continue_angles
from tdlib.systems import IntervalOutcome, System


@dataclass(frozen=True)
class RandomInputs:
    """Where random episodes start and what drives them; all times in seconds, so that no rate is favored.

    Args:
        start: Half widths of the start box under uniform inputs, wider than the task's reset box for coverage.
        fed_start: The same for episodes under Ornstein-Uhlenbeck inputs with feedback.
        hold: Time for which a uniform input is held [s].
        correlation: Correlation time of the Ornstein-Uhlenbeck input [s].
        spread: Its standard deviation in units of half the input's range.
        feedback: Gain added to the Ornstein-Uhlenbeck input [unit of input per unit of state], (D,) for one input or
            (D, m); without it a cart-pole leaves its limits in half a second.
    """

    start: tuple[float, ...]
    fed_start: tuple[float, ...]
    hold: float
    correlation: float
    spread: float
    feedback: tuple[float, ...] | tuple[tuple[float, ...], ...]


_WIDE, _FED = (1.5, 1.0, 0.15, 1.0), (1.0, 0.5, 0.08, 0.5)
RANDOM_INPUTS = {
    "Pendulum-v1": RandomInputs((np.pi, 7.0), (np.pi, 7.0), 0.2, 0.5, 0.75, (0.0, 0.0)),
    "CartPole-v1": RandomInputs(_WIDE, _FED, 0.1, 0.3, 0.2, (1.5, 3.0, 30.0, 7.0)),
    "CartPoleContinuous-v1": RandomInputs(_WIDE, _FED, 0.1, 0.2, 0.3, (2.0, 3.5, 34.0, 8.5)),
}


def random_inputs(system: System) -> RandomInputs:
    """Return what drives a system's random episodes: its own settings, or the reset box and no feedback."""
    spec = system.spec
    if spec.name in RANDOM_INPUTS:
        return RANDOM_INPUTS[spec.name]
    box = tuple(max(abs(low), abs(high)) for low, high in zip(system.reset_low, system.reset_high, strict=True))
    return RandomInputs(box, box, 0.2, 0.5, 0.75, ((0.0,) * spec.input_dim,) * spec.state_dim)


def simulated_rows(
    system: System, state: Tensor, action: Tensor, delta_t: Tensor, t: Tensor, outcome: IntervalOutcome | None = None
) -> dict[str, np.ndarray]:
    """Simulate one interval per row, unless its outcome is known, and return all columns of the schema."""
    if outcome is None:
        outcome = system.simulate(state, action, delta_t)
    wrapped, next_state = continue_angles(state.numpy(), outcome.next_state.numpy(), system.spec)
    return {
        "observation": observe(wrapped, system.spec),
        "state": wrapped,
        "action": action.numpy(),
        "reward": outcome.reward.numpy(),
        "next_state": next_state,
        "terminated": outcome.exit_time.isfinite().numpy(),
        "truncated": np.zeros(len(state), dtype=bool),
        "exit_time": outcome.exit_time.numpy(),
        "limit_hit": outcome.limit_hit.numpy(),
        "t": t.numpy(),
        "delta_t": delta_t.numpy(),
    }


def random_episodes(
    system: System, delta_t: float, time_limit: float, kind: str, wanted: int, generator: torch.Generator
) -> list[dict[str, np.ndarray]]:
    """Simulate batches of episodes until they hold `wanted` rows; cut the last.

    Args:
        system: Equation and limits.
        delta_t: Interval [s].
        time_limit: Longest episode [s].
        kind: "uniform" or "ornstein-uhlenbeck".
        wanted: Number of rows.
        generator: Source of starts and inputs.

    Returns:
        Columns of the schema, episode by episode.
    """
    num_steps = steps_within(time_limit, delta_t)
    episodes, missing, mean_length = [], wanted, num_steps
    while missing > 0:
        batch = _batch(system, delta_t, kind, num_steps, max(16, int(1.05 * missing / mean_length)), generator)
        mean_length = sum(len(episode["t"]) for episode in batch) / len(batch)
        for episode in batch:
            kept = min(len(episode["t"]), missing)
            episodes.append({name: column[:kept] for name, column in episode.items()})
            episodes[-1]["truncated"][-1] = not episodes[-1]["terminated"][-1]
            missing -= kept
            if missing == 0:
                break
    return episodes


def _batch(
    system: System, delta_t: float, kind: str, num_steps: int, size: int, generator: torch.Generator
) -> list[dict[str, np.ndarray]]:
    spec, inputs = system.spec, random_inputs(system)
    uniform = kind == "uniform"
    low, high = (torch.tensor(x, dtype=torch.float64) for x in (spec.input_low, spec.input_high))

    def noise() -> Tensor:
        shape = (size, spec.input_dim)
        if uniform:
            return 2 * torch.rand(shape, dtype=torch.float64, generator=generator) - 1
        return inputs.spread * torch.randn(shape, dtype=torch.float64, generator=generator)

    start = torch.tensor(inputs.start if uniform else inputs.fed_start, dtype=torch.float64)
    state = start * (2 * torch.rand(size, len(start), dtype=torch.float64, generator=generator) - 1)
    gain = torch.tensor(inputs.feedback, dtype=torch.float64).reshape(spec.state_dim, -1) * (not uniform)
    decay = float(np.exp(-delta_t / inputs.correlation))
    value, alive, steps = noise(), torch.arange(size), []
    for k in range(num_steps):
        if k > 0 and not uniform:
            value = decay * value + (1 - decay**2) ** 0.5 * noise()
        elif k > 0 and steps_within(k * delta_t, inputs.hold) != steps_within((k - 1) * delta_t, inputs.hold):
            value = noise()
        fed = torch.stack([state @ column for column in gain.T.contiguous()], dim=-1)  # (n, m)
        wanted = (low + high) / 2 + (high - low) / 2 * value[alive] + fed
        action = spec.nearest_action(wanted) if spec.discrete else spec.held_input(wanted)
        outcome = system.simulate_rows(state, action, delta_t)
        clock = (torch.full_like(state[:, 0], seconds) for seconds in (delta_t, k * delta_t))
        rows = simulated_rows(system, state, action, *clock, outcome)
        steps.append((alive, rows))
        going = ~torch.from_numpy(rows["terminated"])
        state, alive = torch.from_numpy(rows["next_state"])[going], alive[going]
        if len(alive) == 0:
            break
    owner = np.concatenate([index.numpy() for index, _ in steps])
    order = np.argsort(owner, kind="stable")
    bounds = np.cumsum(np.bincount(owner, minlength=size))[:-1]
    columns = {name: np.split(np.concatenate([rows[name] for _, rows in steps])[order], bounds) for name in FIELDS}
    return [{name: parts[i].copy() for name, parts in columns.items()} for i in range(size)]
