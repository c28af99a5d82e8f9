"""Rows of control_performance.csv, and the mark of cells in which the planner is at its limit, not the model."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd
from torch import Tensor

from tdlib.core.time_grid import delta_t_of
from tdlib.evaluation.control.episodes import ControlResult
from tdlib.evaluation.tables import frequency_label
from tdlib.systems import SYSTEMS

ORACLE_SUCCESS = 0.9  # a cell whose oracle succeeds less often says more about the planner than about models
ORACLE_STARTS = 20  # starts of the oracle that a mark needs; with 5, a .95 oracle would be marked in 23 % of cases
CELL = ["control_frequency", "planner"]  # what a mark is about


def control_rows(
    result: ControlResult,
    keys: Sequence[Mapping[str, object]],
    oracle_return: Tensor | None = None,
    model_frequency: float | None = None,
) -> list[dict]:
    """Return the rows of control_performance.csv, one per member and episode.

    Args:
        result: Episodes of M members.
        keys: Key columns of each member, in order; `test_frequency` is filled in.
        oracle_return: (M, E) returns of the oracle from the same starts at the same rate; None leaves regret empty.
        model_frequency: Rate of the model step [Hz] as the row names it; None takes it from the result.
    """
    if len(keys) != len(result.episode_return):
        raise ValueError(f"keys must be one per member: {len(result.episode_return)}, got {len(keys)}")
    rate = frequency_label(result.control_frequency)
    same = math.isclose(result.model_delta_t, delta_t_of(result.control_frequency))
    step = rate if same else f"{1 / result.model_delta_t:.3g}"
    step = step if model_frequency is None else frequency_label(model_frequency)
    rows = []
    for member, key in enumerate(keys):
        for episode in range(result.episode_return.shape[1]):
            episode_return = float(result.episode_return[member, episode])
            regret = None if oracle_return is None else float(oracle_return[member, episode]) - episode_return
            rows.append(
                {
                    **key,
                    "test_frequency": rate,
                    "control_frequency": rate,
                    "model_frequency": step,
                    "planner": result.planner,
                    "duration": float(result.times[-1]),
                    "episode": episode,
                    "episode_return": episode_return,
                    "success": bool(result.success[member, episode]),
                    "exit_time": float(result.exit_time[member, episode]),
                    "regret": regret,
                    "planner_limited": None,  # known when all of the oracle's episodes are
                    "num_nonfinite": int(result.num_nonfinite[member, episode]),
                    "n": 1,
                }
            )
    return rows


def planner_limits(oracle: pd.DataFrame) -> dict[tuple[str, str], bool]:
    """Return whether the planner is at its limit, by (control rate, planner), where enough starts say so.

    Args:
        oracle: Rows of the oracle, of all seeds.
    """
    cells = oracle.groupby(CELL, sort=False)["success"].agg(["mean", "size"])
    decided = cells[cells["size"] >= ORACLE_STARTS]
    return {cell: bool(mean < ORACLE_SUCCESS) for cell, mean in decided["mean"].items()}


def marked(table: pd.DataFrame, limits: Mapping[tuple[str, str], bool], default_planner: str) -> pd.DataFrame:
    """Fill `planner_limited`: of rows without a plan as of the default planner's; empty where it is not decided."""
    cells = zip(table["control_frequency"], table["planner"], strict=True)
    marks = [limits.get((rate, default_planner if name == "random" else name), math.nan) for rate, name in cells]
    return table.assign(planner_limited=pd.Series(marks, index=table.index, dtype=object))


def marked_by_all(table: pd.DataFrame) -> pd.DataFrame:
    """Fill `planner_limited` of the rows of several runs anew: more seeds of the oracle may decide it."""
    parts = []
    for env, rows in table.groupby("env", sort=False):
        limits = planner_limits(rows[rows["method"] == "oracle"])
        parts.append(marked(rows, limits, SYSTEMS[str(env)].planning.planner))
    return pd.concat(parts, ignore_index=True)
