"""Pendulum of Hamiltonian Generative Networks: H = p² / (2 m l²) + m g l (1 − cos q), with p = m l² ω, nothing lost.

The hanging pendulum without damping, light and slow enough for a camera: at 8 frames per second its bob moves by a few
pixels of 64. A torque at the pivot is part of the equation; the only action is not to use it.
"""

from torch import Tensor

from tdlib.core.namespace import Namespace
from tdlib.core.specs import EnvironmentSpec
from tdlib.systems import hanging_pendulum
from tdlib.systems.circle import on_circle
from tdlib.systems.pictures import Picture
from tdlib.systems.sketch import FirstView
from tdlib.systems.system import System
from tdlib.systems.task import Collection, Components, Parameters, RandomInputs, Task, Views

MASS, LENGTH = 0.5, 1.0  # [kg], [m]
RING = (1.3, 2.3)  # radii of starts in the plane of q [rad] and p [kg m²/s]
WIDEST = (1.5, 3.0)  # [rad], [rad/s]: resets lie within

SPEC = EnvironmentSpec(
    name="hgn_pendulum",
    state_names=("theta", "omega"),
    state_units=("rad", "rad/s"),
    angle_dims=(0,),
    position_dims=(0,),
    velocity_dims=(1,),
    input_names=("torque",),
    input_units=("N m",),
    input_low=(-1.0,),
    input_high=(1.0,),
    action_table=((0.0,),),
    reward_delta_t=0.125,
)


def equation(x: Components, u: Components, p: Parameters, m: Namespace) -> Components:
    """Right-hand side (θ', ω')."""
    return hanging_pendulum.equation(x, u, p, m)


def starts(unit: Tensor) -> Tensor:
    """Starts on a ring of (q, p), as states (θ, ω): (N, 2) numbers in [0, 1) -> (N, 2)."""
    return on_circle(unit, *RING) / unit.new_tensor((1.0, MASS * LENGTH**2))


HGN_PENDULUM = System(
    spec=SPEC,
    equation=equation,
    parameters={"mass": MASS, "length": LENGTH, "gravity": 3.0, "damping": 0.0},  # [kg], [m], [m/s²], [1/s]
    energy=hanging_pendulum.energy,
    power=hanging_pendulum.power,
    lossless={},
    task=Task(reset_low=tuple(-x for x in WIDEST), reset_high=WIDEST),
    collection=Collection(random_inputs=RandomInputs(starts, 0.2, 0.5, 0.75, (0.0, 0.0))),
    views=Views(
        box=(2.3, 4.6),
        mode=("oscillation", (0.0, 0.0)),
        start=(1.8, 0.0),
        sketch=hanging_pendulum.HANGING_PENDULUM.views.sketch,
        first=FirstView(
            "HGN's pendulum",
            start=(1.8, 0.0),
            signals=({"kind": "constant", "value": 0.0},),
            start_limits=(3.1, 5.0),
            windows={0: ((-3.2, 3.2), (-5.0, 5.0))},
            least_margins=(0.3, 0.5),
            least_energy=0.5,
        ),
        picture=Picture(
            lambda x, p, m: (p.length * m.sin(x[0]), -p.length * m.cos(x[0])),
            radii=lambda p: (p.mass,),
            half_width=2.0,
        ),
    ),
)
