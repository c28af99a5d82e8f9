"""Logs and models with a known fault: what the doctor must say of each.

Plants are written here, so that rules tuned on two of them are tried on others. A model is the plant's own flow with
parameters some percent off, which errs as a well trained network does; each fault changes one thing.
"""

import dataclasses
import functools
import math

import numpy as np
import torch

from tdlib.core.specs import EnvironmentSpec
from tdlib.data import TransitionDataset
from tdlib.data.schema import continue_angles

RATE, EPISODES, ROWS, SUBSTEPS = 20.0, 5, 120, 2
DELTA_T = 1 / RATE


def pendulum(x, u, p):
    q, v = x.unbind(-1)
    return torch.stack([v, -9.0 * p[0] * q.sin() - 0.3 * p[1] * v + 3.0 * p[2] * u[..., 0]], -1)


def slide(x, u, p):
    """Two masses on one spring, pushed at both; positions and velocities in meters."""
    q, v = x[..., :2], x[..., 2:]
    pull = 12.0 * p[0] * (q.flip(-1) - q) - 4.0 * p[0] * q
    return torch.cat([v, pull - 0.4 * p[1] * v + 2.0 * p[2] * u], -1)


def arm(x, u, p):
    """Two joints in gravity, the second coupled to the first."""
    (a, b), v = x[..., :2].unbind(-1), x[..., 2:]
    first = -7.0 * p[0] * a.sin() + 2.5 * p[0] * (b - a).sin() - 0.5 * p[1] * v[..., 0] + 2.5 * p[2] * u[..., 0]
    second = -5.0 * p[0] * b.sin() - 0.5 * p[1] * v[..., 1] + 2.0 * p[2] * u[..., 1]
    return torch.stack([v[..., 0], v[..., 1], first, second], -1)


def hard_spring(x, u, p):
    q, v = x.unbind(-1)
    return torch.stack([v, -6.0 * p[0] * (q + 0.5 * q**3) - 0.4 * p[1] * v + 2.0 * p[2] * u[..., 0]], -1)


def shaft(x, u, p):
    """Two flywheels on one elastic shaft, the first with friction that saturates and the motor."""
    (a, b), (v, w) = x[..., :2].unbind(-1), x[..., 2:].unbind(-1)
    twist = 14.0 * p[0] * (b - a) + 0.3 * (w - v)
    first = 0.8 * twist - 3.0 * a - 0.8 * p[1] * torch.tanh(2 * v) + 3.0 * p[2] * u[..., 0]
    return torch.stack([v, w, first, -twist - 2.0 * b.sin()], -1)


def rocker(x, u, p):
    """A joint that swings by itself: its damping is negative near the middle."""
    q, v = x.unbind(-1)
    return torch.stack([v, -8.0 * p[0] * q + 1.2 * p[1] * (1 - q**2) * v + 3.0 * p[2] * u[..., 0]], -1)


PLANTS = {  # field, numbers of positions and inputs, whether positions are in radians
    "pendulum": (pendulum, 1, 1, True),
    "slide": (slide, 2, 2, False),
    "arm": (arm, 2, 2, True),
    "hard_spring": (hard_spring, 1, 1, True),
    "shaft": (shaft, 2, 1, True),
    "rocker": (rocker, 1, 1, True),
}
TUNED, UNSEEN = ("pendulum", "slide", "arm", "hard_spring"), ("shaft", "rocker")


def flow(field, p, x, u, delta_t):
    h = (torch.as_tensor(delta_t, dtype=x.dtype).expand(x.shape[:-1]) / SUBSTEPS).unsqueeze(-1)
    for _ in range(SUBSTEPS):
        a = field(x, u, p)
        b = field(x + h / 2 * a, u, p)
        c = field(x + h / 2 * b, u, p)
        x = x + h / 6 * (a + 2 * b + 2 * c + field(x + h * c, u, p))
    return x


