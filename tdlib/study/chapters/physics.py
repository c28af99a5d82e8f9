"""The chapter on systems with hidden parameters and models that know some physics."""

from tdlib.study.chapters.chapter import RESULTS, TRAINING, Chapter, Notebook
from tdlib.study.chapters.expected import OPEN_LOOP, Rows, any_arm, rates_tested
from tdlib.study.checkpoint_report import main_checkpoints
from tdlib.study.layout import PREDICTED
from tdlib.study.presets import Preset
from tdlib.systems import SYSTEMS


def _has_sketch(preset: Preset, env: str) -> bool:
    return SYSTEMS[env].views.sketch is not None


PHYSICS = Chapter(
    notebooks={
        "10_physics_train": Notebook(TRAINING, work=("collection", "training")),
        "11_physics_evaluate": Notebook(RESULTS, after=("10_physics_train",), work=("evaluation",)),
        "12_physics_report": Notebook(RESULTS, "whole", after=("11_physics_evaluate",), reads=PREDICTED),
        "13_physics_visualize": Notebook(RESULTS, "whole", after=("10_physics_train",)),
    },
    measures=("energy", "dt_generalization"),
    tables=OPEN_LOOP | {"energy_drift": Rows(any_arm, rates_tested), "dt_generalization": Rows(any_arm)},
    figures={
        "physics/priors": None,
        "physics/energy": None,
        "data/{}-coverage": None,
        "training/{}-curves": None,
        "limits/{}": None,
        "physics/{}-rollout": None,
        "physics/{}-horizon": None,
        "physics/{}-energy": None,
        "physics/{}-dt_generalization": None,
        "motion/{}-states": None,
        "motion/{}-frames": _has_sketch,
    },
    shipped=main_checkpoints,
    max_bytes=4_000_000,
)
