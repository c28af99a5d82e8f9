"""Sequences of one length under actions drawn anew at every step, as the founding documents of physics collect them.

Starts and parameters are drawn per sequence and stored with it. A sequence whose truth goes to infinity, or that leaves
the limits of a task, is drawn again and counted: none enters a set.
"""

from pathlib import Path

import numpy as np
import torch

from tdlib.core.facts import SEQUENCE_SHARES
from tdlib.core.seeding import torch_generator
from tdlib.core.specs import random_actions
from tdlib.data.schema import FIELDS, PARAMETERS, DatasetError, TransitionDataset
from tdlib.data.sources.simulated import origin_of, simulated_rows
from tdlib.data.splits import write_splits
from tdlib.data.storage import save_dataset
from tdlib.systems import System, get_system

MOST_DRAWS = 2  # times as many sequences as are wanted: a system is refused if more than half of them are lost


def collect_sequences(
    system: System | str, num_sequences: int, sequence_length: int, seed: int, delta_t: float | None = None
) -> TransitionDataset:
    """Simulate sequences side by side, every action uniform over the table or the inputs' ranges.

    Args:
        system: The system, or its key in `tdlib.envs.SYSTEMS`.
        num_sequences: How many.
        sequence_length: Intervals of each.
        seed: Seed of starts, parameters and actions.
        delta_t: Interval [s]; the system's own if None.

    Returns:
        One episode per sequence, with its parameters.

    Raises:
        ValueError: If a number is not positive.
        DatasetError: If too many sequences go to infinity or leave the task's limits.
    """
    system = get_system(system) if isinstance(system, str) else system
    delta_t = system.delta_t if delta_t is None else delta_t
    for name, value in (("num_sequences", num_sequences), ("sequence_length", sequence_length), ("delta_t", delta_t)):
        if not 0 < value < float("inf"):
            raise ValueError(f"{name} must be positive, got {value}")
    generator = torch_generator(seed, "sequences", system.spec.name, float(delta_t))
    episodes: list[dict[str, np.ndarray]] = []
    drawn = 0
    while len(episodes) < num_sequences and drawn < MOST_DRAWS * num_sequences:
        missing = num_sequences - len(episodes)
        episodes += _batch(system, missing, sequence_length, delta_t, generator)
        drawn += missing
    if len(episodes) < num_sequences:
        raise DatasetError(
            f"sequences of {system.spec.name} must stay finite and within limits for {sequence_length} intervals of "
            f"{delta_t:g} s, {len(episodes)} of {drawn} did"
        )
    policy = "actions drawn uniformly at every interval"
    attributes = origin_of(system, seed, policy) | {"drawn_again": drawn - num_sequences}
    return TransitionDataset.from_episodes(episodes, system.spec, 1 / delta_t, attributes)


def write_sequences(
    system: System | str,
    num_sequences: int,
    sequence_length: int,
    seed: int,
    path: Path | str,
    delta_t: float | None = None,
    *,
    val_split: float = SEQUENCE_SHARES["val"],
    test_split: float = SEQUENCE_SHARES["test"],
) -> Path:
    """Write a set of sequences to `path` (`.h5`) and its splits, by sequence, beside it.

    Raises:
        ValueError: If a share is not in (0, 1), or nothing is left to train on.
    """
    shares = sequence_shares(val_split, test_split)
    dataset = collect_sequences(system, num_sequences, sequence_length, seed, delta_t)
    settings = f"{dataset.spec.name}, {num_sequences} sequences of {sequence_length} intervals, seed {seed}"
    dataset = dataset.with_attributes(settings=settings)
    write_splits(dataset, path, seed, shares)
    return save_dataset(dataset, path)


def sequence_shares(val_split: float, test_split: float) -> dict[str, float]:
    """Return the share of every split.

    Raises:
        ValueError: If a share is not in (0, 1), or nothing is left to train on.
    """
    shares = {"train": 1 - val_split - test_split, "val": val_split, "test": test_split}
    if not all(0 < share < 1 for share in shares.values()):
        raise ValueError(f"val_split and test_split must be in (0, 1) and leave a rest, got {val_split}, {test_split}")
    return shares


def _batch(
    system: System, size: int, length: int, delta_t: float, generator: torch.Generator
) -> list[dict[str, np.ndarray]]:
    """Simulate some sequences and return those that stay finite and within limits."""
    spec = system.spec
    parameters = system.draw_parameters(size, generator) if spec.parameter_names else None
    state = system.draw_starts(size, generator)
    intervals, steps = torch.full((size,), delta_t, dtype=torch.float64), []
    for k in range(length):
        action = random_actions(spec, size, generator)
        steps.append(simulated_rows(system, state, action, intervals, k * intervals, parameters))
        state = torch.from_numpy(steps[-1]["next_state"])
    columns = {name: np.stack([rows[name] for rows in steps], axis=1) for name in FIELDS}  # (size, length, ...)
    columns["truncated"][:, -1] = True
    finite = np.isfinite(columns["next_state"]).all(axis=(1, 2)) & ~columns["terminated"].any(axis=1)
    episodes = [{name: column[i] for name, column in columns.items()} for i in np.flatnonzero(finite)]
    if parameters is not None:
        for episode, own in zip(episodes, parameters.numpy()[finite], strict=True):
            episode[PARAMETERS] = own
    return episodes
