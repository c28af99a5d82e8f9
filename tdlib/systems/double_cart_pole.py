"""Double cart-pole: two rods hinged one to the other below a cart, pushed by a motor of 20 N; zero is hanging.

With absolute angles φ1 = θ1, φ2 = θ1 + θ2, κ = (l_c + l) m, and every rod of length l, mass m and center l_c:

    ⎡ M + 2 m      −κ cos φ1                 −m l_c cos φ2          ⎤ ⎡x''⎤
    ⎢ ·            m (l_c² + l²) + I         m l l_c cos(φ1 − φ2)   ⎥ ⎢φ1''⎥ = forces
    ⎣ ·            ·                         m l_c² + I             ⎦ ⎣φ2''⎦

The constants are those of MuJoCo's model in the history chapter's founding document, whose accelerations the equation
reproduces to rounding (a test); its soft end stops of the rail, 3.8 m from the middle, end an episode here.

The task is to swing both rods up and hold them there, by the costs of that document. They are of the tip, which is
computed from the state they are given: in a plan from the predicted one.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from tdlib.core.namespace import Namespace
from tdlib.core.specs import EnvironmentSpec
from tdlib.systems.scenes import INK, WIDTH, Canvas, Scene, disc, draw_rail
from tdlib.systems.sketch import FirstView, Sketch
from tdlib.systems.system import System
from tdlib.systems.task import Collection, Components, Number, Parameters, Planning, RandomInputs, Task, Views

RAIL = 3.8  # [m] to either side
HEIGHT = 2.0  # [m] of the rail
LENGTH, RADIUS, ROD_MASS = 1.0, 0.045, 0.1  # [m], [m], [kg] of each rod, a capsule
TOP = HEIGHT + 2 * LENGTH  # [m] of the tip with both rods upright
WIDEST = (1.5, math.pi, math.pi, 1.0, 3.0, 3.0)  # [m], [rad], [m/s], [rad/s]: starts lie within
NEAR_REST = (0.5, 0.2, 0.2, 0.2, 0.2, 0.2)  # hanging nearly still, from where one has to swing up
HELD, SETTLED = 0.1, 1.0  # success: the tip less than 0.1 m below the top over the last second
FAILURE_COST = 1000.0  # cost rate of a plan from the end of the rail on: dearer than any other way to end

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


def _capsule_inertia() -> float:
    """About the center, across the rod [kg m²]: a cylinder with half a ball at each end, of one density."""
    balls = 4 / 3 * RADIUS / (LENGTH + 4 / 3 * RADIUS)  # their part of the mass
    cylinder = LENGTH**2 / 12 + RADIUS**2 / 4
    ends = 2 / 5 * RADIUS**2 + LENGTH**2 / 4 + 3 / 8 * LENGTH * RADIUS
    return ROD_MASS * ((1 - balls) * cylinder + balls * ends)


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


def _off_top(x: Components, p: Parameters, m: Namespace) -> Number:
    """Squared distance of the tip from the point above the cart where both rods are upright [m²]."""
    *_, along, up = points(x, p, m)
    return (up - TOP) ** 2 + (along - x[0]) ** 2


def cost(x: Components, u: Components, p: Parameters, m: Namespace) -> Number:
    """Cost rate (z − 4)² + (x_tip − x)² + 0.1 (θ1'² + θ2'²) + 0.001 u², z the height of the tip."""
    return _off_top(x, p, m) + 0.1 * (x[4] ** 2 + x[5] ** 2) + 0.001 * u[0] ** 2


def terminal_cost(x: Components, p: Parameters, m: Namespace) -> Number:
    """Cost of ending a plan here: 10 ((z − 4)² + (x_tip − x)²) + 10 x² + x'² + θ1'² + θ2'²."""
    return 10 * _off_top(x, p, m) + 10 * x[0] ** 2 + x[3] ** 2 + x[4] ** 2 + x[5] ** 2


def success(states: Tensor, times: Tensor) -> Tensor:
    """Whether the tip stays within 0.1 m of its greatest height over the last second: (..., T+1, 6), (T+1,) -> (...).

    Each rod is then less than 26° from upright.
    """
    late = states[..., times >= times[-1] - SETTLED - 1e-9, :]
    first, second = late[..., 1], late[..., 1] + late[..., 2]
    return (HEIGHT - LENGTH * (torch.cos(first) + torch.cos(second)) > TOP - HELD).all(dim=-1)


def _paint(canvas: Canvas, size: int, truth: Sequence[float], ghost: Sequence[float], color: str) -> None:
    factor = size // WIDTH
    unit, ground = size / 8.4, size * 0.52  # 8.4 m across
    draw_rail(canvas, size, unit, ground, RAIL)
    for (x, first, second), cart, pole in ((truth, INK, INK), (ghost, color + "78", color + "B0")):
        left, width, height = size / 2 + x * unit, 20 * factor, 10 * factor
        canvas.rectangle([left - width, ground - height, left + width, ground + height], fill=cart)
        joints = [(left, ground)]
        for angle in (first, first + second):
            along, up = joints[-1]
            joints.append((along - LENGTH * unit * math.sin(angle), up + LENGTH * unit * math.cos(angle)))
        canvas.line(joints, fill=pole, width=6 * factor)
        for joint in joints[1:]:
            canvas.ellipse(disc(joint, 5 * factor), fill=pole)


DOUBLE_CART_POLE = System(
    spec=SPEC,
    equation=equation,
    parameters={
        "gravity": 9.81,  # [m/s²]
        "cart_mass": 1.0,  # [kg]
        "pole_mass": ROD_MASS,  # [kg] each
        "length": LENGTH,  # [m] each
        "inertia": _capsule_inertia(),  # [kg m²] of a rod about its center
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
        reward=lambda x, u, p, m: -cost(x, u, p, m),
        cost=cost,
        terminal_cost=terminal_cost,
        outside=lambda x, p, m: m.abs(x[0]) > RAIL,
        success=success,
        control_starts=((tuple(-x for x in NEAR_REST), NEAR_REST),),
        # the founding document's own setting: few knots, and draws close to the last plan, since half a second on the
        # upright rods carry an error on more than twenty-fold
        planning=Planning(
            "predictive_sampling",
            horizon=1.0,
            knots_per_second=4.0,
            interpolation="cubic",
            population=1024,
            num_iterations=2,  # with one the oracle fails now and then at 20 Hz
            spread=0.3,
            smallest_scale=1.0,
            failure_cost=FAILURE_COST,
        ),
    ),
    collection=Collection(random_inputs=RandomInputs(WIDEST, 0.2, 0.3, 0.4, (-0.15, 0.0, 0.0, -0.15, 0.0, 0.0), 0.6)),
    views=Views(
        box=(1.0, math.pi, math.pi, 2.0, 4.0, 4.0),
        plane=("theta_1", "omega_1"),
        start=(0.0, 2.0, 0.5, 0.0, 0.0, 0.0),
        scene=Scene(("x", "theta_1", "theta_2"), _paint),
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
            least_energy=2.0,
        ),
    ),
)
