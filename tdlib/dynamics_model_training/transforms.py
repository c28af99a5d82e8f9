"""What a network sees of positions, and how changes are applied to that: angles as (cos, sin), or functions of yours.

The library's models encode and turn angles themselves (`tdlib.core.specs.state_features`, the GRU's own step). A
function of yours takes the place of that: a model is then trained in what the function returns.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tdlib.core.context import Context, Prediction
from tdlib.core.specs import EnvironmentSpec
from tdlib.core.transitions import Transitions
from tdlib.models import DynamicsModel


def positions_of(spec: EnvironmentSpec) -> tuple[int, ...]:
    """State dimensions that `qpos` stands for: the positions, a log's columns of this name, or all of the state."""
    logged = tuple(i for i, name in enumerate(spec.state_names) if name.startswith("qpos_"))
    return spec.position_dims or logged or tuple(range(spec.state_dim))


@dataclass(frozen=True)
class Transform:
    """Positions as a network sees them. All functions take any leading batch shape and run under `torch.func.vmap`.

    Args:
        transform_fn: (..., Q) positions -> (..., Z).
        inverse_fn: (..., Z) -> (..., Q); without it nothing is predicted in physical units.
        apply_delta_fn: (..., Z), (..., Z) change -> (..., Z); addition if None.
    """

    transform_fn: Callable[[Tensor], Tensor]
    inverse_fn: Callable[[Tensor], Tensor] | None = None
    apply_delta_fn: Callable[[Tensor, Tensor], Tensor] | None = None

    def features(self, state: Tensor, spec: EnvironmentSpec) -> Tensor:
        """Transform the positions of states and put the rest behind: (..., D) -> (..., Z + D - Q)."""
        positions, rest = _parted(spec)
        return torch.cat([self.transform_fn(state[..., positions]), state[..., rest]], dim=-1)

    def state(self, features: Tensor, spec: EnvironmentSpec) -> Tensor:
        """Undo `features`: (..., Z + D - Q) -> (..., D).

        Raises:
            ValueError: If there is no `inverse_fn`.
        """
        if self.inverse_fn is None:
            raise ValueError("inverse_fn must be given to turn what transform_fn returns into states, got None")
        positions, rest = _parted(spec)
        width = features.shape[-1] - len(rest)
        columns = torch.cat([self.inverse_fn(features[..., :width]), features[..., width:]], dim=-1)
        return columns[..., [(*positions, *rest).index(i) for i in range(spec.state_dim)]]

    def apply_delta(self, features: Tensor, delta: Tensor, num_rest: int) -> Tensor:
        """Apply a change to what `features` returns; the last `num_rest` columns add."""
        if self.apply_delta_fn is None:
            return features + delta
        width = features.shape[-1] - num_rest
        moved = self.apply_delta_fn(features[..., :width], delta[..., :width])
        return torch.cat([moved, features[..., width:] + delta[..., width:]], dim=-1)

    def spec(self, spec: EnvironmentSpec) -> EnvironmentSpec:
        """Describe the states that a model in this space has: no angles, no pairs."""
        positions, rest = _parted(spec)
        width = self.transform_fn(torch.zeros(len(positions))).shape[-1]
        return dataclasses.replace(
            spec,
            state_names=(*(f"z_{i}" for i in range(width)), *(spec.state_names[i] for i in rest)),
            state_units=(*["1"] * width, *(spec.state_units[i] for i in rest)),
            angle_dims=(),
            position_dims=(),
            velocity_dims=(),
        )

    def transitions(self, part: Transitions, spec: EnvironmentSpec) -> Transitions:
        """Take transitions into this space."""
        return dataclasses.replace(
            part, state=self.features(part.state, spec), next_state=self.features(part.next_state, spec)
        )

    def context(self, context: Context, spec: EnvironmentSpec) -> Context:
        """Take the states of a context into this space."""
        return dataclasses.replace(context, states=self.features(context.states, spec))

    @property
    def name(self) -> str:
        """How a checkpoint names it: a function itself cannot be stored in one."""
        return f"{self.transform_fn.__module__}:{self.transform_fn.__qualname__}"


def angle_transform(angle_indices: Sequence[int]) -> Transform:
    """Return the default: (cos, sin) in place of each angle, which changes turn.

    The change of an angle is a pair that is added to (1, 0) and brought to length one, so that no change at all turns
    nothing and the result stays on the unit circle.

    Args:
        angle_indices: Which positions are angles [rad].
    """
    angles = frozenset(angle_indices)

    def transform(qpos: Tensor) -> Tensor:
        columns = []
        for i, column in enumerate(qpos.unbind(dim=-1)):
            columns += [column.cos(), column.sin()] if i in angles else [column]
        return torch.stack(columns, dim=-1)

    def inverse(features: Tensor) -> Tensor:
        columns: list[Tensor] = []
        parts = list(features.unbind(dim=-1))
        while parts:
            column = parts.pop(0)
            columns.append(torch.atan2(parts.pop(0), column) if len(columns) in angles else column)
        return torch.stack(columns, dim=-1)

    def apply_delta(features: Tensor, delta: Tensor) -> Tensor:
        columns, position, pairs = [], 0, list(zip(features.unbind(dim=-1), delta.unbind(dim=-1), strict=True))
        while pairs:
            value, change = pairs.pop(0)
            if position in angles:
                sin, sin_change = pairs.pop(0)
                length = torch.hypot(1 + change, sin_change)
                c, s = (1 + change) / length, sin_change / length
                columns += [value * c - sin * s, sin * c + value * s]
            else:
                columns.append(value + change)
            position += 1
        return torch.stack(columns, dim=-1)

    return Transform(transform, inverse, apply_delta)


def shifted(indices: Sequence[int], angle_indices: Sequence[int]) -> tuple[int, ...]:
    """Where positions stand after `angle_transform`: one further per earlier angle."""
    return tuple(i + sum(angle < i for angle in angle_indices) for i in indices)


class TransformedModel(DynamicsModel):
    """A model of transformed states as one of physical states: transform, predict, turn back.

    Args:
        model: Predicts what `transform.features` returns.
        spec: The physical states.
        transform: With its inverse.
    """

    def __init__(self, model: DynamicsModel, spec: EnvironmentSpec, transform: Transform):
        super().__init__(spec, model.options, own_scales=False)
        self.model, self.transform = model, transform

    def predict(
        self, state: Tensor, actions: Tensor, delta_t: Tensor | float | None = None, context: Context | None = None
    ) -> Prediction:
        past = None if context is None else self.transform.context(context, self.spec)
        predicted = self.model.predict_sequence(self.transform.features(state, self.spec), actions, delta_t, past)
        return Prediction(self.transform.state(predicted, self.spec))


def _parted(spec: EnvironmentSpec) -> tuple[list[int], list[int]]:
    """Positions, and what else there is."""
    positions = list(positions_of(spec))
    return positions, [i for i in range(spec.state_dim) if i not in positions]
