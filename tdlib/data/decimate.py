"""A log at a coarser rate: every n-th state, low-passed first, and inputs as they acted in between.

A state that is only sampled more rarely carries the noise of all frequencies, and vibration above half the new rate
comes back as slow motion (aliasing). So states are filtered by a symmetric window, which delays nothing, before rows
are taken; where intervals differ it weighs rows by their stamps, so that straight lines stay themselves. An input is
not filtered: what acts over a long step is the mean of what was held, weighted by time.
"""

import math
from dataclasses import replace

import numpy as np
from scipy.signal import firwin

from tdlib.core.time_grid import delta_t_of
from tdlib.data.observations import observe
from tdlib.data.schema import DatasetError, TransitionDataset, check_dataset, continue_angles

EVEN = 1e-3  # relative; intervals that differ by more are weighed by their stamps
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
    states = states_in_a_row(dataset, rows)
    picked, intervals = np.arange(count + 1) * every, dataset.delta_t[rows]
    if not filtered:
        picked = states[picked]
    elif np.ptp(intervals) <= EVEN * np.median(intervals):
        picked = low_passed(states, every)[picked]
    else:
        picked = low_passed_at(picked, np.concatenate([[0.0], np.cumsum(intervals)]), states, every)
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
    place = int(np.searchsorted(dataset.episode_offsets, rows.start, side="right")) - 1
    parameters = None if dataset.parameters is None else dataset.parameters[place]
    return {
        "observation": observe(state, dataset.spec, parameters) if filtered else blocks(dataset.observation)[:, 0],
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


def states_in_a_row(dataset: TransitionDataset, rows: slice) -> np.ndarray:
    """States of an episode in a row, (T + 1, D), angles continuing over turns.

    Args:
        dataset: Set of kind "episodes".
        rows: Those of one episode.
    """
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


def low_passed_at(rows: np.ndarray, times: np.ndarray, states: np.ndarray, every: int) -> np.ndarray:
    """Filter columns as `low_passed` does at some rows of a record whose intervals differ.

    The window is one of time: each row weighs by its place in it and by the time it stands for, and what that leaves of
    the window's slope is taken off, so that constants and straight lines are kept exactly.

    Args:
        rows: (M,) whole numbers.
        times: (T,) rising [s].
        states: (T, D).
        every: n.

    Returns:
        (M, D).
    """
    intervals = np.diff(times)
    mean = float(intervals[intervals <= np.quantile(intervals, 0.99)].mean())  # a pause makes no window wider
    half, edge = min(HALF_WIDTH * every * mean, times[-1] - times[0]), CUTOFF / (2 * every * mean)
    head = np.flatnonzero(times[1:] - times[0] <= half)[::-1] + 1
    tail = np.flatnonzero(times[-1] - times[:-1] <= half)[::-1]
    longer = np.concatenate([2 * times[0] - times[head], times, 2 * times[-1] - times[tail]])
    values = np.concatenate([2 * states[0] - states[head], states, 2 * states[-1] - states[tail]])
    stands_for = np.minimum(np.gradient(longer), every * mean)  # nor does a row stand for it
    found = states[rows]
    for place, at in enumerate(times[rows]):
        inside = slice(*np.searchsorted(longer, (at - half, at + half)))
        apart = (longer[inside] - at) / half
        if len(apart) < 3:  # alone between gaps
            continue
        window = 0.54 + 0.46 * np.cos(math.pi * apart)
        weights = window * np.sinc(2 * edge * half * apart) * stands_for[inside]
        weights /= weights.sum()
        even = window * stands_for[inside]
        sums = [float((even * apart**k).sum()) for k in range(3)]
        level, slope = np.linalg.solve([sums[:2], sums[1:]], [0.0, float((weights * apart).sum())])
        found[place] = (weights - even * (level + slope * apart)) @ values[inside]
    return found
