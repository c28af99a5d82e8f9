"""Cells written out: one step of a GRU; of an LSTM one step, and many through a window with their gradient written out.

GRU, gates (reset, keep, candidate) = inputs + memory's, as `torch.nn.GRU` orders them:

    candidate = tanh(n_inputs + σ(reset)·n_memory),   h' = candidate + keep·(h − candidate)

LSTM:

    keep, write, show = σ(z),  candidate = tanh z = 2 σ(2z) − 1,  z = gates_t + W·output_{t−1}
    cell_t = keep·cell_{t−1} + write·candidate,  output_t = show·tanh cell_t

Differentiating step by step would sum one small product per step for the gradient of W and look at every gate by
itself. Written out, the LSTM's gradient of W is one product over the window and one sigmoid serves all gates of a step:
half the time in training. The GRU, whose gates are apart, sums its small products where it goes.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


def advance(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Take one step of the cell: gates z (..., 4H) and state (..., H) -> output (..., H) and state (..., H)."""
    keep, write, candidate, show = gates.chunk(4, dim=-1)
    cell = torch.sigmoid(keep) * cell + torch.sigmoid(write) * torch.tanh(candidate)
    return torch.sigmoid(show) * torch.tanh(cell), cell


def gru_advance(inputs: Sequence[Tensor], own: Sequence[Tensor], memory: Tensor, ratio: Tensor | None = None) -> Tensor:
    """Take one step of a GRU cell.

    Args:
        inputs: What the row adds to reset, keep and candidate, each (..., H).
        own: What the memory adds, likewise.
        memory: (..., H).
        ratio: (..., 1) how many of the steps it was trained on pass; the keep gate acts so often. None is one.

    Returns:
        (..., H)
    """
    (reset, keep, candidate), (own_reset, own_keep, own_candidate) = inputs, own
    candidate = torch.tanh(candidate + torch.sigmoid(reset + own_reset) * own_candidate)
    kept = torch.sigmoid(keep + own_keep)
    if ratio is not None:
        kept = kept**ratio
    return candidate + kept * (memory - candidate)


def unroll(inputs: Tensor, input_gates: nn.Linear, memory_gates: nn.Linear) -> Tensor:
    """Return the cell's outputs from an empty memory on.

    Args:
        inputs: (T, ..., I) what the cell reads.
        input_gates: I -> 4H, what the inputs add to (keep, write, candidate, show).
        memory_gates: H -> 4H without bias, W.

    Returns:
        (T, ..., H)
    """
    weight, bias, recurrent = input_gates.weight, input_gates.bias, memory_gates.weight
    ones = torch.ones_like(recurrent[:, :1]).chunk(4)
    factor = torch.cat([ones[0], ones[1], 2 * ones[2], ones[3]])  # (4H, 1): σ(2z) for the candidate
    gates = nn.functional.linear(inputs, weight * factor, bias * factor.squeeze(-1))  # all T steps in one product
    return _Unroll.apply(gates, recurrent * factor)[0]


