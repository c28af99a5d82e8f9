"""Values of a graph while JavaScript is written from it: small ones number by number, large ones in arrays.

Every value knows its stage, which says how often it is computed: once per model (0, from weights alone), when the held
action or Δt changes (1), at every call (2). Code lands in the list of its stage, so what is held is not computed again.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

SMALL = 32  # a value of up to this many numbers is written number by number
ONCE, HELD, CALL = 0, 1, 2
STAGES = (ONCE, HELD, CALL)

Index = tuple[int | str, ...]


class Scope:
    """Lines of one block; a repeated expression gets one name.

    Args:
        writer: Gives fresh names.
        declare: Writes the line that names an expression: (name, expression) -> line.
    """

    def __init__(self, writer: "Writer", declare: Callable[[str, str], str] = "const {} = {};".format):
        self.writer, self.declare = writer, declare
        self.lines: list[str] = []
        self._names: dict[str, str] = {}

    def name(self, expression: str) -> str:
        """Return a name for an expression, which is computed here at its first use."""
        if is_plain(expression):
            return expression
        if expression not in self._names:
            name = self._names[expression] = self.writer.fresh("e")
            self.lines.append(self.declare(name, expression))
        return self._names[expression]


def is_plain(expression: str) -> bool:
    """Whether reading an expression computes nothing: a name, a number, an element of an array."""
    return all(c.isalnum() or c in "_.[]" for c in expression) or _is_number(expression)


def _is_number(text: str) -> bool:
    try:
        float(text.strip("()"))
        return True
    except ValueError:
        return False


class Writer:
    """Collects the code of one function, stage by stage."""

    def __init__(self):
        self._count: dict[str, int] = {}
        self.declarations: list[str] = []
        self.scopes = {stage: Scope(self) for stage in STAGES}
        self.scopes[HELD].declare = self._declare_held

    def fresh(self, letter: str) -> str:
        """Return a name that was not used yet."""
        self._count[letter] = self._count.get(letter, 0) + 1
        return f"{letter}{self._count[letter]}"

    def line(self, stage: int, text: str) -> None:
        """Add a line to a stage."""
        self.scopes[stage].lines.append(text)

    def once(self, letter: str, expression: str) -> str:
        """Name what is made once per model."""
        name = self.fresh(letter)
        self.line(ONCE, f"const {name} = {expression};")
        return name

    def array(self, length: int, letter: str = "v") -> str:
        """Make an array of zeros once per model; its length is a multiple of four, as products need it."""
        return self.once(letter, f"new Float64Array({4 * math.ceil(length / 4)})")

    def _declare_held(self, name: str, expression: str) -> str:
        self.declarations.append(name)
        return f"{name} = {expression};"


@dataclass
class Value:
    """A tensor while code is written; subclasses say where its numbers are.

    Args:
        shape: Its shape.
        stage: The latest stage of its numbers.
    """

    shape: tuple[int, ...]
    stage: int

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    def at(self, index: Index, scope: Scope) -> tuple[str, int]:
        """Return the expression of one number and its stage; what it needs is computed in `scope`."""
        raise NotImplementedError


@dataclass
class Elements(Value):
    """Numbers one by one, in row-major order, each an expression with its own stage."""

    items: list[tuple[str, int]] = field(default_factory=list)

    def at(self, index: Index, scope: Scope) -> tuple[str, int]:
        return self.items[_flat([int(i) for i in index], self.shape)]


@dataclass
class Strided(Value):
    """Numbers in an array, found by offset and strides."""

    array: str = ""
    offset: int = 0
    strides: tuple[int, ...] = ()

    def at(self, index: Index, scope: Scope) -> tuple[str, int]:
        return f"{self.array}[{address(index, self.strides, self.offset)}]", self.stage


@dataclass
class Computed(Value):
    """Numbers that are computed where they are read: the inside of a loop that somebody else writes."""

    rule: Callable[[Index, Scope], str] = lambda index, scope: "0"

    def at(self, index: Index, scope: Scope) -> tuple[str, int]:
        return self.rule(index, scope), self.stage


@dataclass
class Joined(Value):
    """Large values side by side along one dimension."""

    dim: int = 0
    pieces: list[Value] = field(default_factory=list)


@dataclass
class Product(Value):
    """W x + start, written when it is first read, so that a sum that follows can become its start."""

    make: Callable[[Value | None], Strided] = field(kw_only=True)
    start: Value | None = None
    made: Strided | None = None

    def written(self) -> Strided:
        """Write the product if it is not yet."""
        if self.made is None:
            self.made = self.make(self.start)
        return self.made

    def at(self, index: Index, scope: Scope) -> tuple[str, int]:
        return self.written().at(index, scope)


def _flat(index: Sequence[int], shape: Sequence[int]) -> int:
    position = 0
    for i, n in zip(index, shape, strict=True):
        position = position * n + i
    return position


def address(index: Index, strides: Sequence[int], offset: int) -> str:
    """Write offset + Σ index·stride with what is known added up."""
    known, terms = offset, []
    for i, stride in zip(index, strides, strict=True):
        if isinstance(i, int):
            known += i * stride
        elif stride:
            terms.append(i if stride == 1 else f"{stride} * {i}")
    if known or not terms:
        terms.append(str(known))
    return " + ".join(terms)


def indices(shape: Sequence[int]) -> list[tuple[int, ...]]:
    """Every index of a shape in row-major order."""
    result: list[tuple[int, ...]] = [()]
    for n in shape:
        result = [(*index, i) for index in result for i in range(n)]
    return result


def contiguous(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides of a row-major array."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def number(value: float) -> str:
    """Write a number so that JavaScript reads the same double."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "(-Infinity)"
    text = str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
    return f"({text})" if text.startswith("-") else text


def literal(tensor: Tensor, writer: Writer) -> Value:
    """A tensor whose numbers are written into the code."""
    numbers = [number(float(x)) for x in tensor.detach().double().flatten().tolist()]
    shape = tuple(tensor.shape)
    if len(numbers) <= SMALL:
        return Elements(shape, ONCE, [(x, ONCE) for x in numbers])
    if len(set(numbers)) == 1:
        name = writer.once("c", f"new Float64Array({len(numbers)}).fill({numbers[0]})")
    else:
        name = writer.once("c", f"Float64Array.of({', '.join(x.strip('()') for x in numbers)})")
    return Strided(shape, ONCE, name, 0, contiguous(shape))


def meta(value: Strided) -> Tensor:
    """A tensor that lies in memory as a value does; its numbers mean nothing."""
    reach = value.offset + sum((n - 1) * s for n, s in zip(value.shape, value.strides, strict=True)) + 1
    return torch.empty(reach, dtype=torch.uint8).as_strided(value.shape, value.strides, value.offset)


def like(source: Strided, layout: Tensor) -> Strided:
    """The numbers of an array in the layout of a tensor."""
    return Strided(tuple(layout.shape), source.stage, source.array, layout.storage_offset(), tuple(layout.stride()))


def of_broadcast(index: Index, shape: Sequence[int]) -> Index:
    """The index of an operand where an index of the broadcast result is asked for."""
    own = index[len(index) - len(shape) :] if shape else ()
    return tuple(0 if n == 1 else i for i, n in zip(own, shape, strict=True))


def places_of(value: Strided) -> Tensor:
    """Where in its array every number of a value lies."""
    places = torch.full(value.shape, value.offset)
    for d, (n, stride) in enumerate(zip(value.shape, value.strides, strict=True)):
        shape = [n if k == d else 1 for k in range(len(value.shape))]
        places = places + stride * torch.arange(n).reshape(shape)
    return places
