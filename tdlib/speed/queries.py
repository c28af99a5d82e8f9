"""Many predictions as one batch: whatever rate, number of steps or measure they are for.

A query is a batch of open-loop predictions. All samples of all queries go through one batch of fixed width
(`tdlib.speed.schedule`): a column that is through with a sample takes the next one, so that nothing is padded and one
recorded step serves all. Intervals belong to samples, so all rates go together. The width keeps the activations in
cache; a prediction does not depend on which others stand beside it (tested).
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tdlib.models.contract import Context
from tdlib.speed.predict import Model, predict_steps
from tdlib.speed.prepare import Prepared, prepared
from tdlib.speed.recorded import CHUNK, SMALLEST
from tdlib.speed.schedule import schedule

LARGEST_CARRY = 2**24  # numbers that starts carry, held at once


@dataclass(frozen=True)
class Query:
    """B open-loop predictions of T steps.

    Args:
        state: (K|1, B, D) starts.
        actions: (K|1, B, T, A) held inputs.
        delta_t: (K|1, B, T) intervals [s].
        context: True steps before the starts, (K|1, B, C, ...); None for an empty memory and for Markov models.
        only_last: Answer with the last state only.
    """

    state: Tensor
    actions: Tensor
    delta_t: Tensor
    context: Context | None = None
    only_last: bool = False

    @property
    def num_steps(self) -> int:
        """T."""
        return self.actions.shape[2]

    @property
    def num_samples(self) -> int:
        """B."""
        return self.state.shape[1]

    def samples(self, begin: int, end: int) -> "Query":
        """Return some of the predictions."""
        state, actions, delta_t = (x[:, begin:end] for x in (self.state, self.actions, self.delta_t))
        context = None if self.context is None else self.context.map(lambda x: x[:, begin:end])
        return Query(state, actions, delta_t, context, self.only_last)


def predict_queries(
    model: Model | Prepared,
    queries: Sequence[Query],
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    part: int = CHUNK,
) -> list[Tensor]:
    """Predict all queries: stacks and models in one batch, any other callable one query after the other.

    Args:
        model: Stack, model, what `prepared` made of one, or any callable (state, action, delta_t) -> next state.
        queries: What to predict.
        dtype: Precision of the evaluation.
        device: Where the model is.
        part: Activations of the widest layer worked on at once.

    Returns:
        One (K, B, T, D) float64 on the CPU per query, T = 1 where only the last state was asked for.
    """
    models = prepared(model)
    if not isinstance(models, Prepared):
        answers = []
        for q in queries:
            predicted = predict_steps(models, q.state, q.actions, q.delta_t, q.context, dtype=dtype, device=device)
            answers.append(predicted[:, :, -1:] if q.only_last else predicted)
        return answers
    if not queries:
        return []
    count = max(models.num_models, *(len(x) for q in queries for x in (q.state, q.actions, q.delta_t)))
    with torch.inference_mode():
        like = torch.empty(0, dtype=dtype, device=device)
        answers = [_empty_answer(q, count) for q in queries]
        for pieces in _blocks(queries, LARGEST_CARRY // (count * 2 * models.widest) if models.has_memory else None):
            batch = [queries[i].samples(begin, end) for i, begin, end in pieces]
            limit = max(SMALLEST, part // (count * models.widest))
            found = _predict(models, batch, count, limit, like)
            for (i, begin, end), states in zip(pieces, found, strict=True):
                answers[i][:, begin:end] = states
    return [answer.clone() for answer in answers]  # clones outside inference mode are ordinary tensors


def _empty_answer(query: Query, count: int) -> Tensor:
    num_steps = 1 if query.only_last else query.num_steps
    return torch.empty(count, query.num_samples, num_steps, query.state.shape[-1], dtype=torch.float64)


def _blocks(queries: Sequence[Query], size: int | None) -> list[list[tuple[int, int, int]]]:
    """Cut all samples into blocks of `size`, those with most steps first: (query, begin, end) each; None cuts none."""
    blocks: list[list[tuple[int, int, int]]] = []
    room = 0.0
    for i in sorted(range(len(queries)), key=lambda i: -queries[i].num_steps):
        begin = 0
        while begin < queries[i].num_samples:
            if room == 0:
                blocks.append([])
                room = size or math.inf
            end = int(min(begin + room, queries[i].num_samples))
            blocks[-1].append((i, begin, end))
            room, begin = room - (end - begin), end
    return blocks


def _predict(models: Prepared, queries: Sequence[Query], count: int, limit: int, like: Tensor) -> list[Tensor]:
    """Predict one block: one (K, B, T or 1, D) per query."""
    groups = [(q.num_samples, q.num_steps) for q in queries]
    total = sum(samples * steps for samples, steps in groups)
    # as wide as the longest sample leaves work for: every column is busy to the end
    width = min(limit, 2 ** math.ceil(math.log2(max(1, total / max(steps for _, steps in groups)))))
    table = schedule(groups, width)
    starts = torch.from_numpy(table.sample).to(like.device)  # (L, W)
    reads = torch.from_numpy(table.step).to(like.device)
    writes = _written(queries, like.device)
    size = int(writes.max()) + 1  # one more place takes what nobody asked for
    writes = torch.where((reads >= 0) & (writes[reads] >= 0), writes[reads], size)
    reads = reads.clamp(min=0)  # an idle column repeats a step
    begins, all_begin = (x.tolist() for x in ((starts >= 0).any(dim=1), (starts >= 0).all(dim=1)))

    def every(values: Sequence[Tensor]) -> Tensor:
        """Join the queries' (K|1, B, ...) to (K, all, ...)."""
        return torch.cat([x.to(like).expand(count, *x.shape[1:]) for x in values], dim=1)

    actions = every([q.actions.flatten(1, 2) for q in queries])
    delta_t = every([q.delta_t.flatten(1, 2) for q in queries])
    fresh = _initial(models, queries, count, width, every)
    states = like.new_empty(count, size + 1, queries[0].state.shape[-1])
    step = models.stepper(count, width, len(reads), like)
    carry = [x.index_select(1, starts[0].clamp(min=0)) for x in fresh]
    for i, (read, write) in enumerate(zip(reads, writes, strict=True)):
        if begins[i]:
            new = [x.index_select(1, starts[i].clamp(min=0)) for x in fresh]
            carry = new if all_begin[i] else [_chosen(starts[i] >= 0, *pair) for pair in zip(new, carry, strict=True)]
        first = None if not begins[i] else True if all_begin[i] else starts[i] >= 0
        carry, state = step(carry, actions.index_select(1, read), delta_t.index_select(1, read), first)
        states.index_copy_(1, write, state)
    sizes = [samples if q.only_last else samples * steps for q, (samples, steps) in zip(queries, groups, strict=True)]
    answers = zip(queries, states[:, :size].split(sizes, dim=1), strict=True)
    return [x.unflatten(1, (q.num_samples, -1)) for q, x in answers]


