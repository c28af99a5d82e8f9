"""The rows of a log that a model is asked about, with what acted before and after them."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tdlib.core.seeding import numpy_generator
from tdlib.data import TransitionDataset, recorded_histories
from tdlib.data.sources.stamps import StampReport, report_stamps
from tdlib.models.contract import Context
from tdlib.speed import Model, has_memory

MARGIN = 3  # rows on both sides of one that is asked about, of the same episode
SHIFTS = tuple(i / 4 for i in range(-8, 9))  # of the inputs, in rows; above 0 the log's inputs come too early
PASTS = 512  # rows whose past is asked for, of models that remember


@dataclass(frozen=True)
class Rows:
    """Recorded rows in double precision.

    Args:
        state: (N, D).
        action: (N, A) inputs, held over the interval.
        delta_t: (N,) [s].
        next_state: (N, D).
        shifted: Shift in rows -> inputs (N, A) that much older; empty for discrete actions.
        context: The past of every row, for models that remember.
    """

    state: Tensor
    action: Tensor
    delta_t: Tensor
    next_state: Tensor
    shifted: Mapping[float, Tensor]
    context: Context | None


def draw(dataset: TransitionDataset, model: Model, num_rows: int, seed: int) -> Rows:
    """Draw rows that have neighbors on both sides within their episode.

    Raises:
        ValueError: If the log is branched, or has no episode long enough to look around a row.
    """
    if dataset.kind != "episodes":
        raise ValueError(f"dataset must be of kind 'episodes', got {dataset.kind!r}")
    inside = [np.arange(own.start + MARGIN, own.stop - MARGIN) for own in episodes_of(dataset)]
    every = np.concatenate(inside) if inside else np.zeros(0, dtype=int)
    if not len(every):
        longest = int(dataset.episode_lengths.max())
        raise ValueError(f"dataset must have an episode of more than {2 * MARGIN} rows, got at most {longest}")
    remembers = has_memory(model)
    count = min(num_rows, PASTS) if remembers else num_rows
    chosen = np.sort(numpy_generator(seed, "doctor").permutation(every)[:count])
    context = None
    if remembers:
        past = recorded_histories(dataset, chosen)
        context = Context(past.states, past.actions, past.delta_t, past.mask).map(lambda x: x.unsqueeze(0))

    def tensor(values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64))

    return Rows(
        tensor(dataset.state[chosen]),
        tensor(dataset.action[chosen]),
        tensor(dataset.delta_t[chosen]),
        tensor(dataset.next_state[chosen]),
        {} if dataset.spec.discrete else {shift: tensor(_older(dataset.action, chosen, shift)) for shift in SHIFTS},
        context,
    )


def _older(actions: np.ndarray, rows: np.ndarray, shift: float) -> np.ndarray:
    """Mean of what acted in the intervals that begin `shift` rows earlier."""
    whole = math.floor(shift)
    share = shift - whole
    return (1 - share) * actions[rows - whole] + share * actions[rows - whole - 1]


def episodes_of(dataset: TransitionDataset) -> Sequence[slice]:
    """Rows of every episode."""
    return [dataset.episode(i) for i in range(dataset.num_episodes)]


def clock_of(dataset: TransitionDataset) -> StampReport:
    """What the stamps of a log say.

    Its `rate` is 1 / median interval, but the number of rows over the span of time where they come in bursts: the
    interval inside a burst is no step that the log has.
    """
    found = report_stamps([np.append(dataset.t[own], _end_of(dataset, own)) for own in episodes_of(dataset)])
    even = dataset.control_frequency is not None  # an import makes intervals equal that hardly differ
    return dataclasses.replace(found, generated=found.generated and not even)


def evened(dataset: TransitionDataset) -> TransitionDataset:
    """The log with equal intervals over the span of each episode: what it is if stamps are those of sending."""
    delta_t, t = dataset.delta_t.copy(), dataset.t.copy()
    for own in episodes_of(dataset):
        delta_t[own] = dataset.delta_t[own].mean()
        t[own] = dataset.t[own.start] + delta_t[own.start] * np.arange(own.stop - own.start)
    return dataclasses.replace(dataset, delta_t=delta_t, t=t)


def _end_of(dataset: TransitionDataset, own: slice) -> float:
    return float(dataset.t[own.stop - 1] + dataset.delta_t[own.stop - 1])
