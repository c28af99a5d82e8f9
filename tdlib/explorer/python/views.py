"""What the explorer shows of a system: names of axes, where it begins, how far its windows reach.

A system may say so itself (`Views.first`); what it leaves out is taken from where its motions go.
"""

import math
from dataclasses import replace

import torch

from tdlib.core.seeding import torch_generator
from tdlib.explorer.python.signals import held_inputs
from tdlib.figures.style import state_symbol
from tdlib.systems import System
from tdlib.systems.sketch import FirstView

MOVE_STEPS, MOVE_STEP = 10, 0.01  # how long a start at rest is followed until it moves: 0.1 s
MOTIONS, STEPS, STEP = 32, 20, 0.05  # how many motions of one second are followed to find windows


def first_view(system: System) -> FirstView:
    """Return where the explorer begins with a system."""
    view = system.views.first or _from_resets(system)
    view = replace(view, start=_moving(system, view))
    known = view.least_margins is not None and all(pair[0] in view.windows for pair in phase_pairs(system))
    reach = [] if known else _reach(system)
    windows, margins = dict(view.windows), view.least_margins
    for first, second in phase_pairs(system):
        if first not in windows:
            windows[first] = (_window(system, first, reach), _window(system, second, reach))
    if margins is None:
        margins = tuple(0.1 * x for x in reach)
    return replace(view, windows=windows, least_margins=margins)


def _moving(system: System, view: FirstView) -> tuple[float, ...]:
    """A start in which everything moves: a velocity of zero becomes what the first input makes of it within a while.

    From rest a first step has next to no motion to compare an error with.
    """
    spec, start = system.spec, torch.tensor(view.start, dtype=torch.float64)
    if not any(view.start[d] == 0 for d in spec.velocity_dims):
        return view.start
    actions = torch.tensor(held_inputs(list(view.signals), spec, MOVE_STEP, MOVE_STEPS), dtype=torch.float64)
    for action in actions.reshape(MOVE_STEPS, -1):
        start = system.flow(start, action, MOVE_STEP)
    moved = list(view.start)
    for d in spec.velocity_dims:
        if moved[d] == 0:
            moved[d] = max(-view.start_limits[d], min(view.start_limits[d], round(float(start[d]), 2)))
    return tuple(moved)


def phase_pairs(system: System) -> list[tuple[int, int]]:
    """Pairs of state dimensions for phase portraits: positions with their velocities, else the first two."""
    spec = system.spec
    pairs = list(zip(spec.position_dims, spec.velocity_dims, strict=True))
    return pairs or [(0, min(1, spec.state_dim - 1))]


def view_values(system: System) -> dict:
    """Return the view as plain values for the page."""
    view = first_view(system)
    return {
        "label": view.label,
        "picture": system.views.sketch.name if system.views.sketch else "state",
        "start": view.start,
        "inputs": list(view.signals),
        "dim": view.dim,
        "start_limits": view.start_limits,
        "windows": {str(first): ranges for first, ranges in view.windows.items()},
        "least_margins": view.least_margins,
        "least_energy": view.least_energy,
        "box": _starts(system)[1] if system.task is None and system.views.box is None else system.box,
    }


def symbols(system: System) -> list[str]:
    """Return the symbol of every state dimension, for example `dθ/dt`."""
    return [state_symbol(name) for name in system.spec.state_names]


def _starts(system: System) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Corners of the box that motions start from; one unit around the origin for a system without a task."""
    if system.task is None:
        return (-1.0,) * system.spec.state_dim, (1.0,) * system.spec.state_dim
    return system.reset_low, system.reset_high


def _from_resets(system: System) -> FirstView:
    spec, (low, high) = system.spec, _starts(system)
    limits = tuple(2 * max(abs(a), abs(b), 1e-3) for a, b in zip(low, high, strict=True))
    signals = tuple({"kind": "constant", "value": 0.5 * most} for most in spec.input_high)
    dim = spec.position_dims[0] if spec.position_dims else 0
    return FirstView(spec.name, tuple(map(float, high)), signals, limits, dim)


def _reach(system: System) -> list[float]:
    """Largest |state| per dimension over a second from random resets under random inputs."""
    spec, generator = system.spec, torch_generator(0, system.spec.name, "explorer")
    low, high = (torch.tensor(x, dtype=torch.float64) for x in _starts(system))
    state = low + (high - low) * torch.rand(MOTIONS, spec.state_dim, dtype=torch.float64, generator=generator)
    found = state.abs().amax(dim=0)
    if spec.discrete:
        action = torch.randint(spec.num_actions, (MOTIONS, 1), generator=generator).double()
    else:
        least, most = (torch.tensor(x, dtype=torch.float64) for x in (spec.input_low, spec.input_high))
        action = least + (most - least) * torch.rand(MOTIONS, spec.input_dim, dtype=torch.float64, generator=generator)
    for _ in range(STEPS):
        state = system.flow(state, action, STEP)
        found = torch.maximum(found, state.abs().nan_to_num(0.0, 0.0, 0.0).amax(dim=0))
    return [max(float(x), 1e-3) for x in found]


def _window(system: System, dim: int, reach: list[float]) -> tuple[float, float]:
    if dim in system.spec.angle_dims and reach[dim] > math.pi / 2:
        return -math.pi, math.pi
    return -1.2 * reach[dim], 1.2 * reach[dim]
