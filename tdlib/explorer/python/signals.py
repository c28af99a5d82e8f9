"""Held inputs of the explorer's views in Python: the same numbers that its script gives models and truth."""

import math
from collections.abc import Mapping, Sequence

from tdlib.core.facts import ROLLOUT_HOLD
from tdlib.core.specs import EnvironmentSpec

DRAWN = 50  # values of a drawn input over one second


def held_inputs(
    signal: Mapping | Sequence[Mapping], spec: EnvironmentSpec, delta_t: float, num_steps: int
) -> list[float] | list[list[float]]:
    """Sample a signal at the start of every step, as a zero-order hold does.

    Args:
        signal: `kind` "constant" with `value`; "pulse" with `value`, which is held from `begin` to `end` [s]; "random"
            with `seed`; "sine" with `amplitude` and `frequency` [Hz]; "drawn" with 50 `values` over one second. One
            signal, or one for each of several inputs.
        spec: Range of the input; a discrete one answers with indices.
        delta_t: Interval [s].
        num_steps: Number of intervals T.

    Returns:
        T actions: physical inputs, or the indices of the actions nearest to them (of two equally near the later); T
        lists where an action is several inputs.

    Raises:
        ValueError: If the kind is unknown.
    """
    signals = [signal] if isinstance(signal, Mapping) else list(signal)
    if len(signals) != spec.input_dim:
        raise ValueError(f"signal must be one of each of the {spec.input_dim} inputs, got {len(signals)}")
    bounds = list(zip(spec.input_low, spec.input_high, strict=True))
    actions: list = []
    for k in range(num_steps):
        values = [
            min(high, max(low, _value(own, k * delta_t, low, high)))
            for own, (low, high) in zip(signals, bounds, strict=True)
        ]
        if spec.action_table is not None:
            actions.append(_nearest(values, spec.action_table, bounds))
        else:
            rounded = [math.floor(value * 1e4 + 0.5) / 1e4 for value in values]
            actions.append(rounded[0] if len(rounded) == 1 else rounded)
    return actions


def _nearest(values: list[float], table: tuple[tuple[float, ...], ...], bounds: list[tuple[float, float]]) -> float:
    def distance(index: int) -> float:
        wanted = zip(values, table[index], bounds, strict=True)
        return sum(((value - held) / (high - low)) ** 2 for value, held, (low, high) in wanted)

    return float(min(reversed(range(len(table))), key=distance))


def _value(signal: Mapping, time: float, low: float, high: float) -> float:
    clock = time * (1 + 1e-9) + 1e-12  # a step that begins where a new value does takes the new one
    if signal["kind"] == "constant":
        return signal["value"]
    if signal["kind"] == "pulse":
        return signal["value"] if signal["begin"] <= clock < signal["end"] else 0.0
    if signal["kind"] == "random":
        return low + (high - low) * _noise(signal["seed"], math.floor(clock / ROLLOUT_HOLD))
    if signal["kind"] == "sine":
        return signal["amplitude"] * math.sin(2 * math.pi * signal["frequency"] * time)
    if signal["kind"] == "drawn":
        return signal["values"][min(DRAWN - 1, math.floor(clock * DRAWN))]
    raise ValueError(f"kind must be constant, pulse, random, sine or drawn, got {signal['kind']!r}")


def _noise(seed: int, k: int) -> float:
    """A number in [0, 1) by hashing 32-bit integers, so that every language draws the same."""
    mask = 0xFFFFFFFF
    h = ((seed + 1) * 0x9E3779B1 & mask) ^ ((k + 1) * 0x85EBCA77 & mask)
    h = (h ^ h >> 15) * 0x2C1B3C6D & mask
    h = (h ^ h >> 12) * 0x297A2D39 & mask
    return (h ^ h >> 15) / 2**32
