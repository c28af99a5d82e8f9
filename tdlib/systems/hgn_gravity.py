"""Two or three bodies that circle each other, of Hamiltonian Generative Networks.

    H = Σ |p_i|² / 2 m_i − Σ_{i<j} G m_i m_j / d_ij,   p_i = m_i v_i

Bodies of equal mass start at equal angles on a circle of radius r with the speed of a circular orbit,

    two: v = 1 / (2 √r),   three: v = 1 / (3^¼ √r)        (G = m = 1),

each speed then changed by up to a tenth. The forces are those of `tdlib.systems.three_body` without softening. Three
such orbits are not stable: after some seconds bodies meet, where no step resolves the motion, so episodes end before.
A push on the first body is part of the equation; the only action is not to use it.
"""

import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from tdlib.core.namespace import Namespace
from tdlib.core.specs import EnvironmentSpec
from tdlib.systems import three_body
from tdlib.systems.pictures import Picture
from tdlib.systems.sketch import FirstView, Sketch
from tdlib.systems.system import System
from tdlib.systems.task import Collection, Components, Number, Parameters, RandomInputs, Task, Views

TIME_LIMITS = {2: 10.0, 3: 4.0}  # number of bodies -> length of an episode [s]
ORBIT_NOISE = 0.1  # largest relative change of a speed from that of the circular orbit
RINGS = {2: (0.5, 1.5), 3: (0.9, 1.2)}  # number of bodies -> radii of starts [m]
SPEEDS = {2: 0.5, 3: 3**-0.25}  # number of bodies -> v √r of a circular orbit
MASS_TO_RADIUS = {2: 0.55, 3: 0.25}  # number of bodies -> drawn radius of 1 kg [m]
RESET_WIDTH = 0.1  # [m], [m/s]: resets lie so near to a circular orbit of radius 1 m


def equation(x: Components, u: Components, p: Parameters, m: Namespace) -> Components:
    """Right-hand side: 2n velocities, 2n accelerations."""
    return three_body.equation(x, (u[0], 0.0), p, m)


def power(x: Components, u: Components, p: Parameters, m: Namespace) -> Number:
    """Of the push on the first body [W]."""
    return p.mass_1 * u[0] * x[len(x) // 2]


def circling(radius: Tensor, angle: Tensor, speed_factors: Tensor) -> Tensor:
    """States of n bodies on a circular orbit, counterclockwise: (N,) [m], (N,) [rad], (N, n) -> (N, 4n).

    Args:
        radius: Of the orbit.
        angle: Of the first body.
        speed_factors: What the speed of each body is multiplied with; 1 keeps the circle.
    """
    bodies = speed_factors.shape[-1]
    angles = angle.unsqueeze(-1) + 2 * math.pi / bodies * torch.arange(bodies, dtype=radius.dtype)
    outward = torch.stack([angles.cos(), angles.sin()], dim=-1)  # (N, n, 2)
    ahead = torch.stack([-angles.sin(), angles.cos()], dim=-1)
    speeds = SPEEDS[bodies] / radius.sqrt().unsqueeze(-1) * speed_factors
    parts = radius[:, None, None] * outward, speeds.unsqueeze(-1) * ahead
    return torch.cat([part.flatten(1) for part in parts], dim=-1)


def _starts(unit: Tensor, bodies: int) -> Tensor:
    nearest, farthest = RINGS[bodies]
    factors = 1 + ORBIT_NOISE * (2 * unit[:, 2 : 2 + bodies] - 1)
    return circling(nearest + (farthest - nearest) * unit[:, 0], 2 * math.pi * unit[:, 1], factors)


def two_circling(unit: Tensor) -> Tensor:
    """Starts of two bodies: (N, 8) numbers in [0, 1) -> (N, 8)."""
    return _starts(unit, 2)


def three_circling(unit: Tensor) -> Tensor:
    """Starts of three bodies: (N, 12) numbers in [0, 1) -> (N, 12)."""
    return _starts(unit, 3)


@functools.cache
def _orbit(bodies: int) -> tuple[float, ...]:
    """A circular orbit of radius 1 m, the first body on the right."""
    one = torch.ones(1, dtype=torch.float64)
    return tuple(circling(one, 0 * one, one.expand(1, bodies))[0].tolist())


def _gravity(name: str, label: str, bodies: int, starts: Callable[[Tensor], Tensor]) -> System:
    places = tuple(f"{axis}_{i}" for i in range(1, bodies + 1) for axis in "xy")
    orbit, size = _orbit(bodies), 2 * bodies
    return System(
        spec=EnvironmentSpec(
            name=name,
            state_names=(*places, *(f"v_{place}" for place in places)),
            state_units=("m",) * size + ("m/s",) * size,
            angle_dims=(),
            position_dims=tuple(range(size)),
            velocity_dims=tuple(range(size, 2 * size)),
            input_names=("push",),
            input_units=("m/s²",),
            input_low=(-1.0,),
            input_high=(1.0,),
            action_table=((0.0,),),
            reward_delta_t=0.125,
            time_limit=TIME_LIMITS[bodies],
        ),
        equation=equation,
        parameters={"gravity": 1.0, "softening": 0.0, **{f"mass_{i}": 1.0 for i in range(1, bodies + 1)}},
        energy=three_body.energy,
        power=power,
        lossless={},
        max_substep=0.005,
        task=Task(reset_low=tuple(x - RESET_WIDTH for x in orbit), reset_high=tuple(x + RESET_WIDTH for x in orbit)),
        collection=Collection(random_inputs=RandomInputs(starts, 0.2, 0.5, 0.75, ((0.0,),) * (2 * size))),
        views=Views(
            box=(1.0,) * (2 * size),
            plane=("x_1", "y_1"),
            start=orbit,
            sketch=Sketch(label, lambda x, p, m: tuple(x[:size]), reach=(2.0, 2.0), discs=tuple(range(bodies))),
            first=FirstView(
                label,
                start=tuple(round(x, 3) for x in orbit),
                signals=({"kind": "constant", "value": 0.0},),
                start_limits=(2.0,) * (2 * size),
                windows={i: ((-2.0, 2.0), (-2.0, 2.0)) for i in range(size)},
                least_margins=(0.3,) * (2 * size),
                least_energy=0.3,
            ),
            picture=Picture(
                lambda x, p, m: tuple(x[:size]),
                radii=lambda p: tuple(
                    MASS_TO_RADIUS[bodies] * mass for mass in three_body.masses_of((0.0,) * 2 * size, p)
                ),
                half_width=3.0,
            ),
        ),
    )


HGN_TWO_BODY = _gravity("hgn_two_body", "two bodies", 2, two_circling)
HGN_THREE_BODY = _gravity("hgn_three_body", "three bodies that circle", 3, three_circling)
