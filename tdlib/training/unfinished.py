"""A training that was cut off goes on: the state of a long fit on disk, whole or not at all.

A file holds the hash of its content, then tensors and plain values (weights, moments of Adam, sums since the last
validation, best weights, states of the random streams, curves). It is written between two steps at most every few
minutes, and is about one fit: its name comes from all that decides the fit's numbers. What goes on from it is the
uninterrupted training bit for bit on a processor.
"""

import hashlib
import io
import json
import logging
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from tdlib.core.files import write_bytes

EVERY = 120.0  # [s]
DIGEST = 32  # bytes
State = dict[str, Any]
logger = logging.getLogger(__name__)


@dataclass
class Unfinished:
    """State file of one stack of a fit.

    Args:
        path: The file.
        every: Least time between two writes; a stack that takes less leaves none [s].
    """

    path: Path
    every: float = EVERY
    _written: float = field(default_factory=time.monotonic)

    def offer(self, state: Callable[[], State]) -> None:
        """Write the state if the last one is old enough."""
        if time.monotonic() - self._written < self.every:
            return
        buffer = io.BytesIO()
        torch.save(state(), buffer)
        content = buffer.getvalue()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(self.path, hashlib.sha256(content).digest() + content)
        self._written = time.monotonic()

    def read(self) -> State | None:
        """Return the state that was written; None if there is none, or if it is damaged, which is said."""
        try:
            whole = self.path.read_bytes()
        except OSError:
            return None
        digest, content = whole[:DIGEST], whole[DIGEST:]
        try:
            if hashlib.sha256(content).digest() != digest:
                raise ValueError("its hash differs")
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except (ValueError, RuntimeError, EOFError, pickle.UnpicklingError) as reason:
            logger.warning("%s is damaged (%s): this training starts over", self.path.name, reason)
            return None


@dataclass(frozen=True)
class UnfinishedFit:
    """Where one fit keeps the states of its stacks.

    Args:
        folder: Folder of unfinished fits.
        key: Name of the fit, from `fit_key`.
        every: Least time between two writes [s].
    """

    folder: Path
    key: str
    every: float = EVERY

    def stack(self, number: int) -> Unfinished:
        """Return the state file of one stack."""
        return Unfinished(self.folder / f"{self.key}-{number}.pt", self.every)

    def clear(self) -> None:
        """Remove the states, once what was trained is saved."""
        for path in self.folder.glob(f"{self.key}-*.pt"):
            path.unlink(missing_ok=True)


def fit_key(*decides: object) -> str:
    """Return a name for all that decides a fit's numbers: plain values, and the version of torch."""
    text = json.dumps([version("torch"), *decides], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]
