"""The GRU in row form: memory, coordinates relative to the first row, and changes that turn angles; all in place.

    reset, keep = σ(W X + V m),   n = tanh(W' X + reset·(V' m + b')),   m' = n + keep·(m − n)
    change = s(Δt)·(L m' + l)

One column per row of a batch.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tdlib.models.forms import step_size
from tdlib.speed.row_steps import Advance, Columns


@dataclass(frozen=True)
class GRUSteps:
    """Weights of K models over rows.

    Args:
        input_gates: (K, 3H, R) reset, keep, candidate, biases of the first two in full.
        memory_gates: (K, 3H, H) likewise.
        bias: (K, H, 1) that the memory adds to the candidate.
        change: (K, D + number of angles, H) change per second of every dimension, of an angle the sine of the pair that
            turns it; then the cosines less one of these pairs.
        change_bias: (K, D + number of angles, 1).
        coefficients: (K, 4) of every model's form.
        angles: State dimensions that are angles.
        relative: State dimensions that are seen relative to the first row.
        train_delta_t: (K,) intervals to which the keep gate belongs [s], where it acts per time; None: per row.
    """

    input_gates: Tensor
    memory_gates: Tensor
    bias: Tensor
    change: Tensor
    change_bias: Tensor
    coefficients: Tensor
    angles: tuple[int, ...]
    relative: tuple[int, ...]
    train_delta_t: Tensor | None

    def empty_memory(self, num_columns: int) -> list[Tensor]:
        """Return what is carried, zero: (K, H, N), and with relative dimensions their first values and whether any."""
        count, width = self.change.shape[0], self.change.shape[-1]
        rows = [width, *([len(self.relative), 1] if self.relative else [])]
        return [self.change.new_zeros(count, each, num_columns) for each in rows]

    def by_interval(self, columns: Columns, memory: list[Tensor], fixed: Tensor | None = None) -> Advance:
        """Prepare `advance(state, delta_t, out)` as `MapSteps` does; what is carried is overwritten at every step.

        Args:
            columns: Numbers that the network reads.
            memory: As `empty_memory`.
            fixed: (K, N) the interval of all steps [s], if it is known.
        """
        remember = self.remember(columns, memory)
        shape = (*self.change.shape[:2], columns.increment.shape[-1])
        changes = self.change.new_empty(shape)  # (K, D + angles, N)
        rows = changes.transpose(0, 1)
        own, cosines = rows[: shape[1] - len(self.angles)], rows[shape[1] - len(self.angles) :]
        coefficients = self.coefficients.to(self.change.dtype).unsqueeze(1)  # (K, 1, 4)
        known = None if fixed is None else step_size(coefficients, fixed)

        def advance(state: Tensor, delta_t: Tensor, out: Tensor) -> None:
            columns.load(state)
            columns.delta_t.copy_(delta_t)
            remember()
            torch.baddbmm(self.change_bias, self.change, memory[0], out=changes)
            changes.mul_((step_size(coefficients, delta_t) if known is None else known).unsqueeze(1))
            cosines.add_(1.0)
            for angle, cosine in zip(self.angles, cosines, strict=True):
                torch.atan2(own[angle], cosine, out=own[angle])
            torch.add(state, own, out=out)

        return advance

    def remember(self, columns: Columns, memory: list[Tensor]) -> Callable[[], None]:
        """Return what advances the memory in place by the step that lies in the columns."""
        count, width, num_columns = memory[0].shape
        gates = memory[0].new_empty(count, 2 * width, num_columns)
        reset, keep = gates.chunk(2, dim=1)
        candidate, own = torch.empty_like(memory[0]), torch.empty_like(memory[0])
        (known, inner), (memory_known, memory_inner) = (
            x.split([2 * width, width], dim=1) for x in (self.input_gates, self.memory_gates)
        )
        own_interval = None if self.train_delta_t is None else self.train_delta_t.view(-1, 1)

        def advance() -> None:
            if self.relative:
                self._count_from(columns, *memory[1:])
            torch.bmm(known, columns.matrix, out=gates)
            gates.baddbmm_(memory_known, memory[0]).sigmoid_()
            torch.bmm(inner, columns.matrix, out=candidate)
            torch.baddbmm(self.bias, memory_inner, memory[0], out=own)
            candidate.addcmul_(reset, own).tanh_()
            if own_interval is not None:
                keep.pow_((columns.delta_t / own_interval).unsqueeze(1))
            torch.lerp(candidate, memory[0], keep, out=memory[0])

        return advance

    def _count_from(self, columns: Columns, origin: Tensor, started: Tensor) -> None:
        """Subtract the first row from what is seen relative to it; where there was none, this is the first."""
        seen = columns.state[list(self.relative)].transpose(0, 1)  # (K, r, N)
        origin.copy_(torch.where(started > 0, origin, seen))
        started.fill_(1.0)
        for row, dim in enumerate(self.relative):
            columns.state[dim].sub_(origin[:, row])
