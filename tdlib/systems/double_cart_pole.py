"""Double cart-pole: two rods hinged one to the other below a cart, pushed by a motor of 20 N; zero is hanging.

With absolute angles φ1 = θ1, φ2 = θ1 + θ2, κ = (l_c + l) m, and every rod of length l, mass m and center l_c:

    ⎡ M + 2 m      −κ cos φ1                 −m l_c cos φ2          ⎤ ⎡x''⎤
    ⎢ ·            m (l_c² + l²) + I         m l l_c cos(φ1 − φ2)   ⎥ ⎢φ1''⎥ = forces
    ⎣ ·            ·                         m l_c² + I             ⎦ ⎣φ2''⎦

The constants are those of MuJoCo's model in the history chapter's founding document, whose accelerations the equation
reproduces to rounding; its soft end stops of the rail, 3.8 m from the middle, end an episode here.
"""

import math

from tdlib.core.namespace import Namespace
from tdlib.core.specs import EnvironmentSpec
from tdlib.systems.sketch import FirstView, Sketch
from tdlib.systems.system import System
from tdlib.systems.task import Collection, Components, Number, Parameters, RandomInputs, Task, Views

RAIL = 3.8  # [m] to either side
HEIGHT = 2.0  # [m] of the rail
WIDEST = (1.5, math.pi, math.pi, 1.0, 3.0, 3.0)  # [m], [rad], [m/s], [rad/s]: starts lie within

SPEC = EnvironmentSpec(
    name="double_cart_pole",
    state_names=("x", "theta_1", "theta_2", "x_dot", "omega_1", "omega_2"),
    state_units=("m", "rad", "rad", "m/s", "rad/s", "rad/s"),
    angle_dims=(1, 2),
    position_dims=(0, 1, 2),
    velocity_dims=(3, 4, 5),
    input_names=("control",),
    input_units=("1",),
    input_low=(-1.0,),
    input_high=(1.0,),
    reward_delta_t=0.02,
)


def equation(x: Components, u: Components, p: Parameters, m: Namespace) -> Components:
    """Right-hand side (x', θ1', θ2', x'', θ1'', θ2'')."""
    _, first, second, x_dot, turn_1, turn_2 = x
    phi_1, phi_2, rate_1, rate_2 = first, first + second, turn_1, turn_1 + turn_2
    arm, middle = p.pole_mass * (p.length / 2 + p.length), p.pole_mass * p.length / 2  # κ, m l_c
    cross = middle * p.length
    sin_1, cos_1, sin_2, cos_2 = m.sin(phi_1), m.cos(phi_1), m.sin(phi_2), m.cos(phi_2)
    sin_12, cos_12 = m.sin(phi_1 - phi_2), m.cos(phi_1 - phi_2)
    own = middle * p.length / 2 + p.inertia  # m l_c² + I
    matrix = (
        (p.cart_mass + 2 * p.pole_mass, -arm * cos_1, -middle * cos_2),
        (-arm * cos_1, own + p.pole_mass * p.length**2, cross * cos_12),
        (-middle * cos_2, cross * cos_12, own),
    )
    joint = p.pole_damping * turn_2
    forces = (
        p.gear * u[0] - p.cart_damping * x_dot - arm * sin_1 * rate_1**2 - middle * sin_2 * rate_2**2,
        -cross * sin_12 * rate_2**2 - arm * p.gravity * sin_1 - p.pole_damping * rate_1 + joint,
        cross * sin_12 * rate_1**2 - middle * p.gravity * sin_2 - joint,
    )
    x_acc, acc_1, acc_2 = m.solve(matrix, forces)
    return x_dot, turn_1, turn_2, x_acc, acc_1, acc_2 - acc_1


