"""CartPole-v1 and its continuous-force twin: a pole hinged on a cart (Barto, Sutton & Anderson 1983).

    θ'' = (g sin θ − cos θ B) / (l (4/3 − m cos²θ / M)),   B = (F + m l θ'² sin θ) / M
    x'' = B − m l θ'' cos θ / M

l is half the pole's length, m its mass, M the mass of both. Constants, reward, reset and limits as in Gymnasium's
`classic_control/cartpole.py`; the discrete action 0 / 1 is a force of −10 / +10 N.
"""

import dataclasses
import math
from collections.abc import Sequence

from tdlib.core.namespace import Namespace
from tdlib.core.specs import EnvironmentSpec
from tdlib.systems.scenes import INK, WIDTH, Canvas, Scene, draw_rail
from tdlib.systems.sketch import FirstView, Sketch
from tdlib.systems.system import System
from tdlib.systems.task import (
    Collection,
    Components,
    Number,
    Parameters,
    Planning,
    PPOSettings,
    RandomInputs,
    Task,
    Views,
)

MAX_FORCE = 10.0  # [N]
FAILURE_COST = 20.0  # cost rate of a plan from its exit on: the most that `cost` charges for a state
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


def equation(x: Components, u: Components, p: Parameters, m: Namespace) -> Components:
    """Right-hand side (x', x'', θ', θ'')."""
    _, x_dot, theta, theta_dot = x
    total, moment = p.cart_mass + p.pole_mass, p.pole_mass * p.half_length
    sin, cos = m.sin(theta), m.cos(theta)
    push = (u[0] + moment * theta_dot**2 * sin) / total
    theta_acc = (p.gravity * sin - cos * push) / (p.half_length * (4 / 3 - p.pole_mass * cos**2 / total))
    return x_dot, push - moment * theta_acc * cos / total, theta_dot, theta_acc


def energy(x: Components, p: Parameters, m: Namespace) -> Number:
    """½ M x'² + m l x' θ' cos θ + ½ (4/3) m l² θ'² + m g l cos θ [J]."""
    _, x_dot, theta, theta_dot = x
    moment, cos = p.pole_mass * p.half_length, m.cos(theta)
    turning = moment * x_dot * theta_dot * cos + 2 / 3 * moment * p.half_length * theta_dot**2
    return 0.5 * (p.cart_mass + p.pole_mass) * x_dot**2 + turning + moment * p.gravity * cos


def outside(x: Components, p: Parameters, m: Namespace) -> Number:
    """Whether the cart has left ±2.4 m or the pole ±12°."""
    return (m.abs(x[0]) > X_LIMIT) | (m.abs(x[2]) > THETA_LIMIT)


def cost(x: Components, u: Components, p: Parameters, m: Namespace) -> Number:
    """Cost rate for planners, smooth inside the limits and ten units dearer outside."""
    position, x_dot, theta, theta_dot = x
    inside = (theta / THETA_LIMIT) ** 2 + 0.1 * theta_dot**2 + (position / X_LIMIT) ** 2 + 0.05 * x_dot**2
    half = 0.5 * FAILURE_COST
    return m.minimum(inside, half) + m.where(outside(x, p, m), half, 0.0) + 1e-4 * u[0] ** 2


def native_step(x: Components, u: Components, p: Parameters, h: Number, m: Namespace) -> Components:
    """Explicit Euler, as `CartPoleEnv.step` does."""
    return [a + h * b for a, b in zip(x, equation(x, u, p, m), strict=True)]


def _paint(canvas: Canvas, size: int, truth: Sequence[float], ghost: Sequence[float], color: str) -> None:
    factor = size // WIDTH
    unit, ground = size / 7.0, size * 0.66  # 7 m across
    draw_rail(canvas, size, unit, ground, X_LIMIT)
    for (x, theta), cart, pole in ((truth, INK, INK), (ghost, color + "78", color + "B0")):
        left = size / 2 + x * unit
        width, height, length = 30 * factor, 18 * factor, 130 * factor
        canvas.rectangle([left - width, ground - height, left + width, ground], fill=cart)
        hinge = (left, ground - height)
        tip = (left + length * math.sin(theta), hinge[1] - length * math.cos(theta))
        canvas.line([hinge, tip], fill=pole, width=7 * factor)


