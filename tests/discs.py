"""Tiny videos of a disc on a spring, drawn at sub-pixel places: what visual models are tested on."""

import torch

from tdlib.core.specs import random_actions
from tdlib.core.transitions import Frames, Transitions
from tdlib.systems import SYSTEMS

SYSTEM = SYSTEMS["oscillator"]
HALF_WIDTH = 3.0  # of the picture [m]


def drawn(state, size=16, channels=3):
    """Bright discs on dark ground at the height x of states (..., D): (..., C, H, W) uint8."""
    places = (torch.arange(size) + 0.5) / size * 2 * HALF_WIDTH - HALF_WIDTH
    height, width = -places.view(size, 1), places.view(1, size)
    distance = (width**2 + (height - state[..., :1, None]) ** 2).sqrt() * size / (2 * HALF_WIDTH)
    mask = (1 - (distance - size / 8).clamp(0, 1)).unsqueeze(-3)
    color = torch.tensor([0.9, 0.6, 0.3])[:channels].view(channels, 1, 1)
    return ((0.1 + (color - 0.1) * mask) * 255).round().to(torch.uint8)


def motions(count, num_steps, delta_t=0.1, seed=0):
    """True states (N, T + 1, 2) and inputs (N, T, 1) of a spring under random pushes."""
    generator = torch.Generator().manual_seed(seed)
    state = (torch.rand(count, 2, generator=generator, dtype=torch.float64) * 2 - 1) * 1.5
    actions = random_actions(SYSTEM.spec, count * num_steps, generator).view(count, num_steps, -1)
    states = [state]
    for t in range(num_steps):
        states.append(SYSTEM.flow(states[-1], actions[:, t], torch.full((count,), delta_t, dtype=torch.float64)))
    return torch.stack(states, dim=1), actions


def clips(count, num_steps, size=16, delta_t=0.1, seed=0, channels=3):
    """A set of transitions with frames, and its episode offsets."""
    states, actions = motions(count, num_steps, delta_t, seed)
    frames = drawn(states, size, channels).flatten(0, 1)
    first = torch.arange(count).unsqueeze(1) * (num_steps + 1) + torch.arange(num_steps)
    rows = [x.flatten(0, 1).float() for x in (states[:, :-1], actions, states[:, 1:])]
    steps = torch.full((count * num_steps,), delta_t)
    return Transitions(*rows, steps, frames=Frames(frames, first.flatten())), torch.arange(count + 1) * num_steps
