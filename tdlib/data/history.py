"""The true past of a state at any step length: exact states t − kΔt inside an episode, and the inputs in between.

Within a held interval the state is the flow from its start, so a history is exact whatever the rate of the data.
"""

import numpy as np
import torch
from torch import Tensor

from tdlib.core.context import Context
from tdlib.core.facts import CONTEXT_STEPS
from tdlib.data.schema import DatasetError, TransitionDataset
from tdlib.systems import get_system

CLOCK_TOLERANCE = 1e-7  # [s]; below it two times are the same instant


def true_histories(
    dataset: TransitionDataset,
    episodes: np.ndarray,
    times: np.ndarray,
    delta_t: float | np.ndarray,
    num_steps: int = CONTEXT_STEPS,
) -> Context:
    """Return the exact past of B instants: true states at t − CΔt, ..., t − Δt.

    The input of a step is its time average, or for discrete actions the index held longest (of two held equally long,
    the later).

    Args:
        dataset: Set of kind "episodes" of a known system.
        episodes: (B,) episode numbers in this set.
        times: (B,) time since the start of the episode [s], from 0 to its end.
        delta_t: Step of the history [s]: one number, (B,), or (B, C) with a step of its own for every interval.
        num_steps: C.

    Returns:
        Fields of shape (B, C, ...), float64. Where the mask is False, since the episode does not reach back that far,
        the state is the one at `times` and the action zero.

    Raises:
        DatasetError: If the set is branched.
        ValueError: If an episode does not exist or a time lies outside its episode.
    """
    episodes, times = np.asarray(episodes, dtype=np.int64), np.asarray(times, dtype=np.float64)
    _check(dataset, episodes, times)
    delta_t = np.asarray(delta_t, dtype=np.float64)
    steps = np.broadcast_to(delta_t if delta_t.ndim == 2 else delta_t[..., None], (len(times), num_steps))
    if (steps <= 0).any():
        raise ValueError(f"delta_t must be positive [s], got {steps.min()}")
    ends = times[:, None] - np.concatenate([np.cumsum(steps[:, ::-1], axis=1)[:, -2::-1], np.zeros((len(times), 1))], 1)
    starts = ends - steps
    mask = starts >= -CLOCK_TOLERANCE
    starts, ends = np.where(mask, np.maximum(starts, 0.0), times[:, None]), np.where(mask, ends, times[:, None])
    owner = np.broadcast_to(episodes[:, None], starts.shape)
    return Context(
        states=_state_at(dataset, owner, starts),
        actions=torch.from_numpy(_held_input(dataset, owner, starts, ends) * mask[..., None]),
        delta_t=torch.from_numpy(steps.copy()),
        mask=torch.from_numpy(mask),
    )


def _check(dataset: TransitionDataset, episodes: np.ndarray, times: np.ndarray) -> None:
    if dataset.kind != "episodes":
        raise DatasetError(f"dataset must be of kind 'episodes' to have a past, got {dataset.kind!r}")
    if len(episodes) and not (0 <= episodes.min() and episodes.max() < dataset.num_episodes):
        found = f"{episodes.min()} .. {episodes.max()}"
        raise ValueError(f"episodes must be in 0 .. {dataset.num_episodes - 1}, got {found}")
    last = dataset.episode_offsets[episodes + 1] - 1
    duration = dataset.t[last] + dataset.delta_t[last]
    outside = (times < -CLOCK_TOLERANCE) | (times > duration + CLOCK_TOLERANCE)
    if outside.any():
        i = int(np.argmax(outside))
        raise ValueError(f"times must lie inside episode {episodes[i]}, 0 .. {duration[i]:.6g} s, got {times[i]}")


def _row_at(dataset: TransitionDataset, episodes: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Row whose interval holds the instant; at a boundary the later one, at the end of an episode its last."""
    offsets = dataset.episode_offsets
    longest = float((dataset.t + dataset.delta_t).max()) + 1.0
    clock = dataset.t + longest * np.repeat(np.arange(dataset.num_episodes), dataset.episode_lengths)
    rows = np.searchsorted(clock, episodes * longest + times + CLOCK_TOLERANCE, side="right") - 1
    return np.clip(rows, offsets[episodes], offsets[episodes + 1] - 1)


def _state_at(dataset: TransitionDataset, episodes: np.ndarray, times: np.ndarray) -> Tensor:
    rows = _row_at(dataset, episodes, times)
    since = times - dataset.t[rows]
    since = np.where(np.abs(since) < CLOCK_TOLERANCE, 0.0, since)
    state, action = torch.from_numpy(dataset.state[rows]), torch.from_numpy(dataset.action[rows])
    drawn = None if dataset.parameters is None else torch.from_numpy(dataset.parameters[episodes])
    moved = get_system(dataset.spec.name).flow(state, action, torch.from_numpy(since), drawn)
    return torch.where(torch.from_numpy(since == 0.0).unsqueeze(-1), state, moved)


def _held_input(dataset: TransitionDataset, episodes: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Time average of the input between two instants, or the discrete index held longest: (...) -> (..., A)."""
    if dataset.spec.num_actions is None:
        return _average(dataset, dataset.action, episodes, starts, ends)
    indices = np.arange(dataset.spec.num_actions)
    share = _average(dataset, (dataset.action == indices).astype(np.float64), episodes, starts, ends)
    latest = dataset.action[_row_at(dataset, episodes, ends - 2 * CLOCK_TOLERANCE)] == indices
    return np.argmax(share + 1e-6 * latest, axis=-1)[..., None].astype(np.float64)


def _average(
    dataset: TransitionDataset, values: np.ndarray, episodes: np.ndarray, starts: np.ndarray, ends: np.ndarray
) -> np.ndarray:
    integral = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values * dataset.delta_t[:, None], axis=0)])

    def integral_until(times: np.ndarray) -> np.ndarray:
        rows = _row_at(dataset, episodes, times)
        return integral[rows] + values[rows] * (times - dataset.t[rows])[..., None]

    length = np.maximum(ends - starts, CLOCK_TOLERANCE)[..., None]
    return (integral_until(ends) - integral_until(starts)) / length


def recorded_histories(dataset: TransitionDataset, rows: np.ndarray, num_steps: int = CONTEXT_STEPS) -> Context:
    """Return the rows that were recorded before B rows of the same episodes, whatever their intervals.

    Needs no system, so it serves logs. Where the mask is False, the state is the row's own and the action zero.

    Args:
        dataset: Set of kind "episodes".
        rows: (B,) row numbers.
        num_steps: C.

    Raises:
        DatasetError: If the set is branched.
    """
    if dataset.kind != "episodes":
        raise DatasetError(f"dataset must be of kind 'episodes' to have a past, got {dataset.kind!r}")
    rows = np.asarray(rows, dtype=np.int64)
    first = dataset.episode_offsets[np.searchsorted(dataset.episode_offsets, rows, side="right") - 1]
    past = rows[:, None] - np.arange(num_steps, 0, -1)
    mask = past >= first[:, None]
    past = np.where(mask, past, rows[:, None])
    return Context(
        states=torch.from_numpy(dataset.state[past]),
        actions=torch.from_numpy(dataset.action[past] * mask[..., None]),
        delta_t=torch.from_numpy(dataset.delta_t[past]),
        mask=torch.from_numpy(mask),
    )
