"""Prediction steps in row form: maps, integrated fields, maps with memory. They write into given tensors.

A step's `start` allocates what it needs for a number of columns and returns `advance(state, out)`, which reads a state
(D, K, N) and writes the next one; the action lies in the columns already. `out` may be the state itself.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from tdlib.models.forms import LOG_OFFSET
from tdlib.models.no_training import TOLERANCE
from tdlib.speed.rows import RowLayout, RowNetwork

Advance = Callable[[Tensor, Tensor], None]
# solver: (weights of the slopes in the sum, where along the slope just found the next one is taken)
TABLEAUS = {
    "euler": ((1.0,), ()),
    "midpoint": ((0.0, 1.0), (0.5,)),
    "rk4": ((1 / 6, 1 / 3, 1 / 3, 1 / 6), (0.5, 0.5, 1.0)),
}


class Columns:
    """The numbers that a network reads, X (R, K, N), and views of its parts.

    Args:
        layout: Which number lies in which row.
        num_models: K.
        num_columns: N.
        like: Tensor of the wanted precision and device.
    """

    def __init__(self, layout: RowLayout, num_models: int, num_columns: int, like: Tensor):
        rows = like.new_empty(layout.count, num_models, num_columns)
        rows[layout.one] = 1.0
        self.matrix = rows.transpose(0, 1)  # (K, R, N)
        self.state, self.action, self.delta_t = rows[: layout.spec.state_dim], rows[layout.action], rows[layout.delta_t]
        self.angles = [(rows[angle], rows[cos], rows[sin]) for angle, cos, sin in layout.angles]
        self.increment = like.new_empty(num_models, layout.spec.state_dim, num_columns)
        self.change = self.increment.transpose(0, 1)  # (D, K, N), the same numbers

    def load(self, state: Tensor) -> None:
        """Take over a state (D, K, N) with its features."""
        self.state.copy_(state)
        self.update_angles()

    def update_angles(self) -> None:
        """Take cos and sin of the state that lies here."""
        for angle, cos, sin in self.angles:
            torch.cos(angle, out=cos)
            torch.sin(angle, out=sin)


class RowSteps(Protocol):
    """Steps of K models."""

    def start(self, delta_t: float, columns: Columns, memory: list[Tensor] | None = None) -> Advance:
        """Prepare steps of Δt [s]."""


@dataclass(frozen=True)
class StepSize:
    """s(Δt) of every model's form, by its coefficients (K, 4); see `tdlib.models.forms`."""

    coefficients: Tensor

    def at(self, delta_t: float, dtype: torch.dtype) -> Tensor:
        """Return (K, 1, 1) [s]."""
        _, constant, linear, log = self.coefficients.double().unbind(dim=-1)
        tau = math.log10(max(delta_t, 10**-LOG_OFFSET)) + LOG_OFFSET
        return (constant + linear * delta_t + log * tau).to(dtype).view(-1, 1, 1)


