"""Explicit one-step solvers whose step length may differ for every sample of a batch.

The field is autonomous under a zero-order hold, so one interval is integrated as ds/dτ = Δt f(s), τ in [0, 1].
Further ones are torchdiffeq's, in `tdlib.core.odeint`.
"""

import cmath
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

Field = Callable[[Tensor], Tensor]  # (..., D) -> (..., D) [1/s]


@dataclass(frozen=True)
class Tableau:
    """An explicit Runge-Kutta method in which each slope is taken along the one just found.

        k_1 = f(s),   k_(i+1) = f(s + nodes_i h k_i),   s' = s + h Σ weights_i k_i / Σ weights_i

    Args:
        weights: Whole-number share of every slope.
        nodes: How far along a slope the next one is taken, in steps; one fewer than weights.
    """

    weights: tuple[int, ...]
    nodes: tuple[float, ...]

    @property
    def a(self) -> tuple[tuple[float, ...], ...]:
        """Butcher's matrix: one row per slope, as long as there are slopes before it."""
        return ((), *((0.0,) * i + (node,) for i, node in enumerate(self.nodes)))

    @property
    def shares(self) -> tuple[float, ...]:
        """Weights that sum to one."""
        return tuple(weight / sum(self.weights) for weight in self.weights)

    @property
    def stability(self) -> tuple[float, ...]:
        """Coefficients of the polynomial R, lowest first: one step multiplies a mode exp(λt) by R(λh)."""
        slope, total = [1.0], [0.0] * len(self.weights)
        for share, node in zip(self.shares, (*self.nodes, 0.0), strict=True):
            total = [a + share * b for a, b in zip(total, slope + [0.0] * len(total), strict=False)]
            slope = [1.0, *(node * x for x in slope)]
        return (1.0, *total)


TABLEAUS = {
    "euler": Tableau((1,), ()),
    "midpoint": Tableau((0, 1), (0.5,)),
    "rk4": Tableau((1, 2, 2, 1), (0.5, 0.5, 1.0)),
}


def runge_kutta_step(tableau: Tableau, field: Callable[[Any], Any], state: Any, delta_t: Any) -> Any:
    """Take one step out of place: (..., D), (..., 1) [s] -> (..., D); or of anything else that adds and scales."""
    slope = field(state)
    slopes = [slope]
    for node in tableau.nodes:
        slope = field(state + (delta_t if node == 1 else node * delta_t) * slope)
        slopes.append(slope)
    parts = [k if weight == 1 else weight * k for weight, k in zip(tableau.weights, slopes, strict=True) if weight]
    total, count = parts[0], sum(tableau.weights)
    for part in parts[1:]:
        total = total + part
    return state + (delta_t if count == 1 else delta_t / count) * total


@dataclass(frozen=True)
class Splitting:
    """A method that moves velocities and all else in turn, each along the rate found where the other has come to.

    Where accelerations do not depend on velocities it is symplectic: errors of the energy stay bounded.

    Args:
        moves: Whether velocities move, and by which share of the step; one entry per move.
    """

    moves: tuple[tuple[bool, float], ...]


SPLITTINGS = {
    "symplectic_euler": Splitting(((True, 1.0), (False, 1.0))),
    "leapfrog": Splitting(((True, 0.5), (False, 1.0), (True, 0.5))),  # kick, drift, kick
}


def splitting_step(
    splitting: Splitting, field: Callable[[Any], Any], state: Any, delta_t: Any, joined: Callable[[Any, Any], Any]
) -> Any:
    """Take one step: (..., D), (..., 1) [s] -> (..., D); joined(v, o) has v's velocities and all else of o."""
    for velocities, share in splitting.moves:
        moved = state + (delta_t if share == 1 else share * delta_t) * field(state)
        state = joined(moved, state) if velocities else joined(state, moved)
    return state


ITERATIONS = 6  # of the implicit midpoint's equation: its error falls by the factor h |∂f/∂s| / 2 with each


