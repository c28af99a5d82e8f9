"""Sets of which a part is seen: collect them, train each model on them at their one rate, and score it far ahead.

What a run has at other rates has no place here: the truth at another Δt would need what is hidden. A set that MuJoCo
makes needs the extra of pyproject.toml while it is collected, and not afterwards.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from tdlib.core.time_grid import TOLERANCE, rate_label
from tdlib.data import TransitionDataset, load_dataset, split_path
from tdlib.data.sources.partly_seen import lacking_packages, write_partly_seen
from tdlib.evaluation import TestSet, build_test_set, evaluate_stack, merge_tables
from tdlib.evaluation.measures.imagined import NUM_WINDOWS, WINDOW
from tdlib.study.arms import PERSISTENCE, Arm, build_arm
from tdlib.study.clock import part
from tdlib.study.parts import ensure_members, member_name
from tdlib.study.phases.collect import content_hash_of
from tdlib.study.phases.evaluate import load_part, load_parts, save_part
from tdlib.study.phases.seed_data import as_part
from tdlib.study.phases.stacks import load_stacks
from tdlib.study.phases.train import checkpoint_result, summary_row, train_missing, weight_hash
from tdlib.study.presets import PresetError
from tdlib.study.provenance import STAMP, Result, sources_of
from tdlib.study.run import Run
from tdlib.study.selection import NO_MODEL, Member, Selection, arms_of, check_choice
from tdlib.training import Trial

MEASURED = ("imagined",)
SOURCE = "tdlib.data.sources.partly_seen"
EXTRA = 'pip install -e ".[mujoco]"'


def select_seen(run: Run, name: str, models: Sequence[str] = (), seeds: Sequence[int] = ()) -> Selection:
    """Choose some models and seeds of a set; empty for all.

    Raises:
        PresetError: If the preset has no such set, or a model or seed is not among those of the set.
    """
    preset = run.preset
    check_choice("seen", tuple(preset.seen_sets), [name])
    wanted = check_choice("models", (*preset.models, NO_MODEL), models) or preset.models
    own = preset.seeds_seen(name)
    chosen = check_choice("seeds", own, seeds) or own
    arms = tuple(arm for arm in arms_of(preset, name) if arm.model in wanted and arm != PERSISTENCE)
    whole = set(wanted) >= set(preset.models) and set(chosen) == set(own)
    label = "" if whole else f"{name}-{'+'.join(wanted)}-{'+'.join(map(str, chosen))}"
    return Selection(arms, tuple(chosen), preset, label)


def lacking(run: Run) -> str:
    """Say what must be installed before a run's partly seen sets can be collected; empty if nothing is lacking."""
    missing = {
        name: packages
        for name in run.preset.seen_sets
        if (packages := lacking_packages(name))
        and not all(_collection(run, name, seed).is_current() for seed in run.preset.seeds_seen(name))
    }
    if not missing:
        return ""
    packages = sorted({package for found in missing.values() for package in found})
    return (
        f"partly_seen of preset {run.preset.name} names {', '.join(missing)}, which {' and '.join(packages)} must "
        f"collect: {EXTRA}"
    )


def dataset_path(run: Run, name: str, seed: int) -> Path:
    """Path of the whole set of one seed."""
    label = rate_label(run.preset.seen_sets[name].rate)
    return run.layout.partly_seen_folder(name, label, seed) / f"dataset_{label}.h5"


@part("collection")
def collect_seen(run: Run, name: str, chosen: Selection) -> pd.DataFrame:
    """Collect what is missing of a set, and return one row per seed with what drove it and how long that took.

    Raises:
        PresetError: If packages are missing that have to collect it, or its episodes are too short to look far ahead.
    """
    group, rows = run.preset.seen_sets[name], []
    for seed in chosen.seeds:
        result, path = _collection(run, name, seed), dataset_path(run, name, seed)
        if not result.is_current():
            if lacking_packages(name):
                raise PresetError(lacking(run))
            write_partly_seen(path, name, group.rate, seed, group.num_transitions, group.training_decisions)
            result.record([path, *(split_path(path, split) for split in ("train", "val", "test"))])
        _check_long_enough(run, name, seed)
        dataset = load_dataset(path, group.rate)
        minutes = [float(dataset.attributes.get(f"{what}_minutes", 0.0)) for what in ("learning", "collection")]
        rows.append(
            {
                "set": name,
                "seed": seed,
                "policy": dataset.attributes["policy"],
                "transitions": len(dataset),
                "episodes": dataset.num_episodes,
                "mean_return": float(dataset.episode_returns.mean()),
                "minutes": sum(minutes),
            }
        )
    return pd.DataFrame(rows)


@part("training")
def train_seen(run: Run, name: str, chosen: Selection) -> pd.DataFrame:
    """Train what is missing of the chosen arms of a set; return the summary, one row per checkpoint."""
    collect_seen(run, name, chosen)
    train_missing(run, name, _checkpoints(run, name, chosen), lambda arm, seed: _trial(run, name, arm, seed),
                  {seed: _hashes(run, name, seed) for seed in chosen.seeds})  # fmt: skip
    for model in chosen.models:  # of all that stands, chosen now or before
        whole = select_seen(run, name, [model])
        there = [seed for seed in whole.seeds if _collection(run, name, seed).is_current()]
        results = _checkpoints(run, name, select_seen(run, name, [model], there))
        rows = [summary_row(run, name, *member) for member, result in results.items() if result.is_current()]
        table = pd.concat(rows, ignore_index=True)
        run.save_part("training_summary", f"{name}-{model}", table, shared=bool(chosen.label))
    rows = [summary_row(run, name, *member) for member in chosen.trained_members]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()


