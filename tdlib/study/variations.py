"""Variations: main arms of several rates with one thing changed, to see what a comparison depends on.

    variations:
      - {environments: [oscillator], models: [jump, newtonian], amounts: [0.01], noise: [0.1], friction: [0, 3]}
      - {environments: [oscillator], models: [newtonian], training_modes: [shooting], solvers: [midpoint]}

They stand beside the main arms of a preset, of the same seeds and weights at the start.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from tdlib.core.facts import (
    MIXED,
    TRANSITIONS,
    method_and_mode,
    part_of_data,
    with_friction_in_name,
    with_noise_in_name,
)
from tdlib.models import find_family
from tdlib.models.ode import FieldOptions
from tdlib.study.arms import DEFAULT_SIZE, Arm, knows_mode


def _known_solvers(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        FieldOptions(solver=name)
    return names


Names = Annotated[tuple[str, ...], Field(min_length=1)]
Solvers = Annotated[tuple[str, ...], AfterValidator(_known_solvers)]  # each one that a field knows


class Variation(BaseModel):
    """Some main arms of several rates, each a second time with one thing changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    environments: Names
    models: Names
    amounts: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = ()  # shares of the data
    # standard deviation of the error of every state that is trained on, as a share of the coordinate's own
    noise: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] = ()
    # times the losses of the system, on which these arms are tested too
    friction: tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...] = ()
    training_modes: tuple[Literal["shooting", "reversible"], ...] = ()
    solvers: Solvers = ()  # that fields are trained through

    @field_validator("friction")
    @classmethod
    def _differs(cls, factors: tuple[float, ...]) -> tuple[float, ...]:
        if 1 in factors:
            raise ValueError(f"factors must differ from 1, which the main arms have, got {list(factors)}")
        return factors

    @property
    def data(self) -> list[str]:
        """Names of the data that arms are trained on beside all transitions as they are."""
        return [
            *(part_of_data(TRANSITIONS, share) for share in self.amounts),
            *(with_noise_in_name(TRANSITIONS, share) for share in self.noise),
            *(with_friction_in_name(TRANSITIONS, factor) for factor in self.friction),
        ]

    def of(self, arm: Arm) -> Iterator[Arm]:
        """Yield what an arm is varied to; nothing of one that is not among those."""
        main = (arm.train_frequency, arm.size, arm.data) == (MIXED, DEFAULT_SIZE, TRANSITIONS)
        if not main or arm.model not in self.models or method_and_mode(arm.method)[0] != arm.method:
            return
        family = find_family(arm.model)
        yield from (replace(arm, data=name) for name in self.data)
        yield from (
            replace(arm, method=f"{arm.method}_{mode}") for mode in self.training_modes if knows_mode(family, mode)
        )
        if family.form_option == "solver":
            yield from (replace(arm, form=solver) for solver in self.solvers if solver != arm.form)
