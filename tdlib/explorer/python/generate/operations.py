"""What each tensor operation of a graph becomes in JavaScript."""

from collections import Counter
from collections.abc import Callable, Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor

from tdlib.explorer.python.generate.scalars import SCALAR_RULES
from tdlib.explorer.python.generate.values import (
    ONCE,
    SMALL,
    Computed,
    Elements,
    Index,
    Joined,
    Product,
    Scope,
    Strided,
    Value,
    Writer,
    address,
    contiguous,
    indices,
    literal,
    meta,
    number,
)
from tdlib.speed.trace import Operation, Ref

SMALL_PRODUCT = 64  # a matrix product of up to this many multiplications is written out
MOVES = (
    "view _unsafe_view reshape t transpose permute unsqueeze squeeze select slice expand unbind split split_with_sizes "
    "chunk detach alias clone contiguous diagonal flip roll repeat narrow movedim index_select stack cat lift_fresh "
    "expand_as view_as flatten unflatten tile unfold"
).split()
SAME_ORDER = "view _unsafe_view reshape unsqueeze squeeze detach alias clone contiguous flatten unflatten t".split()
REDUCTIONS = {"sum": "+", "mean": "+", "prod": "*", "amax": "Math.max", "amin": "Math.min", "any": "||", "all": "&&"}


class MissingOperationError(ValueError):
    """A model cannot be written in JavaScript; the message names the operation, or says why not."""


