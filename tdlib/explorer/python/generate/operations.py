"""What each tensor operation of a graph becomes in JavaScript."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tdlib.explorer.python.generate.arrays import MissingOperationError
from tdlib.explorer.python.generate.moves import MOVES
from tdlib.explorer.python.generate.scalars import SCALAR_RULES
from tdlib.explorer.python.generate.sums import REDUCTIONS, Sums
from tdlib.explorer.python.generate.values import Computed, Product, Value, literal
from tdlib.speed.trace import Operation, Ref

EACH_OPTIONS = ("alpha", "rounding_mode", "min", "max", "beta", "threshold")


class Operations(Sums):
    """Turns operations into values and code; `function._Generator` reads a graph with it."""

    def value_of(self, leaf: Ref | Tensor) -> Value:
        """The value of an argument; what is long to compute and read more than once is computed once."""
        if isinstance(leaf, Tensor):
            return literal(leaf, self.writer)
        value = self.values[leaf.key]
        if isinstance(value, Computed) and self.uses[leaf.key] > 1:
            value = self.values[leaf.key] = self.array(value)
        elif isinstance(value, Product) and self.uses[leaf.key] > 1:
            value = self.values[leaf.key] = value.written()
        return value

    def apply(self, base: str, operation: Operation, args: Sequence, kwargs: dict) -> list[Value]:
        """Return the results of one operation.

        Raises:
            MissingOperationError: If it is not covered.
        """
        shape = operation.results[0].shape
        own = getattr(self, f"op_{base.strip('_')}", None)
        if base == "index" and _picks_a_row(operation):
            return [self.op_embedding(shape, args[0], args[1][0])]
        if base in MOVES:
            return self.move(base, operation, args, kwargs)
        if own is not None:
            found = own(shape, *args, **kwargs)
            return found if isinstance(found, list) else [found]
        if base in SCALAR_RULES:
            return [self.each(base, *args, **{name: x for name, x in kwargs.items() if name in EACH_OPTIONS})]
        if base in REDUCTIONS:
            return [self.reduce(base, shape, *args)]
        raise MissingOperationError(f"the page has no form of the operation {operation.name}")

    def op_to_copy(
        self, shape: tuple[int, ...], value: Value, dtype: torch.dtype | None = None, **unused: object
    ) -> Value:
        """Another type; all numbers are doubles here, so that only whole numbers and truths change."""
        if dtype is not None and not dtype.is_floating_point:
            return self.computed((lambda v: f"({v} !== 0)") if dtype == torch.bool else SCALAR_RULES["trunc"], [value])
        return value

    def op_embedding(self, shape: tuple[int, ...], weight: Value, index: Value, *unused: object) -> Value:
        """The row of a table that a number names."""
        table = self.array(weight)
        if index.size != 1:
            raise MissingOperationError("the page has no form of the operation embedding.default for several rows")
        row, stage = self.number_at(index, 0)
        row = self.writer.scopes[stage].name(row)
        rows, columns = table.strides
        items = [
            (self.writer.scopes[stage].name(f"{table.array}[{rows} * {row} + {table.offset + columns * j}]"), stage)
            for j in range(table.shape[1])
        ]
        return self.elements(shape, items)

    def op_full_like(self, shape: tuple[int, ...], value: Value, fill: float, **unused: object) -> Value:
        """One number everywhere."""
        return literal(torch.full(shape, float(fill), dtype=torch.float64), self.writer)

    def op_zeros_like(self, shape: tuple[int, ...], value: Value, **unused: object) -> Value:
        """Zeros."""
        return self.op_full_like(shape, value, 0.0)

    def op_ones_like(self, shape: tuple[int, ...], value: Value, **unused: object) -> Value:
        """Ones."""
        return self.op_full_like(shape, value, 1.0)

    def op_new_zeros(self, shape: tuple[int, ...], value: Value, size: object, **unused: object) -> Value:
        """Zeros of a given shape."""
        return self.op_full_like(shape, value, 0.0)

    def op_new_ones(self, shape: tuple[int, ...], value: Value, size: object, **unused: object) -> Value:
        """Ones of a given shape."""
        return self.op_full_like(shape, value, 1.0)

    def op_new_full(self, shape: tuple[int, ...], value: Value, size: object, fill: float, **unused: object) -> Value:
        """One number in a given shape."""
        return self.op_full_like(shape, value, fill)

    def op_log_sigmoid_forward(self, shape: tuple[int, ...], value: Value) -> list[Value]:
        """Logarithm of the sigmoid; what torch keeps for the gradient is not needed."""
        found = self.each("log_sigmoid", value)
        return [found, found]


def _picks_a_row(operation: Operation) -> bool:
    """Whether an index with one computed number picks along the first dimension."""
    chosen = operation.args[1]
    return len(chosen) == 1 and isinstance(chosen[0], Ref) and chosen[0].shape in ((), (1,))
