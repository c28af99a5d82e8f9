"""Several models of the same data: their mean predicts, their spread warns."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tdlib.core.facts import MIXED
from tdlib.core.specs import EnvironmentSpec
from tdlib.models.contract import DynamicsModel
from tdlib.models.families import jump
from tdlib.models.family import Arms, Family, Shown


@dataclass(frozen=True)
class EnsembleOptions(jump.JumpOptions):
    """Options of an ensemble of jump models.

    Args:
        num_members: How many.
    """

    num_members: int = 5


class Ensemble(DynamicsModel):
    """x' = mean of the members' predictions.

    Args:
        members: Markov models of one structure, each with its own initialization and batches.

    Raises:
        ValueError: If there are fewer than two members, or they differ in structure.
    """

    mixes = ("train_delta_t", "form")

    def __init__(self, members: Sequence[DynamicsModel]):
        if len(members) < 2:
            raise ValueError(f"members must be at least two models, got {len(members)}")
        if len({member.structure() for member in members}) > 1:
            raise ValueError("members must share class, sizes and precision")
        super().__init__(members[0].spec, members[0].options, own_scales=False)
        self.members = nn.ModuleList(members)
        self.needs = members[0].needs

    def forward(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        return self.member_predictions(state, action, delta_t).mean(dim=0)

    def spread(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        """Standard deviation over the members: (..., D), (..., A), (...) -> (..., D) [unit]."""
        return self.member_predictions(state, action, delta_t).std(dim=0)

    def member_predictions(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        """Each member's prediction, (M, ..., D)."""
        return torch.stack([member(state, action, delta_t) for member in self.members])

    def learners(self) -> list[DynamicsModel]:
        return list(self.members)

    def structure(self) -> tuple:
        return (*super().structure(), *self.members[0].structure())


def of_jumps(spec: EnvironmentSpec, options: EnsembleOptions) -> Ensemble:
    """Build an ensemble of jump models."""
    return Ensemble([jump.jump_model(spec, options) for _ in range(options.num_members)])


ARMS = (
    Arms("dt_conditioned", "scaled_concat", ("20",)),
    Arms("multi_resolution", "scaled_concat", (MIXED,)),
)
SHOWN = Shown()  # nowhere: a figure of its own scores its spread
FAMILY = Family(
    Ensemble, of_jumps, EnsembleOptions, ARMS, label="ensemble of 5 jumps", short_label="ensemble", shown=SHOWN
)
