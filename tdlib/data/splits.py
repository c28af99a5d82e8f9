"""Splitting sets by episode, taking equal amounts, and statistics of training splits."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from tdlib.core.facts import SPLIT_SHARES
from tdlib.core.files import write_text
from tdlib.core.seeding import numpy_generator
from tdlib.core.specs import state_features
from tdlib.data.schema import DatasetError, TransitionDataset
from tdlib.data.storage import load_dataset, save_dataset

SPLITS = tuple(SPLIT_SHARES)


def split_episodes(
    dataset: TransitionDataset, seed: int, shares: Mapping[str, float] = SPLIT_SHARES
) -> dict[str, TransitionDataset]:
    """Divide a set by episode, 70/15/15 or by other shares; each split is a set of its own, in order of collection.

    The division depends on seed, environment, rate and number of episodes only. Shares without `test` make no such
    split.

    Raises:
        DatasetError: If there are fewer episodes than splits.
    """
    num_episodes, held_out = dataset.num_episodes, [split for split in SPLITS if split in shares and split != "train"]
    if num_episodes <= len(held_out):
        raise DatasetError(f"dataset must have at least {len(held_out) + 1} episodes to be split, got {num_episodes}")
    order = numpy_generator(seed, "split", dataset.spec.name, dataset.control_frequency).permutation(num_episodes)
    bounds = np.cumsum([max(1, round(shares[split] * num_episodes)) for split in held_out])
    chosen = dict(zip((*held_out, "train"), np.split(order, bounds), strict=True))
    return {
        split: dataset.select_episodes(np.sort(chosen[split])).with_attributes(split=split, split_seed=seed)
        for split in ("train", *held_out)
    }


def split_path(path: Path | str, split: str) -> Path:
    """Return the file of one split beside the whole set: `x.h5` -> `x_train.h5`."""
    if split not in SPLITS:
        raise ValueError(f"split must be one of {SPLITS}, got {split!r}")
    path = Path(path)
    return path.with_name(f"{path.stem}_{split}{path.suffix}")


def write_splits(
    dataset: TransitionDataset, path: Path | str, seed: int, shares: Mapping[str, float] = SPLIT_SHARES
) -> dict[str, Path]:
    """Write the three splits beside the whole set at `path`."""
    parts = split_episodes(dataset, seed, shares)
    return {split: save_dataset(part, split_path(path, split)) for split, part in parts.items()}


def load_splits(
    path: Path | str, control_frequency: float | None = None, *, allow_other_rate: bool = False
) -> dict[str, TransitionDataset]:
    """Load the three splits beside the whole set at `path`."""
    return {
        split: load_dataset(split_path(path, split), control_frequency, allow_other_rate=allow_other_rate)
        for split in SPLITS
    }


def subset_transitions(dataset: TransitionDataset, num_transitions: int, *, seed: int) -> TransitionDataset:
    """Draw whole episodes at random until there are exactly `num_transitions` rows; the last episode is cut.

    Raises:
        ValueError: If the set has fewer rows.
    """
    if not 1 <= num_transitions <= len(dataset):
        raise ValueError(f"num_transitions must be in 1 .. {len(dataset)} (rows of the set), got {num_transitions}")
    generator = numpy_generator(seed, "subset", dataset.spec.name, dataset.control_frequency)
    order = generator.permutation(dataset.num_episodes)
    lengths = np.cumsum(dataset.episode_lengths[order])
    chosen = dataset.select_episodes(order[: int(np.searchsorted(lengths, num_transitions)) + 1])
    offsets = np.minimum(chosen.episode_offsets, num_transitions)
    kept = chosen.select_rows(slice(num_transitions))
    truncated = kept.truncated.copy()
    if len(chosen) > num_transitions:
        truncated[-1] = not kept.terminated[-1]
    return replace(kept, truncated=truncated, episode_offsets=offsets)


def without_contacts(dataset: TransitionDataset) -> TransitionDataset:
    """Leave out rows that touched a limit of the state; an episode continues as another one behind each gap."""
    rows = np.flatnonzero(~dataset.limit_hit)
    if len(rows) == len(dataset):
        return dataset
    episode = np.repeat(np.arange(dataset.num_episodes), dataset.episode_lengths)[rows]
    begins = np.flatnonzero(np.diff(rows, prepend=-2) > 1)
    begins = np.union1d(begins, np.flatnonzero(np.diff(episode, prepend=-1) != 0))
    return replace(
        dataset.select_rows(rows),
        episode_offsets=np.append(begins, len(rows)),
        episode_id=dataset.episode_id[episode[begins]],
        parameters=None if dataset.parameters is None else dataset.parameters[episode[begins]],
    )


def subset_seconds(dataset: TransitionDataset, seconds: float, *, seed: int) -> TransitionDataset:
    """Draw episodes at random until they cover `seconds` of physical time (the equal-seconds arms)."""
    if not 0 < seconds <= dataset.seconds * (1 + 1e-9):
        raise ValueError(f"seconds must be in (0, {dataset.seconds:.6g}] (time the set covers), got {seconds}")
    num_transitions = round(seconds / (dataset.seconds / len(dataset)))
    return subset_transitions(dataset, max(1, num_transitions), seed=seed)


def normalization_stats(dataset: TransitionDataset) -> dict:
    """Return mean and std of state features, actions and rates of change (x' - x)/Δt of a training split."""
    batch = dataset.transitions(torch.float64)
    columns = {
        "state_features": state_features(batch.state, dataset.spec),
        "action": batch.action,
        "rate_of_change": (batch.next_state - batch.state) / batch.delta_t.unsqueeze(-1),
    }
    stats = {name: {"mean": x.mean(0).tolist(), "std": x.std(0).tolist()} for name, x in columns.items()}
    return {
        **stats,
        "num_transitions": len(batch),
        "num_cut_short": dataset.num_cut_short,
        "num_episodes": dataset.num_episodes,
        "content_hash": str(dataset.attributes.get("content_hash", "")),
    }


def write_normalization_stats(training_sets: Mapping[str, TransitionDataset], path: Path | str) -> Path:
    """Write `normalization_stats` of named training splits to one JSON file; models keep their own copy."""
    stats = {name: normalization_stats(dataset) for name, dataset in training_sets.items()}
    return write_text(path, json.dumps(stats, indent=1) + "\n")
