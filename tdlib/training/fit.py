"""Train many models at once: models of one structure are one program, each with its own data, batches and fate."""

import math
from collections.abc import Callable, Sequence

import torch

from tdlib.core.seeding import torch_generator
from tdlib.core.transitions import Transitions
from tdlib.models import DynamicsModel
from tdlib.training.budget import Budget, windows_per_batch
from tdlib.training.run import Learner, StackRun, Validated
from tdlib.training.step import Recordings
from tdlib.training.trials import FitResult, Trial, combine
from tdlib.training.unfinished import UnfinishedFit


def fit(
    trials: Sequence[Trial],
    budget: Budget,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
    unfinished: UnfinishedFit | None = None,
    validated: Validated | None = None,
) -> list[FitResult]:
    """Train the model of every trial in place and return results in the same order.

    The loss is the model's own; by default the mean of ((x̂ − x')/(Δt·σ))² over its batch and dimensions, σ fitted on
    its training set.

    Args:
        trials: Models with their data; ensembles train all their members.
        budget: Steps, rates, stopping; the same for all.
        device: Where the stacks train; the models stay where they are.
        progress: Called as progress(done, total) with numbers of optimizer steps times models.
        unfinished: Where the state of a long fit is kept, and from where one that was cut off goes on.
        validated: Called as validated(trial, step, curves) after every validation of a model, which then has its
            present weights; at the end it has the best.

    Raises:
        ValueError: If a trial's data or the batch size do not fit its model; nothing has been trained then.
    """
    for trial in trials:
        trial.check()
        windows_per_batch(budget.batch_size, trial.model.needs.window)
    several = [_learners(trial) for trial in trials]
    flat = [learner for learners in several for learner in learners]
    total, done = budget.num_steps * len(flat), 0
    results: dict[int, FitResult] = {}
    recordings: Recordings = {}
    for number, stack in enumerate(stacks_of([learner.model for learner in flat], device)):
        before = done

        def report(step: int, before: int = before, size: int = len(stack)) -> None:
            if progress is not None:
                progress(before + step * size, total)

        run = StackRun([flat[i] for i in stack], budget, device, recordings)
        kept = None if unfinished is None else unfinished.stack(number)
        results.update(zip(stack, run.run(report, kept, validated), strict=True))
        done += budget.num_steps * len(stack)
    ordered = iter([results[i] for i in range(len(flat))])
    collected = [[next(ordered) for _ in learners] for learners in several]
    return [
        parts[0] if len(parts) == 1 else combine(trial, parts) for trial, parts in zip(trials, collected, strict=True)
    ]


def stacks_of(models: Sequence[DynamicsModel], device: torch.device | str) -> list[list[int]]:
    """Indices of models that train as one program."""
    groups: dict[tuple, list[int]] = {}
    for i, model in enumerate(models):
        groups.setdefault(model.structure(), []).append(i)
    stacks = []
    for indices in groups.values():
        limit = models[indices[0]].stack_limit(torch.device(device).type)
        count = math.ceil(len(indices) / limit)
        size = math.ceil(len(indices) / count)  # equal stacks rather than full ones and a rest
        stacks += [indices[k : k + size] for k in range(0, len(indices), size)]
    return stacks


def _learners(trial: Trial) -> list[Learner]:
    """Fit the scales unless they stay; give every model that trains by itself (an ensemble has several) its stream."""
    model = trial.model
    if not trial.keeps_scales:
        model.fit_scales(Transitions.concatenate(list(trial.train)))
    return [
        Learner(
            trial,
            learner,
            torch_generator(trial.seed, model.spec.name, "batches", k),  # arms of one seed share batches (paired)
            torch_generator(trial.seed, model.spec.name, "validation", k),
        )
        for k, learner in enumerate(model.learners())
    ]
