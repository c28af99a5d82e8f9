"""What the arms of one seed train and validate on, of every kind of data."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from tdlib.core.facts import CONTACTS, LOG_UNIFORM, MIXED, POOLED, SECONDS, TRANSITIONS
from tdlib.core.time_grid import delta_t_of
from tdlib.core.transitions import Transitions
from tdlib.data import (
    TransitionDataset,
    branched_set,
    load_dataset,
    split_path,
    subset_seconds,
    subset_transitions,
    without_contacts,
)
from tdlib.study.arms import Arm
from tdlib.study.phases.collect import branched_path, content_hash_of, load_branched, main_dataset_path
from tdlib.study.run import Run
from tdlib.systems import SYSTEMS

Part = tuple[Transitions, torch.Tensor]  # transitions in time order, and the offsets of their episodes


@dataclass(frozen=True)
class SeedData:
    """What the arms of one seed train and validate on; sets are shared objects, so that a fit holds each once.

    Transitions that touch a limit of the state are in none of them but those of kind `contacts`.

    Args:
        train: Training set by kind of data (`Arm.data`) and rate; all but those of `seconds` have equally many rows.
        share: An equal share of them by kind and rate, so that mixed arms see as many transitions in all.
        val: Validation set by kind and rate.
        branched: Train and validation pairs at log-uniform intervals.
        hashes: Content hashes of the sets these were taken from.
    """

    train: dict[str, dict[float, Part]]
    share: dict[str, dict[float, Part]]
    val: dict[str, dict[float, Part]]
    branched: dict[str, Part]
    hashes: dict[str, str]

    def parts(self, arm: Arm) -> tuple[list[Part], list[Part]]:
        """Return the training and validation sets of an arm."""
        if arm.train_frequency == LOG_UNIFORM:
            return [self.branched["train"]], [self.branched["val"]]
        if arm.train_frequency == MIXED:
            return list(self.share[arm.data].values()), list(self.val[arm.data].values())
        rate = float(arm.train_frequency)
        return [self.train[arm.data][rate]], [self.val[arm.data][rate]]


def load_seed_data(run: Run, env: str, seed: int) -> SeedData:
    """Load one seed's sets, flow the pooled states to every rate, and cut all to equal transitions or seconds."""
    rates, clips = run.preset.train_frequencies, SYSTEMS[env].clips
    whole, free, pooled, branched = {}, {}, {}, {}
    for split in ("train", "val"):
        paths = {rate: split_path(main_dataset_path(run, env, rate, seed), split) for rate in rates}
        whole[split] = {rate: load_dataset(path, rate) for rate, path in paths.items()}
        drawn = load_branched(run, env, seed, split)  # one row per pair of the pooled states
        flowed = {rate: _flowed(env, drawn, delta_t_of(rate)) for rate in rates}
        dropped = without_contacts if clips else (lambda dataset: dataset)
        free[split] = {rate: dropped(dataset) for rate, dataset in whole[split].items()}
        pooled[split] = {rate: dropped(dataset) for rate, dataset in flowed.items()}
        branched[split] = dropped(drawn)
    sets = {TRANSITIONS: free, SECONDS: free, POOLED: pooled, CONTACTS: whole}
    count = min(len(part) for kind in sets.values() for part in kind["train"].values())
    seconds = min(part.seconds for part in free["train"].values())

    def cut(kind: str, part: TransitionDataset) -> TransitionDataset:
        if kind == SECONDS:
            return subset_seconds(part, seconds, seed=seed)
        return subset_transitions(part, count, seed=seed)

    def parts(of: Callable[[str, TransitionDataset], TransitionDataset], split: str) -> dict[str, dict[float, Part]]:
        return {
            kind: {rate: _part(of(kind, part)) for rate, part in found[split].items()} for kind, found in sets.items()
        }

    return SeedData(
        train=parts(cut, "train"),
        share=parts(lambda kind, part: subset_transitions(part, count // len(rates), seed=seed), "train"),
        val=parts(lambda kind, part: part, "val"),
        branched={"train": _part(branched["train"]), "val": _part(branched["val"])},
        hashes=data_hashes_of(run, env, seed),
    )


def data_hashes_of(run: Run, env: str, seed: int) -> dict[str, str]:
    """Return the content hashes of the sets behind them."""
    found = {}
    for split in ("train", "val"):
        for rate in run.preset.train_frequencies:
            path = split_path(main_dataset_path(run, env, rate, seed), split)
            found[f"{rate:g}hz_{split}"] = content_hash_of(path)
        found[f"branched_{split}"] = content_hash_of(branched_path(run, env, seed, split))
    return found


def _flowed(env: str, pairs: TransitionDataset, delta_t: float) -> TransitionDataset:
    """Flow the state and action of every row for one interval, as a set of that rate."""
    drawn = None if pairs.row_parameters is None else torch.from_numpy(pairs.row_parameters)
    return branched_set(env, torch.from_numpy(pairs.state), torch.from_numpy(pairs.action), [delta_t], parameters=drawn)


def _part(dataset: TransitionDataset) -> Part:
    transitions, offsets = dataset.transitions_with_offsets(torch.float32)
    return transitions, torch.as_tensor(offsets)
