"""Phase 2: train every arm of one environment that is not trained yet, one fit per model family."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import pandas as pd

from tdlib.core.facts import ARM_COLUMNS
from tdlib.core.files import parse_yaml
from tdlib.data import DatasetError
from tdlib.evaluation.tables import MEMBER_COLUMNS
from tdlib.figures.training import draw_training_curves
from tdlib.study.arms import Arm, build_arm
from tdlib.study.clock import part
from tdlib.study.phases.collect import ensure_collected
from tdlib.study.phases.seed_data import SeedData, data_hashes_of, load_seed_data
from tdlib.study.progress import Progress
from tdlib.study.provenance import STAMP, Result, file_hash, read_stamp, sources_of
from tdlib.study.run import Run
from tdlib.study.selection import Member, Selection, arms_of, everything
from tdlib.systems import SYSTEMS
from tdlib.training import (
    Budget,
    FitResult,
    Trial,
    UnfinishedFit,
    delta_t_support,
    fit,
    fit_key,
    save_checkpoint,
)
from tdlib.training.checkpoint import CONFIG_FILE, CURVES_FILE, MODEL_FILE

SEED_DATA = "tdlib.study.phases.seed_data"


class Watched(Protocol):
    """Looks at models while they learn, and keeps what it saw in files beside their checkpoints."""

    def __call__(self, trial: Trial, step: int, curves: pd.DataFrame) -> None:
        """Look at a model after a validation."""

    def files(self, trial: Trial) -> list[Path]:
        """Return what was written of a trial."""


def train_environment(run: Run, env: str, chosen: Selection | None = None) -> pd.DataFrame:
    """Train what is missing and return the training summary, one row per checkpoint.

    Args:
        run: Preset and folders.
        env: One of the preset's environments.
        chosen: A part of the grid; None for all of it.
    """
    env, chosen = run.select_environment(env), (chosen or everything(run)).on(env)
    ensure_trained(run, env, chosen)
    for model in dict.fromkeys(arm.model for arm in chosen.trained):  # of all that stands, chosen now or before
        arms = [arm for arm in arms_of(run.preset, env) if arm.source == arm and arm.model == model]
        results = _results(run, env, arms, _hashes_there(run, env))
        rows = [summary_row(run, env, *member) for member, result in results.items() if result.is_current()]
        # other parts of the grid add to it: what answers for it is a job of the whole
        run.save_part(
            "training_summary", f"{env}-{model}", pd.concat(rows, ignore_index=True), shared=bool(chosen.label)
        )
    rows = [summary_row(run, env, *member) for member in chosen.trained_members]
    own = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()
    return run.with_taken("training_summary", own, env) if rows and not chosen.label else own


@part("training")
def ensure_trained(run: Run, env: str, chosen: Selection | None = None) -> None:
    """Train the arms of one environment that have no checkpoint of these data, settings and code."""
    env, chosen = run.select_environment(env), (chosen or everything(run)).on(env)
    members = chosen.trained_members
    if not members:
        return
    seeds = [seed for seed in chosen.seeds if any(own == seed for _, own in members)]
    ensure_collected(run, env, seeds)
    hashes = {seed: data_hashes_of(run, env, seed) for seed in seeds}
    results = {
        member: found for member, found in _results(run, env, chosen.trained, hashes).items() if member in members
    }
    data: dict[int, SeedData] = {}

    def trial(arm: Arm, seed: int) -> Trial:
        if seed not in data:
            data[seed] = load_seed_data(run, env, seed)
        return trial_of(env, arm, seed, data[seed])

    train_missing(run, env, results, trial, hashes)


def train_missing(
    run: Run,
    env: str,
    results: Mapping[Member, Result],
    trial: Callable[[Arm, int], Trial],
    hashes: Mapping[int, dict[str, str]],
    watched: Watched | None = None,
) -> None:
    """Train the checkpoints that do not stand, one fit per size, and write them.

    Args:
        run: Preset and folders.
        env: System or set.
        results: The checkpoints by arm and seed.
        trial: Returns an untrained arm of a seed with its data.
        hashes: Content hashes of the data of each seed.
        watched: Looks at the models while they learn.
    """
    missing = [key for key, result in results.items() if not result.is_current()]
    progress = Progress(f"training {env}")
    done = 0
    for size in dict.fromkeys(arm.size for arm, _ in missing):  # one budget per size
        asked = [(arm, seed) for arm, seed in missing if arm.size == size]
        trials = [trial(arm, seed) for arm, seed in asked]
        budget = budget_of(run, size, trials)

        def report(part: int, total: int, before: int = done, count: int = len(trials)) -> None:
            progress(round(1000 * (before + part / max(total, 1) * count)), 1000 * len(missing))

        decides = [results[member].made_from for member in asked], asdict(budget), run.device
        unfinished = UnfinishedFit(run.layout.unfinished, fit_key(*decides))
        made = fit(trials, budget, run.device, report, unfinished, watched)
        for (arm, seed), result in zip(asked, made, strict=True):
            written = [] if watched is None else watched.files(result.trial)
            results[arm, seed].record([*_save(run, env, arm, result, budget, hashes[seed]), *written])
        unfinished.clear()
        done += len(trials)


def training_means(summary: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds of what training reached, one row per arm; empty for no arms, and no number if one diverged."""
    values = ["best_val_loss", "best_step", "final_grad_norm"]
    return summary.groupby(list(ARM_COLUMNS), sort=False)[values].mean(skipna=False) if len(summary) else summary


