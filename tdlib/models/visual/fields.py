"""Predictors that integrate a learned field over Δt, the input held; states are (q, p), halves of the channels.

ode          ds/dt = f(s, e)
newtonian    dq/dt = p,        dp/dt = f(q, p, e) − γ p
hamiltonian  dq/dt = ∂T/∂p,    dp/dt = −∂V/∂q − γ ∂T/∂p + G e,    H = T(p) + V(q),  γ = exp(log_damping)
"""

import math
from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from tdlib.core.odeint import METHODS, odeint_rescaled
from tdlib.core.solvers import SPLITTINGS, TABLEAUS, Splitting, implicit_midpoint_step, runge_kutta_step
from tdlib.core.specs import EnvironmentSpec
from tdlib.models.visual.options import VisualOptions
from tdlib.models.visual.predictor import Memory, Predictor

Rate = Callable[[Tensor, Tensor], Tensor]  # of positions and momenta


class FieldPredictor(Predictor):
    """s(t + Δt) = s(t) + ∫ field; at Δt = 0 the state stays bit for bit."""

    def __init__(self, spec: EnvironmentSpec, options: VisualOptions):
        super().__init__(spec, options)
        self.solver = options.solver(self.has_energy)
        if self.solver in SPLITTINGS and not isinstance(self, PhasePredictor):
            raise ValueError(
                f"integration_method must not move momenta in turn for {options.predictor}, got {self.solver!r}"
            )

    @property
    def meaning(self) -> dict[str, object]:
        return super().meaning | {"integration_method": self.solver, "substeps": self.options.substeps}

    @abstractmethod
    def field(self, state: Tensor, action_emb: Tensor) -> Tensor:
        """Return ds/dt: (N, C, ...), (N, E) -> (N, C, ...) [1/s]."""

    def advance(self, state: Tensor, action_emb: Tensor, delta_t: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        substeps = self.options.substeps

        def field(s: Tensor) -> Tensor:
            return self.field(s, action_emb)

        if self.solver in METHODS:
            return self._by_torchdiffeq(field, state, delta_t, substeps), memory
        h = delta_t.view(-1, *(1 for _ in state.shape[1:])) / substeps
        for _ in range(substeps):
            if self.solver in TABLEAUS:
                state = runge_kutta_step(TABLEAUS[self.solver], field, state, h)
            elif self.solver in SPLITTINGS:
                state = self.split_step(state, action_emb, h)
            else:
                state = implicit_midpoint_step(field, state, h)
        return state, memory

    def split_step(self, state: Tensor, action_emb: Tensor, h: Tensor) -> Tensor:
        """Move momenta and positions in turn; only states that have them can."""
        raise NotImplementedError(f"{type(self).__name__} has no momenta")

    def _by_torchdiffeq(
        self, field: Callable[[Tensor], Tensor], state: Tensor, delta_t: Tensor, substeps: int
    ) -> Tensor:
        shape = state.shape
        found = odeint_rescaled(
            lambda s: field(s.view(shape)).flatten(1), state.flatten(1), delta_t, self.solver, substeps=substeps
        )
        return found.view(shape)


class ODEPredictor(FieldPredictor):
    """ds/dt = f(s, e)."""

    def __init__(self, spec: EnvironmentSpec, options: VisualOptions):
        super().__init__(spec, options)
        self.network = self.space.network(self.space.channels + self.embedding_dim, self.space.channels)

    def field(self, state: Tensor, action_emb: Tensor) -> Tensor:
        return self.network(self.joined(state, action_emb))


class PhasePredictor(FieldPredictor):
    """A field of positions q and momenta p.

    Raises:
        ValueError: If the channels do not halve.
    """

    def __init__(self, spec: EnvironmentSpec, options: VisualOptions):
        super().__init__(spec, options)
        if self.space.channels % 2:
            name = "latent_channels" if options.spatial else "latent_dim"
            raise ValueError(f"{name} must be even for {options.predictor}, got {self.space.channels}")
        self.half = self.space.channels // 2
        self.log_damping = nn.Parameter(torch.tensor([options.damping_init]))

    @abstractmethod
    def drift(self, position: Tensor, momentum: Tensor) -> Tensor:
        """Return dq/dt: (N, n, ...) twice -> (N, n, ...)."""

    @abstractmethod
    def kick(self, position: Tensor, momentum: Tensor, action_emb: Tensor) -> Tensor:
        """Return dp/dt."""

    def field(self, state: Tensor, action_emb: Tensor) -> Tensor:
        position, momentum = state.chunk(2, dim=1)
        return torch.cat([self.drift(position, momentum), self.kick(position, momentum, action_emb)], dim=1)

    def split_step(self, state: Tensor, action_emb: Tensor, h: Tensor) -> Tensor:
        position, momentum = state.chunk(2, dim=1)
        splitting: Splitting = SPLITTINGS[self.solver]
        for kicks, share in splitting.moves:
            if kicks:
                momentum = momentum + share * h * self.kick(position, momentum, action_emb)
            else:
                position = position + share * h * self.drift(position, momentum)
        return torch.cat([position, momentum], dim=1)


class NewtonianPredictor(PhasePredictor):
    """dq/dt = p, dp/dt = f(q, p, e) − γ p."""

    def __init__(self, spec: EnvironmentSpec, options: VisualOptions):
        super().__init__(spec, options)
        self.network = self.space.network(self.space.channels + self.embedding_dim, self.half)

    def drift(self, position: Tensor, momentum: Tensor) -> Tensor:
        return momentum

    def kick(self, position: Tensor, momentum: Tensor, action_emb: Tensor) -> Tensor:
        force = self.network(self.joined(torch.cat([position, momentum], dim=1), action_emb))
        return force - self.log_damping.exp() * momentum


class HamiltonianPredictor(PhasePredictor):
    """H = T(p) + V(q), learned corrections to ½|p|² + ½κ|q|² unless there is no such prior.

    Without damping and input H is constant along solutions, and leapfrog keeps it up to O(Δt²). With damping, which a
    kick takes at the momentum before it, leapfrog is of first order in Δt and does not run back exactly; `substeps` or
    another solver makes its error smaller.
    """

    has_energy = True

    def __init__(self, spec: EnvironmentSpec, options: VisualOptions):
        super().__init__(spec, options)
        self.kinetic, self.potential = self.space.energy(self.half), self.space.energy(self.half)
        self.port = self.space.pointwise(self.embedding_dim, self.half, bias=False) if self.embedding_dim else None
        self.prior = options.quadratic_prior
        if self.prior:
            self.log_stiffness = nn.Parameter(torch.tensor([2 * math.log(2 * math.pi / options.period)]))

    @property
    def meaning(self) -> dict[str, object]:
        own = {name: getattr(self.options, name) for name in ("energy_pool", "quadratic_prior")}
        return super().meaning | own

    def drift(self, position: Tensor, momentum: Tensor) -> Tensor:
        found = self.kinetic.gradient(momentum)
        return momentum + found if self.prior else found

    def kick(self, position: Tensor, momentum: Tensor, action_emb: Tensor) -> Tensor:
        slope = self.potential.gradient(position)
        if self.prior:
            slope = slope + self.log_stiffness.exp() * position
        force = -slope - self.log_damping.exp() * self.drift(position, momentum)
        return force if self.port is None else force + self.port(self.space.spread(action_emb, position))

    def energy(self, state: Tensor) -> Tensor:
        """Return H up to an affine scale: (..., C, ...) -> (...)."""
        events = self.space.event_dims
        position, momentum = state.reshape(-1, *state.shape[-events:]).chunk(2, dim=1)
        found = self.kinetic(momentum) + self.potential(position)
        if self.prior:
            squares = (x.square().flatten(1).sum(dim=1) for x in (momentum, position))
            found = found + 0.5 * next(squares) + 0.5 * self.log_stiffness.exp() * next(squares)
        return found.view(state.shape[: state.ndim - events])