def implicit_midpoint_step(field: Callable[[Any], Any], state: Any, delta_t: Any) -> Any:
    """Take one step s' = s + h f((s + s')/2), solved by fixed-point iteration: (..., D), (..., 1) [s] -> (..., D).

    Symplectic for every Hamiltonian, also where motion and place do not separate, as far as the iteration converges.
    """
    following = state + delta_t * field(state)
    for _ in range(ITERATIONS):
        following = state + delta_t * field(0.5 * (state + following))
    return following


SOLVERS = (*TABLEAUS, *SPLITTINGS, "implicit_midpoint")
euler_step, midpoint_step, rk4_step = (partial(runge_kutta_step, tableau) for tableau in TABLEAUS.values())


def solver_step(name: str, velocity_dims: Sequence[int] = ()) -> Callable[[Field, Tensor, Tensor], Tensor]:
    """Look a solver up by name.

    Args:
        name: One of `SOLVERS`.
        velocity_dims: Which dimensions of the state are velocities, for solvers that move them in turn.

    Raises:
        ValueError: If there is no such solver, the message lists the names; or if it needs velocities.
    """
    if name in TABLEAUS:
        return partial(runge_kutta_step, TABLEAUS[name])
    if name == "implicit_midpoint":
        return implicit_midpoint_step
    if name not in SPLITTINGS:
        raise ValueError(f"solver must be one of {sorted(SOLVERS)}, got {name!r}")
    if not velocity_dims:
        raise ValueError(
            f"solver must be one of {sorted({*SOLVERS} - {*SPLITTINGS})} for a state without velocities, got {name!r}"
        )

    def joined(velocities: Tensor, others: Tensor) -> Tensor:
        columns = zip(velocities.unbind(-1), others.unbind(-1), strict=True)
        return torch.stack([v if i in velocity_dims else o for i, (v, o) in enumerate(columns)], dim=-1)

    return partial(splitting_step, SPLITTINGS[name], joined=joined)


def integrate(
    field: Field,
    state: Tensor,
    delta_t: Tensor,
    solver: str = "rk4",
    substeps: int = 1,
    velocity_dims: Sequence[int] = (),
) -> Tensor:
    """Integrate over one interval per sample in equal substeps.

    Args:
        field: Autonomous vector field, (..., D) -> (..., D).
        state: (..., D) start.
        delta_t: (...) interval of each sample [s].
        solver: Name in `SOLVERS`.
        substeps: Number of equal steps inside every interval.
        velocity_dims: Which dimensions of the state are velocities.

    Returns:
        (..., D) state at the end of the interval.
    """
    step = solver_step(solver, velocity_dims)
    h = delta_t.unsqueeze(-1) / substeps
    for _ in range(substeps):
        state = step(field, state, h)
    return state


def learned_rate(rate: complex, train_delta_t: float, solver: str) -> complex:
    """Return the rate λ̃ that a field trained with one solver step per sample learns instead of λ [1/s].

    The trained step is exact, R(λ̃h) = e^{λh} with the solver's stability polynomial R: the inverse modified equation.
    For Euler λ̃ = (e^{λh} − 1)/h, so a frequency is learned with damping, and a growth rate too large.

    Raises:
        ValueError: If the solver is unknown.

    Source:
        Zhu et al. (2022), On numerical integration in neural ordinary differential equations.
    """
    if solver not in TABLEAUS:
        raise ValueError(f"solver must be one of {sorted(TABLEAUS)}, got {solver!r}")
    coefficients = TABLEAUS[solver].stability
    target, z = cmath.exp(rate * train_delta_t), complex(rate) * train_delta_t
    for _ in range(50):  # Newton from the true rate, to which the learned one tends as h -> 0
        value = sum(c * z**k for k, c in enumerate(coefficients)) - target
        slope = sum(k * c * z ** (k - 1) for k, c in enumerate(coefficients) if k)
        z = z - value / slope
    return z / train_delta_t
