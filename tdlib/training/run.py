"""One stack in training: sample, step, validate, stop members one by one."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from tdlib.specs import state_difference
from tdlib.training.budget import Budget
from tdlib.training.members import CURVE_COLUMNS, FitResult, Member
from tdlib.training.sampling import DataPool, Sampler
from tdlib.training.stacked import StackedWeights, clip_rows

CHUNK = 32  # steps whose indices are drawn ahead


@dataclass(frozen=True)
class Single:
    """A member with one plain model, and its random streams.

    Args:
        member: Its model is of the stack's structure.
        batches: Stream of its batches.
        validation: Stream that picks its validation subset.
    """

    member: Member
    batches: torch.Generator
    validation: torch.Generator


class StackRun:
    """K members of one structure trained together; nothing is read from the device between validations.

    Args:
        singles: The members.
        budget: Steps, rates, stopping.
        device: Where to train.
    """

    def __init__(self, singles: Sequence[Single], budget: Budget, device: torch.device | str):
        model = singles[0].member.model
        self._singles, self._budget, self._device, self._spec = singles, budget, torch.device(device), model.spec
        self._windows = model.trains_on_windows
        window = budget.window if self._windows else 1
        self._pool = DataPool(model.spec.state_dim, model.spec.action_dim)
        members = [single.member for single in singles]
        self._samplers = [
            Sampler(s.member.train, s.member.train_offsets, self._pool, window, s.batches) for s in singles
        ]
        validation = [
            Sampler(s.member.val, s.member.val_offsets, self._pool, window, s.validation).fixed(
                max(1, budget.validation_size // window)  # transitions, not windows
            )
            for s in singles
        ]
        self._weights = StackedWeights([m.model for m in members], self._device)
        self._pool.build(self._weights.flat.dtype, self._device)
        self._batch = budget.batch_size // window
        self._validation = [x.to(self._device) for x in _pad(validation)]
        self._state_scale = torch.stack([_state_scale(m, self._weights.flat.dtype) for m in members]).to(self._device)
        self._rows = list(range(len(members)))  # members still in the stack, by number
        self._active = [True] * len(members)
        self._waits = [0] * len(members)
        self._best_flat = self._weights.flat.detach().clone()
        self._best_loss = torch.full((len(members),), math.inf, dtype=self._best_flat.dtype, device=self._device)
        self._alive = torch.ones(len(members), dtype=torch.bool, device=self._device)
        self._reset_sums()
        self._chunk: list[Tensor] = []
        self._curves: list[list[tuple]] = [[] for _ in members]
        self._best_step = [0] * len(members)
        self._stopped = ["budget"] * len(members)

    def run(self, report: Callable[[int], None]) -> list[FitResult]:
        """Train to the end and write the best weights into the models; `report` gets finished steps."""
        started, budget = time.perf_counter(), self._budget
        validation_steps = budget.validation_steps()
        self._validate(0, 0.0)
        for step in range(budget.num_steps):
            if step % CHUNK == 0:
                self._draw(min(CHUNK, budget.num_steps - step))
                report(step)
            learning_rate = budget.learning_rate_at(step)
            self._train_step(step % CHUNK, learning_rate)
            if step + 1 in validation_steps:
                self._validate(step + 1, learning_rate)
                if not self._rows:
                    break
        report(budget.num_steps)
        self._retire(range(len(self._rows)))
        seconds = (time.perf_counter() - started) / len(self._singles)
        return [
            FitResult(
                single.member,
                pd.DataFrame(self._curves[i], columns=list(CURVE_COLUMNS)),
                self._best_step[i],
                min(row[2] for row in self._curves[i]),
                self._stopped[i],
                seconds,
            )
            for i, single in enumerate(self._singles)
        ]

    def _draw(self, count: int) -> None:
        """Draw the indices of the next steps of every member from its own stream."""
        drawn = [self._samplers[i].draw(count, self._batch) for i in self._rows]
        self._chunk = [torch.stack(x, dim=1).to(self._device) for x in zip(*drawn, strict=True)]  # (C, K, B, T)

    def _losses(self, index: Tensor, valid: Tensor | None) -> Tensor:
        """Loss of every member on its rows, or on those that count: (K, B, T), (K, B, T) or None -> (K,)."""
        if self._windows:
            state, action, next_state, delta_t = self._pool.gather(index)
            predicted = self._weights("window_predictions", state, action, delta_t)
            error = state_difference(predicted, next_state, self._spec)  # free-running angles may be turns away
        else:
            state, action, next_state, delta_t = self._pool.gather(index.squeeze(-1))
            error = self._weights("forward", state, action, delta_t) - next_state
        axes = (-1, *[1] * (error.ndim - 2), error.shape[-1])
        if self._budget.loss == "increment":
            scale = delta_t.unsqueeze(-1) * self._weights.rate_scale.view(axes)
        else:
            scale = self._state_scale.view(axes)
        squared = (error / scale).square().mean(dim=-1).flatten(1)
        if valid is None:
            return squared.mean(dim=1)
        weight = valid.flatten(1).to(squared.dtype)
        return (squared * weight).sum(dim=1) / weight.sum(dim=1)

    def _train_step(self, k: int, learning_rate: float) -> None:
        losses = self._losses(self._chunk[0][k], self._chunk[1][k] if self._windows else None)
        (gradient,) = torch.autograd.grad(losses.sum(), self._weights.flat)  # members do not mix: block diagonal
        norms = clip_rows(gradient, self._budget.clip)
        self._weights.adam_step(gradient, learning_rate)
        losses = losses.detach()
        self._alive &= losses.isfinite() & norms.isfinite()
        self._loss_sum += losses
        self._norm_sum += norms
        self._num_summed += 1

    @torch.no_grad()
    def _validate(self, step: int, learning_rate: float) -> None:
        """Score all members, keep better weights, stop those that wait too long or are not finite."""
        index, valid = self._validation
        losses, counts = [], []
        for i, v in zip(index.split(4 * self._batch, dim=1), valid.split(4 * self._batch, dim=1), strict=True):
            count = v.flatten(1).sum(dim=1)
            part = self._losses(i, v | (count == 0).view(-1, 1, 1))  # a part of padding only counts zero, not 0/0
            losses.append(part * count)
            counts.append(count)
        loss = torch.stack(losses).sum(dim=0) / torch.stack(counts).sum(dim=0)
        loss = torch.where(self._alive & loss.isfinite(), loss, torch.full_like(loss, math.inf))
        active = torch.tensor(self._active, device=self._device)
        better = (loss < self._best_loss) & active
        self._best_loss = torch.where(better, loss, self._best_loss)
        self._best_flat = torch.where(better.unsqueeze(1), self._weights.flat, self._best_flat)
        count = max(1, self._num_summed)
        columns = [self._loss_sum / count, loss, self._norm_sum / count, better.to(loss.dtype)]
        for row, (train_loss, val_loss, norm, is_better) in enumerate(torch.stack(columns, dim=1).tolist()):
            if not self._active[row]:
                continue
            member = self._rows[row]
            measured = (train_loss, val_loss, norm) if self._num_summed else (math.nan, val_loss, math.nan)
            self._curves[member].append((step, *measured, learning_rate))
            self._waits[row] = 0 if is_better else self._waits[row] + 1
            if is_better:
                self._best_step[member] = step
            if math.isinf(val_loss):
                self._active[row], self._stopped[member] = False, "non_finite"
            elif self._waits[row] >= self._budget.patience and step < self._budget.num_steps:
                self._active[row], self._stopped[member] = False, "patience"
        self._reset_sums()
        if sum(self._active) <= len(self._active) // 2:
            self._compact()

    def _compact(self) -> None:
        """Take stopped members out of the stack; those that stay keep their streams, optimizer state and order."""
        self._retire([row for row, active in enumerate(self._active) if not active])
        kept = [row for row, active in enumerate(self._active) if active]
        self._rows = [self._rows[row] for row in kept]
        self._waits = [self._waits[row] for row in kept]
        self._active = [True] * len(kept)
        rows = torch.tensor(kept, dtype=torch.long, device=self._device)
        self._weights.keep(rows)
        self._state_scale = self._state_scale[rows]
        self._best_flat, self._best_loss, self._alive = self._best_flat[rows], self._best_loss[rows], self._alive[rows]
        self._validation = [x[rows] for x in self._validation]
        self._chunk = [x[:, rows] for x in self._chunk]
        self._reset_sums()

    def _retire(self, rows: Sequence[int]) -> None:
        """Write the best weights of these rows into their models."""
        for row in rows:
            self._weights.write_back(self._best_flat[row], self._singles[self._rows[row]].member.model)

    def _reset_sums(self) -> None:
        self._loss_sum = torch.zeros(len(self._rows), dtype=self._best_flat.dtype, device=self._device)
        self._norm_sum, self._num_summed = torch.zeros_like(self._loss_sum), 0


def _state_scale(member: Member, dtype: torch.dtype) -> Tensor:
    """Standard deviation of the training states per dimension, (D,) [unit]; a constant one keeps 1."""
    std = torch.cat([part.state for part in member.train]).std(dim=0)
    return torch.where(std > 1e-8, std, torch.ones_like(std)).to(dtype)


def _pad(chosen: Sequence[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """Stack validation subsets of different sizes; padding repeats row 0 and does not count: (K, V, T) twice."""
    longest = max(len(index) for index, _ in chosen)
    stacked = []
    for column in zip(*chosen, strict=True):
        padded = [torch.nn.functional.pad(x, (0, 0, 0, longest - len(x))) for x in column]
        stacked.append(torch.stack(padded))
    return stacked
