"""What a program needs to know of models before it calls them: how many there are, how wide, which of them."""

import copy
from collections.abc import Iterator
from typing import TypeVar

from torch import Tensor, nn

from tdlib.speed.stack import Stack

Models = TypeVar("Models")
NARROWEST = 64  # activations of a sample where the weights tell of fewer


def num_models(models: object) -> int:
    """Return K: the models of a stack, or of the one that is wrapped; 1 for a single model."""
    if hasattr(models, "num_models"):
        return models.num_models
    return num_models(models.model) if hasattr(models, "model") else 1


def num_members(models: object) -> int:
    """Return M: the members of an ensemble, or of each ensemble of a stack; 0 for what is none."""
    return getattr(models, "num_members", None) or len(getattr(models, "members", ()))


def has_memory(models: object) -> bool:
    """Whether predictions depend on what came before."""
    return bool(getattr(models, "has_memory", False))


def widest_layer(models: object) -> int:
    """Activations of one sample of one model in its widest layer, members of an ensemble taken together."""
    return max([NARROWEST, *_widths(models)])


def select_models(models: Models, index: Tensor) -> Models:
    """Return some of the models of a stack, or of the one that is wrapped, by index (k,)."""
    if hasattr(models, "select"):
        return models.select(index)
    if not hasattr(models, "model"):
        return models  # the same for all, whatever their number
    return with_inner(models, select_models(models.model, index))


def with_inner(wrapper: Models, models: object) -> Models:
    """Return the same wrapper around other models."""
    other = copy.copy(wrapper)
    other.__dict__["model"] = models
    return other


def _widths(models: object) -> Iterator[int]:
    if isinstance(models, Stack):
        weights, leading, members = models.weights(), 1, models.num_members
    elif isinstance(models, nn.Module):
        weights, leading, members = dict(models.named_parameters()), 0, 1
    else:
        weights, leading, members = {}, 0, 1
    yield from (members * x.shape[leading] for x in weights.values() if x.ndim == leading + 2)
    if hasattr(models, "model"):
        yield from _widths(models.model)
