"""A penalty on flows that do not run back when all velocities turn round, as those without friction do.

    R(q, v) = (q, −v),   R Φ_Δ(R Φ_Δ(x, a), a) = x

It holds for every conservative mechanical system under a held force that does not depend on velocity; friction breaks
it. Plain Φ_−Δ Φ_Δ = id would say nothing: every field has that.
"""

import torch
from torch import Tensor

from tdlib.core.context import Batch
from tdlib.core.specs import EnvironmentSpec
from tdlib.models.contract import DynamicsModel


def velocities_reversed(state: Tensor, spec: EnvironmentSpec) -> Tensor:
    """Return R x: (..., D) -> (..., D), positions as they are and velocities the other way."""
    return torch.stack([-x if i in spec.velocity_dims else x for i, x in enumerate(state.unbind(-1))], dim=-1)


def reversal_defect(model: DynamicsModel, state: Tensor, action: Tensor, delta_t: Tensor | float | None) -> Tensor:
    """Return R Φ(R Φ(x, a), a) − x, (..., D): zero where the model's flow can be run back."""
    moved = velocities_reversed(model(state, action, delta_t), model.spec)
    return velocities_reversed(model(moved, action, delta_t), model.spec) - state


def reversal_penalty(model: DynamicsModel, batch: Batch) -> Tensor:
    """Mean square of the defect in the units of the loss, over the starts of a batch: ().

    Source:
        Huh, Yang, Hwang, Shin (2020), Time-Reversal Symmetric ODE Network.
    """
    return model.mean_square(reversal_defect(model, batch.state, batch.action, batch.delta_t), batch)
