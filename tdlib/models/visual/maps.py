"""Predictors that map a state to the next one; Δt enters as in `tdlib.models.forms`, by default not at all.

s' = s + s(Δt)/h · f(s, e(a), gain·Δt),   h the training interval
"""

from abc import abstractmethod

import torch
from torch import Tensor

from tdlib.core.specs import EnvironmentSpec
from tdlib.models.forms import StepForm, form_coefficients
from tdlib.models.visual.options import VisualOptions
from tdlib.models.visual.predictor import Memory, Predictor


class MapPredictor(Predictor):
    """A learned increment, stretched as the form says."""

    def __init__(self, spec: EnvironmentSpec, options: VisualOptions):
        super().__init__(spec, options)
        self.form = StepForm(options.form, options.train_delta_t)
        self.sees_delta_t = form_coefficients(options.form, options.train_delta_t)[0] != 0

    @property
    def meaning(self) -> dict[str, object]:
        return super().meaning | {"form": self.options.form, "train_delta_t": self.options.train_delta_t}

    @property
    def input_dim(self) -> int:
        """Channels of a state, an embedded input, and the form's Δt input where it has one."""
        return self.space.channels + self.embedding_dim + int(self.sees_delta_t)

    @abstractmethod
    def increment(self, inputs: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Return the change over a training interval, and what is remembered: (N, `input_dim`, ...) -> (N, C, ...)."""

    def advance(self, state: Tensor, action_emb: Tensor, delta_t: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        seen, size = self.form(delta_t)
        inputs = self.joined(state, action_emb, *([seen] if self.sees_delta_t else []))
        change, memory = self.increment(inputs, memory)
        share = (size / self.options.train_delta_t).view(-1, *(1 for _ in state.shape[1:]))
        return state + share * change, memory


class JumpPredictor(MapPredictor):
    """s' = s + f(s, e(a)); f of the VQ-VAE reads several latents, the newest first."""

    def __init__(self, spec: EnvironmentSpec, options: VisualOptions):
        super().__init__(spec, options)
        self.past = options.context_length - 1 if options.autoencoder == "vqvae" else 0
        inputs = self.input_dim + self.past * self.space.channels
        self.network = self.space.network(inputs, self.space.channels)

    def begin(self, state: Tensor) -> Memory:
        """Where less is known, the first latent stands for those before it."""
        return (torch.cat([state] * self.past, dim=-self.space.event_dims),) if self.past else ()

    def increment(self, inputs: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        change = self.network(torch.cat([inputs, *memory], dim=1))
        if not memory:
            return change, ()
        channels = self.space.channels
        newest_first = torch.cat([inputs[:, :channels], memory[0]], dim=1)
        return change, (newest_first[:, : self.past * channels],)


class LSTMPredictor(MapPredictor):
    """s' = s + W m, (m, c) the memory of a cell that reads (s, e(a)); it is zero before the first state."""

    def __init__(self, spec: EnvironmentSpec, options: VisualOptions):
        super().__init__(spec, options)
        hidden = self.space.hidden
        self.gates = self.space.affine(self.input_dim + hidden, 4 * hidden)
        self.output = self.space.pointwise(hidden, self.space.channels)

    def begin(self, state: Tensor) -> Memory:
        axis = state.ndim - self.space.event_dims
        none = state.new_zeros(*state.shape[:axis], self.space.hidden, *state.shape[axis + 1 :])
        return none, none

    def increment(self, inputs: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        output, cell = memory
        enter, forget, leave, new = self.gates(torch.cat([inputs, output], dim=1)).chunk(4, dim=1)
        cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(new)
        output = torch.sigmoid(leave) * torch.tanh(cell)
        return self.output(output), (output, cell)
