"""Branched sets: one (state, action) of other sets flowed to many intervals, so that rates differ in nothing but Δt."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tdlib.core.facts import TRAIN_FREQUENCIES
from tdlib.core.seeding import derive_seed, numpy_generator, torch_generator
from tdlib.core.time_grid import delta_t_of
from tdlib.data.schema import TransitionDataset
from tdlib.data.sources.simulated import origin_of, simulated_rows
from tdlib.data.storage import content_hash, save_dataset
from tdlib.systems import get_system


def draw_pairs(
    datasets: Sequence[TransitionDataset], num_pairs: int, seed: int
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Draw (state, action) pairs without repetition, equally many from each set (the rates, pooled).

    Returns:
        (M, D) states, (M, A) actions, and (M, P) parameters of their episodes or None, float64.

    Raises:
        ValueError: If a set has too few rows.
    """
    drawn = []
    for i, dataset in enumerate(datasets):
        share = num_pairs // len(datasets) + (i < num_pairs % len(datasets))
        if share > len(dataset):
            raise ValueError(f"num_pairs must take at most the {len(dataset)} rows of each set, got {share} of set {i}")
        rows = numpy_generator(seed, "pairs", dataset.spec.name, i).choice(len(dataset), share, replace=False)
        drawn.append(
            [column[rows] for column in (dataset.state, dataset.action, dataset.row_parameters) if column is not None]
        )
    states, actions, *parameters = (torch.from_numpy(np.concatenate(column)) for column in zip(*drawn, strict=True))
    return states, actions, parameters[0] if parameters else None


def branched_set(
    env: str,
    states: Tensor,
    actions: Tensor,
    delta_ts: Sequence[float] | Tensor,
    *,
    seed: int | None = None,
    parameters: Tensor | None = None,
) -> TransitionDataset:
    """Flow every (state, action) to every interval, so that rates differ in nothing but Δt.

    Args:
        env: Key in `tdlib.envs.SYSTEMS`.
        states: (M, D).
        actions: (M, A).
        delta_ts: (K,) intervals [s] common to all pairs, or (M, K) of each pair.
        seed: Seed the pairs were drawn with, kept as origin.
        parameters: (M, P) parameters of each pair; nominal if None.

    Returns:
        M groups of K rows; kind "branched".
    """
    system = get_system(env)
    delta_ts = torch.as_tensor(delta_ts, dtype=torch.float64)
    delta_ts = delta_ts.expand(len(states), delta_ts.shape[-1])
    num_branches = delta_ts.shape[-1]
    if system.spec.parameter_names and parameters is None:
        parameters = system.nominal_parameters.expand(len(states), -1)

    def repeated(x: Tensor) -> Tensor:
        return x.double().repeat_interleave(num_branches, dim=0)

    state, action = repeated(states), repeated(actions)
    drawn = None if parameters is None else repeated(parameters)
    start = torch.zeros(len(state), dtype=torch.float64)
    rows: dict[str, Any] = simulated_rows(system, state, action, delta_ts.reshape(-1), start, drawn)
    return TransitionDataset(
        **rows,
        episode_offsets=np.arange(len(states) + 1) * num_branches,
        spec=system.spec,
        control_frequency=None,
        kind="branched",
        attributes=origin_of(system, seed, "(state, action) pairs of other sets, flowed to several intervals"),
        parameters=None if parameters is None else parameters.numpy(),
    )


def log_uniform_set(
    env: str,
    states: Tensor,
    actions: Tensor,
    *,
    seed: int,
    draws: int = 1,
    shortest: float = delta_t_of(max(TRAIN_FREQUENCIES)),
    longest: float = delta_t_of(min(TRAIN_FREQUENCIES)),
    parameters: Tensor | None = None,
) -> TransitionDataset:
    """Flow every (state, action) to `draws` intervals, log-uniform in [shortest, longest] seconds."""
    unit = torch.rand(len(states), draws, dtype=torch.float64, generator=torch_generator(seed, "log-uniform", env))
    delta_ts = shortest * (longest / shortest) ** unit
    return branched_set(env, states, actions, delta_ts, seed=seed, parameters=parameters).with_attributes(
        delta_t_distribution=f"log-uniform in [{shortest:g}, {longest:g}] s"
    )


def write_branched(
    env: str,
    sources: Mapping[str, Sequence[TransitionDataset]],
    seed: int,
    out_dir: Path | str,
    *,
    frequencies: Sequence[float] = TRAIN_FREQUENCIES,
) -> dict[str, Path]:
    """Write the branched sets of one seed: `{split}.h5` and `log_uniform_{split}.h5` below `out_dir`.

    Pairs come from the sources of the same split, pooled equally over rates. Each file has as many rows as the smallest
    source of its split, so that arms see equally many transitions: `{split}.h5` flows a third as many pairs to the
    three rates, `log_uniform_{split}.h5` every pair to one interval, log-uniform between shortest and longest.

    Args:
        env: Key in `tdlib.envs.SYSTEMS`.
        sources: Sets of every rate by split, for example from `load_splits`.
        seed: Experiment seed.
        out_dir: Folder of this environment and seed.
        frequencies: Rates of `{split}.h5` [Hz].

    Returns:
        Paths by file stem.
    """
    delta_ts = [delta_t_of(frequency) for frequency in frequencies]
    paths: dict[str, Path] = {}
    for split, datasets in sources.items():
        hashes = " ".join(content_hash(dataset)[:16] for dataset in datasets)
        settings = f"{env}, seed {seed}, intervals {delta_ts} s, from {hashes}"
        paths |= {stem: Path(out_dir) / f"{stem}.h5" for stem in (split, f"log_uniform_{split}")}
        num_rows = min(len(dataset) for dataset in datasets)
        states, actions, drawn = draw_pairs(datasets, num_rows, derive_seed(seed, "branched", split))
        num_pairs = max(1, num_rows // len(delta_ts))
        every = np.linspace(0, num_rows - 1, num_pairs).astype(int)  # evenly over the rates, which follow one another
        made = {
            split: branched_set(
                env,
                states[every],
                actions[every],
                delta_ts,
                seed=seed,
                parameters=None if drawn is None else drawn[every],
            ),
            f"log_uniform_{split}": log_uniform_set(
                env,
                states,
                actions,
                seed=derive_seed(seed, "log-uniform", split),
                shortest=min(delta_ts),
                longest=max(delta_ts),
                parameters=drawn,
            ),
        }
        for stem, dataset in made.items():
            save_dataset(dataset.with_attributes(settings=settings, seed=seed, split=split), paths[stem])
    return paths
