"""Turn a function of numbers, written over a namespace, into straight-line Python.

One sample moves fastest as plain arithmetic on local variables. Running the function once with `Unknown` numbers
records what it does; what occurs twice is computed once; the result is text for `exec`, which runs as fast as if
somebody had written it.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from tdlib.core.namespace import BINARY, MATH, UNARY, Namespace

DEEPEST = 12  # parentheses inside each other, above which an expression gets a line of its own
GLOBALS = {"inf": math.inf, "nan": math.nan, **{name: getattr(MATH, name) for name in (*UNARY, "atan2")}}


class Unknown:
    """A number, or truth value, that is known when the code runs.

    Args:
        operation: Its Python, with {} where a part stands.
        parts: What it is computed from, unknown or plain numbers.
        shared: All numbers recorded so far by what they are, so that equal ones are one.
    """

    __slots__ = ("operation", "parts", "shared")
    operation: str
    parts: tuple
    shared: dict

    def __new__(cls, operation: str, parts: tuple, shared: dict) -> "Unknown":
        key = (operation, *(id(part) if isinstance(part, Unknown) else repr(part) for part in parts))
        if key not in shared:
            shared[key] = made = super().__new__(cls)
            made.operation, made.parts, made.shared = operation, parts, shared
        return shared[key]

    def __bool__(self) -> bool:
        raise TypeError("a number must be known for `if`, `and`, `or`, `min` or `max`; use m.where, & | ~, m.minimum")

    def __pow__(self, exponent: float) -> "Unknown":
        if exponent == 2:
            return Unknown("({} * {})", (self, self), self.shared)
        return Unknown("({} ** {})", (self, exponent), self.shared)

    def __rpow__(self, base: float) -> "Unknown":
        return Unknown("({} ** {})", (base, self), self.shared)

    def __neg__(self) -> "Unknown":
        return Unknown("(-{})", (self,), self.shared)

    def __pos__(self) -> "Unknown":
        return self

    def __invert__(self) -> "Unknown":
        return Unknown("(not {})", (self,), self.shared)

    def __abs__(self) -> "Unknown":
        return Unknown("abs({})", (self,), self.shared)


def _binary(symbol: str, swapped: bool = False) -> Callable:
    def apply(self: Unknown, other: object) -> Unknown:
        if not isinstance(other, Unknown | float | int):
            return NotImplemented
        return Unknown(f"({{}} {symbol} {{}})", (other, self) if swapped else (self, other), self.shared)

    return apply


for _name, _symbol in (
    ("add", "+"), ("sub", "-"), ("mul", "*"), ("truediv", "/"), ("mod", "%"), ("and", "and"), ("or", "or"),
):  # fmt: skip
    setattr(Unknown, f"__{_name}__", _binary(_symbol))
    setattr(Unknown, f"__r{_name}__", _binary(_symbol, swapped=True))
for _name, _symbol in (("lt", "<"), ("le", "<="), ("gt", ">"), ("ge", ">=")):
    setattr(Unknown, f"__{_name}__", _binary(_symbol))


class Vector(tuple):
    """Components that add and scale, for solver steps."""

    def __add__(self, other: Sequence) -> "Vector":
        return Vector([a + b for a, b in zip(self, other, strict=True)])

    def __rmul__(self, factor: Any) -> "Vector":
        return Vector([factor * a for a in self])


def unknowns(*names: str) -> list[Unknown]:
    """Return unknown numbers that stand for variables; functions of several must get them from one call."""
    shared: dict = {}
    return [Unknown(name, (), shared) for name in names]


def code(results: Sequence[Any]) -> tuple[list[str], list[str]]:
    """Return the lines that compute some numbers, and an expression for each of them."""
    uses: dict[int, int] = {}
    for result in results:
        _count(result, uses)
    lines: list[str] = []
    done: dict[int, tuple[str, int]] = {}
    texts = [_text(result, uses, done, lines)[0] for result in results]
    return lines, texts


def _count(value: Any, uses: dict[int, int]) -> None:
    if isinstance(value, Unknown):
        uses[id(value)] = uses.get(id(value), 0) + 1
        if uses[id(value)] == 1:
            for part in value.parts:
                _count(part, uses)


def _text(value: Any, uses: dict[int, int], done: dict[int, tuple[str, int]], lines: list[str]) -> tuple[str, int]:
    """Text of a number, and how deep its parentheses are."""
    if not isinstance(value, Unknown):
        return (f"({value!r})" if isinstance(value, float | int) and value < 0 else repr(value)), 0
    if not value.parts:
        return value.operation, 0
    if id(value) not in done:
        parts = [_text(part, uses, done, lines) for part in value.parts]
        text, depth = value.operation.format(*(part for part, _ in parts)), 1 + max(depth for _, depth in parts)
        if uses[id(value)] > 1 or depth > DEEPEST:
            name = f"t{len(done)}"
            lines.append(f"{name} = {text}")
            text, depth = name, 0
        done[id(value)] = text, depth
    return done[id(value)]


def _function(name: str) -> Callable:
    def apply(*numbers: Unknown | float) -> Unknown | float:
        known = [x for x in numbers if isinstance(x, Unknown)]
        if not known:
            return getattr(MATH, name)(*numbers)
        return Unknown(f"{name}({', '.join(['{}'] * len(numbers))})", numbers, known[0].shared)

    return apply


def _chosen(condition: Unknown | bool, x: Unknown | float, y: Unknown | float) -> Unknown | float:
    if not isinstance(condition, Unknown):
        return x if condition else y
    return Unknown("({1} if {0} else {2})", (condition, x, y), condition.shared)


RECORDING = Namespace(
    **{name: _function(name) for name in (*UNARY, *BINARY) if name not in ("minimum", "maximum", "remainder")},
    minimum=lambda x, y: _chosen(x < y, x, y),
    maximum=lambda x, y: _chosen(x > y, x, y),
    remainder=lambda x, y: x % y,
    where=_chosen,
)
