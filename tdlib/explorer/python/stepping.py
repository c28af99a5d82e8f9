"""How a model is followed open loop, one interval after the other, whatever it carries along.

A Markov model carries nothing. One that remembers is told the state it starts from and goes on from its own
predictions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tdlib.models import DynamicsModel
from tdlib.speed.trace import leaves_of

Carry = Sequence[Tensor]
Advance = Callable[..., tuple[Tensor, Carry]]  # (state, action, Δt, *carry) -> next state, carry


@dataclass(frozen=True)
class Stepping:
    """A model as plain functions of tensors.

    Args:
        initial: (state, action) -> carry before the first step, a list of tensors; empty for Markov models.
        start: The first step, which is told its state: (state, action, Δt, *carry) -> next state, carry.
        follow: A later step, from the model's own prediction; the state it is given is that prediction.
    """

    initial: Callable[[Tensor, Tensor], Carry]
    start: Advance
    follow: Advance


def stepping(model: DynamicsModel) -> Stepping | None:
    """Return how a model advances; None if it predicts whole sequences only."""
    if not model.has_memory:

        def forward(state: Tensor, action: Tensor, delta_t: Tensor) -> tuple[Tensor, Carry]:
            return model(state, action, delta_t), []

        return Stepping(lambda state, action: [], forward, forward)
    if not hasattr(model, "step"):
        return None
    _, rebuild = leaves_of(model.initial_memory(torch.zeros(model.spec.state_dim, dtype=torch.float64)))

    def advance(state: Tensor, action: Tensor, delta_t: Tensor, *carry: Tensor) -> tuple[Tensor, Carry]:
        memory, following = model.step(rebuild(carry), state, action, delta_t)
        return following, leaves_of(memory)[0]

    return Stepping(lambda state, action: leaves_of(model.initial_memory(state))[0], advance, advance)
