"""An LSTM with a spread, trained on masked sequences as models with beliefs are."""

from dataclasses import dataclass

from tdlib.models.beliefs.memory_model import MemoryModel, MemoryOptions, memory_network
from tdlib.models.beliefs.recurrent import LSTMMemory
from tdlib.models.family import family_of


@dataclass(frozen=True)
class GaussianLSTMOptions(MemoryOptions):
    """A memory of the length at which it has about as many weights as the other families of its chapter."""

    memory_dim: int = 34


class GaussianLSTMModel(MemoryModel):
    """Rows in, a Gaussian of the next observation out; the memory is that of an LSTM.

    Args:
        spec: State and action sizes and units of the environment.
        options: See `GaussianLSTMOptions`.

    Source:
        Shaj et al. (2023), MTS3, baselines; Hochreiter and Schmidhuber (1997).
    """

    Options = GaussianLSTMOptions
    Network = staticmethod(memory_network(LSTMMemory))
    label = "LSTM, Gaussian"


FAMILY = family_of(GaussianLSTMModel)
