"""Forced oscillator: m x'' = u − c x' − k x, a force of −1, 0 or 1 N, damping drawn for every sequence.

    γ = c / 2m,  s² = k/m − γ²,  r = u/k
    x(h) = r + e^(−γh) ((x − r) C + (v + γ (x − r)) S),   C = cos sh,  S = sin(sh)/s   (cosh, sinh where s² < 0)

The equation is linear, so its flow under a held force is known: truth has no step and no solver error.
"""

from tdlib.core.namespace import Namespace
from tdlib.core.specs import EnvironmentSpec
from tdlib.systems.pictures import Picture
from tdlib.systems.sketch import FirstView, Sketch
from tdlib.systems.system import System
from tdlib.systems.task import Collection, Components, Number, Parameters, RandomInputs, Task, Views

WIDEST = 1.8  # [m], [m/s]: starts lie within

SPEC = EnvironmentSpec(
    name="oscillator",
    state_names=("x", "v"),
    state_units=("m", "m/s"),
    angle_dims=(),
    position_dims=(0,),
    velocity_dims=(1,),
    input_names=("force",),
    input_units=("N",),
    input_low=(-1.0,),
    input_high=(1.0,),
    action_table=((-1.0,), (0.0,), (1.0,)),
    reward_delta_t=0.1,
    parameter_names=("damping",),
)


def equation(x: Components, u: Components, p: Parameters, m: Namespace) -> Components:
    """Right-hand side (x', v')."""
    position, velocity = x
    return velocity, (u[0] - p.damping * velocity - p.stiffness * position) / p.mass


def exact_flow(x: Components, u: Components, p: Parameters, h: Number, m: Namespace) -> Components:
    """State after h seconds."""
    decay, rest = p.damping / (2 * p.mass), u[0] / p.stiffness
    away, velocity = x[0] - rest, x[1]
    square = p.stiffness / p.mass - decay**2
    rate = m.maximum(m.sqrt(m.abs(square)), 1e-9)  # at critical damping S is h
    swings = square > 0
    cos = m.where(swings, m.cos(rate * h), m.cosh(rate * h))
    sin = m.where(swings, m.sin(rate * h), m.sinh(rate * h)) / rate
    shrunk = m.exp(-decay * h)
    moved = shrunk * (away * cos + (velocity + decay * away) * sin)
    slowed = shrunk * (velocity * cos - (decay * velocity + p.stiffness / p.mass * away) * sin)
    return rest + moved, slowed


def energy(x: Components, p: Parameters, m: Namespace) -> Number:
    """½ m v² + ½ k x² [J]."""
    return 0.5 * p.mass * x[1] ** 2 + 0.5 * p.stiffness * x[0] ** 2


def power(x: Components, u: Components, p: Parameters, m: Namespace) -> Number:
    """Of the force, less what the damper takes: u v − c v² [W]."""
    return (u[0] - p.damping * x[1]) * x[1]


OSCILLATOR = System(
    spec=SPEC,
    equation=equation,
    parameters={"mass": 0.5, "stiffness": 2.0, "damping": 0.1},  # [kg], [N/m], [N s/m]
    parameter_ranges={"damping": (0.1, 1.0)},
    energy=energy,
    power=power,
    lossless={"damping": 0.0},
    exact_flow=exact_flow,
    max_substep=1000.0,  # [s]; one step of the exact flow is the interval
    task=Task(reset_low=(-WIDEST,) * 2, reset_high=(WIDEST,) * 2),
    collection=Collection(random_inputs=RandomInputs((WIDEST,) * 2, 0.2, 0.5, 0.75, (0.0, 0.0))),
    views=Views(
        mode=("oscillation", (0.0, 0.0)),
        start=(1.2, 0.0),
        sketch=Sketch(
            "mass on a spring",
            lambda x, p, m: (-2.5, 0.0, x[0], 0.0),
            reach=(2.8, 0.8),
            rods=((0, 1),),
            boxes=((1, 0.25, 0.25),),
            pivots=(0,),
            ground=-0.25,
        ),
        first=FirstView(
            "Oscillator",
            start=(1.5, 0.0),
            signals=({"kind": "constant", "value": 0.0},),
            start_limits=(2.5, 5.0),
            windows={0: ((-2.6, 2.6), (-5.0, 5.0))},
            least_margins=(0.3, 0.5),
            least_energy=0.5,
        ),
        picture=Picture(
            lambda x, p, m: (0.0, -x[0]),  # a mass that hangs: x points down
            radii=lambda p: (0.35,),
            half_width=2.5,
            founded_radii=lambda p: (p.mass,),
            founded_half_width=2.0,
        ),
    ),
)
