"""Phase 3, open loop: every arm of one environment against the exact flow at every rate."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from tdlib.core.facts import FINEST, MIXED, TRANSITIONS, data_of
from tdlib.data import DatasetError, load_dataset, split_path
from tdlib.data.sources.ppo_settings import has_ppo
from tdlib.evaluation import (
    PairSet,
    RolloutFile,
    TestSet,
    build_pairs,
    build_test_set,
    evaluate_stack,
    load_rollouts,
    merge_tables,
    read_table,
    result_tables,
    stored_rates,
    velocity_field,
)
from tdlib.evaluation.tables import frequency_label
from tdlib.figures.selection import MAIN_RATE, main_model
from tdlib.figures.style import METHOD_LABELS
from tdlib.figures.videos import SavedVideo, save_rollout_video
from tdlib.study.arms import DEFAULT_SIZE, Arm, rates_of
from tdlib.study.chapters import measures_of
from tdlib.study.clock import part
from tdlib.study.parts import ensure_members, member_name, rows_of
from tdlib.study.phases.collect import data_hashes, friction_dataset_path, main_dataset_path, random_dataset_path
from tdlib.study.phases.stacks import load_stacks
from tdlib.study.phases.train import weight_hash
from tdlib.study.progress import Progress
from tdlib.study.provenance import Result, commit_of_memory, produced, sources_of
from tdlib.study.run import Missing, Run
from tdlib.study.selection import NO_MODEL, Member, Selection, arms_of, everything
from tdlib.systems import SYSTEMS

EXAMPLES = 3  # starts of every member and training rate that pictures and videos are made of
MAIN_FORMS = ("none", "scaled_concat", "rk4")  # of the arms whose single errors are kept


@part("evaluation")
def evaluate_environment(run: Run, env: str, chosen: Selection | None = None) -> dict[str, pd.DataFrame]:
    """Evaluate what is missing and return the tables of what was chosen, with persistence beside it.

    Args:
        run: Preset and folders.
        env: One of the preset's environments.
        chosen: A part of the grid; None for all of it.
    """
    env, chosen = run.select_environment(env), (chosen or everything(run)).on(env)
    models = [NO_MODEL, *chosen.models]
    results = {model: _result(run, env, model) for model in models}
    kept = {model: RolloutFile(rollouts_path(run, env, model), SYSTEMS[env].spec) for model in models}

    def make(missing: dict[str, list[Member]]) -> dict[str, dict[str, pd.DataFrame]]:
        made, measures = {}, measures_of(run.preset.chapter)
        progress = Progress(f"evaluating {env}")
        progress(0, len(missing) + 1)
        rates = [frequency_label(rate) for rate in run.preset.train_frequencies]
        asked = sorted({(friction_of(arm), seed) for members in missing.values() for arm, seed in members})
        test_sets = {(factor, seed): load_test_set(run, env, seed, factor) for factor, seed in asked}
        for i, (model, members) in enumerate(missing.items()):
            progress(i + 1, len(missing) + 1)
            shown: dict[str, dict[str, object]] = {"points": {"rates": rates}, "rollout": {"keep": kept[model].add}}
            if (steps := run.preset.evaluation.num_steps) is not None:
                shown["dt_generalization"] = {"num_steps": steps}
            if (horizon := run.preset.evaluation.imagined) is not None:
                shown["imagined"] = {"horizon": horizon}
            parts = []
            for factor in dict.fromkeys(friction_of(arm) for arm, _ in members):
                tested = [member for member in members if friction_of(member[0]) == factor]
                own = {seed: test_sets[factor, seed] for _, seed in tested}
                # a file of rollouts holds one truth per seed, that of the system as it is
                told = shown if factor == 1 else {name: each for name, each in shown.items() if name != "rollout"}
                system = SYSTEMS[env].with_losses(factor)
                parts += [
                    evaluate_stack(
                        stack.dynamics, stack.members, own, system, measures=measures, options=told, device=run.device
                    )
                    for stack in load_stacks(run, env, tested)
                ]
            made[model] = merge_tables(parts)
        progress(len(missing) + 1, len(missing) + 1)
        return made

    def save(model: str, tables: dict[str, pd.DataFrame], standing: set[str]) -> list[Path]:
        members = list(results[model][1])
        return save_part(run, env, model, tables) + kept[model].write(members, standing, commit_of_memory())

    chosen_members = {model: chosen.members(model) for model in models}
    ensure_members(results, chosen_members, lambda model: load_part(run, env, model), make, save)
    return load_parts(run, env, models, chosen)


def friction_of(arm: Arm) -> float:
    """Return how many times the losses of its system an arm is trained and tested with."""
    return data_of(arm.data).friction


def load_test_set(run: Run, env: str, seed: int, friction: float = 1.0) -> TestSet:
    """Build one seed's test set from the test splits of all rates; `shift` are the random policy's states.

    Args:
        run: Preset and folders.
        env: One of the preset's environments.
        seed: Seed.
        friction: Times the losses of the system; the sets of this factor are those that variations train on.
    """
    evaluation = run.preset.evaluation
    return build_test_set(
        SYSTEMS[env].with_losses(friction),
        seed=seed,
        num_starts=evaluation.num_starts,
        horizon=evaluation.horizon,
        hold=evaluation.hold,
        **_asked_of(run, env, seed, friction),
    )


def load_pairs(run: Run, env: str, seed: int, friction: float = 1.0) -> dict[str, PairSet]:
    """Build the pair sets of `load_test_set` by name, without pasts and without each rate's own states."""
    system = SYSTEMS[env].with_losses(friction)
    return build_pairs(system, seed=seed, own_states=False, **_asked_of(run, env, seed, friction))


