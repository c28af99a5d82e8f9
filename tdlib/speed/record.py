"""Replay a function of tensors without Python: small programs cost more in dispatch than in arithmetic.

The function runs once on examples; its tensor operations are written down as a flat graph, with `vmap` and gradients
resolved, in forms that are cheap on the processor (`tdlib.speed.lower`), and replayed from then on.
"""

import operator
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx

from tdlib.speed.lower import cheaper_forms, simplify
from tdlib.speed.reuse import reuse
from tdlib.speed.trace import Ref, Trace, ValueReadError, trace


def record(function: Callable, *examples: Tensor) -> Callable:
    """Return `function` as a replayed graph, valid for the shapes, strides, precision and device of the examples.

    Results equal the function's up to rounding. The function must not branch on tensor values; tensors that it reads
    beside its arguments are taken as they are now.

    Args:
        function: Takes the examples, returns a tensor or a tuple of them.
        examples: Tensors like those of later calls; only their layout matters.

    Raises:
        ValueReadError: If the function branches on values of its arguments.
    """
    with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript announces its successor, which has no replay this light on CPU
        examples = tuple(torch.zeros_like(x) for x in examples)
        on_cpu = all(x.device.type == "cpu" for x in examples)
        single = False

        def noted(*arguments: Tensor) -> Tensor | tuple[Tensor, ...]:
            nonlocal single
            found = function(*arguments)
            single = isinstance(found, Tensor)
            return found

        try:
            graph = _module(trace(noted, *examples, forms=cheaper_forms() if on_cpu else None), len(examples), single)
        except ValueReadError:
            raise
        except ValueError:  # it writes into a tensor that others see
            return traced(function, *examples)
        if on_cpu:
            simplify(graph.graph)
            reuse(graph.graph)
            graph.recompile()
        try:
            return torch.jit.freeze(torch.jit.trace(graph.eval(), examples, check_trace=False).eval())
        except RuntimeError:  # an operation whose arguments the tracer does not know, as batch normalization's gradient
            return graph


def _module(found: Trace, num_inputs: int, single: bool) -> fx.GraphModule:
    """Return what was written down as a module; tensors that the function read by itself are its constants."""
    graph, root = fx.Graph(), torch.nn.Module()
    nodes: dict[str | int, fx.Node] = {f"x{k}": graph.placeholder(f"x{k}") for k in range(num_inputs)}
    constants: dict[int, fx.Node] = {}

    def read(leaf: Any) -> Any:
        if isinstance(leaf, Ref):
            return _described(nodes[leaf.key], leaf)
        if isinstance(leaf, Tensor):
            if id(leaf) not in constants:
                name = f"constant{len(constants)}"
                root.register_buffer(name, leaf.detach())
                constants[id(leaf)] = graph.get_attr(name)
                _described(constants[id(leaf)], Ref.of(name, leaf))
            return constants[id(leaf)]
        if isinstance(leaf, (tuple, list)):
            return type(leaf)(read(x) for x in leaf)
        return leaf

    for op in found.operations:
        kwargs = {name: read(x) for name, x in op.kwargs.items()}
        node = graph.call_function(op.function, read(op.args), kwargs)
        taken = [graph.call_function(operator.getitem, (node, k)) for k in op.places] or [node]
        for ref, result in zip(op.results, taken, strict=True):
            nodes[ref.key] = _described(result, ref)
    outputs = read(found.outputs)
    graph.output(outputs[0] if single else outputs)
    return fx.GraphModule(root, graph)


def _described(node: fx.Node, ref: Ref) -> fx.Node:
    node.meta.update(shape=ref.shape, layout=(ref.shape, ref.stride, ref.dtype))
    return node


def traced(function: Callable, *examples: Tensor) -> Callable:
    """Return `function` with its operations as they are, without Python between them; quickly made.

    Unlike a recording it serves other batch sizes, where the function reads no size as a number.

    Args:
        function: Takes the examples, returns a tensor or a tuple of them; must not branch on their values.
        examples: Tensors of the right precision and number of axes.
    """
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns about shapes read as numbers; those are fixed
        return torch.jit.trace(lambda *arguments: function(*arguments), examples, check_trace=False)


class Replayed:
    """Calls a function of tensors; from its first call with each layout on by replaying a recording.

    Args:
        function: Takes tensors, returns a tensor or a tuple of them; must not branch on their values.
    """

    def __init__(self, function: Callable):
        self._function = function
        self._programs: dict[tuple, Callable] = {}

    def __call__(self, *arguments: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return function(*arguments)."""
        key = (arguments[0].device, *((x.shape, x.stride(), x.dtype) for x in arguments))
        if key not in self._programs:
            self._programs[key] = record(self._function, *arguments)
        return self._programs[key](*arguments)
