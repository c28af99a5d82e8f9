"""Replay a function of tensors without Python: small programs cost more in dispatch than in arithmetic.

The function runs once on examples; its tensor operations are written down as a flat graph, with `vmap` and gradients
resolved, in forms that are cheap on the processor (`tdlib.speed.lower`), and replayed from then on.
"""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor
from torch._guards import TracingContext, tracing
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from tdlib.speed.lower import cheaper_forms, simplify


def record(function: Callable, *examples: Tensor) -> Callable:
    """Return `function` as a replayed graph, valid for the shapes, strides, precision and device of the examples.

    Results equal the function's up to rounding. The function must not branch on tensor values; tensors that it reads
    beside its arguments are taken as they are now.

    Args:
        function: Takes the examples, returns a tensor or a tuple of them.
        examples: Tensors like those of later calls; only their layout matters.
    """
    with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript announces its successor, which has no replay this light on CPU
        examples = tuple(torch.zeros_like(x) for x in examples)
        on_cpu = all(x.device.type == "cpu" for x in examples)
        with tracing(TracingContext(FakeTensorMode())):  # one for all nodes, not one each: half the time
            graph = make_fx(
                lambda *arguments: function(*arguments),  # make_fx miscounts the arguments of bound methods
                decomposition_table=cheaper_forms() if on_cpu else None,
            )(*examples)
        if on_cpu:
            simplify(graph.graph)
            graph.recompile()
        try:
            return torch.jit.freeze(torch.jit.trace(graph.eval(), examples, check_trace=False).eval())
        except RuntimeError:  # an operation whose arguments the tracer does not know, as batch normalization's gradient
            return graph


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
