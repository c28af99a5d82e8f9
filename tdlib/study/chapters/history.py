"""The chapter on models with a history, whose memory meets another clock."""

from pathlib import Path
from typing import Any, cast

from tdlib.core.facts import FINEST, MIXED
from tdlib.core.imports import import_object
from tdlib.evaluation.measures.known_rows import NUM_PASTS, SHARE
from tdlib.figures.selection import MAIN_RATE, main_model
from tdlib.models import find_family
from tdlib.study.arms import Arm
from tdlib.study.chapters.chapter import RESULTS, TRAINING, Chapter, Notebook, Rows
from tdlib.study.chapters.expected import OPEN_LOOP, any_arm, rates_tested
from tdlib.study.layout import PREDICTED
from tdlib.study.presets import Preset
from tdlib.study.run import Run
from tdlib.study.selection import everything
from tdlib.systems import SYSTEMS

ABLATED_IN = "tdlib.dynamics_model_training.ablations"  # what its notebook calls: a layer further, read when asked for
BESIDE = ("multi_resolution", "scaled_concat", MIXED)
PLANNED = (
    ("baseline", "none", FINEST),
    *((method, "none", MAIN_RATE) for method in ("baseline", "rescaled", "warped")),
    ("multi_resolution", "scaled", MIXED),
)


def _is_controlled(preset: Preset, env: str) -> bool:
    """Presets that say nothing of control have none, and of the systems the first one."""
    return "control" in preset.model_fields_set and env in ("", preset.environments[0])


def _is_planned(arm: Arm) -> bool:
    """Memories of the finest rate, of the main one as they are and repaired, and of three; one map beside them."""
    kind = (arm.method, arm.form, arm.train_frequency)
    return kind in PLANNED if find_family(arm.model).remembers else (arm.model, kind) == (main_model(), BESIDE)


def _is_ablated(preset: Preset, env: str) -> bool:
    """Presets that say how large their trainings are which differ in one thing each."""
    return preset.ablations is not None


def _is_carried(arm: Arm) -> bool:
    """Arms that are planned with, and the map that the explorer begins with, as far as the page carries their weights.

    A GRU's weights take a twentieth of the room that there is for an edition, and there are a dozen.
    """
    kind = (arm.method, arm.form, arm.train_frequency)
    first = (arm.model, kind) == (main_model(), ("baseline", "none", MAIN_RATE))
    return (first or _is_planned(arm)) and find_family(arm.model).on_page(*kind)


def _shipped(run: Run, env: str) -> list[Path]:
    """Checkpoints that the page carries."""
    members = everything(run).on(env).trained_members
    return [run.layout.model_folder(env, arm.model, arm.folder, seed) for arm, seed in members if _is_carried(arm)]


def _own_transitions(preset: Preset, env: str) -> int:
    """One step after each past, of those that a model with a memory is asked about."""
    rates = len(preset.test_frequencies) + 1  # and irregular
    return NUM_PASTS * max(1, preset.evaluation.num_pairs // SHARE) * rates


def _own_steps(preset: Preset, env: str) -> dict[Arm, int]:
    """Steps of the trainings that differ in one thing each, all counted as the plain one's."""
    if preset.ablations is None:
        return {}
    tried_on, arm = (cast(Any, import_object(f"{ABLATED_IN}:{name}")) for name in ("tried_on", "ARM"))
    tried = tried_on(SYSTEMS[env].spec, first=env == preset.environments[0])
    return {arm: len(tried) * preset.ablations.num_steps}


HISTORY = Chapter(
    notebooks={
        "14_history_train": Notebook(TRAINING, work=("collection", "training")),
        "15_history_evaluate": Notebook(RESULTS, after=("14_history_train",), work=("evaluation",), by_model=True),
        "16_history_control": Notebook(
            RESULTS, "first", after=("14_history_train",), work=("control",), needs=_is_controlled
        ),
        "17_history_report": Notebook(RESULTS, "whole", after=("15_history_evaluate",), reads=PREDICTED),
    },
    tables=OPEN_LOOP | {"known_rows": Rows(any_arm, rates_tested)},
    figures={
        "history/treatments": None,
        "history/{}-ablations": _is_ablated,
        "history/{}-coverage": None,
        "history/{}-curves": None,
        "history/{}-rates": None,
        "history/{}-rows": None,
        "history/{}-steps": None,
        "history/{}-units": None,
        "history/{}-control": _is_controlled,
    },
    measures=("known_rows",),
    plans=_is_planned,
    own_transitions=_own_transitions,
    own_steps=_own_steps,
    shipped=_shipped,
    max_bytes=4_000_000,
    foretells=("memory", "history", "tip", "trouble"),
)