def energy(x: Components, p: Parameters, m: Namespace) -> Number:
    """Of the cart and of both rods, moving and lifted; zero at rest [J]."""
    _, first, second, x_dot, rate_1, turn_2 = x
    phi_1, phi_2, rate_2 = first, first + second, rate_1 + turn_2
    half = p.length / 2

    def rod(along: Number, up: Number, rate: Number) -> Number:
        return 0.5 * p.pole_mass * (along**2 + up**2) + 0.5 * p.inertia * rate**2

    turned = half * rate_1
    upper = rod(x_dot - turned * m.cos(phi_1), turned * m.sin(phi_1), rate_1)
    along = x_dot - p.length * rate_1 * m.cos(phi_1) - half * rate_2 * m.cos(phi_2)
    up = p.length * rate_1 * m.sin(phi_1) + half * rate_2 * m.sin(phi_2)
    lifted = (half + p.length) * (1 - m.cos(phi_1)) + half * (1 - m.cos(phi_2))
    return 0.5 * p.cart_mass * x_dot**2 + upper + rod(along, up, rate_2) + p.pole_mass * p.gravity * lifted


def power(x: Components, u: Components, p: Parameters, m: Namespace) -> Number:
    """Of the motor, less what rail and hinges take [W]."""
    lost = p.cart_damping * x[3] ** 2 + p.pole_damping * (x[4] ** 2 + x[5] ** 2)
    return p.gear * u[0] * x[3] - lost


def points(x: Components, p: Parameters, m: Namespace) -> Components:
    """The hinge on the cart, the hinge between the rods, the tip."""
    joint = x[0] - p.length * m.sin(x[1]), HEIGHT - p.length * m.cos(x[1])
    tip = joint[0] - p.length * m.sin(x[1] + x[2]), joint[1] - p.length * m.cos(x[1] + x[2])
    return x[0], HEIGHT, *joint, *tip


DOUBLE_CART_POLE = System(
    spec=SPEC,
    equation=equation,
    parameters={
        "gravity": 9.81,  # [m/s²]
        "cart_mass": 1.0,  # [kg]
        "pole_mass": 0.1,  # [kg] each
        "length": 1.0,  # [m] each
        "inertia": 0.0094246,  # [kg m²] of a rod about its center: a capsule of radius 0.045 m
        "gear": 20.0,  # [N]
        "cart_damping": 1e-4,  # [N s/m]
        "pole_damping": 1e-2,  # [N m s]
    },
    energy=energy,
    power=power,
    lossless={"cart_damping": 0.0, "pole_damping": 0.0},
    max_substep=0.005,
    task=Task(
        reset_low=tuple(-x for x in WIDEST),
        reset_high=WIDEST,
        outside=lambda x, p, m: m.abs(x[0]) > RAIL,
    ),
    collection=Collection(random_inputs=RandomInputs(WIDEST, 0.2, 0.3, 0.4, (-0.15, 0.0, 0.0, -0.15, 0.0, 0.0), 0.6)),
    views=Views(
        box=(1.0, math.pi, math.pi, 2.0, 4.0, 4.0),
        plane=("theta_1", "omega_1"),
        start=(0.0, 2.0, 0.5, 0.0, 0.0, 0.0),
        sketch=Sketch(
            "cart with two poles",
            points,
            reach=(RAIL, 2.4),
            rods=((0, 1), (1, 2)),
            discs=(1, 2),
            boxes=((0, 0.2, 0.1),),
            middle=HEIGHT,
            ground=HEIGHT - 0.1,
        ),
        first=FirstView(
            "Double cart-pole",
            start=(0.0, 2.0, 0.5, 0.0, 0.0, 0.0),
            signals=({"kind": "constant", "value": 0.0},),
            start_limits=(3.0, math.pi, math.pi, 3.0, 8.0, 8.0),
            dim=1,
            windows={
                0: ((-4.0, 4.0), (-5.0, 5.0)),
                1: ((-math.pi, math.pi), (-10.0, 10.0)),
                2: ((-math.pi, math.pi), (-15.0, 15.0)),
            },
            least_margins=(0.3, 0.3, 0.3, 1.0, 1.0, 1.0),
            least_energy=1.0,
        ),
    ),
)
