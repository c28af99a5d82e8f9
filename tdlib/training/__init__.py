"""Training: trials (a model, an arm, a seed, its data), many at once; checkpoints."""

from tdlib.training.budget import Budget, windows_per_batch
from tdlib.training.checkpoint import check_rate, load_checkpoint, rebuild_env, rebuild_model, save_checkpoint
from tdlib.training.fit import fit
from tdlib.training.pretrained import Loaded, load_parts, load_pretrained
from tdlib.training.term_log import TermLog, held_out_windows
from tdlib.training.trials import CURVE_COLUMNS, FitResult, Trial, delta_t_support
from tdlib.training.unfinished import UnfinishedFit, fit_key

__all__ = [
    "CURVE_COLUMNS",
    "Budget",
    "FitResult",
    "Loaded",
    "TermLog",
    "Trial",
    "UnfinishedFit",
    "check_rate",
    "delta_t_support",
    "fit",
    "fit_key",
    "held_out_windows",
    "load_checkpoint",
    "load_parts",
    "load_pretrained",
    "rebuild_env",
    "rebuild_model",
    "save_checkpoint",
    "windows_per_batch",
]
