"""What models of one rate err by on the rows of a record at other rates, beside what the record itself says.

The limit needs no equation: an exact map of step h says x(t + h) where x(t + Δ) is asked for, and both are rows of the
record. Errors are RMS errors over the RMS of the recorded change, by dimension, then the root mean square of these.

There is one record, not many: its rows are cut into blocks of time, and an interval is the jackknife's, which leaves
one block out at a time. It says how much stretches of this run differ, not how another run would. Networks differ by
their seeds too: their errors over all rows stand beside the blocks', one row per network, and `crossed_interval` adds
both variances. Fewer than five networks decide nothing, however many blocks there are.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from tdlib.core.transitions import Transitions
from tdlib.evaluation.tables import frequency_label
from tdlib.figures.selection import main_model
from tdlib.models import build_model
from tdlib.study.arms import DEFAULT_SIZE, Arm
from tdlib.study.judging import NETWORKS
from tdlib.study.measurements import COLUMNS
from tdlib.study.records import Log, Part, Record
from tdlib.training import Budget, Trial, fit

Change = Callable[[np.ndarray, np.ndarray], np.ndarray]  # states (N, D), inputs (N, A) -> change over h (N, D)
BLOCKS = 8
LINES = "least_squares"  # has no seed
VALIDATION = 0.15  # of the training rows, the last ones
ERROR, LIMIT, FORMULA = "record.relative_error", "record.limit", "record.formula"
OVER_LIMIT = "record.over_limit"  # the error of a model as it is, over the record's limit
OVER_BLOCKS = "blocks"  # in the column `over`, beside `NETWORKS`: the number of a block
BATCH = 64


@dataclass(frozen=True)
class Pairs:
    """Rows of a record n intervals apart.

    Args:
        start: (N, D) states.
        inputs: (m, N, A) means of the inputs over m equal stretches of the n intervals.
        end: (N, D) states n intervals later.
    """

    start: np.ndarray
    inputs: np.ndarray
    end: np.ndarray

    @property
    def change(self) -> np.ndarray:
        """What was recorded, (N, D)."""
        return self.end - self.start


def pairs_of(log: Log, n: int, stretches: int = 1) -> Pairs:
    """Pair every row with the one n later.

    Args:
        log: A stretch of a record.
        n: At least 1.
        stretches: m, which divides n.

    Raises:
        ValueError: If n is not a multiple of m, or leaves no pair.
    """
    if n < 1 or n % stretches or n >= len(log.states):
        raise ValueError(f"n must be a multiple of {stretches} below {len(log.states)}, got {n}")
    sums = np.concatenate([np.zeros((1, log.inputs.shape[1])), np.cumsum(log.inputs, axis=0)])
    rows, length = np.arange(len(log.states) - n), n // stretches
    means = [(sums[rows + (k + 1) * length] - sums[rows + k * length]) / length for k in range(stretches)]
    return Pairs(log.states[rows], np.stack(means), log.states[rows + n])


def least_squares(record: Record, log: Log) -> Change:
    """Fit the change over h by a line in states, inputs and the record's sines of positions, part by part."""
    pairs, fitted = pairs_of(log, record.every), []

    def features(part: Part, state: np.ndarray, action: np.ndarray) -> np.ndarray:
        sines = [np.sin(state[:, log.positions] @ np.asarray(factors)) for factors in record.sines]
        return np.column_stack([state[:, part.states], action[:, part.inputs], *sines, np.ones(len(state))])

    for part in record.split(log):
        known, target = features(part, pairs.start, pairs.inputs[0]), pairs.change[:, part.states]
        fitted.append((part, np.linalg.lstsq(known, target, rcond=None)[0]))

    def change(state: np.ndarray, action: np.ndarray) -> np.ndarray:
        found = np.zeros_like(state)
        for part, weights in fitted:
            found[:, part.states] = features(part, state, action) @ weights
        return found

    return change


