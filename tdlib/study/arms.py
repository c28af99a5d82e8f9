"""The arms of the study: which configurations are trained, and which derive from a trained one without training."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tdlib.core.facts import (
    ARM_COLUMNS,
    CONTACTS,
    FINEST,
    LOG_UNIFORM,
    MIXED,
    MODES,
    REFERENCE_DELTA_T,
    REVERSAL_WEIGHT,
    SECONDS,
    TRAIN_RATES,
    TRANSITIONS,
    method_and_mode,
    part_of_data,
)
from tdlib.core.seeding import derive_seed
from tdlib.core.specs import EnvironmentSpec
from tdlib.core.time_grid import delta_t_of
from tdlib.models import DERIVATIONS, MODELS, SIZES, Arms, DynamicsModel, build_model, find_family, models_reading
from tdlib.models.family import Family
from tdlib.systems import System

DEFAULT_SIZE = "hidden64"
MODE_OPTIONS: dict[str, dict[str, object]] = {  # what a family must know to be trained so
    "shooting": {"trajectory": "shooting"},
    "reversible": {"reversal": REVERSAL_WEIGHT},
}


@dataclass(frozen=True)
class Arm:
    """One trained configuration, without environment and seed.

    Args:
        model: Key in `MODELS` or import path of a class, or `none`.
        method: What the family calls it, followed by the mode of training unless that is `matching`: `ode`,
            `ode_shooting`, `ode_reversible`; for derived arms a key of `DERIVATIONS`, or persistence.
        form: Value of the family's `form_option`: a name in `FORMS`; for the method `ode` its solver.
        size: Key in `SIZES`.
        data: `transitions` (equally many in every arm, those of each rate from its own agent), `seconds` (equally many
            seconds of experience), `pooled` (as many transitions, every rate's from the states of all agents together),
            or `contacts` (as `transitions`, with those that touch the limits of the state). A share of the first two
            ends in its percentage, `transitions_10pct`; what else a name may say is in `tdlib.core.facts.data_of`.
        train_frequency: `10`, `20`, `50` [Hz], `mixed`, `loguniform`, or empty where nothing is trained.
    """

    model: str
    method: str
    form: str = "none"
    size: str = DEFAULT_SIZE
    data: str = "transitions"
    train_frequency: str = ""

    @property
    def folder(self) -> str:
        """Folder name, for example `dt_conditioned_scaled_concat_20hz`; what is not the default comes last."""
        if self.model == "none":
            return self.method
        rate = self.train_frequency
        parts = [self.method] + ([self.form] if self.form != "none" else [])
        if rate == MIXED:
            parts += [rate] if method_and_mode(self.method)[0] == "ode" else []
        elif rate:
            parts += [rate if rate == LOG_UNIFORM else f"{rate}hz"]
        parts += [self.size] if self.size != DEFAULT_SIZE else []
        parts += [self.data] if self.data != "transitions" else []
        return "_".join(parts)

    @property
    def frequencies(self) -> tuple[float, ...]:
        """Training rates [Hz]; empty for log-uniform Δt and for what is not trained."""
        if self.train_frequency == MIXED:
            return tuple(float(f) for f in TRAIN_RATES)
        return (float(self.train_frequency),) if self.train_frequency not in ("", LOG_UNIFORM) else ()

    @property
    def train_delta_t(self) -> float:
        """Training step [s]; the reference of 0.05 s for several rates."""
        return delta_t_of(self.frequencies[0]) if len(self.frequencies) == 1 else REFERENCE_DELTA_T

    @property
    def source(self) -> "Arm | None":
        """The trained arm that a derived arm reads; itself for a trained arm, None for persistence."""
        if self.method in DERIVATIONS:
            return replace(self, method="baseline")
        return None if self.model == "none" else self

    @property
    def acts(self) -> bool:
        """Whether the arm is planned with: plans that change nothing have no order, data and size matter to fit."""
        derived = DERIVATIONS.get(self.method)
        if self.method == "persistence" or derived is not None and not derived.acts:
            return False
        return self.data in (TRANSITIONS, SECONDS) and self.size == DEFAULT_SIZE

    def applies_to(self, system: System) -> bool:
        """Whether the arm differs from others on a system: without limits of the state nothing touches them."""
        return self.data != CONTACTS or system.clips

    def keys(self) -> dict[str, str]:
        """The arm's key columns in table order."""
        return {name: getattr(self, name) for name in ARM_COLUMNS}


def build_arm(arm: Arm, spec: EnvironmentSpec, seed: int) -> DynamicsModel:
    """Build the untrained model of an arm; arms of one model and size start from the same weights per seed (paired).

    Raises:
        ValueError: If the arm is not trained, or a name in it is unknown.
    """
    if arm.source != arm:
        raise ValueError(f"arm must be a trained one, got {arm}")
    family = find_family(arm.model)
    chosen = {family.form_option: arm.form, "size": arm.size, "train_delta_t": arm.train_delta_t}
    options = {name: value for name, value in chosen.items() if family.has_option(name)}
    options |= MODE_OPTIONS.get(method_and_mode(arm.method)[1], {})
    return build_model(arm.model, spec, seed=derive_seed(seed, spec.name, arm.model, arm.size, "weights"), **options)


def trained_arms(
    models: Sequence[str] | None = None,
    sizes: Sequence[str] = (DEFAULT_SIZE,),
    rates: Sequence[str] = TRAIN_RATES,
    amounts: Sequence[float] = (),
    modes: Sequence[str] = MODES[:1],
    solvers: Sequence[str] = (),
) -> list[Arm]:
    """Every trained arm of the study.

    Args:
        models: Names of models, or import paths of classes, to keep; None means all of `MODELS` that read states.
        sizes: Sizes; those beyond hidden64 add the arms that a family trains larger.
        rates: Training rates there are data of; see `rates_of`.
        amounts: Shares of the data on which a family trains some arms too.
        modes: How models are trained; beyond `matching` they add arms of the families that know how, but not on
            log-uniform Δt, whose intervals do not follow each other.
        solvers: Solvers that fields are trained through, on single intervals, beside those that their families declare.

    Raises:
        ValueError: If a name is unknown; the message lists the valid ones.
    """
    if unknown := [mode for mode in modes if mode not in MODES]:
        raise ValueError(f"modes must be among {list(MODES)}, got {unknown}")
    unknown = [size for size in sizes if size not in SIZES]
    if unknown:
        raise ValueError(f"sizes must be among {list(SIZES)}, got {unknown}")
    names = models_reading("state") if models is None else sorted(models, key=_place)
    found = {name: (*find_family(name).arms, *_further_arms(name, modes, solvers)) for name in names}
    matrix = [(name, arms) for name, several in found.items() for arms in several]
    first = DEFAULT_SIZE in sizes
    return [
        *(
            Arm(name, arms.method, arms.form, data=arms.data, train_frequency=rate)
            for name, arms in matrix
            if first
            for rate in rates_of(arms.rates, rates)
        ),
        *(
            Arm(name, arms.method, arms.form, size, arms.data, rate)
            for size in sizes
            if size != DEFAULT_SIZE
            for name, arms in matrix
            for rate in rates_of(arms.larger, rates)
        ),
        *(
            Arm(name, arms.method, arms.form, data=part_of_data(arms.data, share), train_frequency=rate)
            for share in amounts
            for name, arms in matrix
            if first and arms.in_amounts
            for rate in rates_of(arms.rates, rates)
        ),
    ]


def derived_arms(models: Sequence[str] | None = None, rates: Sequence[str] = TRAIN_RATES) -> list[Arm]:
    """The arms without training of their own that read trained arms of these models, persistence before all."""
    names = models_reading("state") if models is None else sorted(models, key=_place)
    return [
        PERSISTENCE,
        *(
            Arm(name, method, arms.form, data=arms.data, train_frequency=rate)
            for name in names
            for arms in find_family(name).arms
            for method, derivation in DERIVATIONS.items()
            if method in arms.derived
            for rate in rates_of(arms.rates, rates)
            if rate in rates_of(derivation.rates, rates)
        ),
    ]


def knows_mode(family: Family, mode: str) -> bool:
    """Whether a family has what a mode of training beyond the first one asks of its models."""
    return mode in MODE_OPTIONS and all(map(family.has_option, MODE_OPTIONS[mode]))


def _further_arms(name: str, modes: Sequence[str], solvers: Sequence[str]) -> list[Arms]:
    """Arms that a family does not declare: of further solvers, and its own in the modes that it knows."""
    family = find_family(name)
    fields = [Arms("ode", solver) for solver in solvers] if family.form_option == "solver" else []
    known = [mode for mode in modes if knows_mode(family, mode)]
    return fields + [
        Arms(f"{arms.method}_{mode}", arms.form, rates, data=arms.data)
        for mode in known
        for arms in family.arms
        if (rates := tuple(rate for rate in arms.rates if rate != LOG_UNIFORM))
    ]


def all_arms(
    models: Sequence[str] | None = None,
    sizes: Sequence[str] = (DEFAULT_SIZE,),
    rates: Sequence[str] = TRAIN_RATES,
    amounts: Sequence[float] = (),
    modes: Sequence[str] = MODES[:1],
    solvers: Sequence[str] = (),
) -> list[Arm]:
    """Trained arms and the derived arms whose source is among them; persistence is always there."""
    trained = trained_arms(models, sizes, rates, amounts, modes, solvers)
    return [arm for arm in derived_arms(models, rates) if arm.source is None or arm.source in trained] + trained


def rates_of(declared: Sequence[str], rates: Sequence[str]) -> list[str]:
    """Return at which of a study's own training rates an arm is trained that a family declares by our rates.

    All of ours mean all of the study's, all but the finest mean that, the finest means the finest, and another one the
    one in the middle, or itself where the study has it. A mixture, and intervals between the rates, need two rates.
    """
    ordered = sorted(rates, key=float)
    ours = [rate for rate in declared if rate in TRAIN_RATES]
    if set(ours) == set(TRAIN_RATES):
        single = ordered
    elif ours == list(TRAIN_RATES[:-1]):
        single = ordered[:-1]
    elif ours == [FINEST]:
        single = ordered[-1:]
    else:
        middle = ordered[(len(ordered) - 1) // 2]
        single = list(dict.fromkeys(rate if rate in ordered else middle for rate in ours))
    several = [rate for rate in declared if rate not in TRAIN_RATES and len(ordered) > 1]
    return [*single, *several]


def _place(name: str) -> tuple[int, str]:
    """Models in the registry's order, others after them."""
    return ([*MODELS].index(name), "") if name in MODELS else (len(MODELS), name)


PERSISTENCE = Arm("none", "persistence", size="none", data="none")
DERIVED_ARMS: tuple[Arm, ...] = tuple(derived_arms())
