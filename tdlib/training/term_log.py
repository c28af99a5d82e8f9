"""What a loss is made of while a model learns, beside the curves: for models that can say it.

Passed to `fit` as `validated`, it asks a model for its terms on the same windows after every validation.
"""

from collections.abc import Callable
from typing import Any

import pandas as pd
import torch

from tdlib.core.context import Batch
from tdlib.training.trials import Trial


class TermLog:
    """Rows of a model's `terms`, one per validation.

    Args:
        batch: Windows of the validation split, noise among it, on the model's device.
        then: Called as `fit` calls `validated`, after the row is written.
    """

    def __init__(self, batch: Batch, then: Callable[[Trial, int, pd.DataFrame], None] | None = None):
        self._batch, self._then = batch, then
        self._rows: list[dict[str, object]] = []

    def __call__(self, trial: Trial, step: int, curves: pd.DataFrame) -> None:
        model: Any = trial.model
        training = model.training
        with torch.no_grad():
            terms = model.eval().terms(self._batch, torch.ones((), dtype=self._batch.delta_t.dtype))
        model.train(training)
        self._rows.append({"label": trial.label, "step": step, **{name: float(x) for name, x in terms.items()}})
        if self._then is not None:
            self._then(trial, step, curves)

    @property
    def table(self) -> pd.DataFrame:
        """Columns label, step, and one per term; nan where a model has no such term."""
        return pd.DataFrame(self._rows)