def spec_of(name):
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
def record(name, seed, noise, *, rate=RATE, jitter=0.0, late=0.0, fast=0.0):
    """Simulate a log: an input drawn for every row, sensors with noise in units of the change over one row.

    Args:
        name: Of the plant.
        seed: Of starts, inputs and noise.
        noise: Standard deviation of the sensors over the RMS change of a row.
        rate: Rows per second.
        jitter: Spread of the intervals, relative.
        late: Rows by which the inputs of the log are those of later rows: the log's clock of inputs is ahead.
        fast: Of the noise, what is added to it.

    Returns:
        The log, and the states without noise.
    """
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
    change = np.sqrt(np.mean(np.concatenate([np.diff(s, axis=0) for s, _, _ in episodes]) ** 2, axis=0))
    seen = [(s + (noise + fast) * change * rng.normal(size=s.shape), u, d) for s, u, d in episodes]
    return as_log(seen, spec, None if jitter else rate)


def as_log(episodes, spec, rate):
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


def trained(name, seed, *, off=0.03):
    """A model with parameters some percent off, following the interval."""
    field = PLANTS[name][0]
    p = 1 + off * torch.from_numpy(np.random.default_rng([seed, 7]).normal(size=3))

    def model(state, action, delta_t):
        return flow(field, p.to(state), state, action, delta_t)

    return model


def at_step(model, h):
    """A map of the step h, whatever interval it is asked for."""
    return lambda state, action, delta_t: model(state, action, torch.full_like(state[..., 0], h))


def healthy_field(name, seed, noise):
    return trained(name, seed), record(name, seed, noise), {}


def healthy_map(name, seed, noise):
    return at_step(trained(name, seed), DELTA_T), record(name, seed, noise), {"train_delta_t": DELTA_T}


def wrong_rate(name, seed, noise):
    return at_step(trained(name, seed), 2.5 * DELTA_T), record(name, seed, noise), {"train_delta_t": 2.5 * DELTA_T}


def wrong_label(name, seed, noise):
    log = record(name, seed, noise)
    told = 0.6 * log.delta_t  # labeled 33 Hz, it holds 20
    log = dataclasses.replace(log, delta_t=told, t=0.6 * log.t, control_frequency=None)
    return trained(name, seed), log, {"label": RATE / 0.6}


def euler_field(name, seed, noise):
    model, h = trained(name, seed), 2 * DELTA_T  # what one Euler step of 0.1 s learns

    def field(state, action):
        return (model(state, action, torch.full_like(state[..., 0], h)) - state) / h

    def solved(state, action, delta_t):
        k = torch.as_tensor(delta_t).unsqueeze(-1)
        a = field(state, action)
        b = field(state + k / 2 * a, action)
        c = field(state + k / 2 * b, action)
        return state + k / 6 * (a + 2 * b + 2 * c + field(state + k * c, action))

    return solved, record(name, seed, noise, rate=RATE / 2), {"train_delta_t": h}


def constant_interval(name, seed, noise):
    return at_step(trained(name, seed), DELTA_T), record(name, seed, noise, jitter=0.6), {"train_delta_t": DELTA_T}


def angle_leaps(name, seed, noise):
    log = record(name, seed, noise)
    turning = np.cumsum(log.delta_t) * 4.0  # the joint goes round and round
    state, after = log.state.copy(), log.next_state.copy()
    state[:, 0] += turning - 4.0 * log.delta_t
    after[:, 0] += turning
    velocity = log.spec.velocity_dims[0]
    state[:, velocity], after[:, velocity] = state[:, velocity] + 4.0, after[:, velocity] + 4.0
    plain = trained(name, seed)

    def model(x, u, d):
        slow = x.clone()
        slow[..., velocity] = slow[..., velocity] - 4.0
        moved = plain(slow, u, d)
        moved[..., velocity] = moved[..., velocity] + 4.0
        moved[..., 0] = moved[..., 0] + 4.0 * torch.as_tensor(d)
        return moved

    wrap = lambda x: (x + np.pi) % (2 * np.pi) - np.pi  # noqa: E731
    state[:, 0], after[:, 0] = wrap(state[:, 0]), wrap(after[:, 0])
    return model, dataclasses.replace(log, state=state, next_state=after), {}


def degrees(name, seed, noise):
    log = record(name, seed, noise)
    scale = 180 / np.pi
    return trained(name, seed), dataclasses.replace(log, state=log.state * scale, next_state=log.next_state * scale), {}


