"""Trajectories of the edition: three per cell of what a run keeps whole."""

from pathlib import Path

from tdlib.evaluation.files.row_file import SEPARATOR, write_excerpt
from tdlib.evaluation.tables import MEMBER_COLUMNS, frequency_label
from tdlib.study.phases.control import on_axes
from tdlib.study.presets import Preset
from tdlib.study.selection import NO_MODEL

PER_CELL = 3  # starts, or episodes, of the first seed


def write_examples(trajectories: Path, target: Path, preset: Preset) -> list[Path]:
    """Write three rollouts of every arm at the training rates, and three episodes of the arms on the axes of control.

    An episode takes ten times the room of a rollout, so those of all arms are kept in the run only.

    Args:
        trajectories: Folder of the run's files.
        target: Folder to write to.
        preset: The run's.
    """
    rates, seed = {frequency_label(rate) for rate in preset.train_frequencies}, str(preset.own_seeds[0])

    def rollout(group: str, unit: str) -> bool:
        return group.rpartition(SEPARATOR)[2] in rates and unit.rpartition(SEPARATOR)[2] == seed

    def episode(group: str, unit: str) -> bool:
        control, model, _ = group.split(SEPARATOR)
        key = dict(zip(MEMBER_COLUMNS, unit.split(SEPARATOR), strict=False))  # then the columns of the setting
        return control == model and control in rates and key["seed"] == seed and (
            key["model"] == NO_MODEL or on_axes(key)
        )  # fmt: skip

    written = []
    for ending, wanted in (("rollouts", rollout), ("episodes", episode)):
        for path in sorted(trajectories.glob(f"*-{ending}.h5")):
            written += write_excerpt(path, target / path.name, wanted, PER_CELL)
    return written
