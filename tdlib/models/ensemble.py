"""Several models of the same data: their mean predicts, their spread warns."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tdlib.core.transitions import Transitions
from tdlib.models.contract import DynamicsModel
from tdlib.models.encoders import Scales


class Ensemble(DynamicsModel):
    """x' = mean of the members' predictions.

    Args:
        members: Markov models of one structure, each with its own initialization and batches.

    Raises:
        ValueError: If there are fewer than two members, or they differ in structure.
    """

    def __init__(self, members: Sequence[DynamicsModel]):
        if len(members) < 2:
            raise ValueError(f"members must be at least two models, got {len(members)}")
        if len({member.structure() for member in members}) > 1:
            raise ValueError("members must share class, sizes and precision")
        super().__init__(members[0].spec, float(members[0].train_delta_t))
        self.members = nn.ModuleList(members)

    @property
    def scales(self) -> Scales:
        """Scales of the first member; all members share the training data."""
        return self.members[0].scales

    def forward(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        return self.member_predictions(state, action, delta_t).mean(dim=0)

    def spread(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        """Standard deviation over the members: (..., D), (..., A), (...) -> (..., D) [unit]."""
        return self.member_predictions(state, action, delta_t).std(dim=0)

    def member_predictions(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        """Each member's prediction, (M, ..., D)."""
        return torch.stack([member(state, action, delta_t) for member in self.members])

    def fit_scales(self, transitions: Transitions) -> None:
        for member in self.members:
            member.fit_scales(transitions)

    def structure(self) -> tuple:
        return (*super().structure(), *self.members[0].structure())
