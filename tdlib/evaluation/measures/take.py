"""Questions that share their predictions' batches.

A question is a generator: it yields the queries it needs, is sent their answers, and returns its result. So each
measure reads as if it called the model itself, and all measures of a stack go through the model together.
"""

from collections.abc import Generator, Iterable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from tdlib.speed import Model, Query, predict_queries, prepared

Result = TypeVar("Result")
Question = Generator[Sequence[Query], Sequence[Tensor], Result]
MAX_STATES = 1_500_000  # predicted states held at once; with their truth in double precision some 250 MB


def take(
    model: Model,
    questions: Iterable[Question[Result]],
    num_models: int,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> list[Result]:
    """Put questions to K models in one pass, or in several where memory asks for it.

    Args:
        model: Stack or model.
        questions: Each is begun only when there is room for its predictions.
        num_models: K.
        dtype: Precision of the evaluation.
        device: Where the model is.

    Returns:
        Their results, in order.
    """
    ready = prepared(model)  # once: passes share recordings
    results: list[Result] = []
    waiting: list[tuple[Question[Result], int]] = []
    queries: list[Query] = []
    size = 0
    for question in questions:
        asked = list(next(question))
        more = num_models * sum(q.num_samples * (1 if q.only_last else q.num_steps) for q in asked)
        if waiting and size + more > MAX_STATES:
            results += _finish(waiting, predict_queries(ready, queries, dtype=dtype, device=device))
            waiting, queries, size = [], [], 0
        waiting.append((question, len(asked)))
        queries += asked
        size += more
    return results + _finish(waiting, predict_queries(ready, queries, dtype=dtype, device=device))


def _finish(waiting: Sequence[tuple[Question[Result], int]], answers: Sequence[Tensor]) -> list[Result]:
    results, begin = [], 0
    for question, count in waiting:
        try:
            question.send(answers[begin : begin + count])
        except StopIteration as stop:
            results.append(stop.value)
        else:
            raise RuntimeError("a question asks once and then returns its result")
        begin += count
    return results
