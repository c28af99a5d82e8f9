"""A log at a coarser rate: every n-th state, low-passed first, and inputs as they acted in between.

A state that is only sampled more rarely carries the noise of all frequencies, and vibration above half the new rate
comes back as slow motion (aliasing). So states are filtered by a symmetric window, which delays nothing, before rows
are taken. An input is not filtered: what acts over a long step is the mean of what was held, weighted by time.
"""

import math
from dataclasses import replace

import numpy as np
from scipy.signal import firwin

from tdlib.core.time_grid import delta_t_of
from tdlib.data.schema import DatasetError, TransitionDataset, check_dataset, continue_angles

CUTOFF = 0.8  # of half the new rate; the window's edge is not sharp
HALF_WIDTH = 4  # taps on each side per n
DECIMATED = "decimated"
WHOLE_TURN = 2 * math.pi


def decimate(dataset: TransitionDataset, every: int, *, filtered: bool = True) -> TransitionDataset:
    """Return the log with n intervals made one.

    Args:
        dataset: Set of kind "episodes" of inputs, not of indices.
        every: n, at least 1; what is left of an episode at its end is left out.
        filtered: Whether states are low-passed first; without, they are the recorded ones.

    Returns:
        Rows of n intervals each; rates divide by n, irregular intervals add up. Rewards add up; of further columns the
        first row of n counts. The attribute `decimated` says n, `input_changes` the share of rows inside which an input
        changed.

    Raises:
        DatasetError: If the set has another kind, discrete actions, or no episode of n intervals.
        ValueError: If n is not a whole number >= 1.
    """
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        raise ValueError(f"every must be a whole number >= 1, got {every!r}")
    if dataset.kind != "episodes" or dataset.spec.discrete:
        kind = "discrete actions" if dataset.spec.discrete else f"kind {dataset.kind!r}"
        raise DatasetError(f"dataset must be episodes with inputs to be made coarser, got {kind}")
    if every == 1:
        return dataset
    parts = [_coarse_episode(dataset, dataset.episode(i), every, filtered) for i in range(dataset.num_episodes)]
    kept = [i for i, part in enumerate(parts) if part is not None]
    if not kept:
        longest = int(dataset.episode_lengths.max())
        raise DatasetError(f"every must leave a row, got {every} with episodes of at most {longest} intervals")
    rate = dataset.control_frequency
    rows = [part for part in parts if part is not None]
    changes = float(np.mean(np.concatenate([part.pop("input_changes") for part in rows])))
    made = TransitionDataset.from_episodes(rows, dataset.spec, None if rate is None else _coarser(rate, every), {})
    made = replace(
        made,
        episode_id=dataset.episode_id[kept],
        parameters=None if dataset.parameters is None else dataset.parameters[kept],
        attributes={**dataset.attributes, DECIMATED: every, "filtered": int(filtered), "input_changes": changes},
    )
    return check_dataset(made, "decimated log")


def _coarser(rate: float, every: int) -> float:
    return 1 / (delta_t_of(rate) * every)


def _coarse_episode(
    dataset: TransitionDataset, rows: slice, every: int, filtered: bool
) -> dict[str, np.ndarray] | None:
    count = (rows.stop - rows.start) // every
    if count == 0:
        return None
    used = slice(rows.start, rows.start + count * every)
    states = _followed(dataset, rows)
    smooth = low_passed(states, every) if filtered else states
    picked = smooth[np.arange(count + 1) * every]
    state, next_state = continue_angles(picked[:-1], picked[1:], dataset.spec)

    def blocks(column: np.ndarray) -> np.ndarray:
        return column[used].reshape(count, every, *column.shape[1:])

    delta_t, action = blocks(dataset.delta_t), blocks(dataset.action)
    share = delta_t / delta_t.sum(axis=1, keepdims=True)
    firsts = {name: blocks(column)[:, 0] for name, column in dataset.extras.items()}
    terminated, exits = blocks(dataset.terminated), blocks(dataset.exit_time)
    before = np.cumsum(delta_t, axis=1) - delta_t
    truncated = np.zeros(count, dtype=bool)
    truncated[-1] = not terminated[-1].any()
    return {
        "observation": blocks(dataset.observation)[:, 0],
        "state": state,
        "action": (share[..., None] * action).sum(axis=1),
        "reward": blocks(dataset.reward).sum(axis=1),
        "next_state": next_state,
        "terminated": terminated.any(axis=1),
        "truncated": truncated,
        "exit_time": (before + exits).min(axis=1),
        "limit_hit": blocks(dataset.limit_hit).any(axis=1),
        "t": blocks(dataset.t)[:, 0],
        "delta_t": delta_t.sum(axis=1),
        "input_changes": np.ptp(action, axis=1).max(axis=-1) > 0,
        **firsts,
    }


def _followed(dataset: TransitionDataset, rows: slice) -> np.ndarray:
    """States of an episode in a row, (T + 1, D), angles continuing over turns."""
    states = np.concatenate([dataset.state[rows], dataset.next_state[rows.stop - 1 : rows.stop]])
    for i in dataset.spec.angle_dims:
        states[:, i] = np.unwrap(states[:, i], period=WHOLE_TURN)
    return states


def low_passed(states: np.ndarray, every: int) -> np.ndarray:
    """Filter columns (T, D) to what a rate n times as low can show, without delay.

    At both ends the record is continued by its own reflection through the end point, so that a trend goes on.
    """
    half = min(HALF_WIDTH * every, len(states) - 1)
    if half < 1:
        return states
    taps = firwin(2 * half + 1, CUTOFF / every)
    head, tail = 2 * states[0] - states[half:0:-1], 2 * states[-1] - states[-2 : -half - 2 : -1]
    longer = np.concatenate([head, states, tail])
    return np.stack([np.convolve(column, taps, mode="valid") for column in longer.T], axis=-1)
