"""Positions and velocities of a state, for models that treat them differently."""

import torch
from torch import Tensor

from tdlib.core.columns import Columns
from tdlib.core.specs import EnvironmentSpec


class Pairs:
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
        self.position, self.velocity = Columns(spec.position_dims), Columns(spec.velocity_dims)
        self._order = [dims.index(i) for i in range(spec.state_dim)]

    def join(self, position: Tensor, velocity: Tensor) -> Tensor:
        """Put positions and velocities where the state has them: (..., n), (..., n) -> (..., D)."""
        both = torch.cat([position, velocity], dim=-1)
        if self._order == sorted(self._order):
            return both
        columns = both.unbind(dim=-1)
        return torch.stack([columns[i] for i in self._order], dim=-1)
