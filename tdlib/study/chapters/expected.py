"""Which arms and rates the tables and figures of chapters show, in words that several chapters use."""

from collections.abc import Callable

from tdlib.evaluation.tables import frequency_label
from tdlib.models import find_family
from tdlib.study.arms import Arm
from tdlib.study.chapters.chapter import Need, Rows
from tdlib.study.presets import Preset
from tdlib.study.selection import arms_of


def any_arm(arm: Arm) -> bool:
    """Every arm there is."""
    return True


def is_trained(arm: Arm) -> bool:
    """Arms that are not derived from another."""
    return arm.source == arm


def is_field(arm: Arm) -> bool:
    """Arms whose model is a differential equation."""
    return is_trained(arm) and arm.method == "ode"


def has_spread(arm: Arm) -> bool:
    """Trained arms whose members disagree."""
    return is_trained(arm) and find_family(arm.model).has_spread


def sees_pictures(arm: Arm) -> bool:
    """Arms whose model reads images."""
    return "image" in find_family(arm.model).reads


def rates_tested(preset: Preset) -> list[str]:
    """Every test rate, and the irregular intervals."""
    return [*map(frequency_label, preset.test_frequencies), "irregular"]


def some(kept: Callable[[Arm], bool]) -> Need:
    """Where a preset has one of some arms."""
    return lambda preset, env: any(map(kept, arms_of(preset)))


OPEN_LOOP = {  # what every model that predicts states is asked for
    "one_step_errors": Rows(any_arm, rates_tested),
    "rollout_errors": Rows(any_arm, rates_tested),
    "consistency_errors": Rows(any_arm),
    "convergence_test": Rows(is_field),
    "field_errors": Rows(is_trained),
    "ensemble_calibration": Rows(has_spread),
    "training_summary": Rows(is_trained),
}
