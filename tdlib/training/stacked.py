"""The weights of K models as one matrix: prediction of all, Adam on all, clipping of each."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from tdlib.models import DynamicsModel
from tdlib.models.stack import MethodCall, call_stacked

BETAS, EPSILON = (0.9, 0.999), 1e-8


class StackedWeights:
    """K models of one structure, parameters in one matrix `flat` (K, P), so that every update is a row-wise operation.

    Args:
        models: Models with equal `structure()`.
        device: Where to train.
    """

    def __init__(self, models: Sequence[DynamicsModel], device: torch.device | str):
        parameters, buffers = torch.func.stack_module_state([MethodCall(model) for model in models])
        dtype = next(iter(parameters.values())).dtype
        self._names, self._shapes = list(parameters), [x.shape[1:] for x in parameters.values()]
        self._sizes = [x[0].numel() for x in parameters.values()]
        flat = torch.cat([x.detach().flatten(1) for x in parameters.values()], dim=1)
        self.flat = flat.to(device).requires_grad_()
        self._buffers = {name: _as_trained(x, dtype).to(device) for name, x in buffers.items()}
        self.rate_scale = torch.stack([model.rate_scale for model in models]).to(self.flat)  # (K, D)
        self._template = MethodCall(copy.deepcopy(models[0]).to("meta"))
        self._mean, self._square = torch.zeros_like(flat, device=device), torch.zeros_like(flat, device=device)
        self._num_updates = 0

    def __call__(self, method: str, *arguments: Tensor) -> Tensor:
        """Call a method of all models; every argument has a leading axis K."""
        pieces = self.flat.split(self._sizes, dim=1)  # one split: its backward is one concatenation
        parameters = {
            name: piece.unflatten(1, shape) if len(shape) != 1 else piece
            for name, piece, shape in zip(self._names, pieces, self._shapes, strict=True)
        }
        return call_stacked(self._template, parameters | self._buffers, method, arguments, (0,) * len(arguments))

    @torch.no_grad()
    def adam_step(self, gradient: Tensor, learning_rate: float) -> None:
        """One update of Adam (Kingma and Ba, 2015) for every row: gradient (K, P)."""
        self._num_updates += 1
        first, second = BETAS
        self._mean.lerp_(gradient, 1 - first)
        self._square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
        root = (self._square.sqrt() / (1 - second**self._num_updates) ** 0.5).add_(EPSILON)
        self.flat.addcdiv_(self._mean, root, value=-learning_rate / (1 - first**self._num_updates))

    @torch.no_grad()
    def keep(self, rows: Tensor) -> None:
        """Drop all models but these rows, with their optimizer state."""
        self.flat = self.flat.detach()[rows].requires_grad_()
        self._mean, self._square = self._mean[rows], self._square[rows]
        self._buffers = {name: x[rows] for name, x in self._buffers.items()}
        self.rate_scale = self.rate_scale[rows]

    @torch.no_grad()
    def write_back(self, row: Tensor, model: DynamicsModel) -> None:
        """Copy one row of weights (P,) into a model."""
        parameters = dict(MethodCall(model).named_parameters())
        for name, piece, shape in zip(self._names, row.split(self._sizes), self._shapes, strict=True):
            parameters[name].copy_(piece.view(shape))


def clip_rows(gradient: Tensor, clip: float) -> Tensor:
    """Shorten every row that is longer than `clip`, in place; return the norms before: (K, P) -> (K,)."""
    norm = gradient.norm(dim=1)
    gradient.mul_((clip / (norm + 1e-6)).clamp(max=1.0).unsqueeze(1))
    return norm


def _as_trained(buffer: Tensor, dtype: torch.dtype) -> Tensor:
    return buffer.to(dtype) if buffer.is_floating_point() else buffer
