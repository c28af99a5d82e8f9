"""The functions that an equation may call, over tensors, plain numbers or symbols: it is written once and read by all.

    def pendulum(x, u, p, m):
        return x[1], 3 * p.gravity / (2 * p.length) * m.sin(x[0]) + 3 / (p.mass * p.length**2) * u[0]

x and u are sequences of components, p has the parameters by name, m is one of the namespaces here. Besides m an
equation may use + − * / and powers, comparisons, and & | ~ between them; a choice is written `m.where`, since `if`
would decide for a whole batch at once.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor

UNARY = (
    "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "exp", "log", "sqrt", "abs", "sign", "floor",
)  # fmt: skip
BINARY = ("atan2", "minimum", "maximum", "remainder")  # the remainder has the sign of the divisor


@dataclass(frozen=True)
class Namespace:
    """Elementary functions of one kind of number, and what can be written with them.

    Args:
        sin, cos, tan, asin, acos, atan, sinh, cosh, tanh, exp, log, sqrt, abs, sign, floor: Of one number.
        atan2, minimum, maximum, remainder: Of two.
        where: (condition, if true, if false).
    """

    sin: Callable
    cos: Callable
    tan: Callable
    asin: Callable
    acos: Callable
    atan: Callable
    sinh: Callable
    cosh: Callable
    tanh: Callable
    exp: Callable
    log: Callable
    sqrt: Callable
    abs: Callable
    sign: Callable
    floor: Callable
    atan2: Callable
    minimum: Callable
    maximum: Callable
    remainder: Callable
    where: Callable
    pi: ClassVar[float] = math.pi

    def clip(self, x: Any, low: Any, high: Any) -> Any:
        """Keep a number between two bounds."""
        return self.minimum(self.maximum(x, low), high)

    def wrap(self, angle: Any) -> Any:
        """Map an angle [rad] to (-pi, pi]."""
        return math.pi - self.remainder(math.pi - angle, 2 * math.pi)

    def solve(self, matrix: Sequence[Sequence[Any]], vector: Sequence[Any]) -> tuple:
        """Solve a small linear system A x = b, written out: n rows of n, n numbers -> n numbers.

        Up to three unknowns by Cramer's rule. More are eliminated in order without exchanging rows, which is safe for
        mass matrices and others that are positive definite.

        Raises:
            ValueError: If the matrix is not square or does not fit the vector.
        """
        size = len(vector)
        if size == 0 or len(matrix) != size or any(len(row) != size for row in matrix):
            raise ValueError(f"matrix must be {size} rows of {size} numbers, got {[len(row) for row in matrix]}")
        if size <= 3:
            whole = _determinant(matrix)
            rows = list(zip(matrix, vector, strict=True))
            replaced = ([[*row[:i], b, *row[i + 1 :]] for row, b in rows] for i in range(size))
            return tuple(_determinant(columns) / whole for columns in replaced)
        return _eliminated([[*row, b] for row, b in zip(matrix, vector, strict=True)])


def _determinant(rows: Sequence[Sequence[Any]]) -> Any:
    if len(rows) == 1:
        return rows[0][0]
    if len(rows) == 2:
        (a, b), (c, d) = rows
        return a * d - b * c
    (a, b, c), *others = rows
    (d, e, f), (g, h, i) = others
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


def _eliminated(rows: list[list[Any]]) -> tuple:
    size = len(rows)
    solution: list[Any] = []
    for k in range(size):
        for i in range(k + 1, size):
            factor = rows[i][k] / rows[k][k]
            rows[i] = [x - factor * y for x, y in zip(rows[i], rows[k], strict=True)]
    for k in reversed(range(size)):
        known = sum((rows[k][size - 1 - j] * x for j, x in enumerate(solution)), 0.0)
        solution.append((rows[k][size] - known) / rows[k][k])
    return tuple(reversed(solution))


def _sign(x: float) -> float:
    return float((x > 0) - (x < 0))


MATH = Namespace(
    **{name: getattr(math, name) for name in UNARY if name not in ("abs", "sign")},
    abs=abs,
    sign=_sign,
    atan2=math.atan2,
    minimum=min,
    maximum=max,
    remainder=lambda x, y: x % y,
    where=lambda condition, x, y: x if condition else y,
)


def _of_tensors(name: str) -> Callable:
    """The function of tensors; of a number, which a nominal parameter is, the function of numbers."""
    of_tensors, of_numbers = getattr(torch, name), getattr(MATH, name)
    if name in UNARY:
        return lambda x: of_tensors(x) if isinstance(x, Tensor) else of_numbers(x)

    def apply(x: Tensor | float, y: Tensor | float) -> Tensor | float:
        if isinstance(x, Tensor):
            return of_tensors(x, y if isinstance(y, Tensor) else x.new_tensor(y))
        return of_tensors(y.new_tensor(x), y) if isinstance(y, Tensor) else of_numbers(x, y)

    return apply


def _bounded(name: str, side: str) -> Callable:
    """Minimum or maximum; a bound that is a number is clamped to, which is the faster call."""
    general = _of_tensors(name)

    def apply(x: Tensor | float, y: Tensor | float) -> Tensor | float:
        if isinstance(x, Tensor) and not isinstance(y, Tensor):
            return x.clamp(**{side: y})
        if isinstance(y, Tensor) and not isinstance(x, Tensor):
            return y.clamp(**{side: x})
        return general(x, y)

    return apply


def _where(condition: Tensor | bool, x: Tensor | float, y: Tensor | float) -> Tensor | float:
    if isinstance(condition, Tensor):
        return torch.where(condition, x, y)
    return x if condition else y


TORCH = Namespace(
    **{name: _of_tensors(name) for name in (*UNARY, "atan2")},
    remainder=lambda x, y: torch.remainder(x, y) if isinstance(x, Tensor) or isinstance(y, Tensor) else x % y,
    minimum=_bounded("minimum", "max"),
    maximum=_bounded("maximum", "min"),
    where=_where,
)


@cache
def symbolic() -> Namespace:
    """Return the namespace over sympy's expressions, for derivations and for code in other languages."""
    import sympy  # slow to import, and needed by those who ask for symbols only

    renamed = {"abs": sympy.Abs, "minimum": sympy.Min, "maximum": sympy.Max, "remainder": sympy.Mod}
    found = {name: renamed.get(name) or getattr(sympy, name) for name in (*UNARY, *BINARY)}
    return Namespace(**found, where=lambda condition, x, y: sympy.Piecewise((x, condition), (y, True)))
