"""What a network sees of states and actions, and the scale of what it predicts; all fitted on the training split."""

import torch
from torch import Tensor, nn

from tdlib.core.specs import EnvironmentSpec, state_features
from tdlib.core.transitions import Transitions
from tdlib.models.normalizer import Normalizer


class Scales(nn.Module):
    """Standardized state features and the typical rate of change σ of each state dimension.

    Args:
        spec: State sizes and angles.
    """

    def __init__(self, spec: EnvironmentSpec):
        super().__init__()
        self.spec = spec
        self.normalizer = Normalizer(spec.feature_dim)
        self.register_buffer("rate_scale", torch.ones(spec.state_dim))

    def features(self, state: Tensor) -> Tensor:
        """Standardized features, angles as (cos, sin): (..., D) -> (..., F)."""
        return self.normalizer.normalize(state_features(state, self.spec))

    def pull_back(self, state: Tensor, gradient: Tensor) -> Tensor:
        """Turn a gradient with respect to the features into one with respect to the state: (..., F) -> (..., D)."""
        columns, parts = [], iter((gradient / self.normalizer.std).unbind(dim=-1))
        for i, value in enumerate(state.unbind(dim=-1)):
            if i in self.spec.angle_dims:
                cos_part, sin_part = next(parts), next(parts)
                columns.append(sin_part * value.cos() - cos_part * value.sin())
            else:
                columns.append(next(parts))
        return torch.stack(columns, dim=-1)

    @torch.no_grad()
    def fit(self, transitions: Transitions) -> None:
        """Take feature statistics and σ = std of (x' − x)/Δt per dimension [unit/s]; a constant one keeps σ = 1."""
        self.normalizer.fit(state_features(transitions.state, self.spec))
        rates = (transitions.next_state - transitions.state) / transitions.delta_t.unsqueeze(-1)
        std = rates.std(dim=0)
        self.rate_scale.copy_(torch.where(std > 1e-8, std, torch.ones_like(std)))


class ActionEncoder(nn.Module):
    """Embed an action: a table for action indices, a linear map of the standardized input otherwise.

    Args:
        spec: Action sizes.
        embedding_dim: Length E of the embedding.
    """

    def __init__(self, spec: EnvironmentSpec, embedding_dim: int):
        super().__init__()
        self.discrete = spec.discrete
        if spec.discrete:
            self.embedding = nn.Embedding(spec.num_actions, embedding_dim)
        else:
            self.normalizer = Normalizer(spec.action_dim)
            self.linear = nn.Linear(spec.action_dim, embedding_dim)

    def forward(self, action: Tensor) -> Tensor:
        """(..., A) physical input, or index stored as a number -> (..., E)."""
        if self.discrete:
            return self.embedding(action[..., 0].long())
        return self.linear(self.normalizer.normalize(action))

    @torch.no_grad()
    def fit(self, action: Tensor) -> None:
        """Take mean and standard deviation of continuous actions (N, A); indices need none."""
        if not self.discrete:
            self.normalizer.fit(action)


def mlp(
    input_dim: int, widths: tuple[int, ...], output_dim: int, activation: type[nn.Module] = nn.SiLU
) -> nn.Sequential:
    """Fully connected network with one activation after every hidden layer; smooth, since fields are integrated."""
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Linear(input_dim, width), activation()]
        input_dim = width
    return nn.Sequential(*layers, nn.Linear(input_dim, output_dim))
