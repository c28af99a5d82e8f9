"""What the camera of a run sees: a motion that is simulated anew, a stored sequence, and one at any rate and size."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from tdlib.core.seeding import derive_seed
from tdlib.core.time_grid import delta_t_of, time_grid
from tdlib.data import TransitionDataset, load_dataset, split_path
from tdlib.data.splits import SPLITS
from tdlib.evaluation.tables import frequency_label
from tdlib.figures.films import CHANNELS, PARAMETER, STATE, SavedFilm, SeenMotion, save_film
from tdlib.pixels import QUALITIES, RenderOptions, set_frames, system_frames
from tdlib.study import clock
from tdlib.study.phases.collect import ensure_collected, main_dataset_path
from tdlib.study.phases.filmed import camera_of
from tdlib.study.provenance import produced
from tdlib.study.run import Run
from tdlib.systems import SYSTEMS

SIZES = (16, 32, 64)  # pixels per side on offer, beside the preset's own
FEW = 3  # stored sequences to choose from


def chosen_camera(run: Run, img_size: int = 0, color: bool = True, render_quality: str = "") -> RenderOptions:
    """Return the camera of a run's first models, where nothing else is asked for.

    Args:
        run: Preset and folders.
        img_size: Pixels per side; those of the preset if 0.
        color: Three channels, or one.
        render_quality: One of `QUALITIES`; that of the preset if empty.

    Raises:
        PresetError: If the preset says nothing of pictures.
        ValueError: If there is no such camera.
    """
    own = camera_of(run, "")
    size, quality = img_size or own.img_size, render_quality or own.render_quality
    return replace(own, img_size=size, color=color, render_quality=quality)


def simulated_motion(run: Run, env: str, camera: RenderOptions, n_frames: int, rate: float, seed: int) -> SeenMotion:
    """Follow a system of the run from a drawn start under random actions, a frame at the end of each.

    Args:
        run: Preset and folders.
        env: One of its systems.
        camera: Size, colors, quality.
        n_frames: How many frames, two at least.
        rate: Of camera and actions [Hz]; that of training if 0.
        seed: Of start, parameters and actions.

    Raises:
        ValueError: If there are fewer than two frames, or the rate is not positive.
    """
    rate = rate or run.preset.train_frequencies[0]
    env, anew = run.select_environment(env), derive_seed(seed, "simulated")  # stored sets begin with the seed itself
    frames, delta_t = system_frames(env, n_frames, camera, delta_t=delta_t_of(rate), seed=anew)
    return SeenMotion(env, frames, delta_t, f"a motion simulated at {frequency_label(rate)} Hz, seed {seed}")


def stored_motion(
    run: Run, env: str, camera: RenderOptions, n_frames: int, seed: int, split: str = "test", idx: int = 0
) -> SeenMotion:
    """Paint one sequence of the set that models train on, at its own rate.

    Args:
        run: Preset and folders; a set that is not there is collected.
        env: One of its systems.
        camera: Size, colors, quality.
        n_frames: How many frames at most, two at least.
        seed: One of its seeds.
        split: train, val or test.
        idx: Number of the sequence in the split.

    Raises:
        DatasetError: If there is no such sequence.
        PresetError: If system or seed is not the preset's.
        ValueError: If the split is unknown, or there are fewer than two frames.
    """
    dataset = _stored(run, env, seed, split)
    frames, delta_t = set_frames(dataset, idx, n_frames, camera, name=f"{env}, {split} split, seed {seed}")
    rate = frequency_label(run.preset.train_frequencies[0])
    return SeenMotion(env, frames, delta_t, f"sequence {idx} of the {split} split, stored at {rate} Hz, seed {seed}")


@clock.part("figures")
def keep_film(run: Run, family: str, name: str, seen: SeenMotion) -> SavedFilm:
    """Write the film of a motion beside its stills, `results/figures/<family>/<name>.gif`."""
    film = save_film(seen, run.layout.figures / family / f"{name}.gif")
    produced(film.path)
    return film


def seen_states(run: Run, seed: int) -> pd.DataFrame:
    """Return a few stored test sequences of every system as cameras of every test rate, size and quality see them.

    A stored state is followed by the exact flow, under the input that is held, to the time of each frame.

    Returns:
        Rows env, start, rate (a label), time [s], `state <i>`, `parameter <name>`, img_size [pixels], color (of
        `CHANNELS`), render_quality.
    """
    own, parts = camera_of(run, ""), []
    for env in run.preset.environments:
        dataset = _stored(run, env, seed, "test")
        for start in range(min(FEW, dataset.num_episodes)):
            for rate in run.preset.test_frequencies:
                found = _followed(dataset, start, time_grid(run.preset.evaluation.horizon, delta_t_of(rate)))
                parts.append(found.assign(env=env, start=start, rate=frequency_label(rate)))
    settings = itertools.product(sorted({*SIZES, own.img_size}), CHANNELS, QUALITIES)
    cameras = pd.DataFrame(list(settings), columns=["img_size", "color", "render_quality"])
    return pd.concat(parts, ignore_index=True).merge(cameras, how="cross")


def _stored(run: Run, env: str, seed: int, split: str) -> TransitionDataset:
    if split not in SPLITS:
        raise ValueError(f"split must be one of {list(SPLITS)}, got {split!r}")
    env, (seed,), rate = run.select_environment(env), run.select_seeds([seed]), run.preset.train_frequencies[0]
    path = split_path(main_dataset_path(run, env, rate, seed), split)
    if not path.is_file():
        ensure_collected(run, env, [seed])
    return load_dataset(path, rate)


def _followed(dataset: TransitionDataset, start: int, times: np.ndarray) -> pd.DataFrame:
    """States of one sequence at some times since its start [s], those behind its end left out."""
    one = dataset.select_episodes([start])
    since = one.t - one.t[0]
    times = times[times < since[-1] + one.delta_t[-1] + 1e-9]
    rows = np.searchsorted(since, times + 1e-9, side="right") - 1
    drawn = None if one.parameters is None else torch.from_numpy(one.parameters[0])
    states = SYSTEMS[one.spec.name].flow(
        torch.from_numpy(one.state[rows]),
        torch.from_numpy(one.action[rows]),
        torch.from_numpy((times - since[rows]).clip(min=0.0)),
        drawn,
    )
    columns = {f"{STATE}{i}": states[:, i].numpy() for i in range(states.shape[-1])}
    if drawn is not None:
        columns |= {f"{PARAMETER}{name}": x for name, x in zip(one.spec.parameter_names, drawn.tolist(), strict=True)}
    return pd.DataFrame({"time": times, **columns})
