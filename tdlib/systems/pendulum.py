"""Pendulum-v1: θ'' = 3g/(2l) sin θ + 3/(m l²) u, θ = 0 upright, |θ'| <= 8 rad/s.

Constants, reward, reset and limits as in Gymnasium's `classic_control/pendulum.py`.
"""

import math

import torch
from torch import Tensor

from tdlib.core.specs import EnvironmentSpec, wrap_angle
from tdlib.systems.scenes import PENDULUM_SCENE
from tdlib.systems.system import System

GRAVITY, MASS, LENGTH = 10.0, 1.0, 1.0  # [m/s²], [kg], [m]
MAX_SPEED, MAX_TORQUE = 8.0, 2.0  # [rad/s], [N m]
GRAVITY_TERM = 3 * GRAVITY / (2 * LENGTH)  # [1/s²]
TORQUE_TERM = 3 / (MASS * LENGTH**2)  # [1/(kg m²)]
UPRIGHT, SETTLED = 0.2, 2.0  # success: |θ| below 0.2 rad over the last 2 s

SPEC = EnvironmentSpec(
    name="Pendulum-v1",
    state_names=("theta", "omega"),
    state_units=("rad", "rad/s"),
    angle_dims=(0,),
    position_dims=(0,),
    velocity_dims=(1,),
    input_names=("torque",),
    input_units=("N m",),
    input_low=(-MAX_TORQUE,),
    input_high=(MAX_TORQUE,),
    reward_delta_t=0.05,
    observation_names=("cos_theta", "sin_theta", "omega"),
    observation_units=("1", "1", "rad/s"),
)


def derivative(state: Tensor, torque: Tensor) -> Tensor:
    """Right-hand side: (..., 2), (..., 1) [N m] -> (..., 2)."""
    theta, omega = state[..., 0], state[..., 1]
    return torch.stack([omega, GRAVITY_TERM * torch.sin(theta) + TORQUE_TERM * torque[..., 0]], dim=-1)


def reward_rate(state: Tensor, torque: Tensor) -> Tensor:
    """Gymnasium's reward −(θ² + 0.1 ω² + 0.001 u²) of one 50 ms step: (..., 2), (..., 1) -> (...)."""
    return -(wrap_angle(state[..., 0]) ** 2 + 0.1 * state[..., 1] ** 2 + 0.001 * torque[..., 0] ** 2)


def energy(state: Tensor) -> Tensor:
    """Kinetic and potential energy m l²/6 ω² + m g l/2 cos θ of a rod hinged at its end: (..., 2) -> (...) [J]."""
    return MASS * LENGTH**2 / 6 * state[..., 1] ** 2 + MASS * GRAVITY * LENGTH / 2 * torch.cos(state[..., 0])


def _scalar_derivative(state: tuple[float, ...], torque: tuple[float, ...]) -> tuple[float, ...]:
    return state[1], GRAVITY_TERM * math.sin(state[0]) + TORQUE_TERM * torque[0]


def _scalar_reward_rate(state: tuple[float, ...], torque: tuple[float, ...]) -> float:
    theta = math.pi - (math.pi - state[0]) % (2 * math.pi)
    return -(theta**2 + 0.1 * state[1] ** 2 + 0.001 * torque[0] ** 2)


def _success(states: Tensor, times: Tensor) -> Tensor:
    """Whether |θ| stays below 0.2 rad over the last 2 s of an episode: (..., T+1, 2), (T+1,) -> (...)."""
    late = times >= times[-1] - SETTLED - 1e-9
    return (wrap_angle(states[..., late, 0]).abs() < UPRIGHT).all(dim=-1)


PENDULUM = System(
    spec=SPEC,
    derivative=derivative,
    scalar_derivative=_scalar_derivative,
    reward_rate=reward_rate,
    scalar_reward_rate=_scalar_reward_rate,
    outside=lambda state: torch.zeros_like(state[..., 0], dtype=torch.bool),
    scalar_outside=lambda state: False,
    cost=lambda state, torque: -reward_rate(state, torque),
    success=_success,
    reset_low=(-math.pi, -1.0),
    reset_high=(math.pi, 1.0),
    speed_limit=(math.inf, MAX_SPEED),
    observe=lambda x, m: (m.cos(x[0]), m.sin(x[0]), x[1]),
    observed_state=lambda y, m: (m.atan2(y[1], y[0]), y[2]),
    observation_high=(1.0, 1.0, MAX_SPEED),
    scene=PENDULUM_SCENE,
    energy=energy,
)
