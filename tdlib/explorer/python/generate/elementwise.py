"""Operations number by number, with shapes broadcast: short values are written out, long ones become loops."""

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from tdlib.explorer.python.generate.arrays import Arrays
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
    Value,
    indices,
    number,
    of_broadcast,
)


class Elementwise(Arrays):
    """Adds rules on single numbers."""

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
        if base == "add" and isinstance(args[0], Value) and isinstance(args[1], Value):
            joined = _added(args[0], args[1])
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
                text, own = x.at(of_broadcast(index, x.shape), scope or self.writer.scopes[x.stage])
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


def _added(a: Value, b: Value) -> Value | None:
    """A product that begins at what is added to it, where one of two summands is a product that nothing else reads."""
    for product, other in ((a, b), (b, a)):
        if not isinstance(product, Product) or product.start is not None or product.made is not None:
            continue
        if other.size == product.size and np.broadcast_shapes(product.shape, other.shape) == product.shape:
            return Product(product.shape, max(product.stage, other.stage), make=product.make, start=other)
    return None
