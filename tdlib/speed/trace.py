"""Write down the tensor operations of a function that has no branches on values, to be replayed or made into code.

The function runs once; every operation that reaches torch's dispatcher is noted with the tensors it read and made,
with gradients and `vmap` resolved. That takes 40 µs an operation (`make_fx` takes 1.5 ms).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode


@dataclass(frozen=True)
class Ref:
    """A tensor of a trace: an input, or what an operation made.

    Args:
        key: Name of an input, or number of a result.
        shape: Its shape.
        stride: Its strides.
        dtype: Its type.
    """

    key: str | int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype

    @classmethod
    def of(cls, key: str | int, tensor: Tensor) -> "Ref":
        """Name a tensor."""
        return cls(key, tuple(tensor.shape), tensor.stride(), tensor.dtype)


@dataclass(frozen=True)
class Operation:
    """One operation; tensors among its arguments are `Ref`s, or tensors where they are constants.

    Args:
        name: Name of the operator, for example `add.Tensor`.
        function: The operator.
        args: Positional arguments.
        kwargs: Named arguments.
        results: What it made, in the order in which it returns them.
        places: Where they stand among what it returns; empty if it returns one tensor.
    """

    name: str
    function: Callable
    args: tuple
    kwargs: dict
    results: tuple[Ref, ...]
    places: tuple[int, ...] = ()


@dataclass(frozen=True)
class Trace:
    """What a function did.

    Args:
        operations: In the order in which they ran.
        outputs: Tensors it returned, flattened; a tensor that it did not compute stays a tensor.
    """

    operations: tuple[Operation, ...]
    outputs: tuple[Ref | Tensor, ...]


class ValueReadError(ValueError):
    """The function turned a tensor that depends on its inputs into a Python number, so that its path depends on it."""


def trace(
    function: Callable,
    *inputs: object,
    named: Mapping[str, Tensor] | None = None,
    forms: Mapping[Callable, Callable] | None = None,
) -> Trace:
    """Run `function(*inputs)` and write its operations down.

    Args:
        function: Takes the inputs, returns tensors in any nesting.
        inputs: Tensors or nestings of them; the k-th tensor is the input `x<k>` of the trace.
        named: Further inputs that the function reads by itself, as parameters of a module.
        forms: Operator -> what is written down in its place; one that returns `NotImplemented` leaves it.

    Raises:
        ValueReadError: If the function's path depends on the values of its inputs.
        ValueError: If it writes into a tensor that others see.
    """
    leaves = [leaf for leaf in pytree.tree_leaves(inputs) if isinstance(leaf, Tensor)]
    given = {**{f"x{k}": leaf for k, leaf in enumerate(leaves)}, **(named or {})}
    recorder = _Recorder(given, {f"x{k}" for k in range(len(leaves))}, forms or {})
    with torch.no_grad(), recorder:
        outputs = function(*inputs)
    outputs = tuple(recorder.seen(leaf) for leaf in pytree.tree_leaves(outputs))
    return Trace(tuple(recorder.operations), outputs)


class _Recorder(TorchDispatchMode):
    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and importing the compiler takes 2 s

    def __init__(self, given: Mapping[str, Tensor], moving: set[str], forms: Mapping[Callable, Callable]):
        super().__init__()
        self._forms = forms
        self.operations: list[Operation] = []
        self._refs = {id(x): Ref.of(name, x) for name, x in given.items()}
        self._moving: set[str | int] = set(moving)  # what depends on inputs
        self._alive: list = list(given.values())  # an address names a tensor for as long as it lives
        self._count = 0

    def seen(self, tensor: Tensor) -> Ref | Tensor:
        return self._refs.get(id(tensor), tensor)

    def __torch_dispatch__(self, function: Callable, types: object, args: tuple = (), kwargs: dict | None = None):
        kwargs = kwargs or {}
        if function in self._forms:
            with self:
                found = self._forms[function](*args, **kwargs)
            if found is not NotImplemented:
                return found
        name = function.__name__  # such as add.Tensor
        own_args, own_kwargs = pytree.tree_map_only(Tensor, self.seen, (args, kwargs))
        read = [leaf for leaf in pytree.tree_leaves((own_args, own_kwargs)) if isinstance(leaf, Ref)]
        moving = any(ref.key in self._moving for ref in read)
        base = name.split(".")[0]
        if moving and base in ("_local_scalar_dense", "is_nonzero", "equal"):
            raise ValueReadError("the function must not branch on the values of its inputs")
        if base.endswith("_") and not base.endswith("__") and base not in _SHAPE_ONLY:
            self._refuse_shared(name, args[0])
            if own_args[0] is args[0]:  # a constant, whose value now is what the operation changes
                own_args = (self._copied(args[0]), *own_args[1:])
        result = function(*args, **kwargs)
        self._alive.append((args, kwargs, result))
        made = {k: leaf for k, leaf in enumerate(pytree.tree_leaves(result)) if isinstance(leaf, Tensor)}
        if not moving and not read:
            return result  # a constant
        refs = tuple(self._made(tensor, moving) for tensor in made.values())
        places = () if isinstance(result, Tensor) else tuple(made)
        self.operations.append(Operation(name, function, own_args, own_kwargs, refs, places))
        return result

    def _made(self, tensor: Tensor, moving: bool) -> Ref:
        ref = Ref.of(self._count, tensor)
        self._count += 1
        self._refs[id(tensor)] = ref
        if moving:
            self._moving.add(ref.key)
        return ref

    def _copied(self, constant: Tensor) -> Ref:
        """Write down that a constant is copied, so that every replay finds it as it is now."""
        before = constant.clone()
        self._alive.append(before)
        ref = self._made(before, False)
        self.operations.append(Operation("clone.default", torch.ops.aten.clone.default, (before,), {}, (ref,)))
        return ref

    def _refuse_shared(self, name: str, target: Tensor) -> None:
        storage = target.untyped_storage().data_ptr()
        owners = {
            id(x)
            for x in pytree.tree_leaves(self._alive)
            if isinstance(x, Tensor) and x.untyped_storage().data_ptr() == storage
        }
        if owners != {id(target)} or isinstance(getattr(self.seen(target), "key", None), str):
            raise ValueError(f"the function must not write into a tensor that others see, {name} does")


_SHAPE_ONLY = {"squeeze_", "unsqueeze_", "t_", "transpose_"}
