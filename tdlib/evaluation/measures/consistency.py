"""Does one coarse step equal several fine ones? The semigroup defect of a learned map.

    S_n(Δ) = RMS(Φ_Δ(x, a) − Φ_{Δ/n}^{∘n}(x, a)) / RMS(φ_Δ(x, a) − x)

The exact flow has 0, but so have persistence and every field integrated accurately, however wrong: the defect means
something only beside the relative error, which stands in the same row.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tdlib.core.specs import EnvironmentSpec
from tdlib.core.time_grid import delta_t_of, num_steps
from tdlib.evaluation.errors import mean_over, over_dimensions, relative_error, squared_error
from tdlib.evaluation.measures.take import Measure, take
from tdlib.evaluation.sets.gather import TestSets, gather_pairs, members_of
from tdlib.evaluation.sets.test_sets import PairSet
from tdlib.evaluation.tables import Member, tidy
from tdlib.models import Context
from tdlib.speed.predict import Model, has_memory
from tdlib.speed.queries import Query

FREQUENCY_PAIRS = (("50", "10"), ("20", "10"), ("50", "25"), ("10", "5"), ("100", "20"), ("200", "50"))


def consistency_error(
    model: Model,
    test_sets: TestSets,
    spec: EnvironmentSpec,
    members: Sequence[Member] | None = None,
    *,
    frequency_pairs: Sequence[tuple[str, str]] = FREQUENCY_PAIRS,
    num_pairs: int = 256,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Compare one coarse step with the fine steps that make it up, under one held input.

    Pairs whose coarse interval touches the speed limit are left out.

    Args:
        model: Stack of K models, or one model.
        test_sets: One test set, or one per seed; both rates of a pair must be in it.
        spec: Names the angles.
        members: K mappings with the key columns of each model.
        frequency_pairs: (fine, coarse) rate labels; the coarse interval is a whole number of fine ones.
        num_pairs: Pairs per comparison, at most.
        device: Where the model is.

    Returns:
        Rows of key columns (test_frequency is the coarse rate), fine_frequency, coarse_frequency, defect,
        relative_error of the coarse step, composed_error: relative error of the fine steps, n.

    Raises:
        ValueError: If a coarse interval is not a whole number of fine ones.
    """
    members = members_of(model, test_sets, spec.name, members)
    measure = consistency_measure(
        test_sets, spec, members, has_memory(model), frequency_pairs=frequency_pairs, num_pairs=num_pairs
    )
    return take(model, [measure], len(members), device=device)[0]


def consistency_measure(
    test_sets: TestSets,
    spec: EnvironmentSpec,
    members: Sequence[Member],
    with_context: bool,
    *,
    frequency_pairs: Sequence[tuple[str, str]] = FREQUENCY_PAIRS,
    num_pairs: int = 256,
) -> Measure[pd.DataFrame]:
    """`consistency_error` as a measure."""
    queries, compared = [], []
    for fine, coarse in frequency_pairs:
        count = num_steps(delta_t_of(float(coarse)), delta_t_of(float(fine)))
        sets = [
            gather_pairs(test_sets, members, "pooled", rates=[rate], count=num_pairs, with_context=with_context)
            for rate in (coarse, fine)
        ]
        if any(s is None or not s.rates for s in sets):
            continue
        pairs, past = sets
        state, action, delta_t = pairs.state[:, 0], pairs.action[:, 0].unsqueeze(-2), pairs.delta_t[:, 0].unsqueeze(-1)
        contexts = [s.context and Context(*(x[:, 0] for x in s.context.tensors())) for s in sets]
        queries.append(Query(state, action, delta_t, contexts[0]))
        steps = action.expand(-1, -1, count, -1), (delta_t / count).expand(-1, -1, count)
        queries.append(Query(state, *steps, contexts[1], only_last=True))
        compared.append((fine, coarse, pairs))
    answers = yield queries
    tables = []
    for (fine, coarse, pairs), once, composed in zip(compared, answers[::2], answers[1::2], strict=True):
        values = _defect(once[:, :, 0], composed[:, :, 0], pairs, spec)
        table = tidy(members, {"test_frequency": [coarse]}, values)
        table.insert(table.columns.get_loc("defect"), "fine_frequency", fine)
        table.insert(table.columns.get_loc("defect"), "coarse_frequency", coarse)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _defect(once: Tensor, composed: Tensor, pairs: PairSet, spec: EnvironmentSpec) -> dict[str, np.ndarray]:
    """Columns of one comparison, (K, 1) each, from both predictions (K, N, D)."""
    state, target, kept = pairs.state[:, 0], pairs.next_state[:, 0], ~pairs.limit_hit[:, 0]
    change = mean_over((target - state) ** 2, kept, dim=-1)
    compared = {"defect": (once, composed), "relative_error": (once, target), "composed_error": (composed, target)}
    values = {}
    for name, (a, b) in compared.items():
        mse = mean_over(squared_error(a, b, spec), kept.expand(a.shape[:2]), dim=-1)
        values[name] = over_dimensions(mse, relative_error(mse, change))[1][:, -1:].numpy()
    return values | {"n": kept.sum(dim=1, keepdim=True).numpy()}
