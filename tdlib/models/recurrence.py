"""An LSTM cell: one step of it, and many through a window of known inputs, with their gradient written out.

    keep, write, show = σ(z),  candidate = tanh z = 2 σ(2z) − 1,  z = gates_t + W·output_{t−1}
    cell_t = keep·cell_{t−1} + write·candidate,  output_t = show·tanh cell_t

Rows of weights that make the candidate are doubled beforehand (`doubled`), so that one sigmoid serves all gates.

Differentiating step by step would sum one small product per step for the gradient of W and look at every gate by
itself. Written out, W's gradient is one product over the window: half the time in training.
"""

from typing import Any

import torch
from torch import Tensor, nn


def doubled(input_gates: nn.Linear, memory_gates: nn.Linear) -> tuple[Tensor, Tensor, Tensor]:
    """Return the weight, bias and recurrent weight of (keep, write, candidate, show), the candidate's rows doubled.

    Args:
        input_gates: I -> 4H, what the inputs add to the gates.
        memory_gates: H -> 4H without bias, W.
    """
    weight, bias, recurrent = input_gates.weight, input_gates.bias, memory_gates.weight
    ones = torch.ones_like(recurrent[:, :1]).chunk(4)
    factor = torch.cat([ones[0], ones[1], 2 * ones[2], ones[3]])  # (4H, 1): σ(2z) for the candidate
    return weight * factor, bias * factor.squeeze(-1), recurrent * factor


def advance(z: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Take one step of the cell.

    Args:
        z: (..., 4H) gates before their activation, the candidate's doubled.
        cell: (..., H) state of the cell; None for an empty one.

    Returns:
        Output (..., H) and state (..., H) after the step; then what the gradient needs beside them: gates (..., 4H),
        candidate and tanh of the state (..., H).
    """
    s = torch.sigmoid(z)
    keep, write, half, show = s.chunk(4, dim=-1)
    candidate = 2 * half - 1
    cell = write * candidate if cell is None else keep * cell + write * candidate
    bent = torch.tanh(cell)
    return show * bent, cell, s, candidate, bent


def unroll(inputs: Tensor, input_gates: nn.Linear, memory_gates: nn.Linear) -> Tensor:
    """Return the cell's outputs (T, ..., H) from an empty memory on, for inputs (T, ..., I)."""
    weight, bias, recurrent = doubled(input_gates, memory_gates)
    gates = nn.functional.linear(inputs, weight, bias)  # all T steps in one product
    return _Unroll.apply(gates, recurrent)[0]


class _Unroll(torch.autograd.Function):
    """The recurrence on gates whose candidate is doubled already; returns outputs, then what the gradient needs."""

    generate_vmap_rule = True

    @staticmethod
    def forward(gates: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
        outputs, saved, cell = [], [], None
        for z in gates.unbind(dim=0):
            output, cell, s, candidate, bent = advance(z if cell is None else z + outputs[-1] @ weight.T, cell)
            outputs.append(output)
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
