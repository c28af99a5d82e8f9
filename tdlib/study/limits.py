"""What perfect learning would still get wrong at another rate: analytic limits to draw beside measured errors.

Every function takes the exact flow for a model that has learned its training rates without error, so what remains is
the error of the method alone. Measured error minus limit is what training, data and capacity are responsible for. Speed
limits are left out, since transitions that touch them are left out of the tests too.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tdlib.core.facts import MIXED, TRAIN_FREQUENCIES
from tdlib.core.solvers import learned_rate
from tdlib.core.specs import uniform_actions
from tdlib.core.time_grid import delta_t_of
from tdlib.models.derived import NewtonIncrement
from tdlib.systems.system import System

LIMITS = {
    "baseline": "fixed_step",
    "rescaled": "rescaled",
    "newton_2": "newton_2",
    "newton_3": "newton_3",
}  # of methods trained at one rate
FORM_FACTORS: dict[str, tuple[Callable[[float], float], Callable[[float], float] | None]] = {
    # form -> (factor s(Δ) in front, coordinate of the polynomial)
    "concat": (lambda d: 1.0, lambda d: d),
    "scaled": (lambda d: d, None),
    "scaled_concat": (lambda d: d, lambda d: d),
    "log_tau": (lambda d: math.log10(d) + 5, lambda d: d),
    "log_tau_scaled": (lambda d: math.log10(d) + 5, lambda d: d),  # a polynomial does not see the scale of its input
    "log_concat": (lambda d: 1.0, math.log),
}


def sample_uniform(system: System, num_samples: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw states (N, D) uniform over the system's box and actions (N, A) over their range or table, float64."""
    spec, dim = system.spec, system.spec.state_dim
    unit = torch.rand(num_samples, dim + spec.action_dim, dtype=torch.float64, generator=generator)
    state = (2 * unit[:, :dim] - 1) * torch.tensor(system.box, dtype=torch.float64)
    return state, uniform_actions(spec, unit[:, dim:])


def box_scale(system: System) -> Tensor:
    """Standard deviation of uniform states over the system's box, (D,): the scale of the design's table."""
    return 2 * torch.tensor(system.box, dtype=torch.float64) / math.sqrt(12)


@functools.lru_cache(maxsize=64)  # limits of one set of pairs ask for the same few intervals
def increment(system: System, state: Tensor, action: Tensor, delta_t: float) -> Tensor:
    """Exact change φ_Δ(x, a) − x without limits of the state: (N, D), (N, A), [s] -> (N, D).

    Asked again about the same tensor objects it remembers, so they must not be changed in place.
    """
    return dataclasses.replace(system, state_limits=None).flow(state, action, delta_t) - state


@functools.lru_cache(maxsize=16)  # the same object each time, of which exact increments are remembered
def typical(system: System) -> System:
    """Return the system at the mean of every parameter that is drawn anew for each sequence."""
    mean = {name: (low + high) / 2 for name, (low, high) in system.parameter_ranges.items()}
    return dataclasses.replace(system, parameters={**system.parameters, **mean}) if mean else system


def hidden_parameter_limit(
    system: System, state: Tensor, action: Tensor, delta_t: float, truth: Tensor, scale: Tensor | None = None
) -> float:
    """Relative error of the exact flow at the mean of the parameters that a sequence draws and a model is not given.

    It knows the equation and the mean, and is what a model that does not infer the parameters is to be measured by; one
    that knows them errs by 0.

    Args:
        system: Exact dynamics.
        state: (N, D).
        action: (N, A), held.
        delta_t: Δ [s].
        truth: (N, D) true increments under the drawn parameters.
        scale: As in `relative_size`.
    """
    return relative_size(increment(typical(system), state, action, delta_t) - truth, truth, scale)


