"""Prediction steps in row form: a map as it is, rescaled or composed, and a map with memory; all write in place."""

import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from tdlib.models.derived import TOLERANCE
from tdlib.models.forms import step_size
from tdlib.speed.rows import RowLayout, RowNetwork

Advance = Callable[[Tensor, Tensor, Tensor], None]


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
        for angle, cos, sin in self.angles:
            torch.cos(angle, out=cos)
            torch.sin(angle, out=sin)


class MapSteps:
    """x' = x + s(Δt)·network(X), as it is, rescaled, or composed (see `tdlib.models.derived`).

    Args:
        network: Increment per second of K models.
        coefficients: (K, 4) of every model's form, in double precision; see `tdlib.models.forms`.
        rescaled: Training step h [s] whose increment is stretched to Δt; None for models that are asked for Δt.
        composed: Training step h [s] that is composed, and rescaled to what remains; None likewise.
    """

    def __init__(
        self, network: RowNetwork, coefficients: Tensor, rescaled: float | None = None, composed: float | None = None
    ):
        self.network, self.coefficients, self.rescaled, self.composed = network, coefficients, rescaled, composed
        self.networks = functools.lru_cache(maxsize=16)(self._networks)  # folding is dear beside a short plan

    def _networks(self, delta_t: float) -> list[RowNetwork]:
        """Return the network that adds the increment of each inner step of Δt [s]."""
        asked, shares = self.shares(delta_t)
        size = step_size(self.coefficients, self.coefficients.new_tensor(asked)).view(-1, 1, 1)
        return [self.network.scaled((size * share).to(self.network.last.dtype)) for share in shares]

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

    def roll(self, layout: RowLayout, rows: Tensor, delta_t: float) -> None:
        """Predict all T steps of Δt [s] of rows (R, T + 1, K, N) in place, whose actions are known."""
        networks = self.networks(delta_t)
        rows[layout.delta_t] = self.shares(delta_t)[0]
        buffers = self.network.buffers(rows.shape[-1])
        increment = rows.new_empty(rows.shape[2], layout.spec.state_dim, rows.shape[3])
        change = increment.transpose(0, 1)
        angles = [zip(*(rows[i].unbind(dim=0) for i in triple), strict=True) for triple in layout.angles]
        states = rows[: layout.spec.state_dim].unbind(dim=1)
        for state, following, matrix, *turns in zip(
            states[:-1], states[1:], rows.permute(1, 2, 0, 3).unbind(dim=0), *angles, strict=False
        ):
            begin = state.clone() if len(networks) > 1 else state  # inner steps pass through the step's own column
            for i, network in enumerate(networks):
                for angle, cos, sin in turns:
                    torch.cos(angle, out=cos)
                    torch.sin(angle, out=sin)
                network.into(increment, matrix, buffers)
                torch.add(state, change, out=following if i + 1 == len(networks) else state)
            if len(networks) > 1:
                state.copy_(begin)

    def by_interval(self, columns: Columns) -> Advance:
        """Prepare `advance(state, delta_t, out)` with a Δt for every column: (D, K, N), (K, N) [s] -> (D, K, N).

        The action lies in the columns; `out` may be the state itself.
        """
        network, buffers = self.network, self.network.buffers(columns.increment.shape[-1])
        coefficients = self.coefficients.to(columns.increment.dtype).unsqueeze(1)  # (K, 1, 4)

        def add_increment(state: Tensor, factor: Tensor, out: Tensor) -> None:
            columns.load(state)
            network.into(columns.increment, columns.matrix, buffers)
            torch.addcmul(state, columns.change, factor, out=out)

        def by_asked_interval(state: Tensor, delta_t: Tensor, out: Tensor) -> None:
            columns.delta_t.copy_(delta_t)
            add_increment(state, step_size(coefficients, delta_t), out)

        h = self.rescaled or self.composed
        if h is None:
            return by_asked_interval
        columns.delta_t.fill_(h)
        size = step_size(self.coefficients, self.coefficients.new_tensor(h)).to(coefficients.dtype).unsqueeze(1)

        def by_own_interval(state: Tensor, delta_t: Tensor, out: Tensor) -> None:
            if self.rescaled is not None:
                add_increment(state, size * (delta_t / h), out)
                return
            for share in _shares(delta_t, h):
                add_increment(state, size * share, out)
                state = out

        return by_own_interval


class MemorySteps:
    """The LSTM cell over rows; its candidate is tanh(x) = 2·sigmoid(2x) − 1, so one sigmoid serves all gates.

    Args:
        input_gates: (K, 4H, R) keep, write, candidate (doubled), show.
        memory_gates: (K, 4H, H) likewise.
        network: What reads the cell's output: increment per second.
        coefficients: (K, 4) of every model's form.
    """

    def __init__(self, input_gates: Tensor, memory_gates: Tensor, network: RowNetwork, coefficients: Tensor):
        self.input_gates, self.memory_gates = input_gates, memory_gates
        self.network, self.coefficients = network, coefficients

    def empty_memory(self, num_columns: int) -> list[Tensor]:
        """Return the cell's output and state, (K, H, N) each, zero."""
        shape = (len(self.memory_gates), self.memory_gates.shape[-1], num_columns)
        return [self.memory_gates.new_zeros(shape) for _ in range(2)]

    def by_interval(self, columns: Columns, memory: list[Tensor], fixed: Tensor | None = None) -> Advance:
        """Prepare `advance(state, delta_t, out)` as `MapSteps` does; the memory is overwritten at every step.

        Args:
            columns: Numbers that the cell reads.
            memory: As `empty_memory`.
            fixed: (K, N) the interval of all steps [s], if it is known.
        """
        buffers, remember = self.network.buffers(columns.increment.shape[-1]), self.remember(columns, memory)
        coefficients = self.coefficients.to(columns.increment.dtype).unsqueeze(1)
        known = None if fixed is None else step_size(coefficients, fixed)

        def advance(state: Tensor, delta_t: Tensor, out: Tensor) -> None:
            columns.load(state)
            columns.delta_t.copy_(delta_t)
            remember()
            self.network.into(columns.increment, columns.matrix, buffers, memory[0])
            size = step_size(coefficients, delta_t) if known is None else known
            torch.addcmul(state, columns.change, size, out=out)

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
            torch.tanh(cell, out=output).mul_(show)

        return advance


def _shares(delta_t: Tensor, h: float) -> list[Tensor]:
    """Which share of a training step h each inner step adds, (K, N) each: ones, then what remains, then zeros."""
    ratio = delta_t / h
    whole = torch.floor(ratio * (1 + TOLERANCE))
    rest = (ratio - whole).clamp(min=0)
    rest = torch.where(rest > TOLERANCE * ratio, rest, torch.zeros_like(rest))
    count = math.ceil(float((whole + rest).max()))
    return [torch.where(whole > k, torch.ones_like(rest), torch.where(whole == k, rest, 0)) for k in range(count)]
