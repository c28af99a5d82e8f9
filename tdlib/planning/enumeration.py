"""Exhaustive planning over discrete actions: every sequence of knots is scored once."""

from dataclasses import dataclass

import torch
from torch import Tensor

from tdlib.planning.planners import Noise, Objective, Plan, WarmStart, finite_scores
from tdlib.planning.proposals import CategoricalInputs, Inputs

MAX_SEQUENCES = 1024


def all_sequences(num_actions: int, num_knots: int) -> Tensor:
    """Return every sequence of action indices in counting order: (num_actions ** num_knots, num_knots, 1).

    Raises:
        ValueError: If there are more than `MAX_SEQUENCES`.
    """
    count = num_actions**num_knots
    if count > MAX_SEQUENCES:
        raise ValueError(
            f"enumeration must cover at most {MAX_SEQUENCES} sequences, got {num_actions}^{num_knots} = {count}"
        )
    powers = num_actions ** torch.arange(num_knots - 1, -1, -1)
    return (torch.arange(count)[:, None] // powers % num_actions).unsqueeze(-1).to(torch.get_default_dtype())


@dataclass(frozen=True)
class Enumeration:
    """The best of all action sequences; for at most 1024 of them."""

    name: str = "enumeration"

    def num_scored(self, inputs: Inputs, num_knots: int) -> int:
        return len(all_sequences(_number_of_actions(inputs), num_knots))

    def plan(self, objective: Objective, inputs: Inputs, warm_start: WarmStart, noise: Noise) -> Plan:
        """Score all sequences; the noise and the warm start are not needed."""
        del noise
        center = warm_start.proposal.center
        sequences = all_sequences(_number_of_actions(inputs), center.shape[-2]).to(center)
        plans = sequences.expand(*center.shape[:-2], *sequences.shape)
        scores, num_nonfinite = finite_scores(objective(plans))
        best, index = scores.max(dim=-1)
        return Plan(sequences[index], best, num_nonfinite, warm_start)


def _number_of_actions(inputs: Inputs) -> int:
    if not isinstance(inputs, CategoricalInputs):
        raise ValueError(f"Enumeration needs discrete actions, got {type(inputs).__name__}")
    return inputs.num_actions
