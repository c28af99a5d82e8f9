"""The chapter on two time scales: models whose memory is a belief, over long predictions and other clocks."""

from pathlib import Path

from tdlib.core.facts import MIXED
from tdlib.core.time_grid import steps_within
from tdlib.evaluation.measures.imagined import FINEST_RATE, HORIZON, NUM_WINDOWS, WINDOW
from tdlib.evaluation.sets.schedules import nominal_delta_t
from tdlib.evaluation.tables import frequency_label
from tdlib.models import find_family
from tdlib.study.arms import Arm
from tdlib.study.chapters.chapter import RESULTS, TRAINING, Chapter, Notebook, Rows
from tdlib.study.chapters.expected import OPEN_LOOP, any_arm, is_trained, some
from tdlib.study.layout import PREDICTED
from tdlib.study.presets import Preset
from tdlib.study.run import Run
from tdlib.study.selection import everything


def rates_imagined(preset: Preset) -> list[str]:
    """Test rates at which long predictions are asked for."""
    return [*(frequency_label(rate) for rate in preset.test_frequencies if rate <= FINEST_RATE), "irregular"]


def _shipped(run: Run, env: str) -> list[Path]:
    """Checkpoints that the page carries; all of them would take more room than the rest of the edition."""
    return [
        run.layout.model_folder(env, arm.model, arm.folder, seed)
        for arm, seed in everything(run).on(env).trained_members
        if (family := find_family(arm.model)).shown and family.on_page(arm.method, arm.form, arm.train_frequency)
    ]


def _of_several_rates(arm: Arm) -> bool:
    return arm.train_frequency == MIXED


def _own_transitions(preset: Preset, env: str) -> int:
    """Long predictions and the stretch before them."""
    evaluation = preset.evaluation
    time = NUM_WINDOWS * WINDOW + (evaluation.imagined or HORIZON)
    return evaluation.num_starts * sum(steps_within(time, nominal_delta_t(rate)) for rate in rates_imagined(preset))


MTS3 = Chapter(
    notebooks={
        "18_mts3_train": Notebook(TRAINING, work=("collection", "training")),
        "19_mts3_evaluate": Notebook(RESULTS, after=("18_mts3_train",), work=("evaluation",), by_model=True),
        "23_mts3_partly_seen": Notebook(RESULTS, "seen", work=("collection", "training", "evaluation")),
        "20_mts3_report": Notebook(
            RESULTS, "whole", after=("19_mts3_evaluate", "23_mts3_partly_seen"), reads=PREDICTED
        ),
    },
    tables=OPEN_LOOP
    | {
        "sliding_windows": Rows(any_arm, rates_imagined),
        "interval_calibration": Rows(is_trained, rates_imagined),
    },
    figures={
        "mts3/architecture": None,
        "mts3/conditioning": None,
        "mts3/covariance": None,
        "mts3/graphical_model": None,
        "mts3/levels": None,
        "mts3/marginalization": None,
        "mts3/treatments": None,
        "mts3/{}-belief": some(_of_several_rates),
        "mts3/{}-calibration": some(_of_several_rates),
        "mts3/{}-coverage": None,
        "mts3/{}-curves": some(_of_several_rates),
        "mts3/{}-imagined": some(_of_several_rates),
        "mts3/{}-rates": None,
    },
    seen_figures=("mts3/{}-ahead",),
    measures=("imagined",),
    own_transitions=_own_transitions,
    shipped=_shipped,
    max_bytes=4_000_000,
    foretells=("belief", "beliefs", "second", "positions", "transformer"),
)