@part("evaluation")
def evaluate_seen(run: Run, name: str, chosen: Selection) -> dict[str, pd.DataFrame]:
    """Score the chosen arms of a set on its recorded test episodes, far ahead; no change stands beside them.

    What is scored of a part is not kept: several parts may run side by side, and it takes seconds.
    """
    models = [NO_MODEL, *chosen.models]
    members = {model: chosen.members(model) for model in models}
    if chosen.label:
        return merge_tables(list(_scored(run, name, members).values()))
    results = {model: _evaluation(run, name, model) for model in models}
    ensure_members(
        results,
        members,
        lambda model: load_part(run, name, model),
        lambda missing: _scored(run, name, missing),
        lambda model, tables, _: save_part(run, name, model, tables),
    )
    return load_parts(run, name, models, chosen)


def _scored(run: Run, name: str, members: Mapping[str, Sequence[Member]]) -> dict[str, dict[str, pd.DataFrame]]:
    """Return the tables of some members by model."""
    sets = {seed: _test_set(run, name, seed) for seed in sorted({seed for own in members.values() for _, seed in own})}
    options = {"imagined": {"horizon": run.preset.seen_sets[name].imagined}}
    made = {}
    for model, asked in members.items():
        own = {seed: sets[seed] for _, seed in asked}
        made[model] = merge_tables([
            evaluate_stack(
                stack.dynamics, stack.members, own, None, measures=MEASURED, options=options, device=run.device
            )
            for stack in load_stacks(run, name, asked, next(iter(own.values())).spec)
        ])  # fmt: skip
    return made


def _trial(run: Run, name: str, arm: Arm, seed: int) -> Trial:
    """Return an untrained arm with the training and validation episodes of a seed."""
    train, val = (_split(run, name, seed, split) for split in ("train", "val"))
    (rows, offsets), (val_rows, val_offsets) = as_part(train), as_part(val)
    return Trial(arm, seed, build_arm(arm, train.spec, seed), [rows], [val_rows], [offsets], [val_offsets])


def _split(run: Run, name: str, seed: int, split: str) -> TransitionDataset:
    return load_dataset(split_path(dataset_path(run, name, seed), split), run.preset.seen_sets[name].rate)


def _test_set(run: Run, name: str, seed: int) -> TestSet:
    evaluation = run.preset.evaluation
    return build_test_set(
        None,
        [_split(run, name, seed, "test")],
        seed=seed,
        num_pairs=evaluation.num_pairs,
        num_starts=evaluation.num_starts,
        horizon=evaluation.horizon,
        num_context_pairs=0,
    )


def _check_long_enough(run: Run, name: str, seed: int) -> None:
    """Check that a test episode holds what is known and what is imagined, before anything is trained."""
    dataset, group, known = _split(run, name, seed, "test"), run.preset.seen_sets[name], NUM_WINDOWS * WINDOW
    longest = float(dataset.episode_lengths.max()) / group.rate
    if longest < known + group.imagined - TOLERANCE:
        raise PresetError(
            f"partly_seen.imagined must be at most what the longest test episode of {name}, {longest:g} s for seed "
            f"{seed}, leaves after {known:g} s that are known, got {group.imagined:g} s"
        )


def _hashes(run: Run, name: str, seed: int, splits: Sequence[str] = ("train", "val")) -> dict[str, str]:
    path = dataset_path(run, name, seed)
    return {split: content_hash_of(split_path(path, split)) for split in splits}


def _collection(run: Run, name: str, seed: int) -> Result:
    group = run.preset.seen_sets[name]
    made_from = {"count": group.num_transitions, "rate": group.rate, "decisions": group.training_decisions}
    stamp = dataset_path(run, name, seed).parent / STAMP
    return Result(stamp, sources=sources_of(SOURCE), set=name, seed=seed, **made_from)


def _checkpoints(run: Run, name: str, chosen: Selection) -> dict[Member, Result]:
    sources = {model: sources_of(__name__, "tdlib.study.arms", models=[model]) for model in chosen.models}
    return {
        (arm, seed): checkpoint_result(run, name, arm, seed, _hashes(run, name, seed), sources[arm.model])
        for arm, seed in chosen.trained_members
    }


def _evaluation(run: Run, name: str, model: str) -> tuple[Result, dict[str, object]]:
    """Return the tables of one model as a result, and what each of its members depends on."""
    models = [] if model == NO_MODEL else [model]
    result = Result(
        run.layout.part("evaluation", f"{name}-{model}").with_suffix(".yaml"),
        sources=sources_of(__name__, models=models, measures=MEASURED),
        set=name,
        model=model,
        evaluation=run.preset.evaluation.model_dump(exclude_none=True),
        imagined=run.preset.seen_sets[name].imagined,
    )
    members: dict[str, object] = {}
    whole = select_seen(run, name)
    for arm, seed in whole.members(model):
        if _collection(run, name, seed).is_current():
            tested = _hashes(run, name, seed, ("test",))
            members[member_name(arm, seed)] = [weight_hash(run, name, arm, seed), tested]
    return result, members
