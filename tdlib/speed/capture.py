"""A step of fixed shapes run as one launch: on a card a CUDA graph, on a processor the plain call."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

WARM_UPS = 3  # calls before the capture: libraries choose kernels and reserve memory in the first ones


class Captured:
    """Calls a function that works on tensors in place; on a card from the second call on without its Python.

    The function must not read a value back from the device, and whatever it reads or writes beside its arguments must
    keep its place in memory. Results lie in the same memory after every call.

    Args:
        function: Takes the arguments; changes `state` in place.
        state: Tensors that the function changes; the warm-up leaves them as they were.
        arguments: Tensors like those of every later call.
    """

    def __init__(self, function: Callable[..., object], state: Sequence[Tensor], *arguments: Tensor):
        self._function, self._graph = function, None
        if arguments[0].device.type == "cuda":
            self._capture(state, arguments)

    def __call__(self, *arguments: Tensor) -> object:
        """Run the function on these arguments."""
        if self._graph is None:
            return self._function(*arguments)
        for place, argument in zip(self._places, arguments, strict=True):
            place.copy_(argument, non_blocking=True)
        self._graph.replay()
        return self._result

    def _capture(self, state: Sequence[Tensor], arguments: Sequence[Tensor]) -> None:
        self._places = [x.clone() for x in arguments]
        before = [x.clone() for x in state]
        side = torch.cuda.Stream()  # a capture must not begin on the default stream's unfinished work
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                self._function(*self._places)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._result = self._function(*self._places)
        for x, was in zip(state, before, strict=True):
            x.copy_(was)
        self._graph = graph
