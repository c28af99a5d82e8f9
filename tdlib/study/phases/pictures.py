"""Train models of pictures on the sets that states are collected in, beside models that see the state.

Models that are trained end to end learn from frames, flat predictors from latents that an autoencoder, trained before,
has encoded once; a model of codes learns both at once, its predictor on codes that it does not change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import cast

import pandas as pd

from tdlib.core.seeding import derive_seed
from tdlib.data import split_path
from tdlib.evaluation.tables import arm_of
from tdlib.models import build_model
from tdlib.models.visual import VisualWorldModel
from tdlib.models.visual.latent_dynamics import LatentDynamics, latent_spec
from tdlib.study.arms import Arm
from tdlib.study.chapters.expected import sees_pictures
from tdlib.study.clock import part
from tdlib.study.phases.collect import content_hash_of, ensure_collected, main_dataset_path
from tdlib.study.phases.filmed import (
    CAMERA,
    Filmed,
    FilmedSets,
    camera_of,
    seeing_arms,
    select_pictures,
    settings_of,
)
from tdlib.study.phases.train import model_folder, summary_row, train_environment, train_missing
from tdlib.study.presets import Preset
from tdlib.study.provenance import STAMP, Result, file_hash, sources_of
from tdlib.study.run import Run
from tdlib.study.selection import Member, Selection
from tdlib.systems import SYSTEMS
from tdlib.training import Trial, load_checkpoint
from tdlib.training.checkpoint import MODEL_FILE
from tdlib.training.latents import latent_set
from tdlib.training.picture_log import PICTURES_FILE, LearnedPictures, PictureLog, load_pictures
from tdlib.training.pretrained import load_parts

Learned = tuple[Mapping[str, object], LearnedPictures]  # with the key columns of a model
TWO_PHASE, AUTOENCODER, CODES = "two_phase", "autoencoder", "vqvae"
FIRST_PHASE = {"training_mode": "detached", "train_predictor": False, "predictor_weight": 0.0}
ALONE = "tdlib.models.visual.latent_dynamics:LatentDynamics"


@part("training")
def train_pictures(run: Run, env: str, chosen: Selection | None = None) -> pd.DataFrame:
    """Train what is missing of one system and return the training summary, one row per checkpoint."""
    chosen = select_pictures(run, env, chosen)
    ensure_collected(run, env, chosen.seeds)
    seeing = replace(chosen, arms=tuple(arm for arm in chosen.arms if sees_pictures(arm)))
    blind = replace(chosen, arms=tuple(arm for arm in chosen.arms if not sees_pictures(arm)))
    if blind.arms:
        train_environment(run, env, blind)
    at_once = [member for member in seeing.trained_members if member[0].method != TWO_PHASE]
    in_two = [member for member in seeing.trained_members if member[0].method == TWO_PHASE]
    first = list(dict.fromkeys((autoencoder_of(arm), seed) for arm, seed in in_two))
    trials = PictureTrials(run, env)
    for members in (at_once, first, in_two):  # a second phase goes on from checkpoints of the first
        _train(run, env, members, trials)
    _summarize(run, env, seeing)
    rows = [summary_row(run, env, *member) for member in chosen.trained_members]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()


def load_pictured(run: Run, env: str, arm: Arm, seed: int) -> VisualWorldModel:
    """Load a trained model of pictures; a flat predictor is put back between encoder and decoder."""
    found = load_checkpoint(model_folder(run, env, arm, seed), run.device, classes=[LatentDynamics])
    if arm.method != TWO_PHASE:
        return cast(VisualWorldModel, found)
    pictured = load_checkpoint(model_folder(run, env, autoencoder_of(arm), seed), run.device)
    model = build_pictured(run, env, arm, seed).to(run.device)
    load_parts(model, pictured)
    load_parts(model, found, ["predictor"])
    return model


def learned_pictures(run: Run, env: str, chosen: Selection | None = None) -> list[Learned]:
    """Return what the chosen models of the first seed made of a clip while they learned, with their key columns.

    Flat predictors learn from latents and see none; their encoder and decoder stand first.
    """
    chosen, found = select_pictures(run, env, chosen), list[Learned]()
    seed = chosen.seeds[0]
    arms = seeing_arms(chosen, seed)
    for arm in dict.fromkeys(autoencoder_of(arm) if arm.method == TWO_PHASE else arm for arm in arms):
        pictures = load_pictures(model_folder(run, env, arm, seed) / PICTURES_FILE)
        found.append((arm_of(arm, seed, env), pictures))
    return found


def autoencoder_of(arm: Arm) -> Arm:
    """Return the first phase that a flat predictor goes on from."""
    return replace(arm, method=AUTOENCODER, form="none")


def own_steps(preset: Preset, arm: Arm) -> int | None:
    """Return the optimizer steps of an arm that has a number of its own, beside that of the preset's `training`."""
    settings = preset.pictures
    assert settings is not None  # of a chapter of pictures
    own = {AUTOENCODER: settings.autoencoder_steps, TWO_PHASE: settings.latent_steps, CODES: settings.autoencoder_steps}
    return own.get(arm.method)


def _with_steps(run: Run, steps: int | None) -> Run:
    """The run with a number of optimizer steps of one phase, which its checkpoints then remember."""
    if steps is None:
        return run
    training = run.preset.training.model_copy(update={"num_steps": steps, "num_epochs": None})
    return replace(run, preset=run.preset.model_copy(update={"training": training}))


