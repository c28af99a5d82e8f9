"""What `torch.func` may map over: the contract's groups of tensors, made known to torch once."""

from collections.abc import Callable, Sequence

import torch
from torch.utils import _pytree

from tdlib.core.context import Batch, Context, Prediction

for group in (Batch, Context, Prediction):
    torch.export.register_dataclass(group)  # absent parts do not count; a carry of one's own is registered likewise


def map_leaves(function: Callable, tree: object, *others: object) -> object:
    """Apply a function to the tensors of trees of one structure: tuples, lists, dicts, registered dataclasses."""
    return _pytree.tree_map(function, tree, *others)


def leaves_of(tree: object) -> tuple[list[torch.Tensor], Callable[[Sequence[torch.Tensor]], object]]:
    """Return the tensors of a tree, and what makes such a tree of other tensors."""
    leaves, structure = _pytree.tree_flatten(tree)
    return leaves, lambda values: _pytree.tree_unflatten(list(values), structure)
