"""The weights of K models as one matrix: losses of all, Adam on all, clipping of each."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from tdlib.core.context import Batch
from tdlib.models import DynamicsModel, ParameterGroup
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
        self.groups = Groups(models[0].parameter_groups(), self._names, self._sizes, device)
        self._changing: list[int] = []  # of the buffers: those that a loss changes
        self._training = MethodCall(copy.deepcopy(models[0]).to("meta")).train()
        self._testing = MethodCall(copy.deepcopy(models[0]).to("meta")).eval()
        self._mean, self._square = torch.zeros_like(flat, device=device), torch.zeros_like(flat, device=device)
        self._num_updates = torch.ones((), device=device)  # the next one's; on the device: a captured step counts

    @torch.no_grad()
    def find_changing(self, batch: Batch, progress: Tensor) -> None:
        """Find out which buffers (batch statistics) a loss changes, by one that is thrown away."""
        self._changing = list(range(len(self.buffers)))
        _, after = self.losses(self.flat, self.buffers, batch, progress)
        pairs = enumerate(zip(self.buffers, after, strict=True))
        self._changing = [i for i, (old, new) in pairs if not torch.equal(old, new)]

    @property
    def changing(self) -> list[Tensor]:
        """The buffers that a loss changes."""
        return [self.buffers[i] for i in self._changing]

    def losses(
        self, flat: Tensor, buffers: Sequence[Tensor], batch: Batch, progress: Tensor, training: bool = True
    ) -> tuple[Tensor, list[Tensor]]:
        """Losses of all models with these weights (K, P) and buffers, and the buffers after it that it changes.

        Args:
            flat: Weights.
            buffers: Of every model.
            batch: Of every model, each tensor with a leading axis K.
            progress: () shared.
            training: Whether modules are told that they train; if not, no buffer changes.
        """
        pieces = flat.split(self._sizes, dim=1)  # one split: its backward is one concatenation
        tensors = {
            name: piece.unflatten(1, shape) if len(shape) != 1 else piece
            for name, piece, shape in zip(self._names, pieces, self._shapes, strict=True)
        }
        buffers = list(buffers)
        if training:
            for i in self._changing:
                buffers[i] = buffers[i].clone()  # modules write in place
        tensors |= dict(zip(self._buffer_names, buffers, strict=True))
        template, writes = (self._training, bool(self._changing)) if training else (self._testing, False)
        losses = call_stacked(template, tensors, "loss", (batch, progress), (0, None), alone=not writes)
        return losses, [buffers[i] for i in self._changing] if training else []

    @torch.no_grad()
    def set_changing(self, values: Sequence[Tensor]) -> None:
        """Write the buffers that a loss has changed, in place."""
        for old, new in zip(self.changing, values, strict=True):
            old.copy_(new)

    @torch.no_grad()
    def adam_step(self, gradient: Tensor, learning_rate: Tensor) -> None:
        """One update of Adam (Kingma and Ba, 2015) for every row in place: gradient (K, P), rate ()."""
        first, second = BETAS
        before = None if self.groups.alike else self.flat.clone()
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
        if before is not None:
            self.groups.adjust(self.flat, before, learning_rate)

    def state(self) -> list[Tensor]:
        """What a step changes: weights, optimizer state, batch statistics."""
        return [self.flat, self._mean, self._square, self._num_updates, *self.changing]

    @torch.no_grad()
    def keep(self, rows: Tensor) -> None:
        """Drop all models but these rows, with their optimizer state."""
        self.flat, self._mean, self._square = self.flat[rows], self._mean[rows], self._square[rows]
        self.buffers = [x[rows] for x in self.buffers]

    @torch.no_grad()
    def write_back(self, model: DynamicsModel, row: Tensor, changed: Sequence[Tensor]) -> None:
        """Copy one row of weights (P,), and buffers that training changed, into a model."""
        call = MethodCall(model)
        parameters, buffers = dict(call.named_parameters()), dict(call.named_buffers())
        for name, piece, shape in zip(self._names, row.split(self._sizes), self._shapes, strict=True):
            parameters[name].copy_(piece.view(shape))
        for i, value in zip(self._changing, changed, strict=True):
            buffers[self._buffer_names[i]].copy_(value)


class Groups:
    """Parameter groups of one optimizer, as factors on the columns of the matrix of weights.

    Args:
        groups: As `DynamicsModel.parameter_groups` returns them.
        names: Names of the parameters, "model." before each.
        sizes: How many columns each takes.
        device: Where the weights are.
    """

    def __init__(
        self, groups: Sequence[ParameterGroup], names: Sequence[str], sizes: Sequence[int], device: torch.device | str
    ):
        default = ParameterGroup()
        owners = [_owner(name.removeprefix("model."), groups) for name in names]
        chosen = [default if owner is None else groups[owner] for owner in owners]
        self.alike = all(g.learning_rate == 1 and not g.weight_decay and not g.frozen for g in chosen)

        def spread(values: Sequence[float]) -> Tensor:
            return torch.tensor(values, device=device).repeat_interleave(torch.tensor(sizes, device=device))

        self._rate = spread([0.0 if g.frozen else g.learning_rate for g in chosen])
        self._decay = spread([0.0 if g.frozen else g.learning_rate * g.weight_decay for g in chosen])
        self._frozen = spread([float(g.frozen) for g in chosen]).bool() if any(g.frozen for g in chosen) else None
        self._begins = spread([g.begins for g in chosen]) if any(g.begins for g in chosen) else None
        self._clips = [
            (spread([float(owner == i) for owner in owners]).bool(), g.clip)
            for i, g in enumerate(groups)
            if g.clip is not None
        ]

    def shape_gradient(self, gradient: Tensor, progress: Tensor) -> Tensor:
        """Take out what is frozen or has not begun and shorten each group to its own clip: (K, P), () -> (K, P)."""
        if self._frozen is not None:
            gradient = gradient.masked_fill(self._frozen, 0.0)
        if self._begins is not None:
            gradient = gradient.masked_fill(self._begins > progress, 0.0)
        for own, clip in self._clips:
            shortened, _ = clip_rows(gradient.masked_fill(~own, 0.0), clip)
            gradient = torch.where(own, shortened, gradient)
        return gradient

    def adjust(self, flat: Tensor, before: Tensor, learning_rate: Tensor) -> None:
        """Turn one step of Adam at the common rate into that of every group's rate, with its decay, in place."""
        flat.sub_(before).mul_(self._rate.to(flat)).add_(before)
        flat.sub_(before * (self._decay.to(flat) * learning_rate.to(flat)))


def clip_rows(gradient: Tensor, clip: float) -> tuple[Tensor, Tensor]:
    """Shorten every row that is longer than `clip`: (K, P) -> (K, P), and the norms before (K,)."""
    norm = gradient.norm(dim=1)
    return gradient * (clip / (norm + 1e-6)).clamp(max=1.0).unsqueeze(1), norm


def _owner(name: str, groups: Sequence[ParameterGroup]) -> int | None:
    """The first group that names a parameter."""
    return next((i for i, g in enumerate(groups) if any(name.startswith(prefix) for prefix in g.prefixes)), None)


def _as_trained(buffer: Tensor, dtype: torch.dtype) -> Tensor:
    return buffer.to(dtype) if buffer.is_floating_point() else buffer
