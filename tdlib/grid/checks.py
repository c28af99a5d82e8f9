"""Fail the build where a model has not learned, a table misses an arm, or a figure is missing."""

import argparse
import itertools
import sys
from collections.abc import Sequence

import pandas as pd

from tdlib.evaluation import MEASURES
from tdlib.evaluation.measures import SKIPPED
from tdlib.evaluation.tables import ARM_COLUMNS, frequency_label
from tdlib.figures.selection import main_model
from tdlib.grid.times import write_times
from tdlib.study.arms import Arm
from tdlib.study.chapters import load_chapter
from tdlib.study.presets import PresetError
from tdlib.study.run import Run, open_run
from tdlib.study.selection import arms_of
from tdlib.study.statistics import load_tables
from tdlib.systems import SYSTEMS


def check_learned(run: Run, tables: dict[str, pd.DataFrame]) -> list[str]:
    """Own-rate relative error of the main model's baselines, mean over seeds, must stay below the preset's threshold.

    Only systems that the threshold is stated for are looked at.
    """
    checked, model = [env for env in run.preset.environments if SYSTEMS[env].collection.checked], main_model()
    if not checked or model not in run.preset.models:
        return []
    errors = tables["one_step_errors"]
    problems = []
    for env, rate in itertools.product(checked, map(frequency_label, run.preset.train_frequencies)):
        own = errors[
            (errors["env"] == env)
            & (errors["model"] == model)
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
                f"own-rate relative error of the {model} baseline of {env} at {rate} Hz must be below "
                f"{run.preset.checks.max_own_rate_error}, got {own:.3g}"
            )
    return problems


def check_tables(run: Run, tables: dict[str, pd.DataFrame], seeds: Sequence[int] | None = None) -> list[str]:
    """Every arm must stand in every table that covers it, for every environment, rate and seed.

    An arm of which the run says that a table's measure could not be taken need not; if it is so of all of them, as of a
    comparison of two rates in a preset of one, the table need not be there.

    Args:
        run: Preset and folders.
        tables: Merged result tables.
        seeds: Some of the preset's seeds; None for all.
    """
    preset, problems = run.preset, []
    there = dict.fromkeys(arm for env in preset.environments for arm in arms_of(preset, env))
    for name, rows in load_chapter(preset.chapter).tables.items():
        skipped = _skipped(name, tables)
        arms = [arm for arm in there if rows.arms(arm) and tuple(arm.keys().values()) not in skipped]
        if arms and name not in tables:
            problems.append(f"{name}.csv must exist")
        elif arms:
            rates = None if rows.rates is None else rows.rates(preset)
            problems += _missing_rows(run, name, tables[name], arms, rates, seeds or run.preset.seeds)
    return problems


def check_figures(run: Run) -> list[str]:
    """Every figure that the chapter names must have been drawn, of those that the preset has."""
    chapter = load_chapter(run.preset.chapter)
    names = [
        name.format(env)
        for name, needs in chapter.figures.items()
        for env in (run.preset.environments if "{}" in name else [""])
        if needs is None or needs(run.preset, env)
    ]
    names += [name.format(seen) for name in chapter.seen_figures for seen in run.preset.seen_sets]
    return [f"figure {name}.png must exist" for name in names if not (run.layout.figures / f"{name}.png").is_file()]


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


def _skipped(name: str, tables: dict[str, pd.DataFrame]) -> set[tuple]:
    """Return the arms of which a table says that its measure could not be taken."""
    table = tables.get(SKIPPED)
    if table is None or not len(table):
        return set()
    measures = [measure.name for measure in MEASURES.values() if name in measure.tables]
    rows = table[table["measure"].isin(measures)]
    return set(rows[list(ARM_COLUMNS)].itertuples(index=False, name=None))


def _missing_rows(
    run: Run, name: str, table: pd.DataFrame, arms: list[Arm], frequencies: Sequence[str] | None, seeds: Sequence[int]
) -> list[str]:
    columns = ["env", *ARM_COLUMNS, "seed"] + ([] if frequencies is None else ["test_frequency"])
    there = {env: arms_of(run.preset, env) for env in run.preset.environments}
    present = set(table[columns].drop_duplicates().itertuples(index=False, name=None))
    missing = [
        key
        for env in run.preset.environments
        for arm in arms
        if arm in there[env]
        for seed in run.preset.seeds_of(arm)
        if seed in seeds
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
