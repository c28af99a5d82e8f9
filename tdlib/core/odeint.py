"""torchdiffeq's solvers, for training and evaluation; the only file that imports it.

It integrates a whole batch between common times. Samples with intervals of their own are therefore put on one clock,
σ = t/Δt from 0 to 1, on which the field of a sample is Δt f(s): one call for the batch, and no step that stops where
another sample's interval ends. An action is held over the interval, so nothing inside a solve depends on time.

A method that adapts its step takes one for the whole batch, from a norm of the error over all of it. So what a sample
gets depends, within the tolerance, on its neighbors, and one stiff row makes the others wait: `evaluations` counts it.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Field = Callable[[Tensor], Tensor]  # (..., D) -> (..., D) [1/s]

ADAPTIVE = ("dopri8", "dopri5", "bosh3", "fehlberg2", "adaptive_heun", "scipy_solver")  # they choose their steps
METHODS = (*ADAPTIVE, "heun2", "heun3", "explicit_adams", "implicit_adams", "fixed_adams")  # beside our own
RTOL, ATOL = 1e-5, 1e-6  # in reach of single precision


def odeint_rescaled(
    field: Field,
    state: Tensor,
    delta_t: Tensor,
    method: str = "dopri5",
    *,
    substeps: int = 1,
    rtol: float = RTOL,
    atol: float = ATOL,
    adjoint: Sequence[Tensor] | None = None,
) -> Tensor:
    """Integrate a batch over one interval per sample, on the clock on which each lasts from 0 to 1.

    Args:
        field: Autonomous vector field, (..., D) -> (..., D).
        state: (..., D) start.
        delta_t: (...) interval of each sample [s].
        method: Name in torchdiffeq.
        substeps: Equal steps of a method that does not choose its own.
        rtol: Relative tolerance of one that does.
        atol: Absolute tolerance of one that does [units of the state].
        adjoint: What the field depends on, if gradients are to come from the adjoint equation, solved back in time in
            constant memory; None differentiates through the steps.

    Returns:
        (..., D) state at the end of the interval.

    Raises:
        ValueError: If the adjoint is asked for and the field needs gradients of its own where there are none.
    """
    from torchdiffeq import odeint, odeint_adjoint  # heavy import

    times = torch.tensor([0.0, 1.0], dtype=state.dtype, device=state.device)
    scale = delta_t.unsqueeze(-1)
    chosen: dict = {"method": method, "rtol": rtol, "atol": atol}
    if method not in ADAPTIVE:
        chosen["options"] = {"step_size": 1 / substeps}

    def rescaled(_: Tensor, x: Tensor) -> Tensor:
        return scale * field(x)

    if adjoint is None or not torch.is_grad_enabled():
        return odeint(rescaled, state, times, **chosen)[-1]
    parameters = tuple(x for x in (*adjoint, scale) if x.requires_grad)
    try:
        return odeint_adjoint(rescaled, state, times, adjoint_params=parameters, **chosen)[-1]
    except RuntimeError as error:
        if "does not require grad" not in str(error):
            raise
        raise ValueError(
            "adjoint must be False for a field that calls torch.autograd.grad, which has no graph there; "
            f"torch.func.grad has one, got True: {error}"
        ) from error


def odeint_reference(
    field: Field, state: Tensor, delta_t: float, method: str = "dopri5", rtol: float = 1e-9, atol: float = 1e-9
) -> Tensor:
    """Integrate the whole batch over one common interval as torchdiffeq is usually called: a check of ours.

    Args:
        field: Autonomous vector field, (..., D) -> (..., D).
        state: (..., D) start.
        delta_t: Interval common to all samples [s].
        method: Any torchdiffeq method.
        rtol: Relative tolerance of adaptive methods.
        atol: Absolute tolerance of adaptive methods.
    """
    from torchdiffeq import odeint  # heavy import

    times = torch.tensor([0.0, delta_t], dtype=state.dtype, device=state.device)
    return odeint(lambda t, x: field(x), state, times, method=method, rtol=rtol, atol=atol)[-1]


def evaluations(
    field: Field, state: Tensor, delta_t: Tensor, method: str = "dopri5", rtol: float = RTOL, atol: float = ATOL
) -> tuple[int, list[int]]:
    """Count how often a solver asks the field: for a batch at once, and for every row by itself.

    Args:
        field: Autonomous vector field, (B, D) -> (B, D).
        state: (B, D) starts.
        delta_t: (B,) interval of each [s].
        method: Name in torchdiffeq.
        rtol: Relative tolerance.
        atol: Absolute tolerance [units of the state].

    Returns:
        Evaluations of the batch, every one for all of its rows, and those of each row alone.
    """
    count = 0

    def counted(x: Tensor) -> Tensor:
        nonlocal count
        count += 1
        return field(x)

    counts = []
    for rows in (slice(None), *(slice(i, i + 1) for i in range(len(state)))):
        count = 0
        odeint_rescaled(counted, state[rows], delta_t[rows], method, rtol=rtol, atol=atol)
        counts.append(count)
    return counts[0], counts[1:]
