"""What a loss is made of while a model learns, beside the curves: for models that can say it.

Passed to `fit` as `validated`, it asks a model for its terms on the same windows after every validation.
"""

from collections.abc import Callable
from typing import Any

import pandas as pd
import torch

from tdlib.core.context import Batch
from tdlib.core.seeding import torch_generator
from tdlib.training.sampling import DataPool, Drawn, Layout, Sampler
from tdlib.training.trials import Trial


def held_out_windows(trial: Trial, count: int) -> Batch:
    """Return the same windows of a trial's first validation set at every call, as a loss gets them.

    Args:
        trial: A checked one.
        count: Most windows; none repeats.
    """
    model, part = trial.model, trial.val[0]
    needs, like = model.needs, next(model.parameters())
    generator = torch_generator(trial.seed, model.spec.name, "terms")
    layout = Layout(model.spec, needs, part)
    pool = DataPool(layout)
    offsets = None if trial.val_offsets is None else trial.val_offsets[:1]
    index, valid = Sampler([part], offsets, pool, needs.window, generator).fixed(count * needs.window)
    pool.build(like.dtype, like.device)
    noise = torch.randn(*index.shape, needs.noise, generator=generator).to(like) if needs.noise else None
    index, valid = index.to(like.device), valid.to(like.device)
    images = pool.images(index, valid)
    if needs.window == 1:
        valid, noise = valid.squeeze(-1), None if noise is None else noise.squeeze(-2)
    drawn = Drawn(*(None if x is None else x.unsqueeze(0) for x in (pool.gather(index), valid, noise, images)))
    return layout.batch(drawn).map(lambda x: x.squeeze(0))


class TermLog:
    """Rows of a model's `terms`, one per validation.

    Args:
        batch: Windows, from `held_out_windows` for example, on the model's device.
        then: Called as `fit` calls `validated`, after the row is written.
    """

    def __init__(self, batch: Batch, then: Callable[[Trial, int, pd.DataFrame], None] | None = None):
        self._batch, self._then = batch, then
        self._rows: list[dict[str, object]] = []

    def __call__(self, trial: Trial, step: int, curves: pd.DataFrame) -> None:
        model: Any = trial.model
        training = model.training
        with torch.no_grad():
            terms = model.eval().terms(self._batch, torch.ones_like(self._batch.delta_t.flatten()[0]))
        model.train(training)
        self._rows.append({"label": trial.label, "step": step, **{name: float(x) for name, x in terms.items()}})
        if self._then is not None:
            self._then(trial, step, curves)

    @property
    def table(self) -> pd.DataFrame:
        """Columns label, step, and one per term; nan where a model has no such term."""
        return pd.DataFrame(self._rows)
