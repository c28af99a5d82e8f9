"""Phase 3, open loop: every arm of one environment against the exact flow at every rate."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from tdlib.data import load_dataset, split_path
from tdlib.data.sources.ppo_settings import has_ppo
from tdlib.evaluation import (
    MEASURES,
    TestSet,
    build_test_set,
    evaluate_stack,
    merge_tables,
    read_table,
    read_trajectories,
    result_tables,
    velocity_field,
    write_trajectories,
)
from tdlib.figures.videos import SavedVideo, save_rollout_video
from tdlib.study.clock import part
from tdlib.study.phases.collect import data_hashes, main_dataset_path, random_dataset_path
from tdlib.study.phases.stacks import load_arm_stacks, persistence_stack
from tdlib.study.phases.train import weight_hashes
from tdlib.study.progress import Progress
from tdlib.study.provenance import Result, produced, sources_of
from tdlib.study.run import Run
from tdlib.systems import SYSTEMS

TRAJECTORIES = "trajectories"  # the one table that is kept as HDF5
MAIN_RATES, MAIN_FORMS = ("20", "mixed"), ("none", "scaled_concat", "rk4")  # arms whose single errors are kept
NO_MODEL = "none"
VIDEOS = {  # env -> file name -> title and arm
    "Pendulum-v1": {
        "pendulum_baseline_10hz_on_50hz": (
            "baseline of 10 Hz, stepped at 50 Hz",
            {"method": "baseline", "train_frequency": "10"},
        )
    },
    "CartPole-v1": {
        "cartpole_multi_resolution_on_50hz": (
            "multi-resolution, stepped at 50 Hz",
            {"method": "multi_resolution", "form": "scaled_concat", "train_frequency": "mixed"},
        )
    },
}


@part("evaluation")
def evaluate_environment(
    run: Run, env: str, models: Sequence[str] | None = None, seeds: Sequence[int] | None = None
) -> dict[str, pd.DataFrame]:
    """Evaluate what is missing and return the tables of the chosen models, with persistence beside them.

    Args:
        run: Preset and folders.
        env: One of the preset's environments.
        models: Some of the preset's models; None or empty for all.
        seeds: Some of the preset's seeds; None or empty for all.
    """
    env, models, seeds = run.select_environment(env), run.select_models(models), run.select_seeds(seeds)
    wanted = [NO_MODEL, *models]
    results = {model: _result(run, env, model, seeds) for model in wanted}
    missing = [model for model, result in results.items() if not result.is_current()]
    if missing:
        system = SYSTEMS[env]
        progress = Progress(f"evaluating {env}")
        progress(0, len(missing) + 1)
        test_sets = {seed: load_test_set(run, env, seed) for seed in seeds}
        for i, model in enumerate(missing):
            progress(i + 1, len(missing) + 1)
            stacks = [persistence_stack(env, seeds)] if model == NO_MODEL else load_arm_stacks(run, env, [model], seeds)
            parts = [
                evaluate_stack(stack.dynamics, stack.members, test_sets, system, device=run.device) for stack in stacks
            ]
            results[model].record(_save(run, env, model, merge_tables(parts)))
        progress(len(missing) + 1, len(missing) + 1)
    return load_parts(run, env, wanted)


def load_test_set(run: Run, env: str, seed: int) -> TestSet:
    """Build one seed's test set from the test splits of all rates; `shift` are the random policy's states."""
    rates, evaluation = run.preset.train_frequencies, run.preset.evaluation
    own = [load_dataset(split_path(main_dataset_path(run, env, rate, seed), "test"), rate) for rate in rates]
    other = [load_dataset(split_path(random_dataset_path(run, env, rate, seed), "test"), rate) for rate in rates]
    return build_test_set(
        SYSTEMS[env],
        own,
        seed=seed,
        rates=(*run.preset.test_frequencies, "irregular"),
        num_pairs=evaluation.num_pairs,
        num_starts=evaluation.num_starts,
        horizon=evaluation.horizon,
        shift=other if has_ppo(env) else (),
    )


def metric_tables() -> list[str]:
    """Names of the tables that are kept as CSV: those of every registered measure, and what was skipped."""
    return [name for name in result_tables() if name != TRAJECTORIES]


def load_parts(run: Run, env: str, models: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Load the tables of some models of one environment."""
    tables = {}
    for name in metric_tables():
        paths = [run.layout.part(name, f"{env}-{model}") for model in models]
        frames = [read_table(path) for path in paths if path.exists()]
        if frames:
            tables[name] = pd.concat(frames, ignore_index=True)
    return tables