def relative_size(error: Tensor, true_increment: Tensor, scale: Tensor | None = None) -> float:
    """Size of errors relative to true changes: 1 is as bad as predicting no change.

    Args:
        error: (N, D) predicted minus true.
        true_increment: (N, D).
        scale: (D,) unit of each dimension, for sqrt(Σ|e/scale|² / Σ|Δx/scale|²); None is the study's measure, the root
            mean square over dimensions of RMS error / RMS change.
    """
    squared_error, squared_change = (error**2).mean(dim=0), (true_increment**2).mean(dim=0)
    if scale is None:
        return float((squared_error / squared_change).mean().sqrt())
    return float(((squared_error / scale**2).sum() / (squared_change / scale**2).sum()).sqrt())


def fixed_step_ratio(train_delta_t: float, delta_t: float) -> float:
    """Return |1 − h/Δ|, the relative error of a map of step h used at Δ, to first order; it passes 1 at Δ = h/2."""
    return abs(1 - train_delta_t / delta_t)


def fixed_step_limit(
    system: System,
    state: Tensor,
    action: Tensor,
    train_delta_t: float,
    delta_t: float,
    scale: Tensor | None = None,
) -> float:
    """Relative error of the exact map of step h where Δ is asked for: the baseline's limit."""
    truth = increment(system, state, action, delta_t)
    return relative_size(increment(system, state, action, train_delta_t) - truth, truth, scale)


def rescaled_limit(
    system: System,
    state: Tensor,
    action: Tensor,
    train_delta_t: float,
    delta_t: float,
    scale: Tensor | None = None,
) -> float:
    """Relative error of the rescaled increment x + (Δ/h)(φ_h − x); also of `scaled` forms trained at one rate."""
    truth = increment(system, state, action, delta_t)
    rescaled = delta_t / train_delta_t * increment(system, state, action, train_delta_t)
    return relative_size(rescaled - truth, truth, scale)


def newton_limit(
    system: System,
    state: Tensor,
    action: Tensor,
    train_delta_t: float,
    delta_t: float,
    order: int,
    scale: Tensor | None = None,
) -> float:
    """Relative error of Newton's series in iterates of the exact map of step h, to an order; order 1 rescales."""

    def step(x: Tensor, inputs: Tensor, _: Tensor) -> Tensor:
        return x + increment(system, x, inputs, train_delta_t)

    truth = increment(system, state, action, delta_t)
    series = NewtonIncrement(step, order, train_delta_t, system.spec).double()
    predicted = series(state, action, state.new_full((len(state),), delta_t)) - state
    return relative_size(predicted - truth, truth, scale)


def defect_limit(
    system: System,
    state: Tensor,
    action: Tensor,
    train_delta_t: float,
    delta_t: float,
    count: int,
    *,
    rescaled: bool = False,
    scale: Tensor | None = None,
) -> float:
    """Semigroup defect of the exact map of step h: one step asked to take Δ against `count` asked to take Δ/count.

    Args:
        system: Exact dynamics.
        state: (N, D).
        action: (N, A), held.
        train_delta_t: h [s].
        delta_t: Δ [s].
        count: Number of fine steps.
        rescaled: Whether the map rescales its increment, as an Euler-trained field does; else it repeats its own step.
        scale: As in `relative_size`.
    """

    def step(x: Tensor, asked: float) -> Tensor:
        return x + (asked / train_delta_t if rescaled else 1.0) * increment(system, x, action, train_delta_t)

    once, composed = step(state, delta_t), state
    for _ in range(count):
        composed = step(composed, delta_t / count)
    return relative_size(once - composed, increment(system, state, action, delta_t), scale)


def limit_of(method: str, form: str, train_frequency: str) -> str | None:
    """Name the limit that perfect learning leaves to an arm; None where it has none, or it is 0 or not known.

    A map of one rate repeats its step, a rescaled increment is first order in |Δ − h|, and a form trained on several
    rates interpolates.
    """
    if method == "multi_resolution":
        return f"interpolation {form}" if train_frequency == MIXED and form in FORM_FACTORS else None
    one_rate = train_frequency.replace(".", "", 1).isdigit()
    return LIMITS.get(method) if one_rate else None


