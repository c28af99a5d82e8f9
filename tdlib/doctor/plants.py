"""Plants that the doctor is tried on, and logs of them: rules that were tuned on some are tried on others."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tdlib.core.specs import EnvironmentSpec
from tdlib.data import TransitionDataset
from tdlib.data.schema import continue_angles

Field = Callable[[Tensor, Tensor, Tensor], Tensor]  # state (..., D), inputs (..., m), parameters (3,) -> rates (..., D)

RATE, EPISODES, ROWS, SUBSTEPS = 20.0, 5, 120, 2
DELTA_T = 1 / RATE


def pendulum(x: Tensor, u: Tensor, p: Tensor) -> Tensor:
    """One joint in gravity, pushed."""
    q, v = x.unbind(-1)
    return torch.stack([v, -9.0 * p[0] * q.sin() - 0.3 * p[1] * v + 3.0 * p[2] * u[..., 0]], -1)


def slide(x: Tensor, u: Tensor, p: Tensor) -> Tensor:
    """Two masses on one spring, pushed at both; positions and velocities in meters."""
    q, v = x[..., :2], x[..., 2:]
    pull = 12.0 * p[0] * (q.flip(-1) - q) - 4.0 * p[0] * q
    return torch.cat([v, pull - 0.4 * p[1] * v + 2.0 * p[2] * u], -1)


def arm(x: Tensor, u: Tensor, p: Tensor) -> Tensor:
    """Two joints in gravity, the second coupled to the first."""
    (a, b), v = x[..., :2].unbind(-1), x[..., 2:]
    first = -7.0 * p[0] * a.sin() + 2.5 * p[0] * (b - a).sin() - 0.5 * p[1] * v[..., 0] + 2.5 * p[2] * u[..., 0]
    second = -5.0 * p[0] * b.sin() - 0.5 * p[1] * v[..., 1] + 2.0 * p[2] * u[..., 1]
    return torch.stack([v[..., 0], v[..., 1], first, second], -1)


def hard_spring(x: Tensor, u: Tensor, p: Tensor) -> Tensor:
    """A joint on a spring that hardens."""
    q, v = x.unbind(-1)
    return torch.stack([v, -6.0 * p[0] * (q + 0.5 * q**3) - 0.4 * p[1] * v + 2.0 * p[2] * u[..., 0]], -1)


def shaft(x: Tensor, u: Tensor, p: Tensor) -> Tensor:
    """Two flywheels on one elastic shaft, the first with friction that saturates and the motor."""
    (a, b), (v, w) = x[..., :2].unbind(-1), x[..., 2:].unbind(-1)
    twist = 14.0 * p[0] * (b - a) + 0.3 * (w - v)
    first = 0.8 * twist - 3.0 * a - 0.8 * p[1] * torch.tanh(2 * v) + 3.0 * p[2] * u[..., 0]
    return torch.stack([v, w, first, -twist - 2.0 * b.sin()], -1)


def rocker(x: Tensor, u: Tensor, p: Tensor) -> Tensor:
    """A joint that swings by itself: its damping is negative near the middle."""
    q, v = x.unbind(-1)
    return torch.stack([v, -8.0 * p[0] * q + 1.2 * p[1] * (1 - q**2) * v + 3.0 * p[2] * u[..., 0]], -1)


PLANTS: dict[
    str, tuple[Field, int, int, bool]
] = {  # field, numbers of positions and inputs, whether positions are in radians
    "pendulum": (pendulum, 1, 1, True),
    "slide": (slide, 2, 2, False),
    "arm": (arm, 2, 2, True),
    "hard_spring": (hard_spring, 1, 1, True),
    "shaft": (shaft, 2, 1, True),
    "rocker": (rocker, 1, 1, True),
}
TUNED, UNSEEN = ("pendulum", "slide", "arm", "hard_spring"), ("shaft", "rocker")


def flow(field: Field, p: Tensor, x: Tensor, u: Tensor, delta_t: float | Tensor) -> Tensor:
    """State (..., D) after delta_t [s] under a held input, by Runge-Kutta steps."""
    h = (torch.as_tensor(delta_t, dtype=x.dtype).expand(x.shape[:-1]) / SUBSTEPS).unsqueeze(-1)
    for _ in range(SUBSTEPS):
        a = field(x, u, p)
        b = field(x + h / 2 * a, u, p)
        c = field(x + h / 2 * b, u, p)
        x = x + h / 6 * (a + 2 * b + 2 * c + field(x + h * c, u, p))
    return x


def spec_of(name: str) -> EnvironmentSpec:
    """What a plant's states and inputs are."""
    _, count, inputs, turning = PLANTS[name]
    unit = "rad" if turning else "m"
    return EnvironmentSpec(
        name=name,
        state_names=(*(f"q{i}" for i in range(count)), *(f"v{i}" for i in range(count))),
        state_units=(unit,) * count + (f"{unit}/s",) * count,
        angle_dims=(), position_dims=tuple(range(count)), velocity_dims=tuple(range(count, 2 * count)),
        input_names=tuple(f"u{i}" for i in range(inputs)), input_units=("1",) * inputs,
        input_low=(-3.0,) * inputs, input_high=(3.0,) * inputs, time_limit=math.inf,
    )  # fmt: skip