class Operations:
    """Turns operations into values and code; `function._Generator` reads a graph with it."""

    def __init__(self):
        self.writer = Writer()
        self.values: dict[str | int, Value] = {}
        self.uses: Counter = Counter()
        self._arrays: dict[int, tuple[Value, Strided]] = {}

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
        shapes = [ref.shape for ref in operation.results]
        own = getattr(self, f"op_{base.strip('_')}", None)
        if base in MOVES:
            return self.move(base, operation, args, kwargs)
        if own is not None:
            return [own(shapes[0], *args, **kwargs)]
        if base in SCALAR_RULES:
            return [
                self.each(
                    base,
                    *args,
                    **{
                        k: v
                        for k, v in kwargs.items()
                        if k in ("alpha", "rounding_mode", "min", "max", "beta", "threshold")
                    },
                )
            ]
        if base in REDUCTIONS:
            return [self.reduce(base, shapes[0], *args)]
        raise MissingOperationError(f"the page has no form of the operation {operation.name}")

    # --- number by number ---------------------------------------------------------------------------------------------
    def each(
        self, base: str, *args: object, alpha: float = 1, rounding_mode: str | None = None, **more: object
    ) -> Value:
        """Apply a rule of `SCALAR_RULES` to every number, with shapes broadcast."""
        rule = SCALAR_RULES[base]
        if alpha != 1:
            args = (args[0], self.each("mul", args[1], alpha), *args[2:])
        if rounding_mode is not None:
            inner = self.each(base, *args)
            return self.each({"floor": "floor", "trunc": "trunc"}[rounding_mode], inner)
        if base in ("add", "sub") and all(isinstance(x, Value) for x in args[:2]):
            joined = _added(base, *args[:2])
            if joined is not None:
                return joined
        if "min" in more or "max" in more:
            args = (args[0], more.get("min"), more.get("max"))
        return self.computed(rule, args)

    def computed(self, rule: Callable[..., str], args: Sequence) -> Value:
        """Numbers of `rule` over broadcast arguments; arguments are values, numbers, or None."""
        values = [x for x in args if isinstance(x, Value)]
        shape = tuple(np.broadcast_shapes(*(x.shape for x in values)))
        small = prod(shape) <= SMALL
        if not small:
            args = [self.array(x) if isinstance(x, Elements) and x.size > 1 else x for x in args]
            args = [
                x.written() if isinstance(x, Product) else self.array(x) if isinstance(x, Joined) else x for x in args
            ]
            values = [x for x in args if isinstance(x, Value)]
        stage = max((x.stage for x in values), default=ONCE)

        def expression(index: Index, scope: Scope | None) -> tuple[str, int]:
            parts, stages = [], [ONCE]
            for x in args:
                if not isinstance(x, Value):
                    parts.append(x if x is None else number(float(x)))
                    continue
                text, own = x.at(_of_broadcast(index, x.shape), scope or self.writer.scopes[x.stage])
                parts.append((scope or self.writer.scopes[own]).name(text))
                stages.append(own)
            return rule(*parts), max(stages)

        if not small:
            return Computed(shape, stage, lambda index, scope: expression(index, scope)[0])
        items = []
        for index in indices(shape):
            text, own = expression(index, None)
            items.append((self.writer.scopes[own].name(text), own))
        return Elements(shape, max(s for _, s in items), items)

    # --- arrays -------------------------------------------------------------------------------------------------------
    def array(self, value: Value) -> Strided:
        """Return a value whose numbers lie in an array, written now if they do not yet."""
        if isinstance(value, Strided):
            return value
        if isinstance(value, Product):
            return value.written()
        if id(value) not in self._arrays:
            target = Strided(value.shape, value.stage, self.writer.array(value.size), 0, contiguous(value.shape))
            self.copy(value, target)
            self._arrays[id(value)] = (value, target)
        return self._arrays[id(value)][1]

    def written(self, value: Value) -> Value:
        """The array that a value lies in, if it was written into one."""
        return self._arrays[id(value)][1] if id(value) in self._arrays else value

    def copy(self, value: Value, target: Strided, stage: int | None = None) -> None:
        """Write the code that puts a value into an array, each number at its own stage or all at a given one."""
        if isinstance(value, Elements):
            for index, (text, own) in zip(indices(value.shape), value.items, strict=True):
                place = target.at(index, self.writer.scopes[own])[0]
                self.writer.line(own if stage is None else stage, f"{place} = {text};")
            return
        if isinstance(value, Joined):
            start = 0
            for piece in value.pieces:
                part = meta(target).narrow(value.dim, start, piece.shape[value.dim])
                self.copy(piece, _like(target, part), stage)
                start += piece.shape[value.dim]
            return
        if isinstance(value, Product):
            value = value.written()
        names = [self.writer.fresh("i") if n > 1 else 0 for n in value.shape]
        loops = [f"for (let {i} = 0; {i} < {n}; {i}++)" for i, n in zip(names, value.shape, strict=True) if n > 1]
        scope = Scope(self.writer)
        text, _ = value.at(tuple(names), scope)
        scope.lines.append(f"{target.array}[{address(tuple(names), target.strides, target.offset)}] = {text};")
        self.writer.line(value.stage if stage is None else stage, " ".join([*loops, "{", *scope.lines, "}"]))

    # --- moves --------------------------------------------------------------------------------------------------------
    def move(self, base: str, operation: Operation, args: Sequence, kwargs: dict) -> list[Value]:
        """Operations that only reorder numbers: torch itself says which number goes where."""
        kwargs = {
            k: v for k, v in kwargs.items() if k not in ("memory_format", "dtype", "device", "layout", "pin_memory")
        }
        sources = args[0] if base in ("cat", "stack") else [args[0]]
        sources = [x for x in sources if x.size or len(sources) == 1]
        small = all(prod(ref.shape) <= SMALL for ref in operation.results)
        if not small and base in ("cat", "stack"):
            return [
                self._joined(
                    base, operation.results[0].shape, sources, args[1] if len(args) > 1 else kwargs.get("dim", 0)
                )
            ]
        source = sources[0]
        if not small and base in SAME_ORDER and isinstance(source, (Product, Joined)):
            kept = _reshaped(source, operation.results[0].shape)
            if kept is not None:
                return [kept]
        if (
            not small
            and not isinstance(source, Elements)
            and base not in ("flip", "roll", "repeat", "tile", "index_select")
        ):
            source = self.array(source)
            if base in ("clone", "contiguous"):
                return [source]
            try:
                found = operation.function(meta(source), *args[1:], **kwargs)
            except RuntimeError:  # no view has this order
                source = self._compact(source)
                found = operation.function(meta(source), *args[1:], **kwargs)
            return [_like(source, x) for x in (found if isinstance(found, (list, tuple)) else [found])]
        return self._by_number(base, operation, sources, args, kwargs)

    def _by_number(
        self, base: str, operation: Operation, sources: list[Value], args: Sequence, kwargs: dict
    ) -> list[Value]:
        numbers, first = [], 0
        for x in sources:
            numbers.append(torch.arange(first, first + x.size).reshape(x.shape))
            first += x.size
        rest = [_constant(x) if isinstance(x, Value) else x for x in args[1:]]
        kwargs = {k: _constant(v) if isinstance(v, Value) else v for k, v in kwargs.items()}
        found = operation.function(numbers if base in ("cat", "stack") else numbers[0], *rest, **kwargs)
        results = []
        for moved in found if isinstance(found, (list, tuple)) else [found]:
            items = []
            for place in moved.flatten().tolist():
                for x in sources:
                    if place < x.size:
                        break
                    place -= x.size
                items.append(self._number(x, place))
            results.append(self._elements(tuple(moved.shape), items))
        return results

    def _number(self, value: Value, place: int) -> tuple[str, int]:
        if isinstance(value, (Computed, Joined)):
            value = self.array(value)
        index, rest = [], place
        for n in reversed(value.shape):
            index.append(rest % n)
            rest //= n
        return value.at(tuple(reversed(index)), self.writer.scopes[value.stage])

    def _elements(self, shape: tuple[int, ...], items: list[tuple[str, int]]) -> Value:
        return Elements(shape, max((stage for _, stage in items), default=ONCE), items)

    def _joined(self, base: str, shape: tuple[int, ...], sources: list[Value], dim: int) -> Value:
        dim = dim % len(shape)
        if base == "stack":
            sources = [self._unsqueezed(x, dim) for x in sources]
        return Joined(shape, max(x.stage for x in sources), dim, list(sources))

    def _unsqueezed(self, value: Value, dim: int) -> Value:
        shape = (*value.shape[:dim], 1, *value.shape[dim:])
        if isinstance(value, Elements):
            return Elements(shape, value.stage, value.items)
        source = self.array(value)
        return _like(source, meta(source).unsqueeze(dim))

    def _compact(self, value: Strided) -> Strided:
        target = Strided(value.shape, value.stage, self.writer.array(value.size), 0, contiguous(value.shape))
        self.copy(value, target)
        return target

    # --- products -----------------------------------------------------------------------------------------------------
    def op_mm(self, shape: tuple[int, ...], a: Value, b: Value, start: Value | None = None) -> Value:
        """(n, k) x (k, m), plus a start."""
        n, k, m = a.shape[0], a.shape[1], b.shape[1]
        if n * k * m <= SMALL_PRODUCT and n * m <= SMALL:
            return self._product_written_out(a, b, start)
        if n == 1 and b.stage == ONCE:
            return self._linear(shape, self.array(b), a, start, transposed=True)
        if m == 1 and a.stage == ONCE:
            return self._linear(shape, self.array(a), b, start, transposed=False)
        return self._product_in_loops(shape, a, b, start)

    def op_addmm(
        self, shape: tuple[int, ...], start: Value, a: Value, b: Value, beta: float = 1, alpha: float = 1
    ) -> Value:
        """Sum start + a b."""
        if alpha != 1:
            a = self.each("mul", a, alpha)
        return self.op_mm(shape, a, b, start if beta == 1 else self.each("mul", start, beta))

    def op_mv(self, shape: tuple[int, ...], a: Value, x: Value, start: Value | None = None) -> Value:
        """(n, k) x (k)."""
        start = None if start is None else self._shaped(start, (*start.shape, 1) if start.shape else (1, 1))
        return self._shaped(self.op_mm((a.shape[0], 1), a, self._shaped(x, (x.size, 1)), start), shape)

    def op_addmv(self, shape: tuple[int, ...], start: Value, a: Value, x: Value) -> Value:
        """Sum start + a x."""
        return self.op_mv(shape, a, x, start)

    def op_dot(self, shape: tuple[int, ...], a: Value, b: Value) -> Value:
        """(k) x (k)."""
        return self._shaped(self.op_mm((1, 1), self._shaped(a, (1, a.size)), self._shaped(b, (b.size, 1))), shape)

    def op_bmm(self, shape: tuple[int, ...], a: Value, b: Value) -> Value:
        """(N, n, k) x (N, k, m), one after the other."""
        parts = []
        for i in range(shape[0]):
            left, right = (self._row(x, i) for x in (a, b))
            parts.append(self._unsqueezed(self.array(self.op_mm(shape[1:], left, right)), 0))
        return parts[0] if len(parts) == 1 else Joined(shape, max(x.stage for x in parts), 0, parts)

    def op_baddbmm(self, shape: tuple[int, ...], start: Value, a: Value, b: Value) -> Value:
        """Sum start + a b, each (N, ...)."""
        return self.each("add", self.op_bmm(shape, a, b), start)

    def _row(self, value: Value, i: int) -> Value:
        if isinstance(value, Elements):
            size = value.size // value.shape[0]
            return self._elements(value.shape[1:], value.items[i * size : (i + 1) * size])
        source = self.array(value)
        return _like(source, meta(source)[i])

    def _shaped(self, value: Value, shape: tuple[int, ...]) -> Value:
        """The same numbers in the same order, in another shape."""
        if value.shape == shape:
            return value
        if isinstance(value, Elements):
            return Elements(shape, value.stage, value.items)
        kept = _reshaped(value, shape) if isinstance(value, (Product, Joined)) else None
        if kept is not None:
            return kept
        source = self.array(value)
        try:
            return _like(source, meta(source).view(shape))
        except RuntimeError:
            source = self._compact(source)
            return _like(source, meta(source).view(shape))

    def _product_written_out(self, a: Value, b: Value, start: Value | None) -> Value:
        n, k, m = a.shape[0], a.shape[1], b.shape[1]
        items = []
        for i in range(n):
            for j in range(m):
                terms = [[self._number(a, i * k + c), self._number(b, c * m + j)] for c in range(k)]
                if start is not None:
                    terms.insert(0, [self._broadcast_number(start, (i, j))])
                items.append(self._sum_of_products(terms))
        return self._elements((n, m), items)

    def _broadcast_number(self, value: Value, index: tuple[int, ...]) -> tuple[str, int]:
        place = 0
        for i, n in zip(_of_broadcast(index, value.shape), value.shape, strict=True):
            place = place * n + i
        return self._number(value, place)

    def _sum_of_products(self, terms: list[list[tuple[str, int]]]) -> tuple[str, int]:
        stage = max((own for factors in terms for _, own in factors), default=ONCE)
        text = " + ".join(" * ".join(text for text, _ in factors) for factors in terms)
        return self.writer.scopes[stage].name(f"({text})"), stage

    def _linear(
        self, shape: tuple[int, ...], weight: Strided, x: Value, start: Value | None, transposed: bool
    ) -> Value:
        """A product with a weight; columns of held numbers are multiplied when those change, not at every call."""
        rows_at, cols_at = (1, 0) if transposed else (0, 1)
        rows, cols = weight.shape[rows_at], weight.shape[cols_at]
        row_stride, col_stride = weight.strides[rows_at], weight.strides[cols_at]
        groups = self._columns(x)
        late = max(stage for stage, _ in groups)
        early = [part for stage, part in groups if stage < late]
        size = prod(shape)

        def make(own_start: Value | None) -> Strided:
            begin = self._start(own_start, size)
            if early and cols > len(early):
                begin = self._multiply(weight, row_stride, col_stride, rows, x, early, begin)
            return self._multiply(
                weight, row_stride, col_stride, rows, x, [p for s, p in groups if s == late], begin, shape
            )

        return Product(shape, max(late, start.stage if start else ONCE), make, start)

    def _columns(self, x: Value) -> list[tuple[int, int]]:
        """Stage and place of every number that a product reads."""
        if isinstance(x, Elements):
            return [(stage, place) for place, (_, stage) in enumerate(x.items)]
        if isinstance(x, Joined):
            return [
                (stage, place) for place, stage in enumerate(s for piece in x.pieces for s, _ in self._columns(piece))
            ]
        return [(x.stage, place) for place in range(x.size)]

    def _multiply(
        self, weight: Strided, row_stride: int, col_stride: int, rows: int, x: Value, places: list[int], start: Strided,
        shape: tuple[int, ...] | None = None,
    ) -> Strided:  # fmt: skip
        whole = len(places) == x.size
        source = self.array(x) if whole else self._chosen(x, places)
        if source.offset or source.strides != contiguous(source.shape):
            source = self._compact(source)
        stage = max(source.stage, start.stage)
        regular = places == list(range(places[0], places[0] + len(places)))
        offset = weight.offset + (places[0] * col_stride if regular else 0)
        columns = str(len(places)) if regular else f"[{', '.join(map(str, places))}]"
        matrix = self.writer.once(
            "w", f"n.matrix({weight.array}, {offset}, {rows}, {row_stride}, {col_stride}, {columns})"
        )
        out = self.writer.array(rows)
        self.writer.line(stage, f"n.product({matrix}, {source.array}, {start.array}, {out});")
        shape = shape or (rows,)
        return Strided(shape, stage, out, 0, contiguous(shape))

    def _chosen(self, x: Value, places: list[int]) -> Strided:
        if isinstance(x, Elements):
            return self.array(self._elements((len(places),), [x.items[i] for i in places]))
        chosen, first, wanted = [], 0, set(places)
        for piece in x.pieces if isinstance(x, Joined) else [x]:
            inside = [i - first for i in range(first, first + piece.size) if i in wanted]
            if len(inside) == piece.size:
                chosen.append(self._shaped(piece, (piece.size,)))
            elif inside:
                chosen.append(self._elements((len(inside),), [piece.items[i] for i in inside]))
            first += piece.size
        if len(chosen) == 1:
            return self.array(chosen[0])
        return self.array(Joined((len(places),), max(c.stage for c in chosen), 0, chosen))

    def _start(self, start: Value | None, size: int) -> Strided:
        """What a product adds to, in an array that is long enough."""
        if start is None:
            return Strided((size,), ONCE, self.writer.array(size), 0, (1,))
        if isinstance(start, (Computed, Joined)) or (isinstance(start, Elements) and start.size == size):
            return self.array(start)
        source = self.array(start)
        own = source.array[0] == "v" and source.offset == 0 and source.strides == contiguous(source.shape)
        if own and source.size == size:
            return source
        target = Strided((size,), source.stage, self.writer.array(size), 0, (1,))
        self.copy(_like(source, meta(source).reshape(-1).expand(size)), target)
        return target

    def _product_in_loops(self, shape: tuple[int, ...], a: Value, b: Value, start: Value | None) -> Value:
        left, right = self.array(a), self.array(b)
        begin = None if start is None else self.array(start)
        stage = max(x.stage for x in (left, right, begin) if x is not None)
        out = Strided(shape, stage, self.writer.array(prod(shape)), 0, contiguous(shape))
        i, j, k, s = (self.writer.fresh(letter) for letter in "iiis")
        scope = Scope(self.writer)
        first = "0" if begin is None else begin.at(_of_broadcast((i, j), begin.shape), scope)[0]
        term = f"{left.at((i, k), scope)[0]} * {right.at((k, j), scope)[0]}"
        self.writer.line(
            stage,
            f"for (let {i} = 0; {i} < {shape[0]}; {i}++) for (let {j} = 0; {j} < {shape[1]}; {j}++) {{ "
            f"let {s} = {first}; for (let {k} = 0; {k} < {left.shape[1]}; {k}++) {s} += {term}; "
            f"{out.at((i, j), scope)[0]} = {s}; }}",
        )
        return out

    # --- sums ---------------------------------------------------------------------------------------------------------
    def reduce(self, base: str, shape: tuple[int, ...], value: Value, dim: object = None, *unused: object) -> Value:
        """Sums, means, products and extremes over dimensions."""
        dims = range(len(value.shape)) if dim in (None, []) else [dim] if isinstance(dim, int) else dim
        dims = sorted({d % len(value.shape) for d in dims}) if value.shape else []
        count = prod(value.shape[d] for d in dims)
        kept = tuple(1 if d in dims else n for d, n in enumerate(value.shape))
        sign = REDUCTIONS[base]
        source = value if isinstance(value, Elements) else self.array(value)
        if count <= SMALL and prod(kept) <= SMALL:
            items = []
            for index in indices(kept):
                inner = indices([value.shape[d] if d in dims else 1 for d in range(len(kept))])
                read = [source.at(tuple(i + o for i, o in zip(index, r, strict=True)), None) for r in inner]
                own = max(stage for _, stage in read)
                names = [self.writer.scopes[stage].name(text) for text, stage in read]
                text = f"{sign}({', '.join(names)})" if sign[0] == "M" else f"({f' {sign} '.join(names)})"
                items.append((self.writer.scopes[own].name(f"({text} / {count})" if base == "mean" else text), own))
            return self._shaped(self._elements(kept, items), shape)
        source = self.array(source)
        out = Strided(kept, source.stage, self.writer.array(prod(kept)), 0, contiguous(kept))
        self._reduce_in_loops(source, out, dims, sign, f" / {count}" if base == "mean" else "")
        return self._shaped(out, shape)

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
        self, shape: tuple[int, ...], value: Value, dim: object = None, correction: float = 1, keepdim: bool = False
    ) -> Value:
        """Variance over dimensions."""
        dims = range(len(value.shape)) if dim in (None, []) else [dim] if isinstance(dim, int) else dim
        dims = [d % len(value.shape) for d in dims]
        kept = tuple(1 if d in dims else n for d, n in enumerate(value.shape))
        value = value if isinstance(value, Elements) else self.array(value)
        away = self.each("sub", value, self.reduce("mean", kept, value, dims))
        total = self.reduce("sum", kept, self.each("mul", away, away), dims)
        count = prod(value.shape[d] for d in dims)
        return self._shaped(self.each("div", total, count - (1 if correction is None else correction)), shape)

    def op_std(self, shape: tuple[int, ...], value: Value, *args: object, **kwargs: object) -> Value:
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
            now = self._number(value, place)
            before = items.get(tuple(i - 1 if d == dim % len(shape) else i for d, i in enumerate(index)))
            items[index] = now if before is None else self._sum_of_products([[before], [now]])
        return self._elements(shape, list(items.values()))

    # --- the rest -----------------------------------------------------------------------------------------------------
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
        row, stage = self._number(index, 0)
        row = self.writer.scopes[stage].name(row)
        rows, columns = table.strides
        items = [
            (self.writer.scopes[stage].name(f"{table.array}[{rows} * {row} + {table.offset + columns * j}]"), stage)
            for j in range(table.shape[1])
        ]
        return self._elements(shape, items)

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


