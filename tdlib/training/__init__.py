"""Training: the arms of the study, many members at once, checkpoints."""

from tdlib.training.budget import Budget
from tdlib.training.checkpoint import check_rate, load_checkpoint, save_checkpoint
from tdlib.training.fit import fit
from tdlib.training.members import CURVE_COLUMNS, FitResult, Member, delta_t_support

__all__ = [
    "CURVE_COLUMNS",
    "Budget",
    "FitResult",
    "Member",
    "check_rate",
    "delta_t_support",
    "fit",
    "load_checkpoint",
    "save_checkpoint",
]
