"""Ac-RKN: a Kalman filter in a latent space, whose step a held input shifts."""

from dataclasses import dataclass

from tdlib.models.beliefs.compositions import AcRKN
from tdlib.models.beliefs.filter_model import FilterModel
from tdlib.models.beliefs.options import BeliefOptions


@dataclass(frozen=True)
class AcRKNOptions(BeliefOptions):
    """Options of Ac-RKN as a baseline of MTS3; in its own paper `num_basis` 15, `band` 3, `identity`, `norm` unit."""

    norm: str = "post"


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
