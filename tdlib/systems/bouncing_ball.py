"""Bouncing ball: y'' = −g + u/m above the ground; at the ground the speed turns and keeps a share e of itself.

Between impacts the path is a parabola with a = g − u/m > 0, so impacts lie at known times. After one at speed s flights
last 2 e s / a, 2 e² s / a, ...: infinitely many within T = 2 e s / (a (1 − e)), after which the ball lies still.
How many end within an interval is one logarithm, so truth has no event to search for and no step, at rest or not:

    n = ⌊log(1 − r/T) / log e⌋   flights end within r < T seconds of the first impact

The flow is not differentiable at an impact; no law that follows from a smooth flow holds across it.
"""

import torch
from torch import Tensor

from tdlib.core.namespace import Namespace
from tdlib.core.specs import EnvironmentSpec
from tdlib.systems.sketch import FirstView, Sketch
from tdlib.systems.system import System
from tdlib.systems.task import Collection, Components, Number, Parameters, RandomInputs, Task, Views

HIGHEST, FASTEST = 1.5, 2.0  # [m], [m/s]: starts lie at 0 .. 1.5 m and within ±2 m/s
TINY = 1e-300

SPEC = EnvironmentSpec(
    name="bouncing_ball",
    state_names=("height", "velocity"),
    state_units=("m", "m/s"),
    angle_dims=(),
    position_dims=(0,),
    velocity_dims=(1,),
    input_names=("force",),
    input_units=("N",),
    input_low=(-4.0,),
    input_high=(4.0,),
    action_table=((-4.0,), (0.0,), (4.0,)),
    reward_delta_t=0.1,
    parameter_names=("restitution",),
)


def equation(x: Components, u: Components, p: Parameters, m: Namespace) -> Components:
    """Right-hand side (y', v') between impacts."""
    return x[1], u[0] / p.mass - p.gravity


def _first_impact(x: Components, u: Components, p: Parameters, m: Namespace) -> tuple[Number, Number, Number]:
    """Downward acceleration, time until the first impact, and speed of it."""
    fall = p.gravity - u[0] / p.mass
    speed = m.sqrt(x[1] ** 2 + 2 * fall * m.maximum(x[0], 0.0))
    return fall, (x[1] + speed) / fall, speed


def exact_flow(x: Components, u: Components, p: Parameters, h: Number, m: Namespace) -> Components:
    """State after h seconds, over any number of impacts; back in time there are none."""
    fall, time, speed = _first_impact(x, u, p, m)
    after = h - time
    touches = (h > 0) & (after >= 0)
    left = m.maximum(p.restitution * speed, TINY)  # speed with which the first flight begins
    all_flights = 2 * left / (fall * (1 - p.restitution))
    lies = after >= all_flights
    share = m.clip(after / all_flights, 0.0, 1 - 1e-15)
    flights = m.floor(m.log(1 - share) / m.log(p.restitution) + 1e-12)
    kept = m.exp(flights * m.log(p.restitution))
    since = m.maximum(after - all_flights * (1 - kept), 0.0)
    up = kept * left
    height = m.where(lies, 0.0, m.maximum(up * since - fall / 2 * since**2, 0.0))
    velocity = m.where(lies, 0.0, up - fall * since)
    free_height, free_velocity = x[0] + x[1] * h - fall / 2 * h**2, x[1] - fall * h
    return m.where(touches, height, free_height), m.where(touches, velocity, free_velocity)


def contact(x: Components, u: Components, p: Parameters, h: Number, m: Namespace) -> Number:
    """Whether the ball touches the ground within h seconds."""
    _, time, _ = _first_impact(x, u, p, m)
    return h >= time


def energy(x: Components, p: Parameters, m: Namespace) -> Number:
    """½ m v² + m g y [J]."""
    return 0.5 * p.mass * x[1] ** 2 + p.mass * p.gravity * x[0]


def above_ground(unit: Tensor) -> Tensor:
    """Starts up to 1.5 m high, at up to 2 m/s up or down: (N, 2) numbers in [0, 1) -> (N, 2)."""
    return torch.stack([HIGHEST * unit[:, 0], FASTEST * (2 * unit[:, 1] - 1)], dim=-1)


BOUNCING_BALL = System(
    spec=SPEC,
    equation=equation,
    parameters={"gravity": 9.81, "mass": 1.0, "restitution": 0.95},  # [m/s²], [kg], 1
    parameter_ranges={"restitution": (0.9, 0.99)},
    energy=energy,
    power=lambda x, u, p, m: u[0] * x[1],
    lossless={"restitution": 1 - 1e-8},  # at one there would be infinitely many flights of one length
    exact_flow=exact_flow,
    contact=contact,
    max_substep=1000.0,  # [s]; one step of the exact flow is the interval
    task=Task(reset_low=(0.0, -FASTEST), reset_high=(HIGHEST, FASTEST)),
    collection=Collection(
        random_inputs=RandomInputs(
            above_ground,
            0.2,
            0.5,
            0.75,
            (0.0, 0.0),
            longest=3.0,
        )
    ),
    views=Views(
        box=(1.5, 4.0),
        start=(1.2, 0.0),
        sketch=Sketch(
            "ball above the ground", lambda x, p, m: (0.0, x[0]), reach=(1.2, 1.2), discs=(0,), middle=1.0, ground=0.0
        ),
        first=FirstView(
            "Bouncing ball",
            start=(1.0, 0.0),
            signals=({"kind": "constant", "value": 0.0},),
            start_limits=(2.0, 6.0),
            windows={0: ((-0.3, 2.2), (-6.5, 6.5))},
            least_margins=(0.2, 0.5),
            least_energy=4.0,
        ),
    ),
)
