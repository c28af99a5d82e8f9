"""Held inputs of the explorer's views in Python: the same numbers that its script gives models and truth."""

import math
from collections.abc import Mapping

from tdlib.core.specs import EnvironmentSpec

HOLD = 0.2  # [s]; how long a random input is held, as in the study's rollouts
DRAWN = 50  # values of a drawn input over one second


def held_inputs(signal: Mapping, spec: EnvironmentSpec, delta_t: float, num_steps: int) -> list[float]:
    """Sample a signal at the start of every step, as a zero-order hold does.

    Args:
        signal: `kind` "constant" with `value`; "random" with `seed`; "sine" with `amplitude` and `frequency` [Hz];
            "drawn" with 50 `values` over one second.
        spec: Range of the input; a discrete one answers with indices.
        delta_t: Interval [s].
        num_steps: Number of intervals T.

    Returns:
        T actions: physical inputs, or indices.

    Raises:
        ValueError: If the kind is unknown.
    """
    low, high = spec.action_low, spec.action_high
    actions = []
    for k in range(num_steps):
        value = min(high, max(low, _value(signal, k * delta_t, low, high)))
        if spec.discrete:
            share = (value - low) / (high - low)
            actions.append(float(math.floor(share * (spec.num_actions - 1) + 0.5)))
        else:
            actions.append(math.floor(value * 1e4 + 0.5) / 1e4)
    return actions


def _value(signal: Mapping, time: float, low: float, high: float) -> float:
    clock = time * (1 + 1e-9) + 1e-12  # a step that begins where a new value does takes the new one
    if signal["kind"] == "constant":
        return signal["value"]
    if signal["kind"] == "random":
        return low + (high - low) * _noise(signal["seed"], math.floor(clock / HOLD))
    if signal["kind"] == "sine":
        return signal["amplitude"] * math.sin(2 * math.pi * signal["frequency"] * time)
    if signal["kind"] == "drawn":
        return signal["values"][min(DRAWN - 1, math.floor(clock * DRAWN))]
    raise ValueError(f"kind must be constant, random, sine or drawn, got {signal['kind']!r}")


def _noise(seed: int, k: int) -> float:
    """A number in [0, 1) by hashing 32-bit integers, so that every language draws the same."""
    mask = 0xFFFFFFFF
    h = ((seed + 1) * 0x9E3779B1 & mask) ^ ((k + 1) * 0x85EBCA77 & mask)
    h = (h ^ h >> 15) * 0x2C1B3C6D & mask
    h = (h ^ h >> 12) * 0x297A2D39 & mask
    return (h ^ h >> 15) / 2**32