def _asked_of(run: Run, env: str, seed: int, friction: float) -> dict[str, Any]:
    """Data, rates and number of pairs."""
    rates, evaluation = run.preset.train_frequencies, run.preset.evaluation
    place = main_dataset_path if friction == 1 else partial(friction_dataset_path, factor=friction)
    own = [load_dataset(split_path(place(run, env, rate, seed), "test"), rate) for rate in rates]
    other = [load_dataset(split_path(random_dataset_path(run, env, rate, seed), "test"), rate) for rate in rates]
    return {
        "datasets": own,
        "rates": (*run.preset.test_frequencies, "irregular"),
        "num_pairs": evaluation.num_pairs,
        "shift": other if has_ppo(env) else (),
    }


def main_rate(run: Run) -> str:
    """Return the training rate that figures of one rate show: 20 Hz, or the middle one of the preset's."""
    return rates_of([MAIN_RATE], [frequency_label(rate) for rate in run.preset.train_frequencies])[0]


def rollouts_path(run: Run, env: str, model: str) -> Path:
    """Return the file of all rollouts of one model; `load_rollouts` reads it."""
    return run.layout.trajectories / f"{env}-{model}-rollouts.h5"


def load_parts(run: Run, env: str, models: Sequence[str], chosen: Selection | None = None) -> dict[str, pd.DataFrame]:
    """Load the tables of some models of one environment; of some arms and seeds if they are chosen.

    Where all are wanted, the rows of seeds that are taken from earlier runs stand beside the run's own.
    """
    parts = {model: load_part(run, env, model) for model in models}
    if chosen is not None:
        for model, part in parts.items():
            members = {member_name(*member) for member in chosen.members(model)}
            parts[model] = {name: rows_of(table, members) for name, table in part.items()}
    tables = merge_tables(list(parts.values()))
    if run.preset.taken and (chosen is None or not chosen.label):
        for name in result_tables():
            table = run.with_taken(name, tables.get(name, pd.DataFrame()), env, models)
            if len(table):
                tables[name] = table
    return tables


