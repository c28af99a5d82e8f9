"""How a model is followed open loop, one interval after the other, whatever it carries along.

A Markov model carries nothing. One that remembers is told the state it starts from and goes on from its own
predictions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tdlib.models import Context, DynamicsModel
from tdlib.speed.pytrees import leaves_of

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
    if model.whole_sequences:
        return None
    state, action = (torch.zeros(size, dtype=torch.float64) for size in (model.spec.state_dim, model.spec.action_dim))
    _, rebuild = leaves_of(model.initial(Context.empty(state, action)))

    def initial(state: Tensor, action: Tensor) -> Carry:
        return leaves_of(model.initial(Context.empty(state, action)))[0]

    def start(state: Tensor, action: Tensor, delta_t: Tensor, *carry: Tensor) -> tuple[Tensor, Carry]:
        following, prediction = model.step(rebuild(carry), action, delta_t, state)
        return prediction.state, leaves_of(following)[0]

    def follow(state: Tensor, action: Tensor, delta_t: Tensor, *carry: Tensor) -> tuple[Tensor, Carry]:
        following, prediction = model.step(rebuild(carry), action, delta_t)
        return prediction.state, leaves_of(following)[0]

    return Stepping(initial, start, follow)
