"""Torch `Dataset`s for training loops outside this project: single transitions, and whole sequences.

Both read the one schema. `SequenceDataset` collects sequences as it is made, `PrecomputedDataset` reads a file of them,
so that a whole sweep shares one set; of the same numbers and seed both hold the same sequences.
"""

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from tdlib.core.facts import SEQUENCE_SHARES
from tdlib.data.schema import DatasetError, TransitionDataset
from tdlib.data.sources.sequences import collect_sequences, sequence_shares
from tdlib.data.splits import SPLITS, split_episodes, split_path
from tdlib.data.storage import content_hash, load_dataset
from tdlib.systems import System

DATA_ROOT = Path("datasets")  # where sets of short names lie, below the folder one works in
ENDING = ".h5"


class TransitionTorchDataset(Dataset):
    """Rows of full length; item i is a dict with `state` (D,), `action` (A,), `next_state` (D,) and `delta_t` () [s].

    Args:
        dataset: Source; rows cut short are left out.
        dtype: Precision of the tensors; angles were wrapped in float64 before.
    """

    def __init__(self, dataset: TransitionDataset, dtype: torch.dtype = torch.float32):
        self.transitions = dataset.transitions(dtype)

    def __len__(self) -> int:
        return len(self.transitions)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        state, action, next_state, delta_t = (column[index] for column in self.transitions.tensors())
        return {"state": state, "action": action, "next_state": next_state, "delta_t": delta_t}


class SequenceTorchDataset(Dataset):
    """Episodes of one length T; item i is a dict of the i-th.

    | key | shape | what it is |
    |---|---|---|
    | `states` | (T + 1, D) | from the start to the end of the last interval; angles run on over ±π |
    | `actions` | (T,), or (T, A) | index of the discrete action held over each interval, or physical inputs |
    | `targets` | (T, D) | states after each interval: `states[1:]` |
    | `parameters` | (P,) | those of the equation in this sequence; (0,) where none are drawn |

    Args:
        dataset: Source.
        dtype: Precision of the tensors.

    Raises:
        DatasetError: If episodes differ in length, or intervals in theirs.
    """

    def __init__(self, dataset: TransitionDataset, dtype: torch.dtype = torch.float32):
        lengths, intervals = dataset.episode_lengths, dataset.delta_t
        if dataset.kind != "episodes" or lengths.min() != lengths.max():
            found = f"a {dataset.kind} set with {lengths.min()} to {lengths.max()} intervals in each"
            raise DatasetError(f"dataset must hold sequences of one length, got {found}")
        if not np.allclose(intervals, intervals[0], rtol=1e-9, atol=0.0):
            raise DatasetError(f"delta_t must be one for all intervals, got {intervals.min()} to {intervals.max()} s")
        self.dataset, self.dt = dataset, float(intervals[0])
        shape = (dataset.num_episodes, int(lengths[0]))
        actions = torch.from_numpy(dataset.action.reshape(*shape, -1))
        self.states = torch.from_numpy(_running_on(dataset, shape)).to(dtype)
        self.actions = actions[..., 0].long() if dataset.spec.discrete else actions.to(dtype)
        drawn = np.zeros((shape[0], 0)) if dataset.parameters is None else dataset.parameters
        self.parameters = torch.from_numpy(drawn).to(dtype)

    @property
    def content_hash(self) -> str:
        """Hash of all numbers of the split; two sets are the same if theirs are."""
        return content_hash(self.dataset)

    def __len__(self) -> int:
        return len(self.states)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        states = self.states[index]
        return {
            "states": states,
            "actions": self.actions[index],
            "targets": states[1:],
            "parameters": self.parameters[index],
        }


class SequenceDataset(SequenceTorchDataset):
    """Sequences of a system, collected now: starts, parameters and actions drawn for each (`collect_sequences`).

    Args:
        system: The system, or its name.
        n_seqs: Sequences of all three splits together.
        seq_len: Intervals T of each.
        dt: Interval [s]; the system's own if None.
        split: `train`, `val` or `test`; the division is a seeded permutation of the sequences, with a random stream
            apart from the one that draws them.
        val_split: Share of the validation split.
        test_split: Share of the test split.
        seed: Seed of sequences and division.
        dtype: Precision of the tensors.

    Raises:
        ValueError: If a number is not positive, shares leave nothing to train on, or a name is unknown.
        DatasetError: If more than half of the sequences go to infinity.
    """

    def __init__(
        self,
        system: System | str,
        n_seqs: int = 1000,
        seq_len: int = 100,
        dt: float | None = None,
        *,
        split: str = "train",
        val_split: float = SEQUENCE_SHARES["val"],
        test_split: float = SEQUENCE_SHARES["test"],
        seed: int = 0,
        dtype: torch.dtype = torch.float32,
    ):
        if split not in SPLITS:
            raise ValueError(f"split must be one of {SPLITS}, got {split!r}")
        shares = sequence_shares(val_split, test_split)
        dataset = collect_sequences(system, n_seqs, seq_len, seed, dt)
        super().__init__(split_episodes(dataset, seed, shares)[split], dtype)


class PrecomputedDataset(SequenceTorchDataset):
    """One split of a file that `write_sequences` has written, checked against the hash of its numbers.

    Args:
        name_or_path: The set's `.h5` file, or its short name: `oscillator/first` is `oscillator/first.h5` below
            `data_root`.
        split: `train`, `val` or `test`.
        data_root: Folder of short names.
        dtype: Precision of the tensors.

    Raises:
        ValueError: If there is no such split or no such set; the message lists those below `data_root`.
        DatasetError: If the file was changed after writing, or holds no sequences of one length.
    """

    def __init__(
        self,
        name_or_path: str | Path,
        split: str = "train",
        *,
        data_root: str | Path = DATA_ROOT,
        dtype: torch.dtype = torch.float32,
    ):
        self.path = split_path(dataset_path(name_or_path, data_root), split)
        super().__init__(load_dataset(self.path), dtype)


def dataset_path(name_or_path: str | Path, data_root: str | Path = DATA_ROOT) -> Path:
    """Return the file of a set given by path, or by its short name below a folder.

    Raises:
        ValueError: If there is none; the message lists the short names there are.
    """
    given, root = Path(name_or_path), Path(data_root)
    for path in (given, root / given):
        path = path if path.suffix == ENDING else path.with_name(path.name + ENDING)
        if path.is_file():
            return path
    ends = tuple(f"_{split}{ENDING}" for split in SPLITS)
    known = sorted(
        path.relative_to(root).with_suffix("").as_posix()
        for path in root.rglob(f"*{ENDING}")
        if not path.name.endswith(ends)
    )
    raise ValueError(f"name_or_path must be a file or one of {known} below {root}, got {str(name_or_path)!r}")


def _running_on(dataset: TransitionDataset, shape: tuple[int, int]) -> np.ndarray:
    """States (N, T + 1, D) of sequences whose angles are wrapped anew at every interval, without these turns."""
    state, following = (x.reshape(*shape, -1) for x in (dataset.state, dataset.next_state))
    states = np.concatenate([state[:, :1], following], axis=1)
    for i in dataset.spec.angle_dims:
        turns = np.round((following[:, :-1, i] - state[:, 1:, i]) / (2 * math.pi)).cumsum(axis=1)
        states[:, 2:, i] += 2 * math.pi * turns
    return states
