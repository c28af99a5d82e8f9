"""One learned Pendulum model as a user of any planner would write it: a plain network on (ω, cos θ, sin θ, torque).

Needs torch alone, so that every peer's process can load it: what the library's jump model computes (normalization,
action encoding, Δt) is folded into the matrices, and nothing slows a peer down that its own model would not have.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

DELTA_T, HORIZON = 0.05, 20  # [s], steps: one second at 20 Hz
SAMPLES = 512


class PlainPendulum(nn.Module):
    """x' = x + network(ω, cos θ, sin θ, u).

    Args:
        arrays: matrix and bias of every layer, in turn.
    """

    def __init__(self, arrays: Sequence[np.ndarray]):
        super().__init__()
        layers: list[nn.Module] = []
        for matrix, bias in zip(arrays[::2], arrays[1::2], strict=True):
            layer = nn.Linear(matrix.shape[1], matrix.shape[0])
            with torch.no_grad():
                layer.weight.copy_(torch.from_numpy(matrix))
                layer.bias.copy_(torch.from_numpy(bias))
            layers += [layer, nn.SiLU()]
        self.network = nn.Sequential(*layers[:-1])

    def forward(self, state: Tensor, action: Tensor) -> Tensor:
        """Predict one step: (N, 2), (N, 1) -> (N, 2)."""
        theta = state[:, :1]
        return state + self.network(torch.cat([state[:, 1:], theta.cos(), theta.sin(), action], dim=1))


def cost(state: Tensor, action: Tensor) -> Tensor:
    """Gymnasium's cost θ² + 0.1 ω² + 0.001 u² with θ in (−π, π]: (N, 2), (N, 1) -> (N,)."""
    theta = math.pi - torch.remainder(math.pi - state[:, 0], 2 * math.pi)
    return theta**2 + 0.1 * state[:, 1] ** 2 + 0.001 * action[:, 0] ** 2
