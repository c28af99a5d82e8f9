"""How models with beliefs meet Δt: what they are told, how they move on, and in what their slow windows are counted."""

from typing import NamedTuple


class BeliefForm(NamedTuple):
    """One treatment of time.

    Args:
        told: Form of the Δt input beside the held input, `none` or `concat`.
        flows: Whether beliefs move on by e^{ΔG}, for whatever time, and not by one matrix per step.
        seconds: Whether windows of slow levels last for a time, and not for a number of steps.
    """

    told: str = "none"
    flows: bool = False
    seconds: bool = False


BELIEF_FORMS: dict[str, BeliefForm] = {
    "none": BeliefForm(),
    "concat": BeliefForm(told="concat"),
    "flow": BeliefForm(flows=True),
    "concat_seconds": BeliefForm(told="concat", seconds=True),
    "flow_seconds": BeliefForm(flows=True, seconds=True),
}
TOLD = ("none", "concat")  # of a memory without a belief
OF_ONE_LEVEL = ("none", "concat", "flow")  # without windows
