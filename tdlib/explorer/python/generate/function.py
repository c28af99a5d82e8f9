"""One graph as one JavaScript function: arrays made once, one loop per operation, chains of operations in one loop.

    function (p, n) { ...arrays...; return { hold(...) {...}, run(...) {...} }; }

`p` holds the model's weights and constants by name, `n` the engine's matrices (js/engine/engine_numbers.js). `hold`
takes the held inputs and computes what depends on them alone; `run` takes the others and the arrays for its outputs.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from tdlib.explorer.python.generate.arrays import MissingOperationError
from tdlib.explorer.python.generate.operations import Operations
from tdlib.explorer.python.generate.values import (
    CALL,
    HELD,
    ONCE,
    SMALL,
    Strided,
    Value,
    contiguous,
    indices,
)
from tdlib.speed.trace import Operation, Ref, Trace, ValueReadError, trace


def function_text(
    function: Callable,
    held: Mapping[str, Tensor],
    called: Mapping[str, Tensor],
    named: Mapping[str, Tensor] | None = None,
) -> str:
    """Write a loop-free function of tensors in JavaScript.

    Args:
        function: Takes the called inputs, then the held ones; returns tensors in any nesting.
        held: Examples of inputs that stay the same over many calls; name in JavaScript -> tensor.
        called: Examples of inputs that change with every call.
        named: Weights and constants by name; they become `p["name"]`.

    Returns:
        The text of a function (p, n) that returns {hold, run}: run(...called, ...outputs) writes into the outputs.
        Inputs and outputs are arrays of numbers; a tensor without dimensions is an array of one.

    Raises:
        MissingOperationError: If an operation is not covered; its name is in the message.
    """
    named = dict(named or {})
    held, called = ({name: x.clone() for name, x in part.items()} for part in (held, called))  # one tensor per input
    try:
        graph = trace(function, *called.values(), *held.values(), named=named)
    except ValueReadError as error:
        raise MissingOperationError(str(error)) from error
    generator = _Generator(graph)
    for k, (name, example) in enumerate([*called.items(), *held.items()]):
        generator.input(f"x{k}", name, example, CALL if k < len(called) else HELD)
    for name, tensor in named.items():
        generator.parameter(name, tensor)
    generator.read()
    return generator.text(list(held), list(called))


class _Generator(Operations):
    def __init__(self, graph: Trace):
        super().__init__()
        self.graph, self.outputs = _simplified(graph)
        read = [leaf for op in self.graph for leaf in _leaves((op.args, op.kwargs))]
        self.uses = Counter(leaf.key for leaf in (*read, *self.outputs) if isinstance(leaf, Ref))

    def input(self, key: str, name: str, example: Tensor, stage: int) -> None:
        shape = tuple(example.shape)
        self.values[key] = Strided(shape, stage, name, 0, contiguous(shape))

    def parameter(self, name: str, tensor: Tensor) -> None:
        """A weight; its array gets a name when it is used."""
        if self.uses[name]:
            shape = tuple(tensor.shape)
            array = self.writer.once("p", f'p["{name}"]')
            self.values[name] = Strided(shape, ONCE, array, 0, contiguous(shape))

    def read(self) -> None:
        """Write the code of every operation that an output needs."""
        for operation in self.graph:
            results = self.apply(
                _base(operation), operation, _map(operation.args, self.value_of), _map(operation.kwargs, self.value_of)
            )
            for ref, value in zip(operation.results, results, strict=True):
                self.values[ref.key] = value

    def text(self, held: Sequence[str], called: Sequence[str]) -> str:
        """Return the whole function; outputs are written last, when all inputs have been read."""
        outputs = []
        for k, ref in enumerate(self.outputs):
            name = f"y{k}"
            outputs.append(name)
            self._write_output(self.value_of(ref), name)
        scopes = self.writer.scopes
        body = [*scopes[ONCE].lines]
        names = [*(f"{name} = null" for name in held), *(f"{name} = 0" for name in self.writer.declarations)]
        body += [f"let {', '.join(names)};"] if names else []
        run = ", ".join([*called, *outputs])
        body += [
            f"return {{ hold({', '.join(f'{name}_' for name in held)}) {{",
            *(f"{name} = {name}_;" for name in held),
        ]
        body += [*scopes[HELD].lines, f"}}, run({run}) {{"]
        return "function (p, n) {\n" + "\n".join([*body, *scopes[CALL].lines, "} };", "}"])

    def _write_output(self, value: Value, name: str) -> None:
        value = self.written(value)
        target = Strided(value.shape, CALL, name, 0, contiguous(value.shape))
        if value.size <= SMALL:
            scope = self.writer.scopes[CALL]
            read = [value.at(index, self.writer.scopes[value.stage])[0] for index in indices(value.shape)]
            scope.lines += [f"{name}[{i}] = {expression};" for i, expression in enumerate(read)]
        else:
            self.copy(value, target, CALL)


def _base(operation: Operation) -> str:
    """The operation without overload, and without the underscore of one that writes in place."""
    name = operation.name.split(".")[0]
    return name.removesuffix("_")


def _simplified(graph: Trace) -> tuple[list[Operation], list[Ref | Tensor]]:
    """Compute equal things once, and only what an output needs."""
    first: dict[str | int, Ref] = {}
    seen: dict[tuple, Operation] = {}
    kept = []

    def renamed(leaf: Ref | Tensor) -> Ref | Tensor:
        return first.get(leaf.key, leaf) if isinstance(leaf, Ref) else leaf

    for operation in graph.operations:
        operation = replace(operation, args=_map(operation.args, renamed), kwargs=_map(operation.kwargs, renamed))
        key = (_base(operation), _key(operation.args), _key(operation.kwargs))
        if key in seen:
            first |= {mine.key: its for mine, its in zip(operation.results, seen[key].results, strict=True)}
        else:
            seen[key] = operation
            kept.append(operation)
    outputs = [renamed(leaf) for leaf in graph.outputs]
    wanted = {leaf.key for leaf in outputs if isinstance(leaf, Ref)}
    needed = []
    for operation in reversed(kept):
        if any(ref.key in wanted for ref in operation.results):
            needed.append(operation)
            wanted |= {leaf.key for leaf in _leaves((operation.args, operation.kwargs)) if isinstance(leaf, Ref)}
    return needed[::-1], outputs


def _key(nested: object) -> object:
    if isinstance(nested, (tuple, list)):
        return tuple(_key(item) for item in nested)
    if isinstance(nested, dict):
        return tuple((name, _key(item)) for name, item in nested.items())
    if isinstance(nested, Tensor):
        return id(nested)
    return nested.key if isinstance(nested, Ref) else (type(nested), nested)


def _leaves(nested: object) -> list:
    if isinstance(nested, (tuple, list)):
        return [leaf for item in nested for leaf in _leaves(item)]
    if isinstance(nested, dict):
        return _leaves(list(nested.values()))
    return [nested]


def _map(nested: Any, function: Callable) -> Any:
    if isinstance(nested, (tuple, list)):
        return type(nested)(_map(item, function) for item in nested)
    if isinstance(nested, dict):
        return {key: _map(item, function) for key, item in nested.items()}
    return function(nested) if isinstance(nested, (Ref, Tensor)) else nested
