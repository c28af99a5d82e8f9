"""Sets that need no policy: random inputs at one rate, and one (state, action) flowed to many intervals."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tdlib.core.seeding import derive_seed, numpy_generator, torch_generator
from tdlib.core.time_grid import delta_t_of, rate_label
from tdlib.data.schema import TransitionDataset
from tdlib.data.sources.random_inputs import random_episodes, random_inputs, simulated_rows
from tdlib.data.splits import write_splits
from tdlib.data.storage import content_hash, save_dataset
from tdlib.systems import get_system
from tdlib.systems.system import System

SHORTEST_EPISODE, FEWEST_EPISODES = 2.0, 16  # [s], count; a small set has shorter episodes, not fewer


def collect_random(env: str, frequency: float, seed: int, num_transitions: int) -> TransitionDataset:
    """Simulate exactly `num_transitions` intervals under random inputs, half of them uniform, half Ornstein-Uhlenbeck.

    Episodes end as the task's do (10 s, or the limits of the cart-pole) and come in random order; the last episode of
    each half is cut and marked truncated. In a small set they end earlier, so that there are enough to split.

    Args:
        env: Key in `tdlib.envs.SYSTEMS`.
        frequency: Control frequency [Hz].
        seed: Experiment seed.
        num_transitions: N >= 2.
    """
    system, delta_t = get_system(env), delta_t_of(frequency)
    if num_transitions < 2:
        raise ValueError(f"num_transitions must be at least 2, got {num_transitions}")
    half = num_transitions // 2
    time_limit = min(system.spec.time_limit, max(SHORTEST_EPISODE, num_transitions * delta_t / FEWEST_EPISODES))
    episodes = []
    for kind, wanted in (("uniform", num_transitions - half), ("ornstein-uhlenbeck", half)):
        generator = torch_generator(seed, "random", env, float(frequency), kind)
        episodes += random_episodes(system, delta_t, time_limit, kind, wanted, generator)
    order = numpy_generator(seed, "random order", env, float(frequency)).permutation(len(episodes))
    episodes = [episodes[i] for i in order]
    inputs = random_inputs(system)
    policy = f"half the transitions uniform inputs held {inputs.hold} s, half Ornstein-Uhlenbeck inputs " + (
        f"(correlation {inputs.correlation} s, spread {inputs.spread}) on a feedback of gain {inputs.feedback}"
    )
    attributes = {**_origin(system, seed, policy), "time_limit": time_limit}
    return TransitionDataset.from_episodes(episodes, system.spec, float(frequency), attributes)


def draw_pairs(datasets: Sequence[TransitionDataset], num_pairs: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw (state, action) pairs without repetition, equally many from each set (the rates, pooled).

    Returns:
        (M, D) states and (M, A) actions, float64.

    Raises:
        ValueError: If a set has too few rows.
    """
    states, actions, _ = _draw_rows(datasets, num_pairs, seed)
    return states, actions


def _draw_rows(
    datasets: Sequence[TransitionDataset], num_pairs: int, seed: int
) -> tuple[Tensor, Tensor, Tensor | None]:
    """States, actions, and the parameters of their episodes where there are any."""
    drawn = []
    for i, dataset in enumerate(datasets):
        share = num_pairs // len(datasets) + (i < num_pairs % len(datasets))
        if share > len(dataset):
            raise ValueError(f"num_pairs must take at most the {len(dataset)} rows of each set, got {share} of set {i}")
        rows = numpy_generator(seed, "pairs", dataset.spec.name, i).choice(len(dataset), share, replace=False)
        columns = (dataset.state, dataset.action, dataset.row_parameters)
        drawn.append([None if column is None else column[rows] for column in columns])
    return tuple(None if c[0] is None else torch.from_numpy(np.concatenate(c)) for c in zip(*drawn, strict=True))


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
    each = [states, actions] if parameters is None else [states, actions, parameters]
    state, action, *drawn = (x.double().repeat_interleave(num_branches, dim=0) for x in each)
    rows = simulated_rows(system, state, action, delta_ts.reshape(-1), torch.zeros(len(state)).double(), *drawn)
    return TransitionDataset(
        **rows,
        episode_offsets=np.arange(len(states) + 1) * num_branches,
        spec=system.spec,
        control_frequency=None,
        kind="branched",
        attributes=_origin(system, seed, "(state, action) pairs of other sets, flowed to several intervals"),
        parameters=None if parameters is None else parameters.numpy(),
    )


def log_uniform_set(
    env: str,
    states: Tensor,
    actions: Tensor,
    *,
    seed: int,
    draws: int = 1,
    shortest: float = 1 / 50,
    longest: float = 1 / 10,
    parameters: Tensor | None = None,
) -> TransitionDataset:
    """Flow every (state, action) to `draws` intervals, log-uniform in [shortest, longest] seconds."""
    unit = torch.rand(len(states), draws, dtype=torch.float64, generator=torch_generator(seed, "log-uniform", env))
    delta_ts = shortest * (longest / shortest) ** unit
    return branched_set(env, states, actions, delta_ts, seed=seed, parameters=parameters).with_attributes(
        delta_t_distribution=f"log-uniform in [{shortest:g}, {longest:g}] s"
    )


def _origin(system: System, seed: int | None, policy: str) -> dict[str, str | int | float]:
    origin = {"policy": policy, "integrator": system.integrator, "sim_step": system.max_substep}
    return origin if seed is None else {"seed": seed, **origin}


def write_random(env: str, frequency: float, seed: int, num_transitions: int, out_dir: Path | str) -> Path:
    """Write `dataset_<rate>.h5` and its splits below `out_dir`."""
    path = Path(out_dir) / f"dataset_{rate_label(frequency)}.h5"
    settings = f"{env} {frequency:g} Hz, seed {seed}, {num_transitions} transitions, {random_inputs(get_system(env))}"
    dataset = collect_random(env, frequency, seed, num_transitions).with_attributes(settings=settings)
    write_splits(dataset, path, seed)
    return save_dataset(dataset, path)


def write_branched(
    env: str,
    sources: Mapping[str, Sequence[TransitionDataset]],
    seed: int,
    out_dir: Path | str,
    *,
    frequencies: Sequence[float] = (10, 20, 50),
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
    paths = {}
    for split, datasets in sources.items():
        hashes = " ".join(content_hash(dataset)[:16] for dataset in datasets)
        settings = f"{env}, seed {seed}, intervals {delta_ts} s, from {hashes}"
        paths |= {stem: Path(out_dir) / f"{stem}.h5" for stem in (split, f"log_uniform_{split}")}
        num_rows = min(len(dataset) for dataset in datasets)
        states, actions, drawn = _draw_rows(datasets, num_rows, derive_seed(seed, "branched", split))
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
