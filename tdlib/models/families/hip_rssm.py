"""HiP-RSSM: the filter of Ac-RKN with a task that is read once off what is known of the past."""

from dataclasses import dataclass

from torch import Tensor

from tdlib.models.beliefs.belief import Belief
from tdlib.models.beliefs.compositions import HiPRSSM
from tdlib.models.beliefs.filter_model import FilterModel
from tdlib.models.beliefs.options import HiPRSSMOptions
from tdlib.models.family import family_of


@dataclass(frozen=True)
class HiPRSSMModelOptions(HiPRSSMOptions):
    """Options of HiP-RSSM of about the size of MTS3, with its encoder; nothing of what is masked leaks into its task.

    The published baseline is `HiPRSSMOptions()`, whose encoders normalize (`norm` post).
    """

    norm: str = "none"
    latent_dim: int = 12
    hidden_dim: int = 64
    control_hidden_dim: int = 64
    set_hidden_dim: int = 96
    decoder_hidden_dim: int = 96
    mask_window: int = 10
    context_length: int = 20
    both_ends: bool = True


class HiPRSSMModel(FilterModel):
    """l ~ aggregate(o, a, o' of known steps),   z ~ condition(z, o),   z' ~ marginalize(A z + b(a) + C l + noise).

    In training the task l is read off the first `context_length` steps of a sequence, in use off the whole context;
    without one it is N(0, I).

    Args:
        spec: State and action sizes and units of the environment.
        options: See `HiPRSSMModelOptions`.

    Source:
        Shaj et al. (2022), Hidden parameter recurrent state space models; seed 004.
    """

    Options = HiPRSSMModelOptions
    Network = HiPRSSM
    label = "HiP-RSSM"
    options: HiPRSSMModelOptions
    network: HiPRSSM

    def task(self, observations: Tensor, inputs: Tensor, valid: Tensor, delta_t: Tensor) -> Belief | None:
        return self.network.task(observations, inputs, valid, delta_t)


FAMILY = family_of(HiPRSSMModel)