def degrees_of_positions(name, seed, noise):
    log = record(name, seed, noise)
    scale = np.where(np.isin(np.arange(log.spec.state_dim), log.spec.position_dims), 180 / np.pi, 1.0)
    return trained(name, seed), dataclasses.replace(log, state=log.state * scale, next_state=log.next_state * scale), {}


def input_early(name, seed, noise):
    return trained(name, seed), record(name, seed, noise, late=1.0), {}


def clock_offset(name, seed, noise):
    return trained(name, seed), record(name, seed, noise, late=0.5), {}


def sent_in_bursts(name, seed, noise, size=5):
    """Rows measured evenly, stamped when they were sent, some at a time."""
    log = record(name, seed, noise)
    t, delta_t = log.t.copy(), log.delta_t.copy()
    for i in range(log.num_episodes):
        own, k = log.episode(i), np.arange(ROWS + 1)
        sent = k // size * size * DELTA_T + k % size * 0.002
        t[own], delta_t[own] = sent[:-1], np.diff(sent)
    return trained(name, seed), dataclasses.replace(log, t=t, delta_t=delta_t, control_frequency=None), {}


def measured_in_bursts(name, seed, noise, size=5):
    """Rows that were measured in bursts, under one input each."""
    field, _, inputs, _ = PLANTS[name]
    rng, spec, ones = np.random.default_rng([seed, 3]), spec_of(name), torch.ones(3).double()
    delta_t = np.where(np.arange(1, ROWS + 1) % size == 0, 0.15, 0.012)
    episodes = []
    for _ in range(EPISODES):
        states = [torch.from_numpy(0.8 * rng.normal(size=spec.state_dim))]
        actions = np.repeat(np.clip(1.3 * rng.normal(size=(ROWS // size, inputs)), -3, 3), size, axis=0)
        for acting, step in zip(torch.from_numpy(actions), delta_t, strict=True):
            states.append(flow(field, ones, states[-1], acting, step))
        episodes.append((torch.stack(states).numpy(), actions, delta_t))
    change = np.sqrt(np.mean(np.concatenate([np.diff(s, axis=0) for s, _, _ in episodes]) ** 2, axis=0))
    seen = [(s + noise * change * rng.normal(size=s.shape), u, d) for s, u, d in episodes]
    return trained(name, seed), as_log(seen, spec, None), {}


def noise_above(name, seed, noise):
    return trained(name, seed), record(name, seed, noise, fast=1.5), {}


def not_trained(name, seed, noise):
    spec = spec_of(name)
    generator = torch.Generator().manual_seed(seed)
    width = spec.state_dim + spec.action_dim
    first = torch.randn(width, 32, generator=generator, dtype=torch.float64) / math.sqrt(width)
    last = torch.randn(32, spec.state_dim, generator=generator, dtype=torch.float64) / math.sqrt(32)

    def model(state, action, delta_t):
        inputs = torch.cat([state, action], -1).double()
        return (state + 0.2 * torch.tanh(inputs @ first) @ last).to(state)

    return model, record(name, seed, noise), {"train_delta_t": DELTA_T}


PLANTED = {  # the fault, its verdict, and the plants it can be planted in
    "good RK4 field": (healthy_field, "healthy field"),
    "good map": (healthy_map, "healthy map"),
    "wrong rate": (wrong_rate, "other rate"),
    "rate label wrong": (wrong_label, "label wrong"),
    "Euler-trained field": (euler_field, "Euler learned"),
    "constant Δt": (constant_interval, "interval ignored"),
    "angle not wrapped": (angle_leaps, "angle leaps"),
    "degrees for radians": (degrees, "degrees"),
    "degrees for radians, of positions": (degrees_of_positions, "degrees"),
    "inputs shifted by one": (input_early, "input shifted"),
    "two topics with a clock offset": (clock_offset, "input clock"),
    "rows sent in bursts": (sent_in_bursts, "stamps in bursts"),
    "rows measured in bursts": (measured_in_bursts, "healthy field"),
    "noise floor above the increment": (noise_above, "noise floor"),
    "model that was not trained": (not_trained, "not learned"),
}
TURNING_ONLY = ("angle not wrapped", "degrees for radians", "degrees for radians, of positions")
