"""Pendulum-v1: θ'' = 3g/(2l) sin θ + 3/(m l²) u, θ = 0 upright, |θ'| <= 8 rad/s.

A rod of mass m and length l; constants, reward, reset and limits as in Gymnasium's `classic_control/pendulum.py`.
"""

import math
from collections.abc import Sequence

from torch import Tensor

from tdlib.core.namespace import Namespace
from tdlib.core.specs import EnvironmentSpec, wrap_angle
from tdlib.systems.scenes import FAINT, INK, WIDTH, Canvas, Scene, disc
from tdlib.systems.sketch import FirstView, Sketch
from tdlib.systems.system import System
from tdlib.systems.task import Collection, Components, Number, Parameters, PPOSettings, RandomInputs, Task, Views

MAX_SPEED, MAX_TORQUE = 8.0, 2.0  # [rad/s], [N m]
UPRIGHT, SETTLED = 0.2, 2.0  # success: |θ| below 0.2 rad over the last 2 s
RESET = (-math.pi, -1.0), (math.pi, 1.0)  # [rad], [rad/s]
HANGING = (math.pi - 0.2, -0.2), (math.pi + 0.2, 0.2)  # nearly at rest, from where one has to swing up

SPEC = EnvironmentSpec(
    name="Pendulum-v1",
    state_names=("theta", "omega"),
    state_units=("rad", "rad/s"),
    angle_dims=(0,),
    position_dims=(0,),
    velocity_dims=(1,),
    input_names=("torque",),
    input_units=("N m",),
    input_low=(-MAX_TORQUE,),
    input_high=(MAX_TORQUE,),
    reward_delta_t=0.05,
    observation_names=("cos_theta", "sin_theta", "omega"),
    observation_units=("1", "1", "rad/s"),
)


def equation(x: Components, u: Components, p: Parameters, m: Namespace) -> Components:
    """Right-hand side (θ', ω')."""
    theta, omega = x
    return omega, 3 * p.gravity / (2 * p.length) * m.sin(theta) + 3 / (p.mass * p.length**2) * u[0]


def energy(x: Components, p: Parameters, m: Namespace) -> Number:
    """½ (m l²/3) ω² + m g (l/2) cos θ [J]."""
    theta, omega = x
    return p.mass * p.length**2 / 6 * omega**2 + p.mass * p.gravity * p.length / 2 * m.cos(theta)


def reward(x: Components, u: Components, p: Parameters, m: Namespace) -> Number:
    """Gymnasium's reward −(θ² + 0.1 ω² + 0.001 u²) of one 50 ms step."""
    theta, omega = x
    return -(m.wrap(theta) ** 2 + 0.1 * omega**2 + 0.001 * u[0] ** 2)


def native_step(x: Components, u: Components, p: Parameters, h: Number, m: Namespace) -> Components:
    """Semi-implicit Euler with the speed clipped, as `PendulumEnv.step` does."""
    theta, omega = x
    omega = m.clip(omega + equation(x, u, p, m)[1] * h, -MAX_SPEED, MAX_SPEED)
    return theta + omega * h, omega


def success(states: Tensor, times: Tensor) -> Tensor:
    """Whether |θ| stays below 0.2 rad over the last 2 s of an episode: (..., T+1, 2), (T+1,) -> (...)."""
    late = times >= times[-1] - SETTLED - 1e-9
    return (wrap_angle(states[..., late, 0]).abs() < UPRIGHT).all(dim=-1)


def _paint(canvas: Canvas, size: int, truth: Sequence[float], ghost: Sequence[float], color: str) -> None:
    factor = size // WIDTH
    center, length = (size / 2, size * 0.52), size * 0.33
    radius = 5 * factor
    canvas.line([center, (center[0], center[1] - length)], fill=FAINT, width=factor)  # upright, θ = 0
    for (theta,), fill, width in ((truth, INK, 9), (ghost, color + "B0", 9)):
        tip = (center[0] - length * math.sin(theta), center[1] - length * math.cos(theta))
        canvas.line([center, tip], fill=fill, width=width * factor)
        canvas.ellipse(disc(tip, 2.2 * radius), fill=fill)
    canvas.ellipse(disc(center, radius), fill=INK)


def _ppo(rollout: float) -> PPOSettings:
    return PPOSettings(
        rollout=rollout,
        minibatch=256,
        num_epochs=10,
        learning_rate=1e-3,
        final_learning_rate=1e-4,
        gamma=0.95,
        gae_lambda=0.95,
        reference_delta_t=0.05,
        noise_hold=0.2,
    )


PENDULUM = System(
    spec=SPEC,
    equation=equation,
    parameters={"gravity": 10.0, "mass": 1.0, "length": 1.0},  # [m/s²], [kg], [m]
    energy=energy,
    power=lambda x, u, p, m: u[0] * x[1],
    lossless={},
    observe=lambda x, p, m: (m.cos(x[0]), m.sin(x[0]), x[1]),
    observed_state=lambda y, m: (m.atan2(y[1], y[0]), y[2]),
    observation_limits=((-1.0, 1.0), (-1.0, 1.0), (-MAX_SPEED, MAX_SPEED)),
    state_limits=((-math.inf, math.inf), (-MAX_SPEED, MAX_SPEED)),
    task=Task(
        reset_low=RESET[0],
        reset_high=RESET[1],
        reset_widths=("x_init", "y_init"),  # as Gymnasium's calls them
        reward=reward,
        success=success,
        control_starts=(HANGING, RESET),
    ),
    collection=Collection(
        random_inputs=RandomInputs((math.pi, 7.0), 0.2, 0.5, 0.75, (0.0, 0.0)),
        # a rollout is 512 or 1024 decisions per environment, so that no rate runs short of updates
        ppo={10: _ppo(51.2), 20: _ppo(51.2), 50: _ppo(20.48)},
        checked=True,
    ),
    views=Views(
        box=(math.pi, 6.0),
        plane_widths=(3.1, 7.5),
        start=(2.5, 0.0),
        mode=("oscillation", (math.pi, 0.0)),
        native_step=native_step,
        scene=Scene(("theta",), _paint),
        film=("baseline", "none", "10"),
        sketch=Sketch(
            "pendulum",
            lambda x, p, m: (0.0, 0.0, -p.length * m.sin(x[0]), p.length * m.cos(x[0])),  # θ grows counterclockwise
            reach=(1.4, 1.4),
            rods=((0, 1),),
            discs=(1,),
            pivots=(0,),
        ),
        first=FirstView(
            "Pendulum",
            start=(2.0, 1.5),
            signals=({"kind": "constant", "value": 1.0},),
            start_limits=(math.pi, MAX_SPEED),
            windows={0: ((-math.pi, math.pi), (-8.5, 8.5))},
            least_margins=(0.3, 1.0),
            least_energy=2.0,
        ),
    ),
)
