"""Spaceship at a star: v' = −G M q / r³ + a, r² = |q|² + ε², nine thrusts; the star stays where it is.

Energies are those of a ship of 1 kg. Two kinds of start: on an ellipse that keeps away from the star (the default), and
anywhere in a box, as the founding document has it: a quarter of those come nearer than 0.1 to the star, where no
reasonable step resolves the motion.
"""

import dataclasses
import math

import torch
from torch import Tensor

from tdlib.core.namespace import Namespace
from tdlib.core.specs import EnvironmentSpec
from tdlib.systems.sketch import FirstView, Sketch
from tdlib.systems.system import System
from tdlib.systems.task import Collection, Components, Number, Parameters, RandomInputs, Task, Views

THRUST = 0.5  # [m/s²]
STAR = 10.0  # G M [m³/s²]
NEAREST, FARTHEST = 1.6, 5.0  # [m]: distances of starts on an ellipse
WIDEST = (5.0, 5.0, 2.0, 2.0)  # [m], [m/s]: box of the other starts


def thrusters(magnitude: float) -> tuple[tuple[float, float], ...]:
    """Idle, and a push in each of eight directions, counterclockwise from +x: (9, 2)."""
    angles = [k * math.pi / 4 for k in range(8)]
    return ((0.0, 0.0), *((magnitude * math.cos(a), magnitude * math.sin(a)) for a in angles))


SPEC = EnvironmentSpec(
    name="spaceship",
    state_names=("x", "y", "v_x", "v_y"),
    state_units=("m", "m", "m/s", "m/s"),
    angle_dims=(),
    position_dims=(0, 1),
    velocity_dims=(2, 3),
    input_names=("thrust_x", "thrust_y"),
    input_units=("m/s²", "m/s²"),
    input_low=(-THRUST,) * 2,
    input_high=(THRUST,) * 2,
    action_table=thrusters(THRUST),
    reward_delta_t=0.1,
)


def equation(x: Components, u: Components, p: Parameters, m: Namespace) -> Components:
    """Right-hand side (x', y', v_x', v_y')."""
    distance = m.sqrt(x[0] ** 2 + x[1] ** 2 + p.softening**2)
    pull = p.gravity * p.star_mass / distance**3
    return x[2], x[3], u[0] - pull * x[0], u[1] - pull * x[1]


def energy(x: Components, p: Parameters, m: Namespace) -> Number:
    """½ |v|² − G M / r [J] of 1 kg."""
    distance = m.sqrt(x[0] ** 2 + x[1] ** 2 + p.softening**2)
    return 0.5 * (x[2] ** 2 + x[3] ** 2) - p.gravity * p.star_mass / distance


def on_ellipses(unit: Tensor) -> Tensor:
    """Starts on ellipses that stay more than 0.7 m from the star: (N, 4) numbers in [0, 1) -> (N, 4).

    The speed across the line to the star is 0.8 to 1.15 times that of a circle there, in either sense, with a tenth of
    the circle's speed along it at most. Every start is at an angle of its own.
    """
    distance = NEAREST + (FARTHEST - NEAREST) * unit[:, 0]
    angle = 2 * math.pi * unit[:, 1]
    circle = (STAR / distance).sqrt()
    sense = torch.where(unit[:, 2] < 0.5, -1.0, 1.0)
    across = circle * sense * (0.8 + 0.35 * (2 * unit[:, 2]).remainder(1.0))
    along = circle * (0.2 * unit[:, 3] - 0.1)
    cos, sin = angle.cos(), angle.sin()
    speeds = along * cos - across * sin, along * sin + across * cos
    return torch.stack([distance * cos, distance * sin, *speeds], dim=-1)


SPACESHIP = System(
    spec=SPEC,
    equation=equation,
    parameters={"gravity": 1.0, "star_mass": STAR, "softening": 0.05},  # [m³/(kg s²)], [kg], [m]
    energy=energy,
    power=lambda x, u, p, m: u[0] * x[2] + u[1] * x[3],
    lossless={},
    task=Task(reset_low=tuple(-x for x in WIDEST), reset_high=WIDEST),
    collection=Collection(random_inputs=RandomInputs(on_ellipses, 0.2, 0.5, 0.75, ((0.0, 0.0),) * 4)),
    views=Views(
        box=(4.0, 4.0, 2.5, 2.5),
        plane=("x", "y"),
        start=(3.0, 0.0, 0.0, 1.9),
        sketch=Sketch(
            "ship and star",
            lambda x, p, m: (0.0, 0.0, x[0], x[1]),
            reach=(6.0, 6.0),
            discs=(1,),
            pivots=(0,),
        ),
        first=FirstView(
            "Spaceship",
            start=(2.6, 1.5, -0.8, 1.39),  # no coordinate begins at rest
            signals=({"kind": "constant", "value": 0.0},) * 2,
            start_limits=(6.0, 6.0, 4.0, 4.0),
            windows={0: ((-6.0, 6.0), (-4.0, 4.0)), 1: ((-6.0, 6.0), (-4.0, 4.0))},
            least_margins=(0.5, 0.5, 0.5, 0.5),
            least_energy=1.0,
        ),
    ),
)


def anywhere(system: System = SPACESHIP) -> System:
    """Return the system with starts anywhere in the box of its task, near collisions among them."""
    inputs = system.collection.random_inputs
    assert inputs is not None and system.task is not None
    wide = dataclasses.replace(inputs, start=system.task.reset_high)
    return dataclasses.replace(system, collection=dataclasses.replace(system.collection, random_inputs=wide))
