"""Mechanical field with a learned mass matrix: H = ½ pᵀ M(q)⁻¹ p + V(q), momentum p = M(q) v."""

import torch
from torch import Tensor, nn

from tdlib.core.columns import Columns
from tdlib.core.namespace import TORCH
from tdlib.core.specs import EnvironmentSpec
from tdlib.models.contract import ParameterGroup
from tdlib.models.encoders import Scales, mlp
from tdlib.models.energies import hidden_slopes, pulled_back, pushed_forward
from tdlib.models.family import Shown
from tdlib.models.ode import field_family
from tdlib.models.pairs import Pairs

LEAST = 0.05  # of every eigenvalue of the mass matrix
GAIN = 0.1  # of the network of masses, so that they begin near one


class MassMatrixModel(nn.Module):
    """M(q) u' = ½ ∂(uᵀ M u)/∂y − M' u − ρ (∂V/∂y + D u − G e), with y' = u the velocities in units of σ_q.

    The equation of Hamilton with p = M(q) u, and that of Euler and Lagrange with L = ½ uᵀ M u − V, written for (q, v):
    one flow, whichever of the two it is read from. M = L Lᵀ + ε 1; row i of L is a learned factor times that of 1 + a
    lower triangle, which a softplus network learns from the positions, and V is another network. ρ is the typical
    acceleration in units of the typical velocity. Where `PortHamiltonianModel` must take the velocity for the momentum,
    this one learns how they differ.

    Args:
        spec: State sizes, and which dimensions are positions and velocities.
        widths: Hidden layers of both networks.
        action_embedding_dim: Length of the action embedding.

    Source:
        Zhong, Dey, Chakraborty (2020), SymODEN: learned M and V; Lutter, Ritter, Peters (2019): the Lagrangian reading.
    """

    def __init__(self, spec: EnvironmentSpec, widths: tuple[int, ...] = (64, 64), action_embedding_dim: int = 8):
        super().__init__()
        self.pairs = Pairs(spec)
        self.scales = Scales(spec)
        count = self.pairs.count
        self._lower = [(i, j) for i in range(count) for j in range(i + 1)]
        owners = [i for i in range(spec.state_dim) for _ in range(2 if i in spec.angle_dims else 1)]
        self._placed = Columns([k for k, i in enumerate(owners) if i in spec.position_dims])
        listed = [i for i in spec.position_dims for _ in range(2 if i in spec.angle_dims else 1)]
        self._in_order = Columns(sorted(range(len(listed)), key=lambda k: listed[k]))  # features as the state has them
        self._num_features = len(owners)
        self.root = mlp(len(self._placed), widths, len(self._lower), activation=nn.Softplus)
        self.potential = mlp(len(self._placed), widths, 1, activation=nn.Softplus)
        self.log_root = nn.Parameter(
            torch.zeros(count)
        )  # masses of different size are found by this, not by the network
        self.log_damping = nn.Parameter(torch.full((count,), -3.0))
        self.port = nn.Linear(action_embedding_dim, count, bias=False)

    def parameter_groups(self) -> list[ParameterGroup]:
        """Masses wait for the forces: learned together from the start, both end where they are wrong together."""
        return [ParameterGroup(("root", "log_root"), begins=0.3)]

    def mass(self, state: Tensor) -> Tensor:
        """Return M in units of the typical velocities: (..., D) -> (..., n, n)."""
        root = self._rows(self.root(self._placed(self.scales.features(state))))
        columns = [[_dot(a, b) + (LEAST if i == j else 0.0) for j, b in enumerate(root)] for i, a in enumerate(root)]
        return torch.stack([torch.stack(row, dim=-1) for row in columns], dim=-2)

    def energy(self, state: Tensor) -> Tensor:
        """Return ½ uᵀ M u + ρ V: (..., D) -> (...), in units of the typical velocities squared."""
        scaled = self.pairs.velocity(state) / self.pairs.position(self.scales.rate_scale)
        moving = 0.5 * (scaled * (self.mass(state) @ scaled.unsqueeze(-1)).squeeze(-1)).sum(dim=-1)
        potential = self.potential(self._placed(self.scales.features(state))).squeeze(-1)
        return moving + self._stiffness() * potential

    def forward(self, t: Tensor | float, state: Tensor, action_emb: Tensor) -> Tensor:
        """Return ds/dt: (..., D), (..., E) -> (..., D) [unit/s]."""
        scale = self.pairs.position(self.scales.rate_scale)
        velocity = self.pairs.velocity(state)
        scaled = velocity / scale  # u
        features = self._placed(self.scales.features(state))
        value, slopes = hidden_slopes(self.root, features)
        root = self._rows(self.root[-1](value))
        u = scaled.unbind(dim=-1)
        turned = [sum(root[i][j] * u[i] for i in range(j, len(u))) for j in range(len(u))]  # Lᵀ u

        moved = pushed_forward(self.root, slopes, self._feature_rate(state, velocity)).unbind(dim=-1)
        factor = self.log_root.exp().unbind()
        rate = {(i, j): GAIN * factor[i] * moved[k] for k, (i, j) in enumerate(self._lower)}  # L'
        turned_rate = [sum(rate[i, j] * u[i] for i in range(j, len(u))) for j in range(len(u))]  # L'ᵀ u
        growth = [
            sum(rate[i, j] * turned[j] + root[i][j] * turned_rate[j] for j in range(i + 1)) for i in range(len(u))
        ]  # M' u = L' (Lᵀ u) + L (L'ᵀ u)

        cotangent = torch.stack(
            [GAIN * factor[i] * u[i] * turned[j] for i, j in self._lower], dim=-1
        )  # of ½ uᵀ M u by L
        gradient = pulled_back(self.root, slopes, cotangent)
        _, potential_slopes = hidden_slopes(self.potential, features)
        push = pulled_back(self.potential, potential_slopes, torch.ones_like(scaled[..., :1]))
        stiffness = self._stiffness()
        pulled = scale * self._positions_gradient(state, gradient - stiffness * push)
        force = stiffness * self.port(action_emb) - self.log_damping.exp() * scaled
        total = (pulled + force).unbind(dim=-1)
        matrix = [[_dot(a, b) + (LEAST if i == j else 0.0) for j, b in enumerate(root)] for i, a in enumerate(root)]
        solved = TORCH.solve(matrix, [a - b for a, b in zip(total, growth, strict=True)])
        return self.pairs.join(velocity, scale * torch.stack(solved, dim=-1))

    def _stiffness(self) -> Tensor:
        """Typical acceleration in units of the typical velocity ρ, () [1/s]."""
        scales = self.scales.rate_scale
        return (self.pairs.velocity(scales) / self.pairs.position(scales)).mean()

    def _rows(self, entries: Tensor) -> list[list[Tensor]]:
        """Rows of L, each as long as its triangle: (..., n (n + 1) / 2) -> n lists."""
        rows: list[list[Tensor]] = []
        factor = self.log_root.exp().unbind()
        for (i, j), entry in zip(self._lower, entries.unbind(dim=-1), strict=True):
            if j == 0:
                rows.append([])
            rows[-1].append(factor[i] * (GAIN * entry + 1.0 if i == j else GAIN * entry))
        return rows

    def _feature_rate(self, state: Tensor, velocity: Tensor) -> Tensor:
        """Rate of change of the positions' features: (..., D), (..., n) -> (..., features)."""
        spec, columns = self.scales.spec, []
        for i, rate in zip(spec.position_dims, velocity.unbind(dim=-1), strict=True):
            value = state[..., i]
            columns += [-value.sin() * rate, value.cos() * rate] if i in spec.angle_dims else [rate]
        in_order = self._in_order(torch.stack(columns, dim=-1))
        return in_order / self._placed(self.scales.normalizer.std)

    def _positions_gradient(self, state: Tensor, gradient: Tensor) -> Tensor:
        """Gradient by the positions of one by their features: (..., D), (..., features) -> (..., n)."""
        parts = dict(zip(self._placed.places, gradient.unbind(dim=-1), strict=True))
        zero = torch.zeros_like(gradient[..., 0])
        whole = torch.stack([parts.get(k, zero) for k in range(self._num_features)], dim=-1)
        return self.pairs.position(self.scales.pull_back(state, whole))


def _dot(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """Sum of products of two rows of a triangle, the longer one cut."""
    return sum((x * y for x, y in zip(a[1:], b[1:], strict=False)), a[0] * b[0])


LOOK = (("marker", "D"), ("linestyle", "--"))
FAMILY = field_family(
    MassMatrixModel, label="mass-matrix Hamiltonian ODE", short_label="mass matrix", look=LOOK, shown=Shown()
)
