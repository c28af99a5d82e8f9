"""Open-loop rollouts on disk: what every member predicted from all starts at every rate, and the truth beside it.

    predicted/<rate>   states (K, S, T+1, D), one row per member
    true/<rate>        states (N, S, T+1, D), actions (N, S, T, A), delta_t (N, S, T) [s] and, where there are limits,
                       inside (N, S, T), one row per seed

Starts are numbered as the test set has them; step 0 is the start itself. States are float32; inputs and intervals are
float64, so that the truth can be computed again from them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from torch import Tensor

from tdlib.core.specs import EnvironmentSpec
from tdlib.evaluation.files.row_file import SEPARATOR, UNIT, RowFile, describe, open_rows, read_array, read_units
from tdlib.evaluation.sets.rollout_sets import RolloutSet
from tdlib.evaluation.tables import MEMBER_COLUMNS, Axes, Member, frequency_label, frequency_order, tidy

SCHEMA = "tdlib rollouts 1"
PREDICTED, TRUE = "predicted", "true"
TRUE_ARRAYS = ("states", "actions", "delta_t", "inside")


@dataclass(frozen=True)
class Rollouts:
    """Predictions of K members from S starts at one rate, and the truth.

    Args:
        members: Key columns of each member, K rows.
        test_frequency: Label of the rate.
        state_names: Names of the D state dimensions.
        predicted: (K, S, T+1, D) predicted states, from the start on.
        true: (K, S, T+1, D) true states of the same starts, those of the member's seed.
        actions: (K, S, T, A) inputs held, or indices of discrete actions.
        delta_t: (K, S, T) intervals [s].
        inside: (K, S, T) whether the truth had not left its limits up to then; None where there are no limits.
    """

    members: pd.DataFrame
    test_frequency: str
    state_names: tuple[str, ...]
    predicted: np.ndarray
    true: np.ndarray
    actions: np.ndarray
    delta_t: np.ndarray
    inside: np.ndarray | None

    @property
    def times(self) -> np.ndarray:
        """Physical time since the start, (K, S, T+1) [s]."""
        return np.concatenate([np.zeros_like(self.delta_t[..., :1]), self.delta_t.cumsum(axis=-1)], axis=-1)

    def table(self, num_starts: int | None = None) -> pd.DataFrame:
        """Return the first starts as a tidy table.

        Returns:
            Key columns, start, step, time [s], `<dimension>` and `<dimension>_true`.
        """
        first = slice(num_starts)
        predicted, true = self.predicted[:, first], self.true[:, first]
        values = {"time": self.times[:, first]}
        for i, name in enumerate(self.state_names):
            values |= {name: predicted[..., i], f"{name}_true": true[..., i]}
        starts, steps = (np.arange(count) for count in predicted.shape[1:3])
        axes: Axes = {"test_frequency": [self.test_frequency], "start": starts, "step": steps}
        return tidy(self.members.to_dict("records"), axes, {name: x[:, None] for name, x in values.items()})


class RolloutFile:
    """Collects what the measure `rollout` predicts, and writes it: `options={"rollout": {"keep": file.add}}`.

    Args:
        path: The file; rows of other members that it holds may stay.
        spec: Names and units of the environment.
    """

    def __init__(self, path: Path, spec: EnvironmentSpec):
        self._rows = RowFile(path, SCHEMA, {"columns": list(MEMBER_COLUMNS), **describe(spec)})

    def add(self, rate: str, members: Sequence[Member], predicted: Tensor, rollouts: RolloutSet) -> None:
        """Add what K members predicted at one rate, (K, S, T, D), and the rollouts (K|1, S, ...) they were asked."""
        start = rollouts.state.unsqueeze(2)  # (K|1, S, 1, D)
        for k, member in enumerate(members):
            own = k if len(start) > 1 else 0  # members of one seed share their rollouts
            states = _float32(start[own], predicted[k])
            self._rows.add(f"{PREDICTED}/{rate}", member_name(member), {"states": states})
            group, seed = f"{TRUE}/{rate}", str(member["seed"])
            if self._rows.has(group, seed):
                continue
            truth = {
                "states": _float32(start[own], rollouts.states[own]),
                "actions": rollouts.actions[own].numpy(),
                "delta_t": rollouts.delta_t[own].numpy(),
            }
            if rollouts.inside is not None:
                truth["inside"] = rollouts.inside[own].numpy()
            self._rows.add(group, seed, truth)

    def write(self, members: Sequence[str], stay: Collection[str], commit: str) -> list[Path]:
        """Write what was added and the members that stay, as `RowFile.write` does; the seeds follow the members."""
        seeds = dict.fromkeys(name.rpartition(SEPARATOR)[2] for name in members)
        stay_seeds = {name.rpartition(SEPARATOR)[2] for name in stay}
        return self._rows.write([*members, *seeds], {*stay, *stay_seeds}, commit)


def stored_rates(path: str | Path) -> list[str]:
    """Return the labels of the rates that a file of rollouts holds, in ascending order."""
    with open_rows(path, SCHEMA) as file:
        return sorted(file[PREDICTED], key=frequency_order)


def load_rollouts(path: str | Path, test_frequency: float | str, where: Mapping[str, object] | None = None) -> Rollouts:
    """Read the rollouts of some members at one rate.

        load_rollouts("…/Pendulum-v1-jump-rollouts.h5", 50, {"method": "baseline", "train_frequency": 10, "seed": 0})

    Args:
        path: `results/trajectories/<env>-<model>-rollouts.h5` of a run.
        test_frequency: Rate [Hz], or "irregular".
        where: Key column and value, or several values; None for all members.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no file of rollouts, or nothing in it is of this rate or of these members.
    """
    rate = frequency_label(test_frequency)
    with open_rows(path, SCHEMA) as file:
        if rate not in file[PREDICTED]:
            there = sorted(file[PREDICTED], key=frequency_order)
            raise ValueError(f"test_frequency must be among {there}, got {rate!r}")
        predicted, true = file[PREDICTED][rate], file[TRUE][rate]
        members = read_units(predicted, file.attrs["columns"], where)
        seeds = list(true[UNIT].asstr()[:])
        wanted = [seeds.index(str(seed)) for seed in members["seed"]]
        needed = sorted(set(wanted))
        place = [needed.index(row) for row in wanted]
        truth = {name: read_array(true, name, needed)[place] for name in true if name in TRUE_ARRAYS}
        states = read_array(predicted, "states", list(members.index))
        members = members.reset_index(drop=True)
        members.insert(0, "env", file.attrs["env"])
        return Rollouts(
            members=members,
            test_frequency=rate,
            state_names=tuple(file.attrs["state_names"]),
            predicted=states,
            true=truth["states"],
            actions=truth["actions"],
            delta_t=truth["delta_t"],
            inside=truth.get("inside"),
        )


def member_name(member: Member) -> str:
    """Name a member by its key columns."""
    return SEPARATOR.join(str(member[name]) for name in MEMBER_COLUMNS)


def _float32(start: Tensor, following: Tensor) -> np.ndarray:
    """Join starts (S, 1, D) and what follows (S, T, D): (S, T+1, D)."""
    return np.concatenate([start.numpy(), following.numpy()], axis=1).astype(np.float32)
