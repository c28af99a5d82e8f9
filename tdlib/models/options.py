"""Options of a model: a frozen dataclass beside every class, checked where it is made, stored with its weights."""

import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from tdlib.core.facts import REFERENCE_DELTA_T

SIZES: dict[str, tuple[int, ...]] = {
    "hidden64": (64, 64),
    "small": (256, 256),
    "medium": (512, 512, 512),
    "large": (1024, 1024, 1024, 1024),
}
KINDS = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}
T = typing.TypeVar("T", bound="Options")


@dataclass(frozen=True)
class Options:
    """What every model can be told; a family adds its own fields, each with a default.

    Fields annotated as bool, int, float or str are checked against that; other rules belong into `__post_init__`.

    Args:
        train_delta_t: Step where a call names none [s]: the training step, 0.05 s for models of several rates.

    Raises:
        ValueError: If a value is of another kind, or breaks a rule.
    """

    train_delta_t: float = REFERENCE_DELTA_T

    def __post_init__(self):
        hints = typing.get_type_hints(type(self))
        for field in fields(self):
            kind, value = hints[field.name], getattr(self, field.name)
            if kind in KINDS and not _is(value, kind):
                raise ValueError(f"{field.name} must be {KINDS[kind]}, got {value!r}")
        if not (math.isfinite(self.train_delta_t) and self.train_delta_t > 0):
            raise ValueError(f"train_delta_t must be a positive finite time [s], got {self.train_delta_t!r}")

    @classmethod
    def of(cls: type[T], values: Mapping[str, Any], owner: str) -> T:
        """Make options from values by name; lists stand for tuples, as in files.

        Args:
            values: Name -> value; what is missing keeps its default.
            owner: Whose options they are, for the message.

        Raises:
            ValueError: If a name is unknown (the message lists the valid ones), or a value breaks a rule.
        """
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(f"options of model {owner!r} must be among {sorted(known)}, got {unknown}")
        return cls(**{name: _tuples(value) for name, value in values.items()})


@dataclass(frozen=True)
class NetworkOptions(Options):
    """Options of the study's own networks.

    Args:
        size: A key of `SIZES`.
        hidden_dim: Width of both hidden layers of size hidden64.
        action_embedding_dim: Length of the action embedding.
    """

    size: str = "hidden64"
    hidden_dim: int = 64
    action_embedding_dim: int = 8

    def __post_init__(self):
        super().__post_init__()
        layer_widths(self.size, self.hidden_dim)
        if self.action_embedding_dim < 1:
            raise ValueError(f"action_embedding_dim must be >= 1, got {self.action_embedding_dim}")

    @property
    def widths(self) -> tuple[int, ...]:
        """Hidden layers."""
        return layer_widths(self.size, self.hidden_dim)


def layer_widths(size: str, hidden_dim: int = 64) -> tuple[int, ...]:
    """Return the hidden layers of a named size.

    Raises:
        ValueError: If the size is unknown, or hidden_dim is given for a size that fixes its widths.
    """
    if size not in SIZES:
        raise ValueError(f"size must be one of {list(SIZES)}, got {size!r}")
    if not _is(hidden_dim, int) or hidden_dim < 1:
        raise ValueError(f"hidden_dim must be a whole number >= 1, got {hidden_dim!r}")
    if size == "hidden64":
        return (hidden_dim, hidden_dim)
    if hidden_dim != SIZES["hidden64"][0]:
        raise ValueError(f"hidden_dim can be chosen for size 'hidden64' only, got {hidden_dim} with size {size!r}")
    return SIZES[size]


def _is(value: object, kind: type) -> bool:
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
