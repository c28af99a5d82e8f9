"""Starting from the parts of a model that was trained before: whole parts that fit are taken, and what is not is named.

The two-phase recipe of visual world models: train encoder and decoder (`train_predictor=False, predictor_weight=0`),
then load them into a model of any predictor that leaves them as they are (`train_encoder=False, train_decoder=False`).
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from tdlib.models import DynamicsModel
from tdlib.training.checkpoint import load_checkpoint

logger = logging.getLogger(__name__)
REQUIRED = ("encoder", "decoder")


@dataclass(frozen=True)
class Loaded:
    """What was taken from another model's weights.

    Args:
        parts: Names of the parts that were taken.
        missing: Names of weights of the model that keep what they had.
        unexpected: Names of weights that the model has no use for.
    """

    parts: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]


def load_pretrained(
    model: DynamicsModel,
    pretrained_checkpoint: Path | str,
    required: Iterable[str] = REQUIRED,
    classes: Iterable[type[DynamicsModel]] = (),
) -> Loaded:
    """Load the parts of a model from a checkpoint, as `load_parts` does; its other parts keep what they have.

    Args:
        model: Changed in place.
        pretrained_checkpoint: Folder or `model.pt` of a model that has parts of these names.
        required: Parts without which it makes no sense.
        classes: As in `load_checkpoint`.

    Raises:
        ValueError: If the checkpoint cannot be read, or a required part is incomplete or of another shape.
    """
    return load_parts(model, load_checkpoint(pretrained_checkpoint, classes=classes).state_dict(), required)


def load_parts(model: nn.Module, weights: Mapping[str, Tensor], required: Iterable[str] = REQUIRED) -> Loaded:
    """Take every part of a model, a module that it holds, all of whose weights and buffers are given in its shapes.

    Args:
        model: Changed in place.
        weights: Name -> tensor, as `state_dict` gives them.
        required: Names of parts that must be complete.

    Raises:
        ValueError: If one of them is not; the message names a weight, and the model is left as it was.
    """
    own = {name: dict(module.state_dict()) for name, module in model.named_children()}
    problems = {name: _problem(name, tensors, weights) for name, tensors in own.items()}
    wrong = [problems[name] or "" for name in required if problems.get(name, "no such part")]
    if wrong:
        raise ValueError(f"weights must hold all of {', '.join(required)}: {'; '.join(wrong)}")
    taken = [name for name, tensors in own.items() if tensors and problems[name] is None]
    for name in taken:
        part = {key: weights[f"{name}.{key}"] for key in own[name]}
        model.get_submodule(name).load_state_dict(part)
    known = {f"{name}.{key}" for name in taken for key in own[name]}
    missing = tuple(f"{name}.{key}" for name in own if name not in taken for key in own[name])
    unexpected = tuple(name for name in weights if name not in known and "." in name)
    loaded = Loaded(tuple(taken), missing, unexpected)
    logger.info("took %s; missing %s; unexpected %s", loaded.parts, loaded.missing, loaded.unexpected)
    return loaded


def _problem(part: str, tensors: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> str | None:
    """Why a part cannot be taken; None if it can."""
    for key, tensor in tensors.items():
        found = weights.get(f"{part}.{key}")
        if found is None:
            return f"{part}.{key} is missing"
        if found.shape != tensor.shape:
            return f"{part}.{key} must be {tuple(tensor.shape)}, got {tuple(found.shape)}"
    return None
