"""CartPole-v1 and its continuous-force twin: a pole hinged on a cart (Barto, Sutton & Anderson 1983).

    θ'' = (g sin θ − cos θ B) / (l (4/3 − m cos²θ / M)),   B = (F + m l θ'² sin θ) / M
    x'' = B − m l θ'' cos θ / M

Constants, reward, reset and limits as in Gymnasium's `classic_control/cartpole.py`; the discrete action 0 / 1 is a
force of −10 / +10 N.
"""

import dataclasses
import math

import torch
from torch import Tensor

from tdlib.core.specs import EnvironmentSpec
from tdlib.systems.scenes import CARTPOLE_SCENE
from tdlib.systems.system import System

GRAVITY, POLE_MASS, TOTAL_MASS, HALF_LENGTH = 9.8, 0.1, 1.1, 0.5  # [m/s²], [kg], [kg], [m]
POLE_MOMENT = POLE_MASS * HALF_LENGTH  # [kg m]
MAX_FORCE = 10.0  # [N]
X_LIMIT, THETA_LIMIT = 2.4, 12 * 2 * math.pi / 360  # [m], [rad]

SPEC = EnvironmentSpec(
    name="CartPole-v1",
    state_names=("x", "x_dot", "theta", "theta_dot"),
    state_units=("m", "m/s", "rad", "rad/s"),
    angle_dims=(2,),
    position_dims=(0, 2),
    velocity_dims=(1, 3),
    input_names=("force",),
    input_units=("N",),
    input_low=(-MAX_FORCE,),
    input_high=(MAX_FORCE,),
    action_table=((-MAX_FORCE,), (MAX_FORCE,)),
    reward_delta_t=0.02,
)
CONTINUOUS_SPEC = dataclasses.replace(SPEC, name="CartPoleContinuous-v1", action_table=None)


def derivative(state: Tensor, force: Tensor) -> Tensor:
    """Right-hand side: (..., 4), (..., 1) [N] -> (..., 4)."""
    _, x_dot, theta, theta_dot = state.unbind(dim=-1)
    sin, cos = torch.sin(theta), torch.cos(theta)
    push = (force[..., 0] + POLE_MOMENT * theta_dot**2 * sin) / TOTAL_MASS
    theta_acc = (GRAVITY * sin - cos * push) / (HALF_LENGTH * (4 / 3 - POLE_MASS * cos**2 / TOTAL_MASS))
    x_acc = push - POLE_MOMENT * theta_acc * cos / TOTAL_MASS
    return torch.stack([x_dot, x_acc, theta_dot, theta_acc], dim=-1)


def outside(state: Tensor) -> Tensor:
    """Whether the cart has left ±2.4 m or the pole ±12°: (..., 4) -> (...)."""
    return (state[..., 0].abs() > X_LIMIT) | (state[..., 2].abs() > THETA_LIMIT)


def cost(state: Tensor, force: Tensor) -> Tensor:
    """Cost rate for planners, smooth inside the limits and one unit dearer outside: (..., 4), (..., 1) -> (...)."""
    x, x_dot, theta, theta_dot = state.unbind(dim=-1)
    inside = (theta / THETA_LIMIT) ** 2 + 0.1 * theta_dot**2 + (x / X_LIMIT) ** 2 + 0.05 * x_dot**2
    return inside.clamp(max=10.0) + 10.0 * outside(state) + 1e-4 * force[..., 0] ** 2


def energy(state: Tensor) -> Tensor:
    """M/2 x'² + m l cos θ x' θ' + (2/3) m l² θ'² + m g l cos θ, of the equations' Lagrangian: (..., 4) -> (...) [J]."""
    _, x_dot, theta, theta_dot = state.unbind(dim=-1)
    cos = torch.cos(theta)
    kinetic = TOTAL_MASS / 2 * x_dot**2 + POLE_MOMENT * cos * x_dot * theta_dot
    return kinetic + 2 / 3 * POLE_MOMENT * HALF_LENGTH * theta_dot**2 + POLE_MOMENT * GRAVITY * cos


def _scalar_derivative(state: tuple[float, ...], force: tuple[float, ...]) -> tuple[float, ...]:
    _, x_dot, theta, theta_dot = state
    sin, cos = math.sin(theta), math.cos(theta)
    push = (force[0] + POLE_MOMENT * theta_dot**2 * sin) / TOTAL_MASS
    theta_acc = (GRAVITY * sin - cos * push) / (HALF_LENGTH * (4 / 3 - POLE_MASS * cos**2 / TOTAL_MASS))
    return x_dot, push - POLE_MOMENT * theta_acc * cos / TOTAL_MASS, theta_dot, theta_acc


def _success(states: Tensor, times: Tensor) -> Tensor:
    """Whether an episode stayed within the limits to its end: (..., T+1, 4), (T+1,) -> (...)."""
    return ~outside(states).any(dim=-1) & states.isfinite().all(dim=-1).all(dim=-1)


CARTPOLE = System(
    spec=SPEC,
    derivative=derivative,
    scalar_derivative=_scalar_derivative,
    reward_rate=lambda state, force: torch.ones_like(state[..., 0]),
    scalar_reward_rate=lambda state, force: 1.0,
    outside=outside,
    scalar_outside=lambda state: abs(state[0]) > X_LIMIT or abs(state[2]) > THETA_LIMIT,
    cost=cost,
    success=_success,
    reset_low=(-0.05,) * 4,
    reset_high=(0.05,) * 4,
    # Gymnasium's bounds: twice the limits of position and angle, no bound on speeds
    observation_high=(2 * X_LIMIT, math.inf, 2 * THETA_LIMIT, math.inf),
    scene=CARTPOLE_SCENE,
    energy=energy,
)
CARTPOLE_CONTINUOUS = dataclasses.replace(CARTPOLE, spec=CONTINUOUS_SPEC)