def example_rollouts(run: Run, env: str) -> pd.DataFrame:
    """Load the saved trajectories of all models of one environment."""
    paths = sorted(run.layout.trajectories.glob(f"{env}-*-rollouts.h5"))
    return pd.concat([read_trajectories(path) for path in paths], ignore_index=True)


def load_velocity_fields(run: Run, env: str) -> pd.DataFrame:
    """Evaluate the fields trained at 20 Hz of the first seed on a plane of states, beside the true field."""
    tables = []
    for model in run.preset.models:
        for stack in load_arm_stacks(run, env, [model], run.preset.seeds[:1]):
            chosen = stack.select(
                lambda key: key["method"] == "ode" and key["form"] == "rk4" and key["train_frequency"] == "20"
            )
            if chosen is not None:
                tables.append(velocity_field(chosen.dynamics, SYSTEMS[env], chosen.keys, device=run.device))
    return pd.concat(tables, ignore_index=True)


@part("figures")
def record_videos(run: Run, env: str) -> list[SavedVideo]:
    """Write the videos of one environment: rollouts of one arm of the first seed at 50 Hz."""
    table = example_rollouts(run, env) if env in VIDEOS else pd.DataFrame()
    videos = []
    for name, (title, wanted) in VIDEOS.get(env, {}).items():
        shown = {**wanted, "model": "jump", "size": "hidden64", "data": "transitions", "test_frequency": "50"}
        chosen = table[table["seed"] == run.preset.seeds[0]]
        for column, value in shown.items():
            chosen = chosen[chosen[column] == value]
        if len(chosen):
            videos.append(save_rollout_video(chosen, run.layout.videos / f"{name}.mp4", title=title))
            produced(run.layout.videos / f"{name}.mp4")
    return videos


def _save(run: Run, env: str, model: str, tables: dict[str, pd.DataFrame]) -> list[Path]:
    """Write the parts of one model; return the files."""
    if "state_errors" in tables:
        points = tables["state_errors"]
        main = points["train_frequency"].isin(MAIN_RATES) & points["form"].isin(MAIN_FORMS)
        tables = {**tables, "state_errors": points[main]}
    part = f"{env}-{model}"
    files = [
        run.save_part(name, part, tables[name]) for name in metric_tables() if name in tables and len(tables[name])
    ]
    if TRAJECTORIES in tables:
        path = run.layout.trajectories / f"{part}-rollouts.h5"
        write_trajectories(path, tables[TRAJECTORIES])
        files.append(path)
    return files


def _result(run: Run, env: str, model: str, seeds: Sequence[int]) -> Result:
    paths = {"main": main_dataset_path, "random": random_dataset_path}
    models, measures = [] if model == NO_MODEL else [model], list(MEASURES)
    return Result(
        run.layout.part("evaluation", f"{env}-{model}").with_suffix(".yaml"),
        sources=sources_of(
            __name__, "tdlib.study.phases.stacks", "tdlib.study.arms", system=env, models=models, measures=measures
        ),
        env=env,
        model=model,
        measures=measures,
        seeds=seeds,
        evaluation=run.preset.evaluation.model_dump(),
        rates=run.preset.test_frequencies,
        data={name: data_hashes(run, env, seeds, "test", which) for name, which in paths.items()},
        weights=weight_hashes(run, env, models, seeds),
    )
