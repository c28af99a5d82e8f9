"""What a measure is: a name, the tables it fills, what it needs, and a function that asks the models.

A measure is one file. It becomes part of every evaluation by its line in `MEASURES`, or for a measure of your own by
`register_measure`; where what it needs is absent, a line of the table `skipped` says so.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import pandas as pd
import torch

from tdlib.core.specs import EnvironmentSpec
from tdlib.evaluation.measures.take import Question
from tdlib.evaluation.sets.test_sets import TestSet
from tdlib.evaluation.tables import Member
from tdlib.models import DynamicsModel
from tdlib.speed import Model, Stack, has_memory
from tdlib.speed.structure import num_members
from tdlib.systems import System

SKIPPED = "skipped"  # table of what was not measured: key columns, measure, reason


@dataclass(frozen=True)
class Subject:
    """K models of one structure, and what they are measured on.

    Args:
        model: Stack of K models, one model, or anything that maps (state, action, delta_t) to the next state.
        members: Key columns of each model.
        test_sets: One test set per seed of the members.
        system: Exact flow; None for a log.
        device: Where the model is.
    """

    model: Model
    members: Sequence[Member]
    test_sets: Mapping[int, TestSet]
    system: System | None = None
    device: torch.device | str = "cpu"

    @property
    def test_set(self) -> TestSet:
        """The first member's test set; those of other seeds have the same parts."""
        return self.test_sets[self.members[0]["seed"]]

    @property
    def spec(self) -> EnvironmentSpec:
        """Names, units and angles."""
        return self.test_set.spec

    @property
    def remembers(self) -> bool:
        """Whether predictions depend on what came before, so that only states with a known past can be asked about."""
        return has_memory(self.model)

    @property
    def structure(self) -> object:
        """The model, or the structure that all models of a stack share."""
        return getattr(self.model, "template", self.model)

    @property
    def predicts(self) -> Sequence[str]:
        """What the model says it predicts; the state where it says nothing."""
        return getattr(self.structure, "predicts", ("state",))


@dataclass(frozen=True)
class Skipped:
    """Part of a measure that cannot be taken.

    Args:
        part: Which part, for example "pairs of ppo".
        reason: Why, as a clause.
    """

    part: str
    reason: str


Found: TypeAlias = pd.DataFrame | Mapping[str, pd.DataFrame]
Ask = Callable[..., Iterable[Question[Found] | Skipped]]


@dataclass(frozen=True)
class Measure:
    """One way to score predictions.

    Args:
        name: Key in `MEASURES`.
        tables: Names of the tables it fills; those of `results/metrics/<table>.csv`.
        needs: Keys of `NEEDS`.
        ask: (subject, **options) -> questions: generators that yield the queries they need, are sent the predictions,
            and return their rows (of several tables: a mapping by name); or `Skipped` in place of one. No question is
            begun before its turn.

    Raises:
        ValueError: If a need is unknown; the message lists the valid ones.
    """

    name: str
    tables: tuple[str, ...]
    needs: frozenset[str]
    ask: Ask

    def __post_init__(self):
        unknown = sorted(set(self.needs) - set(NEEDS))
        if unknown:
            raise ValueError(f"needs of measure {self.name!r} must be among {list(NEEDS)}, got {unknown}")

    def missing(self, subject: Subject) -> str | None:
        """Return why the measure cannot be taken of a subject, or None if it can."""
        reasons = [NEEDS[need](subject) for need in sorted(self.needs)]
        return "; ".join(reason for reason in reasons if reason) or None


def _predicted(what: str) -> Callable[[Subject], str | None]:
    def reason(subject: Subject) -> str | None:
        return None if what in subject.predicts else f"needs a model that predicts the {what}"

    return reason


def _field(subject: Subject) -> str | None:
    has_field = hasattr(subject.structure, "derivative")
    return None if has_field else "needs a field: a model with a derivative"


def _spread(subject: Subject) -> str | None:
    return None if num_members(subject.model) > 1 else "needs a spread: an ensemble of several members"


def _truth(subject: Subject) -> str | None:
    known = all(test_set.truth for test_set in subject.test_sets.values())
    return None if known else "needs the truth at other intervals than the recorded ones"


def _system(subject: Subject) -> str | None:
    return None if subject.system is not None else "needs the system: its equation"


def _energy(subject: Subject) -> str | None:
    declared = subject.system is not None and subject.system.energy is not None
    return None if declared else "needs a system that declares an energy"


def _sequences(subject: Subject) -> str | None:
    known = all(test_set.sequences is not None for test_set in subject.test_sets.values())
    return None if known else "needs sequences at several intervals: the truth beyond what was recorded"


def _rates(subject: Subject) -> str | None:
    if _field(subject) is None:
        return None
    if subject.remembers:
        return "needs a field: the model's step depends on more than the state"
    if isinstance(getattr(subject.structure, "model", None), Stack | DynamicsModel):
        return "needs a field: at its own step it is the model that it reads"
    return None if hasattr(subject.model, "train_delta_t") else "needs a field: a model with a step of its own"


def _pairs(subject: Subject) -> str | None:
    for test_set in subject.test_sets.values():
        pairs = test_set.pairs.get(test_set.main)
        if pairs is None:
            return "needs pairs of a state and the next"
        if subject.remembers and pairs.context is None:
            return "needs pairs whose past is known: the model remembers"
    return None


def _rollouts(subject: Subject) -> str | None:
    if not all(test_set.rollouts for test_set in subject.test_sets.values()):
        return "needs rollouts: an episode as long as the horizon"
    return None


NEEDS: dict[str, Callable[[Subject], str | None]] = {  # name -> why a subject lacks it, or None
    "state": _predicted("state"),
    "variance": _predicted("variance"),
    "image": _predicted("image"),
    "field": _field,
    "rates": _rates,
    "spread": _spread,
    "truth": _truth,
    "system": _system,
    "energy": _energy,
    "sequences": _sequences,
    "pairs": _pairs,
    "rollouts": _rollouts,
}
