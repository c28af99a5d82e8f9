"""Merge the parts of all cells, put intervals on them, judge contrasts and predictions, write the headline numbers."""

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import pandas as pd

from tdlib.core.files import write_text
from tdlib.evaluation import result_tables
from tdlib.evaluation.control.rows import marked_by_all
from tdlib.evaluation.tables import read_table
from tdlib.figures.selection import ARM
from tdlib.study import predictions
from tdlib.study.chapters import owner_of
from tdlib.study.clock import part
from tdlib.study.inference import share_interval, t_intervals
from tdlib.study.judging import judge_contrasts, judge_predictions, missing_of
from tdlib.study.measurements import BELOW_ZERO, KEYS, SUCCESS, measure
from tdlib.study.provenance import commit_of_memory, produced, versions
from tdlib.study.run import Run

CONTROL = "control_performance"
OTHER_TABLES = (CONTROL, "training_summary", "limits", "data_checks", "ablations")
PARTS_ONLY = ("state_errors",)  # what pictures are made of; not merged
STATISTICS_COLUMNS = [*KEYS, "mean", "ci_low", "ci_high", "n_seeds", "bad", "n"]


def table_names() -> list[str]:
    """Names of the tables that are merged: those of every registered measure, and of the other phases."""
    return [*(name for name in result_tables() if name not in PARTS_ONLY), *OTHER_TABLES]


@part("statistics")
def merge_parts(run: Run) -> dict[str, pd.DataFrame]:
    """Join the parts of every table in the order of the preset, write them to `results/metrics`, and return them.

    Parts of environments or models that the preset does not have (left by another version of it) are ignored.
    """
    merged = {}
    for name in table_names():
        own = own_rows(run, name)
        table = run.with_taken(name, pd.DataFrame() if own is None else own)
        if own is not None or len(table):
            merged[name] = marked_by_all(table) if name == CONTROL and run.preset.taken else table
            run.save_table(name, merged[name])
    return merged


def own_rows(run: Run, name: str) -> pd.DataFrame | None:
    """Join the parts of one table in the order of the preset; None if there are none."""
    paths = [
        run.layout.part(name, env if model is None else f"{env}-{model}")
        for env in (*run.preset.environments, *run.preset.seen_sets)
        for model in (None, "none", *run.preset.models)
    ]
    frames = [read_table(path) for path in paths if path.exists()]
    return pd.concat(frames, ignore_index=True) if frames else None


def load_tables(run: Run) -> dict[str, pd.DataFrame]:
    """Load the merged tables."""
    paths = {name: run.layout.metrics / f"{name}.csv" for name in table_names()}
    return {name: read_table(path) for name, path in paths.items() if path.exists()}


