"""What happens if the control rate is changed by Gymnasium's own `env.dt` or `env.tau`: the plant changes with it.

One step of Gymnasium's integrators as batched maps, so that chapter 0 can measure that change against the exact flow.
"""

import torch
from torch import Tensor

from tdlib.core.specs import random_actions, state_difference
from tdlib.systems.cartpole import derivative as cartpole_derivative
from tdlib.systems.pendulum import MAX_SPEED
from tdlib.systems.pendulum import derivative as pendulum_derivative
from tdlib.systems.system import System

# boxes over which the change is measured: moderate states that both tasks visit
BOXES = {
    "Pendulum-v1": ((-torch.pi, -6.0), (torch.pi, 6.0)),
    "CartPole-v1": ((-1.0, -1.0, -0.2, -1.5), (1.0, 1.0, 0.2, 1.5)),
}


def gymnasium_pendulum_step(state: Tensor, torque: Tensor, dt: Tensor | float) -> Tensor:
    """Semi-implicit Euler with the speed clipped, as `PendulumEnv.step` does: (..., 2), (..., 1), [s] -> (..., 2)."""
    omega = (state[..., 1] + pendulum_derivative(state, torque)[..., 1] * dt).clamp(-MAX_SPEED, MAX_SPEED)
    return torch.stack([state[..., 0] + omega * dt, omega], dim=-1)


def gymnasium_cartpole_step(state: Tensor, force: Tensor, tau: Tensor | float) -> Tensor:
    """Explicit Euler, as `CartPoleEnv.step` does: (..., 4), (..., 1) [N], [s] -> (..., 4)."""
    return state + tau * cartpole_derivative(state, force)


GYMNASIUM_STEPS = {"Pendulum-v1": gymnasium_pendulum_step, "CartPole-v1": gymnasium_cartpole_step}


def plant_change(system: System, delta_t: float, *, num_samples: int, generator: torch.Generator) -> Tensor:
    """RMS error of one Gymnasium step of length `delta_t` relative to the RMS true change, per dimension (D,).

    States are uniform over `BOXES`, inputs over their range; transitions that touch the speed limit are left out.
    """
    low, high = (torch.tensor(corner, dtype=torch.float64) for corner in BOXES[system.spec.name])
    state = low + (high - low) * torch.rand(num_samples, len(low), dtype=torch.float64, generator=generator)
    action = random_actions(system.spec, num_samples, generator)
    outcome = system.simulate(state, action, delta_t)
    kept = ~outcome.limit_hit
    truth = outcome.next_state[kept]
    naive = GYMNASIUM_STEPS[system.spec.name](state, system.spec.held_input(action), delta_t)[kept]
    error = state_difference(naive, truth, system.spec)
    return (error**2).mean(dim=0).sqrt() / ((truth - state[kept]) ** 2).mean(dim=0).sqrt()