@functools.cache
def record(
    name: str, seed: int, noise: float, *, rate: float = RATE, jitter: float = 0.0, late: float = 0.0, fast: float = 0.0
) -> TransitionDataset:
    """Simulate a log: an input drawn for every row, sensors with noise in units of the change over one row.

    Args:
        name: Of the plant.
        seed: Of starts, inputs and noise.
        noise: Standard deviation of the sensors over the RMS change of a row.
        rate: Rows per second.
        jitter: Spread of the intervals, relative.
        late: Rows by which the inputs of the log are those of later rows: the log's clock of inputs is ahead.
        fast: Of the noise, what is added to it.
    """
    episodes, generator = _run(name, seed, rate, jitter, late)
    rng = np.random.default_rng()
    rng.bit_generator.state = generator
    change = np.sqrt(np.mean(np.concatenate([np.diff(s, axis=0) for s, _, _ in episodes]) ** 2, axis=0))
    seen = [(s + (noise + fast) * change * rng.normal(size=s.shape), u, d) for s, u, d in episodes]
    return as_log(seen, spec_of(name), None if jitter else rate)


@functools.cache
def _run(
    name: str, seed: int, rate: float, jitter: float, late: float
) -> tuple[list[tuple[np.ndarray, np.ndarray, np.ndarray]], Mapping[str, Any]]:
    """Episodes without noise, and the state of the generator that draws it: one motion under all levels of noise."""
    field, _, inputs, _ = PLANTS[name]
    rng = np.random.default_rng([seed, len(name)])
    p = torch.ones(3, dtype=torch.float64)
    spec = spec_of(name)
    x = torch.from_numpy(rng.normal(size=(EPISODES, spec.state_dim)) * 0.8)
    u = np.zeros((EPISODES, ROWS + 4, inputs))
    for k in range(1, u.shape[1]):
        u[:, k] = np.clip(0.7 * u[:, k - 1] + 0.9 * rng.normal(size=(EPISODES, inputs)), -3, 3)
    held, delta_t = torch.from_numpy(u), 1 / rate * (1 + jitter * rng.uniform(-1, 1, (EPISODES, ROWS)))
    states, steps = [x.numpy()], torch.from_numpy(delta_t)
    whole, share = int(math.floor(late)), late - math.floor(late)
    for k in range(ROWS):
        if share:  # the true command changed inside the row
            x = flow(field, p, x, held[:, k], steps[:, k] * share)
            x = flow(field, p, x, held[:, k + 1], steps[:, k] * (1 - share))
        else:
            x = flow(field, p, x, held[:, k + 1], steps[:, k])
        states.append(x.numpy())
    runs = np.stack(states, axis=1)  # (E, T + 1, D)
    episodes = [(runs[e], u[e, 1 + whole : 1 + whole + ROWS], delta_t[e]) for e in range(EPISODES)]
    return episodes, rng.bit_generator.state


def as_log(
    episodes: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], spec: EnvironmentSpec, rate: float | None
) -> TransitionDataset:
    """A set of states (T + 1, D), inputs (T, m) and intervals (T,) [s] of every episode."""
    rows = []
    for states, actions, delta_t in episodes:
        state, next_state = continue_angles(states[:-1], states[1:], spec)
        count, ends = len(state), np.zeros(len(state), bool)
        ends[-1] = True
        rows.append({
            "observation": state.astype(np.float32), "state": state, "action": actions, "reward": np.zeros(count),
            "next_state": next_state, "terminated": ends & False, "truncated": ends, "limit_hit": ends & False,
            "exit_time": np.full(count, np.inf), "t": np.cumsum(delta_t) - delta_t, "delta_t": delta_t,
        })  # fmt: skip
    return TransitionDataset.from_episodes(rows, spec, rate, {"policy": "logged"})
