"""Continuous-time models as vector fields with the seed's signature (t, state, action_emb) -> ds/dt.

Networks see standardized features with angles as (cos, sin) and answer in units of σ, the typical rate of a dimension.
The fields are autonomous under a zero-order hold; t is there so that any ODE solver can call them.
"""

import torch
from torch import Tensor, nn

from tdlib.core.specs import EnvironmentSpec
from tdlib.models.encoders import Scales, mlp


class FirstOrderODE(nn.Module):
    """dx/dt = σ·g(z(x), e), no structure beyond that; integrated by Euler it is the `scaled` jump model.

    Args:
        spec: State sizes.
        widths: Hidden layers.
        action_embedding_dim: Length of the action embedding.
    """

    def __init__(self, spec: EnvironmentSpec, widths: tuple[int, ...] = (64, 64), action_embedding_dim: int = 8):
        super().__init__()
        self.scales = Scales(spec)
        self.network = mlp(spec.feature_dim + action_embedding_dim, widths, spec.state_dim)

    def forward(self, t: Tensor | float, state: Tensor, action_emb: Tensor) -> Tensor:
        """Return ds/dt: (..., D), (..., E) -> (..., D) [unit/s]."""
        return self.scales.rate_scale * self.network(torch.cat([self.scales.features(state), action_emb], dim=-1))


class NewtonianDynamicsModel(nn.Module):
    """dq/dt = v, dv/dt = σ_v·g(z(q, v), e) − exp(log_damping)·v.

    Args:
        spec: State sizes, and which dimensions are positions and velocities.
        widths: Hidden layers.
        action_embedding_dim: Length of the action embedding.

    Source:
        Seed 000, Phase 2, model 3.
    """

    def __init__(self, spec: EnvironmentSpec, widths: tuple[int, ...] = (64, 64), action_embedding_dim: int = 8):
        super().__init__()
        self.pairs = _Pairs(spec)
        self.scales = Scales(spec)
        self.network = mlp(spec.feature_dim + action_embedding_dim, widths, self.pairs.count)
        self.log_damping = nn.Parameter(torch.full((self.pairs.count,), -3.0))  # exp(-3) = 0.05 /s

    def forward(self, t: Tensor | float, state: Tensor, action_emb: Tensor) -> Tensor:
        """Return ds/dt: (..., D), (..., E) -> (..., D) [unit/s]."""
        velocity = self.pairs.velocity(state)
        output = self.network(torch.cat([self.scales.features(state), action_emb], dim=-1))
        acceleration = self.pairs.velocity(self.scales.rate_scale) * output - self.log_damping.exp() * velocity
        return self.pairs.join(velocity, acceleration)


class VelocityDynamicsModel(nn.Module):
    """dq/dt = σ_q·g(z(q, v), e), dv/dt = 0: a declared control, it cannot move velocities at all.

    Args:
        spec: State sizes, and which dimensions are positions and velocities.
        widths: Hidden layers.
        action_embedding_dim: Length of the action embedding.

    Source:
        Seed 000, Phase 2, model 4.
    """

    def __init__(self, spec: EnvironmentSpec, widths: tuple[int, ...] = (64, 64), action_embedding_dim: int = 8):
        super().__init__()
        self.pairs = _Pairs(spec)
        self.scales = Scales(spec)
        self.network = mlp(spec.feature_dim + action_embedding_dim, widths, self.pairs.count)

    def forward(self, t: Tensor | float, state: Tensor, action_emb: Tensor) -> Tensor:
        """Return ds/dt: (..., D), (..., E) -> (..., D) [unit/s]."""
        output = self.network(torch.cat([self.scales.features(state), action_emb], dim=-1))
        rate = self.pairs.position(self.scales.rate_scale) * output
        return self.pairs.join(rate, torch.zeros_like(rate))


