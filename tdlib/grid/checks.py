"""Fail the build where a model has not learned, a table misses an arm, or a figure is missing."""

import argparse
import itertools
import sys
from collections.abc import Callable, Iterable, Sequence

import pandas as pd

from tdlib.core.facts import POOLED
from tdlib.data.sources.ppo_settings import has_ppo
from tdlib.evaluation import MEASURES
from tdlib.evaluation.measures import SKIPPED
from tdlib.evaluation.measures.velocity_field import equilibria
from tdlib.evaluation.tables import ARM_COLUMNS, frequency_label
from tdlib.figures.selection import key_arms, main_model
from tdlib.grid.jobs import fills_the_book
from tdlib.grid.times import write_times
from tdlib.models import DynamicsModel, find_family
from tdlib.study.arms import Arm
from tdlib.study.chapters import STUDY
from tdlib.study.contrasts import CONTRASTS
from tdlib.study.presets import PresetError
from tdlib.study.run import Run, open_run
from tdlib.study.selection import arms_of
from tdlib.study.statistics import load_tables
from tdlib.systems import SYSTEMS

Arms = Sequence[Arm]


def _fields(arms: Arms) -> bool:
    return any(arm.method == "ode" for arm in arms)


def _velocities(arms: Arms) -> bool:
    return _fields(arms) or any(arm.model == main_model() and arm.method == "baseline" for arm in arms)


def _maps(arms: Arms) -> bool:
    return any(arm.source == arm and not _remembers(find_family(arm.model).model) for arm in arms)


def _remembers(model: type) -> bool:
    return issubclass(model, DynamicsModel) and model.remembers()


def _ensembles(arms: Arms) -> bool:
    return any(_has_spread(arm) for arm in arms)


def _has_spread(arm: Arm) -> bool:
    return arm.source is not None and find_family(arm.model).has_spread


def _pooled(arms: Arms) -> bool:
    return any(arm.data == POOLED for arm in arms)


def _key_arms(arms: Arms) -> bool:
    return any((arm.model, arm.method, arm.form, arm.train_frequency) in key_arms() for arm in arms)


def _main_model(arms: Arms) -> bool:
    return any(arm.model == main_model() for arm in arms)


def _contrasts(arms: Arms) -> bool:
    known = {(arm.model, arm.method, arm.form, arm.train_frequency) for arm in arms}
    sides = [[(x.model, x.method, x.form, x.train_frequency) for x in (each.a, each.b)] for each in CONTRASTS]
    return any(set(both) <= known for both in sides)


Expected = dict[str, Callable[[Arms], bool] | None]
FIGURES: Expected = {  # name -> of which arms a preset must have some; None: it shows what any preset has
    "ground_truth/plant_change": None,
    "ground_truth/zero_order_hold": None,
    "statistics/contrasts": _contrasts,
    "paper_figures/figure1_heatmaps": _main_model,
    "paper_figures/figure2_horizon": _key_arms,
    "paper_figures/figure3_control": _key_arms,
    "paper_figures/figure4_state_space": _key_arms,
    "paper_figures/figure5_ablations": _main_model,
}
FIGURES_OF_USE = ("own/system", "own/form", "own/model", "own/log")  # only where a run fills the book
FIGURES_PER_ENVIRONMENT: Expected = {
    "data/{}-coverage": None,
    "training/{}-curves": None,
    "training/{}-velocity_field": _velocities,
    "error_heatmaps/{}-mse": None,
    "error_heatmaps/{}-relative": None,
    "limits/{}": _key_arms,
    "own_and_pooled/{}": _pooled,
    "error_vs_horizon/{}": None,
    "trajectory_rollouts/{}": None,
    "state_space/{}": None,
    "consistency/{}-defect": None,
    "consistency/{}-convergence": _fields,
    "ensemble/{}-calibration": _ensembles,
    "control/{}": None,
}
FIGURES_OF: dict[str, tuple[Expected, Expected]] = {  # chapter -> of all systems, of each
    STUDY: (FIGURES, FIGURES_PER_ENVIRONMENT),
    "physics": (
        {"physics/priors": None, "physics/energy": None},
        {
            "training/{}-curves": None,
            "physics/{}-rollout": None,
            "physics/{}-energy": None,
            "physics/{}-dt_generalization": None,
            "limits/{}": None,
        },
    ),
}


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


def check_tables(run: Run, tables: dict[str, pd.DataFrame]) -> list[str]:
    """Every arm must stand in every table that covers it, for every environment, rate and seed."""
    preset = run.preset
    rates = [*map(frequency_label, preset.test_frequencies), "irregular"]
    control_rates = [frequency_label(rate) for rate in preset.control.frequencies]
    everything = arms_of(preset)
    trained = [arm for arm in everything if arm.source == arm]
    fields = [arm for arm in trained if arm.method == "ode"]
    acting = [arm for arm in everything if arm.acts]
    wanted: dict[str, tuple[Iterable[Arm], list[str] | None]] = {
        "one_step_errors": (everything, rates),
        "rollout_errors": (everything, rates),
        "consistency_errors": (everything, None),
        "convergence_test": (fields, None),
        "field_errors": (trained, None),
        "ensemble_calibration": ([arm for arm in trained if _has_spread(arm)], None),
        "training_summary": (trained, None),
    }
    if preset.chapter == STUDY:
        wanted["control_performance"] = acting, control_rates
    else:
        wanted |= {"energy_drift": (everything, rates), "dt_generalization": (everything, None)}
    problems = []
    for name, (arms, frequencies) in wanted.items():
        arms = list(arms)
        if arms and name not in tables:
            problems.append(f"{name}.csv must exist")
        elif arms:
            skipped = _skipped(name, tables)
            arms = [arm for arm in arms if tuple(arm.keys().values()) not in skipped]
            problems += _missing_rows(run, name, tables[name], arms, frequencies)
    return problems


def check_figures(run: Run) -> list[str]:
    """Every figure named by the book must have been drawn, of those whose arms the preset has."""
    arms = arms_of(run.preset)
    whole, each = FIGURES_OF[run.preset.chapter]
    names = [name for name, needs in whole.items() if needs is None or needs(arms)]
    for env in run.preset.environments:
        names += [name.format(env) for name, needs in each.items() if needs is None or needs(arms)]
    if run.preset.chapter == STUDY:
        names += FIGURES_OF_USE if fills_the_book(run.preset) else ()
        with_poles = [env for env in run.preset.environments if _maps(arms) and equilibria(SYSTEMS[env])]
        names += [f"velocity_fields/{env}-poles" for env in with_poles]
        names += [f"data/{env}-returns" for env in run.preset.environments if has_ppo(env)]
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
    run: Run, name: str, table: pd.DataFrame, arms: list[Arm], frequencies: list[str] | None
) -> list[str]:
    columns = ["env", *ARM_COLUMNS, "seed"] + ([] if frequencies is None else ["test_frequency"])
    present = set(table[columns].drop_duplicates().itertuples(index=False, name=None))
    missing = [
        key
        for env in run.preset.environments
        for arm in arms
        if arm.applies_to(SYSTEMS[env])
        for seed in run.preset.seeds_of(arm)
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