def example_rollouts(run: Run, env: str, chosen: Selection | None = None) -> pd.DataFrame:
    """Load the first rollouts at the training rates of what was chosen of one environment, and of persistence."""
    chosen = (chosen or everything(run)).on(env)
    rates, frames = [frequency_label(rate) for rate in run.preset.train_frequencies], []
    for model in (NO_MODEL, *chosen.models):
        path = rollouts_path(run, env, model)
        for rate in [rate for rate in stored_rates(path) if rate in rates] if path.is_file() else []:
            members = {member_name(*member) for member in chosen.members(model)}
            frames.append(rows_of(load_rollouts(path, rate).table(EXAMPLES), members))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def load_velocity_fields(run: Run, env: str, chosen: Selection | None = None) -> pd.DataFrame:
    """Evaluate the chosen fields, and the main model's map, of the middle training rate and the first seed on a plane.

    Beside them stand the true field and the exact map's. Without any of them among what was chosen the table is empty.
    """
    chosen = (chosen or everything(run)).on(env)
    wanted = {("ode", "rk4"), ("baseline", "none")}
    arms = [
        arm
        for arm in chosen.arms
        if (arm.method, arm.form) in wanted and (arm.method == "ode" or arm.model == main_model())
        if (arm.train_frequency, arm.size, arm.data) == (main_rate(run), DEFAULT_SIZE, TRANSITIONS)
    ]
    tables = [
        velocity_field(stack.dynamics, SYSTEMS[env], stack.keys, device=run.device)
        for stack in load_stacks(run, env, [(arm, seed) for arm in arms for seed in chosen.seeds_of(arm)[:1]])
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


@dataclass(frozen=True)
class Film:
    """A video of rollouts at the finest rate.

    Args:
        arm: Whose, by the key columns that decide.
        name: Name of the file without its ending.
        title: Shown on top.
    """

    arm: dict[str, str]
    name: str
    title: str


def film_of(env: str) -> Film | None:
    """Return what a system declares to be filmed, of the main model; None if nothing."""
    declared = SYSTEMS[env].views.film
    if declared is None:
        return None
    method, form, rate = declared
    single = rate[0].isdigit()
    arm = {"model": main_model(), "method": method, "form": form, "train_frequency": rate}
    name = f"{env.partition('-')[0].lower()}_{method}" + (f"_{rate}hz" if single else "") + f"_on_{FINEST}hz"
    title = METHOD_LABELS.get(method, method) + (f" of {rate} Hz" if single else "") + f", stepped at {FINEST} Hz"
    return Film(arm, name, title)


@part("figures")
def record_videos(run: Run, env: str, chosen: Selection | None = None) -> list[SavedVideo | Missing]:
    """Write the videos of one environment: rollouts of one arm of the first seed at 50 Hz."""
    film = film_of(env)
    table = pd.DataFrame() if film is None else example_rollouts(run, env, chosen)
    if film is None or table.empty:
        return [Missing(f"no videos of {env}: none is declared, or nothing that they show was chosen")]
    rows = table[table["seed"] == run.preset.own_seeds[0]]
    for column, value in {**film.arm, "size": "hidden64", "data": "transitions", "test_frequency": FINEST}.items():
        rows = rows[rows[column] == value]
    if rows.empty:
        return []
    path = run.layout.videos / f"{film.name}.mp4"
    video = save_rollout_video(rows, path, title=film.title)
    produced(path)
    return [video]


def load_part(run: Run, env: str, model: str) -> dict[str, pd.DataFrame]:
    """Load what stands of the tables of one model."""
    paths = {name: run.layout.part(name, f"{env}-{model}") for name in result_tables()}
    return {name: read_table(path) for name, path in paths.items() if path.is_file()}


def save_part(run: Run, env: str, model: str, tables: dict[str, pd.DataFrame]) -> list[Path]:
    """Write the parts of one model; return the files."""
    if "state_errors" in tables:  # of the main arms, and of one seed
        points = tables["state_errors"]
        main = points["train_frequency"].isin([main_rate(run), MIXED]) & points["form"].isin(MAIN_FORMS)
        tables = {**tables, "state_errors": points[main & (points["seed"] == points["seed"].min())]}
    files = []
    for name in result_tables():
        part = run.layout.part(name, f"{env}-{model}")
        if name in tables and len(tables[name]):
            files.append(run.save_part(name, f"{env}-{model}", tables[name]))
        else:
            part.unlink(missing_ok=True)
    return files


def _result(run: Run, env: str, model: str) -> tuple[Result, dict[str, object]]:
    """Return the tables of one model as a result, and what each of its members depends on."""
    paths = {"main": main_dataset_path, "random": random_dataset_path}
    models, measures = [] if model == NO_MODEL else [model], measures_of(run.preset.chapter)
    roots = (__name__, "tdlib.study.phases.stacks", "tdlib.study.arms")
    result = Result(
        run.layout.part("evaluation", f"{env}-{model}").with_suffix(".yaml"),
        sources=sources_of(*roots, system=env, models=models, measures=measures),
        env=env,
        model=model,
        measures=measures,
        evaluation=run.preset.evaluation.model_dump(exclude_none=True),
        rates=run.preset.test_frequencies,
    )
    members: dict[str, object] = {}
    for seed in run.preset.own_seeds:
        with contextlib.suppress(DatasetError):  # another seed need not be there yet
            data = {name: data_hashes(run, env, [seed], "test", which) for name, which in paths.items()}
            others = {
                factor: data_hashes(run, env, [seed], "test", partial(friction_dataset_path, factor=factor))
                for factor in run.preset.frictions(env)
            }
            for arm in arms_of(run.preset, env):
                if arm.model == model and seed in run.preset.own_seeds_of(arm):
                    tested = others.get(friction_of(arm), data)
                    members[member_name(arm, seed)] = [weight_hash(run, env, arm, seed), tested]
    return result, members
