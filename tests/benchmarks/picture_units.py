"""Unit costs of models of pictures: one optimizer step and one scored frame of each predictor, at sizes of presets."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from tdlib.evaluation import evaluate_stack
from tdlib.evaluation.sets.test_sets import TestSet
from tdlib.evaluation.visual import Films
from tdlib.models import DynamicsModel
from tdlib.speed import Stack
from tdlib.study.arms import Arm, build_arm
from tdlib.study.cost import family
from tdlib.study.layout import RunLayout
from tdlib.study.phases.collect import ensure_collected
from tdlib.study.phases.filmed import camera_of, films_of, known_of
from tdlib.study.phases.picture_scores import MEASURED
from tdlib.study.phases.pictures import AUTOENCODER, PictureTrials, build_pictured
from tdlib.study.phases.train import model_folder
from tdlib.study.picture_cost import drawn_unit, num_frames, picture_arms, picture_unit
from tdlib.study.presets import Preset, load_preset
from tdlib.study.run import Run
from tdlib.study.selection import arms_of
from tdlib.systems import SYSTEMS
from tdlib.training import Budget, fit, save_checkpoint

SEED, TRANSITIONS = 0, 2000
STEPS, STARTS = (1, 5), (2, 10)  # of a short and of a long run
Seconds = Callable[[Callable[[], object]], float]  # what a program takes


def picture_unit_costs(names: list[str], seconds: Seconds, device: str) -> Iterator[tuple[str, str, float]]:
    """Yield (kind, what, seconds per unit) of all that presets of the chapter train and score on their first system."""
    known: set[str] = set()
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            bench = _Bench(_small(load_preset(name)), Path(folder), seconds, device)
            for kind, what, each in bench.costs():
                if f"{kind} {what}" not in known:
                    yield kind, what, each
                known.add(f"{kind} {what}")


def _small(preset: Preset) -> Preset:
    """The same sizes of models, pictures and batches, with one seed and less to collect."""
    few = {"num_transitions": TRANSITIONS, "num_random_transitions": TRANSITIONS}
    collection = preset.collection.model_copy(update=few)
    return preset.model_copy(update={"seeds": (SEED,), "fewer_seeds": (), "collection": collection})


class _Bench:
    """One preset in a folder of its own."""

    def __init__(self, preset: Preset, folder: Path, seconds: Seconds, device: str):
        self.preset, self.folder, self.seconds, self.device = preset, folder, seconds, device
        self._films: dict[tuple[int, ...], Films] = {}  # motions as models are shown them, painted once

    def costs(self) -> Iterator[tuple[str, str, float]]:
        """Yield (kind, what, seconds per unit)."""
        env = self.preset.environments[0]
        run = Run(self.preset, RunLayout(self.folder))
        ensure_collected(run, env, [SEED])
        trials = PictureTrials(run, env)
        for arm in picture_arms(self.preset, env):
            unit = picture_unit(self.preset, arm)
            yield "training", unit, max(0.0, self._step(trials, arm))
            if arm.method == AUTOENCODER:  # the second phase asks for a checkpoint of it
                save_checkpoint(model_folder(run, env, arm, SEED), trials(arm, SEED).model, {"env": env})
                continue
            yield from self._scored(env, arm, unit, build_pictured(run, env, arm, SEED), arm.method)
        for arm in (arm for arm in arms_of(self.preset, env) if arm.source == arm):
            if arm.model not in {each.model for each in picture_arms(self.preset, env)}:
                model = Stack([build_arm(arm, SYSTEMS[env].spec, SEED)])
                yield from self._scored(env, arm, drawn_unit(family(arm)), model, "")

    def _step(self, trials: PictureTrials, arm: Arm) -> float:
        """Seconds of one optimizer step."""
        few, many = (
            self.seconds(lambda count=count: fit(
                [trials(arm, SEED)],
                Budget(count, 1e-3, batch_size=self.preset.training.batch_size, num_validations=1),
                self.device,
            ))
            for count in STEPS
        )  # fmt: skip
        return (many - few) / (STEPS[1] - STEPS[0])

    def _scored(
        self, env: str, arm: Arm, unit: str, model: DynamicsModel | Stack, method: str
    ) -> Iterator[tuple[str, str, float]]:
        """Yield what a frame costs, and what a model does beside its frames."""
        found = []
        for count in STARTS:
            evaluation = self.preset.evaluation.model_copy(update={"num_starts": count})
            sized = self.preset.model_copy(update={"evaluation": evaluation})
            run = Run(sized, RunLayout(self.folder))
            key = count, known_of(run, method), camera_of(run, method).img_size
            if key not in self._films:
                self._films[key] = films_of(run, env, method, SEED)
            films = self._films[key]
            taken = self.seconds(lambda films=films: self._score(env, arm, model, films))
            found.append((taken, num_frames(sized)))
        (few, frames), (many, more) = found
        each = max(0.0, (many - few) / (more - frames))
        yield "evaluation", unit, each
        yield "evaluation", f"{unit}, per model", max(0.0, few - each * frames)

    def _score(self, env: str, arm: Arm, model: DynamicsModel | Stack, films: Films) -> None:
        system = SYSTEMS[env]
        options, sets = {"pictures": {"films": {SEED: films}}}, {SEED: TestSet(system.spec, SEED, {}, {})}
        subject = model.to(self.device)
        with torch.no_grad():
            evaluate_stack(subject, [(arm, SEED)], sets, system, measures=MEASURED, options=options, device=self.device)
