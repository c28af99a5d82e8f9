"""Presets: plain YAML, checked whole before anything runs.

Every key is explained at its field; an unknown key, a wrong type or a value out of range raises `PresetError`, which
names the key, the rule and the value.
"""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from tdlib.core.facts import TRAIN_FREQUENCIES, data_of, method_and_mode
from tdlib.core.files import parse_yaml
from tdlib.core.imports import import_object, importable, is_import_path
from tdlib.core.time_grid import delta_t_of, num_steps
from tdlib.data.sources.partly_seen import parts_of_name
from tdlib.data.sources.ppo_settings import MIN_TRANSITIONS, has_ppo
from tdlib.data.splits import SPLITS
from tdlib.envs import register_system
from tdlib.evaluation.control.collect import has_planned
from tdlib.evaluation.control.plans import knot_clock
from tdlib.evaluation.sets.schedules import hold_of
from tdlib.evaluation.tables import frequency_label
from tdlib.models import find_family, register_model
from tdlib.models.trajectories import WINDOW
from tdlib.models.visual import VisualOptions
from tdlib.planning import CEM, Planner, build_planner, inputs_of
from tdlib.study.arms import Arm
from tdlib.study.blocks import check_blocks
from tdlib.study.chapters import CHAPTERS, STUDY
from tdlib.study.layout import ROOT
from tdlib.study.variations import Solvers, Variation
from tdlib.systems import SYSTEMS, System
from tdlib.training.budget import windows_per_batch

PRESET_FOLDER = ROOT / "params"
PRESET_ENDINGS = (".yaml", ".yml")  # a name with one of these is a file's path
ROUNDING = 1e-6  # of an interval
SHORTEST_DELTA_T = 0.001  # [s]; a shorter control interval leaves nothing of float32 precision in one increment

