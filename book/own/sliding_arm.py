"""An arm on a slider: two motors, a load drawn for every sequence, a partial sensor."""

from dataclasses import replace

from tdlib.core.specs import EnvironmentSpec
from tdlib.systems import System
from tdlib.systems.task import Task


def equation(x, u, p, m):
    slide, angle, spin = x
    torque = u[1] - 4.0 * p.load * m.sin(angle) - 0.1 * spin
    return u[0] - 0.2 * slide, spin, torque / (0.5 + p.load)


SPEC = EnvironmentSpec(
    name="SlidingArm-v0",
    state_names=("slide", "angle", "spin"), state_units=("m", "rad", "rad/s"),
    angle_dims=(1,), position_dims=(), velocity_dims=(),
    input_names=("pull", "torque"), input_units=("m/s", "N m"),
    input_low=(-1.0, -2.0), input_high=(1.0, 2.0), parameter_names=("load",),
    observation_names=("slide", "cos_angle", "sin_angle"), observation_units=("m", "1", "1"),
)  # fmt: skip
ARM = System(
    SPEC, equation, parameters={"load": 1.0}, parameter_ranges={"load": (0.8, 1.2)},
    observe=lambda x, p, m: (x[0], m.cos(x[1]), m.sin(x[1])),
    task=Task(
        reset_low=(-0.5, -1.0, -1.0), reset_high=(0.5, 1.0, 1.0),
        reward=lambda x, u, p, m: -(x[0] ** 2 + m.wrap(x[1]) ** 2 + 0.1 * x[2] ** 2),
    ),
)  # fmt: skip
FIVE = ((-1.0, 0.0), (1.0, 0.0), (0.0, -2.0), (0.0, 2.0), (0.0, 0.0))
OF_FIVE = replace(SPEC, name="SlidingArmOfFive-v0", action_table=FIVE)
ARM_OF_FIVE = replace(ARM, spec=OF_FIVE)
