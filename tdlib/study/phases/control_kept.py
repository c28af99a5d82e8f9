"""What stays of closed-loop control: the rows of a table and the episodes they are about, unit by unit."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from tdlib.evaluation.control.episodes import ControlResult
from tdlib.evaluation.files.episode_file import SETTING_COLUMNS, EpisodeFile
from tdlib.evaluation.tables import MEMBER_COLUMNS
from tdlib.study.parts import KeptRows, unit_names
from tdlib.study.provenance import Result, commit_of_memory
from tdlib.study.run import Run
from tdlib.systems import SYSTEMS

TABLE = "control_performance"
UNIT_COLUMNS = (*MEMBER_COLUMNS, *SETTING_COLUMNS)


class Kept:
    """Rows and episodes of one model, or of what has none, that stand and are added to.

    Args:
        result: Both with their stamp.
        units: What each unit depends on, by name.
        run: Preset and folders.
        env: Environment.
        model: Name of the model, or `NO_MODEL`.
    """

    def __init__(self, result: Result, units: Mapping[str, object], run: Run, env: str, model: str):
        name = f"{env}-{model}"
        self._episodes = EpisodeFile(episodes_path(run, env, model), SYSTEMS[env].spec)

        def save(table: pd.DataFrame) -> list[Path]:
            made = list(dict.fromkeys(unit_names(table, UNIT_COLUMNS)))
            return [run.save_part(TABLE, name, table), *self._episodes.write(made, made, commit_of_memory())]

        self._rows = KeptRows(result, units, UNIT_COLUMNS, run.layout.part(TABLE, name), save)
        self.lacks, self.table, self.write = self._rows.lacks, self._rows.table, self._rows.write

    def add(self, units: Sequence[str], result: ControlResult, rows: Sequence[Mapping[str, object]]) -> None:
        """Add the episodes of whole units and their rows; write if the last time was a while ago."""
        self._episodes.add(units, result)
        self._rows.add(rows)


def episodes_path(run: Run, env: str, model: str) -> Path:
    """Return the file of all episodes of one model, of `none` those of the oracle; `load_episodes` reads it."""
    return run.layout.trajectories / f"{env}-{model}-episodes.h5"
