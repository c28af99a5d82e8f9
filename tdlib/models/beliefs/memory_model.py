"""Dynamics models with a spread but without a belief: a memory that reads rows, and a decoder with two heads."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from tdlib.models.beliefs.forms import TOLD
from tdlib.models.beliefs.levels import Predicted
from tdlib.models.beliefs.model import arms_of
from tdlib.models.beliefs.options import BeliefOptions
from tdlib.models.beliefs.recurrent import RecurrentBaseline
from tdlib.models.beliefs.sequence_model import SequenceModel


@dataclass(frozen=True)
class MemoryOptions(BeliefOptions):
    """Options of memories with a spread; of a first belief or a set they have no effect, of a matrix they are refused.

    Args:
        memory_dim: Length of the memory.
    """

    forms: ClassVar[tuple[str, ...]] = TOLD
    latent_dim: int = 16
    hidden_dim: int = 48
    decoder_hidden_dim: int = 64
    mask_window: int = 10
    memory_dim: int = 40

    def __post_init__(self):
        super().__post_init__()
        if self.memory_dim < 1:
            raise ValueError(f"memory_dim must be >= 1, got {self.memory_dim}")
        if self.identity or self.band or self.num_basis:
            raise ValueError("identity, band and num_basis are of a matrix per step, a memory has none")


def memory_network(memory: Callable[[int, int], nn.Module]) -> Callable[..., RecurrentBaseline]:
    """Return what builds the network around a memory from sizes and options."""

    def build(observation_dim: int, action_dim: int, options: MemoryOptions) -> RecurrentBaseline:
        sizes = options.latent_dim, options.hidden_dim, options.memory_dim, options.decoder_hidden_dim
        return RecurrentBaseline(observation_dim, action_dim + 1, memory, *sizes)  # and what is seen

    return build


class MemoryModel(SequenceModel):
    """m_k = memory(m_{k−1}, o_k or zero, a_k, seen_k),   o' ~ N(W m, softplus(V m)); what is not seen is a zero.

    It is trained as models with beliefs are, on the same masks and the same loss. Beside the held input it is told
    whether a row was seen, as a filter is; the published baselines are not, so that a zero may be either.

    Args:
        spec: State and action sizes and units of the environment.
        options: See `MemoryOptions`.

    Source:
        Shaj et al. (2023), MTS3, baselines.
    """

    Options = MemoryOptions
    ARMS = arms_of(TOLD)
    options: MemoryOptions
    network: RecurrentBaseline

    def filtered(
        self, observations: Tensor, inputs: Tensor, valid: Tensor, delta_t: Tensor, exists: Tensor | None = None
    ) -> Predicted:
        del delta_t  # told by the inputs, if at all
        told = torch.cat([inputs, valid.unsqueeze(-1).to(inputs)], dim=-1)
        mean, variance = self.network(observations, told, valid, exists)
        return Predicted(mean, variance)
