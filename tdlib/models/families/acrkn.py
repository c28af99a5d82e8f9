"""Ac-RKN: a Kalman filter in a latent space, whose step a held input shifts."""

from dataclasses import dataclass

from tdlib.core.facts import MIXED
from tdlib.models.beliefs.compositions import AcRKN
from tdlib.models.beliefs.filter_model import FilterModel
from tdlib.models.beliefs.options import BeliefOptions
from tdlib.models.family import Shown, family_of


@dataclass(frozen=True)
class AcRKNOptions(BeliefOptions):
    """Options of Ac-RKN as a baseline of MTS3, of about its size, with its encoder (`norm` none).

    As published there it is `BeliefOptions(norm="post")`: to compare levels, nothing else may differ.
    In its own paper `num_basis` is 15, `band` 3, `norm` unit, and `identity` is added.
    """

    latent_dim: int = 16
    hidden_dim: int = 96
    control_hidden_dim: int = 96
    decoder_hidden_dim: int = 96
    mask_window: int = 10


class AcRKNModel(FilterModel):
    """z ~ condition(z, o),   z' ~ marginalize(A z + b(a) + noise),   o' ~ decode(z').

    Args:
        spec: State and action sizes and units of the environment.
        options: See `AcRKNOptions`.

    Source:
        Shaj et al. (2020), Action-conditional recurrent Kalman networks; seed 004.
    """

    Options = AcRKNOptions
    Network = AcRKN
    label = "Ac-RKN"
    shown = Shown(on_page=(("multi_resolution", "flow", MIXED),))


FAMILY = family_of(AcRKNModel)
