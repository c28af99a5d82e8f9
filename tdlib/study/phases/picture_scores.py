"""Score models of pictures, and models of states that are drawn, on held-out motions."""

import contextlib
from collections.abc import Sequence
from itertools import chain

import pandas as pd
from torch import Tensor

from tdlib.data import DatasetError
from tdlib.evaluation import evaluate_stack, merge_tables
from tdlib.evaluation.sets.test_sets import TestSet
from tdlib.evaluation.tables import arm_of, frequency_label
from tdlib.evaluation.visual import Films, FrameSequences, baselines, visual_open_loop_rollout
from tdlib.figures.strips import Strip
from tdlib.study.chapters.expected import sees_pictures
from tdlib.study.clock import part
from tdlib.study.parts import ensure_members, member_name
from tdlib.study.phases.collect import data_hashes
from tdlib.study.phases.evaluate import load_part, load_parts, save_part
from tdlib.study.phases.filmed import (
    CAMERA,
    FilmedSets,
    camera_of,
    films_of,
    known_of,
    seeing_arms,
    select_pictures,
    settings_of,
)
from tdlib.study.phases.pictures import TWO_PHASE, autoencoder_of, load_pictured
from tdlib.study.phases.stacks import load_stacks
from tdlib.study.phases.train import model_folder, weight_hash
from tdlib.study.progress import Progress
from tdlib.study.provenance import Result, file_hash, sources_of
from tdlib.study.run import Run
from tdlib.study.selection import Member, Selection
from tdlib.systems import SYSTEMS
from tdlib.training.checkpoint import MODEL_FILE

MEASURED = ("pictures",)


@part("evaluation")
def evaluate_pictures(run: Run, env: str, chosen: Selection | None = None) -> dict[str, pd.DataFrame]:
    """Score the chosen arms of one system on held-out motions, in pictures; return their tables."""
    chosen = select_pictures(run, env, chosen)
    models = list(chosen.models)
    results = {model: _evaluation(run, env, model) for model in models}

    def make(missing: dict[str, list[Member]]) -> dict[str, dict[str, pd.DataFrame]]:
        made, progress = {}, Progress(f"evaluating {env}")
        films: dict[tuple[int, int, int], Films] = {}
        sets = FilmedSets(run, env)
        for i, (model, members) in enumerate(missing.items()):
            progress(i, len(missing))
            made[model] = merge_tables(_scored(run, env, members, films, sets))
        progress(len(missing), len(missing))
        return made

    ensure_members(
        results,
        {model: chosen.members(model) for model in models},
        lambda model: load_part(run, env, model),
        make,
        lambda model, tables, _: save_part(run, env, model, tables),
    )
    return load_parts(run, env, models, chosen)


def example_frames(run: Run, env: str, chosen: Selection | None = None, motion: int = 0) -> list[Strip]:
    """Return the true frames of one motion at the training rate, and what the chosen models of the first seed predict.

    Args:
        run: Preset and folders.
        env: System.
        chosen: A part of the grid.
        motion: Number of the motion.
    """
    chosen, strips = select_pictures(run, env, chosen), list[Strip]()
    seed, rate = chosen.seeds[0], frequency_label(run.preset.train_frequencies[0])
    films: dict[str, tuple[FrameSequences, dict[str, Tensor]]] = {}
    sets = FilmedSets(run, env)
    for arm in seeing_arms(chosen, seed):
        if arm.method not in films:
            own = films_of(run, env, arm.method, seed, sets)
            one = own.sequences["A", rate].part(slice(motion, motion + 1))
            films[arm.method] = one, baselines(one, own.mean_image)
        asked, trivial = films[arm.method]
        predicted = visual_open_loop_rollout(load_pictured(run, env, arm, seed), asked, device=run.device).images
        key = {**arm_of(arm, seed, env), "test_frequency": rate}
        beside = {name: frames[0].numpy() for name, frames in trivial.items()}
        strips.append(Strip(key, asked.times.numpy(), asked.truth[0].numpy(), predicted[0].numpy(), beside))
    return strips


def _scored(
    run: Run, env: str, members: Sequence[Member], films: dict[tuple[int, int, int], Films], sets: FilmedSets
) -> list[dict[str, pd.DataFrame]]:
    """Return the tables of some members; films that were made are kept for those who are asked the same."""

    def filmed(method: str, seed: int) -> Films:
        key = camera_of(run, method).img_size, known_of(run, method), seed
        if key not in films:
            films[key] = films_of(run, env, method, seed, sets)
        return films[key]

    system = SYSTEMS[env]
    tests = {seed: TestSet(system.spec, seed, {}, {}) for _, seed in members}
    seeing, blind = ([member for member in members if sees_pictures(member[0]) == sees] for sees in (True, False))
    asked = chain(
        ((load_pictured(run, env, *member), [member], member[0].method) for member in seeing),
        ((stack.dynamics, stack.members, "") for stack in load_stacks(run, env, blind)),
    )
    found = []
    for model, own, method in asked:
        films_of_own = {seed: filmed(method, seed) for _, seed in own}
        options = {"pictures": {"films": films_of_own}}
        test_sets = {seed: tests[seed] for seed in films_of_own}
        found.append(
            evaluate_stack(model, own, test_sets, system, measures=MEASURED, options=options, device=run.device)
        )
    return found


def _evaluation(run: Run, env: str, model: str) -> tuple[Result, dict[str, object]]:
    """Return the tables of one model as a result, and what each of its members depends on."""
    settings = settings_of(run)
    result = Result(
        run.layout.part("evaluation", f"{env}-{model}").with_suffix(".yaml"),
        sources=sources_of(
            __name__, load_pictured.__module__, "tdlib.study.phases.stacks", "tdlib.study.arms", *CAMERA,
            system=env, models=[model], measures=MEASURED,
        ),
        env=env,
        model=model,
        measures=MEASURED,
        evaluation=run.preset.evaluation.model_dump(exclude_none=True),
        rates=run.preset.test_frequencies,
        render_quality=settings.render_quality,
        noise=settings.noise,
    )  # fmt: skip
    members: dict[str, object] = {}
    for arm, seed in select_pictures(run, env).members(model):
        with contextlib.suppress(DatasetError):  # another seed need not be there yet
            tested = data_hashes(run, env, [seed], "test")
            weights = [weight_hash(run, env, arm, seed)]
            if arm.method == TWO_PHASE:
                weights.append(file_hash(model_folder(run, env, autoencoder_of(arm), seed) / MODEL_FILE))
            shown = [camera_of(run, arm.method).values(), known_of(run, arm.method)]
            members[member_name(arm, seed)] = [weights, tested, *shown]
    return result, members
