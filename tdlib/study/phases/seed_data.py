"""What the arms of one seed train and validate on, of every kind of data."""

from dataclasses import dataclass

import torch

from tdlib.core.facts import CONTACTS, LOG_UNIFORM, MIXED, POOLED, SECONDS, TRANSITIONS, data_of, part_of_data
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
from tdlib.data.noise import with_noise
from tdlib.study.arms import Arm
from tdlib.study.phases.collect import (
    branched_path,
    content_hash_of,
    friction_dataset_path,
    load_branched,
    main_dataset_path,
)
from tdlib.study.run import Run
from tdlib.systems import SYSTEMS

Part = tuple[Transitions, torch.Tensor]  # transitions in time order, and the offsets of their episodes
Sets = dict[str, dict[float, TransitionDataset]]  # by split and rate


@dataclass(frozen=True)
class SeedData:
    """What the arms of one seed train and validate on; sets are shared objects, so that a fit holds each once.

    Transitions that touch a limit of the state are in none of them but those of kind `contacts`.

    Args:
        train: Training set by `Arm.data` and rate; all but those of `seconds` have equally many rows.
        share: An equal share of them for each rate, so that mixed arms see as many transitions, or seconds, in all.
        val: Validation set by kind and rate, of noisy data and of another friction by their names; of a share of the
            data that of all of it.
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
        val = self.val[arm.data if arm.data in self.val else data_of(arm.data).kind]
        if arm.train_frequency == MIXED:
            return list(self.share[arm.data].values()), list(val.values())
        rate = float(arm.train_frequency)
        return [self.train[arm.data][rate]], [val[rate]]


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
    amounts = [part_of_data(kind, share) for share in run.preset.amounts for kind in (TRANSITIONS, SECONDS)]
    for name in run.preset.varied_data(env):
        if data_of(name).share < 1:
            amounts.append(name)
        else:
            sets[name] = _varied(run, env, seed, name, free)
    count = min(len(part) for kind in sets.values() for part in kind["train"].values())
    seconds = min(part.seconds for part in free["train"].values())

    def cut(name: str, part: TransitionDataset, among: int) -> TransitionDataset:
        asked = data_of(name)  # smaller shares are the first episodes of larger ones
        if asked.kind == SECONDS:
            return subset_seconds(part, seconds * asked.share / among, seed=seed)
        return subset_transitions(part, max(2, int(count * asked.share) // among), seed=seed)

    def train(among: int) -> dict[str, dict[float, Part]]:
        return {
            name: {rate: as_part(cut(name, part, among)) for rate, part in sets[origin]["train"].items()}
            for name, origin in [*((name, name) for name in sets), *((name, data_of(name).kind) for name in amounts)]
        }

    return SeedData(
        train=train(1),
        share=train(len(rates)),
        val={kind: {rate: as_part(part) for rate, part in found["val"].items()} for kind, found in sets.items()},
        branched={"train": as_part(branched["train"]), "val": as_part(branched["val"])},
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


def _varied(run: Run, env: str, seed: int, name: str, free: Sets) -> Sets:
    """Return training and validation sets by rate of noisy data, or of a system with other losses."""
    asked = data_of(name)
    if asked.friction != 1:
        return {
            split: {
                rate: load_dataset(split_path(friction_dataset_path(run, env, rate, seed, asked.friction), split), rate)
                for rate in found
            }
            for split, found in free.items()
        }
    return {
        split: {
            rate: with_noise(part, asked.noise, free["train"][rate].state.std(axis=0), seed=seed)
            for rate, part in found.items()
        }
        for split, found in free.items()
    }


def _flowed(env: str, pairs: TransitionDataset, delta_t: float) -> TransitionDataset:
    """Flow the state and action of every row for one interval, as a set of that rate."""
    drawn = None if pairs.row_parameters is None else torch.from_numpy(pairs.row_parameters)
    return branched_set(env, torch.from_numpy(pairs.state), torch.from_numpy(pairs.action), [delta_t], parameters=drawn)


def as_part(dataset: TransitionDataset) -> Part:
    """Return the rows of a set as what models train on."""
    transitions, offsets = dataset.transitions_with_offsets(torch.float32)
    return transitions, torch.as_tensor(offsets)
