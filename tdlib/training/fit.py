"""Train many models at once: members of one structure are one program, each with its own data, batches and fate."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from tdlib.core.seeding import torch_generator
from tdlib.core.transitions import Transitions
from tdlib.models import Ensemble
from tdlib.training.budget import Budget, windows_per_batch
from tdlib.training.members import FitResult, Member, combine
from tdlib.training.run import Single, StackRun
from tdlib.training.step import Recordings

WIDE = 50_000  # weights from which a loop over members beats a stack on CPU: between 27 000 and 70 000 (measured)
CPU_STACK, DEVICE_STACK = 24, 256  # most members per stack; beyond, caches or memory suffer


def fit(
    members: Sequence[Member],
    budget: Budget,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> list[FitResult]:
    """Train every member in place and return results in the same order.

    Loss of one member: mean of ((x̂ − x')/(Δt·σ))² over its batch and dimensions, σ fitted on its training set.

    Args:
        members: Models with their data; ensembles train all their members.
        budget: Steps, rates, stopping; the same for all.
        device: Where the stacks train; the models stay where they are.
        progress: Called as progress(done, total) with numbers of member steps.

    Raises:
        ValueError: If a member's data or the batch size do not fit its model; nothing has been trained then.
    """
    for member in members:
        member.check()
        windows_per_batch(budget.batch_size, member.model.needs.window)
    singles = [_singles(member) for member in members]
    flat = [single for parts in singles for single in parts]
    total, done = budget.num_steps * len(flat), 0
    results: dict[int, FitResult] = {}
    recordings: Recordings = {}
    for stack in _stacks([single.member for single in flat], device):
        before = done

        def report(step: int, before: int = before, size: int = len(stack)) -> None:
            if progress is not None:
                progress(before + step * size, total)

        run = StackRun([flat[i] for i in stack], budget, device, recordings)
        results.update(zip(stack, run.run(report), strict=True))
        done += budget.num_steps * len(stack)
    ordered = iter([results[i] for i in range(len(flat))])
    collected = [[next(ordered) for _ in parts] for parts in singles]
    return [
        combine(member, parts) if isinstance(member.model, Ensemble) else parts[0]
        for member, parts in zip(members, collected, strict=True)
    ]


def _singles(member: Member) -> list[Single]:
    """Fit the scales; give every plain model of a member its own stream (an ensemble has several)."""
    model = member.model
    model.fit_scales(Transitions.concatenate(list(member.train)))
    models = model.members if isinstance(model, Ensemble) else [model]
    return [
        Single(
            replace(member, model=single),
            torch_generator(member.seed, model.spec.name, "batches", k),  # arms of one seed share batches (paired)
            torch_generator(member.seed, model.spec.name, "validation", k),
        )
        for k, single in enumerate(models)
    ]


def _stacks(members: Sequence[Member], device: torch.device | str) -> list[list[int]]:
    """Indices of members that train as one program."""
    groups: dict[tuple, list[int]] = {}
    for i, member in enumerate(members):
        groups.setdefault(member.model.structure(), []).append(i)
    stacks = []
    for indices in groups.values():
        weights = sum(parameter.numel() for parameter in members[indices[0]].model.parameters())
        on_cpu = torch.device(device).type == "cpu"
        limit = (1 if weights >= WIDE else CPU_STACK) if on_cpu else DEVICE_STACK
        count = math.ceil(len(indices) / limit)
        size = math.ceil(len(indices) / count)  # equal stacks rather than full ones and a rest
        stacks += [indices[k : k + size] for k in range(0, len(indices), size)]
    return stacks
