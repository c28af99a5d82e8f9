"""What every predictor of latents is asked: the state Δt later, one step at a time or at every place of a sequence."""

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from tdlib.core.specs import EnvironmentSpec
from tdlib.models.encoders import ActionEncoder
from tdlib.models.visual.options import VisualOptions
from tdlib.models.visual.spaces import Space

Memory = tuple[Tensor, ...]  # what is carried beside the state; empty of predictors that remember nothing


class Predictor(nn.Module, ABC):
    """s(t + Δt) from s(t) and the input held in between; s is a latent state (C, h, w) or (D,).

    Args:
        spec: Inputs of the environment; there may be none.
        options: Sizes, solver, and the interval where a call names none.
    """

    Space: ClassVar[type[Space]]
    has_energy = False

    def __init__(self, spec: EnvironmentSpec, options: VisualOptions):
        super().__init__()
        self.options, self.space = options, self.Space(options)
        self.embedding_dim = options.action_embedding_dim if spec.action_dim else 0
        self.action_encoder = ActionEncoder(spec, self.embedding_dim) if self.embedding_dim else None

    @property
    def meaning(self) -> dict[str, object]:
        """Options beside sizes on which it depends what weights do, for whoever takes them from another predictor."""
        return {"autoencoder": self.options.autoencoder}

    @abstractmethod
    def advance(self, state: Tensor, action_emb: Tensor, delta_t: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Advance N states by one interval each.

        Args:
            state: (N, C, ...).
            action_emb: (N, E) embedded held input.
            delta_t: (N,) [s].
            memory: From `begin` or the step before, (N, ...) each.
        """

    def begin(self, state: Tensor) -> Memory:
        """Return what is carried into the first step from states (..., C, ...)."""
        del state
        return ()

    def step(
        self, state: Tensor, action: Tensor, dt: Tensor | float | None = None, memory: Memory = ()
    ) -> tuple[Tensor, Memory]:
        """Advance by one interval; batch shapes are broadcast.

        Args:
            state: (..., C, ...).
            action: (..., A) held input.
            dt: (...) interval [s]; None means that of training. It may be negative.
            memory: From `begin` or the step before.
        """
        dt = self.options.train_delta_t if dt is None else dt
        like = dict(dtype=state.dtype, device=state.device)
        interval = dt.to(**like) if isinstance(dt, Tensor) else torch.tensor(dt, **like)
        events = self.space.event_dims
        lead, own = state.ndim - events, state.shape[-events:]
        shape = np.broadcast_shapes(state.shape[:lead], action.shape[:-1], interval.shape)
        count = math.prod(shape)
        if self.action_encoder is None:
            embedded = state.new_zeros(*shape, 0)
        else:
            embedded = self.action_encoder(action).expand(*shape, -1)
        carried = tuple(x.expand(*shape, *x.shape[lead:]).reshape(count, *x.shape[lead:]) for x in memory)
        following, memory = self.advance(
            state.expand(*shape, *own).reshape(count, *own),
            embedded.reshape(count, self.embedding_dim),
            interval.expand(shape).reshape(count),
            carried,
        )
        return following.reshape(*shape, *own), tuple(x.reshape(*shape, *x.shape[1:]) for x in memory)

    def forward(self, context: Tensor, action: Tensor, dt: Tensor | float | None = None) -> Tensor:
        """Predict what follows every state of a sequence, nothing known before it.

        Args:
            context: (..., T, C, ...) states.
            action: (..., T, A) held from each of them.
            dt: (..., T), or one number for all [s]; None means that of training.

        Returns:
            (..., T, C, ...) what follows each.
        """
        axis = context.ndim - self.space.event_dims - 1
        memory = self.begin(context.select(axis, 0))
        if not memory:
            return self.step(context, action, dt)[0]
        predicted = []
        for t in range(context.shape[axis]):
            interval = dt[..., t] if isinstance(dt, Tensor) and dt.ndim else dt
            following, memory = self.step(context.select(axis, t), action[..., t, :], interval, memory)
            predicted.append(following)
        return torch.stack(predicted, dim=axis)

    def joined(self, state: Tensor, *numbers: Tensor) -> Tensor:
        """Append numbers (N, E) of each state to its channels: (N, C + ΣE, ...)."""
        return torch.cat([state, *(self.space.spread(x, state) for x in numbers if x.shape[-1])], dim=1)
