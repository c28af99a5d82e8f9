"""The phase that measured records are scored in: fit, test at other rates, intervals by blocks, verdicts."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tdlib.doctor.measure import noise_of
from tdlib.figures.selection import main_model
from tdlib.study.clock import part
from tdlib.study.inference import crossed_interval, t_interval
from tdlib.study.judging import NETWORKS
from tdlib.study.measurements import KEYS
from tdlib.study.record_errors import (
    BATCH,
    BLOCKS,
    LINES,
    Change,
    least_squares,
    measure_record,
    networks,
    pairs_of,
    rate_label,
    simulated,
)
from tdlib.study.records import Log, Record, load_records, read_stretch
from tdlib.study.run import Run
from tdlib.study.statistics import STATISTICS_COLUMNS, evaluate_predictions
from tdlib.training import Budget


@dataclass(frozen=True)
class RecordTables:
    """What the records came to.

    Args:
        errors: One row per record, arm, test rate, kind of state and block or network; `whole` is of all rows.
        statistics: One row per record, arm, test rate and kind of state, with its interval.
        predictions: Verdicts.
        clocks: One row per record: what its stamps say, and the share of a change that is noise.
        simulations: One row per model or published method of a record that others simulated: RMS error in its unit.
    """

    errors: pd.DataFrame
    statistics: pd.DataFrame
    predictions: pd.DataFrame
    clocks: pd.DataFrame
    simulations: pd.DataFrame


def evaluate_records(run: Run) -> RecordTables:
    """Fit and score every record of the list; write `records`, `statistics`, `predictions`, `clocks`, `simulations`."""
    errors, clocks, simulations = [], [], []
    budget = Budget(run.preset.training.num_steps or 1, run.preset.training.learning_rate, batch_size=BATCH)
    for record in load_records():
        train, test = read_stretch(record, record.train), read_stretch(record, record.test)
        models: dict[str, list[Change]] = {LINES: [least_squares(record, train)]}
        if record.network and main_model() in run.preset.models:
            with part("training"):
                models[main_model()] = networks(record, train, run.preset.own_seeds, budget)
        with part("evaluation"):
            errors.append(measure_record(record, train, test, models))
            clocks.append(_clock(record, train, test))
            simulations += _simulations(record, test, models)
    table = pd.concat(errors, ignore_index=True)
    found = RecordTables(
        errors=table,
        statistics=_statistics(table),
        predictions=evaluate_predictions(run, {}, table),
        clocks=pd.DataFrame(clocks).drop_duplicates("env"),
        simulations=pd.DataFrame(simulations),
    )
    run.save_table("records", found.errors)
    for name in ("statistics", "clocks", "simulations"):
        run.save_table(name, getattr(found, name))
    return found


def _statistics(errors: pd.DataFrame) -> pd.DataFrame:
    """Return the number of all rows with the t interval of its blocks' pseudo-values in logarithms.

    Of networks the interval counts how they differ too, and `n_seeds` is the lesser of both counts.
    """
    rows = []
    for key, group in errors.groupby(KEYS, sort=False):
        single = group["over"] == NETWORKS
        blocks, trained = group[~single], group.loc[single, "value"].to_numpy()
        whole, values = float(blocks["whole"].iloc[0]), blocks["value"].to_numpy()
        ends, count = (np.nan, np.nan), min(BLOCKS, len(trained)) if len(trained) else BLOCKS
        if np.isfinite(values).all() and (values > 0).all() and (trained > 0).all():
            interval = t_interval(values, logarithmic=True)
            if len(trained):
                interval = crossed_interval(values, trained, logarithmic=True)
            if len(trained) or np.ptp(values) > 0:  # a formula has no interval
                ends = (interval.ci_low, interval.ci_high)
        named = dict(zip(KEYS, key, strict=True))
        ends_of = {"mean": whole, "ci_low": ends[0], "ci_high": ends[1]}
        rows.append({**named, **ends_of, "n_seeds": count, "bad": 0, "n": int(blocks["n"].sum())})
    return pd.DataFrame(rows)[STATISTICS_COLUMNS]


def _clock(record: Record, train: Log, test: Log) -> dict[str, object]:
    stamps = test.stamps
    change = np.sqrt(np.square(pairs_of(test, record.own).change).mean(axis=0))
    noise = np.sqrt(2) * noise_of(test.data) / change[: test.data.state.shape[1]]
    said: dict[str, object] = {
        "env": record.name, "kind": record.kind, "file": record.test.file, "rows": len(test.states),
        "seconds": len(test.inputs) * test.interval, "train_frequency": rate_label(train.interval * record.every),
        "noise": float(noise.max()),
    }  # fmt: skip
    if stamps is not None:
        said |= {"rate": stamps.rate, "jitter": stamps.jitter, "gaps": stamps.gaps, "generated": stamps.generated}
    return said


def _simulations(record: Record, test: Log, models: dict[str, list[Change]]) -> list[dict]:
    if not record.published:
        return []
    truth = test.states[:, 0]
    rows = [
        {
            "env": record.name,
            "method": name,
            "rmse": float(np.sqrt(np.mean((simulated(model, test)[:, 0] - truth) ** 2))),
        }
        for name, alike in models.items()
        for model in alike[:1]
    ]
    rows.append({"env": record.name, "method": "mean of the record", "rmse": float(truth.std())})
    return rows + [{"env": record.name, "method": name, "rmse": rmse} for name, rmse in record.published.items()]
