"""Independent random streams from one experiment seed and the name of what the stream is for."""

import hashlib

import numpy as np
import torch


def derive_seed(seed: int, *labels: object) -> int:
    """Return a 63-bit seed for one purpose, for example `derive_seed(0, "Pendulum-v1", 20, "split")`.

    Streams of different labels are independent, and adding one never shifts another.

    Raises:
        ValueError: If the seed is not a whole number >= 0.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"seed must be a whole number >= 0, got {seed!r}")
    text = "\x1f".join([str(int(seed)), *map(str, labels)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def torch_generator(seed: int, *labels: object, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a torch generator for one purpose."""
    return torch.Generator(device=device).manual_seed(derive_seed(seed, *labels))


def numpy_generator(seed: int, *labels: object) -> np.random.Generator:
    """Return a numpy generator for one purpose."""
    return np.random.default_rng(derive_seed(seed, *labels))