def networks(record: Record, log: Log, seeds: Sequence[int], budget: Budget) -> list[Change]:
    """Train the library's map of one step on the same pairs, one network per seed."""
    pairs, h = pairs_of(log, record.every), log.interval * record.every
    columns = (pairs.start, pairs.inputs[0], pairs.end, np.full(len(pairs.start), h))
    rows = Transitions(*(torch.from_numpy(column).float() for column in columns))
    split = round(len(rows) * (1 - VALIDATION))
    train, val = [rows[:split]], [rows[split:]]
    name = main_model()
    arm = Arm(name, "baseline", "none", train_frequency=rate_label(h))
    trials = [Trial(arm, seed, build_model(name, log.spec, seed=seed, train_delta_t=h), train, val) for seed in seeds]
    return [_change_of(result.model, h) for result in fit(trials, budget)]


def _change_of(model: torch.nn.Module, h: float) -> Change:
    def change(state: np.ndarray, action: np.ndarray) -> np.ndarray:
        given, acted = torch.from_numpy(state).float(), torch.from_numpy(action).float()
        with torch.no_grad():
            return (model(given, acted, torch.full((len(given),), h)) - given).double().numpy()

    return change


def predictions_of(model: Change, log: Log, n: int, own: int) -> dict[str, np.ndarray]:
    """Return the change over n rows that a map of `own` rows says: as it is, rescaled, and composed where n allows it.

    Composing follows the inputs as they were recorded, step by step.
    """
    pairs = pairs_of(log, n)
    once = model(pairs.start, pairs.inputs[0])
    found = {"baseline": once, "rescaled": once * (n / own)}
    if n > own and n % own == 0:
        fine = pairs_of(log, n, n // own)
        state = fine.start
        for inputs in fine.inputs:
            state = state + model(state, inputs)
        found["recurrent_rollout"] = state - fine.start
    return found


def measure_record(record: Record, train: Log, test: Log, models: Mapping[str, Sequence[Change]]) -> pd.DataFrame:
    """Score models of one rate at all rates of a record.

    Args:
        record: What is asked.
        train: Its stretch of training.
        test: That of the test.
        models: Name -> one or several trained alike, of whose errors the mean counts. All but least squares are of a
            seed each.

    Returns:
        The columns that verdicts and intervals read, `over`, and `whole`, the number of all rows. Over blocks `seed` is
        the block and its value is its pseudo-value in logarithms, so that their geometric mean is the jackknife's
        estimate. Over networks `seed` is the network and its value that of all rows.
    """
    h = train.interval * record.every
    names = {"all": tuple(range(test.states.shape[1]))} | ({"positions": test.positions} if test.positions else {})
    rows: list[dict] = []
    for n in record.rates:
        delta_t, change = test.interval * n, pairs_of(test, n).change
        where = {
            "env": record.name, "form": "none", "size": DEFAULT_SIZE, "data": "transitions",
            "train_frequency": rate_label(h), "test_frequency": rate_label(delta_t),
        }  # fmt: skip
        formula = abs(1 - record.own / n)
        arm = {**where, "metric": FORMULA, "model": "none", "method": "baseline", "detail": "all"}
        alone = {"value": formula, "whole": formula, "n": 0, "over": OVER_BLOCKS}
        rows += [arm | alone | {"seed": k} for k in range(BLOCKS)]
        said: dict[tuple[str, str, str], list[np.ndarray]] = {(ERROR, "none", "persistence"): [-change]}
        if n == record.own:
            said[ERROR, "none", "last_change"] = [_last_change(change, n) - change]
        else:
            said[LIMIT, "none", "baseline"] = [_limit_errors(test, n, record.own)]
        for name, alike in models.items():
            several = [predictions_of(model, test, n, record.own) for model in alike]
            for method in several[0] if n != record.own else ["baseline"]:
                said[ERROR, name, method] = [each[method] - change for each in several]
        for (metric, model, method), errors in said.items():
            for detail, dims in names.items():
                arm = {**where, "metric": metric, "model": model, "method": method, "detail": detail}
                kept = change[: len(errors[0])]
                errors_of = [e[:, dims] for e in errors]
                rows += [arm | found for found in _blocks(errors_of, kept[:, dims])]
                if model not in ("none", LINES):
                    rows += [arm | found for found in _networks(errors_of, kept[:, dims])]
    table = pd.DataFrame(rows)[[*COLUMNS, "whole", "over"]]
    return pd.concat([table, _over_limit(table)[table.columns]], ignore_index=True)


def _over_limit(table: pd.DataFrame) -> pd.DataFrame:
    """Errors of models as they are over the record's limit, block by block; of a network over that of all rows."""
    at, errors = ["test_frequency", "detail"], table[table["metric"] == ERROR]
    errors = errors[(errors["model"] != "none") & (errors["method"] == "baseline")]
    limits = table[table["metric"] == LIMIT]
    wholes, single = limits.drop_duplicates(at), errors["over"] == NETWORKS
    blocks = errors[~single].merge(limits[[*at, "seed", "value", "whole"]], on=[*at, "seed"], suffixes=("", "_limit"))
    trained = errors[single].merge(wholes[[*at, "whole"]], on=at, suffixes=("", "_limit"))
    found = pd.concat([blocks, trained.assign(value_limit=trained["whole_limit"])], ignore_index=True)
    ratios = {name: found[name] / found[f"{name}_limit"] for name in ("value", "whole")}
    return found.assign(metric=OVER_LIMIT, **ratios)


def rate_label(delta_t: float) -> str:
    """Return the rate of an interval as tables write it, with three digits: 0.02 s -> "50", 0.06 s -> "16.7"."""
    rate = 1 / delta_t
    return frequency_label(float(f"{rate:.3g}"))


def _limit_errors(log: Log, n: int, own: int) -> np.ndarray:
    """The change over h minus that over n rows, at the rows that have both."""
    rows = np.arange(len(log.states) - max(n, own))
    return log.states[rows + own] - log.states[rows + n]


def _last_change(change: np.ndarray, n: int) -> np.ndarray:
    """Going on as over the n rows before; the first rows, which have none before, stay."""
    return np.concatenate([np.zeros_like(change[:n]), change[: len(change) - n]])


def _blocks(errors: Sequence[np.ndarray], change: np.ndarray) -> list[dict]:
    """Return one row per block: its pseudo-value, the number of all rows, and how many rows a block has."""
    cuts = np.array_split(np.arange(len(change)), BLOCKS)
    size = np.stack([np.square(change[rows]).sum(axis=0) for rows in cuts])  # (B, D)
    each = [np.stack([np.square(error[rows]).sum(axis=0) for rows in cuts]) for error in errors]

    def score(kept: np.ndarray) -> float:
        below = size[kept].sum(axis=0)
        moving = below > 0
        above = [part[kept].sum(axis=0)[moving] / below[moving] for part in each]
        return float(np.mean([np.sqrt(part.mean()) for part in above]))

    everything = np.ones(BLOCKS, dtype=bool)
    whole, rows = score(everything), []
    for k in range(BLOCKS):
        kept = everything.copy()
        kept[k] = False
        without = score(kept)  # 0 where one block has all of the error: then there is no interval
        value = 0.0 if whole == 0 else whole * (whole / without) ** (BLOCKS - 1) if without > 0 else math.inf
        rows.append({"seed": k, "value": value, "whole": whole, "n": len(cuts[k]), "over": OVER_BLOCKS})
    return rows


def _networks(errors: Sequence[np.ndarray], change: np.ndarray) -> list[dict]:
    """Return one row per network: its error over all rows."""
    wholes = [_blocks([error], change)[0]["whole"] for error in errors]
    return [{"seed": k, "value": x, "whole": x, "n": len(change), "over": NETWORKS} for k, x in enumerate(wholes)]


def simulated(model: Change, log: Log) -> np.ndarray:
    """Follow a model from the first state through all recorded inputs, (T + 1, D)."""
    state, states = log.states[:1], [log.states[:1]]
    for action in log.inputs:
        state = state + model(state, action[None])
        states.append(state)
    return np.concatenate(states)
