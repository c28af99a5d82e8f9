"""What a model says the rates of change are, against the truth: its error, its divergence, its poles.

    field of a model         g(x, a), the one it integrates;  of a map of step h:  g = (Φ_h(x, a) − x)/h
    error of the divergence  tr ∂g/∂x − tr ∂f/∂x  [1/s]: below zero it is damping that the truth lacks
    poles at an equilibrium  eigenvalues of ∂g/∂x  [1/s], beside those of ∂f/∂x
    poles of its step        log(eigenvalues of ∂Φ_h/∂x)/h: what is left once a solver's own error is taken back

The limit of a map is the field of the exact map, (φ_h − x)/h. Poles have one for every solver, its inverse modified
equation: what a field that is free of form learns where each of its steps is exact.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import numpy as np
import pandas as pd
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from tdlib.core.solvers import learned_rate
from tdlib.core.specs import EnvironmentSpec
from tdlib.evaluation.errors import mean_over, over_dimensions, relative_error
from tdlib.evaluation.measures.convergence import own_step
from tdlib.evaluation.measures.measure import Measure, Subject
from tdlib.evaluation.measures.take import Question
from tdlib.evaluation.sets.gather import gather_pairs, members_of
from tdlib.evaluation.sets.test_sets import TestSet
from tdlib.evaluation.tables import Axes, Member, tidy
from tdlib.speed import Model, Stack
from tdlib.systems import System

Field = Callable[[Tensor], Tensor]  # states (K|1, N, D) -> rates of change (K, N, D) [unit/s]
AT_REST = 1e-9  # [unit/s] rates of change below are none
EULER = "euler"


def velocity_field(
    model: Model,
    system: System,
    members: Sequence[Member],
    *,
    points: int = 13,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Evaluate fields on the system's plane of states, others zero, with zero force (discrete: action 1).

    Args:
        model: Stack of K models, or one model, with a `derivative` or a training step of its own.
        system: True field.
        members: K mappings with the key columns of each model.
        points: Grid points per axis.
        device: Where the model is.

    Returns:
        Rows of key columns, horizontal and vertical (names of the plane's dimensions), x, y, and the components of the
        learned (dx, dy) and true (dx_true, dy_true) velocity and of the exact map's of the same step (dx_map, dy_map)
        [unit/s].
    """
    spec = system.spec
    names, widths = system.plane, system.plane_widths
    i, j = (spec.state_names.index(name) for name in names)
    x, y = np.meshgrid(*(np.linspace(-width, width, points) for width in widths))
    state = torch.zeros(1, x.size, spec.state_dim, dtype=torch.float64)
    state[..., i], state[..., j] = torch.from_numpy(x.ravel()), torch.from_numpy(y.ravel())
    action = torch.full((1, x.size, spec.action_dim), 1.0 if spec.discrete else 0.0, dtype=torch.float64)
    h = _steps(model, len(members))
    with torch.inference_mode():
        learned = learned_field(model, action, h, device)(state).double()
    values = {"x": state[..., i], "y": state[..., j]}
    fields = {"": learned, "_true": _true_field(system, action)(state), "_map": _map_field(system, action, h)(state)}
    for name, field in fields.items():
        values |= {f"dx{name}": field[..., i], f"dy{name}": field[..., j]}
    axes: Axes = {"test_frequency": [""], "point": np.arange(x.size)}
    table = tidy(members, axes, {name: v.unsqueeze(1).numpy() for name, v in values.items()})
    return table.assign(horizontal=names[0], vertical=names[1])


def field_errors(
    model: Model,
    test_sets: TestSet,
    system: System,
    members: Sequence[Member] | None = None,
    *,
    num_states: int = 128,
    device: torch.device | str = "cpu",
) -> dict[str, pd.DataFrame]:
    """Score the velocity fields of K models on held-out states, and their poles at the system's equilibria.

    Args:
        model: Stack of K models, or one model, with a `derivative` or a training step of its own.
        test_sets: One test set, or one per seed.
        system: True field.
        members: K mappings with the key columns of each model.
        num_states: States, at most; those whose next step touches a limit of the state are left out.
        device: Where the model is.

    Returns:
        field_errors: rows of key columns (test_frequency is empty), relative_error (per dimension RMS error over RMS
        true rate, then root mean square), divergence_error (mean over states of the learned divergence minus the true
        one [1/s]), relative_error_limit and divergence_error_limit (those of the exact map; nan of fields), n.
        field_poles: rows of key columns, equilibrium, pole (in order of growth), and real and imaginary part [1/s] of
        the learned pole, of the true one, of the limit, and of the model's step: real, imag, real_true, ...
    """
    members = members_of(model, test_sets, system.spec.name, members)
    sets = {test_sets.seed: test_sets} if isinstance(test_sets, TestSet) else test_sets
    return _score(Subject(model, members, sets, system, device), system, num_states)


