"""A stack's weights for numbers laid out in rows: one row per feature, one column per sample.

Elementwise operations then run on contiguous rows, and what is affine about a network's input (normalization, action
encoding, Δt, biases) is folded into its first matrix, so that a step is a few matrix products and activations.

    h = silu(W_n … silu(W_1 X)),   output = last·h + bias,   X = (state, cos, sin, action, Δt, 1)

Letters in shapes: K models, M members of each ensemble (1 for plain models), H width, R rows, N columns.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import silu

from tdlib.core.specs import EnvironmentSpec
from tdlib.speed.stack import Stack


@dataclass(frozen=True)
class RowLayout:
    """Which number of a sample lies in which row: the state, cos and sin of its angles, the action, Δt, and 1.

    Args:
        spec: State and action sizes; a discrete action takes one row per choice.
    """

    spec: EnvironmentSpec

    @property
    def angles(self) -> list[tuple[int, int, int]]:
        """(angle, cos, sin) rows of every angle."""
        first = self.spec.state_dim
        return [(row, first + 2 * i, first + 2 * i + 1) for i, row in enumerate(self.spec.angle_dims)]

    @property
    def features(self) -> list[int]:
        """Rows in the order in which a network takes its features."""
        pairs = {row: (cos, sin) for row, cos, sin in self.angles}
        return [found for row in range(self.spec.state_dim) for found in pairs.get(row, (row,))]

    @property
    def action(self) -> slice:
        """Rows of the action."""
        first = self.spec.state_dim + 2 * len(self.spec.angle_dims)
        return slice(first, first + (self.spec.num_actions or self.spec.action_dim))

    @property
    def delta_t(self) -> int:
        """Row of Δt [s]."""
        return self.action.stop

    @property
    def one(self) -> int:
        """Row of ones, which carries the biases."""
        return self.action.stop + 1

    @property
    def count(self) -> int:
        """Number of rows R."""
        return self.action.stop + 2

    def encode_actions(self, actions: Tensor) -> Tensor:
        """Turn actions into their rows: (1, ...) -> (A rows, ...)."""
        if not self.spec.discrete:
            return actions
        choices = torch.arange(self.spec.num_actions, device=actions.device)
        return (actions == choices.view(-1, *[1] * (actions.ndim - 1))).to(actions.dtype)


@dataclass(frozen=True)
class RowNetwork:
    """One network per model in row form.

    Args:
        first: (K, M·H, R) matrix of the first layer; None if the network reads something else than X.
        hidden: (bias (K·M, H, 1), matrix (K·M, H, H)) of every further hidden layer.
        last: (K, D, M·H) output matrix; members of an ensemble are averaged here.
        bias: (K, D, 1) of the output.
    """

    first: Tensor | None
    hidden: tuple[tuple[Tensor, Tensor], ...]
    last: Tensor
    bias: Tensor

    def to(self, dtype: torch.dtype) -> "RowNetwork":
        """Return the network in another precision."""
        hidden = tuple((bias.to(dtype), weight.to(dtype)) for bias, weight in self.hidden)
        first = None if self.first is None else self.first.to(dtype)
        return RowNetwork(first, hidden, self.last.to(dtype), self.bias.to(dtype))

    def scaled(self, factor: Tensor) -> "RowNetwork":
        """Multiply the output per model by (K, 1, 1)."""
        return RowNetwork(self.first, self.hidden, self.last * factor, self.bias * factor)

    def buffers(self, num_columns: int) -> list[tuple[Tensor, Tensor]]:
        """Allocate the activations of every layer, as it writes them and as the next one reads them.

        The two differ for ensembles, whose members stand one above the other after the first layer and before the last,
        and side by side in between.
        """
        hidden = [weight for _, weight in self.hidden]
        layers = hidden if self.first is None else [self.first, *hidden]
        readers = [*layers[1:], self.last]
        written = [layer.new_empty(*layer.shape[:2], num_columns) for layer in layers]
        return [(x, x.view(len(reader), -1, num_columns)) for x, reader in zip(written, readers, strict=True)]

    def into(
        self,
        out: Tensor,
        matrix: Tensor,
        buffers: list[tuple[Tensor, Tensor]],
        activations: Tensor | None = None,
    ) -> Tensor:
        """Write the output for all columns.

        Args:
            out: (K, D, N) contiguous target.
            matrix: (K, R, N) the numbers X.
            buffers: Of `buffers(N)`; overwritten.
            activations: (K, H, N) input of the further layers where there is no first layer.
        """
        if self.first is not None:
            (written, activations), *buffers = buffers
            torch.bmm(self.first, matrix, out=written)
            silu(written, inplace=True)
        for (bias, weight), (written, read) in zip(self.hidden, buffers, strict=True):
            torch.baddbmm(bias, weight, activations, out=written)
            silu(written, inplace=True)
            activations = read
        return torch.baddbmm(self.bias, self.last, activations, out=out)


class StackWeights:
    """A stack's parameters by name, in double precision, and the foldings that all its models share.

    Args:
        stack: K models.
    """

    def __init__(self, stack: Stack):
        self.layout = RowLayout(stack.spec)
        self.num_models, self.num_members = stack.num_models, stack.num_members
        self._tensors = {name: x.double() for name, x in stack.weights().items()}

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def layers(self, name: str) -> list[tuple[Tensor, Tensor]]:
        """(matrix, bias) of every linear layer of an `mlp`."""
        numbers = sorted({int(key.split(".")[-2]) for key in self._tensors if key.startswith(f"{name}.")})
        return [(self[f"{name}.{i}.weight"], self[f"{name}.{i}.bias"]) for i in numbers]

    def fold_input(self, weight: Tensor, bias: Tensor, scales: str, gain: Tensor) -> Tensor:
        """Return the first layer's matrix over rows.

        Args:
            weight: (K·M, H, I) over (features, action embedding, Δt).
            bias: (K·M, H).
            scales: Name of the module that normalizes the features.
            gain: (K·M,) factor of the Δt input [1/s].

        Returns:
            (K·M, H, R)
        """
        layout, spec = self.layout, self.layout.spec
        matrix = weight.new_zeros(*weight.shape[:2], layout.count)
        mean, std = self[f"{scales}.normalizer.mean"], self[f"{scales}.normalizer.std"]
        features = weight[..., : spec.feature_dim] / std.unsqueeze(-2)
        matrix[..., layout.features] = features
        action, constant = self.fold_action(weight[..., spec.feature_dim : -1])
        matrix[..., layout.action] = action
        matrix[..., layout.delta_t] = weight[..., -1] * gain.unsqueeze(-1)
        matrix[..., layout.one] = bias - (features @ mean.unsqueeze(-1)).squeeze(-1) + constant
        return matrix

    def fold_action(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Fold the action encoder into what reads its embedding: (K·M, H, E) -> (K·M, H, A rows), (K·M, H)."""
        if self.layout.spec.discrete:
            return weight @ self["action_encoder.embedding.weight"].mT, torch.zeros_like(weight[..., 0])
        mean, std = self["action_encoder.normalizer.mean"], self["action_encoder.normalizer.std"]
        action = weight @ (self["action_encoder.linear.weight"] / std.unsqueeze(-2))
        constant = weight @ self["action_encoder.linear.bias"].unsqueeze(-1) - action @ mean.unsqueeze(-1)
        return action, constant.squeeze(-1)

    def network(self, first: Tensor | None, layers: list[tuple[Tensor, Tensor]], scale: Tensor) -> RowNetwork:
        """Assemble a network with one output per state dimension.

        Members of an ensemble share the input, so their first layers stand above each other, and their mean is one
        wide last layer.

        Args:
            first: (K·M, H, R) first matrix over rows, or None.
            layers: The layers after it.
            scale: (K·M, D) unit of each output.
        """
        *hidden, (last, last_bias) = layers
        members = (self.num_models, self.num_members)
        last = (last * scale.unsqueeze(-1)).unflatten(0, members) / self.num_members  # (K, M, D, H)
        return RowNetwork(
            None if first is None else first.unflatten(0, members).flatten(1, 2).contiguous(),
            tuple((bias.unsqueeze(-1), weight) for weight, bias in hidden),
            last.transpose(1, 2).flatten(2),
            (last_bias * scale).unflatten(0, members).mean(dim=1).unsqueeze(-1),
        )
