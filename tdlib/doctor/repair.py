"""What a model is worth on a log at the log's own rate and at coarser ones, as it is and repaired without training.

At a rate n times as slow the truth is the log itself, made coarser. At a finer one there is no truth in a log; there a
model is compared with itself (the defect).
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch

from tdlib.core.specs import EnvironmentSpec, continued
from tdlib.data import DatasetError, TransitionDataset
from tdlib.data.decimate import decimate
from tdlib.doctor.ask import precision_of, reason
from tdlib.doctor.limit import limits_here
from tdlib.doctor.rows import clock_of
from tdlib.models import NewtonIncrement, RecurrentRollout, RescaledIncrement
from tdlib.speed import Model, has_memory

EVERY = (1, 2, 4, 8)
MOST_ROWS = 2048
FEWEST_ROWS = 30
LIMITS = ("limit", "limit_here", "rescaled_here")
REPAIRS = ("as it is", "rescaled", "newton_2", "composed")


def rates_table(model: Model, dataset: TransitionDataset, h: float, *, every: Sequence[int] = EVERY) -> pd.DataFrame:
    """Errors over the recorded change at the log's rate and coarser ones.

    Args:
        model: A model of one interval; one that remembers is scored by `tdlib.evaluation.diagnose`.
        dataset: A log.
        h: Step that the model knows best [s]: that of its training, or the one its changes fit.
        every: How many intervals of the log are made one.

    Returns:
        Rows every, delta_t [s], limit |1 − h/Δ|, limit_here and rescaled_here (`limits_here`), one column for each of
        `REPAIRS` (nan where it gives no number), n, refused: which of them the model refused and why, empty if none.

    Raises:
        ValueError: If the model remembers, or h is not positive.
    """
    if has_memory(model):
        raise ValueError("model must be of one interval to be repaired without training, got one that remembers")
    if not (math.isfinite(h) and h > 0):
        raise ValueError(f"h must be positive and finite [s], got {h}")
    rows = []
    for n in every:
        try:
            log = decimate(dataset, n)
        except DatasetError:  # episodes end before
            break
        if len(log) < FEWEST_ROWS:
            break
        here = dict(zip(LIMITS[1:], limits_here(dataset, n, h), strict=True))
        rows.append({"every": n, **_errors(model, log, h), **here})
    return pd.DataFrame(rows, columns=["every", "delta_t", *LIMITS, *REPAIRS, "n", "refused"])


def repaired_models(model: Model, h: float, spec: EnvironmentSpec) -> dict[str, Callable]:
    """The model as it is and its repairs without training, by the names of `REPAIRS`."""
    return {
        "as it is": model,
        "rescaled": RescaledIncrement(model, h, spec),
        "newton_2": NewtonIncrement(model, 2, h, spec),
        "composed": RecurrentRollout(model, h, spec),
    }


def _errors(model: Model, log: TransitionDataset, h: float) -> dict[str, float | str]:
    step = max(1, len(log) // MOST_ROWS)
    state, action, delta_t, target = (
        torch.from_numpy(np.ascontiguousarray(column[::step]))
        for column in (log.state, log.action, log.delta_t, log.next_state)
    )
    precision = precision_of(model)
    size = (target - state).square().mean(dim=0)
    moving = size > 0
    found: dict[str, float | str] = {"delta_t": 1 / clock_of(log).rate, "n": len(target)}
    refused = []
    found["limit"] = float((1 - h / delta_t).square().mean().sqrt())
    with torch.no_grad():
        for name, each in repaired_models(model, h, log.spec).items():
            try:
                answer = each(*(x.to(precision) for x in (state, action, delta_t))).double()
            except Exception as error:  # somebody's own code, asked what a repair asks
                refused.append(f"{name}: {reason(error)}")
                found[name] = math.nan
                continue
            apart = continued(answer, target, log.spec) - target
            found[name] = float((apart.square().mean(dim=0) / size)[moving].mean().sqrt())
    return found | {"refused": "; ".join(refused)}


def best_repair(table: pd.DataFrame) -> str:
    """Name of the repair that errs least over all rates, as it is if none is better by a tenth.

    One that gives no number at some rate is worth nothing.
    """
    errors = {name: np.nan_to_num(table[name].to_numpy(dtype=float), nan=np.inf, posinf=np.inf) for name in REPAIRS}
    means = {name: float(np.sqrt(np.mean(each**2))) for name, each in errors.items()}
    best = min(means, key=lambda name: means[name])
    return best if means[best] < 0.9 * means["as it is"] else "as it is"


def wrapper(repair: str, h: float, angles: Sequence[int] = ()) -> str:
    """A repair as lines of NumPy around `model(state, action)`, which takes one step of h.

    Its `delta_t` is one number for all rows, or one for each.

    Args:
        repair: One of `WRAPPERS`.
        h: Step that the model takes [s].
        angles: Dimensions of the state that are angles; the model's are continued from those it was given.

    Raises:
        ValueError: If there is no such repair.
    """
    if repair not in WRAPPERS:
        raise ValueError(f"repair must be one of {list(WRAPPERS)}, got {repair!r}")
    lines = (HEAD + WRAPPERS[repair]).format(h=f"{h:.6g}", model="once" if angles else "model")
    return IMPORT + (ONCE.format(angles=list(angles)) if angles else "") + lines


IMPORT = "import numpy as np\n\n"
ONCE = """\
def once(state, action, angles={angles}):  # angles within half a turn of those of the state
    step = np.array(model(state, action))
    step[..., angles] -= 2 * np.pi * np.round((step[..., angles] - state[..., angles]) / (2 * np.pi))
    return step

"""
# steps of h, in the precision that the model answers in
HEAD = """\
def repaired(state, action, delta_t, h={h}):  # delta_t [s]: one number, or one for each row
    ratio = np.reshape(delta_t, (*np.shape(delta_t)[: np.ndim(state) - 1], 1)) / h
"""
WRAPPERS = {
    "rescaled": """\
    step = {model}(state, action)
    return state + ratio.astype(step.dtype) * (step - state)
""",
    "newton_2": """\
    one = {model}(state, action)
    two, ratio = {model}(one, action), ratio.astype(one.dtype)
    return state + ratio * (one - state) + ratio * (ratio - 1) / 2 * (two - 2 * one + state)
""",
    "composed": """\
    count = np.floor(ratio * (1 + 1e-5))
    for k in range(int(count.max())):
        state = np.where(k < count, {model}(state, action), state)
    step, rest = {model}(state, action), ratio - count
    return np.where(rest > 1e-5, state + rest.astype(step.dtype) * (step - state), state)
""",
}
