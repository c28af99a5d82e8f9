"""How a run's systems are filmed: the camera of a preset, training sets as frames, and the motions of a test."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from tdlib.core.seeding import derive_seed, torch_generator
from tdlib.core.specs import random_actions
from tdlib.core.transitions import Transitions
from tdlib.data import load_dataset, split_path
from tdlib.evaluation.tables import frequency_label
from tdlib.evaluation.visual import Films, film_motions
from tdlib.models.visual import VisualOptions
from tdlib.pixels import RenderOptions, filmed_transitions, render_states
from tdlib.pixels.renderer import LEVELS
from tdlib.study.arms import Arm
from tdlib.study.chapters.expected import sees_pictures
from tdlib.study.phases.collect import main_dataset_path
from tdlib.study.presets import Pictures, PresetError
from tdlib.study.run import Run
from tdlib.study.selection import Selection, everything
from tdlib.systems import SYSTEMS

CAMERA = (__name__, "tdlib.pixels.frames", "tdlib.pixels.renderer")  # what pictures depend on beside the states
Filmed = tuple[Transitions, Tensor]  # with frames, and the offsets of their runs
PART = 256  # frames that are summed at once


def select_pictures(run: Run, env: str, chosen: Selection | None = None) -> Selection:
    """Return the arms of a system: of models of pictures those whose predictor the preset has there, and all others."""
    env, chosen = run.select_environment(env), (chosen or everything(run)).on(env)
    settings = settings_of(run)
    kept = tuple(arm for arm in chosen.arms if not sees_pictures(arm) or settings.has(env, arm.method, arm.form))
    return replace(chosen, arms=kept)


def seeing_arms(chosen: Selection, seed: int) -> list[Arm]:
    """Return the chosen arms whose models see pictures and that a seed has."""
    return [arm for arm in chosen.arms if sees_pictures(arm) and seed in chosen.seeds_of(arm)]


def settings_of(run: Run) -> Pictures:
    """Return what the preset says of pictures.

    Raises:
        PresetError: If it says nothing, or has several training rates.
    """
    if run.preset.pictures is None:
        raise PresetError(f"pictures must be given to train models of pictures, preset {run.preset.name} has none")
    if len(rates := run.preset.train_frequencies) > 1:
        raise PresetError(f"train_frequencies must be one rate for models of pictures, got {list(rates)}")
    return run.preset.pictures


def camera_of(run: Run, method: str) -> RenderOptions:
    """Return how pictures for the models of a method are painted."""
    options = _options(run, method)
    return RenderOptions(options.img_size, options.channels == 3, settings_of(run).render_quality)


def known_of(run: Run, method: str) -> int:
    """Return how many frames before the start models of a method are shown; one at least, as a camera would be on."""
    return max(1, _options(run, method).frames_before)


def _options(run: Run, method: str) -> VisualOptions:
    return VisualOptions.of(settings_of(run).of(method), "visual_world_model")


class FilmedSets:
    """Filmed training and validation sets of one system, each painted once per size of the picture."""

    def __init__(self, run: Run, env: str):
        self._run, self._env = run, env
        self._made: dict[tuple[RenderOptions, int, str], Filmed] = {}
        self._means: dict[tuple[RenderOptions, int], Tensor] = {}

    def of(self, method: str, seed: int, split: str) -> Filmed:
        """Return one split of a seed."""
        camera, rate = camera_of(self._run, method), self._run.preset.train_frequencies[0]
        key = (camera, seed, split)
        if key not in self._made:
            path = split_path(main_dataset_path(self._run, self._env, rate, seed), split)
            noise = settings_of(self._run).noise
            self._made[key] = filmed_transitions(
                load_dataset(path, rate), camera, noise=noise, seed=derive_seed(seed, split, "noise"), name=str(path)
            )
        return self._made[key]

    def mean_image(self, method: str, seed: int) -> Tensor:
        """Return the mean training frame, (C, H, W) in [0, 1]."""
        key = camera_of(self._run, method), seed
        if key not in self._means:
            frames = self.of(method, seed, "train")[0].frames
            assert frames is not None  # filmed
            self._means[key] = _mean(frames.pixels)
        return self._means[key]


def _mean(pixels: Tensor) -> Tensor:
    """Return the mean of levels (N, C, H, W) as brightness, summed as whole numbers: a copy of all would be large."""
    total = torch.zeros(pixels.shape[1:], dtype=torch.int64)
    for part in pixels.split(PART):
        total += part.sum(dim=0, dtype=torch.int64)
    return (total.double() / (LEVELS * len(pixels))).float()


def films_of(
    run: Run,
    env: str,
    method: str,
    seed: int,
    sets: FilmedSets | None = None,
    rates: Sequence[float] | None = None,
) -> Films:
    """Film the motions that models of a method and seed are tested on.

    Args:
        run: Preset and folders.
        env: System.
        method: Decides the size of the picture, and how many frames are known.
        seed: Own data, own motions.
        sets: Training sets painted before, whose mean image is asked for; None to paint them.
        rates: Of cameras, each with intervals that divide what an input is held for [Hz]; None for the test rates.
    """
    preset, system, camera = run.preset, SYSTEMS[env], camera_of(run, method)
    rate, evaluation = preset.train_frequencies[0], preset.evaluation
    held_out = load_dataset(split_path(main_dataset_path(run, env, rate, seed), "test"), rate)
    generator = torch_generator(seed, env, "films")
    rows = torch.randint(len(held_out), (evaluation.num_starts,), generator=generator).numpy()
    state = torch.from_numpy(held_out.state[rows])
    drawn = held_out.row_parameters
    hold = motion_hold(run)
    count = 1 + round(evaluation.horizon / hold)
    actions = random_actions(system.spec, len(rows) * count, generator).unflatten(0, (len(rows), count))
    return film_motions(
        system,
        lambda states, parameters: render_states(system, states, camera, parameters),
        state,
        actions,
        [frequency_label(each) for each in rates or preset.test_frequencies],
        1 / rate,
        (sets or FilmedSets(run, env)).mean_image(method, seed),
        hold=hold,
        known=known_of(run, method),
        parameters=None if drawn is None else torch.from_numpy(drawn[rows]),
    )


def motion_hold(run: Run) -> float:
    """Return for how long each input of the motions is held [s]."""
    return run.preset.evaluation.hold or run.preset.evaluation.horizon


def motion_frames(run: Run, env: str, seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return one motion of a test as a camera of each test rate sees it: rate -> times [s] (F,), frames (F, C, H, W).

    Times count from the start; the first frame comes before it.
    """
    found = {}
    for (protocol, rate), asked in films_of(run, env, "", seed).sequences.items():
        if protocol == "B":
            steps = asked.delta_t[0].cumsum(dim=0).numpy()
            times = np.concatenate([[0.0], steps]) - steps[asked.known - 1]
            found[rate] = times, asked.images[0].numpy()
    return found
