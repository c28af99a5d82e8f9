"""Sums, means, extremes and spreads over dimensions."""

from collections.abc import Sequence
from math import prod
from typing import Any

from tdlib.explorer.python.generate.arrays import MissingOperationError
from tdlib.explorer.python.generate.products import Products
from tdlib.explorer.python.generate.values import SMALL, Elements, Scope, Strided, Value, contiguous, indices

REDUCTIONS = {"sum": "+", "mean": "+", "prod": "*", "amax": "Math.max", "amin": "Math.min", "any": "||", "all": "&&"}

Dim = int | Sequence[int] | None


class Sums(Products):
    """Adds reductions."""

    def reduce(self, base: str, shape: tuple[int, ...], value: Value, dim: Dim = None, *unused: object) -> Value:
        """Sums, means, products and extremes over dimensions."""
        dims = _dimensions(value, dim)
        count = prod(value.shape[d] for d in dims)
        kept = tuple(1 if d in dims else n for d, n in enumerate(value.shape))
        sign = REDUCTIONS[base]
        source = value if isinstance(value, Elements) else self.array(value)
        if count <= SMALL and prod(kept) <= SMALL:
            items = []
            for index in indices(kept):
                inner = indices([value.shape[d] if d in dims else 1 for d in range(len(kept))])
                scope = self.writer.scopes[source.stage]
                read = [source.at(tuple(i + o for i, o in zip(index, r, strict=True)), scope) for r in inner]
                own = max(stage for _, stage in read)
                names = [self.writer.scopes[stage].name(text) for text, stage in read]
                text = f"{sign}({', '.join(names)})" if sign[0] == "M" else f"({f' {sign} '.join(names)})"
                items.append((self.writer.scopes[own].name(f"({text} / {count})" if base == "mean" else text), own))
            return self.shaped(self.elements(kept, items), shape)
        source = self.array(source)
        out = Strided(kept, source.stage, self.writer.array(prod(kept)), 0, contiguous(kept))
        self._reduce_in_loops(source, out, dims, sign, f" / {count}" if base == "mean" else "")
        return self.shaped(out, shape)

    def _reduce_in_loops(self, source: Strided, out: Strided, dims: list[int], sign: str, after: str) -> None:
        names = [self.writer.fresh("i") if n > 1 else 0 for n in source.shape]
        s, scope = self.writer.fresh("s"), Scope(self.writer)
        loop = "for (let {0} = 0; {0} < {1}; {0}++)"
        outer = [loop.format(names[d], n) for d, n in enumerate(source.shape) if n > 1 and d not in dims]
        inner = [loop.format(names[d], n) for d, n in enumerate(source.shape) if n > 1 and d in dims]
        first = {"+": "0", "*": "1", "Math.max": "-Infinity", "Math.min": "Infinity", "||": "false", "&&": "true"}[sign]
        read = source.at(tuple(names), scope)[0]
        step = f"{s} = {sign}({s}, {read});" if sign[0] == "M" else f"{s} = {s} {sign} {read};"
        place = out.at(tuple(0 if d in dims else i for d, i in enumerate(names)), scope)[0]
        lines = [*outer, "{", f"let {s} = {first};", *inner, step, f"{place} = {s}{after};", "}"]
        self.writer.line(source.stage, " ".join(lines))

    def op_var(
        self, shape: tuple[int, ...], value: Value, dim: Dim = None, correction: float = 1, keepdim: bool = False
    ) -> Value:
        """Variance over dimensions."""
        dims = _dimensions(value, dim)
        kept = tuple(1 if d in dims else n for d, n in enumerate(value.shape))
        value = value if isinstance(value, Elements) else self.array(value)
        away = self.each("sub", value, self.reduce("mean", kept, value, dims))
        total = self.reduce("sum", kept, self.each("mul", away, away), dims)
        count = prod(value.shape[d] for d in dims)
        return self.shaped(self.each("div", total, count - (1 if correction is None else correction)), shape)

    def op_std(self, shape: tuple[int, ...], value: Value, *args: Any, **kwargs: Any) -> Value:
        """Standard deviation over dimensions."""
        return self.each("sqrt", self.op_var(shape, value, *args, **kwargs))

    def op_softmax(self, shape: tuple[int, ...], value: Value, dim: int, *unused: object) -> Value:
        """Softmax along one dimension."""
        kept = tuple(1 if d == dim % len(shape) else n for d, n in enumerate(shape))
        value = value if isinstance(value, Elements) else self.array(value)
        powers = self.each("exp", self.each("sub", value, self.reduce("amax", kept, value, [dim])))
        powers = powers if isinstance(powers, Elements) else self.array(powers)
        return self.each("div", powers, self.reduce("sum", kept, powers, [dim]))

    def op_cumsum(self, shape: tuple[int, ...], value: Value, dim: int) -> Value:
        """Running sum along one dimension, of small values."""
        if value.size > SMALL:
            raise MissingOperationError(
                f"the page has no form of the operation cumsum.default over more than {SMALL} numbers"
            )
        items: dict[tuple[int, ...], tuple[str, int]] = {}
        for place, index in enumerate(indices(shape)):
            now = self.number_at(value, place)
            before = items.get(tuple(i - 1 if d == dim % len(shape) else i for d, i in enumerate(index)))
            items[index] = now if before is None else self.sum_of_products([[before], [now]])
        return self.elements(shape, list(items.values()))

    def op_native_layer_norm(
        self,
        shape: tuple[int, ...],
        value: Value,
        sizes: Sequence[int],
        weight: Value | None,
        bias: Value | None,
        eps: float,
    ) -> list[Value]:
        """(x − mean) / √(variance + eps) · weight + bias over the last dimensions; then mean and 1/√(...)."""
        dims = list(range(len(shape) - len(sizes), len(shape)))
        kept = tuple(1 if d in dims else n for d, n in enumerate(shape))
        value = value if isinstance(value, Elements) else self.array(value)
        mean = self.reduce("mean", kept, value, dims)
        factor = self.each("rsqrt", self.each("add", self.op_var(kept, value, dims, 0), eps))
        normal = self.each("mul", self.each("sub", value, mean), factor)
        normal = normal if weight is None else self.each("mul", normal, weight)
        return [normal if bias is None else self.each("add", normal, bias), mean, factor]


def _dimensions(value: Value, dim: Dim) -> list[int]:
    """Dimensions counted from the front; all of them where none is named."""
    if dim is None or dim == []:
        return list(range(len(value.shape)))
    return (
        sorted({d % max(1, len(value.shape)) for d in ([dim] if isinstance(dim, int) else dim)}) if value.shape else []
    )
