"""Recorded and predicted changes side by side, at a log's rate and coarser ones: for a figure that moves."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from tdlib.core.specs import continued
from tdlib.data import DatasetError, TransitionDataset
from tdlib.data.decimate import decimate
from tdlib.doctor.ask import precision_of
from tdlib.doctor.repair import EVERY, FEWEST_ROWS, repaired_models
from tdlib.doctor.rows import clock_of
from tdlib.speed import Model, has_memory

COLUMNS = ["env", "rate", "repair", "dimension", "recorded", "predicted"]
KEPT = 200  # rows of a rate; more would only lie on each other


def changes_table(model: Model, dataset: TransitionDataset, h: float, *, every: Sequence[int] = EVERY) -> pd.DataFrame:
    """Rows env, rate [Hz], repair, dimension, recorded and predicted change over the RMS of the recorded one.

    What a model refuses is left out; of one that remembers nothing is asked.

    Args:
        model: One model.
        dataset: A log.
        h: Step that the model knows best [s].
        every: How many intervals of the log are made one.
    """
    found, precision = [pd.DataFrame(columns=COLUMNS)], precision_of(model)
    for n in [] if has_memory(model) else every:
        try:
            log = decimate(dataset, n)
        except DatasetError:  # episodes end before
            break
        if len(log) < FEWEST_ROWS:
            break
        chosen = slice(None, None, max(1, len(log) // KEPT))
        state, action, delta_t, target = (
            torch.from_numpy(np.ascontiguousarray(column[chosen]))
            for column in (log.state, log.action, log.delta_t, log.next_state)
        )
        size = (target - state).square().mean(dim=0).sqrt().clamp(min=1e-300)
        for repair, each in repaired_models(model, h, log.spec).items():
            try:
                with torch.no_grad():
                    answer = each(*(x.to(precision) for x in (state, action, delta_t))).double()
            except Exception:  # somebody's own code; the table of rates says why
                continue
            moved, true = ((continued(x, state, log.spec) - state) / size for x in (answer, target))
            found.append(
                pd.DataFrame({
                    "env": log.spec.name, "rate": f"{clock_of(log).rate:.4g}", "repair": repair,
                    "dimension": np.tile(log.spec.state_names, len(state)),
                    "recorded": true.flatten().numpy(), "predicted": moved.flatten().numpy(),
                })
            )  # fmt: skip
    return pd.concat(found[1:] or found, ignore_index=True)
