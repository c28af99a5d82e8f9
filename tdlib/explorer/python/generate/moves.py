"""Operations that only reorder numbers: torch itself says which number goes where."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from tdlib.explorer.python.generate.arrays import MissingOperationError
from tdlib.explorer.python.generate.elementwise import Elementwise
from tdlib.explorer.python.generate.values import (
    SMALL,
    Computed,
    Elements,
    Joined,
    Product,
    Strided,
    Value,
    contiguous,
    like,
    meta,
    places_of,
)
from tdlib.speed.trace import Operation, Ref

MOVES = (
    "view _unsafe_view reshape t transpose permute unsqueeze squeeze select slice expand unbind split split_with_sizes "
    "chunk detach alias clone contiguous diagonal flip roll repeat narrow movedim index_select stack cat lift_fresh "
    "expand_as view_as flatten unflatten tile unfold index"
).split()
GATHERS = ("flip", "roll", "repeat", "tile", "index_select", "index")
SAME_ORDER = "view _unsafe_view reshape unsqueeze squeeze detach alias clone contiguous flatten unflatten t".split()


class Moves(Elementwise):
    """Adds views, joins and other reorderings."""

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
        if not small and not isinstance(source, Elements) and base not in GATHERS:
            source = self.array(source)
            if base in ("clone", "contiguous"):
                return [source]
            try:
                found = operation.function(meta(source), *args[1:], **kwargs)
            except RuntimeError:  # no view has this order
                source = self.compact(source)
                found = operation.function(meta(source), *args[1:], **kwargs)
            return [like(source, x) for x in (found if isinstance(found, (list, tuple)) else [found])]
        return self._by_number(base, operation, sources, kwargs)

    def _by_number(self, base: str, operation: Operation, sources: list[Value], kwargs: dict) -> list[Value]:
        """Ask torch where every number goes; indices must be constants."""
        if any(isinstance(x, Ref) for x in _flat((operation.args[1:], kwargs))):
            raise MissingOperationError("the page has no form of an index that depends on the state")
        numbers, first = [], 0
        for x in sources:
            numbers.append(torch.arange(first, first + x.size).reshape(x.shape))
            first += x.size
        given = numbers if base in ("cat", "stack") else numbers[0]
        found = operation.function(given, *operation.args[1:], **kwargs)
        found = found if isinstance(found, (list, tuple)) else [found]
        return [self._gathered(sources, moved) for moved in found]

    def _gathered(self, sources: list[Value], places: Tensor) -> Value:
        shape, flat = tuple(places.shape), places.flatten().tolist()
        if len(sources) == 1 and len(flat) > SMALL and not isinstance(sources[0], Elements):
            source = self.array(sources[0])
            address = places_of(source).flatten()[places.flatten()].tolist()
            table = self.writer.once("t", f"Int32Array.of({', '.join(map(str, address))})")
            target = Strided(shape, source.stage, self.writer.array(len(flat)), 0, contiguous(shape))
            i = self.writer.fresh("i")
            line = f"for (let {i} = 0; {i} < {len(flat)}; {i}++) {target.array}[{i}] = {source.array}[{table}[{i}]];"
            self.writer.line(source.stage, line)
            return target
        items = []
        for place in flat:
            for x in sources:
                if place < x.size:
                    break
                place -= x.size
            items.append(self.number_at(x, place))
        return self.elements(shape, items)

    def _joined(self, base: str, shape: tuple[int, ...], sources: list[Value], dim: int) -> Value:
        dim = dim % len(shape)
        if base == "stack":
            sources = [self.unsqueezed(x, dim) for x in sources]
        return Joined(shape, max(x.stage for x in sources), dim, list(sources))

    def unsqueezed(self, value: Value, dim: int) -> Value:
        """Add a dimension of one."""
        shape = (*value.shape[:dim], 1, *value.shape[dim:])
        if isinstance(value, Elements):
            return Elements(shape, value.stage, value.items)
        source = self.array(value)
        return like(source, meta(source).unsqueeze(dim))

    def row(self, value: Value, i: int) -> Value:
        """Entry i along the first dimension."""
        if isinstance(value, Elements):
            size = value.size // value.shape[0]
            return self.elements(value.shape[1:], value.items[i * size : (i + 1) * size])
        source = self.array(value)
        return like(source, meta(source)[i])

    def shaped(self, value: Value, shape: tuple[int, ...]) -> Value:
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
            return like(source, meta(source).view(shape))
        except RuntimeError:
            source = self.compact(source)
            return like(source, meta(source).view(shape))


def _reshaped(value: Product | Joined, shape: tuple[int, ...]) -> Value | None:
    """A vector in another shape, without being written yet; None for what is not a vector."""
    if max((*value.shape, 1)) != value.size:
        return None
    if isinstance(value, Product):

        def make(start: Value | None) -> Strided:
            made = value.made if value.made is not None else value.make(start)
            return like(made, meta(made).view(shape))

        return Product(shape, value.stage, make=make, start=value.start)
    pieces: list[Value] = [
        Elements((p.size,), p.stage, p.items) if isinstance(p, Elements) else p for p in value.pieces
    ]
    if any(len(p.shape) != 1 and not isinstance(p, Strided) for p in pieces):
        return None
    pieces = [like(p, meta(p).reshape(-1)) if isinstance(p, Strided) else p for p in pieces]
    long = [d for d, n in enumerate(shape) if n > 1]
    if len(long) != 1:
        return None
    shaped = [vector for p in pieces if (vector := _vector(p, shape, long[0])) is not None]
    return Joined(shape, value.stage, long[0], shaped) if len(shaped) == len(pieces) else None


def _vector(piece: Value, shape: tuple[int, ...], dim: int) -> Value | None:
    own = tuple(piece.size if d == dim else 1 for d in range(len(shape)))
    if isinstance(piece, Elements):
        return Elements(own, piece.stage, piece.items)
    if isinstance(piece, Strided):
        return like(piece, meta(piece).view(own))
    if isinstance(piece, Computed):
        return Computed(own, piece.stage, lambda index, scope: piece.rule((index[dim],), scope))
    return None


def _flat(nested: object) -> list:
    if isinstance(nested, (list, tuple)):
        return [leaf for item in nested for leaf in _flat(item)]
    return _flat(list(nested.values())) if isinstance(nested, dict) else [nested]
