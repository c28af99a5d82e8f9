"""Where test states come from, and the true steps before them that a model with memory may see."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from tdlib.core.facts import CONTEXT_STEPS
from tdlib.data import TransitionDataset, recorded_histories, true_histories
from tdlib.models import Context


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

    @property
    def next_state(self) -> Tensor:
        """Recorded states at the end of the rows, (N, D)."""
        return self._column("next_state")

    @property
    def delta_t(self) -> Tensor:
        """Recorded intervals of the rows, (N,) [s]."""
        return self._column("delta_t")

    @property
    def parameters(self) -> Tensor | None:
        """Parameters of the equation in the episodes of the rows, (N, P); None if none are drawn."""
        return None if self.datasets[0].parameters is None else self._column("row_parameters")

    def first(self, count: int) -> "PairOrigin":
        """Return the first rows only."""
        return PairOrigin(self.datasets, self.which[:count], self.rows[:count])

    def replaced(self, places: np.ndarray, others: "PairOrigin") -> "PairOrigin":
        """Return other rows of the same sets at some places: (N,) bool, as many others as there are places."""
        which, rows = self.which.copy(), self.rows.copy()
        which[places], rows[places] = others.which, others.rows
        return PairOrigin(self.datasets, which, rows)

    def _column(self, name: str) -> Tensor:
        columns = [getattr(dataset, name) for dataset in self.datasets]
        values = np.stack([columns[i][row] for i, row in zip(self.which, self.rows, strict=True)])
        return torch.from_numpy(values.astype(np.float64))


def sample_origins(datasets: Sequence[TransitionDataset], count: int, generator: torch.Generator) -> PairOrigin:
    """Draw rows from several sets with equal shares, without repetition where a set is large enough."""
    which, rows = [], []
    for i, dataset in enumerate(datasets):
        share = count // len(datasets) + (i < count % len(datasets))
        order = torch.randperm(len(dataset), generator=generator)
        if share > len(dataset):  # small presets: repeat rows rather than fail
            order = torch.randint(len(dataset), (share,), generator=generator)
        which.append(np.full(share, i))
        rows.append(order[:share].numpy())
    shuffle = torch.randperm(count, generator=generator).numpy()
    return PairOrigin(tuple(datasets), np.concatenate(which)[shuffle], np.concatenate(rows)[shuffle])


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
        parameters=None if origin.parameters is None else origin.parameters.expand(*leading, -1, -1).contiguous(),
    )


def recorded_context(origin: PairOrigin, num_steps: int = CONTEXT_STEPS) -> Context:
    """Return the steps that were recorded before N rows in their own episodes, fields (N, C, ...)."""
    order, parts = [], []
    for i, dataset in enumerate(origin.datasets):
        place = np.flatnonzero(origin.which == i)
        order.append(place)
        parts.append(recorded_histories(dataset, origin.rows[place], num_steps))
    back = torch.from_numpy(np.argsort(np.concatenate(order)))
    return replace(Context.joined(parts, torch.cat).map(lambda x: x[back]), parameters=origin.parameters)
