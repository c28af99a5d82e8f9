"""Positions and velocities of a state, for models that treat them differently."""

import torch
from torch import Tensor

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
