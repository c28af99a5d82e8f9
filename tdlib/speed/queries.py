"""Many predictions as one batch: whatever rate, number of steps or measure they are for.

A query is a batch of open-loop predictions. All samples of all queries become columns of one matrix in row form
(`tdlib.speed.rows`), sorted by their number of steps; a column leaves the batch when its last step is done, so nothing
is padded. Intervals belong to columns, so all rates go together. Columns are worked on in parts that stay in cache;
a prediction does not depend on which other columns stand beside it (tested).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tdlib.models import Context
from tdlib.speed.features_first import FeaturesFirst
from tdlib.speed.predict import Model, predict_steps
from tdlib.speed.row_form import has_row_form
from tdlib.speed.row_intervals import start_by_interval
from tdlib.speed.row_steps import Columns

PART = 2**18  # activations of one layer worked on at once: 1 MB in single precision, what a core keeps close
SMALLEST_PART = 64  # columns; fewer make thin products of wide layers


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


def predict_queries(
    model: Model,
    queries: Sequence[Query],
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    part: int = PART,
) -> list[Tensor]:
    """Predict all queries: stacks of the library's models together, any other model one query after the other.

    Args:
        model: Stack or model.
        queries: What to predict.
        dtype: Precision of the evaluation.
        device: Where the model is.
        part: Activations of the widest layer worked on at once.

    Returns:
        One (K, B, T, D) float64 on the CPU per query, T = 1 where only the last state was asked for.
    """
    if not has_row_form(model):
        answers = []
        for q in queries:
            predicted = predict_steps(model, q.state, q.actions, q.delta_t, q.context, dtype=dtype, device=device)
            answers.append(predicted[:, :, -1:] if q.only_last else predicted)
        return answers
    with torch.inference_mode():
        run = _Run(FeaturesFirst(model), queries, dtype, device)
        width = max(SMALLEST_PART, part // (run.count * run.models.widest))
        for pieces in _parts(queries, width):
            run.predict(pieces)
    # clones outside inference mode are ordinary tensors
    return [answer.permute(2, 3, 1, 0).to("cpu", torch.float64).clone() for answer in run.answers]


@dataclass(frozen=True)
class _Piece:
    """Samples [begin, end) of one query."""

    query: int
    begin: int
    end: int

    @property
    def samples(self) -> slice:
        return slice(self.begin, self.end)


def _parts(queries: Sequence[Query], width: int) -> list[list[_Piece]]:
    """Cut all samples into parts of at most `width` columns, those with most steps first."""
    parts, room = [], 0
    for i in sorted(range(len(queries)), key=lambda i: -queries[i].num_steps):
        begin = 0
        while begin < queries[i].num_samples:
            if room == 0:
                parts.append([])
                room = width
            end = min(begin + room, queries[i].num_samples)
            parts[-1].append(_Piece(i, begin, end))
            room -= end - begin
            begin = end
    return parts


class _Run:
    """Answers under way: what is the same for all parts.

    Args:
        models: K models in row form.
        queries: All of them.
        dtype: Precision.
        device: Where the models are.
    """

    def __init__(self, models: FeaturesFirst, queries: Sequence[Query], dtype: torch.dtype, device: torch.device | str):
        self.models, self.queries = models, queries
        self.count = models.stack.num_models
        self.steps = models.row_steps(dtype)
        self.empty = torch.empty(0, dtype=dtype, device=device)
        size = models.layout.spec.state_dim
        shapes = [(size, 1 if q.only_last else q.num_steps, self.count, q.num_samples) for q in queries]
        self.answers = [self.empty.new_empty(shape) for shape in shapes]  # (D, T, K, B)

    def predict(self, pieces: Sequence[_Piece]) -> None:
        """Predict one part to its end and write its answers; the pieces come by falling number of steps."""
        queries, layout = [self.queries[piece.query] for piece in pieces], self.models.layout
        state = torch.cat([self._rows(q.state, p) for q, p in zip(queries, pieces, strict=True)], dim=-1)
        actions = [layout.encode_actions(self._rows(q.actions, p)) for q, p in zip(queries, pieces, strict=True)]
        delta_t = [self._rows(q.delta_t.unsqueeze(-1), p)[0] for q, p in zip(queries, pieces, strict=True)]
        memory = self._memory(pieces) if self.models.has_memory else None
        done, active = 0, len(pieces)
        while active:
            until, width = queries[active - 1].num_steps, sum(p.end - p.begin for p in pieces[:active])
            columns = Columns(layout, self.count, width, self.empty)
            memory = None if memory is None else [x[..., :width].contiguous() for x in memory]
            advance = start_by_interval(self.steps, columns, memory)
            states = state.new_empty(len(state), until - done + 1, self.count, width)
            states[:, 0] = state[..., :width]
            inputs = torch.cat([x[:, done:until] for x in actions[:active]], dim=-1)
            intervals = torch.cat([x[done:until] for x in delta_t[:active]], dim=-1)
            for t in range(until - done):
                columns.action.copy_(inputs[:, t])
                advance(states[:, t], intervals[t], states[:, t + 1])
            self._write(pieces[:active], states[:, 1:], done)
            state, done = states[:, -1], until
            while active and queries[active - 1].num_steps == done:
                active -= 1

    def _write(self, pieces: Sequence[_Piece], states: Tensor, done: int) -> None:
        """Copy the states (D, T', K, N) after `done` steps to the answers."""
        widths = [p.end - p.begin for p in pieces]
        for piece, part in zip(pieces, states.split(widths, dim=-1), strict=True):
            answer = self.answers[piece.query][..., piece.samples]
            if self.queries[piece.query].only_last:
                answer[:, 0] = part[:, -1]
            else:
                answer[:, done : done + part.shape[1]] = part

    def _rows(self, values: Tensor, piece: _Piece) -> Tensor:
        """Turn one piece's (K|1, B, ..., F) into rows (F, ..., K, b)."""
        values = values[:, piece.samples].to(self.empty)
        order = (values.ndim - 1, *range(2, values.ndim - 1), 0, 1)
        return values.permute(order).expand(*[-1] * (values.ndim - 2), self.count, -1)

    def _memory(self, pieces: Sequence[_Piece]) -> list[Tensor]:
        """Memory after the context of every sample, (K, H, N) twice; empty where there is no context."""
        known = next((q.context for q in self.queries if q.context is not None), None)
        width = sum(p.end - p.begin for p in pieces)
        if known is None:
            return self.steps.empty_memory(width)
        num_steps = known.mask.shape[-1]
        parts: list[list[Tensor]] = []
        for piece in pieces:
            query = self.queries[piece.query]
            if query.context is None:  # steps that do not exist leave the memory empty
                state, action = query.state[:, piece.samples], query.actions[:, piece.samples, 0]
                shared = [x.unsqueeze(2).expand(-1, -1, num_steps, -1) for x in (state, action)]
                interval = query.delta_t[:, piece.samples, :1].expand(-1, -1, num_steps)
                tensors = (*shared, interval, torch.zeros_like(interval, dtype=torch.bool))
            else:
                tensors = tuple(x[:, piece.samples] for x in query.context.tensors())
            parts.append([x.expand(self.count, *x.shape[1:]) for x in tensors])
        states, actions, delta_t, mask = (torch.cat(x, dim=1) for x in zip(*parts, strict=True))
        context = Context(*(x.to(self.empty) for x in (states, actions, delta_t)), mask.to(self.empty.device))
        return self.models.memory_after(context)
