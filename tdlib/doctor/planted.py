"""Logs and models with a known fault, and what the doctor must say of each.

A model is the plant's own flow with parameters some percent off, which errs as a well trained network does; each fault
changes one thing.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from tdlib.data import TransitionDataset
from tdlib.doctor.plants import DELTA_T, EPISODES, PLANTS, RATE, ROWS, UNSEEN, as_log, flow, record, spec_of

Model = Callable[[Tensor, Tensor, Tensor], Tensor]
Case = tuple[Model, TransitionDataset, Mapping[str, float]]  # the model, the log, and what the doctor is told


def trained(name: str, seed: int, *, off: float = 0.03) -> Model:
    """A model with parameters some percent off, following the interval."""
    field = PLANTS[name][0]
    p = 1 + off * torch.from_numpy(np.random.default_rng([seed, 7]).normal(size=3))

    def model(state: Tensor, action: Tensor, delta_t: Tensor) -> Tensor:
        return flow(field, p.to(state), state, action, delta_t)

    return model


def at_step(model: Model, h: float) -> Model:
    """A map of the step h, whatever interval it is asked for."""
    return lambda state, action, delta_t: model(state, action, torch.full_like(state[..., 0], h))


def healthy_field(name: str, seed: int, noise: float) -> Case:
    """A field that follows the interval."""
    return trained(name, seed), record(name, seed, noise), {}


def healthy_map(name: str, seed: int, noise: float) -> Case:
    """A map of one step, asked for that step."""
    return at_step(trained(name, seed), DELTA_T), record(name, seed, noise), {"train_delta_t": DELTA_T}


def wrong_rate(name: str, seed: int, noise: float) -> Case:
    """A map of a longer step."""
    return at_step(trained(name, seed), 2.5 * DELTA_T), record(name, seed, noise), {"train_delta_t": 2.5 * DELTA_T}


def wrong_label(name: str, seed: int, noise: float) -> Case:
    """Stamps that make the log 1.7 times as fast as it is, as its label says."""
    log = record(name, seed, noise)
    told = 0.6 * log.delta_t  # labeled 33 Hz, it holds 20
    log = dataclasses.replace(log, delta_t=told, t=0.6 * log.t, control_frequency=None)
    return trained(name, seed), log, {"label": RATE / 0.6}


def euler_field(name: str, seed: int, noise: float) -> Case:
    """A field that one Euler step of 0.1 s taught, solved by Runge-Kutta."""
    model, h = trained(name, seed), 2 * DELTA_T  # what one Euler step of 0.1 s learns

    def field(state: Tensor, action: Tensor) -> Tensor:
        return (model(state, action, torch.full_like(state[..., 0], h)) - state) / h

    def solved(state: Tensor, action: Tensor, delta_t: Tensor) -> Tensor:
        k = torch.as_tensor(delta_t).unsqueeze(-1)
        a = field(state, action)
        b = field(state + k / 2 * a, action)
        c = field(state + k / 2 * b, action)
        return state + k / 6 * (a + 2 * b + 2 * c + field(state + k * c, action))

    return solved, record(name, seed, noise, rate=RATE / 2), {"train_delta_t": h}


def constant_interval(name: str, seed: int, noise: float) -> Case:
    """A map of one step, asked about intervals that jitter."""
    return at_step(trained(name, seed), DELTA_T), record(name, seed, noise, jitter=0.6), {"train_delta_t": DELTA_T}


def angle_leaps(name: str, seed: int, noise: float) -> Case:
    """A joint that goes round and round, recorded wrapped and not declared as an angle."""
    log = record(name, seed, noise)
    turning = np.cumsum(log.delta_t) * 4.0  # the joint goes round and round
    state, after = log.state.copy(), log.next_state.copy()
    state[:, 0] += turning - 4.0 * log.delta_t
    after[:, 0] += turning
    velocity = log.spec.velocity_dims[0]
    state[:, velocity], after[:, velocity] = state[:, velocity] + 4.0, after[:, velocity] + 4.0
    plain = trained(name, seed)

    def model(x: Tensor, u: Tensor, d: Tensor) -> Tensor:
        slow = x.clone()
        slow[..., velocity] = slow[..., velocity] - 4.0
        moved = plain(slow, u, d)
        moved[..., velocity] = moved[..., velocity] + 4.0
        moved[..., 0] = moved[..., 0] + 4.0 * torch.as_tensor(d)
        return moved

    for column in (state, after):
        column[:, 0] = (column[:, 0] + np.pi) % (2 * np.pi) - np.pi
    return model, dataclasses.replace(log, state=state, next_state=after), {}


def many_turns(name: str, seed: int, noise: float) -> Case:
    """Joints that count their turns from one episode to the next, and a model that knows the first turn alone."""
    log = record(name, seed, noise)
    turns = 2 * np.pi * np.repeat(np.arange(log.num_episodes), log.episode_lengths)[:, None]
    turned = turns * np.isin(np.arange(log.spec.state_dim), log.spec.position_dims)
    return (
        trained(name, seed),
        dataclasses.replace(log, state=log.state + turned, next_state=log.next_state + turned),
        {},
    )


def misread_interval(name: str, seed: int, noise: float) -> Case:
    """A model that is right at its own step, and grows with the interval by a part of what it should."""
    own = at_step(trained(name, seed), DELTA_T)

    def model(state: Tensor, action: Tensor, delta_t: Tensor) -> Tensor:
        grown = 1 + 0.3 * (torch.as_tensor(delta_t) / DELTA_T - 1)
        return state + grown.unsqueeze(-1) * (own(state, action, delta_t) - state)

    return model, record(name, seed, noise), {"train_delta_t": DELTA_T}


def degrees(name: str, seed: int, noise: float) -> Case:
    """States in degrees."""
    log = record(name, seed, noise)
    scale = 180 / np.pi
    return trained(name, seed), dataclasses.replace(log, state=log.state * scale, next_state=log.next_state * scale), {}


def degrees_of_positions(name: str, seed: int, noise: float) -> Case:
    """Positions in degrees, velocities in radians."""
    log = record(name, seed, noise)
    scale = np.where(np.isin(np.arange(log.spec.state_dim), log.spec.position_dims), 180 / np.pi, 1.0)
    return trained(name, seed), dataclasses.replace(log, state=log.state * scale, next_state=log.next_state * scale), {}


def input_early(name: str, seed: int, noise: float) -> Case:
    """Rows that hold the input of the row after."""
    return trained(name, seed), record(name, seed, noise, late=1.0), {}


def clock_offset(name: str, seed: int, noise: float) -> Case:
    """Inputs whose clock is half a row ahead."""
    return trained(name, seed), record(name, seed, noise, late=0.5), {}


def sent_in_bursts(name: str, seed: int, noise: float, size: int = 5) -> Case:
    """Rows measured evenly, stamped when they were sent, some at a time."""
    log = record(name, seed, noise)
    t, delta_t = log.t.copy(), log.delta_t.copy()
    for i in range(log.num_episodes):
        own, k = log.episode(i), np.arange(ROWS + 1)
        sent = k // size * size * DELTA_T + k % size * 0.002
        t[own], delta_t[own] = sent[:-1], np.diff(sent)
    return trained(name, seed), dataclasses.replace(log, t=t, delta_t=delta_t, control_frequency=None), {}


def measured_in_bursts(name: str, seed: int, noise: float, size: int = 5) -> Case:
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


def noise_above(name: str, seed: int, noise: float) -> Case:
    """Sensors noisier than the change of a row."""
    return trained(name, seed), record(name, seed, noise, fast=1.5), {}


def not_trained(name: str, seed: int, noise: float) -> Case:
    """A random network."""
    spec = spec_of(name)
    generator = torch.Generator().manual_seed(seed)
    width = spec.state_dim + spec.action_dim
    first = torch.randn(width, 32, generator=generator, dtype=torch.float64) / math.sqrt(width)
    last = torch.randn(32, spec.state_dim, generator=generator, dtype=torch.float64) / math.sqrt(32)

    def model(state: Tensor, action: Tensor, delta_t: Tensor) -> Tensor:
        inputs = torch.cat([state, action], -1).double()
        return (state + 0.2 * torch.tanh(inputs @ first) @ last).to(state)

    return model, record(name, seed, noise), {"train_delta_t": DELTA_T}


PLANTED: dict[str, tuple[Callable[[str, int, float], Case], str]] = {  # fault -> what makes it, its verdict
    "good RK4 field": (healthy_field, "healthy field"),
    "good map": (healthy_map, "healthy map"),
    "wrong rate": (wrong_rate, "other rate"),
    "rate label wrong": (wrong_label, "label wrong"),
    "Euler-trained field": (euler_field, "Euler learned"),
    "constant Δt": (constant_interval, "interval ignored"),
    "angle not wrapped": (angle_leaps, "angle leaps"),
    "joints of many turns": (many_turns, "angle not wrapped"),
    "interval misread": (misread_interval, "interval misread"),
    "degrees for radians": (degrees, "degrees"),
    "degrees for radians, of positions": (degrees_of_positions, "degrees"),
    "inputs shifted by one": (input_early, "input shifted"),
    "two topics with a clock offset": (clock_offset, "input clock"),
    "rows sent in bursts": (sent_in_bursts, "stamps in bursts"),
    "rows measured in bursts": (measured_in_bursts, "healthy field"),
    "noise floor above the increment": (noise_above, "noise floor"),
    "model that was not trained": (not_trained, "not learned"),
}
NOISE = (0.0, 0.05, 0.15)  # of the change over one row
TURNING_ONLY = ("angle not wrapped", "joints of many turns", "degrees for radians", "degrees for radians, of positions")


def healthy_cases(count: int, first: int = 100) -> Iterator[tuple[str, int, float, Case]]:
    """Logs and models with nothing wrong, of plants that no rule was tuned on: plant, seed, noise, case.

    Noise and kinds of model take turns. A count of tuned plants among them would flatter the rules.
    """
    for seed in range(first, first + count):
        plant, noise = UNSEEN[seed // 2 % len(UNSEEN)], NOISE[seed % len(NOISE)]
        yield plant, seed, noise, (healthy_map if seed % 2 else healthy_field)(plant, seed, noise)
