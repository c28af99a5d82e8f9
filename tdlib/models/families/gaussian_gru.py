"""A GRU with a spread, trained on masked sequences as models with beliefs are."""

from tdlib.models.beliefs.memory_model import MemoryModel, memory_network
from tdlib.models.beliefs.recurrent import GRUMemory
from tdlib.models.family import family_of


class GaussianGRUModel(MemoryModel):
    """Rows in, a Gaussian of the next observation out; the memory is that of a GRU.

    Args:
        spec: State and action sizes and units of the environment.
        options: See `MemoryOptions`.

    Source:
        Shaj et al. (2023), MTS3, baselines; Cho et al. (2014).
    """

    Network = staticmethod(memory_network(GRUMemory))
    label = "GRU, Gaussian"


FAMILY = family_of(GaussianGRUModel)