@dataclass(frozen=True)
class MapSteps:
    """x' = x + s(Δt)·network(X), as it is, rescaled, or composed (see `tdlib.models.no_training`).

    Args:
        network: Increment per second.
        size: s(Δt).
        rescaled: Training step h [s] whose increment is stretched to Δt; None for models that are asked for Δt.
        composed: Training step h [s] that is composed, and rescaled to what remains; None likewise.
    """

    network: RowNetwork
    size: StepSize
    rescaled: float | None = None
    composed: float | None = None
    _ready: dict[float, list[RowNetwork]] = field(default_factory=dict, compare=False, repr=False)

    def networks(self, delta_t: float) -> list[RowNetwork]:
        """Return the network that adds the increment of each inner step of Δt [s]."""
        if delta_t not in self._ready:
            asked, shares = self.shares(delta_t)
            size = self.size.at(asked, self.network.last.dtype)
            self._ready[delta_t] = [self.network.scaled(size * share) for share in shares]
        return self._ready[delta_t]

    def shares(self, delta_t: float) -> tuple[float, list[float]]:
        """Return the Δt that the network is asked for [s], and which share of its increment each inner step adds."""
        if self.rescaled is not None:
            return self.rescaled, [delta_t / self.rescaled]
        if self.composed is None:
            return delta_t, [1.0]
        ratio = delta_t / self.composed
        whole = math.floor(ratio * (1 + TOLERANCE))
        rest = max(ratio - whole, 0.0)
        return self.composed, [1.0] * whole + ([rest] if rest > TOLERANCE * ratio else [])

    def roll(self, layout: RowLayout, rows: Tensor, delta_t: float) -> bool:
        """Predict all T steps of rows (R, T + 1, K, N) in place, whose actions are known; the shortest way there is.

        Returns:
            Whether it was done: a composed step has inner ones, for which there is no place here.
        """
        networks = self.networks(delta_t)
        if len(networks) != 1:
            return False
        rows[layout.delta_t] = self.shares(delta_t)[0]
        network = networks[0]
        buffers = network.buffers(rows.shape[-1])
        increment = rows.new_empty(rows.shape[2], layout.spec.state_dim, rows.shape[3])
        change = increment.transpose(0, 1)
        angles = [zip(*(rows[i].unbind(dim=0) for i in triple), strict=True) for triple in layout.angles]
        states = rows[: layout.spec.state_dim].unbind(dim=1)
        for state, following, matrix, *turns in zip(
            states[:-1], states[1:], rows.permute(1, 2, 0, 3).unbind(dim=0), *angles, strict=False
        ):
            for angle, cos, sin in turns:
                torch.cos(angle, out=cos)
                torch.sin(angle, out=sin)
            network.into(increment, matrix, buffers)
            torch.add(state, change, out=following)
        return True

    def start(self, delta_t: float, columns: Columns, memory: list[Tensor] | None = None) -> Advance:
        del memory
        columns.delta_t.fill_(self.shares(delta_t)[0])
        networks = self.networks(delta_t)
        buffers = self.network.buffers(columns.increment.shape[-1])

        def advance(state: Tensor, out: Tensor) -> None:
            for network in networks:
                columns.load(state)
                network.into(columns.increment, columns.matrix, buffers)
                torch.add(state, columns.change, out=out)
                state = out

        return advance


@dataclass(frozen=True)
class FieldSteps:
    """The flow of ds/dt = field(X) by a fixed-step solver.

    Args:
        field: Anything with `buffers(N)` and `into(out, matrix, buffers)`, (K, R, N) -> (K, D, N) [unit/s].
        solver: Key of `TABLEAUS`.
        substeps: Equal solver steps inside every interval.
    """

    field: RowNetwork
    solver: str = "rk4"
    substeps: int = 1

    def start(self, delta_t: float, columns: Columns, memory: list[Tensor] | None = None) -> Advance:
        del memory
        columns.delta_t.fill_(delta_t)
        h = delta_t / self.substeps

        def add(state: Tensor, change: Tensor, h: float, factor: float, out: Tensor) -> None:
            torch.add(state, change, alpha=factor * h, out=out)

        solve = self.solve(columns, add)
        return lambda state, out: solve(state, h, out)

    def solve(self, columns: Columns, add: Callable) -> Callable:
        """Return the solver (state, h, out), all substeps of one interval.

        Args:
            columns: Where the field reads its numbers.
            add: (state, change, h, factor, out) writes state + factor·h·change; h is whatever the caller solves with.
        """
        weights, nodes = TABLEAUS[self.solver]
        change, buffers = columns.change, self.field.buffers(columns.increment.shape[-1])
        total = torch.empty_like(columns.increment).transpose(0, 1)

        def solve(state: Tensor, h: float | Tensor, out: Tensor) -> None:
            for _ in range(self.substeps):
                columns.load(state)
                for i, weight in enumerate(weights):
                    self.field.into(columns.increment, columns.matrix, buffers)
                    if i == 0:
                        torch.mul(change, weight, out=total)
                    else:
                        total.add_(change, alpha=weight)
                    if i < len(nodes):
                        add(state, change, h, nodes[i], columns.state)
                        columns.update_angles()
                add(state, total, h, 1.0, out)
                state = out

        return solve


