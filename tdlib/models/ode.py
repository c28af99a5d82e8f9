"""Fields made into dynamics models: integrate over the interval of each sample with the action held."""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from tdlib.core.context import Batch
from tdlib.core.facts import LOG_UNIFORM, MIXED, TRAIN_RATES
from tdlib.core.odeint import ADAPTIVE, ATOL, METHODS, RTOL, odeint_rescaled
from tdlib.core.solvers import SOLVERS, integrate, solver_step
from tdlib.core.specs import EnvironmentSpec
from tdlib.models.contract import DynamicsModel, ParameterGroup
from tdlib.models.encoders import ActionEncoder
from tdlib.models.family import Arms, Family, Shown
from tdlib.models.pairs import Pairs
from tdlib.models.reversal import reversal_penalty
from tdlib.models.trajectories import TrajectoryOptions, in_trajectory

FIELD_ARMS = (
    Arms("ode", "rk4", (*TRAIN_RATES, MIXED, LOG_UNIFORM)),
    Arms("ode", "euler"),
)


@dataclass(frozen=True)
class FieldOptions(TrajectoryOptions):
    """Options of a model made of a field.

    Args:
        solver: Name in `tdlib.core.solvers.SOLVERS`, or in `tdlib.core.odeint.METHODS`, which are torchdiffeq's; the
            founding documents call it `integration_method`, and so may `build_model`.
        substeps: Equal solver steps inside every interval.
        rtol: Relative tolerance of methods that choose their steps.
        atol: Absolute tolerance of these.
        adjoint: Whether gradients of torchdiffeq's methods come from the adjoint equation.
        reversal: Weight λ >= 0 of the penalty on flows that do not run back when velocities turn round.
    """

    solver: str = "rk4"
    substeps: int = 1
    rtol: float = RTOL
    atol: float = ATOL
    adjoint: bool = False
    reversal: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        _checked(self.solver, self.substeps)
        for name in ("rtol", "atol"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise ValueError(f"{name} must be in (0, 1), got {value}")
        if self.adjoint and self.solver in SOLVERS:
            raise ValueError(f"solver must be one of torchdiffeq's, {list(METHODS)}, with adjoint, got {self.solver!r}")
        if self.solver == "scipy_solver" and not self.adjoint:
            raise ValueError("adjoint must be True with solver 'scipy_solver', whose steps have no gradient, got False")
        if not 0 <= self.reversal < math.inf:
            raise ValueError(f"reversal must be a finite weight >= 0, got {self.reversal}")

    @classmethod
    def of(cls, values: Mapping[str, Any], owner: str) -> Self:
        values = dict(values)
        if (method := values.pop("integration_method", None)) is not None:
            if values.setdefault("solver", method) != method:
                raise ValueError(
                    f"integration_method must be solver, {values['solver']!r}, if both are given, got {method!r}"
                )
        return super().of(values, owner)


OPTION_NAMES = tuple(field.name for field in fields(FieldOptions))


class TrajectoryMatchingModel(DynamicsModel):
    """x' = solution of ds/dt = field(t, s, e(a)) after Δt, by one solver for all samples; trained on single intervals.

    Our own solvers take steps of fixed shares of every sample's interval, and models of one structure run as one
    program. torchdiffeq's (`tdlib.core.odeint`) branch on values: such models train and predict one by one.

    Args:
        field: Module with signature (t, state, action_emb) and attribute `scales`.
        spec: State and action sizes and units of the environment.
        train_delta_t: Training step [s].
        action_embedding_dim: Length of the action embedding.
        solver: Name in `tdlib.core.solvers.SOLVERS` or `tdlib.core.odeint.METHODS`.
        substeps: Equal solver steps inside every interval.
        options: All of these and the rest of `FieldOptions`, in place of the four above.

    Raises:
        ValueError: If the solver is unknown or substeps is not a whole number >= 1, or if the penalty of reversal is
            asked for and positions and velocities do not pair up.
    """

    options: FieldOptions
    mixes = OPTION_NAMES  # what of them decides the program is in `structure`

    def __init__(
        self,
        field: nn.Module,
        spec: EnvironmentSpec,
        train_delta_t: float = 0.05,
        action_embedding_dim: int = 8,
        solver: str = "rk4",
        substeps: int = 1,
        options: FieldOptions | None = None,
    ):
        if options is None:
            options = FieldOptions(
                train_delta_t, action_embedding_dim=action_embedding_dim, solver=solver, substeps=substeps
            )
        super().__init__(spec, options, own_scales=False)
        self.field = field
        self.action_encoder = ActionEncoder(spec, options.action_embedding_dim)
        self._use(options.solver, options.substeps)
        if options.reversal:
            Pairs(spec)  # says so if there are none to turn round

    def forward(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        state, action, delta_t = self.broadcast(state, action, delta_t)
        action_emb = self.action_encoder(action)

        def field(s: Tensor) -> Tensor:
            return self.field(0.0, s, action_emb)

        if self.solver in SOLVERS:
            return integrate(field, state, delta_t, self.solver, self.substeps, self.spec.velocity_dims)
        chosen, needed = self.options, None
        if chosen.adjoint:  # asks again on the way back, where a stack's weights are no longer in their place
            weights = dict(self.field.named_parameters())
            needed, held = (action_emb, *weights.values()), {**weights, **dict(self.field.named_buffers())}

            def field(s: Tensor) -> Tensor:
                return torch.func.functional_call(self.field, held, (0.0, s, action_emb))

        tolerances = {"rtol": chosen.rtol, "atol": chosen.atol}
        return odeint_rescaled(field, state, delta_t, self.solver, substeps=self.substeps, adjoint=needed, **tolerances)

    def penalty(self, batch: Batch) -> Tensor | None:
        weight = self.options.reversal
        return weight * reversal_penalty(self, batch) if weight else None

    def derivative(self, state: Tensor, action: Tensor) -> Tensor:
        """Return the learned ds/dt: (..., D), (..., A) -> (..., D) [unit/s]."""
        state, action, _ = self.broadcast(state, action, None)
        return self.field(0.0, state, self.action_encoder(action))

    @property
    def energy(self) -> Callable[[Tensor], Tensor]:
        """The field's learned energy up to an affine scale, (..., D) -> (...); fields without one have no attribute."""
        return self.field.energy

    def parameter_groups(self) -> list[ParameterGroup]:
        own: list[ParameterGroup] = getattr(self.field, "parameter_groups", list)()
        return [replace(group, prefixes=tuple(f"field.{name}" for name in group.prefixes)) for group in own] + [
            ParameterGroup()
        ]

    def with_solver(self, solver: str, substeps: int = 1) -> "TrajectoryMatchingModel":
        """Return a model that shares this field and integrates it by another solver."""
        other = copy.copy(self)
        other.options = replace(self.options, solver=solver, substeps=substeps)
        other._use(solver, substeps)
        return other

    def structure(self) -> tuple:
        chosen = self.options
        program = (self.solver, self.substeps, chosen.rtol, chosen.atol, chosen.adjoint, chosen.reversal)
        return (*super().structure(), type(self.field).__name__, *program)

    def _use(self, solver: str, substeps: int) -> None:
        self.solver, self.substeps = _checked(solver, substeps)
        self.stacks = solver in SOLVERS  # the others branch on values
        if self.stacks:
            solver_step(solver, self.spec.velocity_dims)  # some need velocities


def field_family(
    field: type[nn.Module],
    label: str,
    short_label: str = "",
    arms: tuple[Arms, ...] = FIELD_ARMS,
    look: tuple[tuple[str, str], ...] = (),
    shown: Shown | None = None,
) -> Family:
    """Describe the family of a field.

    Args:
        field: Class called as field(spec, widths, action_embedding_dim), with the signature (t, state, action_emb).
        label: Name in figures and tables.
        short_label: Name where there is little room.
        arms: What the study trains.
        look: As in `Family`.
        shown: As in `Family`.
    """

    def build(spec: EnvironmentSpec, options: FieldOptions) -> DynamicsModel:
        made = field(spec, options.widths, options.action_embedding_dim)
        return in_trajectory(TrajectoryMatchingModel(made, spec, options=options), options)

    return Family(field, build, FieldOptions, arms, label, short_label, "solver", look, shown)


def _checked(solver: str, substeps: int) -> tuple[str, int]:
    if solver not in SOLVERS and solver not in METHODS:
        raise ValueError(f"solver must be one of {sorted({*SOLVERS, *METHODS})}, got {solver!r}")
    if isinstance(substeps, bool) or not isinstance(substeps, int) or substeps < 1:
        raise ValueError(f"substeps must be a whole number >= 1, got {substeps!r}")
    if solver in ADAPTIVE and substeps != 1:
        raise ValueError(f"substeps must be 1 with solver {solver!r}, which chooses its steps, got {substeps}")
    return solver, substeps
