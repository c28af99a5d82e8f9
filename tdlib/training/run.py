"""One stack in training: sample, step, validate, stop models one by one."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pandas as pd
import torch
from torch import Tensor

from tdlib.models import DynamicsModel
from tdlib.speed.stacked_weights import RATE_DTYPE, StackedWeights
from tdlib.training.budget import Budget, windows_per_batch
from tdlib.training.sampling import DataPool, Drawn, Layout, Sampler, StackSampler, padded
from tdlib.training.step import Recordings, StackedStep
from tdlib.training.trials import CURVE_COLUMNS, FitResult, Trial
from tdlib.training.unfinished import State, Unfinished

CHUNK = 32  # steps whose batches are drawn ahead
Validated = Callable[[Trial, int, pd.DataFrame], None]


@dataclass(frozen=True)
class Learner:
    """One model in training, and its random streams.

    Args:
        trial: Whose data it sees.
        model: The trial's model, or one of the models it is made of.
        batches: Stream of its batches.
        validation: Stream that picks its validation subset.
    """

    trial: Trial
    model: DynamicsModel
    batches: torch.Generator
    validation: torch.Generator


class StackRun:
    """K models of one structure trained together; nothing is read from the device between validations.

    Args:
        learners: The models.
        budget: Steps, rates, stopping.
        device: Where to train.
        recordings: Programs that stacks of one fit share.
    """

    def __init__(
        self,
        learners: Sequence[Learner],
        budget: Budget,
        device: torch.device | str,
        recordings: Recordings | None = None,
    ):
        model, self._device = learners[0].model, torch.device(device)
        self._recordings = {} if recordings is None else recordings
        self._key, self._learners, self._budget = model.structure(), learners, budget
        self._needs = model.needs
        layout = Layout(model.spec, model.needs, learners[0].trial.train[0])
        self._pool = DataPool(layout)
        window, count = model.needs.window, len(learners)
        self._samplers = [
            Sampler(x.trial.train, x.trial.train_offsets, self._pool, window, x.batches) for x in learners
        ]
        self._sampler = StackSampler(self._samplers, self._device)
        validation = [
            Sampler(x.trial.val, x.trial.val_offsets, self._pool, window, x.validation).fixed(
                max(1, budget.validation_size // window)  # transitions, not windows
            )
            for x in learners
        ]
        weights = StackedWeights([x.model for x in learners], self._device)
        dtype = weights.flat.dtype
        unit = None
        if budget.loss == "next_state":
            unit = torch.stack([x.trial.state_scale for x in learners]).to(weights.flat)
        recordable = model.stacks and not model.branches_on_values
        self._step = StackedStep(weights, layout, unit, budget.clip, recordable)
        self._pool.build(dtype, self._device)
        self._batch = windows_per_batch(budget.batch_size, window)
        self._validation = self._fixed(validation)
        self._rows = list(range(count))  # models still in the stack, by number
        self._active = [True] * count
        self._waits = [0] * count
        self._best_loss = torch.full((count,), math.inf, dtype=dtype, device=self._device)
        self._num_summed = 0
        self._chunk: Drawn  # batches of the next steps
        rates = [budget.learning_rate_at(k) for k in range(budget.num_steps)]
        self._rates = torch.tensor(rates, dtype=RATE_DTYPE[self._device.type]).to(self._device)
        self._progress = torch.linspace(0, 1, budget.num_steps + 1, dtype=dtype, device=self._device)
        self._curves: list[list[tuple]] = [[] for _ in learners]
        self._best_step = [0] * count
        self._stopped = ["budget"] * count
        self._finished: dict[int, list[Tensor]] = {}  # best weights of models that left the stack, by number
        self._validated: Validated | None = None
        self._prepared, self._seconds = 0, 0.0  # step of the last preparation; time spent before this process
        if weights.buffers:
            few = self._validation.samples(0, self._batch)
            weights.find_changing(self._step.batch(few, unit), self._progress[0])
        self._best = [x.clone() for x in (weights.flat, *weights.changing)]  # weights, then batch statistics

    def run(
        self, report: Callable[[int], None], kept: Unfinished | None = None, validated: Validated | None = None
    ) -> list[FitResult]:
        """Train to the end and write the best weights into the models.

        Args:
            report: Gets the number of finished steps.
            kept: Where the state is written now and then, and where a training that was cut off goes on from.
            validated: Called with a trial, finished steps and the curves so far after every validation of its model.
        """
        self._validated = validated
        started, budget = time.perf_counter(), self._budget
        validation_steps = budget.validation_steps()
        state = None if kept is None else kept.read()
        first = 0 if state is None else self._go_on(state)
        if state is None:
            self._validate(0)

        def offer(step: int) -> None:
            if kept is not None:
                kept.offer(lambda: self._state(step, time.perf_counter() - started))

        for step in range(first, budget.num_steps):
            if not self._rows:
                break
            if step % CHUNK == 0:
                if step > first:
                    offer(step)
                self.draw(min(CHUNK, budget.num_steps - step))
                report(step)
            if step == first:
                self.prepare(self._prepared)  # as it was prepared there: a recorded program may round otherwise
            self.train_step(step, step % CHUNK)
            if step + 1 in validation_steps:
                self._validate(step + 1)
        offer(budget.num_steps)
        report(budget.num_steps)
        self._retire(range(len(self._rows)))
        seconds = (self._seconds + time.perf_counter() - started) / len(self._learners)
        return [
            FitResult(
                learner.trial,
                self._table(i),
                self._best_step[i],
                min(row[2] for row in self._curves[i]),
                self._stopped[i],
                seconds,
            )
            for i, learner in enumerate(self._learners)
        ]

    def draw(self, count: int) -> None:
        """Gather the batches of the next steps, every model's indices drawn from its own stream."""
        index, valid = self._sampler.draw(count, self._batch)
        steps = [self._needs.window] if self._needs.window > 1 else []
        noise = None
        if self._needs.noise:
            noise = self._sampler.noise(count, self._batch, *steps, self._needs.noise).to(self._pool.rows)
        images = self._pool.images(index, valid)
        self._chunk = Drawn(self._pool.gather(index), valid if steps else None, noise, images)  # rows (C, K, F, B, T)

    def prepare(self, step: int = 0) -> None:
        """Record or capture the step for the present models and batch size; `step` steps are done."""
        left, self._prepared = self._budget.num_steps - step, step
        self._step.prepare(left, self._key, self._recordings, self._chunk[0], self._progress[0])

    def train_step(self, step: int, k: int) -> None:
        """Take step number `step` on batch k of the chunk."""
        self._step(self._rates[step], self._progress[step], self._chunk[k])
        self._num_summed += 1

    @torch.no_grad()
    def _validation_losses(self) -> Tensor:
        """Losses of all models on their fixed subsets, (K,)."""
        size, losses, counts = 4 * self._batch, [], []
        for begin in range(0, self._validation.rows.shape[2], size):
            part = self._validation.samples(begin, begin + size)
            assert part.valid is not None
            count = part.valid.flatten(1).sum(dim=1)
            only_padding = (count == 0).view(-1, *[1] * (part.valid.ndim - 1))  # counts zero, not 0/0
            counted = replace(part, valid=part.valid | only_padding)
            losses.append(self._step.losses(counted, self._progress[-1], training=False) * count)
            counts.append(count)
        return torch.stack(losses).sum(dim=0) / torch.stack(counts).sum(dim=0)

    def _fixed(self, chosen: Sequence[tuple[Tensor, Tensor]]) -> Drawn:
        """Gather the validation subsets; those of fewer rows are padded with rows that do not count."""
        index, valid = (padded(column) for column in zip(*chosen, strict=True))
        noise = None
        if self._needs.noise:
            own = [
                torch.randn(*index.shape, self._needs.noise, generator=x.validation)
                for x, (index, _) in zip(self._learners, chosen, strict=True)
            ]
            noise = padded(own).to(self._pool.rows)
        index, valid = index.to(self._device), valid.to(self._device)
        rows, images = self._pool.gather(index), self._pool.images(index, valid)
        if self._needs.window == 1:
            valid, noise = valid.squeeze(-1), None if noise is None else noise.squeeze(-2)
        return Drawn(rows, valid, noise, images)

    @torch.no_grad()
    def _validate(self, step: int) -> None:
        """Score all models, keep better weights, stop those that wait too long or are not finite."""
        train_loss, norm, alive = self._step.read_sums()
        count, self._num_summed = self._num_summed, 0
        loss = self._validation_losses()
        loss = torch.where(alive & loss.isfinite(), loss, torch.full_like(loss, math.inf))
        better = (loss < self._best_loss) & torch.tensor(self._active, device=self._device)
        self._best_loss = torch.where(better, loss, self._best_loss)
        now = (self._step.weights.flat, *self._step.weights.changing)
        self._best = [
            torch.where(better.view(-1, *[1] * (x.ndim - 1)), x, best) for x, best in zip(now, self._best, strict=True)
        ]
        columns = torch.stack([train_loss / max(1, count), loss, norm / max(1, count), better.to(loss.dtype)], dim=1)
        self._note(step, columns.tolist(), measured=count > 0)
        if self._validated is not None:
            for number, flat, *changed, active in zip(self._rows, *now, self._active, strict=True):
                learner = self._learners[number]
                if active:
                    self._step.weights.write_back(learner.model, flat, changed)
                    self._validated(learner.trial, step, self._table(number))
        if sum(self._active) <= len(self._active) // 2:
            self._compact(step)

    def _note(self, step: int, columns: list[list[float]], measured: bool) -> None:
        """Append to the curves: (training loss, validation loss, norm, whether better) of every row of the stack."""
        learning_rate = self._budget.learning_rate_at(step - 1) if step else 0.0
        for row, (train_loss, val_loss, norm, is_better) in enumerate(columns):
            if not self._active[row]:
                continue
            number = self._rows[row]
            values = (train_loss, val_loss, norm) if measured else (math.nan, val_loss, math.nan)
            self._curves[number].append((step, *values, learning_rate))
            self._waits[row] = 0 if is_better else self._waits[row] + 1
            if is_better:
                self._best_step[number] = step
            if math.isinf(val_loss):
                self._active[row], self._stopped[number] = False, "non_finite"
            elif self._waits[row] >= self._budget.patience and step < self._budget.num_steps:
                self._active[row], self._stopped[number] = False, "patience"

    def _table(self, number: int) -> pd.DataFrame:
        return pd.DataFrame(self._curves[number], columns=list(CURVE_COLUMNS))

    def _compact(self, step: int) -> None:
        """Take stopped models out of the stack; those that stay keep their streams, optimizer state and order."""
        self._retire([row for row, active in enumerate(self._active) if not active])
        kept = [row for row, active in enumerate(self._active) if active]
        self._narrow(kept)
        if kept and step:
            self._chunk = self._chunk[:, torch.tensor(kept, dtype=torch.long, device=self._device)]
            self.prepare(step)

    def _narrow(self, kept: Sequence[int]) -> None:
        """Go on with these rows of the stack only."""
        self._rows = [self._rows[row] for row in kept]
        self._waits = [self._waits[row] for row in kept]
        self._active = [True] * len(kept)
        if not kept:
            return
        rows = torch.tensor(kept, dtype=torch.long, device=self._device)
        self._step.keep(rows)
        self._sampler = StackSampler([self._samplers[i] for i in self._rows], self._device)
        self._best, self._best_loss = [x[rows] for x in self._best], self._best_loss[rows]
        self._validation = self._validation[rows]

    def _retire(self, rows: Sequence[int]) -> None:
        """Write the best weights of these rows into their models."""
        for row in rows:
            self._finished[self._rows[row]] = [x[row] for x in self._best]
            self._write_back(self._rows[row])

    def _write_back(self, number: int) -> None:
        flat, *changed = self._finished[number]
        self._step.weights.write_back(self._learners[number].model, flat, changed)

    # --- going on after a break ---

    def _state(self, step: int, seconds: float) -> State:
        """All that changes while training, with `step` steps done, for `_go_on`."""
        return {
            "step": step, "seconds": self._seconds + seconds, "prepared": self._prepared,
            "rows": self._rows, "active": self._active, "waits": self._waits, "num_summed": self._num_summed,
            "curves": self._curves, "best_step": self._best_step, "stopped": self._stopped,
            "finished": {number: list(map(_own, tensors)) for number, tensors in self._finished.items()},
            "tensors": list(map(_own, self._tensors())),
            "streams": [learner.batches.get_state() for learner in self._learners],
        }  # fmt: skip

    @torch.no_grad()
    def _go_on(self, state: State) -> int:
        """Take up a state; return how many steps are done."""
        self._narrow(state["rows"])  # of a fresh stack, where rows are numbers
        for mine, kept in zip(self._tensors(), state["tensors"], strict=True):
            mine.copy_(kept)
        for learner, stream in zip(self._learners, state["streams"], strict=True):
            learner.batches.set_state(stream)
        self._active, self._waits, self._num_summed = state["active"], state["waits"], state["num_summed"]
        self._curves, self._best_step, self._stopped = state["curves"], state["best_step"], state["stopped"]
        self._prepared, self._seconds = state["prepared"], state["seconds"]
        self._finished = state["finished"]
        for number in self._finished:
            self._write_back(number)
        return state["step"]

    def _tensors(self) -> list[Tensor]:
        return [*self._step.state(), *self._best, self._best_loss] if self._rows else []


def _own(tensor: Tensor) -> Tensor:
    """Copy a tensor: a view would be saved with all that it looks at."""
    return tensor.detach().cpu().clone()