def load_curves(run: Run, env: str, chosen: Selection | None = None) -> pd.DataFrame:
    """Load all training curves of one environment with their key columns."""
    chosen = (chosen or everything(run)).on(env)
    parts = []
    for arm, seed in chosen.trained_members:
        curves = pd.read_csv(model_folder(run, env, arm, seed) / CURVES_FILE)
        parts.append(curves.assign(env=env, **arm.keys(), seed=seed))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["env", *MEMBER_COLUMNS])


def model_folder(run: Run, env: str, arm: Arm, seed: int) -> Path:
    """Folder of one checkpoint."""
    return run.layout.model_folder(env, arm.model, arm.folder, seed)


def weight_hash(run: Run, env: str, arm: Arm, seed: int) -> str | None:
    """Return the hash of the weights that an arm predicts with, to know whether what was made from them stands."""
    return None if arm.source is None else file_hash(model_folder(run, env, arm.source, seed) / MODEL_FILE)


def _hashes_there(run: Run, env: str) -> dict[int, dict[str, str]]:
    """Return the hashes of the data of every seed that has any."""
    found = {}
    for seed in run.preset.own_seeds:
        with contextlib.suppress(DatasetError):
            found[seed] = data_hashes_of(run, env, seed)
    return found


def trial_of(env: str, arm: Arm, seed: int, data: SeedData) -> Trial:
    """Return an untrained arm with its data."""
    train, val = data.parts(arm)
    return Trial(
        arm,
        seed,
        build_arm(arm, SYSTEMS[env].spec, seed),
        [part for part, _ in train],
        [part for part, _ in val],
        [offsets for _, offsets in train],
        [offsets for _, offsets in val],
    )


def budget_of(run: Run, size: str, trials: Sequence[Trial]) -> Budget:
    """Return the budget of the trials of one size; one in epochs counts those of the largest training set."""
    training = run.preset.training
    largest = max(sum(len(part) for part in trial.train) for trial in trials)
    # one validation per epoch, so that patience counts epochs
    num_validations = Budget.num_validations if training.num_epochs is None else training.num_epochs
    return Budget(
        num_steps=training.steps(size, largest),
        learning_rate=training.learning_rate,
        batch_size=training.batch_size,
        loss=training.loss,
        num_validations=num_validations,
    )


def _results(
    run: Run, env: str, arms: Sequence[Arm], hashes: dict[int, dict[str, str]]
) -> dict[tuple[Arm, int], Result]:
    """Return the checkpoints of arms as results, by arm and seed."""
    sources = {
        model: sources_of(__name__, SEED_DATA, "tdlib.study.arms", system=env, models=[model])
        for model in dict.fromkeys(arm.model for arm in arms)
    }
    return {
        (arm, seed): checkpoint_result(run, env, arm, seed, hashes[seed], sources[arm.model])
        for arm in arms
        for seed in hashes
    }


def checkpoint_result(run: Run, env: str, arm: Arm, seed: int, hashes: dict[str, str], sources: str) -> Result:
    """Return a checkpoint as a result: it depends on its arm, data, settings, and the source that makes it."""
    training = run.preset.training
    return Result(
        model_folder(run, env, arm, seed) / STAMP,
        sources=sources,
        env=env,
        arm=arm.keys(),
        seed=seed,
        data=hashes,
        training=training.model_dump(exclude={"num_steps_large"} if arm.size == "hidden64" else None),
    )


def _save(run: Run, env: str, arm: Arm, result: FitResult, budget: Budget, hashes: dict[str, str]) -> list[Path]:
    """Write a checkpoint and the picture of its curves; return the files."""
    trial = result.trial
    folder = model_folder(run, env, arm, trial.seed)
    config = {
        "env": env,
        **arm.keys(),
        "seed": trial.seed,
        "num_steps": budget.num_steps,
        "learning_rate": budget.learning_rate,
        "batch_size": budget.batch_size,
        "loss": budget.loss,
        "num_transitions": sum(len(part) for part in trial.train),
        "delta_t_support": delta_t_support(trial.train),
        "data_hashes": hashes,
        "metrics": {
            "best_val_loss": result.best_val_loss,
            "best_step": result.best_step,
            "stopped": result.stopped,
            "seconds": result.seconds,
            "final_grad_norm": float(result.curves["grad_norm"].iloc[-1]),
        },
    }
    save_checkpoint(folder, result.model, config, result.curves)
    with part("figures"):
        draw_training_curves(folder / CURVES_FILE, (folder / CURVES_FILE).with_suffix(".png"))
    names = (MODEL_FILE, CONFIG_FILE, CURVES_FILE)
    return [*(folder / name for name in names), (folder / CURVES_FILE).with_suffix(".png")]


def summary_row(run: Run, env: str, arm: Arm, seed: int) -> pd.DataFrame:
    """Return what training reached of one checkpoint, with its key columns."""
    folder = model_folder(run, env, arm, seed)
    config = parse_yaml((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    commit = read_stamp(folder / STAMP).get("git_commit", "")
    row = {"env": env, **arm.keys(), "seed": seed, **config["metrics"], "git_commit": commit}
    row["n"] = config["num_transitions"]
    return pd.DataFrame([row])
