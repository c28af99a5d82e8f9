"""A model that is fitted to a log in an instant: the change over one row, linear in states, inputs and sines."""

import torch
from torch import Tensor

from tdlib.data import TransitionDataset
from tdlib.speed import Model


def fit_line(dataset: TransitionDataset) -> Model:
    """Least squares of the change over one row, whatever interval is asked for: a map of one step.

    Args:
        dataset: A log of one rate. Positions in rad enter with their sines and those of the sums of pairs too, which is
            what gravity does to links that hang on each other.

    Returns:
        (state (..., D), action (..., A), delta_t) -> next state (..., D); delta_t is not used.
    """
    spec = dataset.spec
    angles = [i for i in spec.position_dims if spec.state_units[i] == "rad"]
    pairs = [(i, j) for i in angles for j in angles if i < j]

    def features(state: Tensor, action: Tensor) -> Tensor:
        turned = [state[..., i].sin() for i in angles] + [(state[..., i] + state[..., j]).sin() for i, j in pairs]
        bent = [torch.ones_like(state[..., 0]), *turned]
        return torch.cat([state, action, torch.stack(bent, dim=-1)], dim=-1)

    state, action, after = (torch.tensor(x) for x in (dataset.state, dataset.action, dataset.next_state))
    weights = torch.linalg.lstsq(features(state, action), after - state).solution

    def line(state: Tensor, action: Tensor, delta_t: Tensor) -> Tensor:
        return state + features(state, action) @ weights.to(state)

    return line
