"""Episodes under random inputs, simulated side by side in double precision."""

import numpy as np
import torch
from torch import Tensor

from tdlib.core.time_grid import steps_within
from tdlib.data.schema import FIELDS, PARAMETERS
from tdlib.data.sources.simulated import simulated_rows
from tdlib.systems import System
from tdlib.systems.task import RandomInputs


def random_inputs(system: System) -> RandomInputs:
    """Return what drives a system's random episodes: its own settings, or the reset box and no feedback."""
    if system.collection.random_inputs is not None:
        return system.collection.random_inputs
    spec, box = system.spec, system.box
    return RandomInputs(box, 0.2, 0.5, 0.75, ((0.0,) * spec.input_dim,) * spec.state_dim)


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
        Columns of the schema, and drawn parameters, episode by episode.
    """
    num_steps = steps_within(time_limit, delta_t)
    episodes: list[dict[str, np.ndarray]] = []
    missing, mean_length = wanted, float(num_steps)
    while missing > 0:
        batch = _batch(system, delta_t, kind, num_steps, max(16, int(1.05 * missing / mean_length)), generator)
        mean_length = sum(len(episode["t"]) for episode in batch) / len(batch)
        for episode in batch:
            kept = min(len(episode["t"]), missing)
            episodes.append({**episode, **{name: episode[name][:kept] for name in FIELDS}})
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
            return inputs.amplitude * (2 * torch.rand(shape, dtype=torch.float64, generator=generator) - 1)
        return inputs.spread * torch.randn(shape, dtype=torch.float64, generator=generator)

    drawn = system.draw_parameters(size, generator) if spec.parameter_names else None
    state = inputs.starts(torch.rand(size, spec.state_dim, dtype=torch.float64, generator=generator))
    gain = torch.tensor(inputs.feedback, dtype=torch.float64).reshape(spec.state_dim, -1)
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
        own = None if drawn is None else drawn[alive]
        outcome = system.simulate_rows(state, action, delta_t, own)
        lasting, since = (torch.full_like(state[:, 0], seconds) for seconds in (delta_t, k * delta_t))
        rows = simulated_rows(system, state, action, lasting, since, own, outcome)
        steps.append((alive, rows))
        going = ~torch.from_numpy(rows["terminated"])
        state, alive = torch.from_numpy(rows["next_state"])[going], alive[going]
        if len(alive) == 0:
            break
    owner = np.concatenate([index.numpy() for index, _ in steps])
    order = np.argsort(owner, kind="stable")
    bounds = np.cumsum(np.bincount(owner, minlength=size))[:-1]
    columns = {name: np.split(np.concatenate([rows[name] for _, rows in steps])[order], bounds) for name in FIELDS}
    episodes = [{name: parts[i].copy() for name, parts in columns.items()} for i in range(size)]
    if drawn is not None:
        episodes = [{**e, PARAMETERS: p.numpy()} for e, p in zip(episodes, drawn, strict=True)]
    return episodes
