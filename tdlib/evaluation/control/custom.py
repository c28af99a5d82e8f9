"""A system to control, and what its planner looks through: the true equation, or a dynamics of one's own."""

from torch import Tensor

from tdlib.evaluation.control.dynamics import Dynamics, Oracle
from tdlib.evaluation.control.episodes import ControlResult, ControlSettings, evaluate_control
from tdlib.models import DynamicsModel
from tdlib.planning import Planner
from tdlib.speed import Stack
from tdlib.systems import System, get_system


class ControlTask:
    """A task of the library with a dynamics given by the caller: `ControlTask(system, custom_dynamics=dynamics)`.

    Args:
        system: The real system, or its name in `SYSTEMS`.
        custom_dynamics: What plans are made on: a model, a stack of one, or anything with the `predict_sequence` of
            `Dynamics`; the true equation if None.

    Raises:
        ValueError: If there is no such system, the dynamics cannot predict, or it predicts other states or inputs.

    Source:
        Seed 001, step 3, where a task takes `custom_dynamics`.
    """

    def __init__(self, system: System | str, custom_dynamics: Dynamics | Stack | DynamicsModel | None = None):
        self.system = get_system(system) if isinstance(system, str) else system
        self.dynamics = Oracle(self.system) if custom_dynamics is None else custom_dynamics
        if not hasattr(self.dynamics, "predict_sequence"):
            raise ValueError(f"custom_dynamics must have predict_sequence, {type(self.dynamics).__name__} has none")
        own, wanted = getattr(self.dynamics, "spec", None), self.system.spec
        if own is not None and (own.state_names, own.input_names) != (wanted.state_names, wanted.input_names):
            raise ValueError(
                f"custom_dynamics must predict {wanted.state_names} under {wanted.input_names} of {wanted.name}, "
                f"got {own.state_names} under {own.input_names}"
            )

    def run(
        self,
        control_frequency: float,
        starts: Tensor,
        planner: Planner | None = None,
        settings: ControlSettings | None = None,
    ) -> ControlResult:
        """Run closed-loop episodes, see `evaluate_control`.

        Args:
            control_frequency: Decisions per second [Hz].
            starts: (E, D) states of the real system.
            planner: What the system's task declares if None.
            settings: The study's defaults if None.
        """
        return evaluate_control(
            self.dynamics, self.system, control_frequency, starts, planner=planner, settings=settings
        )
