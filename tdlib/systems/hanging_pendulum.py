"""Forced damped pendulum: ω' = −(g/L) sin θ − c ω + τ / (m L²), θ = 0 hanging, a torque of −2, 0 or 2 N m.

A point mass on a rod without one. The torque holds the pendulum at 12° and no further, so it has to be swung up; the
damping rate c [1/s] is drawn for every sequence. `Pendulum-v1` (`tdlib.systems.pendulum`) is a rod with θ = 0 upright.
"""

import math

from tdlib.core.namespace import Namespace
from tdlib.core.specs import EnvironmentSpec
from tdlib.systems.pictures import Picture
from tdlib.systems.sketch import FirstView, Sketch
from tdlib.systems.system import System
from tdlib.systems.task import Collection, Components, Number, Parameters, RandomInputs, Task, Views

WIDEST = (math.pi, 2.0)  # [rad], [rad/s]: starts lie within

SPEC = EnvironmentSpec(
    name="pendulum",
    state_names=("theta", "omega"),
    state_units=("rad", "rad/s"),
    angle_dims=(0,),
    position_dims=(0,),
    velocity_dims=(1,),
    input_names=("torque",),
    input_units=("N m",),
    input_low=(-2.0,),
    input_high=(2.0,),
    action_table=((-2.0,), (0.0,), (2.0,)),
    reward_delta_t=0.1,
    parameter_names=("damping",),
)


def equation(x: Components, u: Components, p: Parameters, m: Namespace) -> Components:
    """Right-hand side (θ', ω')."""
    theta, omega = x
    inertia = p.mass * p.length**2
    return omega, -p.gravity / p.length * m.sin(theta) - p.damping * omega + u[0] / inertia


def energy(x: Components, p: Parameters, m: Namespace) -> Number:
    """½ m L² ω² + m g L (1 − cos θ) [J]."""
    theta, omega = x
    return 0.5 * p.mass * (p.length * omega) ** 2 + p.mass * p.gravity * p.length * (1 - m.cos(theta))


def power(x: Components, u: Components, p: Parameters, m: Namespace) -> Number:
    """Of the torque, less what friction takes: τ ω − c m L² ω² [W]."""
    return (u[0] - p.damping * p.mass * p.length**2 * x[1]) * x[1]


HANGING_PENDULUM = System(
    spec=SPEC,
    equation=equation,
    parameters={"mass": 1.0, "length": 1.0, "gravity": 9.81, "damping": 0.1},  # [kg], [m], [m/s²], [1/s]
    parameter_ranges={"damping": (0.05, 0.5)},
    energy=energy,
    power=power,
    lossless={"damping": 0.0},
    task=Task(reset_low=tuple(-x for x in WIDEST), reset_high=WIDEST),
    collection=Collection(random_inputs=RandomInputs(WIDEST, 0.2, 0.5, 0.75, (0.0, 0.0))),
    views=Views(
        box=(math.pi, 5.0),
        plane_widths=(3.1, 7.0),
        mode=("oscillation", (0.0, 0.0)),
        start=(2.5, 0.0),
        sketch=Sketch(
            "pendulum",
            lambda x, p, m: (0.0, 0.0, p.length * m.sin(x[0]), -p.length * m.cos(x[0])),
            reach=(1.4, 1.4),
            rods=((0, 1),),
            discs=(1,),
            pivots=(0,),
        ),
        first=FirstView(
            "Hanging pendulum",
            start=(2.0, 0.0),
            signals=({"kind": "constant", "value": 0.0},),
            start_limits=(math.pi, 7.0),
            windows={0: ((-math.pi, math.pi), (-7.5, 7.5))},
            least_margins=(0.3, 1.0),
            least_energy=2.0,
        ),
        picture=Picture(
            lambda x, p, m: (p.length * m.sin(x[0]), -p.length * m.cos(x[0])),
            radii=lambda p: (0.35,),
            half_width=2.5,
            founded_radii=lambda p: (p.mass,),
            founded_half_width=2.0,
        ),
    ),
)
