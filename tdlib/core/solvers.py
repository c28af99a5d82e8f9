"""Explicit one-step solvers whose step length may differ for every sample of a batch.

The field is autonomous under a zero-order hold, so one interval is integrated as ds/dτ = Δt f(s), τ in [0, 1].
torchdiffeq enters the project here only, as an independent check (`odeint_reference`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Field = Callable[[Tensor], Tensor]  # (..., D) -> (..., D) [1/s]


@dataclass(frozen=True)
class Tableau:
    """Weights of an explicit Runge-Kutta step: k_i = f(x + h Σ a_ij k_j), x' = x + h Σ b_i k_i.

    Args:
        a: One row per stage, as long as there are stages before it.
        b: One weight per stage.
    """

    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]


TABLEAUX = {
    "euler": Tableau(((),), (1.0,)),
    "midpoint": Tableau(((), (0.5,)), (0.0, 1.0)),
    "rk4": Tableau(((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6)),
}


def euler_step(field: Field, state: Tensor, delta_t: Tensor) -> Tensor:
    """Take one explicit Euler step, first order: (..., D), (..., 1) [s] -> (..., D)."""
    return state + delta_t * field(state)


def midpoint_step(field: Field, state: Tensor, delta_t: Tensor) -> Tensor:
    """Take one explicit midpoint step, second order: (..., D), (..., 1) [s] -> (..., D)."""
    return state + delta_t * field(state + 0.5 * delta_t * field(state))


def rk4_step(field: Field, state: Tensor, delta_t: Tensor) -> Tensor:
    """Take one classical Runge-Kutta step, fourth order, out of place: (..., D), (..., 1) [s] -> (..., D)."""
    k1 = field(state)
    k2 = field(state + 0.5 * delta_t * k1)
    k3 = field(state + 0.5 * delta_t * k2)
    k4 = field(state + delta_t * k3)
    return state + delta_t / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


SOLVERS = {"euler": euler_step, "midpoint": midpoint_step, "rk4": rk4_step}


def solver_step(name: str) -> Callable[[Field, Tensor, Tensor], Tensor]:
    """Look a solver up by name.

    Raises:
        ValueError: If there is no such solver; the message lists the names.
    """
    if name not in SOLVERS:
        raise ValueError(f"solver must be one of {sorted(SOLVERS)}, got {name!r}")
    return SOLVERS[name]


def integrate(field: Field, state: Tensor, delta_t: Tensor, solver: str = "rk4", substeps: int = 1) -> Tensor:
    """Integrate over one interval per sample in equal substeps.

    Args:
        field: Autonomous vector field, (..., D) -> (..., D).
        state: (..., D) start.
        delta_t: (...) interval of each sample [s].
        solver: Name in `SOLVERS`.
        substeps: Number of equal steps inside every interval.

    Returns:
        (..., D) state at the end of the interval.
    """
    step = solver_step(solver)
    h = delta_t.unsqueeze(-1) / substeps
    for _ in range(substeps):
        state = step(field, state, h)
    return state


def odeint_reference(
    field: Field, state: Tensor, delta_t: float, method: str = "dopri5", rtol: float = 1e-9, atol: float = 1e-9
) -> Tensor:
    """Integrate the whole batch over one common interval with torchdiffeq; a check, never a source of results.

    Its adaptive step is shared by the batch, so a sample's value depends on its neighbors within the tolerance.

    Args:
        field: Autonomous vector field, (..., D) -> (..., D).
        state: (..., D) start.
        delta_t: Interval common to all samples [s].
        method: Any torchdiffeq method.
        rtol: Relative tolerance of adaptive methods.
        atol: Absolute tolerance of adaptive methods.
    """
    from torchdiffeq import odeint  # heavy import, needed by checks only

    times = torch.tensor([0.0, delta_t], dtype=state.dtype, device=state.device)
    return odeint(lambda t, x: field(x), state, times, method=method, rtol=rtol, atol=atol)[-1]