def _like(source: Strided, layout: Tensor) -> Strided:
    """The numbers of an array in the layout of a tensor."""
    return Strided(tuple(layout.shape), source.stage, source.array, layout.storage_offset(), tuple(layout.stride()))


def _of_broadcast(index: Index, shape: Sequence[int]) -> Index:
    own = index[len(index) - len(shape) :] if shape else ()
    return tuple(0 if n == 1 else i for i, n in zip(own, shape, strict=True))


def _added(base: str, a: Value, b: Value) -> Value | None:
    """A product that begins at what is added to it, where one of two summands is a product that nothing else reads."""
    for product, other in ((a, b), (b, a)):
        if base == "sub" or not isinstance(product, Product) or product.start is not None or product.made is not None:
            continue
        if other.size == product.size and np.broadcast_shapes(product.shape, other.shape) == product.shape:
            return Product(product.shape, max(product.stage, other.stage), product.make, other)
    return None


def _reshaped(value: Product | Joined, shape: tuple[int, ...]) -> Value | None:
    """A vector in another shape, without being written yet; None for what is not a vector."""
    if max((*value.shape, 1)) != value.size:
        return None
    if isinstance(value, Product):

        def make(start: Value | None) -> Strided:
            made = value.made if value.made is not None else value.make(start)
            return _like(made, meta(made).view(shape))

        return Product(shape, value.stage, make, value.start)
    pieces = [Elements((p.size,), p.stage, p.items) if isinstance(p, Elements) else p for p in value.pieces]
    if any(len(p.shape) != 1 and not isinstance(p, Strided) for p in pieces):
        return None
    pieces = [_like(p, meta(p).reshape(-1)) if isinstance(p, Strided) else p for p in pieces]
    long = [d for d, n in enumerate(shape) if n > 1]
    if len(long) != 1:
        return None
    shaped = [_vector(p, shape, long[0]) for p in pieces]
    return Joined(shape, value.stage, long[0], shaped) if all(shaped) else None


def _vector(piece: Value, shape: tuple[int, ...], dim: int) -> Value | None:
    own = tuple(piece.size if d == dim else 1 for d in range(len(shape)))
    if isinstance(piece, Elements):
        return Elements(own, piece.stage, piece.items)
    if isinstance(piece, Strided):
        return _like(piece, meta(piece).view(own))
    if isinstance(piece, Computed):
        return Computed(own, piece.stage, lambda index, scope: piece.rule((index[dim],), scope))
    return None


def _constant(value: Value) -> Tensor:
    """The whole numbers of an index that is written in the code."""
    if not isinstance(value, Elements) or any(stage != ONCE for _, stage in value.items):
        raise MissingOperationError("the page has no form of an index that depends on the state")
    return torch.tensor([int(float(text.strip("()"))) for text, _ in value.items]).reshape(value.shape)
