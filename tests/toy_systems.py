"""Two systems of a stranger: a rover with two inputs, and the same rover with a table of five actions."""

import dataclasses

import torch

from tdlib.core.specs import EnvironmentSpec
from tdlib.systems import System

DRAG, ROTATION_DRAG = 0.8, 1.5  # [1/s]

ROVER_SPEC = EnvironmentSpec(
    name="Rover-v0",
    state_names=("heading", "speed", "yaw_rate"),
    state_units=("rad", "m/s", "rad/s"),
    angle_dims=(0,),
    position_dims=(0,),
    velocity_dims=(2,),
    input_names=("thrust", "torque"),
    input_units=("N", "N m"),
    input_low=(-1.0, -4.0),
    input_high=(3.0, 4.0),
    reward_delta_t=0.1,
    time_limit=4.0,
)


def _derivative(state, inputs):
    _, speed, yaw_rate = state.unbind(dim=-1)
    thrust, torque = inputs.unbind(dim=-1)
    return torch.stack([yaw_rate, thrust - DRAG * speed, torque - ROTATION_DRAG * yaw_rate], dim=-1)


def _scalar_derivative(state, inputs):
    return state[2], inputs[0] - DRAG * state[1], inputs[1] - ROTATION_DRAG * state[2]


ROVER = System(
    spec=ROVER_SPEC,
    derivative=_derivative,
    scalar_derivative=_scalar_derivative,
    reward_rate=lambda state, inputs: state[..., 1],
    scalar_reward_rate=lambda state, inputs: state[1],
    outside=lambda state: state[..., 1] < -1.0,
    scalar_outside=lambda state: state[1] < -1.0,
    cost=lambda state, inputs: (state[..., 1] - 1.0) ** 2 + 0.1 * inputs[..., 1] ** 2,
    success=lambda states, times: (states[..., -1, 1] - 1.0).abs() < 0.2,
    reset_low=(-3.0, -0.2, -1.0),
    reset_high=(3.0, 0.5, 1.0),
)
ACTIONS = ((0.0, 0.0), (3.0, 0.0), (-1.0, 0.0), (1.0, 4.0), (1.0, -4.0))
ROVER_OF_FIVE = dataclasses.replace(
    ROVER, spec=dataclasses.replace(ROVER_SPEC, name="RoverOfFive-v0", action_table=ACTIONS)
)
