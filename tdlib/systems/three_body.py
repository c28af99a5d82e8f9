"""Three bodies under their own gravity in a plane, a thruster on the first: r_i'' = Σ_j G m_j (r_j − r_i) / d_ij³ + a.

    d_ij² = |r_i − r_j|² + ε²

Softening ε keeps near collisions finite (Plummer). Without it, and with one symplectic Euler step per 50 ms, which is
the founding document's setting, the energy errs by its own size many times over within five seconds: `as_founded`.
"""

import dataclasses
import functools
import operator

from torch import Tensor

from tdlib.core.namespace import Namespace
from tdlib.core.specs import EnvironmentSpec
from tdlib.systems.sketch import FirstView, Sketch
from tdlib.systems.spaceship import thrusters
from tdlib.systems.system import System
from tdlib.systems.task import Collection, Components, Number, Parameters, RandomInputs, Task, Views

BODIES = 3
THRUST = 1.0  # [m/s²]
WIDEST = (1.0,) * 6 + (0.5,) * 6  # [m], [m/s]: starts lie within, then lose the motion of their center
CORNERS = tuple((f"x_{i}", f"y_{i}") for i in range(1, BODIES + 1))

SPEC = EnvironmentSpec(
    name="three_body",
    state_names=tuple(name for corner in CORNERS for name in corner)
    + tuple(f"v_{name}" for corner in CORNERS for name in corner),
    state_units=("m",) * 6 + ("m/s",) * 6,
    angle_dims=(),
    position_dims=tuple(range(6)),
    velocity_dims=tuple(range(6, 12)),
    input_names=("thrust_x", "thrust_y"),
    input_units=("m/s²", "m/s²"),
    input_low=(-THRUST,) * 2,
    input_high=(THRUST,) * 2,
    action_table=thrusters(THRUST),
    reward_delta_t=0.05,
)


def masses_of(x: Components, p: Parameters) -> list[Number]:
    """Mass of every body: `mass_1`, `mass_2`, ..."""
    return [getattr(p, f"mass_{i}") for i in range(1, len(x) // 4 + 1)]


def pairs(x: Components, p: Parameters, m: Namespace) -> dict[tuple[int, int], tuple[Number, Number, Number]]:
    """Difference in x, in y, and softened distance of every pair i < j, of any number of bodies."""
    found, bodies = {}, len(x) // 4
    for i in range(bodies):
        for j in range(i + 1, bodies):
            dx, dy = x[2 * j] - x[2 * i], x[2 * j + 1] - x[2 * i + 1]
            found[i, j] = dx, dy, m.sqrt(dx**2 + dy**2 + p.softening**2)
    return found


def equation(x: Components, u: Components, p: Parameters, m: Namespace) -> Components:
    """Right-hand side of n bodies: 2n velocities, 2n accelerations."""
    masses, coordinates = masses_of(x, p), len(x) // 2
    pulls: list[list[Number]] = [[u[0]], [u[1]], *([] for _ in range(coordinates - 2))]
    for (i, j), (dx, dy, distance) in pairs(x, p, m).items():
        cube = p.gravity / (distance * distance * distance)
        for k, d in enumerate((dx * cube, dy * cube)):
            pulls[2 * i + k].append(masses[j] * d)
            pulls[2 * j + k].append(-masses[i] * d)
    return (*x[coordinates:], *(functools.reduce(operator.add, terms) for terms in pulls))


def energy(x: Components, p: Parameters, m: Namespace) -> Number:
    """Σ ½ m_i |v_i|² − Σ_{i<j} G m_i m_j / d_ij [J]."""
    masses, at = masses_of(x, p), len(x) // 2
    moving = sum(0.5 * mass * (x[at + 2 * i] ** 2 + x[at + 1 + 2 * i] ** 2) for i, mass in enumerate(masses))
    bound = sum(masses[i] * masses[j] / distance for (i, j), (_, _, distance) in pairs(x, p, m).items())
    return moving - p.gravity * bound


def at_rest_together(unit: Tensor) -> Tensor:
    """Starts in the box whose center of equal masses stays at the origin: (N, 12) numbers in [0, 1) -> (N, 12)."""
    state = unit.new_tensor(WIDEST) * (2 * unit - 1)
    bodies = state.reshape(-1, 2, BODIES, 2)  # positions and velocities, bodies, coordinates
    return (bodies - bodies.mean(dim=2, keepdim=True)).reshape(-1, 12)


START = (0.74, 0.31, -0.64, 0.49, -0.1, -0.8, -0.31, 0.74, -0.49, -0.64, 0.8, -0.1)  # no coordinate begins at rest

THREE_BODY = System(
    spec=SPEC,
    equation=equation,
    parameters={"gravity": 1.0, "mass_1": 1.0, "mass_2": 1.0, "mass_3": 1.0, "softening": 0.1},
    energy=energy,
    power=lambda x, u, p, m: p.mass_1 * (u[0] * x[6] + u[1] * x[7]),
    lossless={},
    max_substep=0.0025,
    task=Task(reset_low=tuple(-x for x in WIDEST), reset_high=WIDEST),
    collection=Collection(random_inputs=RandomInputs(at_rest_together, 0.2, 0.5, 0.75, ((0.0, 0.0),) * 12)),
    views=Views(
        box=(1.0,) * 6 + (1.5,) * 6,
        plane=("x_1", "y_1"),
        start=START,
        sketch=Sketch("three bodies", lambda x, p, m: tuple(x[:6]), reach=(2.0, 2.0), discs=(0, 1, 2)),
        first=FirstView(
            "Three bodies",
            start=START,
            signals=({"kind": "constant", "value": 0.0},) * 2,
            start_limits=(2.0,) * 6 + (2.0,) * 6,
            windows={i: ((-2.0, 2.0), (-3.0, 3.0)) for i in range(6)},
            least_margins=(0.3,) * 6 + (0.5,) * 6,
            least_energy=1.0,
        ),
    ),
)


def as_founded(system: System = THREE_BODY) -> System:
    """Return the system of the founding document: no softening, one symplectic Euler step per interval."""
    hard = dict(system.parameters) | {"softening": 1e-6}
    return dataclasses.replace(system, parameters=hard, solver="symplectic_euler", max_substep=system.delta_t)