class PortHamiltonianModel(nn.Module):
    """dq/dt = C ∂H/∂v, dv/dt = −C ∂H/∂q − exp(log_damping)·C ∂H/∂v + σ_v·G e.

    H is a dimensionless softplus network; the constant diagonal C = σ_q·σ_v·(1 s) gives it units, so momentum is the
    velocity up to a constant per degree of freedom. That is exact for Pendulum and misspecified for CartPole, whose
    mass matrix depends on the pole angle. Without damping and input the energy H is constant along solutions.

    Args:
        spec: State sizes, and which dimensions are positions and velocities.
        widths: Hidden layers of the energy.
        action_embedding_dim: Length of the action embedding.

    Source:
        Seed 000, Phase 2, model 5; structure as in Zhong, Dey, Chakraborty (2020), dissipative SymODEN.
    """

    def __init__(self, spec: EnvironmentSpec, widths: tuple[int, ...] = (64, 64), action_embedding_dim: int = 8):
        super().__init__()
        self.pairs = _Pairs(spec)
        self.scales = Scales(spec)
        self.network = mlp(spec.feature_dim, widths, 1, activation=nn.Softplus)
        self.log_damping = nn.Parameter(torch.full((self.pairs.count,), -3.0))  # exp(-3) = 0.05 /s
        self.port = nn.Linear(action_embedding_dim, self.pairs.count, bias=False)

    def energy(self, state: Tensor) -> Tensor:
        """Return H: (..., D) -> (...), dimensionless."""
        return self.network(self.scales.features(state)).squeeze(-1)

    def energy_gradient(self, state: Tensor) -> Tensor:
        """Return ∂H/∂s by the chain rule written out: (..., D) -> (..., D) [1/unit].

        Equal to `torch.func.grad` of `energy`, at half its cost in training: the optimizer then differentiates plain
        operations instead of a gradient inside a gradient.
        """
        *hidden, last = (layer for layer in self.network if isinstance(layer, nn.Linear))
        z = hidden[0](self.scales.features(state))
        slopes = [torch.sigmoid(z)]  # derivative of softplus
        for layer in hidden[1:]:
            z = layer(nn.functional.softplus(z))
            slopes.append(torch.sigmoid(z))
        gradient = last.weight[0]
        for layer, slope in zip(reversed(hidden), reversed(slopes), strict=True):
            gradient = (gradient * slope) @ layer.weight
        return self.scales.pull_back(state, gradient)

    def forward(self, t: Tensor | float, state: Tensor, action_emb: Tensor) -> Tensor:
        """Return ds/dt: (..., D), (..., E) -> (..., D) [unit/s]."""
        gradient = self.energy_gradient(state)
        velocity_scale = self.pairs.velocity(self.scales.rate_scale)
        unit = self.pairs.position(self.scales.rate_scale) * velocity_scale  # C
        position_rate = unit * self.pairs.velocity(gradient)
        conservative = -unit * self.pairs.position(gradient)
        force = velocity_scale * self.port(action_emb)
        return self.pairs.join(position_rate, conservative - self.log_damping.exp() * position_rate + force)


class _Pairs:
    """Positions and velocities of a state, and back, by slices (cheap to differentiate) where the order allows.

    Raises:
        ValueError: If positions and velocities do not pair up to the whole state.
    """

    def __init__(self, spec: EnvironmentSpec):
        dims = spec.position_dims + spec.velocity_dims
        if len(spec.position_dims) != len(spec.velocity_dims) or sorted(dims) != list(range(spec.state_dim)):
            raise ValueError(
                "spec must pair every position with a velocity for this model: "
                f"position_dims {spec.position_dims}, velocity_dims {spec.velocity_dims}, state_dim {spec.state_dim}"
            )
        self.count = len(spec.position_dims)
        self._position, self._velocity = _as_slice(spec.position_dims), _as_slice(spec.velocity_dims)
        self._order = [dims.index(i) for i in range(spec.state_dim)]

    def position(self, state: Tensor) -> Tensor:
        return state[..., self._position]

    def velocity(self, state: Tensor) -> Tensor:
        return state[..., self._velocity]

    def join(self, position: Tensor, velocity: Tensor) -> Tensor:
        both = torch.cat([position, velocity], dim=-1)
        if self._order == sorted(self._order):
            return both
        columns = both.unbind(dim=-1)
        return torch.stack([columns[i] for i in self._order], dim=-1)


def _as_slice(dims: tuple[int, ...]) -> slice | list[int]:
    step = dims[1] - dims[0] if len(dims) > 1 else 1
    regular = step > 0 and list(dims) == list(range(dims[0], dims[-1] + 1, step))
    return slice(dims[0], dims[-1] + 1, step) if regular else list(dims)