def _written(queries: Sequence[Query], device: torch.device) -> Tensor:
    """Where the state after each step goes, steps counted sample after sample; -1 if nobody asks for it."""
    parts = []
    for q in queries:
        asked = torch.ones(q.num_samples, q.num_steps, dtype=torch.bool)
        asked[:, :-1] = not q.only_last
        parts.append(asked.flatten())
    asked = torch.cat(parts)
    place = asked.cumsum(dim=0) - 1
    return torch.where(asked, place, -1).to(device)


def _chosen(mask: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(mask.view(1, -1, *[1] * (new.ndim - 2)), new, old)


def _rows(x: Tensor, index: Tensor) -> Tensor:
    return x.index_select(1, index)


def _initial(
    models: Prepared, queries: Sequence[Query], count: int, width: int, every: Callable[[Sequence[Tensor]], Tensor]
) -> list[Tensor]:
    """Return what every sample's start carries, (K, all, ...) each; contexts are read `width` samples at a time."""
    parts = []
    for q in queries:
        state = every([q.state])
        if q.context is None or not models.has_memory:
            parts.append(models.initial(state))
            continue
        mask = q.context.mask.to(state.device).expand(count, *q.context.mask.shape[1:])
        past = replace(q.context.map(lambda x: every([x]) if x.is_floating_point() else x), mask=mask)
        chunks = []
        for begin in range(0, q.num_samples, width):
            index = torch.arange(begin, begin + width, device=state.device).clamp(max=q.num_samples - 1)  # of one width
            own = past.map(functools.partial(_rows, index=index))
            kept = min(width, q.num_samples - begin)
            chunks.append([x[:, :kept] for x in models.initial(state.index_select(1, index), own)])
        parts.append([torch.cat(x, dim=1) for x in zip(*chunks, strict=True)])
    return [torch.cat(x, dim=1) for x in zip(*parts, strict=True)]
