"""What models of pictures make of a held-out clip while they learn, beside their curves.

Passed to `fit` as `validated`, it asks a model for a few frames of the same clip after every validation. They are on
disk from then on: whoever waits for a long training can look, and one that was cut off goes on with what it has.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import cast
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tdlib.core.context import Batch
from tdlib.core.files import atomic_path
from tdlib.core.transitions import BRIGHTEST
from tdlib.models.visual.components import VisualComponents
from tdlib.models.visual.objectives import reconstructions
from tdlib.training.term_log import held_out_windows
from tdlib.training.trials import Trial

PICTURES_FILE = "training_pictures.npz"


@dataclass(frozen=True)
class LearnedPictures:
    """F frames of a clip, and what a model made of them after each of V validations.

    Args:
        steps: (V,) optimizer steps that were done.
        times: (F,) since the first frame that has a state [s].
        truth: (F, C, H, W) levels, uint8.
        seen: (V, F, C, H, W) levels, uint8; predicted from the first where a model is trained end to end, else encoded
            and decoded one by one.
    """

    steps: np.ndarray
    times: np.ndarray
    truth: np.ndarray
    seen: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        """Mean squared error per value in [0, 1], (V, F)."""
        return np.square((self.seen.astype(float) - self.truth) / BRIGHTEST).mean(axis=(2, 3, 4))


def load_pictures(path: Path) -> LearnedPictures:
    """Load what a `PictureLog` wrote.

    Raises:
        ValueError: If the file is missing or damaged; the message names it.
    """
    try:
        with np.load(path) as file:
            return LearnedPictures(*(file[each.name] for each in fields(LearnedPictures)))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise ValueError(f"path must be a file of pictures while a model learned, got {path}: {error}") from error


class PictureLog:
    """Writes pictures of each trial of models that read some; passes others by.

    Args:
        path_of: Returns where those of a trial lie.
    """

    def __init__(self, path_of: Callable[[Trial], Path]):
        self._path_of = path_of
        self._clips: dict[str, Batch] = {}

    def __call__(self, trial: Trial, step: int, curves: pd.DataFrame) -> None:
        """Add what the model makes of its clip after `step` optimizer steps."""
        if not trial.model.needs.images:
            return
        if trial.label not in self._clips:
            self._clips[trial.label] = held_out_windows(trial, 1)
        clip, path, model = self._clips[trial.label], self._path_of(trial), cast(VisualComponents, trial.model)
        training = model.training
        with torch.no_grad():
            true, made = reconstructions(model.eval(), clip)
        model.train(training)
        places = [0, (true.shape[1] - 1) // 2, true.shape[1] - 1]
        passed = clip.delta_t[0, 1 - true.shape[1] :].cumsum(dim=0).cpu().numpy().astype(float)
        times = np.append(0.0, passed)[places].round(6)
        seen = _levels(made[0, places])[None]
        steps, before = np.array([step]), _before(path, step)
        if before is not None:
            steps, seen = np.append(before.steps, steps), np.concatenate([before.seen, seen])
        truth = _levels(true[0, places])
        with atomic_path(path) as temporary:
            np.savez_compressed(temporary, steps=steps, times=times, truth=truth, seen=seen)

    def files(self, trial: Trial) -> list[Path]:
        """Return what was written of a trial."""
        path = self._path_of(trial)
        return [path] if trial.model.needs.images and path.is_file() else []


def _before(path: Path, step: int) -> LearnedPictures | None:
    """What is there of the same training up to a step; None at its beginning, where a file would be of another."""
    if step == 0 or not path.is_file():
        return None
    found = load_pictures(path)
    kept = found.steps < step
    return LearnedPictures(found.steps[kept], found.times, found.truth, found.seen[kept])


def _levels(images: Tensor) -> np.ndarray:
    return images.mul(BRIGHTEST).round().clamp(0, BRIGHTEST).to(torch.uint8).cpu().numpy()
