"""The trained policy as plain weights and a YAML description: loaded without stable-baselines3 and without pickles."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tdlib.core.files import atomic_path, parse_yaml, write_text, yaml_text
from tdlib.data.schema import DatasetError

WEIGHTS, DESCRIPTION = "policy.pth", "policy.yaml"


class Policy(nn.Module):
    """tanh MLP from observations to actions: the mean inputs, clipped, or the likeliest index.

    Args:
        sizes: Widths of all layers, observation first, action (or number of actions) last.
        discrete: Whether the outputs are scores of action indices.
        low, high: Bounds of continuous actions, one number or one per input.
    """

    def __init__(self, sizes: list[int], discrete: bool, low: float | Sequence[float], high: float | Sequence[float]):
        super().__init__()
        layers = []
        for i, (width, following) in enumerate(zip(sizes, sizes[1:], strict=False)):
            layers += [nn.Linear(width, following)] + ([nn.Tanh()] if i < len(sizes) - 2 else [])
        self.network = nn.Sequential(*layers)
        self.discrete = discrete
        self.low, self.high = ([float(x) for x in np.atleast_1d(bound)] for bound in (low, high))

    def forward(self, observation: Tensor) -> Tensor:
        """Choose the deterministic action: (..., O) -> (..., A), floats that hold the inputs or the index."""
        output = self.network(observation)
        if self.discrete:
            return output.argmax(dim=-1, keepdim=True).to(observation.dtype)
        return output.clamp(output.new_tensor(self.low), output.new_tensor(self.high))


def save_policy(folder: Path, policy: Policy, description: dict) -> None:
    """Write weights and description; `description` adds origin to what `load_policy` needs."""
    sizes = [layer.in_features for layer in policy.network if isinstance(layer, nn.Linear)]
    sizes.append(policy.network[-1].out_features)
    network = {"sizes": sizes, "discrete": policy.discrete, "low": policy.low, "high": policy.high}
    with atomic_path(folder / WEIGHTS) as temporary:
        torch.save(policy.state_dict(), temporary)
    write_text(folder / DESCRIPTION, yaml_text({"network": network, **description}))


def load_policy(folder: Path | str) -> Policy:
    """Load the policy that a collection left in its folder.

    Raises:
        DatasetError: If the folder holds no policy.
    """
    folder = Path(folder)
    for name in (WEIGHTS, DESCRIPTION):
        if not (folder / name).is_file():
            raise DatasetError(f"folder must hold {WEIGHTS} and {DESCRIPTION}, missing {name} in {str(folder)!r}")
    policy = Policy(**parse_yaml((folder / DESCRIPTION).read_text(encoding="utf-8"))["network"])
    policy.load_state_dict(torch.load(folder / WEIGHTS, weights_only=True))
    return policy
