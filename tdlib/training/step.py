"""One optimizer step of K members: loss, gradient, clipping, Adam and running sums, all in place on the device."""

from collections.abc import Callable

import torch
from torch import Tensor

from tdlib.core.specs import EnvironmentSpec, state_difference
from tdlib.speed.capture import Captured
from tdlib.speed.record import record
from tdlib.speed.stacked_weights import StackedWeights, clip_rows
from tdlib.training.budget import Budget
from tdlib.training.sampling import columns

WORTH_RECORDING = 100  # steps: fewer take less time than recording one

Recordings = dict[tuple, Callable]  # programs of one fit; stacks of one shape share them


class StackedStep:
    """The training step of a stack, and its loss.

    Args:
        weights: Weights of K models.
        scale: (K, D) unit of the errors: σ [unit/s] for the loss `increment`, else the spread of the states [unit].
        spec: State sizes and angles.
        windows: Whether the models train on windows.
        budget: Loss and clipping.
    """

    def __init__(self, weights: StackedWeights, scale: Tensor, spec: EnvironmentSpec, windows: bool, budget: Budget):
        self.weights, self.scale = weights, scale
        self._spec, self._windows, self._budget = spec, windows, budget
        self._alive = torch.ones(len(scale), dtype=torch.bool, device=scale.device)
        self._sums = torch.zeros(2, len(scale), dtype=scale.dtype, device=scale.device)  # of losses and norms
        self._gradient: Callable = self.gradient
        self._captured: Captured | None = None

    def losses(self, flat: Tensor, scale: Tensor, rows: Tensor, valid: Tensor | None, *buffers: Tensor) -> Tensor:
        """Return every member's mean of ((x̂ − x')/scale)² over the transitions that count.

        Args:
            flat: (K, P) weights.
            scale: (K, D), as in the constructor.
            rows: (K, F, B) transitions, or (K, F, B, T) windows, as `columns` splits them.
            valid: (K, B, T) which steps of the windows count; None counts all.
            buffers: Of the weights.

        Returns:
            (K,)
        """
        state, action, next_state, delta_t = columns(rows, self._spec)
        if self._windows:
            predicted = self.weights.call(flat, buffers, "window_predictions", state, action, delta_t)
            error = state_difference(predicted, next_state, self._spec)  # free-running angles may be turns away
        else:
            error = self.weights.call(flat, buffers, "forward", state, action, delta_t) - next_state
        unit = scale.view(-1, *[1] * (error.ndim - 2), error.shape[-1])
        if self._budget.loss == "increment":
            unit = delta_t.unsqueeze(-1) * unit
        squared = (error / unit).square().mean(dim=-1).flatten(1)
        if valid is None:
            return squared.mean(dim=1)
        weight = valid.flatten(1).to(squared.dtype)
        return (squared * weight).sum(dim=1) / weight.sum(dim=1)

    def gradient(self, flat: Tensor, scale: Tensor, rows: Tensor, *others: Tensor) -> tuple[Tensor, Tensor]:
        """Return losses and norms of the gradients (2, K), and the clipped gradients (K, P).

        `others` are valid, where models train on windows, and the buffers of the weights.
        """
        valid, buffers = (others[0], others[1:]) if self._windows else (None, others)
        with torch.enable_grad():
            flat = flat.detach().requires_grad_()
            losses = self.losses(flat, scale, rows, valid, *buffers)
            (gradient,) = torch.autograd.grad(losses.sum(), flat)  # members do not mix: block diagonal
        clipped, norms = clip_rows(gradient, self._budget.clip)
        return torch.stack([losses.detach(), norms]), clipped

    def prepare(self, num_steps: int, key: tuple, recordings: Recordings, *batch: Tensor) -> None:
        """Make the next steps fast: record the gradient on a processor, capture the whole step on a card.

        Args:
            num_steps: Steps to come with batches of this shape.
            key: What the recording depends on beside shapes: the models' structure and the loss.
            recordings: Where recordings are looked up and kept.
            batch: Rows, and for windows which steps count.
        """
        self._gradient, self._captured = self.gradient, None
        if num_steps < WORTH_RECORDING:
            return
        if self.scale.device.type == "cuda":
            rate = torch.zeros((), device=self.scale.device)
            self._captured = Captured(self._step, [*self.weights.state(), self._sums], rate, *batch)
            return
        arguments = (self.weights.flat, self.scale, *batch, *self.weights.buffers)
        key = (key, *((x.shape, x.dtype) for x in arguments))
        if key not in recordings:
            recordings[key] = record(self.gradient, *arguments)
        self._gradient = recordings[key]

    def __call__(self, learning_rate: Tensor, *batch: Tensor) -> None:
        """Take one step: learning rate (), rows, and for windows which steps count."""
        (self._captured or self._step)(learning_rate, *batch)

    def read_sums(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return summed losses (K,) and norms (K,) since the last call, and who was always finite (K,); start anew."""
        losses, norms = self._sums.clone()
        self._alive &= self._sums.isfinite().all(dim=0)
        self._sums.zero_()
        return losses, norms, self._alive

    @torch.no_grad()
    def keep(self, rows: Tensor) -> None:
        """Drop all members but these."""
        self.weights.keep(rows)
        self.scale, self._alive, self._sums = self.scale[rows], self._alive[rows], self._sums[:, rows]

    @torch.no_grad()
    def _step(self, learning_rate: Tensor, *batch: Tensor) -> None:
        measured, gradient = self._gradient(self.weights.flat, self.scale, *batch, *self.weights.buffers)
        self.weights.adam_step(gradient, learning_rate)
        self._sums += measured  # once not finite, never finite again
