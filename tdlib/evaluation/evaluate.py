"""All measures of prediction for one stack of models in one call."""

import itertools
from collections.abc import Mapping, Sequence

import pandas as pd
import torch

from tdlib.evaluation.measures.calibration import ensemble_calibration
from tdlib.evaluation.measures.consistency import consistency_measure
from tdlib.evaluation.measures.convergence import convergence_measure
from tdlib.evaluation.measures.one_step import PAIR_SETS, one_step_measures, pointwise_measure
from tdlib.evaluation.measures.rollout import join_rollouts, rollout_measures
from tdlib.evaluation.measures.take import take
from tdlib.evaluation.sets.gather import members_of
from tdlib.evaluation.sets.test_sets import TestSet
from tdlib.evaluation.tables import arm_of
from tdlib.speed.predict import Model, has_memory
from tdlib.systems import System

MAIN_RATES, MAIN_FORMS = ("20", "mixed"), ("none", "scaled_concat", "rk4")  # arms whose single errors are kept


def evaluate_stack(
    stack: Model,
    arms_and_seeds: Sequence[tuple[object, int]],
    test_sets: Mapping[int, TestSet],
    system: System,
    rates: Sequence[str] | None = None,
    *,
    sets: Sequence[str] = PAIR_SETS,
    num_saved: int = 3,
    num_points: int = 250,
    num_consistency_pairs: int = 256,
    num_convergence_pairs: int = 64,
    device: torch.device | str = "cpu",
) -> dict[str, pd.DataFrame]:
    """Evaluate K models of one structure on their own seeds' test sets.

    Args:
        stack: `Stack` of K models, or a wrapper of one (`Persistence`, `RescaledIncrement`, `RecurrentRollout`).
        arms_and_seeds: K pairs of an arm (with the fields model, method, form, size, data, train_frequency) and a seed.
        test_sets: One test set per seed.
        system: Exact flow, names and limits.
        rates: Rates of rollouts, by default all of the test sets. One-step errors cover all of them.
        sets: Pair sets for one-step errors.
        num_saved: Rollouts per model at 10, 20 and 50 Hz whose trajectories are returned.
        num_points: Pairs per model at 10, 20 and 50 Hz whose single errors are returned.
        num_consistency_pairs: Pairs for the semigroup defect, at most.
        num_convergence_pairs: Pairs for the convergence test of fields, at most.
        device: Where the models are.

    Returns:
        Tables by file name: one_step_errors, rollout_errors, consistency_errors, trajectories, state_errors; for
        fields also convergence_test, for ensembles ensemble_calibration.
    """
    members = [arm_of(arm, seed, system.spec.name) for arm, seed in arms_and_seeds]
    members_of(stack, test_sets, system.spec.name, members)
    spec, memory = system.spec, has_memory(stack)
    shared = test_sets, spec, members
    measures = {  # nothing is gathered before a measure's turn
        "rollouts": list(rollout_measures(test_sets, system, members, memory, rates=rates, num_saved=num_saved)),
        "one_step": list(one_step_measures(*shared, sets, memory)),
        "consistency": [consistency_measure(*shared, memory, num_pairs=num_consistency_pairs)],
        "points": [pointwise_measure(*shared, memory, num_points=num_points)],
    }
    is_field = all(member["method"] == "ode" for member in members)
    if is_field:
        h = stack.train_delta_t
        measures["convergence"] = [convergence_measure(test_sets, system, members, h, num_pairs=num_convergence_pairs)]
    results = iter(take(stack, itertools.chain(*measures.values()), len(members), device=device))
    found = {name: [next(results) for _ in group] for name, group in measures.items()}
    errors, trajectories = join_rollouts(found["rollouts"])
    (points,) = found["points"]
    main = points["train_frequency"].isin(MAIN_RATES) & points["form"].isin(MAIN_FORMS)
    tables = {
        "one_step_errors": pd.concat(found["one_step"], ignore_index=True),
        "rollout_errors": errors,
        "consistency_errors": found["consistency"][0],
        "trajectories": trajectories,
        "state_errors": points[main & (points["seed"] == min(test_sets))].reset_index(drop=True),
    }
    if is_field:
        tables["convergence_test"] = found["convergence"][0]
    if getattr(stack, "num_members", 1) > 1:
        tables["ensemble_calibration"] = ensemble_calibration(stack, *shared, device=device)
    return tables


def merge_tables(parts: Sequence[Mapping[str, pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """Join the tables of several stacks by name."""
    names = dict.fromkeys(name for part in parts for name in part)
    frames = {name: [part[name] for part in parts if name in part and len(part[name])] for name in names}
    return {name: pd.concat(tables, ignore_index=True) for name, tables in frames.items() if tables}