def _ppo(rollout: float, gae_lambda: float) -> PPOSettings:
    return PPOSettings(
        rollout=rollout,
        minibatch=256,
        num_epochs=10,
        learning_rate=1e-3,
        final_learning_rate=1e-5,
        gamma=0.98,
        gae_lambda=gae_lambda,
        reference_delta_t=0.02,
    )


def _points(x: Components, p: Parameters, m: Namespace) -> Components:
    """The hinge on the cart, and the pole's tip."""
    hinge = 0.1
    return x[0], hinge, x[0] + 2 * p.half_length * m.sin(x[2]), hinge + 2 * p.half_length * m.cos(x[2])


def _first(label: str, start: tuple[float, ...], signal: dict) -> FirstView:
    return FirstView(
        label,
        start=start,
        signals=(signal,),
        start_limits=(X_LIMIT, 4.0, 0.8, 5.0),
        dim=2,
        windows={0: ((-2.6, 2.6), (-4.2, 4.2)), 2: ((-0.85, 0.85), (-5.2, 5.2))},
        least_margins=(0.3, 1.0, 0.3, 1.0),
        least_energy=0.3,
    )


TO_AND_FRO = {"kind": "drawn", "values": ([MAX_FORCE] * 10 + [-MAX_FORCE] * 10) * 2 + [MAX_FORCE] * 10}


def _random(correlation: float, spread: float, feedback: tuple[float, ...], amplitude: float) -> RandomInputs:
    """Wide starts, pushes on a feedback that cannot hold the pole for ever, and no episode long enough to settle."""
    return RandomInputs((1.5, 1.0, 0.15, 1.0), 0.1, correlation, spread, feedback, amplitude, longest=3.0)


_TASK = Task(
    reset_low=(-0.05,) * 4,
    reset_high=(0.05,) * 4,
    reward=lambda x, u, p, m: 1.0,
    cost=cost,
    outside=outside,
    # two forces only: all 2^6 sequences of 50 ms are scored; with an odd number of them no plan ends at rest
    planning=Planning("enumeration", horizon=0.3, knots_per_second=20.0, failure_cost=FAILURE_COST),
)
CARTPOLE = System(
    spec=SPEC,
    equation=equation,
    parameters={"gravity": 9.8, "cart_mass": 1.0, "pole_mass": 0.1, "half_length": 0.5},  # [m/s²], [kg], [kg], [m]
    energy=energy,
    power=lambda x, u, p, m: u[0] * x[1],
    lossless={},
    # Gymnasium's bounds: twice the limits of position and angle, no bound on speeds
    observation_limits=tuple((-high, high) for high in (2 * X_LIMIT, math.inf, 2 * THETA_LIMIT, math.inf)),
    task=_TASK,
    collection=Collection(
        random_inputs=_random(0.3, 0.15, (1.5, 3.0, 30.0, 7.0), 0.3),
        # a rollout is 128 decisions per environment, so that no rate runs short of updates
        ppo={10: _ppo(12.8, 0.95), 20: _ppo(6.4, 0.9), 50: _ppo(2.56, 0.9)},
    ),
    views=Views(
        box=(1.0, 1.0, 0.2, 1.5),
        plane_widths=(0.21, 1.5),  # the limits of the task
        start=(0.0, 0.0, 0.05, 0.0),
        mode=("growth", (0.0, 0.0, 0.0, 0.0)),
        native_step=native_step,
        scene=Scene(("x", "theta"), _paint),
        film=("multi_resolution", "scaled_concat", "mixed"),
        sketch=Sketch(
            "cart with its pole",
            _points,
            reach=(X_LIMIT, 0.75),
            rods=((0, 1),),
            boxes=((0, 0.2, 0.1),),
            middle=0.5,
            ground=0.0,
        ),
        first=_first("Cart-pole", (0.0, 0.0, -0.05, 1.6), TO_AND_FRO),
    ),
)
CARTPOLE_CONTINUOUS = dataclasses.replace(
    CARTPOLE,
    spec=CONTINUOUS_SPEC,
    task=dataclasses.replace(_TASK, planning=Planning(failure_cost=FAILURE_COST)),
    collection=Collection(random_inputs=_random(0.2, 0.25, (2.0, 3.5, 34.0, 8.5), 0.6)),
    views=dataclasses.replace(
        CARTPOLE.views,
        native_step=None,
        film=None,
        first=_first("Cart-pole, any force", (0.0, 0.0, 0.05, 0.0), {"kind": "constant", "value": 0.7}),
    ),
)
