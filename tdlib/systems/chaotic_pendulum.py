"""Double pendulum of Hamiltonian Generative Networks: two points of mass m on rods of length l, nothing lost.

    H = (p₁² + 2 p₂² − 2 p₁ p₂ cos Δ) / (2 m l² (1 + sin² Δ)) + m g l (3 − 2 cos q₁ − cos q₂),   Δ = q₁ − q₂

with p₁ = m l² (2 ω₁ + ω₂ cos Δ), p₂ = m l² (ω₂ + ω₁ cos Δ). The state holds angles from hanging and their velocities,
so the same motion is written as Lagrange's equations,

    2 ω₁' + cos Δ ω₂' = −sin Δ ω₂² − 2 (g/l) sin q₁ + τ / (m l²)
    cos Δ ω₁' + ω₂' = sin Δ ω₁² − (g/l) sin q₂.

Widely used code of this system lacks factors and signs in Hamilton's equations, so that H changes several times over
in 30 frames; here they are checked against the gradient of H. A torque at the first joint is part of the equation; the
only action is not to use it.
"""

import torch
from torch import Tensor

from tdlib.core.namespace import Namespace
from tdlib.core.specs import EnvironmentSpec
from tdlib.systems.circle import on_circle
from tdlib.systems.pictures import Picture
from tdlib.systems.sketch import FirstView, Sketch
from tdlib.systems.system import System
from tdlib.systems.task import Collection, Components, Number, Parameters, RandomInputs, Task, Views

MASS, LENGTH = 1.0, 1.0  # [kg], [m]
RING = (0.5, 1.3)  # radii of starts, of the angles [rad] and of the momenta [kg m²/s] each
WIDEST = (1.0, 1.0, 1.0, 1.0)  # [rad], [rad/s]: resets lie within

SPEC = EnvironmentSpec(
    name="chaotic_pendulum",
    state_names=("theta_1", "theta_2", "omega_1", "omega_2"),
    state_units=("rad", "rad", "rad/s", "rad/s"),
    angle_dims=(0, 1),
    position_dims=(0, 1),
    velocity_dims=(2, 3),
    input_names=("torque",),
    input_units=("N m",),
    input_low=(-1.0,),
    input_high=(1.0,),
    action_table=((0.0,),),
    reward_delta_t=0.125,
)


def equation(x: Components, u: Components, p: Parameters, m: Namespace) -> Components:
    """Right-hand side (θ₁', θ₂', ω₁', ω₂')."""
    first, second, omega_1, omega_2 = x
    sin, cos, pull = m.sin(first - second), m.cos(first - second), p.gravity / p.length
    a = -sin * omega_2**2 - 2 * pull * m.sin(first) + u[0] / (p.mass * p.length**2)
    b = sin * omega_1**2 - pull * m.sin(second)
    size = 1 + sin**2
    return omega_1, omega_2, (a - cos * b) / size, (2 * b - cos * a) / size


def energy(x: Components, p: Parameters, m: Namespace) -> Number:
    """½ m l² (2 ω₁² + ω₂² + 2 ω₁ ω₂ cos Δ) + m g l (3 − 2 cos θ₁ − cos θ₂) [J]."""
    first, second, omega_1, omega_2 = x
    moving = 2 * omega_1**2 + omega_2**2 + 2 * omega_1 * omega_2 * m.cos(first - second)
    lifted = 3 - 2 * m.cos(first) - m.cos(second)
    return 0.5 * p.mass * p.length**2 * moving + p.mass * p.gravity * p.length * lifted


def starts(unit: Tensor) -> Tensor:
    """Starts with angles on one ring and momenta on another, as states: (N, 4) numbers in [0, 1) -> (N, 4)."""
    q, p = on_circle(unit[:, :2], *RING), on_circle(unit[:, 2:], *RING) / (MASS * LENGTH**2)
    delta = q[:, 0] - q[:, 1]
    cos, size = delta.cos(), 1 + delta.sin() ** 2
    velocities = torch.stack([(p[:, 0] - p[:, 1] * cos) / size, (2 * p[:, 1] - p[:, 0] * cos) / size], dim=-1)
    return torch.cat([q, velocities], dim=-1)


def joints(x: Components, p: Parameters, m: Namespace) -> Components:
    """Both points of mass [m]: x and y of the first, x and y of the second."""
    first = p.length * m.sin(x[0]), -p.length * m.cos(x[0])
    return (*first, first[0] + p.length * m.sin(x[1]), first[1] - p.length * m.cos(x[1]))


CHAOTIC_PENDULUM = System(
    spec=SPEC,
    equation=equation,
    parameters={"mass": MASS, "length": LENGTH, "gravity": 3.0},  # [kg], [m], [m/s²]
    energy=energy,
    power=lambda x, u, p, m: u[0] * x[2],
    lossless={},
    max_substep=0.005,
    task=Task(reset_low=tuple(-x for x in WIDEST), reset_high=WIDEST),
    collection=Collection(random_inputs=RandomInputs(starts, 0.2, 0.5, 0.75, (0.0,) * 4)),
    views=Views(
        box=(1.3, 1.3, 2.0, 2.0),
        mode=("oscillation", (0.0,) * 4),
        start=(0.9, -0.6, 0.0, 0.0),
        sketch=Sketch(
            "double pendulum",
            lambda x, p, m: (0.0, 0.0, *joints(x, p, m)),
            reach=(2.2, 2.2),
            rods=((0, 1), (1, 2)),
            discs=(1, 2),
            pivots=(0,),
        ),
        first=FirstView(
            "Double pendulum",
            start=(0.9, -0.6, 0.0, 0.0),
            signals=({"kind": "constant", "value": 0.0},),
            start_limits=(3.1, 3.1, 4.0, 4.0),
            windows={i: ((-3.2, 3.2), (-5.0, 5.0)) for i in range(2)},
            least_margins=(0.3, 0.3, 0.5, 0.5),
            least_energy=1.0,
        ),
        picture=Picture(joints, radii=lambda p: (p.length / 3,) * 2, half_width=2.5),
    ),
)
