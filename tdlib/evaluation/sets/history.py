"""Where test states come from, and the true steps before them that a model with memory may see."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tdlib.data import TransitionDataset, true_histories
from tdlib.models import Context

CONTEXT_STEPS = 8


@dataclass(frozen=True)
class PairOrigin:
    """Rows of several data sets.

    Args:
        datasets: The sets.
        which: (N,) set of each row.
        rows: (N,) row number in its set.
    """

    datasets: tuple[TransitionDataset, ...]
    which: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def state(self) -> Tensor:
        """States of the rows, (N, D) float64."""
        return self._column("state")

    @property
    def action(self) -> Tensor:
        """Inputs held in the rows, (N, A)."""
        return self._column("action")

    def first(self, count: int) -> "PairOrigin":
        """Return the first rows only."""
        return PairOrigin(self.datasets, self.which[:count], self.rows[:count])

    def _column(self, name: str) -> Tensor:
        values = np.stack([getattr(self.datasets[i], name)[row] for i, row in zip(self.which, self.rows, strict=True)])
        return torch.from_numpy(values.astype(np.float64))


def pair_context(origin: PairOrigin, steps: Tensor) -> Context:
    """Return the true history of rows at given step lengths.

    Args:
        origin: N rows.
        steps: (..., N, C) length of each step of the history [s], oldest first.

    Returns:
        Fields of shape (..., N, C, ...).
    """
    leading, num_steps = steps.shape[:-2], steps.shape[-1]
    flat = steps.reshape(-1, len(origin), num_steps).numpy()
    dim_s, dim_a = origin.state.shape[-1], origin.action.shape[-1]
    states = torch.zeros(*flat.shape, dim_s, dtype=torch.float64)
    actions = torch.zeros(*flat.shape, dim_a, dtype=torch.float64)
    mask = torch.zeros(flat.shape, dtype=torch.bool)
    for i, dataset in enumerate(origin.datasets):
        place = np.flatnonzero(origin.which == i)
        if not len(place):
            continue
        rows = np.tile(origin.rows[place], len(flat))
        episodes = np.searchsorted(dataset.episode_offsets, rows, side="right") - 1
        history = true_histories(dataset, episodes, dataset.t[rows], flat[:, place].reshape(-1, num_steps), num_steps)
        shape = (len(flat), len(place), num_steps)
        states[:, place] = history.states.reshape(*shape, dim_s)
        actions[:, place] = history.actions.reshape(*shape, dim_a)
        mask[:, place] = history.mask.reshape(shape)
    return Context(
        states=states.reshape(*leading, len(origin), num_steps, dim_s),
        actions=actions.reshape(*leading, len(origin), num_steps, dim_a),
        delta_t=steps.clone(),
        mask=mask.reshape(*leading, len(origin), num_steps),
    )
