"""One stack in training: sample, step, validate, stop members one by one."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from tdlib.speed.stacked_weights import RATE_DTYPE, StackedWeights
from tdlib.training.budget import Budget, windows_per_batch
from tdlib.training.members import CURVE_COLUMNS, FitResult, Member
from tdlib.training.sampling import DataPool, Sampler, StackSampler
from tdlib.training.step import Recordings, StackedStep

CHUNK = 32  # steps whose batches are drawn ahead


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
        recordings: Programs that stacks of one fit share.
    """

    def __init__(
        self,
        singles: Sequence[Single],
        budget: Budget,
        device: torch.device | str,
        recordings: Recordings | None = None,
    ):
        model = singles[0].member.model
        self._recordings = {} if recordings is None else recordings
        self._key = (model.structure(), budget.loss)
        self._singles, self._budget, self._device, self._spec = singles, budget, torch.device(device), model.spec
        window = model.needs.window
        self._windows = window > 1
        self._pool = DataPool()
        members = [single.member for single in singles]
        self._samplers = [
            Sampler(s.member.train, s.member.train_offsets, self._pool, window, s.batches) for s in singles
        ]
        self._sampler = StackSampler(self._samplers, self._device)
        validation = [
            Sampler(s.member.val, s.member.val_offsets, self._pool, window, s.validation).fixed(
                max(1, budget.validation_size // window)  # transitions, not windows
            )
            for s in singles
        ]
        weights = StackedWeights([m.model for m in members], self._device)
        dtype = weights.flat.dtype
        if budget.loss == "increment":
            scale = torch.stack([m.model.rate_scale for m in members])
        else:
            scale = torch.stack([_state_scale(m) for m in members])
        self._step = StackedStep(weights, scale.to(weights.flat), self._spec, self._windows, budget)
        self._pool.build(dtype, self._device)
        self._batch = windows_per_batch(budget.batch_size, window)
        index, valid = _pad(validation)
        self._validation = self._pool.gather(index.to(self._device)), valid.to(self._device)
        self._rows = list(range(len(members)))  # members still in the stack, by number
        self._active = [True] * len(members)
        self._waits = [0] * len(members)
        self._best_flat = weights.flat.clone()
        self._best_loss = torch.full((len(members),), math.inf, dtype=dtype, device=self._device)
        self._num_summed = 0
        self._chunk: tuple[Tensor, ...] = ()  # batches of the next steps; for windows also which steps count
        rates = [budget.learning_rate_at(k) for k in range(budget.num_steps)]
        self._rates = torch.tensor(rates, dtype=RATE_DTYPE[self._device.type]).to(self._device)
        self._curves: list[list[tuple]] = [[] for _ in members]
        self._best_step = [0] * len(members)
        self._stopped = ["budget"] * len(members)

    def run(self, report: Callable[[int], None]) -> list[FitResult]:
        """Train to the end and write the best weights into the models; `report` gets finished steps."""
        started, budget = time.perf_counter(), self._budget
        validation_steps = budget.validation_steps()
        self._validate(0)
        for step in range(budget.num_steps):
            if not self._rows:
                break
            if step % CHUNK == 0:
                self.draw(min(CHUNK, budget.num_steps - step))
                report(step)
            if step == 0:
                self.prepare()
            self.train_step(step, step % CHUNK)
            if step + 1 in validation_steps:
                self._validate(step + 1)
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

    def draw(self, count: int) -> None:
        """Gather the batches of the next steps, every member's indices drawn from its own stream."""
        index, valid = self._sampler.draw(count, self._batch)
        rows = self._pool.gather(index)  # (C, K, F, B, T)
        self._chunk = (rows, valid) if self._windows else (rows,)

    def prepare(self, step: int = 0) -> None:
        """Record or capture the step for the present members and batch size; `step` steps are done."""
        batch = [x[0] for x in self._chunk]
        self._step.prepare(self._budget.num_steps - step, self._key, self._recordings, *batch)

    def train_step(self, step: int, k: int) -> None:
        """Take step number `step` on batch k of the chunk."""
        self._step(self._rates[step], *(x[k] for x in self._chunk))
        self._num_summed += 1

    @torch.no_grad()
    def _validation_losses(self) -> Tensor:
        """Losses of all members on their fixed subsets, (K,)."""
        rows, valid = self._validation
        size, losses, counts = 4 * self._batch, [], []
        for r, v in zip(rows.split(size, dim=2), valid.split(size, dim=1), strict=True):
            count = v.flatten(1).sum(dim=1)
            counted = v | (count == 0).view(-1, 1, 1)  # a part of padding only counts zero, not 0/0
            weights = self._step.weights
            losses.append(self._step.losses(weights.flat, self._step.scale, r, counted, *weights.buffers) * count)
            counts.append(count)
        return torch.stack(losses).sum(dim=0) / torch.stack(counts).sum(dim=0)

    @torch.no_grad()
    def _validate(self, step: int) -> None:
        """Score all members, keep better weights, stop those that wait too long or are not finite."""
        train_loss, norm, alive = self._step.read_sums()
        count, self._num_summed = self._num_summed, 0
        loss = self._validation_losses()
        loss = torch.where(alive & loss.isfinite(), loss, torch.full_like(loss, math.inf))
        better = (loss < self._best_loss) & torch.tensor(self._active, device=self._device)
        self._best_loss = torch.where(better, loss, self._best_loss)
        self._best_flat = torch.where(better.unsqueeze(1), self._step.weights.flat, self._best_flat)
        columns = torch.stack([train_loss / max(1, count), loss, norm / max(1, count), better.to(loss.dtype)], dim=1)
        self._note(step, columns.tolist(), measured=count > 0)
        if sum(self._active) <= len(self._active) // 2:
            self._compact(step)

    def _note(self, step: int, columns: list[list[float]], measured: bool) -> None:
        """Append to the curves: (training loss, validation loss, norm, whether better) of every row of the stack."""
        learning_rate = self._budget.learning_rate_at(step - 1) if step else 0.0
        for row, (train_loss, val_loss, norm, is_better) in enumerate(columns):
            if not self._active[row]:
                continue
            member = self._rows[row]
            values = (train_loss, val_loss, norm) if measured else (math.nan, val_loss, math.nan)
            self._curves[member].append((step, *values, learning_rate))
            self._waits[row] = 0 if is_better else self._waits[row] + 1
            if is_better:
                self._best_step[member] = step
            if math.isinf(val_loss):
                self._active[row], self._stopped[member] = False, "non_finite"
            elif self._waits[row] >= self._budget.patience and step < self._budget.num_steps:
                self._active[row], self._stopped[member] = False, "patience"

    def _compact(self, step: int) -> None:
        """Take stopped members out of the stack; those that stay keep their streams, optimizer state and order."""
        self._retire([row for row, active in enumerate(self._active) if not active])
        kept = [row for row, active in enumerate(self._active) if active]
        self._rows = [self._rows[row] for row in kept]
        self._waits = [self._waits[row] for row in kept]
        self._active = [True] * len(kept)
        if not kept:
            return
        rows = torch.tensor(kept, dtype=torch.long, device=self._device)
        self._step.keep(rows)
        self._sampler = StackSampler([self._samplers[i] for i in self._rows], self._device)
        self._best_flat, self._best_loss = self._best_flat[rows], self._best_loss[rows]
        self._validation = tuple(x[rows] for x in self._validation)
        self._chunk = tuple(x[:, rows] for x in self._chunk)
        if self._chunk:
            self.prepare(step)

    def _retire(self, rows: Sequence[int]) -> None:
        """Write the best weights of these rows into their models."""
        for row in rows:
            self._step.weights.write_back(self._best_flat[row], self._singles[self._rows[row]].member.model)


def _state_scale(member: Member) -> Tensor:
    """Standard deviation of the training states per dimension, (D,) [unit]; a constant one keeps 1."""
    std = torch.cat([part.state for part in member.train]).std(dim=0)
    return torch.where(std > 1e-8, std, torch.ones_like(std))


def _pad(chosen: Sequence[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """Stack validation subsets of different sizes; padding repeats row 0 and does not count: (K, V, T) twice."""
    longest = max(len(index) for index, _ in chosen)
    stacked = []
    for column in zip(*chosen, strict=True):
        padded = [torch.nn.functional.pad(x, (0, 0, 0, longest - len(x))) for x in column]
        stacked.append(torch.stack(padded))
    return stacked