def ask(subject: Subject, *, num_states: int = 128) -> Iterator[Question[dict[str, pd.DataFrame]]]:
    """Put `field_errors` as one question; it asks the fields themselves, which no query of predictions reaches."""
    assert subject.system is not None  # the measure needs it
    yield _question(subject, subject.system, num_states)


FIELDS = Measure("field", ("field_errors", "field_poles"), frozenset({"state", "rates", "system", "pairs"}), ask)


def learned_field(model: Model, action: Tensor, h: Tensor, device: torch.device | str = "cpu") -> Field:
    """Return a model's velocity field at held actions (K|1, N, A): its own, or (Φ_h − x)/h of its step h (K,) [s]."""
    if not _has_derivative(model):
        return step_field(model, action, h, device)
    derivative = cast(Stack, model).derivative
    return lambda state: derivative(state.to(device, torch.float32), action.to(device, torch.float32)).cpu()


def step_field(model: Model, action: Tensor, h: Tensor, device: torch.device | str = "cpu") -> Field:
    """Return (Φ_h − x)/h of a model's step at held actions (K|1, N, A)."""

    def field(state: Tensor) -> Tensor:
        x, a = state.to(device, torch.float32), action.to(device, torch.float32)
        return (model(x, a, _interval(h, x)) - x).cpu() / h[:, None, None]

    return field


def equilibria(system: System) -> dict[str, Tensor]:
    """Return the states (D,) at rest without input inside the system's box: angles 0 or π, all else zero, by name."""
    spec, found = system.spec, {}
    for turned in itertools.product((False, True), repeat=len(spec.angle_dims)):
        state = torch.zeros(spec.state_dim, dtype=torch.float64)
        for dim, half in zip(spec.angle_dims, turned, strict=True):
            state[dim] = math.pi if half else 0.0
        inside = bool((state.abs() <= torch.tensor(system.box, dtype=torch.float64) + AT_REST).all())
        rates = system.derivative(state, torch.zeros(spec.input_dim, dtype=torch.float64))
        if inside and bool((rates.abs() < AT_REST).all()):
            angles = [f"{spec.state_names[dim]}={'pi' if half else '0'}" for dim, half in
                      zip(spec.angle_dims, turned, strict=True)]  # fmt: skip
            found[", ".join(angles) or "rest"] = state
    return found


def _question(subject: Subject, system: System, num_states: int) -> Question[dict[str, pd.DataFrame]]:
    yield []
    return _score(subject, system, num_states)


def _score(subject: Subject, system: System, num_states: int) -> dict[str, pd.DataFrame]:
    h = _steps(subject.model, len(subject.members))
    return {
        "field_errors": _errors(subject, system, h, num_states),
        "field_poles": pd.concat(
            [_poles(subject, system, h, name, state) for name, state in equilibria(system).items()] or [pd.DataFrame()],
            ignore_index=True,
        ),
    }


def _errors(subject: Subject, system: System, h: Tensor, num_states: int) -> pd.DataFrame:
    pairs = gather_pairs(subject.test_sets, subject.members, subject.test_set.main, count=num_states)
    action = pairs.action[:, 0].double()  # (K|1, N, A)
    state = pairs.state[:, 0].double().expand(len(h), -1, -1)  # (K, N, D)
    kept = ~system.simulate(state, action, _interval(h, state)).limit_hit  # (K, N)
    true_field = _true_field(system, action)
    truth = true_field(state)
    true_divergence = _divergence(true_field, state)

    def score(field: Field) -> tuple[Tensor, Tensor]:
        error = mean_over((field(state).detach().double() - truth) ** 2, kept, dim=-1)
        relative = relative_error(error, mean_over(truth**2, kept, dim=-1))
        off = _divergence(field, state) - true_divergence
        return over_dimensions(error, relative)[1][:, -1], mean_over(off.unsqueeze(-1), kept, dim=-1)[:, 0]

    error, divergence = score(learned_field(subject.model, action, h, subject.device))
    if _has_derivative(subject.model):  # what form a field has decides what it can learn
        limit, limit_divergence = (torch.full_like(x, torch.nan) for x in (error, divergence))
    else:
        limit, limit_divergence = score(_map_field(system, action, h))
    values = {"relative_error": error, "divergence_error": divergence, "relative_error_limit": limit,
              "divergence_error_limit": limit_divergence, "n": kept.sum(dim=1)}  # fmt: skip
    return tidy(subject.members, {"test_frequency": [""]}, {k: x.unsqueeze(1).numpy() for k, x in values.items()})


