"""The weights of K models as one matrix: prediction of all, Adam on all, clipping of each."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from tdlib.models import DynamicsModel
from tdlib.speed.stack import MethodCall, call_stacked

BETAS, EPSILON = (0.9, 0.999), 1e-8
RATE_DTYPE = {"cpu": torch.float64, "cuda": torch.float32}  # of the learning rate, as the fused kernels read it


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
        self.flat = flat.to(device)
        self._buffer_names = list(buffers)
        self.buffers = [_as_trained(x, dtype).to(device) for x in buffers.values()]
        self.rate_scale = torch.stack([model.rate_scale for model in models]).to(self.flat)  # (K, D)
        self._template = MethodCall(copy.deepcopy(models[0]).to("meta"))
        self._mean, self._square = torch.zeros_like(flat, device=device), torch.zeros_like(flat, device=device)
        self._num_updates = torch.ones((), device=device)  # the next one's; on the device: a captured step counts

    def call(self, flat: Tensor, buffers: Sequence[Tensor], method: str, *arguments: Tensor) -> Tensor:
        """Call a method of all models with these weights (K, P) and buffers; every argument has a leading axis K."""
        pieces = flat.split(self._sizes, dim=1)  # one split: its backward is one concatenation
        parameters = {
            name: piece.unflatten(1, shape) if len(shape) != 1 else piece
            for name, piece, shape in zip(self._names, pieces, self._shapes, strict=True)
        }
        tensors = parameters | dict(zip(self._buffer_names, buffers, strict=True))
        return call_stacked(self._template, tensors, method, arguments, (0,) * len(arguments))

    @torch.no_grad()
    def adam_step(self, gradient: Tensor, learning_rate: Tensor) -> None:
        """One update of Adam (Kingma and Ba, 2015) for every row in place: gradient (K, P), rate ()."""
        first, second = BETAS
        # what torch.optim.Adam(fused=True) calls, without its bookkeeping, which costs as much again
        torch._fused_adam_(
            *([self.flat], [gradient], [self._mean], [self._square], [], [self._num_updates]),
            lr=learning_rate,
            beta1=first,
            beta2=second,
            weight_decay=0.0,
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
        )
        self._num_updates += 1

    def state(self) -> list[Tensor]:
        """What a step changes: weights and optimizer state."""
        return [self.flat, self._mean, self._square, self._num_updates]

    @torch.no_grad()
    def keep(self, rows: Tensor) -> None:
        """Drop all models but these rows, with their optimizer state."""
        self.flat, self._mean, self._square = self.flat[rows], self._mean[rows], self._square[rows]
        self.buffers = [x[rows] for x in self.buffers]
        self.rate_scale = self.rate_scale[rows]

    @torch.no_grad()
    def write_back(self, row: Tensor, model: DynamicsModel) -> None:
        """Copy one row of weights (P,) into a model."""
        parameters = dict(MethodCall(model).named_parameters())
        for name, piece, shape in zip(self._names, row.split(self._sizes), self._shapes, strict=True):
            parameters[name].copy_(piece.view(shape))


def clip_rows(gradient: Tensor, clip: float) -> tuple[Tensor, Tensor]:
    """Shorten every row that is longer than `clip`: (K, P) -> (K, P), and the norms before (K,)."""
    norm = gradient.norm(dim=1)
    return gradient * (clip / (norm + 1e-6)).clamp(max=1.0).unsqueeze(1), norm


def _as_trained(buffer: Tensor, dtype: torch.dtype) -> Tensor:
    return buffer.to(dtype) if buffer.is_floating_point() else buffer
