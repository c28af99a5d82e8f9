"""The chapter on visual world models: whether a state that was read off pictures has a rate, and where Δt hides."""

from collections.abc import Iterator, Mapping

from tdlib.evaluation.tables import frequency_label
from tdlib.models.visual.world_model import COLLAPSING
from tdlib.study.arms import Arm
from tdlib.study.chapters.chapter import RESULTS, TRAINING, Chapter, Notebook, Rows
from tdlib.study.chapters.expected import is_trained, sees_pictures, some
from tdlib.study.layout import PREDICTED
from tdlib.study.presets import Preset
from tdlib.study.selection import arms_of

END_TO_END = "hgn"
COMMON = ("spatial_jump", "spatial_hamiltonian")  # predictors that every system of the chapter has


def _rates(preset: Preset) -> list[str]:
    return [frequency_label(rate) for rate in preset.test_frequencies]


def _sees(arm: Arm) -> bool:
    return is_trained(arm) and sees_pictures(arm)


def _is_common(arm: Arm) -> bool:
    """Arms that stand in the tables of every system: models of states, and two predictors of pictures."""
    return is_trained(arm) and (not _sees(arm) or (arm.method == END_TO_END and arm.form in COMMON))


def _cuts(preset: Preset, model: str, env: str) -> Iterator[tuple[str, Mapping[str, list[str]]]]:
    """Each predictor that is trained end to end by itself; those on latents share an encoder, so they stay together."""
    arms = [arm for arm in arms_of(preset, env) if arm.model == model and is_trained(arm)]
    if not any(map(_sees, arms)):
        yield "", {}
        return
    arms = [arm for arm in arms if preset.pictures is None or preset.pictures.has(env, arm.method, arm.form)]
    for method in dict.fromkeys(arm.method for arm in arms):
        own = [arm.form for arm in arms if arm.method == method]
        if method == "two_phase":
            yield method, {"methods": [method]}
        else:
            yield from ((f"{method}-{form}", {"methods": [method], "forms": [form]}) for form in own)


VISUAL = Chapter(
    notebooks={
        "24_visual_train": Notebook(TRAINING, work=("collection", "training"), cuts=_cuts),
        "25_visual_evaluate": Notebook(RESULTS, after=("24_visual_train",), work=("evaluation",)),
        "26_visual_report": Notebook(RESULTS, "whole", after=("25_visual_evaluate",), reads=PREDICTED),
        "27_visual_visualize": Notebook(RESULTS, "whole", after=("24_visual_train",)),
    },
    tables={
        "training_summary": Rows(_is_common),
        "visual_metrics": Rows(_is_common),
        "visual_dt_generalization": Rows(_is_common, _rates),
    },
    figures={
        "visual/{}-frames": None,
        "visual/{}-curves": some(_sees),
        "visual/{}-learned": some(_sees),
        "visual/{}-visual_rollouts": some(_sees),
        "visual/visual_metrics": None,
        "visual/visual_dt_generalization": None,
        "visual/where": some(_sees),
        "visual/collapse": some(lambda arm: arm.method in COLLAPSING),
        "visual/{}-motion": None,
        "visual/{}-stored": None,
    },
    measures=("pictures",),
    shipped=lambda run, env: [],  # what the page shows of them are pictures
    max_bytes=4_000_000,
    foretells=("pictures",),
)
