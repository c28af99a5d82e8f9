"""Transitions on disk: schema, files, splits, exact histories, checks, and import and export.

`SOURCES` lists where sets come from; those that need heavy packages (PPO, Minari) are imported when they are called.
"""

from tdlib.data.cuts import Cuts, cut_sequences
from tdlib.data.history import recorded_histories, true_histories
from tdlib.data.schema import (
    FIELDS,
    SCHEMA_VERSION,
    DatasetError,
    RateError,
    TransitionDataset,
    check_dataset,
    continue_angles,
)
from tdlib.data.sources import SOURCES, Source, find_source
from tdlib.data.sources.branched import branched_set, draw_pairs, log_uniform_set, write_branched
from tdlib.data.sources.random import collect_random, write_random
from tdlib.data.sources.sequences import collect_sequences, write_sequences
from tdlib.data.splits import (
    load_splits,
    split_episodes,
    split_path,
    subset_seconds,
    subset_transitions,
    without_contacts,
    write_normalization_stats,
    write_splits,
)
from tdlib.data.storage import check_rate, load_dataset, read_attributes, save_dataset
from tdlib.data.torch_dataset import (
    PrecomputedDataset,
    SequenceDataset,
    SequenceTorchDataset,
    TransitionTorchDataset,
    dataset_path,
)

__all__ = [
    "FIELDS",
    "SCHEMA_VERSION",
    "SOURCES",
    "Cuts",
    "DatasetError",
    "PrecomputedDataset",
    "RateError",
    "SequenceDataset",
    "SequenceTorchDataset",
    "Source",
    "TransitionDataset",
    "TransitionTorchDataset",
    "branched_set",
    "check_dataset",
    "check_rate",
    "collect_random",
    "collect_sequences",
    "continue_angles",
    "cut_sequences",
    "dataset_path",
    "draw_pairs",
    "find_source",
    "load_dataset",
    "load_splits",
    "log_uniform_set",
    "read_attributes",
    "recorded_histories",
    "save_dataset",
    "split_episodes",
    "split_path",
    "subset_seconds",
    "subset_transitions",
    "true_histories",
    "without_contacts",
    "write_branched",
    "write_normalization_stats",
    "write_random",
    "write_sequences",
    "write_splits",
]
