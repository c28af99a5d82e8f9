"""Fields made into dynamics models: integrate over the interval of each sample with the action held."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

from torch import Tensor, nn

from tdlib.core.facts import LOG_UNIFORM, MIXED, TRAIN_RATES
from tdlib.core.solvers import SOLVERS, integrate, solver_step
from tdlib.core.specs import EnvironmentSpec
from tdlib.models.contract import DynamicsModel, Needs, ParameterGroup
from tdlib.models.encoders import ActionEncoder
from tdlib.models.family import Arms, Family, Shown
from tdlib.models.options import NetworkOptions, Options

TRAJECTORIES = ("matching", "shooting")
FIELD_ARMS = (
    Arms("ode", "rk4", (*TRAIN_RATES, MIXED, LOG_UNIFORM)),
    Arms("ode", "euler"),
)


@dataclass(frozen=True)
class FieldOptions(NetworkOptions):
    """Options of a model made of a field.

    Args:
        solver: Name in `tdlib.core.solvers.SOLVERS`.
        substeps: Equal solver steps inside every interval.
        trajectory: `matching` (trained on single intervals) or `shooting` (on windows).
    """

    solver: str = "rk4"
    substeps: int = 1
    trajectory: str = "matching"

    def __post_init__(self):
        super().__post_init__()
        _checked(self.solver, self.substeps)
        if self.trajectory not in TRAJECTORIES:
            raise ValueError(f"trajectory must be one of {list(TRAJECTORIES)}, got {self.trajectory!r}")


OPTION_NAMES = tuple(field.name for field in fields(FieldOptions))


class TrajectoryMatchingModel(DynamicsModel):
    """x' = solution of ds/dt = field(t, s, e(a)) after Δt, by a fixed-step solver; trained on single intervals.

    Args:
        field: Module with signature (t, state, action_emb) and attribute `scales`.
        spec: State and action sizes and units of the environment.
        train_delta_t: Training step [s].
        action_embedding_dim: Length of the action embedding.
        solver: Name in `tdlib.core.solvers.SOLVERS`.
        substeps: Equal solver steps inside every interval.

    Raises:
        ValueError: If the solver is unknown or substeps is not a whole number >= 1.
    """

    mixes = OPTION_NAMES  # what of them decides the program is in `structure`

    def __init__(
        self,
        field: nn.Module,
        spec: EnvironmentSpec,
        train_delta_t: float = 0.05,
        action_embedding_dim: int = 8,
        solver: str = "rk4",
        substeps: int = 1,
    ):
        super().__init__(spec, Options(train_delta_t), own_scales=False)
        self.field = field
        self.action_encoder = ActionEncoder(spec, action_embedding_dim)
        self.solver, self.substeps = _checked(solver, substeps)
        solver_step(solver, spec.velocity_dims)  # some need velocities

    def forward(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        state, action, delta_t = self.broadcast(state, action, delta_t)
        action_emb = self.action_encoder(action)
        dims = self.spec.velocity_dims
        return integrate(lambda s: self.field(0.0, s, action_emb), state, delta_t, self.solver, self.substeps, dims)

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
        other.solver, other.substeps = _checked(solver, substeps)
        if isinstance(self.options, FieldOptions):
            other.options = replace(self.options, solver=solver, substeps=substeps)
        return other

    def structure(self) -> tuple:
        return (*super().structure(), type(self.field).__name__, self.solver, self.substeps)


class TrajectoryShootingModel(DynamicsModel):
    """The same flow, trained on whole windows: errors after 1, 2, ... T intervals from one start all count.

    Args:
        matching: The one-interval model whose field is trained.
    """

    needs = Needs(window=16)
    mixes = OPTION_NAMES

    def __init__(self, matching: TrajectoryMatchingModel):
        super().__init__(matching.spec, matching.options, own_scales=False)
        self.matching = matching

    @property
    def action_encoder(self) -> ActionEncoder:
        """Action encoder of the one-interval model."""
        return self.matching.action_encoder

    @property
    def field(self) -> nn.Module:
        """The trained field."""
        return self.matching.field

    @property
    def energy(self) -> Callable[[Tensor], Tensor]:
        """The field's learned energy, as that of the one-interval model."""
        return self.matching.energy

    def forward(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        return self.matching(state, action, delta_t)

    def parameter_groups(self) -> list[ParameterGroup]:
        own = self.matching.parameter_groups()
        return [replace(group, prefixes=tuple(f"matching.{name}" for name in group.prefixes)) for group in own]

    def window_predictions(self, states: Tensor, actions: Tensor, delta_t: Tensor) -> Tensor:
        """Return what training compares with the true next states: (..., T, D), from the first state alone."""
        return self.predict_sequence(states[..., 0, :], actions, delta_t)

    def structure(self) -> tuple:
        return (*super().structure(), *self.matching.structure()[-3:])


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
        model = TrajectoryMatchingModel(
            field(spec, options.widths, options.action_embedding_dim),
            spec,
            options.train_delta_t,
            options.action_embedding_dim,
            options.solver,
            options.substeps,
        )
        return model if options.trajectory == "matching" else TrajectoryShootingModel(model)

    return Family(field, build, FieldOptions, arms, label, short_label, "solver", look, shown)


def _checked(solver: str, substeps: int) -> tuple[str, int]:
    if solver not in SOLVERS:
        raise ValueError(f"solver must be one of {sorted(SOLVERS)}, got {solver!r}")
    if isinstance(substeps, bool) or not isinstance(substeps, int) or substeps < 1:
        raise ValueError(f"substeps must be a whole number >= 1, got {substeps!r}")
    return solver, substeps
