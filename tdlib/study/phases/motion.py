"""One stored sequence of a system, followed finely: states, inputs, energy, and the energy that power accounts for."""

from typing import Any

import numpy as np
import pandas as pd
import torch

from tdlib.data import TransitionDataset, load_dataset, split_path
from tdlib.data.splits import SPLITS
from tdlib.evaluation.tables import frequency_label
from tdlib.study.phases.collect import main_dataset_path
from tdlib.study.run import Run
from tdlib.systems import SYSTEMS

SKETCHED = ("across", "up")  # begin the columns of the sketch's points [m]
FEW = 3  # sequences of each system and rate to choose from
FINE = 20  # parts of an interval that its motion is followed in


def stored_motion(run: Run, env: str, rate: float, seed: int, split: str = "test", idx: int = 0) -> pd.DataFrame:
    """Follow one sequence of a set, with the parameters that it drew.

    Args:
        run: Preset and folders.
        env: One of its systems.
        rate: One of its training rates [Hz].
        seed: One of its seeds.
        split: train, val or test.
        idx: Number of the sequence in the split.

    Returns:
        Rows of env, rate, seed, split, sequence, time [s], `<dimension>` (of the equation, on which stored states lie),
        `input <name>`, and where the system declares them energy [J] and energy_by_power [J], E(0) + ∫ P dt by the
        trapezoidal rule; impacts take energy that no power says; `across <i>` and `up <i>` [m] of the points of its
        sketch. The attribute `parameters` names what was drawn.

    Raises:
        ValueError: If split, idx, rate, or seed is not there.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {list(SPLITS)}, got {split!r}")
    if rate not in run.preset.train_frequencies:
        raise ValueError(f"rate must be one of {list(run.preset.train_frequencies)}, got {rate}")
    (seed,) = run.select_seeds([seed])
    dataset = _stored(run, run.select_environment(env), rate, seed, split)
    if not 0 <= idx < dataset.num_episodes:
        raise ValueError(f"idx must be from 0 to {dataset.num_episodes - 1}, got {idx}")
    return _followed(dataset, env, idx, rate=rate, seed=seed, split=split)


def _followed(dataset: TransitionDataset, env: str, idx: int, **about: Any) -> pd.DataFrame:
    """Follow one sequence of a set that is read; `about` is said of every row."""
    system, spec = SYSTEMS[env], dataset.spec
    rows = slice(*dataset.episode_offsets[idx : idx + 2])
    state, action, delta_t, t = (
        torch.from_numpy(np.asarray(column[rows], dtype=float))
        for column in (dataset.state, dataset.action, dataset.delta_t, dataset.t)
    )
    drawn = None if dataset.parameters is None else torch.from_numpy(dataset.parameters[idx])
    share = torch.arange(FINE + 1, dtype=torch.float64) / FINE
    state, action = (x[:, None].expand(-1, FINE + 1, -1) for x in (state, action))
    states, inputs = system.flow(state, action, delta_t[:, None] * share, drawn), spec.held_input(action)  # (T, F, D)
    table = {"env": env, **about, "sequence": idx, "time": (t[:, None] + delta_t[:, None] * share).flatten().numpy()}
    table |= {name: states[..., i].flatten().numpy() for i, name in enumerate(spec.state_names)}
    table |= {f"input {name}": inputs[..., i].flatten().numpy() for i, name in enumerate(spec.input_names)}
    if system.energy is not None and system.power is not None:
        power = system.input_power(states, inputs, drawn)
        width = (delta_t / FINE)[:, None]
        steps = torch.cat([torch.zeros_like(power[:, :1]), width * (power[:, 1:] + power[:, :-1]) / 2], dim=1)
        energy = system.total_energy(states, drawn).flatten()
        table |= {"energy": energy.numpy(), "energy_by_power": (energy[0] + steps.flatten().cumsum(0)).numpy()}
    found = pd.DataFrame(table)
    named = {} if drawn is None else dict(zip(spec.parameter_names, drawn.tolist(), strict=True))
    found.attrs = {"parameters": named}
    if system.views.sketch is not None:
        points = system.sketched(states.flatten(0, 1), drawn)
        found = found.assign(**{f"{axis} {i}": points[:, i, k].numpy() for i in range(points.shape[1])
                                for k, axis in enumerate(SKETCHED)})  # fmt: skip
    return found


def _stored(run: Run, env: str, rate: float, seed: int, split: str) -> TransitionDataset:
    return load_dataset(split_path(main_dataset_path(run, env, rate, seed), split), rate)


def first_coordinates(run: Run, seed: int) -> pd.DataFrame:
    """Follow the first coordinate of a few stored test sequences of every system and training rate.

    Returns:
        Rows of env, rate (a label), sequence, time [s], value (of the state's first dimension), energy [J] (nan where a
        system declares none).
    """
    parts = []
    for env in run.preset.environments:
        name = SYSTEMS[env].spec.state_names[0]
        for rate in run.preset.train_frequencies:
            dataset = _stored(run, env, rate, seed, "test")
            for idx in range(min(FEW, dataset.num_episodes)):
                found = _followed(dataset, env, idx)
                kept = found.assign(rate=frequency_label(rate), value=found[name])
                parts.append(kept.reindex(columns=["env", "rate", "sequence", "time", "value", "energy"]))
    return pd.concat(parts, ignore_index=True)
