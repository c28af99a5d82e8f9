"""The chapter on systems with hidden parameters and models that know some physics."""

from pathlib import Path

from tdlib.core.facts import FINEST
from tdlib.core.time_grid import steps_within
from tdlib.evaluation.measures.energy import lacks_unforced
from tdlib.evaluation.measures.generalization import DT_RATES, NUM_STEPS
from tdlib.evaluation.sets.schedules import nominal_delta_t
from tdlib.evaluation.sets.sequences import sequence_plans
from tdlib.evaluation.tables import frequency_label, frequency_value
from tdlib.models import find_family
from tdlib.study.book import WHOLE_BOOK
from tdlib.study.chapters.chapter import RESULTS, TRAINING, Chapter, Notebook
from tdlib.study.chapters.expected import OPEN_LOOP, Rows, any_arm, rates_tested
from tdlib.study.checkpoint_report import main_checkpoints
from tdlib.study.layout import PREDICTED
from tdlib.study.presets import Preset, load_preset
from tdlib.study.run import Run
from tdlib.systems import SYSTEMS


def _has_sketch(preset: Preset, env: str) -> bool:
    return SYSTEMS[env].views.sketch is not None


def _varies(preset: Preset, env: str) -> bool:
    return any(rule.data for rule in preset.variations)


def _own_transitions(preset: Preset, env: str) -> int:
    """Rollouts without input, and sequences of equal steps and of equal time."""
    evaluation, rates = preset.evaluation, [frequency_label(rate) for rate in preset.test_frequencies]
    coarse = [rate for rate in [*rates, "irregular"] if not frequency_value(rate) > float(FINEST)]
    unforced = sum(steps_within(evaluation.horizon, nominal_delta_t(rate)) for rate in coarse)
    plans = sequence_plans([rate for rate in DT_RATES if rate in rates], evaluation.num_steps or NUM_STEPS)
    steps = sum(count for _, _, count in plans) + (0 if lacks_unforced(SYSTEMS[env]) else unforced)
    return evaluation.num_starts * steps


def _shipped(run: Run, env: str) -> list[Path]:
    """Of the checkpoints that the chapter compares, those of the study's models without a memory.

    An edition has room for a handful of each system's; a memory takes that of four.
    """
    compared = main_checkpoints(run, env)
    small = [name for name in load_preset(WHOLE_BOOK).models if not find_family(name).remembers]
    return [path for path in compared if path.parent.parent.name in small] or compared


PHYSICS = Chapter(
    notebooks={
        "10_physics_train": Notebook(TRAINING, work=("collection", "training")),
        "11_physics_evaluate": Notebook(RESULTS, after=("10_physics_train",), work=("evaluation",), by_model=True),
        "12_physics_report": Notebook(RESULTS, "whole", after=("11_physics_evaluate",), reads=PREDICTED),
        "13_physics_visualize": Notebook(RESULTS, "whole", after=("10_physics_train",)),
    },
    measures=("energy", "dt_generalization"),
    own_transitions=_own_transitions,
    tables=OPEN_LOOP | {"energy_drift": Rows(any_arm, rates_tested), "dt_generalization": Rows(any_arm)},
    figures={
        "physics/priors": None,
        "physics/energy": None,
        "physics/variations": _varies,
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
    shipped=_shipped,
    max_bytes=4_000_000,
    foretells=("prior",),
)
