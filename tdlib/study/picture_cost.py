"""What models of pictures ask for: optimizer steps of each phase, and frames that are predicted and scored.

What a step and a frame cost depends on the preset's own sizes, so units carry a mark of these: a unit that was measured
at other sizes is none.
"""

import hashlib
import json
from collections.abc import Iterator

from tdlib.core.time_grid import delta_t_of, steps_within
from tdlib.evaluation.visual import PROTOCOLS
from tdlib.models.visual import VisualOptions
from tdlib.study.arms import Arm
from tdlib.study.chapters.expected import is_trained, sees_pictures
from tdlib.study.phases.pictures import AUTOENCODER, TWO_PHASE, autoencoder_of, own_steps
from tdlib.study.presets import Preset
from tdlib.study.selection import arms_of


def picture_arms(preset: Preset, env: str) -> list[Arm]:
    """Return the arms of models of pictures that a preset trains on a system, and the first phases some go on from."""
    settings = preset.pictures
    if settings is None:
        return []
    arms = [arm for arm in arms_of(preset, env) if is_trained(arm) and sees_pictures(arm)]
    arms = [arm for arm in arms if settings.has(env, arm.method, arm.form)]
    return [*dict.fromkeys(autoencoder_of(arm) for arm in arms if arm.method == TWO_PHASE), *arms]


def picture_unit(preset: Preset, arm: Arm) -> str:
    """Name what decides the cost of a step or a frame: method, predictor, and the sizes of a preset."""
    assert preset.pictures is not None  # of a chapter of pictures
    options = preset.pictures.of(TWO_PHASE if arm.method == AUTOENCODER else arm.method)
    sizes = json.dumps([options, preset.training.batch_size], sort_keys=True)
    mark = hashlib.sha256(sizes.encode()).hexdigest()[:6]
    size = VisualOptions.of(options, "pictures.options").img_size
    return f"{arm.model} {arm.method} {arm.form}, {size} px, sizes {mark}"


def drawn_unit(name: str) -> str:
    """Name the cost of a frame of a model of states, which is drawn by the camera."""
    return f"{name}, drawn"


def num_frames(preset: Preset) -> int:
    """Frames that one model predicts of one seed's motions, open loop, in all tests and at all rates."""
    evaluation = preset.evaluation
    steps = sum(steps_within(evaluation.horizon, delta_t_of(rate)) for rate in preset.test_frequencies)
    return evaluation.num_starts * len(PROTOCOLS) * steps


def picture_work(preset: Preset, env: str, usual: int) -> Iterator[tuple[str, str, str, int]]:
    """Yield (kind, model, what, count) of models of pictures on one system.

    Args:
        preset: What is asked for.
        env: System.
        usual: Optimizer steps of those that have no number of their own.
    """
    for arm in picture_arms(preset, env):
        unit, seeds = picture_unit(preset, arm), len(preset.own_seeds_of(arm))
        yield "training", arm.model, unit, seeds * (own_steps(preset, arm) or usual)
        if arm.method != AUTOENCODER:
            yield "evaluation", arm.model, unit, seeds * num_frames(preset)
            yield "evaluation", arm.model, f"{unit}, per model", seeds
