"""Two systems of a stranger: a rover with two inputs, and the same rover with a table of five actions."""

import dataclasses

from tdlib.core.specs import EnvironmentSpec
from tdlib.systems import System
from tdlib.systems.task import Task

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
    parameter_names=("drag",),
    observation_names=("cos_heading", "sin_heading", "speed"),
    observation_units=("1", "1", "m/s"),
)


def rover(x, u, p, m):
    _, speed, yaw_rate = x
    return yaw_rate, u[0] - p.drag * speed, u[1] - p.turning_drag * yaw_rate


ROVER = System(
    spec=ROVER_SPEC,
    equation=rover,
    parameters={"drag": 0.8, "turning_drag": 1.5},
    parameter_ranges={"drag": (0.5, 1.5)},
    observe=lambda x, p, m: (m.cos(x[0]), m.sin(x[0]), x[1]),
    task=Task(
        reset_low=(-3.0, -0.2, -1.0),
        reset_high=(3.0, 0.5, 1.0),
        reward=lambda x, u, p, m: x[1],
        cost=lambda x, u, p, m: (x[1] - 1.0) ** 2 + 0.1 * u[1] ** 2,
        outside=lambda x, p, m: x[1] < -1.0,
        success=lambda states, times: (states[..., -1, 1] - 1.0).abs() < 0.2,
    ),
)
ACTIONS = ((0.0, 0.0), (3.0, 0.0), (-1.0, 0.0), (1.0, 4.0), (1.0, -4.0))
ROVER_OF_FIVE = dataclasses.replace(
    ROVER, spec=dataclasses.replace(ROVER_SPEC, name="RoverOfFive-v0", action_table=ACTIONS)
)