class GRUCell(NamedTuple):
    """Weights of a GRU gate by gate, in the order reset, keep, candidate.

    They are taken apart once for many steps: joined, the parts of all gates would be copied at every step, and so would
    the gradients of their weights.

    Args:
        rows: Three of (H, I), what a row adds.
        biases: Three of (H,), with those of the memory in the first two.
        memory: Three of (H, H), what the memory adds.
        turned: The same transposed, as they lie: products with them take three quarters of the time.
        own_bias: (H,) what the memory adds to the candidate besides.
    """

    rows: Sequence[Tensor]
    biases: Sequence[Tensor]
    memory: Sequence[Tensor]
    turned: Sequence[Tensor]
    own_bias: Tensor

    @classmethod
    def of(cls, input_gates: nn.Linear, memory_gates: nn.Linear) -> "GRUCell":
        """Take two layers apart, I -> 3H and H -> 3H."""
        reset, keep, candidate = input_gates.bias.chunk(3)
        own_reset, own_keep, own_bias = memory_gates.bias.chunk(3)
        biases = (reset + own_reset, keep + own_keep, candidate)
        memory = memory_gates.weight.chunk(3)
        turned = [weight.T.contiguous() for weight in memory]
        return cls(input_gates.weight.chunk(3), biases, memory, turned, own_bias)

    def gates(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Return what rows add to the gates: (..., I) -> three of (..., H), row by row, as the steps read them."""
        rows = rows.contiguous()
        return tuple(map(nn.functional.linear, (rows,) * 3, self.rows, self.biases))

    def own(self, memory: Tensor) -> tuple[Tensor, ...]:
        """Return what the memory adds to the gates: (..., H) -> three of (..., H)."""
        reset, keep, candidate = (memory @ weight for weight in self.turned)
        return reset, keep, candidate + self.own_bias

    def unroll(self, gates: Sequence[Tensor], memory: Tensor | None = None) -> Tensor:
        """Return the memory after T known rows, with its gradient written out.

        Args:
            gates: Three of (T, ..., H), what the rows add.
            memory: (..., H) before the first row; None is zero.

        Returns:
            (..., H)
        """
        turned = [weight.detach() for weight in self.turned]  # the gradient is that of the others
        return _UnrollGRU.apply(*gates, *self.memory, *turned, self.own_bias, memory)[0]


class _UnrollGRU(torch.autograd.Function):
    """The recurrence on what rows add to the gates; returns the last memory, then what the gradient needs."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        resets: Tensor,
        keeps: Tensor,
        candidates: Tensor,
        to_reset: Tensor,
        to_keep: Tensor,
        to_candidate: Tensor,
        turned_reset: Tensor,
        turned_keep: Tensor,
        turned_candidate: Tensor,
        own_bias: Tensor,
        memory: Tensor | None,
    ) -> tuple[Tensor, ...]:
        del to_reset, to_keep, to_candidate
        saved = []
        for reset, keep, candidate in zip(resets.unbind(), keeps.unbind(), candidates.unbind(), strict=True):
            if memory is None:
                reset, keep, own = torch.sigmoid(reset), torch.sigmoid(keep), own_bias.expand(candidate.shape)
            else:
                reset = torch.sigmoid(reset + memory @ turned_reset)
                keep = torch.sigmoid(keep + memory @ turned_keep)
                own = own_bias + memory @ turned_candidate
            candidate = torch.tanh(torch.addcmul(candidate, reset, own))
            before = torch.zeros_like(candidate) if memory is None else memory.view_as(memory)
            saved += [reset, keep, own.contiguous(), candidate, before]
            memory = torch.lerp(candidate, before, keep)
        assert memory is not None  # there is at least one row
        return memory, *saved

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        ctx.starts = inputs[-1] is not None
        ctx.save_for_backward(*inputs[3:6], *output[1:])
        ctx.mark_non_differentiable(*output[1:])

    @staticmethod
    def backward(ctx: Any, d_memory: Tensor, *unused: Tensor) -> tuple[Tensor | None, ...]:
        weights, saved = ctx.saved_tensors[:3], ctx.saved_tensors[3:]
        steps = [saved[i : i + 5] for i in range(0, len(saved), 5)]
        found: list[tuple[Tensor, ...]] = []  # of reset, keep, candidate; last row first
        d_weights: list[Tensor] = []
        d_owns = torch.zeros_like(d_memory)
        for t, (reset, keep, own, candidate, before) in reversed(list(enumerate(steps))):
            d_candidate = torch.addcmul(d_memory, d_memory, keep, value=-1)
            d_bent = torch.addcmul(d_candidate, d_candidate * candidate, candidate, value=-1)
            d_keep = -((candidate - before) * d_candidate * keep)  # d·(before − candidate)·(k − k²)
            d_own = d_bent * reset
            d_reset = d_own * own
            d_reset = torch.addcmul(d_reset, d_reset, reset, value=-1)  # d·own·(r − r²)
            found.append((d_reset, d_keep, d_bent))
            d_owns = d_owns + d_own
            d_memory = d_memory * keep
            if not t and not ctx.starts:
                continue  # the memory before it is zero
            d_products = (d_reset, d_keep, d_own)
            for d_product, weight in zip(d_products, weights, strict=True):
                d_memory = d_memory + d_product @ weight
            rows = before.flatten(0, -2)
            added = [x.flatten(0, -2).T @ rows for x in d_products]  # now, while both are in the cache
            d_weights = [a + b for a, b in zip(d_weights, added, strict=True)] if d_weights else added
        d_gates = (_joined(list(x[::-1])) for x in zip(*found, strict=True))
        d_bias = d_owns.flatten(0, -2).sum(dim=0)
        d_weights = d_weights or [torch.zeros_like(x) for x in weights]  # a single row from an empty memory
        return *d_gates, *d_weights, *[None] * 3, d_bias, d_memory if ctx.starts else None


def _joined(parts: list[Tensor]) -> Tensor:
    """Stack; of a single part nothing is copied."""
    return torch.stack(parts) if len(parts) > 1 else parts[0].unsqueeze(0)


class _Unroll(torch.autograd.Function):
    """The recurrence on gates whose candidate is doubled already; returns outputs, then what the gradient needs."""

    generate_vmap_rule = True

    @staticmethod
    def forward(gates: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
        outputs, saved, cell = [], [], None
        for z in gates.unbind(dim=0):
            s = torch.sigmoid(z if cell is None else z + outputs[-1] @ weight.T)
            keep, write, half, show = s.chunk(4, dim=-1)
            candidate = 2 * half - 1
            cell = write * candidate if cell is None else keep * cell + write * candidate
            bent = torch.tanh(cell)
            outputs.append(show * bent)
            saved += [s, candidate, cell, bent]
        return torch.stack(outputs), *saved

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        ctx.save_for_backward(inputs[1], *output)
        ctx.mark_non_differentiable(*output[1:])

    @staticmethod
    def backward(ctx: Any, d_outputs: Tensor, *unused: Tensor) -> tuple[Tensor, Tensor]:
        weight, outputs, *saved = ctx.saved_tensors
        steps = [saved[i : i + 4] for i in range(0, len(saved), 4)]
        d_gates: list[Tensor] = []  # last step first
        d_cell = None
        for t, d_output in reversed(list(enumerate(d_outputs.unbind(dim=0)))):
            s, candidate, _, bent = steps[t]
            keep, write, _, show = s.chunk(4, dim=-1)
            if d_gates:
                d_output = d_output + d_gates[-1] @ weight
            d_shown = d_output * show
            d_bent = torch.addcmul(d_shown, d_shown * bent, bent, value=-1)  # fewer passes than 1 − bent²
            d_cell = d_bent if d_cell is None else d_cell + d_bent
            d_keep = d_cell * steps[t - 1][2] if t else torch.zeros_like(d_cell)
            d_s = torch.cat([d_keep, d_cell * candidate, 2 * d_cell * write, d_output * bent], dim=-1)
            d_gates.append(d_s * torch.addcmul(s, s, s, value=-1))  # s − s²
            d_cell = d_cell * keep
        stacked = torch.stack(d_gates[::-1])
        return stacked, stacked[1:].flatten(0, -2).T @ outputs[:-1].flatten(0, -2)
