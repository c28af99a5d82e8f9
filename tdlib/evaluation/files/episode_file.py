"""Episodes under a planner on disk: every one of every member, seed and setting.

A group `<control rate>/<model step>/<planner>` has one row per member: states (U, E, T+1, D), actions (U, E, T, A),
reward (U, E, T) and exit_time (U, E) [s]; its attribute `delta_t` [s] is the control step. All are float32.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from tdlib.core.specs import EnvironmentSpec
from tdlib.core.time_grid import delta_t_of
from tdlib.evaluation.control.episodes import ControlResult
from tdlib.evaluation.files.row_file import SEPARATOR, UNIT, RowFile, describe, open_rows, read_array, read_units
from tdlib.evaluation.tables import MEMBER_COLUMNS, frequency_label

SCHEMA = "tdlib episodes 1"
SETTING_COLUMNS = ("control_frequency", "model_frequency", "planner")
ARRAYS = ("states", "actions", "reward", "exit_time")


@dataclass(frozen=True)
class Episodes:
    """Episodes of U members, E each, of one setting.

    Args:
        members: Key columns of each member with the setting's, U rows.
        state_names: Names of the D state dimensions.
        states: (U, E, T+1, D) true states at the control times; held after the episode has ended.
        actions: (U, E, T, A) inputs carried out, or indices of discrete actions.
        reward: (U, E, T) reward integrated over each control step; 0 after the episode has ended.
        times: (T+1,) time since the start [s].
        exit_time: (U, E) when the limits were left [s]; inf if they were not.
    """

    members: pd.DataFrame
    state_names: tuple[str, ...]
    states: np.ndarray
    actions: np.ndarray
    reward: np.ndarray
    times: np.ndarray
    exit_time: np.ndarray


class EpisodeFile:
    """Collects the episodes of units of work, and writes them.

    Args:
        path: The file; rows of other units that it holds may stay.
        spec: Names and units of the environment.
    """

    def __init__(self, path: Path, spec: EnvironmentSpec):
        columns = [*MEMBER_COLUMNS, *SETTING_COLUMNS]
        self._rows = RowFile(path, SCHEMA, {"columns": columns, **describe(spec)})

    def add(self, units: Sequence[str], result: ControlResult) -> None:
        """Add the episodes of M units, in the order of the result's members.

        A unit is named by its values of the key columns without `env`, seed, and the columns of the setting.
        """
        if len(units) != len(result.states):
            raise ValueError(f"units must be one per member: {len(result.states)}, got {len(units)}")
        for m, unit in enumerate(units):
            group = SEPARATOR.join(unit.split(SEPARATOR)[len(MEMBER_COLUMNS) :])
            arrays = {name: getattr(result, name)[m].numpy().astype(np.float32) for name in ARRAYS}
            self._rows.add(group, unit, arrays, {"delta_t": delta_t_of(result.control_frequency)})

    def write(self, units: Sequence[str], stay: Collection[str], commit: str) -> list[Path]:
        """Write what was added and the units that stay, as `RowFile.write` does."""
        return self._rows.write(units, stay, commit)


def stored_settings(path: str | Path) -> list[tuple[str, str, str]]:
    """Return (control rate, model step, planner) of what a file of episodes holds, as rows of tables name them."""
    with open_rows(path, SCHEMA) as file:
        return _settings(file)


def load_episodes(
    path: str | Path,
    control_frequency: float | str,
    where: Mapping[str, object] | None = None,
    *,
    model_frequency: float | str | None = None,
    planner: str | None = None,
) -> Episodes:
    """Read the episodes of some members under one setting.

        load_episodes("…/Pendulum-v1-jump-episodes.h5", 20, {"method": "baseline", "train_frequency": 50})

    Args:
        path: `results/trajectories/<env>-<model>-episodes.h5` of a run; `none` holds the oracle's and random inputs.
        control_frequency: Rate of decisions [Hz].
        where: Key column and value, or several values; None for all members.
        model_frequency: Rate of the model step [Hz]; None is the control rate.
        planner: Name of the planner, "random" for random inputs; None where there is only one.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no file of episodes, or nothing in it is of this setting or of these members.
    """
    control = frequency_label(control_frequency)
    asked = (control, control if model_frequency is None else frequency_label(model_frequency))
    with open_rows(path, SCHEMA) as file:
        found = [each for each in _settings(file) if each[:2] == asked and planner in (None, each[2])]
        if len(found) != 1:
            stored = f"control_frequency, model_frequency and planner must be one of {_settings(file)}"
            raise ValueError(f"{stored}, got {(*asked, planner)}")
        group = file[SEPARATOR.join(found[0])]
        members = read_units(group, file.attrs["columns"], where)
        arrays = {name: read_array(group, name, list(members.index)) for name in ARRAYS}
        members = members.reset_index(drop=True)
        members.insert(0, "env", file.attrs["env"])
        times = np.arange(arrays["states"].shape[2]) * float(group.attrs["delta_t"])
        return Episodes(members=members, state_names=tuple(file.attrs["state_names"]), times=times, **arrays)


def _settings(file: h5py.File) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = []

    def note(name: str, thing: object) -> None:
        if isinstance(thing, h5py.Group) and UNIT in thing:
            control, model, planner = name.split(SEPARATOR)
            found.append((control, model, planner))

    file.visititems(note)
    return found