def interpolation_limit(
    system: System,
    state: Tensor,
    action: Tensor,
    delta_t: float,
    form: str,
    train_delta_ts: Sequence[float] | None = None,
    scale: Tensor | None = None,
) -> float:
    """Relative error of a form that is exact at its training rates and a polynomial in its Δt input between them.

    | form | increment | what the polynomial passes through |
    |---|---|---|
    | concat | P(Δ) | φ_Δ − x, P in Δ |
    | scaled | Δ·g | (φ_Δ − x)/Δ, g their mean, since it does not see Δ |
    | scaled_concat | Δ·P(Δ) | (φ_Δ − x)/Δ, P in Δ |
    | log_tau, log_tau_scaled | τ(Δ)·P(Δ), τ = log10 Δ + 5 | (φ_Δ − x)/τ(Δ), P in Δ |
    | log_concat | P(log Δ) | φ_Δ − x, P in log Δ |

    Args:
        system: Exact dynamics.
        state: (N, D).
        action: (N, 1).
        delta_t: Interval asked for [s].
        form: Name in the table.
        train_delta_ts: Training intervals [s]; those of the study's rates if None.
        scale: As in `relative_size`.

    Raises:
        ValueError: If the form is unknown.
    """
    nodes = [delta_t_of(rate) for rate in TRAIN_FREQUENCIES] if train_delta_ts is None else list(train_delta_ts)
    if form not in FORM_FACTORS:
        raise ValueError(f"form must be one of {sorted(FORM_FACTORS)}, got {form!r}")
    factor, coordinate = FORM_FACTORS[form]
    truth = increment(system, state, action, delta_t)
    predicted = torch.zeros_like(truth)
    for i, node in enumerate(nodes):
        weight = 1 / len(nodes)
        if coordinate is not None:  # Lagrange's basis polynomial of this node
            others = [coordinate(other) for j, other in enumerate(nodes) if j != i]
            weight = math.prod((coordinate(delta_t) - x) / (coordinate(node) - x) for x in others)
        predicted = predicted + weight * factor(delta_t) / factor(node) * increment(system, state, action, node)
    return relative_size(predicted - truth, truth, scale)


def composition_bound(error: float, growth_rate: float, train_delta_t: float, delta_t: float) -> float:
    """Bound ε(e^{LΔ} − 1)/(e^{Lh} − 1) on the error of composing a map of step h to Δ, each step off by at most ε.

    Args:
        error: ε of one step.
        growth_rate: Lipschitz constant L of the vector field [1/s]; 0 gives ε·Δ/h.
        train_delta_t: h [s].
        delta_t: Δ [s].
    """
    if growth_rate == 0:
        return error * delta_t / train_delta_t
    return error * math.expm1(growth_rate * delta_t) / math.expm1(growth_rate * train_delta_t)


def linear_rates(system: System, state: Tensor, inputs: Tensor) -> list[complex]:
    """Return the eigenvalues [1/s] of the vector field at one state (D,) and inputs (m,), largest real part first."""
    jacobian = torch.func.jacrev(lambda s: system.derivative(s, inputs.double()))(state.double())
    return sorted((complex(x) for x in torch.linalg.eigvals(jacobian)), key=lambda x: (-x.real, -x.imag))


def modified_equation(system: System, train_delta_t: float, solver: str) -> dict[str, float]:
    """Return true and learned rates [1/s] at the state that decides the task.

    An oscillation (Pendulum about the bottom): `damping` of the learned field (negative: decays) and its `frequency`.
    Growth (of the upright pole): its rate `growth`.

    Raises:
        ValueError: If the system names no such state.
    """
    if system.views.mode is None:
        raise ValueError(f"system must name the state that decides its task, views.mode of {system.spec.name} is None")
    kind, state = system.views.mode
    true = linear_rates(system, torch.tensor(state), torch.zeros(system.spec.input_dim))[0]
    if kind == "oscillation":
        learned = learned_rate(complex(0, abs(true.imag)), train_delta_t, solver)
        return {"true_frequency": abs(true.imag), "frequency": learned.imag, "damping": learned.real}
    return {"true_growth": true.real, "growth": learned_rate(true.real, train_delta_t, solver).real}
