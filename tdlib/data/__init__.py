"""Transitions on disk: schema, files, splits, exact histories, checks, and import and export.

Collection is not imported here: `tdlib.data.sources.ppo` (stable-baselines3) and `tdlib.data.sources.minari` are heavy.
"""

from tdlib.data.history import History, recorded_histories, true_histories, true_history
from tdlib.data.schema import (
    FIELDS,
    SCHEMA_VERSION,
    DatasetError,
    RateError,
    TransitionDataset,
    check_dataset,
    continue_angles,
)
from tdlib.data.sets import branched_set, collect_random, draw_pairs, log_uniform_set, write_branched, write_random
from tdlib.data.splits import (
    load_splits,
    split_episodes,
    split_path,
    subset_seconds,
    subset_transitions,
    write_normalization_stats,
    write_splits,
)
from tdlib.data.storage import check_rate, load_dataset, read_attributes, save_dataset
from tdlib.data.torch_dataset import TransitionTorchDataset

__all__ = [
    "FIELDS",
    "SCHEMA_VERSION",
    "DatasetError",
    "History",
    "RateError",
    "TransitionDataset",
    "TransitionTorchDataset",
    "branched_set",
    "check_dataset",
    "check_rate",
    "collect_random",
    "continue_angles",
    "draw_pairs",
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
    "true_history",
    "write_branched",
    "write_normalization_stats",
    "write_random",
    "write_splits",
]
