"""What the study knows of a model family: how it is built, its options, what is trained, what figures call it."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from torch import nn

from tdlib.core.facts import TRAIN_RATES
from tdlib.core.specs import EnvironmentSpec
from tdlib.models.contract import DynamicsModel, Needs
from tdlib.models.options import Options

OWN_LOOK = (("marker", "*"), ("linestyle", ":"))  # tells a class of one's own from ours of its method


@dataclass(frozen=True)
class Arms:
    """Some trained configurations of one family: one per training rate.

    Args:
        method: Row of a result table: baseline, dt_conditioned, multi_resolution, ode, or a name of one's own.
        form: Value of the family's `form_option`.
        rates: Training rates, as tables name them: those of `tdlib.core.facts`.
        data: What they are trained on, as in `tdlib.study.arms.Arm`.
        larger: Training rates at which the larger sizes that a preset names are trained too.
        in_amounts: Whether they are trained on the shares of the data that a preset names too.
        derived: Which arms without training of their own read these, names in `tdlib.models.derived.DERIVATIONS`.
    """

    method: str
    form: str = "none"
    rates: tuple[str, ...] = TRAIN_RATES
    data: str = "transitions"
    larger: tuple[str, ...] = ()
    in_amounts: bool = False
    derived: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shown:
    """Where figures and pages with limited room show a family.

    Args:
        stands_for: "maps" or "fields" if it is the one of its kind where there is room for one of each.
        among: (method, form) in which it stands among others where families are compared.
        on_page: (method, form, training rate) of the arms whose weights the published page carries; None for all.
    """

    stands_for: str = ""
    among: tuple[tuple[str, str], ...] = ()
    on_page: tuple[tuple[str, str, str], ...] | None = None


@dataclass(frozen=True)
class Family:
    """One line of the registry.

    Args:
        model: The class that gives the family its name: a `DynamicsModel`, or a field with the signature
            (t, state, action_emb).
        build: Makes an untrained model of a spec and options.
        options: Class of the options; every field has a default.
        arms: What the study trains.
        label: Name in figures and tables.
        short_label: Name where there is little room; empty where the method's name is enough.
        form_option: The option that an arm's `form` sets.
        look: What tells it from families of one method and form in figures, as keywords of `Axes.plot`.
        shown: Where there is limited room; None puts it beside ours of the same method, form and rate.
    """

    model: type[nn.Module]
    build: Callable[[EnvironmentSpec, Any], DynamicsModel]
    options: type[Options] = Options
    arms: tuple[Arms, ...] = (Arms("baseline"),)
    label: str = ""
    short_label: str = ""
    form_option: str = "form"
    look: tuple[tuple[str, str], ...] = ()
    shown: Shown | None = None

    @property
    def needs(self) -> Needs:
        """What a training batch must hold for models of this family built with default options."""
        return getattr(self.model, "needs", Needs())

    @property
    def reads(self) -> tuple[str, ...]:
        """What its models must be told of a start: state, observation, image."""
        return getattr(self.model, "reads", ("state",))

    @property
    def has_spread(self) -> bool:
        """Whether its models are ensembles, whose members' predictions differ."""
        return hasattr(self.model, "member_predictions")

    @property
    def remembers(self) -> bool:
        """Whether its models carry a memory along a rollout."""
        return issubclass(self.model, DynamicsModel) and self.model.remembers()

    def on_page(self, method: str, form: str, train_frequency: str) -> bool:
        """Whether the published page carries the weights of an arm."""
        wanted = None if self.shown is None else self.shown.on_page
        return wanted is None or (method, form, train_frequency) in wanted

    def has_option(self, name: str) -> bool:
        """Whether there is an option of this name."""
        return name in (field.name for field in fields(self.options))


def family_of(model: type[DynamicsModel]) -> Family:
    """Describe a class that is in no registry by what it says itself.

    The class may have `Options` (a frozen dataclass derived from `tdlib.models.Options`), `ARMS` (a tuple of `Arms`)
    `label`, `look` and `shown`; it is built as model(spec, options).
    """
    name = model.__name__
    label = getattr(model, "label", name)
    arms, look = tuple(getattr(model, "ARMS", (Arms("baseline"),))), getattr(model, "look", OWN_LOOK)
    shown = getattr(model, "shown", None)
    return Family(model, model, model.Options, arms, label, label, look=look, shown=shown)
