"""A causal transformer with a spread, trained on masked sequences as models with beliefs are."""

from dataclasses import dataclass

from tdlib.models.beliefs.attention import CausalMemory
from tdlib.models.beliefs.memory_model import MemoryModel, MemoryOptions, memory_network
from tdlib.models.family import family_of


@dataclass(frozen=True)
class GaussianTransformerOptions(MemoryOptions):
    """A memory of the length at which it has about as many weights as the other families of its chapter."""

    memory_dim: int = 24


class GaussianTransformerModel(MemoryModel):
    """Rows in, a Gaussian of the next observation out; every row looks back at all rows before it.

    Args:
        spec: State and action sizes and units of the environment.
        options: See `GaussianTransformerOptions`.

    Source:
        Seed 004, future work; Vaswani et al. (2017), Press, Smith, Lewis (2022).
    """

    Options = GaussianTransformerOptions
    Network = staticmethod(memory_network(CausalMemory))
    label = "Transformer"


FAMILY = family_of(GaussianTransformerModel)
