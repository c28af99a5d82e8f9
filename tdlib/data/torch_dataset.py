"""A torch `Dataset` over transitions, for training loops outside this project."""

import torch
from torch import Tensor
from torch.utils.data import Dataset

from tdlib.data.schema import TransitionDataset


class TransitionTorchDataset(Dataset):
    """Rows of full length; item i is a dict with `state` (D,), `action` (A,), `next_state` (D,) and `delta_t` () [s].

    Args:
        dataset: Source; rows cut short are left out.
        dtype: Precision of the tensors; angles were wrapped in float64 before.
    """

    def __init__(self, dataset: TransitionDataset, dtype: torch.dtype = torch.float32):
        self.transitions = dataset.transitions(dtype)

    def __len__(self) -> int:
        return len(self.transitions)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        state, action, next_state, delta_t = (column[index] for column in self.transitions.tensors())
        return {"state": state, "action": action, "next_state": next_state, "delta_t": delta_t}
