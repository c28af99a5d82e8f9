"""What an explorer has to offer: chosen arms of a system's first seed and some starts; models are loaded when asked."""

import functools
from collections.abc import Callable, Collection
from typing import Generic, TypeVar

from tdlib.models import DynamicsModel
from tdlib.study.arms import Arm
from tdlib.study.run import Run
from tdlib.study.selection import Selection

STARTS = 4

Model = TypeVar("Model", bound=DynamicsModel)


class OfferedPaths(Generic[Model]):
    """Paths of a system's first seed by some of the chosen arms.

    Args:
        run: Preset and folders; what is chosen must be trained.
        env: One of its systems.
        chosen: A part of the grid; None for all of it.

    Attributes:
        arms: Those that can be followed.
        starts: Numbers of the starts on offer.
        model: Returns the model of an arm.
    """

    def __init__(self, run: Run, env: str, chosen: Selection | None = None):
        self.run, self.env, self.seed = run, env, run.preset.own_seeds[0]
        self.arms = self.offered_arms(chosen)
        self.starts = tuple(range(min(STARTS, run.preset.evaluation.num_starts)))
        self.model: Callable[[Arm], Model] = functools.cache(self.load)

    def offered_arms(self, chosen: Selection | None) -> list[Arm]:
        """Return the arms, of those chosen, that can be followed."""
        raise NotImplementedError("offered_arms(chosen) -> arms")

    def load(self, arm: Arm) -> Model:
        """Load the model of an arm."""
        raise NotImplementedError("load(arm) -> model")

    def page_arms(self) -> list[Arm]:
        """Return those of a page, which has little room."""
        raise NotImplementedError("page_arms() -> arms")

    def check_offered(self, arm: Arm, start: int, **more: tuple[object, Collection]) -> None:
        """Refuse what is not on offer; of further choices the value and those that are.

        Raises:
            ValueError: If the arm, the start or a further choice is not on offer.
        """
        for name, (value, known) in {"arm": (arm, self.arms), "start": (start, self.starts), **more}.items():
            if value not in known:
                raise ValueError(f"{name} must be one of {list(known)}, got {value}")
