"""One optimizer step of K models: loss, gradient, clipping, Adam and running sums, all in place on the device."""

from collections.abc import Callable

import torch
from torch import Tensor

from tdlib.core.context import Batch
from tdlib.speed.capture import Captured
from tdlib.speed.record import record
from tdlib.speed.stacked_weights import StackedWeights, clip_rows
from tdlib.training.sampling import Drawn, Layout

WORTH_RECORDING = 100  # steps: fewer take less time than recording one

Recordings = dict[tuple, Callable]  # programs of one fit; stacks of one shape share them


class StackedStep:
    """The training step of a stack, and its loss.

    Args:
        weights: Weights of K models.
        layout: What the rows of a batch are.
        unit: (K, D) what errors are divided by; None leaves that to the models.
        clip: Largest norm of one model's gradient.
        recordable: Whether the loss may be recorded: no branch on values.
    """

    def __init__(self, weights: StackedWeights, layout: Layout, unit: Tensor | None, clip: float, recordable: bool):
        self.weights, self.unit = weights, unit
        self._layout, self._clip, self._recordable = layout, clip, recordable
        count, like = len(weights.flat), weights.flat
        self._alive = torch.ones(count, dtype=torch.bool, device=like.device)
        self._sums = torch.zeros(2, count, dtype=like.dtype, device=like.device)  # of losses and norms
        self._gradient: Callable = self.gradient
        self._captured: Captured | None = None

    def batch(self, drawn: Drawn, unit: Tensor | None) -> Batch:
        """Name what was drawn, every tensor with a leading K."""
        return self._layout.batch(drawn, unit)

    def losses(self, drawn: Drawn, progress: Tensor, training: bool = True) -> Tensor:
        """Every model's loss with the present weights, (K,)."""
        batch = self.batch(drawn, self.unit)
        return self.weights.losses(self.weights.flat, self.weights.buffers, batch, progress, training)[0]

    def arguments(self, drawn: Drawn, progress: Tensor) -> list[Tensor]:
        """What `gradient` takes: a flat list, so that it can be recorded."""
        unit = [] if self.unit is None else [self.unit]
        return [self.weights.flat, progress, *drawn.tensors(), *unit, *self.weights.buffers]

    def gradient(self, flat: Tensor, progress: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        """Return losses and norms of the gradients (2, K), the clipped gradients (K, P), and the changed buffers."""
        drawn, rest = self._layout.drawn(others)
        unit, buffers = (None, rest) if self.unit is None else (rest[0], rest[1:])
        with torch.enable_grad():
            flat = flat.detach().requires_grad_()
            losses, changed = self.weights.losses(flat, buffers, self.batch(drawn, unit), progress)
            (gradient,) = torch.autograd.grad(losses.sum(), flat)  # models do not mix: block diagonal
        clipped, norms = clip_rows(self.weights.groups.shape_gradient(gradient, progress), self._clip)
        return torch.stack([losses.detach(), norms]), clipped, *changed

    def prepare(self, num_steps: int, key: tuple, recordings: Recordings, drawn: Drawn, progress: Tensor) -> None:
        """Make the next steps fast: record the gradient on a processor, capture the whole step on a card.

        Args:
            num_steps: Steps to come with batches of this shape.
            key: What the recording depends on beside shapes: the models' structure.
            recordings: Where recordings are looked up and kept.
            drawn: A batch.
            progress: () any.
        """
        self._gradient, self._captured = self.gradient, None
        if num_steps < WORTH_RECORDING or not self._recordable:
            return
        if progress.device.type == "cuda":
            rate = torch.zeros((), device=progress.device)
            self._captured = Captured(self._step, [*self.weights.state(), self._sums], rate, progress, *drawn.tensors())
            return
        arguments = self.arguments(drawn, progress)
        key = (key, self.unit is None, *((x.shape, x.dtype) for x in arguments))
        if key not in recordings:
            recordings[key] = record(self.gradient, *arguments)
        self._gradient = recordings[key]

    def __call__(self, learning_rate: Tensor, progress: Tensor, drawn: Drawn) -> None:
        """Take one step: learning rate (), progress (), and a batch."""
        (self._captured or self._step)(learning_rate, progress, *drawn.tensors())

    def read_sums(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return summed losses (K,) and norms (K,) since the last call, and who was always finite (K,); start anew."""
        losses, norms = self._sums.clone()
        self._alive &= self._sums.isfinite().all(dim=0)
        self._sums.zero_()
        return losses, norms, self._alive

    def state(self) -> list[Tensor]:
        """What steps change: weights, optimizer state, batch statistics, and the sums since they were last read."""
        return [*self.weights.state(), self._alive, self._sums]

    @torch.no_grad()
    def keep(self, rows: Tensor) -> None:
        """Drop all models but these."""
        self.weights.keep(rows)
        self.unit = None if self.unit is None else self.unit[rows]
        self._alive, self._sums = self._alive[rows], self._sums[:, rows]

    @torch.no_grad()
    def _step(self, learning_rate: Tensor, progress: Tensor, *drawn: Tensor) -> None:
        arguments = self.arguments(self._layout.drawn(drawn)[0], progress)
        measured, gradient, *changed = self._gradient(*arguments)
        self.weights.adam_step(gradient, learning_rate)
        self.weights.set_changing(changed)
        self._sums += measured  # once not finite, never finite again
