"""Where the numbers of a value lie while JavaScript is written: one by one, in an array, or not yet computed."""

from collections import Counter

from tdlib.explorer.python.generate.values import (
    ONCE,
    Computed,
    Elements,
    Joined,
    Product,
    Scope,
    Strided,
    Value,
    Writer,
    address,
    contiguous,
    indices,
    like,
    meta,
)


class MissingOperationError(ValueError):
    """A model cannot be written in JavaScript; the message names the operation, or says why not."""


class Arrays:
    """Values of a graph and the code written for them so far."""

    def __init__(self):
        self.writer = Writer()
        self.values: dict[str | int, Value] = {}
        self.uses: Counter = Counter()
        self._arrays: dict[int, tuple[Value, Strided]] = {}

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
                self.copy(piece, like(target, part), stage)
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

    def number_at(self, value: Value, place: int) -> tuple[str, int]:
        """Return the expression of the number at a place in row-major order, and its stage."""
        if isinstance(value, (Computed, Joined)):
            value = self.array(value)
        index, rest = [], place
        for n in reversed(value.shape):
            index.append(rest % n)
            rest //= n
        return value.at(tuple(reversed(index)), self.writer.scopes[value.stage])

    def elements(self, shape: tuple[int, ...], items: list[tuple[str, int]]) -> Value:
        """Put numbers together to a value."""
        return Elements(shape, max((stage for _, stage in items), default=ONCE), items)

    def compact(self, value: Strided) -> Strided:
        """Copy a value into an array of its own, in row-major order."""
        target = Strided(value.shape, value.stage, self.writer.array(value.size), 0, contiguous(value.shape))
        self.copy(value, target)
        return target
