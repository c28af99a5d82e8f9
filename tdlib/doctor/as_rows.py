"""Questions of any leading shape as rows, for models of other programs that know rows only."""

import numpy as np
from torch import Tensor


def as_rows(state: Tensor, action: Tensor, delta_t: Tensor) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[int, ...]]:
    """Return (N, D), (N, A), (N,) and the leading shape that the answer takes again."""
    batch = np.broadcast_shapes(state.shape[:-1], action.shape[:-1], delta_t.shape)
    count = int(np.prod(batch))
    rows = (
        state.expand(*batch, state.shape[-1]).reshape(count, -1),
        action.expand(*batch, action.shape[-1]).reshape(count, -1),
        delta_t.expand(batch).reshape(count),
    )
    return rows, tuple(batch)
