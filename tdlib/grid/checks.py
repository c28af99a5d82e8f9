"""Fail the build where a model has not learned, a table misses an arm, or a figure is missing."""

import argparse
import sys
from collections.abc import Iterable

import pandas as pd

from tdlib.data.sources.ppo_settings import has_ppo
from tdlib.evaluation.tables import ARM_COLUMNS, frequency_label
from tdlib.grid.times import write_times
from tdlib.study.arms import Arm, all_arms, trained_arms
from tdlib.study.presets import PresetError
from tdlib.study.run import Run, open_run
from tdlib.study.statistics import load_tables

LEARNING_ENVIRONMENT = "Pendulum-v1"  # the threshold is stated for it
FIGURES = (
    "ground_truth/plant_change",
    "ground_truth/zero_order_hold",
    "statistics/contrasts",
    "paper_figures/figure1_heatmaps",
    "paper_figures/figure2_horizon",
    "paper_figures/figure3_control",
    "paper_figures/figure4_state_space",
    "paper_figures/figure5_ablations",
)
FIGURES_PER_ENVIRONMENT = (
    "data/{}-coverage",
    "training/{}-curves",
    "training/{}-velocity_field",
    "error_heatmaps/{}-mse",
    "error_heatmaps/{}-relative",
    "limits/{}",
    "error_vs_horizon/{}",
    "trajectory_rollouts/{}",
    "state_space/{}",
    "consistency/{}-defect",
    "consistency/{}-convergence",
    "ensemble/{}-calibration",
    "control/{}",
)


def check_learned(run: Run, tables: dict[str, pd.DataFrame]) -> list[str]:
    """Own-rate relative error of Pendulum's jump baselines, mean over seeds, must stay below the preset's threshold."""
    if LEARNING_ENVIRONMENT not in run.preset.environments or "jump" not in run.preset.models:
        return []
    errors = tables["one_step_errors"]
    problems = []
    for rate in map(frequency_label, run.preset.train_frequencies):
        own = errors[
            (errors["env"] == LEARNING_ENVIRONMENT)
            & (errors["model"] == "jump")
            & (errors["method"] == "baseline")
            & (errors["size"] == "hidden64")
            & (errors["data"] == "transitions")
            & (errors["train_frequency"] == rate)
            & (errors["test_frequency"] == rate)
            & (errors["test_set"] == "pooled")
            & (errors["dimension"] == "all")
        ]["relative_error"].mean()
        if not own < run.preset.checks.max_own_rate_error:
            problems.append(
                f"own-rate relative error of the jump baseline at {rate} Hz must be below "
                f"{run.preset.checks.max_own_rate_error}, got {own:.3g}"
            )
    return problems


def check_tables(run: Run, tables: dict[str, pd.DataFrame]) -> list[str]:
    """Every arm must stand in every table that covers it, for every environment, rate and seed."""
    preset = run.preset
    rates = [*map(frequency_label, preset.test_frequencies), "irregular"]
    control_rates = [frequency_label(rate) for rate in preset.control.frequencies]
    everything = all_arms(preset.models, preset.sizes)
    trained = trained_arms(preset.models, preset.sizes)
    fields = [arm for arm in trained if arm.method == "ode"]
    acting = [arm for arm in everything if arm.method != "persistence"]  # plans that change nothing have no order
    wanted: dict[str, tuple[Iterable[Arm], list[str] | None]] = {
        "one_step_errors": (everything, rates),
        "rollout_errors": (everything, rates),
        "consistency_errors": (everything, None),
        "convergence_test": (fields, None),
        "ensemble_calibration": ([arm for arm in trained if arm.model == "ensemble"], None),
        "control_performance": (acting, control_rates),
        "training_summary": (trained, None),
    }
    problems = []
    for name, (arms, frequencies) in wanted.items():
        arms = list(arms)
        if arms and name not in tables:
            problems.append(f"{name}.csv must exist")
        elif arms:
            problems += _missing_rows(run, name, tables[name], arms, frequencies)
    return problems


def check_figures(run: Run) -> list[str]:
    """Every figure named by the book must have been drawn."""
    names = [*FIGURES, *(name.format(env) for env in run.preset.environments for name in FIGURES_PER_ENVIRONMENT)]
    names += [f"data/{env}-returns" for env in run.preset.environments if has_ppo(env)]
    return [
        f"figure {name}.png must exist" for name in names if not (run.layout.figures / f"{name}.png").is_file()
    ]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tdlib.grid.checks", description=__doc__)
    parser.add_argument("preset")
    try:
        run = open_run(parser.parse_args(arguments).preset)
    except PresetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    tables = load_tables(run)
    problems = [*check_tables(run, tables), *check_learned(run, tables), *check_figures(run)]
    for problem in problems:
        print(f"check failed: {problem}", file=sys.stderr)
    if not problems:
        write_times(run)
        print(f"checks of preset {run.preset.name}: every arm in every table, models have learned, every figure drawn")
    return 1 if problems else 0


def _missing_rows(
    run: Run, name: str, table: pd.DataFrame, arms: list[Arm], frequencies: list[str] | None
) -> list[str]:
    columns = ["env", *ARM_COLUMNS, "seed"] + ([] if frequencies is None else ["test_frequency"])
    present = set(table[columns].drop_duplicates().itertuples(index=False, name=None))
    missing = [
        key
        for env in run.preset.environments
        for arm in arms
        for seed in run.preset.seeds
        for key in (
            [(env, *arm.keys().values(), seed)]
            if frequencies is None
            else [(env, *arm.keys().values(), seed, rate) for rate in frequencies]
        )
        if key not in present
    ]
    return [f"{name}.csv must hold every arm, {len(missing)} are missing, first {missing[0]}"] if missing else []


if __name__ == "__main__":
    sys.exit(main())
