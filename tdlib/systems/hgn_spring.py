"""Mass on a spring of Hamiltonian Generative Networks: H = p² / 2m + k q² / 2, with p = m v; damped if asked for.

    p' = −2 ζ ω₀ p − k q,   ω₀² = k/m

The oscillator with its damping given by the ratio ζ, zero here: nothing is lost. `HGN_SPRING_DAMPED` is their second
setting, `damped` one of another ratio.
A force is part of the equation; the only action is not to use it.
"""

import dataclasses
from types import SimpleNamespace

from torch import Tensor

from tdlib.core.namespace import Namespace
from tdlib.core.specs import EnvironmentSpec
from tdlib.systems import oscillator
from tdlib.systems.circle import on_circle
from tdlib.systems.pictures import Picture
from tdlib.systems.sketch import FirstView
from tdlib.systems.system import System
from tdlib.systems.task import Collection, Components, Number, Parameters, RandomInputs, Task, Views

MASS = 0.5  # [kg]
RING, WIDER_RING = (0.1, 1.0), (0.75, 1.4)  # radii of starts in the plane of q [m] and p [kg m/s]; of the damped one
WIDEST = (1.0, 2.0)  # [m], [m/s]: resets lie within

SPEC = EnvironmentSpec(
    name="hgn_spring",
    state_names=("x", "v"),
    state_units=("m", "m/s"),
    angle_dims=(),
    position_dims=(0,),
    velocity_dims=(1,),
    input_names=("force",),
    input_units=("N",),
    input_low=(-1.0,),
    input_high=(1.0,),
    action_table=((0.0,),),
    reward_delta_t=0.125,
)


def _in_newtons(p: Parameters, m: Namespace) -> Parameters:
    """Parameters as the oscillator has them: c = 2 ζ √(k m)."""
    damping = 2 * p.damping_ratio * m.sqrt(p.stiffness * p.mass)
    return SimpleNamespace(mass=p.mass, stiffness=p.stiffness, damping=damping)


def equation(x: Components, u: Components, p: Parameters, m: Namespace) -> Components:
    """Right-hand side (x', v')."""
    return oscillator.equation(x, u, _in_newtons(p, m), m)


def exact_flow(x: Components, u: Components, p: Parameters, h: Number, m: Namespace) -> Components:
    """State after h seconds."""
    return oscillator.exact_flow(x, u, _in_newtons(p, m), h, m)


def power(x: Components, u: Components, p: Parameters, m: Namespace) -> Number:
    """Of the force, less what the damper takes [W]."""
    return oscillator.power(x, u, _in_newtons(p, m), m)


def starts(unit: Tensor) -> Tensor:
    """Starts on a ring of (q, p), as states (x, v): (N, 2) numbers in [0, 1) -> (N, 2)."""
    return on_circle(unit, *RING) / unit.new_tensor((1.0, MASS))


def wider_starts(unit: Tensor) -> Tensor:
    """Starts of the damped spring, farther out: (N, 2) numbers in [0, 1) -> (N, 2)."""
    return on_circle(unit, *WIDER_RING) / unit.new_tensor((1.0, MASS))


HGN_SPRING = System(
    spec=SPEC,
    equation=equation,
    parameters={"mass": MASS, "stiffness": 2.0, "damping_ratio": 0.0},  # [kg], [N/m], 1
    energy=oscillator.energy,
    power=power,
    lossless={"damping_ratio": 0.0},
    exact_flow=exact_flow,
    max_substep=1000.0,  # [s]; one step of the exact flow is the interval
    task=Task(reset_low=tuple(-x for x in WIDEST), reset_high=WIDEST),
    collection=Collection(random_inputs=RandomInputs(starts, 0.2, 0.5, 0.75, (0.0, 0.0))),
    views=Views(
        mode=("oscillation", (0.0, 0.0)),
        start=(0.8, 0.0),
        sketch=oscillator.OSCILLATOR.views.sketch,
        first=FirstView(
            "HGN's spring",
            start=(0.8, 0.0),
            signals=({"kind": "constant", "value": 0.0},),
            start_limits=(2.0, 4.0),
            windows={0: ((-2.0, 2.0), (-4.0, 4.0))},
            least_margins=(0.2, 0.4),
            least_energy=0.3,
        ),
        picture=Picture(lambda x, p, m: (0.0, -x[0]), radii=lambda p: (p.mass,), half_width=2.0),
    ),
)


def damped(ratio: float = 0.3) -> System:
    """Return the damped spring, `hgn_spring_damped`, with starts farther out.

    Args:
        ratio: ζ, below 1 where the spring still swings.
    """
    collection, views = HGN_SPRING.collection, HGN_SPRING.views
    assert collection.random_inputs is not None and views.first is not None
    inputs = dataclasses.replace(collection.random_inputs, start=wider_starts)
    return dataclasses.replace(
        HGN_SPRING,
        spec=dataclasses.replace(SPEC, name="hgn_spring_damped"),
        parameters={**HGN_SPRING.parameters, "damping_ratio": ratio},
        collection=dataclasses.replace(collection, random_inputs=inputs),
        views=dataclasses.replace(views, first=dataclasses.replace(views.first, label="HGN's damped spring")),
    )


HGN_SPRING_DAMPED = damped()