PositiveInt = Annotated[int, Field(strict=True, ge=1)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Seed = Annotated[int, Field(strict=True, ge=0)]
Transitions = Annotated[int, Field(strict=True, ge=MIN_TRANSITIONS)]
Share = Annotated[float, Field(gt=0, lt=1)]


class PresetError(ValueError):
    """A preset that cannot run; the message lists each offending key with its rule and value."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Collection(_Section):
    """Phase 1: how much data."""

    num_transitions: Transitions  # PPO transitions per (environment, rate, seed)
    num_random_transitions: Transitions  # random-input transitions per (environment, rate, seed)
    # random actions in sequences of so many intervals, parameters drawn for each; None: episodes that last for seconds
    sequence_length: PositiveInt | None = None
    # of the random-input transitions, how many a planner on the true equation makes, where a task has a cost to plan by
    planned_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    planned_iterations: PositiveInt | None = None  # of that planner; None: as many as in control
    require_gain: bool = False  # replace agents whose return does not rise; fail the data check if several are left

    @model_validator(mode="after")
    def _whole_sequences(self) -> "Collection":
        if self.sequence_length is not None and self.planned_share:
            raise ValueError(f"planned_share must be 0 where sequence_length is given, got {self.planned_share}")
        if self.sequence_length is not None and self.num_random_transitions % self.sequence_length:
            raise ValueError(
                f"num_random_transitions must be a multiple of sequence_length = {self.sequence_length}, got "
                f"{self.num_random_transitions}"
            )
        if self.sequence_length is not None and self.num_random_transitions < len(SPLITS) * self.sequence_length:
            raise ValueError(
                f"num_random_transitions must hold a sequence for each of {list(SPLITS)}, {len(SPLITS)} of "
                f"sequence_length = {self.sequence_length}, got {self.num_random_transitions}"
            )
        return self


class Training(_Section):
    """Phase 2: one budget for all arms of a size."""

    num_steps: PositiveInt | None = None  # optimizer steps at hidden 64
    num_epochs: PositiveInt | None = None  # alternatively, passes over the training split
    num_steps_large: PositiveInt | None = None  # optimizer steps of small, medium, large; None: as hidden 64
    learning_rate: PositiveFloat
    batch_size: PositiveInt = 256
    loss: Literal["increment", "next_state"] = "increment"  # next_state: the seed's raw error, an ablation

    @model_validator(mode="after")
    def _one_budget(self) -> "Training":
        if (self.num_steps is None) == (self.num_epochs is None):
            raise ValueError("exactly one of num_steps and num_epochs must be given")
        return self

    def steps(self, size: str, num_transitions: float) -> int:
        """Optimizer steps of one model of a size; a budget in epochs counts those of its training set."""
        if self.num_epochs is not None:
            return self.num_epochs * math.ceil(num_transitions / self.batch_size)
        steps = self.num_steps if size == "hidden64" else self.num_steps_large or self.num_steps
        assert steps is not None  # one of the two is given
        return steps


class Evaluation(_Section):
    """Phase 3: size of the test sets."""

    num_pairs: PositiveInt = 4096  # one-step pairs per seed
    num_starts: PositiveInt = 50  # open-loop starts per seed
    horizon: PositiveFloat = 1.0  # [s]
    hold: PositiveFloat | None = None  # how long one input of a rollout is held [s]; None: as in the study
    num_steps: PositiveInt | None = None  # steps of the sequences of dt_generalization; None: 50
    imagined: PositiveFloat | None = None  # [s] of long predictions after a known stretch; None: 10


class Control(_Section):
    """Phase 3: closed-loop control."""

    frequencies: Annotated[tuple[Rate, ...], Field(min_length=1)] = TRAIN_FREQUENCIES
    extra_frequencies: tuple[Rate, ...] = ()  # further rates for the few arms of `control_axes`
    episodes_per_seed: PositiveInt = 5  # every seed has starts of its own
    oracle_starts: PositiveInt = 20  # of the oracle over all seeds, at least: what a mark planner-limited rests on
    episode_seconds: PositiveFloat = 10.0
    replan_seconds: PositiveFloat = 0.1  # time between plans [s], the same at every rate
    num_samples: PositiveInt = 64  # plans per iteration of a planner that samples
    num_iterations: PositiveInt = 2
    compare_mppi: bool = True  # run MPPI beside each system's own planner, for the few arms

    @property
    def rates(self) -> tuple[float, ...]:
        """All control rates [Hz]."""
        return (*self.frequencies, *self.extra_frequencies)

    def oracle_episodes(self, num_seeds: int) -> int:
        """Episodes of the oracle per seed; the first ones start where the arms of that seed do."""
        return max(self.episodes_per_seed, math.ceil(self.oracle_starts / num_seeds))

    @model_validator(mode="after")
    def _can_run(self) -> "Control":
        if len(set(self.rates)) < len(self.rates):
            raise ValueError(f"frequencies and extra_frequencies must differ, got {list(self.rates)}")
        for rate in self.rates:
            if not SHORTEST_DELTA_T <= delta_t_of(rate) <= self.episode_seconds:
                raise ValueError(
                    f"a rate must have an interval between {SHORTEST_DELTA_T} s and episode_seconds = "
                    f"{self.episode_seconds} s, got {rate} Hz"
                )
        for rate in self.frequencies:  # compared with each other, so as often planned anew
            try:
                num_steps(self.replan_seconds, delta_t_of(rate))
            except ValueError as error:
                raise ValueError(
                    f"replan_seconds must be a whole number of control intervals at every rate of frequencies, got "
                    f"{self.replan_seconds} s at {rate} Hz"
                ) from error
        if self.num_samples < CEM.num_elites:
            raise ValueError(f"num_samples must be at least {CEM.num_elites}, CEM's elites, got {self.num_samples}")
        return self


class Ablations(_Section):
    """Trainings of a model with a history that differ in one thing each."""

    num_steps: PositiveInt  # optimizer steps of each
    num_episodes: Annotated[int, Field(strict=True, ge=2)]  # that most of them are trained on
    hidden_size: PositiveInt = 128
    history_length: PositiveInt = 11
    prediction_horizon: Annotated[int, Field(strict=True, ge=2)] = 9


class Checks(_Section):
    """When the build fails."""

    max_own_rate_error: PositiveFloat  # own-rate relative error of Pendulum's jump baseline must stay below


class PartlySeen(_Section):
    """Sets of which a part is seen, at one rate, and what is done with them; arms are those of that rate."""

    sets: Annotated[tuple[str, ...], Field(min_length=1)]  # names of tdlib.data.sources.partly_seen
    rate: Rate = 20.0
    num_seeds: PositiveInt  # the first ones of the run
    num_transitions: Transitions  # per set and seed
    # [s] of long predictions after a known stretch; an episode must hold both
    imagined: Annotated[float, Field(ge=1, allow_inf_nan=False)]
    training_decisions: Annotated[int, Field(strict=True, ge=2)] = 50_000  # that a policy learns from, if it learns

    @field_validator("sets")
    @classmethod
    def _known_sets(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            parts_of_name(name)
        return names


class Pictures(_Section):
    """Models of pictures: what they are made of, how long they learn, and on how many motions they are tested."""

    options: dict[str, Any] = {}  # of tdlib.models.VisualOptions, for all of them; an arm names the predictor
    methods: dict[str, dict[str, Any]] = {}  # further options of single methods of arms
    # predictors of single systems; a system that is not named has all of the preset's forms
    forms: dict[str, tuple[str, ...]] = {}
    systems: dict[str, tuple[str, ...]] = {}  # of single methods; a method that is not named has all of the preset's
    render_quality: Literal["low", "medium", "high"] = "medium"
    # standard deviation of errors added to states before they are painted
    noise: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    # optimizer steps of a flat encoder and decoder, before their predictors, and of a model of codes
    autoencoder_steps: PositiveInt = 100
    latent_steps: PositiveInt = 100  # of each predictor on latents that are encoded once

    @model_validator(mode="after")
    def _known_options(self) -> "Pictures":
        for name in ("", *self.methods):
            VisualOptions.of(self.of(name), "pictures.options")
        return self

    def __hash__(self) -> int:  # jobs are kept by preset, and mappings have none
        return hash(self.model_dump_json())

    def of(self, method: str) -> dict[str, Any]:
        """Return the options of the models of a method."""
        return {**self.options, **self.methods.get(method, {})}

    def has(self, env: str, method: str, form: str) -> bool:
        """Whether a predictor is trained on a system by a method."""
        return form in self.forms.get(env, (form,)) and env in self.systems.get(method, (env,))


class FewerSeeds(_Section):
    """Arms that only the first seeds have: those of any of the sizes, methods, or of shares of the data."""

    num_seeds: PositiveInt
    sizes: tuple[str, ...] = ()  # empty: of any size
    methods: tuple[str, ...] = ()  # empty: of any method
    amounts: bool = False  # only arms that are trained on a share of the data

    def concerns(self, arm: Arm) -> bool:
        """Whether an arm is one of them."""
        named = (not self.sizes or arm.size in self.sizes) and (not self.methods or arm.method in self.methods)
        return named and (not self.amounts or data_of(arm.data).share < 1)


class Preset(_Section):
    """One run of the whole study."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    description: str
    environments: Annotated[tuple[str, ...], Field(min_length=1)]
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    models: Annotated[tuple[str, ...], Field(min_length=1)]
    methods: tuple[str, ...] = ()  # of the models' arms; empty: all there are
    forms: tuple[str, ...] = ()  # the same; `none` is that of a map without Δt, a solver that of a field
    data: tuple[
        Literal["transitions", "seconds", "pooled", "contacts"], ...
    ] = ()  # what arms are trained on; empty: all
    # how models are trained: on single intervals, on windows, with a penalty on flows that do not run back
    training_modes: Annotated[tuple[Literal["matching", "shooting", "reversible"], ...], Field(min_length=1)] = (
        "matching",
    )
    solvers: Solvers = ()  # that fields are trained through, beside those of their arms
    sizes: Annotated[tuple[Literal["hidden64", "small", "medium", "large"], ...], Field(min_length=1)] = ("hidden64",)
    train_frequencies: Annotated[tuple[Rate, ...], Field(min_length=1)] = TRAIN_FREQUENCIES
    test_frequencies: Annotated[tuple[Rate, ...], Field(min_length=1)]
    collection: Collection
    training: Training
    evaluation: Evaluation = Evaluation()
    control: Control = Control()
    checks: Checks
    ablations: Ablations | None = None  # where a chapter has them; None: none are made
    amounts: tuple[Share, ...] = ()  # shares of the data that some arms are trained on too
    variations: tuple[Variation, ...] = ()  # arms of several rates with one thing changed
    fewer_seeds: tuple[FewerSeeds, ...] = ()  # the first that concerns an arm says how many seeds it has
    pictures: Pictures | None = None  # where a chapter has models of pictures
    partly_seen: tuple[PartlySeen, ...] = ()  # sets beside the environments, for chapters that look at them
    taken: tuple[Seed, ...] = ()  # seeds that earlier runs made; their rows lie in book/blocks, see tdlib.study.blocks
    seeds_per_cell: PositiveInt | None = None  # jobs of so many seeds and one model each; None: one job per phase
    device: Literal["auto", "cpu", "cuda"] = "auto"
    chapter: str = STUDY  # whose notebooks are run
    chapters: tuple[str, ...] = ()  # presets of other chapters, which run and are shown with this one

    @field_validator("environments")
    @classmethod
    def _known_environments(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_environment_name(name) for name in names)

    @field_validator("models")
    @classmethod
    def _known_models(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_model_name(name) for name in names)

    @field_validator("chapter")
    @classmethod
    def _known_chapter(cls, name: str) -> str:
        if name not in CHAPTERS:
            raise ValueError(f"chapter must be one of {list(CHAPTERS)}, got {name!r}")
        return name

    @field_validator("partly_seen")
    @classmethod
    def _once_each(cls, groups: tuple[PartlySeen, ...]) -> tuple[PartlySeen, ...]:
        names = [name for group in groups for name in group.sets]
        if len(set(names)) < len(names):
            raise ValueError(f"sets must differ, got {names}")
        return groups

    @field_validator("chapters")
    @classmethod
    def _other_chapters(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        found = [load_preset(name) for name in names]
        for preset in found:
            if preset.chapter == STUDY or preset.chapters:
                raise ValueError(f"chapters must be presets of one chapter other than {STUDY}, got {preset.name}")
        told = [preset.chapter for preset in found]
        if len(set(told)) < len(told):
            raise ValueError(f"chapters must tell of different ones, got {told}")
        return names

    def planned_share(self, env: str) -> float:
        """Share of the random-input transitions of a system that a planner makes instead; 0 where none can."""
        return self.collection.planned_share if has_planned(SYSTEMS[env]) and not has_ppo(env) else 0.0

    def planner(self, env: str, *, collecting: bool = False) -> Planner:
        """The planner that a system's task declares, with this preset's samples and iterations if it samples.

        Args:
            env: One of its environments.
            collecting: Whether it makes data, for which fewer iterations may do.
        """
        iterations = (self.collection.planned_iterations if collecting else None) or self.control.num_iterations
        budget = {"population": self.control.num_samples, "num_iterations": iterations}
        return build_planner(SYSTEMS[env].planning.planner, **budget)

    @property
    def own_seeds(self) -> tuple[int, ...]:
        """The seeds that a run of this preset makes itself."""
        return tuple(seed for seed in self.seeds if seed not in self.taken)

    @property
    def seen_sets(self) -> dict[str, PartlySeen]:
        """The partly seen sets by name, with the group that says what is done with each."""
        return {name: group for group in self.partly_seen for name in group.sets}

    def seeds_seen(self, name: str) -> tuple[int, ...]:
        """Return the seeds of a partly seen set that a run of this preset makes itself."""
        return tuple(seed for seed in self.seeds[: self.seen_sets[name].num_seeds] if seed in self.own_seeds)

    def keeps(self, method: str, form: str, data: str) -> bool:
        """Whether arms of a method, form and kind of data belong to the run."""
        name, mode = method_and_mode(method)
        known = not self.methods or name in self.methods or method in self.methods
        formed = not self.forms or form in (*self.forms, *self.solvers)
        return known and mode in self.training_modes and formed and (not self.data or data_of(data).kind in self.data)

    def varied_data(self, env: str) -> list[str]:
        """Names of the data that variations on a system train on, beside all transitions as they are."""
        found = [name for rule in self.variations if env in rule.environments for name in rule.data]
        return list(dict.fromkeys(found))

    def frictions(self, env: str) -> list[float]:
        """Factors on the losses of a system that variations ask for."""
        return [factor for name in self.varied_data(env) if (factor := data_of(name).friction) != 1]

    def seeds_of(self, arm: Arm) -> tuple[int, ...]:
        """Return the seeds that an arm has: all, or the first ones."""
        count = next((rule.num_seeds for rule in self.fewer_seeds if rule.concerns(arm)), len(self.seeds))
        return self.seeds[:count]

    def own_seeds_of(self, arm: Arm) -> tuple[int, ...]:
        """Return those of an arm's seeds that a run of this preset makes itself."""
        return tuple(seed for seed in self.seeds_of(arm) if seed not in self.taken)

    @field_validator(
        "environments",
        "seeds",
        "taken",
        "models",
        "methods",
        "forms",
        "data",
        "training_modes",
        "solvers",
        "sizes",
        "train_frequencies",
        "test_frequencies",
        "amounts",
    )
    @classmethod
    def _no_repeats(cls, values: tuple) -> tuple:
        if len(set(values)) < len(values):
            raise ValueError(f"entries must differ, got {list(values)}")
        return values

    @field_validator("train_frequencies", "test_frequencies")
    @classmethod
    def _representable(cls, rates: tuple[float, ...]) -> tuple[float, ...]:
        for rate in rates:
            if delta_t_of(rate) < SHORTEST_DELTA_T:
                raise ValueError(f"a rate must have an interval of at least {SHORTEST_DELTA_T} s, got {rate} Hz")
        return rates

    @model_validator(mode="after")
    def _consistent(self) -> "Preset":
        if self.taken:
            self._check_taken()
        missing = set(self.train_frequencies) - set(self.test_frequencies)
        if missing:
            raise ValueError(f"test_frequencies must contain every training rate, missing {sorted(missing)}")
        longest = max(delta_t_of(rate) for rate in self.test_frequencies)
        if self.evaluation.horizon < longest:
            raise ValueError(
                f"evaluation.horizon must hold one step of every rate: {self.evaluation.horizon} s < {longest} s"
            )
        if self.evaluation.hold is not None:
            for label in map(frequency_label, self.test_frequencies):
                hold_of(label, self.evaluation.hold)
        for name in self.models:
            declared = find_family(name).arms
            if not any(self.keeps(arms.method, arms.form, arms.data) for arms in declared):
                found = sorted({(arms.method, arms.form, arms.data) for arms in declared})
                raise ValueError(f"methods, forms and data must leave an arm of every model, {name} has {found}")
            windows_per_batch(self.training.batch_size, find_family(name).needs.window)
        if self.pictures is not None:
            self._check_pictured(self.pictures)
        if "shooting" in self.training_modes:
            windows_per_batch(self.training.batch_size, WINDOW)
        if self.collection.planned_share and not any(map(self.planned_share, self.environments)):
            raise ValueError(
                "collection.planned_share must be 0 where no system has a task with a cost, inputs in a box and no "
                f"agent of its own, got {self.collection.planned_share} for {list(self.environments)}"
            )
        for i, rule in enumerate(self.variations):
            self._check_variation(f"variations.{i}", rule)
        for name in self.environments:
            horizon = SYSTEMS[name].planning.horizon
            if self.control.replan_seconds > horizon:
                raise ValueError(
                    f"control.replan_seconds must be at most the {horizon} s that plans of {name} look ahead, got "
                    f"{self.control.replan_seconds}"
                )
            for rate in self.control.rates:
                _check_planning(SYSTEMS[name], rate)
        return self

    def _check_pictured(self, pictures: Pictures) -> None:
        """Check that systems and predictors which are named belong to the run, and that batches hold whole windows."""
        for env, forms in pictures.forms.items():
            if env not in self.environments:
                raise ValueError(f"pictures.forms must name environments {list(self.environments)}, got {env!r}")
            if unknown := [form for form in forms if self.forms and form not in self.forms]:
                raise ValueError(f"pictures.forms of {env} must be among forms = {list(self.forms)}, got {unknown}")
        for method, systems in pictures.systems.items():
            if self.methods and method not in self.methods:
                raise ValueError(f"pictures.systems must name methods {list(self.methods)}, got {method!r}")
            if unknown := [env for env in systems if env not in self.environments]:
                known = list(self.environments)
                raise ValueError(f"pictures.systems of {method} must be among environments = {known}, got {unknown}")
        for name in ("", *pictures.methods):
            options = VisualOptions.of(pictures.of(name), "pictures.options")
            windows_per_batch(self.training.batch_size, options.window)
            if not options.spatial:  # predictors by themselves learn on windows of latents, one for each frame
                windows_per_batch(self.training.batch_size, options.rollout_steps)
            hold, slowest = self.evaluation.hold or self.evaluation.horizon, min(self.test_frequencies)
            if options.frames_before > hold * slowest * (1 + ROUNDING):
                rule = f"at least the {options.frames_before} intervals of {slowest:g} Hz that models of pictures read"
                raise ValueError(f"evaluation.hold must be {rule} before a start, got {hold:g} s")

    def _check_taken(self) -> None:
        """Check that other runs have made the seeds that are taken, as this preset says, and that one is left."""
        if unknown := [seed for seed in self.taken if seed not in self.seeds]:
            raise ValueError(f"taken must be among seeds = {list(self.seeds)}, got {unknown}")
        if not self.own_seeds:
            raise ValueError(f"taken must leave a seed to this run, got all of {list(self.seeds)}")
        check_blocks(self.name, self.taken, self.model_dump(mode="json"), _completed)

    def _check_variation(self, key: str, rule: Variation) -> None:
        """Check that what a variation names is part of the run, and that it has what is varied."""
        for name, known, given in (
            ("environments", self.environments, rule.environments),
            ("models", self.models, rule.models),
        ):
            if unknown := [value for value in given if value not in known]:
                raise ValueError(f"{key}.{name} must be among the preset's {list(known)}, got {unknown}")
        for env in rule.environments if rule.friction else ():
            if self.collection.sequence_length is None or not SYSTEMS[env].lossless:
                raise ValueError(
                    f"{key}.friction must be of systems that declare what they lose, collected as sequences "
                    f"(collection.sequence_length), got {env}"
                )
        if "shooting" in rule.training_modes:
            windows_per_batch(self.training.batch_size, WINDOW)


def _completed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return all keys of a checked preset of an earlier version, those that are new since then with their defaults."""
    return Preset.model_validate({**content, "taken": (), "chapters": ()}).model_dump(mode="json")


def _check_planning(system: System, rate: float) -> None:
    """Check that a system's planner can plan at a control rate."""
    declared = system.planning
    try:
        clock = knot_clock(system, delta_t_of(rate))
        build_planner(declared.planner).num_scored(inputs_of(system.spec), clock.num_knots)
    except ValueError as error:
        raise ValueError(
            f"control.frequencies must suit the planner of {system.spec.name}, {declared.planner} over "
            f"{declared.horizon} s; at {rate} Hz {error}"
        ) from error


def _environment_name(name: str) -> str:
    """Return the name of a system; one named by its import path is registered: a preset is the user's own."""
    if not is_import_path(name):
        if name not in SYSTEMS:
            known = f"one of {sorted(SYSTEMS)} or an import path 'package.module:SYSTEM'"
            raise ValueError(f"environment must be {known}, got {name!r}")
        return name
    system = import_object(name)
    if not isinstance(system, System):
        raise ValueError(f"environment {name!r} must be a System, got {type(system).__name__}")
    return register_system(system).spec.name


def _model_name(name: str) -> str:
    """Return the name of a model family; a class named by its import path is registered."""
    family = find_family(name)
    return register_model(family) if is_import_path(name) else name


def preset_path(name_or_path: str | os.PathLike) -> Path:
    """Return the file of a preset given by name (`quick`) or by path.

    Raises:
        PresetError: If there is no such preset; the message lists those that exist.
    """
    path = Path(name_or_path)
    if path.suffix not in PRESET_ENDINGS:
        path = PRESET_FOLDER / f"{name_or_path}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in PRESET_FOLDER.glob("*.yaml"))
        raise PresetError(f"preset must be one of {known} or the path of a YAML file, got {str(name_or_path)!r}")
    return path


def load_preset(name_or_path: str | os.PathLike) -> Preset:
    """Read and check a preset; modules that it names by import path may lie beside it.

    Raises:
        PresetError: Names every offending key, the rule it breaks, and the value given.
    """
    path = preset_path(name_or_path)
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise PresetError(f"preset {path.name} must be valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise PresetError(f"preset {path.name} must be a mapping of keys to values, got {type(content).__name__}")
    try:
        with importable(path.resolve().parent):
            return Preset.model_validate(content)
    except ValidationError as error:
        raise PresetError(f"preset {path.name} cannot run:\n" + "\n".join(map(_describe, error.errors()))) from error


def _describe(problem: ErrorDetails) -> str:
    key = ".".join(str(part) for part in problem["loc"]) or "preset"
    rule = {
        "extra_forbidden": "unknown key",
        "missing": "required key is missing",
    }.get(problem["type"], problem["msg"])
    value = "" if problem["type"] == "missing" or isinstance(problem["input"], dict) else f", got {problem['input']!r}"
    return f"  {key}: {rule}{value}"
