"""Starting from the parts of a model that was trained before: whole parts that fit are taken, and what is not is named.

The two-phase recipe of visual world models: train encoder and decoder by themselves (`training_mode="detached",
train_predictor=False, predictor_weight=0`), then load them into a model of any predictor that leaves them as they are
(`train_encoder=False, train_decoder=False`). In mode `hgn` the first phase would train an encoder for a predictor that
is drawn at random, decoded after each of its steps; options say so.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from tdlib.models import DynamicsModel
from tdlib.training.checkpoint import load_checkpoint

logger = logging.getLogger(__name__)
PARTS = ("encoder", "decoder", "state_transform", "quantizer")
BY_CHANCE = "state_transform"  # is as wide as predictors are: one of another width keeps what it has, and learns on


@dataclass(frozen=True)
class Loaded:
    """What was taken from another model's weights.

    Args:
        parts: Names of the parts that were taken.
        missing: Names of weights of the model that keep what they had.
        unexpected: Names of weights of the other one that were not taken.
    """

    parts: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]


def load_pretrained(
    model: DynamicsModel,
    pretrained_checkpoint: Path | str,
    parts: Iterable[str] = PARTS,
    classes: Iterable[type[DynamicsModel]] = (),
) -> Loaded:
    """Load parts of a model from a checkpoint, as `load_parts` does; its other parts keep what they have.

    Args:
        model: Changed in place.
        pretrained_checkpoint: Folder or `model.pt` of a model that has parts of these names.
        parts: As in `load_parts`.
        classes: As in `load_checkpoint`.

    Raises:
        ValueError: If the checkpoint cannot be read, or a part does not fit.
    """
    return load_parts(model, load_checkpoint(pretrained_checkpoint, classes=classes), parts)


def load_parts(model: nn.Module, other: nn.Module, parts: Iterable[str] = PARTS) -> Loaded:
    """Take parts of another model that are the same thing there: of one class, meaning, and set of weights and buffers.

    What a predictor's weights mean depends on its class and on what its `meaning` names (form, solver, ...), so that
    weights of equal shapes are not enough; it is taken only if it is named.

    Args:
        model: Changed in place.
        other: Where the parts are taken from.
        parts: Names of modules that the model holds. One without weights is left as it is, and a map from latents to
            states of another width (`state_transform`) too, which is then among the missing.

    Raises:
        ValueError: If a part does not fit; the message says why, and the model is left as it was.
    """
    own, theirs = dict(model.named_children()), dict(other.named_children())
    names = list(parts)
    if unknown := [name for name in names if name not in own and name not in PARTS]:
        raise ValueError(f"parts must be among {list(own)}, got {unknown}")
    asked = [name for name in names if name in own and own[name].state_dict()]
    problems = {name: _problem(name, own[name], theirs.get(name)) for name in asked}
    if wrong := [problem for name, problem in problems.items() if problem and name != BY_CHANCE]:
        raise ValueError(f"parts must be the same in both models: {'; '.join(wrong)}")
    taken = tuple(name for name in asked if problems[name] is None)
    for name in taken:
        own[name].load_state_dict(theirs[name].state_dict())
    loaded = Loaded(taken, _others(model, taken), _others(other, taken))
    logger.info("took %s; missing %s; unexpected %s", loaded.parts, loaded.missing, loaded.unexpected)
    return loaded


def _others(model: nn.Module, taken: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the weights of parts that were not taken."""
    names = {name for name, _ in model.named_children()} - set(taken)
    return tuple(key for key in model.state_dict() if key.split(".")[0] in names)


def _problem(part: str, own: nn.Module, other: nn.Module | None) -> str | None:
    """Why a part cannot be taken; None if it can."""
    if other is None:
        return f"{part} is missing"
    if type(own) is not type(other):
        return f"{part} must be a {type(own).__name__}, got a {type(other).__name__}"
    wanted, found = (dict(getattr(module, "meaning", {})) for module in (own, other))
    for option, value in wanted.items():
        if found.get(option) != value:
            return f"{part} must have {option} {value!r}, got {found.get(option)!r}"
    tensors, given = own.state_dict(), other.state_dict()
    for key, tensor in tensors.items():
        if key not in given:
            return f"{part}.{key} is missing"
        if given[key].shape != tensor.shape:
            return f"{part}.{key} must be {tuple(tensor.shape)}, got {tuple(given[key].shape)}"
    surplus = [key for key in given if key not in tensors]
    return f"{part} has no place for {part}.{surplus[0]}" if surplus else None
