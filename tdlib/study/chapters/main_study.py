"""The main study: one sampling rate in training, another in use."""

from pathlib import Path

from tdlib.core.facts import POOLED, TRANSITIONS
from tdlib.data.sources.ppo_settings import has_ppo
from tdlib.evaluation.measures.consistency import FREQUENCY_PAIRS
from tdlib.evaluation.measures.velocity_field import equilibria
from tdlib.evaluation.tables import frequency_label
from tdlib.figures.selection import key_arms, main_model
from tdlib.models import find_family
from tdlib.study.arms import Arm
from tdlib.study.book import fills_the_book
from tdlib.study.chapters.chapter import DATA, RESULTS, TRAINING, USE, Chapter, Notebook, Rows
from tdlib.study.chapters.expected import OPEN_LOOP, has_spread, is_field, is_trained, some
from tdlib.study.contrasts import CONTRASTS, ArmAtRate
from tdlib.study.layout import PREDICTED, WORKED
from tdlib.study.presets import Preset
from tdlib.study.run import Run
from tdlib.study.selection import arms_of, everything
from tdlib.systems import SYSTEMS

DATA_PHASE, TRAINING_PHASE, OPEN_LOOP_PHASE, CONTROL_PHASE = (
    "01_data_exploration", "02_training_analysis", "03_results_visualization", "04_control",
)  # fmt: skip
SHIPPED_SEEDS = 3


def _keys(arm: Arm | ArmAtRate) -> tuple[str, str, str, str]:
    return arm.model, arm.method, arm.form, arm.train_frequency


def _is_key_arm(arm: Arm) -> bool:
    return _keys(arm) in key_arms()


def _is_main_model(arm: Arm) -> bool:
    return arm.model == main_model()


def _has_velocity(arm: Arm) -> bool:
    return is_field(arm) or (_is_main_model(arm) and arm.method == "baseline")


def _is_map(arm: Arm) -> bool:
    return is_trained(arm) and not find_family(arm.model).remembers


def _is_pooled(arm: Arm) -> bool:
    return arm.data == POOLED


def _has_contrasts(preset: Preset, env: str) -> bool:
    known = set(map(_keys, arms_of(preset)))
    return any({_keys(contrast.a), _keys(contrast.b)} <= known for contrast in CONTRASTS)


def _has_poles(preset: Preset, env: str) -> bool:
    return some(_is_map)(preset, env) and bool(equilibria(SYSTEMS[env]))


def _has_returns(preset: Preset, env: str) -> bool:
    return has_ppo(env)


def _compares_rates(preset: Preset, env: str) -> bool:
    """Whether one of the test rates is a multiple of another, of those whose steps are compared."""
    rates = set(map(frequency_label, preset.test_frequencies))
    return any(rates.issuperset(pair) for pair in FREQUENCY_PAIRS)


def _is_worked_example(preset: Preset, env: str) -> bool:
    return fills_the_book(preset)


def _rates_controlled(preset: Preset) -> list[str]:
    return [frequency_label(rate) for rate in preset.control.frequencies]


def _shipped(run: Run, env: str) -> list[Path]:
    """Checkpoints of the arms that pages carry, all of the default size: a larger network takes the room of many."""
    members = everything(run).on(env).trained_members
    return [
        run.layout.model_folder(env, arm.model, arm.folder, seed)
        for arm, seed in members
        if arm.acts and find_family(arm.model).on_page(arm.method, arm.form, arm.train_frequency)
    ]


def _shipped_of_more_seeds(run: Run, env: str) -> list[Path]:
    """Of two more seeds the arms that figures compare: an edition has no room for three seeds of all."""
    compared = {_keys(arm.source) for keys in key_arms() if (arm := Arm(*keys[:3], train_frequency=keys[3])).source}
    return [
        run.layout.model_folder(env, arm.model, arm.folder, seed)
        for seed in run.preset.seeds[1:SHIPPED_SEEDS]
        for arm in everything(run).on(env).trained
        if arm.acts and arm.data == TRANSITIONS and _keys(arm) in compared
    ]


MAIN_STUDY = Chapter(
    notebooks={  # open loop and closed loop need the models, not each other
        "00_ground_truth": Notebook(DATA, "whole"),
        DATA_PHASE: Notebook(DATA, work=("collection",)),
        TRAINING_PHASE: Notebook(TRAINING, after=(DATA_PHASE,), work=("training",)),
        OPEN_LOOP_PHASE: Notebook(RESULTS, after=(TRAINING_PHASE,), work=("evaluation",)),
        CONTROL_PHASE: Notebook(RESULTS, after=(TRAINING_PHASE,), work=("control",)),
        "05_statistics": Notebook(RESULTS, "whole", after=(OPEN_LOOP_PHASE, CONTROL_PHASE), reads=PREDICTED),
        "06_paper_figures": Notebook(RESULTS, "whole", after=(OPEN_LOOP_PHASE, CONTROL_PHASE)),
        "07_explorer": Notebook(USE, "first", after=(TRAINING_PHASE,)),
        "08_bring_your_own": Notebook(USE, "first", after=(OPEN_LOOP_PHASE,), reads=WORKED, needs=_is_worked_example),
    },
    tables=OPEN_LOOP | {"control_performance": Rows(lambda arm: arm.acts, _rates_controlled)},
    figures={
        "ground_truth/plant_change": None,
        "ground_truth/zero_order_hold": None,
        "statistics/contrasts": _has_contrasts,
        "paper_figures/figure1_heatmaps": some(_is_main_model),
        "paper_figures/figure2_horizon": some(_is_key_arm),
        "paper_figures/figure3_control": some(_is_key_arm),
        "paper_figures/figure4_state_space": some(_is_key_arm),
        "paper_figures/figure5_ablations": some(_is_main_model),
        "own/system": _is_worked_example,
        "own/form": _is_worked_example,
        "own/model": _is_worked_example,
        "own/log": _is_worked_example,
        "data/{}-coverage": None,
        "data/{}-returns": _has_returns,
        "training/{}-curves": None,
        "training/{}-velocity_field": some(_has_velocity),
        "velocity_fields/{}-poles": _has_poles,
        "error_heatmaps/{}-mse": None,
        "error_heatmaps/{}-relative": None,
        "limits/{}": some(_is_key_arm),
        "own_and_pooled/{}": some(_is_pooled),
        "error_vs_horizon/{}": None,
        "trajectory_rollouts/{}": None,
        "state_space/{}": None,
        "consistency/{}-defect": _compares_rates,
        "consistency/{}-convergence": some(is_field),
        "ensemble/{}-calibration": some(has_spread),
        "control/{}": None,
    },
    shipped=_shipped,
    shipped_of_more_seeds=_shipped_of_more_seeds,
    max_bytes=25_000_000,
)
