"""What somebody wrote beside a run: another preset in a folder of the run, and models on the run's own data."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from tdlib.core.imports import import_object, importable
from tdlib.evaluation import Diagnosis, evaluate_stack, merge_tables
from tdlib.speed import Stack
from tdlib.study.arms import DEFAULT_SIZE, Arm, trained_arms
from tdlib.study.clock import part
from tdlib.study.layout import ROOT, WORKED, RunLayout
from tdlib.study.phases.evaluate import load_test_set
from tdlib.study.phases.train import budget_of, load_seed_data, trial_of
from tdlib.study.presets import load_preset, preset_path
from tdlib.study.run import Run
from tdlib.systems import SYSTEMS
from tdlib.training import fit

FOLDER = "own"  # of a run: what other presets made in it


def worked_preset(preset: str | os.PathLike = "") -> Path:
    """Return the file of a preset, by default that of the book's chapter."""
    return preset_path(preset or ROOT / WORKED / "mine.yaml")


def open_beside(run: Run, preset: str | os.PathLike = "") -> Run:
    """Open another preset with the seeds and the training of a run, in a folder of the run.

    Args:
        run: The run that it is to be compared with.
        preset: Name or path; the preset of the book's chapter if empty.

    Raises:
        PresetError: If the preset cannot run.
    """
    other = load_preset(worked_preset(preset))
    shared = {name: getattr(run.preset, name) for name in ("training", "device")}
    shared["seeds"] = run.preset.own_seeds  # those that are taken have their data elsewhere
    return Run(other.model_copy(update=shared), RunLayout(run.layout.root / FOLDER / other.name))


def import_beside(path: str, preset: str | os.PathLike = "") -> object:
    """Import an object from a module that lies beside a preset, for example "read_log:read_log"."""
    with importable(worked_preset(preset).parent):
        return import_object(path)


def errors_beside(run: Run, env: str, models: Sequence[str], seeds: Sequence[int] = ()) -> pd.DataFrame:
    """Train models that are not the run's on its data with its budget; return their one-step errors on its test sets.

    Nothing is kept: the run's tables and checkpoints are those of its preset.

    Args:
        run: A run whose data of this environment are collected.
        env: One of its environments.
        models: Names in `MODELS`, where a preset that was loaded has registered them.
        seeds: Some of its seeds; empty for all.
    """
    env, seeds = run.select_environment(env), run.select_seeds(seeds)
    arms = trained_arms(models)
    with part("training"):
        data = {seed: load_seed_data(run, env, seed) for seed in seeds}
        trials = [trial_of(env, arm, seed, data[seed]) for arm in arms for seed in seeds]
        results = fit(trials, budget_of(run, DEFAULT_SIZE, trials), run.device)
    with part("evaluation"):
        test_sets = {seed: load_test_set(run, env, seed) for seed in seeds}
        tables = []
        for arm in arms:
            own = [result for result in results if result.trial.arm == arm]
            members = tuple((arm, result.trial.seed) for result in own)
            stack = Stack([result.model for result in own])
            options = {"system": SYSTEMS[env], "measures": ["one_step"], "device": run.device}
            tables.append(evaluate_stack(stack, members, test_sets, **options))
    return merge_tables(tables)["one_step_errors"]


def log_errors(found: Mapping[Arm, Diagnosis], seed: int = 0) -> pd.DataFrame:
    """Return the errors of models on a log, one row per model and quarter of the recorded intervals.

    Returns:
        Columns env, the arm's, seed, delta_t (median of the quarter) [s], relative_error, n.
    """
    parts = []
    for arm, diagnosis in found.items():
        rows = diagnosis.errors.query("bin != 'all'")
        columns = {"delta_t": rows["delta_t"], "relative_error": rows["model"], "n": rows["n"]}
        parts.append(pd.DataFrame(columns).assign(env=diagnosis.env, **arm.keys(), seed=seed))
    return pd.concat(parts, ignore_index=True)
