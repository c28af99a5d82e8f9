"""Matrix products: written out where small; with held columns multiplied apart where a weight is read."""

from math import prod

from tdlib.explorer.python.generate.moves import Moves
from tdlib.explorer.python.generate.values import (
    ONCE,
    SMALL,
    Computed,
    Elements,
    Joined,
    Product,
    Scope,
    Strided,
    Value,
    contiguous,
    like,
    meta,
    of_broadcast,
)

SMALL_PRODUCT = 64  # a matrix product of up to this many multiplications is written out


class Products(Moves):
    """Adds matrix products."""

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
        start = None if start is None else self.shaped(start, (*start.shape, 1) if start.shape else (1, 1))
        return self.shaped(self.op_mm((a.shape[0], 1), a, self.shaped(x, (x.size, 1)), start), shape)

    def op_addmv(self, shape: tuple[int, ...], start: Value, a: Value, x: Value) -> Value:
        """Sum start + a x."""
        return self.op_mv(shape, a, x, start)

    def op_dot(self, shape: tuple[int, ...], a: Value, b: Value) -> Value:
        """(k) x (k)."""
        return self.shaped(self.op_mm((1, 1), self.shaped(a, (1, a.size)), self.shaped(b, (b.size, 1))), shape)

    def op_bmm(self, shape: tuple[int, ...], a: Value, b: Value) -> Value:
        """(N, n, k) x (N, k, m), one after the other."""
        parts = []
        for i in range(shape[0]):
            left, right = (self.row(x, i) for x in (a, b))
            parts.append(self.unsqueezed(self.array(self.op_mm(shape[1:], left, right)), 0))
        return parts[0] if len(parts) == 1 else Joined(shape, max(x.stage for x in parts), 0, parts)

    def op_baddbmm(self, shape: tuple[int, ...], start: Value, a: Value, b: Value) -> Value:
        """Sum start + a b, each (N, ...)."""
        return self.each("add", self.op_bmm(shape, a, b), start)

    def _product_written_out(self, a: Value, b: Value, start: Value | None) -> Value:
        n, k, m = a.shape[0], a.shape[1], b.shape[1]
        items = []
        for i in range(n):
            for j in range(m):
                terms = [[self.number_at(a, i * k + c), self.number_at(b, c * m + j)] for c in range(k)]
                if start is not None:
                    terms.insert(0, [self._broadcast_number(start, (i, j))])
                items.append(self.sum_of_products(terms))
        return self.elements((n, m), items)

    def _broadcast_number(self, value: Value, index: tuple[int, ...]) -> tuple[str, int]:
        place = 0
        for i, n in zip(of_broadcast(index, value.shape), value.shape, strict=True):
            place = place * n + int(i)
        return self.number_at(value, place)

    def sum_of_products(self, terms: list[list[tuple[str, int]]]) -> tuple[str, int]:
        """Name a sum of products of numbers; what is held is added up when it changes."""
        stages = [max(own for _, own in factors) for factors in terms]
        stage, texts = max(stages, default=ONCE), []
        for early in sorted({own for own in stages if own < stage}):
            part = " + ".join(_product(f) for f, own in zip(terms, stages, strict=True) if own == early)
            texts.append(self.writer.scopes[early].name(f"({part})"))
        texts += [_product(factors) for factors, own in zip(terms, stages, strict=True) if own == stage]
        return self.writer.scopes[stage].name(f"({' + '.join(texts)})"), stage

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

        return Product(shape, max(late, start.stage if start else ONCE), make=make, start=start)

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
            source = self.compact(source)
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
            return self.array(self.elements((len(places),), [x.items[i] for i in places]))
        chosen: list[Value] = []
        first, wanted = 0, set(places)
        for piece in x.pieces if isinstance(x, Joined) else [x]:
            inside = [i - first for i in range(first, first + piece.size) if i in wanted]
            if len(inside) == piece.size:
                chosen.append(self.shaped(piece, (piece.size,)))
            elif inside:
                chosen.append(self.elements((len(inside),), [self.number_at(piece, i) for i in inside]))
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
        self.copy(like(source, meta(source).reshape(-1).expand(size)), target)
        return target

    def _product_in_loops(self, shape: tuple[int, ...], a: Value, b: Value, start: Value | None) -> Value:
        left, right = self.array(a), self.array(b)
        begin = None if start is None else self.array(start)
        stage = max(x.stage for x in (left, right, begin) if x is not None)
        out = Strided(shape, stage, self.writer.array(prod(shape)), 0, contiguous(shape))
        i, j, k, s = (self.writer.fresh(letter) for letter in "iiis")
        scope = Scope(self.writer)
        first = "0" if begin is None else begin.at(of_broadcast((i, j), begin.shape), scope)[0]
        term = f"{left.at((i, k), scope)[0]} * {right.at((k, j), scope)[0]}"
        self.writer.line(
            stage,
            f"for (let {i} = 0; {i} < {shape[0]}; {i}++) for (let {j} = 0; {j} < {shape[1]}; {j}++) {{ "
            f"let {s} = {first}; for (let {k} = 0; {k} < {left.shape[1]}; {k}++) {s} += {term}; "
            f"{out.at((i, j), scope)[0]} = {s}; }}",
        )
        return out


def _product(factors: list[tuple[str, int]]) -> str:
    return " * ".join(text for text, _ in factors)