@dataclass(frozen=True)
class PortHamiltonianField:
    """ds/dt = J·∂H/∂s + linear·X, with the energy's gradient written out (see `tdlib.models.fields`).

    Args:
        forward: Layers of the energy up to its last hidden one, the first over rows: (bias or None, matrix) each.
        backward: Matrices from the last hidden layer back to (state, cos, sin): (K, H, H) ..., (K, D + 2·angles, H).
        structure: (K, D, D + 2·angles) J; nothing is read from the rows of cos and sin.
        linear: (K, D, R) force of the input.
    """

    forward: tuple[tuple[Tensor | None, Tensor], ...]
    backward: tuple[Tensor, ...]
    structure: Tensor
    linear: Tensor
    layout: RowLayout

    def buffers(self, num_columns: int) -> list[list[Tensor]]:
        """Allocate activations, their slopes, and the gradient on its way back."""
        layers = [matrix for _, matrix in self.forward]
        sizes = (layers, layers, self.backward)
        return [[x.new_empty(*x.shape[:2], num_columns) for x in group] for group in sizes]

    def into(self, out: Tensor, matrix: Tensor, buffers: list[list[Tensor]]) -> Tensor:
        """Write ds/dt (K, D, N) for all columns (K, R, N)."""
        activations, slopes, gradients = buffers
        value = matrix
        for i, (bias, weight) in enumerate(self.forward):
            if bias is None:
                torch.bmm(weight, value, out=activations[i])
            else:
                torch.baddbmm(bias, weight, value, out=activations[i])
            torch.sigmoid(activations[i], out=slopes[i])  # derivative of softplus
            if i + 1 < len(self.forward):
                value = torch.nn.functional.softplus(activations[i])
        gradient = slopes[-1]
        for i, weight in enumerate(self.backward):
            gradient = torch.bmm(weight, gradient, out=gradients[i])
            if i + 1 < len(self.backward):
                gradient.mul_(slopes[-2 - i])
        rows = matrix.unbind(dim=1)
        parts = gradient.unbind(dim=1)
        for angle, cos, sin in self.layout.angles:  # ∂H/∂θ = ∂H/∂sin · cos − ∂H/∂cos · sin
            torch.mul(parts[sin], rows[cos], out=parts[angle])
            parts[angle].addcmul_(parts[cos], rows[sin], value=-1.0)
        torch.bmm(self.linear, matrix, out=out)
        return out.baddbmm_(self.structure, gradient)


@dataclass(frozen=True)
class MemorySteps:
    """The LSTM cell over rows; its candidate is tanh(x) = 2·sigmoid(2x) − 1, so one sigmoid serves all gates.

    Args:
        input_gates: (K, 4H, R) keep, write, candidate (doubled), show.
        memory_gates: (K, 4H, H) likewise.
        network: What reads the cell's output: increment per second.
        size: s(Δt).
    """

    input_gates: Tensor
    memory_gates: Tensor
    network: RowNetwork
    size: StepSize

    def empty_memory(self, num_columns: int) -> list[Tensor]:
        """Return the cell's output and state, (K, H, N) each, zero."""
        shape = (len(self.memory_gates), self.memory_gates.shape[-1], num_columns)
        return [self.memory_gates.new_zeros(shape) for _ in range(2)]

    def start(self, delta_t: float, columns: Columns, memory: list[Tensor] | None = None) -> Advance:
        columns.delta_t.fill_(delta_t)
        memory = memory or self.empty_memory(columns.increment.shape[-1])
        network = self.network.scaled(self.size.at(delta_t, columns.increment.dtype))
        buffers, remember = network.buffers(columns.increment.shape[-1]), self.remember(columns, memory)

        def advance(state: Tensor, out: Tensor) -> None:
            columns.load(state)
            remember()
            network.into(columns.increment, columns.matrix, buffers, memory[0])
            torch.add(state, columns.change, out=out)

        return advance

    def remember(self, columns: Columns, memory: list[Tensor]) -> Callable[[], None]:
        """Return what advances the memory in place by the step that lies in the columns."""
        output, cell = memory
        gates = self.input_gates.new_empty(*self.input_gates.shape[:2], columns.increment.shape[-1])
        keep, write, candidate, show = gates.chunk(4, dim=1)

        def advance() -> None:
            torch.bmm(self.input_gates, columns.matrix, out=gates)
            gates.baddbmm_(self.memory_gates, output).sigmoid_()
            cell.mul_(keep).addcmul_(write, candidate, value=2.0).sub_(write)
            torch.mul(cell, 2.0, out=output).sigmoid_().mul_(2.0).sub_(1.0).mul_(show)

        return advance