def build_pictured(run: Run, env: str, arm: Arm, seed: int, **further: object) -> VisualWorldModel:
    """Return an untrained model of pictures as the preset makes it; `further` are options beside the preset's."""
    options = {**settings_of(run).of(arm.method), "predictor": arm.form, "train_delta_t": arm.train_delta_t, **further}
    spec = SYSTEMS[env].spec
    weights = derive_seed(seed, spec.name, arm.model, arm.method, "weights")
    return cast(VisualWorldModel, build_model(arm.model, spec, seed=weights, **options))


def _trial(arm: Arm, seed: int, model: VisualWorldModel | LatentDynamics, parts: Sequence[Filmed]) -> Trial:
    (train, offsets), (val, val_offsets) = parts
    return Trial(arm, seed, model, [train], [val], [offsets], [val_offsets])


class PictureTrials:
    """Untrained models of pictures of one system with what they learn from: trials(arm, seed).

    Args:
        run: Preset and folders; a second phase asks for the checkpoint of its first.
        env: System.
    """

    def __init__(self, run: Run, env: str):
        self._run, self._env, self._films = run, env, FilmedSets(run, env)
        self._latents: dict[int, list[Filmed]] = {}

    def __call__(self, arm: Arm, seed: int) -> Trial:
        """Return an arm of a seed with its frames, or, in a second phase, with latents that are encoded once."""
        if arm.method == TWO_PHASE:
            return self._second_phase(arm, seed)
        if arm.method == AUTOENCODER:  # which predictor stands between encoder and decoder does not matter
            flat = replace(arm, method=TWO_PHASE, form="latent_mlp")
            model = build_pictured(self._run, self._env, flat, seed, **FIRST_PHASE)
            return _trial(arm, seed, model, self._parts(flat, seed))
        return _trial(arm, seed, build_pictured(self._run, self._env, arm, seed), self._parts(arm, seed))

    def _parts(self, arm: Arm, seed: int) -> list[Filmed]:
        return [self._films.of(arm.method, seed, split) for split in ("train", "val")]

    def _second_phase(self, arm: Arm, seed: int) -> Trial:
        """A predictor on what the first phase makes of the frames."""
        run, env = self._run, self._env
        if seed not in self._latents:
            seen = load_checkpoint(model_folder(run, env, autoencoder_of(arm), seed), run.device)
            self._latents[seed] = [
                latent_set(cast(VisualWorldModel, seen), *filmed, device=run.device)
                for filmed in self._parts(arm, seed)
            ]
        whole = build_pictured(run, env, arm, seed)
        weights = derive_seed(seed, env, arm.form, "predictor")
        alone = build_model(ALONE, latent_spec(SYSTEMS[env].spec, whole.options), seed=weights, **asdict(whole.options))
        return _trial(arm, seed, cast(LatentDynamics, alone), self._latents[seed])


def _train(run: Run, env: str, members: Sequence[Member], trials: PictureTrials) -> None:
    """Train the members of one phase that have no checkpoint, by the one loop, those of as many steps at a time."""
    log = PictureLog(lambda one: model_folder(run, env, cast(Arm, one.arm), one.seed) / PICTURES_FILE)
    for steps in dict.fromkeys(own_steps(run.preset, arm) for arm, _ in members):
        own = [member for member in members if own_steps(run.preset, member[0]) == steps]
        results = {member: _checkpoint(run, env, *member) for member in own}
        hashes = {seed: _hashes(run, env, seed) for _, seed in own}
        train_missing(_with_steps(run, steps), env, results, trials, hashes, log)


def _checkpoint(run: Run, env: str, arm: Arm, seed: int) -> Result:
    """Return a checkpoint as a result: it depends on its states, on how they were painted, and on what it goes on from.

    What a preset calls the options of an arm's models is part of it; that of other methods is not.
    """
    settings = settings_of(run)
    method = TWO_PHASE if arm.method == AUTOENCODER else arm.method
    found: dict[str, object] = {"options": settings.of(method), "camera": camera_of(run, method).values()}
    found |= {"noise": settings.noise, "noise_seed": seed} if settings.noise else {}
    if arm.method == TWO_PHASE:
        found["first_phase"] = file_hash(model_folder(run, env, autoencoder_of(arm), seed) / MODEL_FILE)
    return Result(
        model_folder(run, env, arm, seed) / STAMP,
        sources=sources_of(__name__, *CAMERA, system=env, models=[arm.model]),
        env=env,
        arm=arm.keys(),
        seed=seed,
        data=_hashes(run, env, seed),
        training=_with_steps(run, own_steps(run.preset, arm)).preset.training.model_dump(exclude={"num_steps_large"}),
        **found,
    )


def _hashes(run: Run, env: str, seed: int) -> dict[str, str]:
    rate = run.preset.train_frequencies[0]
    path = main_dataset_path(run, env, rate, seed)
    return {f"{rate:g}hz_{split}": content_hash_of(split_path(path, split)) for split in ("train", "val")}


def _summarize(run: Run, env: str, chosen: Selection) -> None:
    """Write the training summary of all that stands of the chosen models, chosen now or before."""
    rate = run.preset.train_frequencies[0]
    whole = select_pictures(run, env)
    for model in chosen.models:
        members = [member for member in whole.trained_members if member[0].model == model]
        there = [(arm, seed) for arm, seed in members if main_dataset_path(run, env, rate, seed).is_file()]
        rows = [summary_row(run, env, *each) for each in there if _checkpoint(run, env, *each).is_current()]
        if rows:
            table = pd.concat(rows, ignore_index=True)
            run.save_part("training_summary", f"{env}-{model}", table, shared=bool(chosen.label))
