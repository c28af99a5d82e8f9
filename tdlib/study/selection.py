"""Which part of a preset's grid a notebook works on: some of its models, methods, forms, rates, sizes, and seeds.

    chosen = select_arms(run, methods=["baseline"], train_frequencies=[20])

Every phase takes what was chosen; nothing chosen means all of it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tdlib.core.facts import LOG_UNIFORM, MIXED, TRANSITIONS
from tdlib.evaluation.tables import frequency_label
from tdlib.study.arms import PERSISTENCE, Arm, all_arms, trained_arms
from tdlib.study.chapters import load_chapter
from tdlib.study.presets import Preset, PresetError
from tdlib.study.run import Run
from tdlib.systems import SYSTEMS

NO_MODEL = PERSISTENCE.model  # names what needs no model: persistence, the oracle
PLAIN = ("baseline", "none", TRANSITIONS)  # method, form and data of arms that are told nothing of time
Member = tuple[Arm, int]  # an arm and a seed


@dataclass(frozen=True)
class Selection:
    """Some arms and seeds of a run.

    Args:
        arms: What was chosen, trained and derived; persistence is always beside it.
        seeds: Seeds.
        preset: Says which of the seeds an arm has.
        label: Tells files of this part of the grid from those of another; empty for all of it.
    """

    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    preset: Preset
    label: str = ""

    @property
    def models(self) -> tuple[str, ...]:
        """Models of the arms, in order."""
        return tuple(dict.fromkeys(arm.model for arm in self.arms))

    @property
    def trained(self) -> tuple[Arm, ...]:
        """The arms to train: those chosen, and those that chosen ones read."""
        return tuple(dict.fromkeys(arm.source for arm in self.arms if arm.source is not None))

    @property
    def trained_members(self) -> list[Member]:
        """Arms and seeds to train."""
        return [(arm, seed) for arm in self.trained for seed in self.seeds_of(arm)]

    def seeds_of(self, arm: Arm) -> tuple[int, ...]:
        """Return those of the seeds that an arm has."""
        there = self.preset.seeds_of(arm)
        return tuple(seed for seed in self.seeds if seed in there)

    @property
    def acting(self) -> "Selection":
        """The arms that are planned with."""
        plans = load_chapter(self.preset.chapter).plans
        return replace(self, arms=tuple(arm for arm in self.arms if arm.acts and plans(arm)))

    def on(self, env: str) -> "Selection":
        """Return what of it there is in one environment."""
        there = set(arms_of(self.preset, env))
        return replace(self, arms=tuple(arm for arm in self.arms if arm in there))

    def members(self, model: str) -> list[Member]:
        """Return arms and seeds of one model, or of persistence."""
        arms = [PERSISTENCE] if model == NO_MODEL else [arm for arm in self.arms if arm.model == model]
        return [(arm, seed) for arm in arms for seed in self.seeds_of(arm)]


def arms_of(preset: Preset, env: str | None = None) -> list[Arm]:
    """Every arm of a preset, or those of one environment: persistence, derived and trained arms, and variations.

    A partly seen set has every model as its data are, at their one rate.
    """
    if env in preset.seen_sets:
        own = trained_arms(preset.models, rates=[frequency_label(preset.seen_sets[env].rate)])
        return [PERSISTENCE, *(arm for arm in own if (arm.method, arm.form, arm.data) == PLAIN)]
    rates = [frequency_label(rate) for rate in preset.train_frequencies]
    arms = all_arms(preset.models, preset.sizes, rates, preset.amounts, preset.training_modes, preset.solvers)
    kept = [arm for arm in arms if arm == PERSISTENCE or preset.keeps(arm.method, arm.form, arm.data)]
    rules = [rule for rule in preset.variations if env is None or env in rule.environments]
    kept = list(dict.fromkeys([*kept, *(made for rule in rules for arm in kept for made in rule.of(arm))]))
    return [arm for arm in kept if env is None or arm.applies_to(SYSTEMS[env])]


def select_arms(
    run: Run,
    *,
    models: Sequence[str] = (),
    methods: Sequence[str] = (),
    forms: Sequence[str] = (),
    train_frequencies: Sequence[float | str] = (),
    sizes: Sequence[str] = (),
    seeds: Sequence[int] = (),
) -> Selection:
    """Choose a part of a run's grid; an empty list leaves a choice open.

    Args:
        run: Preset and folders.
        models: Some of the preset's models, or `none` for what needs no model.
        methods: Some of the methods of their arms.
        forms: Some of the forms (for fields, solvers).
        train_frequencies: Some of the training rates [Hz], `mixed`, `loguniform`.
        sizes: Some of the preset's sizes.
        seeds: Some of the seeds that the run makes itself.

    Raises:
        PresetError: If a value is not among those of the preset, or no arm has all that was asked for.
    """
    whole = tuple(arm for arm in arms_of(run.preset) if arm != PERSISTENCE)
    all_rates = [*(frequency_label(rate) for rate in run.preset.train_frequencies), MIXED, LOG_UNIFORM]
    rates = [frequency_label(rate) for rate in train_frequencies]
    asked = {
        "model": check_choice("models", (*run.preset.models, NO_MODEL), models),
        "method": check_choice("methods", _values(whole, "method"), methods),
        "form": check_choice("forms", _values(whole, "form"), forms),
        "train_frequency": check_choice("train_frequencies", all_rates, rates),
        "size": check_choice("sizes", run.preset.sizes, sizes),
    }
    chosen_seeds = check_choice("seeds", run.preset.own_seeds, seeds)
    narrowed = {name: set(values) for name, values in asked.items() if values}
    arms = tuple(arm for arm in whole if all(getattr(arm, name) in values for name, values in narrowed.items()))
    if not arms and narrowed.get("model") != {NO_MODEL}:
        wanted = ", ".join(f"{name} among {sorted(values)}" for name, values in narrowed.items())
        raise PresetError(f"an arm of preset {run.preset.name} must have {wanted}; none has")
    chosen_seeds = chosen_seeds or run.preset.own_seeds
    if arms == whole and set(chosen_seeds) == set(run.preset.own_seeds):
        return Selection(whole, run.preset.own_seeds, run.preset)
    text = repr([sorted(map(str, arms)), sorted(chosen_seeds)])
    names = "+".join(sorted({arm.model.rpartition(":")[2] for arm in arms})) or NO_MODEL
    return Selection(arms, tuple(chosen_seeds), run.preset, f"{names}-{hashlib.sha256(text.encode()).hexdigest()[:8]}")


def everything(run: Run) -> Selection:
    """Choose all arms and seeds of a run."""
    return select_arms(run)


def check_choice(name: str, allowed: Sequence, chosen: Sequence) -> tuple:
    """Return what was chosen.

    Raises:
        PresetError: If a value is not among those allowed.
    """
    unknown = [value for value in chosen if value not in allowed]
    if unknown:
        raise PresetError(f"{name} must be among the preset's {list(allowed)}, got {unknown}")
    return tuple(chosen)


def _values(arms: Sequence[Arm], name: str) -> list[str]:
    return list(dict.fromkeys(getattr(arm, name) for arm in arms))
