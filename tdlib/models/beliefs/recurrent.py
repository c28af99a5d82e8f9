"""Peers of models with beliefs: a GRU, an LSTM or a transformer between encoders of the same kind and a decoder."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tdlib.models.beliefs.networks import GaussianEncoder, unit_length
from tdlib.models.recurrence import advance, gru_advance


class UnitEncoder(nn.Sequential):
    """A vector of length one, W₂ ReLU(W₁ x + b₁) + b₂ over its length: (..., input_dim) -> (..., output_dim)."""

    def __init__(self, input_dim: int, hidden_dim: int, output_dim: int):
        super().__init__(nn.Linear(input_dim, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, output_dim))

    def forward(self, x: Tensor) -> Tensor:
        return unit_length(super().forward(x))


class GRUMemory(nn.Module):
    """The memory of a GRU after each row, from an empty one on.

    Args:
        input_dim: I, length of a row.
        memory_dim: H.

    Source:
        Cho et al. (2014), as in `torch.nn.GRU`.
    """

    def __init__(self, input_dim: int, memory_dim: int):
        super().__init__()
        self.input_gates = nn.Linear(input_dim, 3 * memory_dim)
        self.memory_gates = nn.Linear(memory_dim, 3 * memory_dim)

    def forward(self, rows: Tensor, exists: Tensor | None = None) -> Tensor:
        """(..., T, I), (..., T) bool -> (..., T, H); the memory is empty again after a row that does not exist."""
        gates = self.input_gates(rows)
        memory = gates.new_zeros(*gates.shape[:-2], self.memory_gates.in_features)
        memories = []
        for t, row in enumerate(gates.unbind(dim=-2)):
            own = self.memory_gates(memory).chunk(3, dim=-1)
            memory = _if_there(gru_advance(row.chunk(3, dim=-1), own, memory), exists, t)
            memories.append(memory)
        return torch.stack(memories, dim=-2)


class LSTMMemory(nn.Module):
    """The memory of an LSTM after each row, from an empty one on.

    Args:
        input_dim: I, length of a row.
        memory_dim: H.

    Source:
        Hochreiter and Schmidhuber (1997) with forget gate, as in `torch.nn.LSTM` but for the order of the gates: keep,
        write, candidate, show.
    """

    def __init__(self, input_dim: int, memory_dim: int):
        super().__init__()
        self.input_gates = nn.Linear(input_dim, 4 * memory_dim)
        self.memory_gates = nn.Linear(memory_dim, 4 * memory_dim)

    def forward(self, rows: Tensor, exists: Tensor | None = None) -> Tensor:
        """(..., T, I), (..., T) bool -> (..., T, H); the memory is empty again after a row that does not exist."""
        gates = self.input_gates(rows)
        memory = cell = gates.new_zeros(*gates.shape[:-2], self.memory_gates.in_features)
        memories = []
        for t, row in enumerate(gates.unbind(dim=-2)):
            memory, cell = (_if_there(x, exists, t) for x in advance(row + self.memory_gates(memory), cell))
            memories.append(memory)
        return torch.stack(memories, dim=-2)


class RecurrentBaseline(nn.Module):
    """An observation that is not seen is a zero one; nothing else tells the memory.

    Args:
        observation_dim: O.
        action_dim: A.
        memory: `GRUMemory`, `LSTMMemory`, or `tdlib.models.beliefs.attention.CausalMemory`.
        latent_dim: d, length of an encoded observation and of an encoded input; both together are encoded to 2d.
        hidden_dim: Width of the encoders.
        memory_dim: Length of the memory.
        decoder_hidden_dim: Width of the decoder.

    Source:
        Shaj et al. (2023), MTS3, baselines.
    """

    def __init__(
        self,
        observation_dim: int,
        action_dim: int,
        memory: Callable[[int, int], nn.Module] = GRUMemory,
        latent_dim: int = 30,
        hidden_dim: int = 120,
        memory_dim: int = 150,
        decoder_hidden_dim: int = 240,
    ):
        super().__init__()
        self.observation = UnitEncoder(observation_dim, hidden_dim, latent_dim)
        self.action = UnitEncoder(action_dim, hidden_dim, latent_dim)
        self.joint = UnitEncoder(2 * latent_dim, hidden_dim, 2 * latent_dim)
        self.memory = memory(2 * latent_dim, memory_dim)
        self.decoder = GaussianEncoder(memory_dim, decoder_hidden_dim, observation_dim)

    def forward(
        self, observations: Tensor, actions: Tensor, valid: Tensor | None = None, exists: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return mean and variance of the observation after each step, (..., T, O) both.

        Args:
            observations: (..., T, O) at the start of each step.
            actions: (..., T, A) held over it.
            valid: (..., T) bool, which observations are seen; None if all are.
            exists: (..., T) bool, which rows there were; the memory begins after the last that was not. None: all.
        """
        seen = observations if valid is None else torch.where(valid.unsqueeze(-1), observations, 0)
        encoded = self.joint(torch.cat([self.observation(seen), self.action(actions)], dim=-1))
        return self.decoder(self.memory(encoded, exists))


def _if_there(memory: Tensor, exists: Tensor | None, t: int) -> Tensor:
    return memory if exists is None else torch.where(exists[..., t, None], memory, torch.zeros_like(memory))
