"""Training: the arms of the study, many members at once, checkpoints."""

from tdlib.training.arms import (
    DERIVED_ARMS,
    KEY_COLUMNS,
    LOG_UNIFORM,
    MIXED,
    PERSISTENCE,
    TRAIN_FREQUENCIES,
    Arm,
    all_arms,
    build_arm,
    trained_arms,
)
from tdlib.training.budget import Budget
from tdlib.training.checkpoint import check_rate, load_checkpoint, save_checkpoint
from tdlib.training.fit import fit
from tdlib.training.members import CURVE_COLUMNS, FitResult, Member, delta_t_support

__all__ = [
    "CURVE_COLUMNS",
    "DERIVED_ARMS",
    "KEY_COLUMNS",
    "LOG_UNIFORM",
    "MIXED",
    "PERSISTENCE",
    "TRAIN_FREQUENCIES",
    "Arm",
    "Budget",
    "FitResult",
    "Member",
    "all_arms",
    "build_arm",
    "check_rate",
    "delta_t_support",
    "fit",
    "load_checkpoint",
    "save_checkpoint",
    "trained_arms",
]