@part("statistics")
def summarize(run: Run, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Write and return `statistics.csv`, see `statistics_of`; nothing is written where there is nothing."""
    table = statistics_of(tables)
    if len(table):
        run.save_table("statistics", table)
    return table


def statistics_of(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Compute mean and 95 % interval over seeds of every measure.

    The interval is Student's t, with one degree of freedom less than seeds, and ends at 0 where the measure does; that
    of a share of episodes also counts them. One seed has none.

    Columns: metric, env, the arm, test_frequency, detail, mean, ci_low, ci_high, n_seeds (behind the mean), bad (how
    many further seeds have a value that is not finite; a mean over none is no number), n (values of all of them).
    """
    measured = measure(tables)
    shares = measured["metric"] == SUCCESS
    parts = [part for part in (_t_rows(measured[~shares]), _share_rows(measured[shares])) if len(part)]
    return (
        pd.concat(parts, ignore_index=True)[STATISTICS_COLUMNS] if parts else pd.DataFrame(columns=STATISTICS_COLUMNS)
    )


def intervals_by_seeds(table: pd.DataFrame | None) -> pd.DataFrame | None:
    """How the interval of every arm and test rate changes as one seed after another is added, in order of seeds.

    Args:
        table: one_step_errors, of which pooled pairs and all dimensions together count; None if there are none.

    Returns:
        Rows of env, the arm, test_frequency, seed, value (its relative error), and mean, ci_low, ci_high, n_seeds of
        the seeds up to it; an arm that some seed lacks, or that is not finite for one, is left out.
    """
    if table is None:
        return None
    table = table[(table["test_set"] == "pooled") & (table["dimension"] == "all")]
    keys = ["env", *ARM, "test_frequency"]
    wide = table.pivot_table(index=keys, columns="seed", values="relative_error", sort=False)
    wide = wide[np.isfinite(wide).all(axis=1)]
    parts = []
    for count, seed in enumerate(wide.columns, 1):
        mean, low, high = t_intervals(wide.iloc[:, :count].to_numpy())
        columns = {"seed": seed, "value": wide[seed], "mean": mean, "ci_low": low, "ci_high": high, "n_seeds": count}
        parts.append(wide.index.to_frame(index=False).assign(**{k: np.asarray(v) for k, v in columns.items()}))
    return pd.concat(parts, ignore_index=True)


@part("statistics")
def evaluate_contrasts(run: Run, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Test every declared contrast in every environment; write and return `contrasts.csv`, see `judge_contrasts`."""
    table = judge_contrasts(measure(tables), run.preset.environments)
    if len(table):
        run.save_table("contrasts", table)
    return table


def missing_contrasts(run: Run, contrasts: pd.DataFrame) -> pd.DataFrame:
    """Return the declared contrasts that a run does not answer, as it lacks an arm of one: env, name, a, b."""
    return missing_of(contrasts, run.preset.environments)


@part("statistics")
def evaluate_predictions(run: Run, tables: dict[str, pd.DataFrame], scores: pd.DataFrame | None = None) -> pd.DataFrame:
    """Set the chapter's predictions on the run's systems beside what was measured; write and return `predictions.csv`.

    Args:
        run: Preset and folders.
        tables: Merged result tables.
        scores: Numbers of the analyses (`analyze`), which predictions speak about too.
    """
    measured = measure(tables) if scores is None else pd.concat([measure(tables), scores], ignore_index=True)
    known = predictions.predictions_on((*run.preset.environments, *run.preset.seen_sets))
    table = judge_predictions(
        measured, {name: one for name, one in known.items() if owner_of(name) == run.preset.chapter}
    )
    run.save_table(predictions.TABLE, table)
    return table


def write_summary(run: Run, tables: dict[str, pd.DataFrame], statistics: pd.DataFrame) -> pd.DataFrame:
    """Write `summary_statistics.json`: what ran, with which versions, and the headline numbers; return those."""
    preset = run.preset
    headline = statistics[
        (statistics["metric"] == "one_step.relative_error")
        & statistics["train_frequency"].isin(["20", "mixed"])
        & statistics["test_frequency"].isin(["10", "20", "50"])
        & (statistics["size"] == "hidden64")
        & (statistics["data"] == "transitions")
    ]
    content = {
        "preset": preset.name,
        "description": preset.description,
        "seeds": len(preset.seeds),
        **({"taken": list(preset.taken)} if preset.taken else {}),
        "environments": list(preset.environments),
        "num_transitions": preset.collection.num_transitions,
        "num_steps": preset.training.num_steps,
        "num_checkpoints": len(tables.get("training_summary", ())),
        "num_control_episodes": len(tables.get("control_performance", ())),
        "control": preset.control.model_dump(),
        "python": platform.python_version(),
        "versions": versions(),
        "git_commit": commit_of_memory(),
        "headline": [
            {key: _plain(value) for key, value in row.items() if not isinstance(value, str) or value}
            for row in headline.to_dict("records")
        ],
    }
    path = run.layout.metrics / "summary_statistics.json"
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")
    produced(path)
    return headline


def _t_rows(measured: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds with its t interval, one row per number; a value that is not finite is counted beside it."""
    if measured.empty:
        return pd.DataFrame()
    broken = (~np.isfinite(measured["value"].astype(float)) & (measured["n"] > 0)).rename("bad")
    bad = broken.groupby([measured[key] for key in (*KEYS, "seed")], sort=False).any().groupby(KEYS, sort=False).sum()
    wide = (
        measured.groupby([*KEYS, "seed"], sort=False)["value"].mean().unstack("seed").replace([np.inf, -np.inf], np.nan)
    )
    counts = measured.groupby(KEYS, sort=False)["n"].sum()
    wide = wide[wide.notna().any(axis=1) | (bad.loc[wide.index] > 0)]
    parts = []
    for n_seeds, rows in wide.groupby(wide.notna().sum(axis=1)):
        none = np.full(len(rows), np.nan)
        values = np.stack([row[np.isfinite(row)] for row in rows.to_numpy()])
        mean, low, high = t_intervals(values) if n_seeds else (none, none, none)
        frame = rows.index.to_frame(index=False)
        low = np.where(frame["metric"].isin(BELOW_ZERO), low, np.maximum(low, 0.0))
        frame = frame.assign(mean=mean, ci_low=low, ci_high=high, n_seeds=n_seeds)
        parts.append(frame.assign(bad=bad.loc[rows.index].to_numpy(), n=counts.loc[rows.index].to_numpy()))
    return pd.concat(parts, ignore_index=True)


def _share_rows(measured: pd.DataFrame) -> pd.DataFrame:
    """Mean share over seeds with an interval that counts episodes, one row per number."""
    rows = []
    for key, group in measured.groupby(KEYS, sort=False):
        interval = share_interval(group["value"] * group["n"], group["n"])
        rows.append({**dict(zip(KEYS, key, strict=True)), **asdict(interval), "bad": 0})
    return pd.DataFrame(rows)


def _plain(value: object) -> object:
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not np.isfinite(value) else value  # one seed has no interval