def _poles(subject: Subject, system: System, h: Tensor, name: str, equilibrium: Tensor) -> pd.DataFrame:
    """Poles of the K models at one state under the input nearest to none, in the order of the true ones."""
    spec, count = system.spec, len(h)
    state = equilibrium.expand(count, 1, -1)
    action = _least_action(spec).expand(1, 1, -1)
    true = torch.linalg.eigvals(_jacobian(_true_field(system, action), state)[0, 0]).numpy()
    true = true[np.lexsort((-true.imag, -true.real.round(9)))]
    own = _jacobian(learned_field(subject.model, action, h, subject.device), state)[:, 0].double()
    rate = _jacobian(step_field(subject.model, action, h, subject.device), state)[:, 0].double()
    step = torch.eye(spec.state_dim, dtype=torch.float64) + h.view(-1, 1, 1) * rate  # ∂Φ_h/∂x
    solver, substeps = _solver(subject) or EULER, getattr(subject.structure, "substeps", 1)
    rows = np.empty((4, count, len(true)), dtype=complex)
    for k in range(count):
        rows[1, k] = true
        rows[2, k] = [learned_rate(rate, float(h[k]) / substeps, solver) for rate in true]
        rows[0, k] = _matched(own[k], rows[2, k])
        with np.errstate(divide="ignore"):
            rows[3, k] = np.log(_matched(step[k], np.exp(true * float(h[k])))) / float(h[k])
    values: dict[str, np.ndarray] = {}
    for what, found in zip(("", "_true", "_limit", "_step"), rows, strict=True):
        values |= {f"real{what}": found.real[:, None], f"imag{what}": found.imag[:, None]}
    axes: Axes = {"test_frequency": [""], "pole": np.arange(len(true))}
    return tidy(subject.members, axes, values).assign(equilibrium=name)


def _matched(jacobian: Tensor, reference: np.ndarray) -> np.ndarray:
    """Eigenvalues of (D, D), each in the place of the reference value nearest to it; nan where one is not finite."""
    if not bool(jacobian.isfinite().all()):
        return np.full(len(reference), complex(math.nan, math.nan))
    found = torch.linalg.eigvals(jacobian).numpy()
    _, place = linear_sum_assignment(np.abs(reference[:, None] - found[None, :]))
    return found[place]


def _true_field(system: System, action: Tensor) -> Field:
    inputs = system.spec.held_input(action.double())
    return lambda state: system.derivative(state.double(), inputs.expand(*state.shape[:-1], -1))


def _map_field(system: System, action: Tensor, h: Tensor) -> Field:
    """Return (φ_h − x)/h of the exact flow without limits of the state."""
    free = dataclasses.replace(system, state_limits=None)

    def field(state: Tensor) -> Tensor:
        x = state.double().expand(len(h), *state.shape[1:])
        moved = free.flow(x, action.double(), _interval(h, x))
        return (moved - x) / h[:, None, None]

    return field


def _divergence(field: Field, state: Tensor) -> Tensor:
    """Trace of the Jacobian of a field: (K, N, D) -> (K, N) [1/s]."""
    return _jacobian(field, state).double().diagonal(dim1=-2, dim2=-1).sum(dim=-1)


def _jacobian(field: Field, state: Tensor) -> Tensor:
    """Derivative of a field by the state: (K, N, D) -> (K, N, D, D) [1/s]; a state's rates depend on it alone."""
    state = state.detach().clone().requires_grad_()
    rates = field(state)
    rows = [torch.autograd.grad(rates[..., i].sum(), state, retain_graph=True)[0] for i in range(rates.shape[-1])]
    return torch.stack(rows, dim=-2)


def _interval(h: Tensor, state: Tensor) -> Tensor:
    """Return the step of every model for every state, (K, N)."""
    return h.to(state).unsqueeze(1).expand(-1, state.shape[1])


def _steps(model: Model, count: int) -> Tensor:
    return torch.as_tensor(own_step(model), dtype=torch.float64).cpu().expand(count)


def _has_derivative(model: Model) -> bool:
    return hasattr(getattr(model, "template", model), "derivative")


def _solver(subject: Subject) -> str | None:
    """Name the solver that a field is trained through; None for a map."""
    return getattr(subject.structure, "solver", None) if _has_derivative(subject.model) else None


def _least_action(spec: EnvironmentSpec) -> Tensor:
    """Return the action (A,) whose input is least: none, or of a table the first of the smallest."""
    if spec.action_table is None:
        return torch.zeros(spec.action_dim, dtype=torch.float64)
    every = torch.arange(len(spec.action_table), dtype=torch.float64).unsqueeze(-1)
    return every[spec.held_input(every).norm(dim=-1).argmin()]
