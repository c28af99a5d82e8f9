"""A model at finer rates than the log's: there is no truth there, but many short steps should be one long one."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from tdlib.core.specs import continued
from tdlib.data import TransitionDataset
from tdlib.doctor.ask import precision_of, reason
from tdlib.doctor.rows import clock_of
from tdlib.speed import Model, has_memory

PARTS = (2, 4, 8)
MOST_ROWS = 1024


def finer_table(model: Model, dataset: TransitionDataset, *, parts: Sequence[int] = PARTS) -> pd.DataFrame:
    """The semigroup defect: n steps of Δ/n against one of Δ, over the recorded change.

    Args:
        model: A model of one interval.
        dataset: A log.
        parts: n.

    Returns:
        Rows parts, delta_t Δ/n [s], defect (nan where the model gives no number), of_a_map n − 1 (that of a map of one
        step, to first order), n rows, refused: why, empty if it answers.

    Raises:
        ValueError: If the model remembers.
    """
    if has_memory(model):
        raise ValueError("model must be of one interval to be asked for parts of one, got one that remembers")
    chosen = slice(None, None, max(1, len(dataset) // MOST_ROWS))
    state, action, delta_t, target = (
        torch.from_numpy(np.ascontiguousarray(column[chosen]))
        for column in (dataset.state, dataset.action, dataset.delta_t, dataset.next_state)
    )
    size = (target - state).square().mean(dim=0)
    interval, rows = 1 / clock_of(dataset).rate, []
    for n in parts:
        row: dict[str, float | str] = {"parts": n, "delta_t": interval / n, "of_a_map": n - 1.0, "n": len(target)}
        try:
            once, many = (_stepped(model, state, action, delta_t, k) for k in (1, n))
            apart = (continued(many, once, dataset.spec) - once).square().mean(dim=0)
            rows.append({**row, "defect": float((apart / size)[size > 0].mean().sqrt()), "refused": ""})
        except Exception as error:  # somebody's own code, asked for steps that it may not know
            rows.append({**row, "defect": math.nan, "refused": reason(error)})
    return pd.DataFrame(rows, columns=["parts", "delta_t", "defect", "of_a_map", "n", "refused"])


def _stepped(
    model: Model, state: torch.Tensor, action: torch.Tensor, delta_t: torch.Tensor, count: int
) -> torch.Tensor:
    precision = precision_of(model)
    action, step, state = action.to(precision), (delta_t / count).to(precision), state.to(precision)
    with torch.no_grad():
        for _ in range(count):
            state = model(state, action, step)
    return state.double()
