"""What happens if the control rate is changed by Gymnasium's own `env.dt` or `env.tau`: the plant changes with it.

One step of Gymnasium's integrators, which a system keeps among its views, so that chapter 0 can measure that change
against the exact flow.
"""

from types import SimpleNamespace

import torch
from torch import Tensor

from tdlib.core.namespace import TORCH
from tdlib.core.specs import random_actions, state_difference
from tdlib.systems import SYSTEMS
from tdlib.systems.system import System


def native_step(system: System, state: Tensor, inputs: Tensor, length: Tensor | float) -> Tensor:
    """Take one step of Gymnasium's own integrator: (..., D), (..., m), [s] -> (..., D).

    Raises:
        ValueError: If the system has none; the message lists those that have.
    """
    if system.views.native_step is None:
        known = [name for name, other in SYSTEMS.items() if other.views.native_step is not None]
        raise ValueError(f"system must be one with a step of Gymnasium's, {known}, got {system.spec.name!r}")
    p = SimpleNamespace(**system.parameters)
    return torch.stack(system.views.native_step(state.unbind(-1), inputs.unbind(-1), p, length, TORCH), dim=-1)


def plant_change(system: System, delta_t: float, *, num_samples: int, generator: torch.Generator) -> Tensor:
    """RMS error of one Gymnasium step of length `delta_t` relative to the RMS true change, per dimension (D,).

    States are uniform over the system's box, inputs over their range; transitions that touch a limit are left out.
    """
    half = torch.tensor(system.box, dtype=torch.float64)
    low, high = -half, half
    state = low + (high - low) * torch.rand(num_samples, len(low), dtype=torch.float64, generator=generator)
    action = random_actions(system.spec, num_samples, generator)
    outcome = system.simulate(state, action, delta_t)
    kept = ~outcome.limit_hit
    truth = outcome.next_state[kept]
    naive = native_step(system, state, system.spec.held_input(action), delta_t)[kept]
    error = state_difference(naive, truth, system.spec)
    return (error**2).mean(dim=0).sqrt() / ((truth - state[kept]) ** 2).mean(dim=0).sqrt()
