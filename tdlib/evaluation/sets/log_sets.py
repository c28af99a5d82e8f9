"""What a log is tested on: its own recorded intervals, since nobody knows the truth at others."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tdlib.core.seeding import torch_generator
from tdlib.core.time_grid import steps_within
from tdlib.data import TransitionDataset
from tdlib.evaluation.sets.history import PairOrigin, recorded_context
from tdlib.evaluation.sets.imagination import split_rollouts
from tdlib.evaluation.sets.pairs import PairSet
from tdlib.evaluation.sets.rollout_sets import RolloutSet
from tdlib.evaluation.tables import frequency_label

RECORDED = "recorded"  # rate label of a log whose intervals differ


def log_sets(
    datasets: Sequence[TransitionDataset],
    *,
    seed: int,
    num_pairs: int,
    num_starts: int,
    horizon: float,
    num_context_pairs: int,
) -> tuple[PairSet, dict[str, RolloutSet]]:
    """Draw recorded rows as pairs, and windows of recorded rows as rollouts.

    Args:
        datasets: Logs of one environment, or test splits of them.
        seed: Decides every choice.
        num_pairs: Pairs N, at most as many as there are rows.
        num_starts: Rollouts, at most as many as there are windows; windows may overlap, and never cross an episode.
        horizon: Length of rollouts [s]; steps are counted in median intervals.
        num_context_pairs: Pairs (the first ones) that also get the steps recorded before them; 0 for none.

    Returns:
        The pairs at the log's one rate, and its rollouts by that rate; none where no episode is as long as the horizon.

    Raises:
        ValueError: If a set is branched.
    """
    for dataset in datasets:
        if dataset.kind != "episodes":
            raise ValueError(f"datasets must be of kind 'episodes' to be scored as a log, got {dataset.kind!r}")
    label = rate_of(datasets)
    rows = [np.arange(len(dataset)) for dataset in datasets]
    origin = _draw(datasets, rows, num_pairs, torch_generator(seed, datasets[0].spec.name, "log", "pairs"))
    context = None
    if num_context_pairs:
        context = recorded_context(origin.first(num_context_pairs)).map(lambda x: x.unsqueeze(0))
    state, action, delta_t, next_state = (
        x.unsqueeze(0) for x in (origin.state, origin.action, origin.delta_t, origin.next_state)
    )
    hits = np.array([datasets[i].limit_hit[row] for i, row in zip(origin.which, origin.rows, strict=True)])
    pairs = PairSet((label,), state, action, delta_t, next_state, torch.from_numpy(hits).unsqueeze(0), context)

    typical = float(np.median(np.concatenate([dataset.delta_t for dataset in datasets])))
    num_steps = max(1, steps_within(horizon, typical))
    starts = [window_starts(dataset, num_steps) for dataset in datasets]
    if not sum(map(len, starts)):
        return pairs, {}
    generator = torch_generator(seed, datasets[0].spec.name, "log", "starts")
    origin = _draw(datasets, starts, num_starts, generator)
    return pairs, {label: _rollouts(origin, num_steps, with_context=num_context_pairs > 0)}


def log_stretches(
    datasets: Sequence[TransitionDataset], *, seed: int, num_starts: int, context: float, horizon: float
) -> dict[str, RolloutSet]:
    """Draw stretches of recorded rows of which the first seconds are known; none where no episode is as long.

    Models are given the actions of the whole stretch. Of logs under feedback these were chosen in view of states yet to
    come; most models read each at its own step, while MTS3 reads those of a window ahead, and so sees a little further.

    Args:
        datasets: As in `log_sets`.
        seed: Decides every choice.
        num_starts: Stretches, at most as many as there are; they may overlap, and never cross an episode.
        context: What is known [s]; steps are counted in median intervals.
        horizon: What is not [s].
    """
    typical = float(np.median(np.concatenate([dataset.delta_t for dataset in datasets])))
    known, ahead = (max(1, steps_within(time, typical)) for time in (context, horizon))
    starts = [window_starts(dataset, known + ahead) for dataset in datasets]
    if not sum(map(len, starts)):
        return {}
    generator = torch_generator(seed, datasets[0].spec.name, "log", "stretches")
    origin = _draw(datasets, starts, num_starts, generator)
    return {rate_of(datasets): split_rollouts(_rollouts(origin, known + ahead, with_context=False), known)}


def rate_of(datasets: Sequence[TransitionDataset]) -> str:
    """Label of the rate that all logs share, "recorded" where intervals differ."""
    rates = {dataset.control_frequency for dataset in datasets}
    (rate,) = rates if len(rates) == 1 else (None,)
    return RECORDED if rate is None else frequency_label(rate)


def window_starts(dataset: TransitionDataset, num_steps: int) -> np.ndarray:
    """Rows from which `num_steps` rows follow each other inside one episode."""
    ends = np.repeat(dataset.episode_offsets[1:], dataset.episode_lengths)
    return np.flatnonzero(np.arange(len(dataset)) + num_steps <= ends)


def _draw(
    datasets: Sequence[TransitionDataset], rows: Sequence[np.ndarray], count: int, generator: torch.Generator
) -> PairOrigin:
    """Draw from all given rows without repetition."""
    which = np.repeat(np.arange(len(datasets)), [len(r) for r in rows])
    chosen = torch.randperm(len(which), generator=generator)[:count].numpy()
    return PairOrigin(tuple(datasets), which[chosen], np.concatenate(rows)[chosen])


def _rollouts(origin: PairOrigin, num_steps: int, *, with_context: bool) -> RolloutSet:
    every = origin.rows[:, None] + np.arange(num_steps)
    windows = PairOrigin(origin.datasets, np.repeat(origin.which, num_steps), every.ravel())

    def steps(values: Tensor) -> Tensor:
        return values.unflatten(0, (len(origin), num_steps))

    state, delta_t, spec = origin.state, steps(windows.delta_t), origin.datasets[0].spec
    recorded = steps(windows.next_state)
    continued = state.unsqueeze(1) + steps(windows.next_state - windows.state).cumsum(dim=1)
    is_angle = torch.tensor([i in spec.angle_dims for i in range(spec.state_dim)])
    recorded = torch.where(is_angle, continued, recorded)  # rows wrap their angles, a rollout goes on turning
    context = recorded_context(origin) if with_context else None
    times = delta_t.cumsum(dim=1).mean(dim=0)
    return RolloutSet(state, steps(windows.action), delta_t, recorded, None, times, context)
