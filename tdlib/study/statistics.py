"""Merge the parts of all cells, put intervals on them, test the declared contrasts, and write the headline numbers."""

import json
import math
import platform
from importlib.metadata import version

import numpy as np
import pandas as pd

from tdlib.core.files import write_text
from tdlib.core.seeding import numpy_generator
from tdlib.evaluation import result_tables
from tdlib.evaluation.tables import ARM_COLUMNS, at_time, read_table
from tdlib.study.clock import part
from tdlib.study.contrasts import CONTRASTS, ArmAtRate, Contrast
from tdlib.study.inference import hierarchical_bootstrap, holm, seed_bootstrap, sign_flip_test, smallest_p_value, tost
from tdlib.study.provenance import commit_of_memory, produced
from tdlib.study.run import Run

OTHER_TABLES = ("control_performance", "training_summary", "limits", "data_checks")
PARTS_ONLY = ("trajectories", "state_errors")  # what pictures are made of; not merged
ARM_AT_RATE = ["env", *ARM_COLUMNS, "test_frequency"]
EQUIVALENCE_MARGIN = math.log(1.1)  # errors within 10 % count as equal
SIGNIFICANCE = 0.05
CONTRAST_COLUMNS = (
    "env", "name", "question", "a", "b", "expected", "ratio", "ci_low", "ci_high", "p_value", "p_holm",
    "p_equivalence", "p_smallest", "n_seeds", "verdict",
)  # fmt: skip
ROLLOUT_TIMES = (0.5, 1.0)  # [s]


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
        paths = [
            run.layout.part(name, env if model is None else f"{env}-{model}")
            for env in run.preset.environments
            for model in (None, "none", *run.preset.models)
        ]
        frames = [read_table(path) for path in paths if path.exists()]
        if frames:
            merged[name] = pd.concat(frames, ignore_index=True)
            run.save_table(name, merged[name])
    return merged


def load_tables(run: Run) -> dict[str, pd.DataFrame]:
    """Load the merged tables."""
    paths = {name: run.layout.metrics / f"{name}.csv" for name in table_names()}
    return {name: read_table(path) for name, path in paths.items() if path.exists()}


@part("statistics")
def summarize(run: Run, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Compute mean and 95 % bootstrap interval over seeds of every measure; write and return `statistics.csv`.

    Columns: metric, env, the arm, test_frequency, detail, mean, ci_low, ci_high, n_seeds, n (values behind the mean).
    """
    generator, parts = numpy_generator(0, "statistics"), []
    if "one_step_errors" in tables:
        one_step = tables["one_step_errors"]
        one_step = one_step[(one_step["test_set"] == "pooled") & (one_step["dimension"] == "all")].assign(detail="")
        parts.append(_intervals(one_step, "one_step.mse", "mse", generator))
        parts.append(_intervals(one_step, "one_step.relative_error", "relative_error", generator))
    if "rollout_errors" in tables:
        rollout = tables["rollout_errors"]
        rollout = rollout[rollout["dimension"] == "all"]
        limited = rollout.groupby("env")["truncated"].transform("any")  # scored until the truth leaves its limits
        rollout = rollout[rollout["truncated"] | ~limited]
        rollout = pd.concat([at_time(rollout, time).assign(detail=f"{time:g}") for time in ROLLOUT_TIMES])
        parts.append(_intervals(rollout, "rollout.relative_error", "relative_error", generator))
    if "consistency_errors" in tables:
        consistency = tables["consistency_errors"]
        detail = consistency["fine_frequency"] + "->" + consistency["coarse_frequency"]
        consistency = consistency.assign(detail=detail, test_frequency=consistency["coarse_frequency"])
        parts.append(_intervals(consistency, "consistency.defect", "defect", generator))
        parts.append(_intervals(consistency, "consistency.relative_error", "relative_error", generator))
    if "control_performance" in tables:
        control = tables["control_performance"]
        main = control[(control["planner"] != "mppi") & (control["model_frequency"] == control["control_frequency"])]
        for metric, column in (("return", "episode_return"), ("success", "success"), ("regret", "regret")):
            parts.append(_episode_intervals(main, f"control.{metric}", column, generator))
    parts = [part for part in parts if len(part)]
    if not parts:
        return pd.DataFrame(columns=["metric", *ARM_AT_RATE, "detail", "mean", "ci_low", "ci_high", "n_seeds", "n"])
    table = pd.concat(parts, ignore_index=True)
    run.save_table("statistics", table)
    return table


@part("statistics")
def evaluate_contrasts(run: Run, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Test every declared contrast in every environment; write and return `contrasts.csv`.

    The ratio is the geometric mean over seeds of a's relative error over b's. `p_holm` adjusts the sign-flip tests over
    all contrasts, `p_equivalence` is TOST's within ±10 %. The verdict compares the prediction with the data; a
    prediction that neither stands nor falls at the 5 % level is "open".
    """
    errors = tables.get("one_step_errors", pd.DataFrame(columns=["env", "test_set", "dimension", "size", "data"]))
    errors = errors[(errors["test_set"] == "pooled") & (errors["dimension"] == "all")]
    errors = errors[(errors["size"] == "hidden64") & (errors["data"] == "transitions")]
    generator = numpy_generator(0, "contrasts")
    rows = []
    for env in run.preset.environments:
        for contrast in CONTRASTS:
            own = errors[errors["env"] == env]
            if len(own) and _seeds_of_both(own, contrast):
                rows.append(_contrast_row(own, env, contrast, generator))
    if not rows:
        return pd.DataFrame(columns=list(CONTRAST_COLUMNS))
    table = pd.DataFrame(rows)
    table.insert(table.columns.get_loc("p_value") + 1, "p_holm", holm(table["p_value"]))
    table["verdict"] = [_verdict(row) for row in table.to_dict("records")]
    run.save_table("contrasts", table)
    return table


def missing_contrasts(run: Run, contrasts: pd.DataFrame) -> pd.DataFrame:
    """Return the declared contrasts that a run does not answer, as it lacks an arm of one: env, name, a, b."""
    found = set(zip(contrasts["env"], contrasts["name"], strict=True))
    rows = [
        {"env": env, "name": contrast.name, "a": str(contrast.a), "b": str(contrast.b)}
        for env in run.preset.environments
        for contrast in CONTRASTS
        if (env, contrast.name) not in found
    ]
    return pd.DataFrame(rows, columns=["env", "name", "a", "b"])


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
        "environments": list(preset.environments),
        "num_transitions": preset.collection.num_transitions,
        "num_steps": preset.training.num_steps,
        "num_checkpoints": len(tables.get("training_summary", ())),
        "num_control_episodes": len(tables.get("control_performance", ())),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "gymnasium", "stable-baselines3", "numpy", "tdlib")},
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


def _intervals(table: pd.DataFrame, metric: str, value: str, generator: np.random.Generator) -> pd.DataFrame:
    """Mean over seeds with a bootstrap interval, one row per arm, test rate and detail."""
    keys = [*ARM_AT_RATE, "detail"]
    wide = table.pivot_table(index=keys, columns="seed", values=value, aggfunc="mean", sort=False, dropna=False)
    counts = table.groupby(keys, sort=False)["n"].sum().reindex(wide.index)
    wide = wide.replace([np.inf, -np.inf], np.nan).dropna(how="all")
    counts = counts.loc[wide.index]
    parts = []
    for n_seeds, rows in wide.groupby(wide.notna().sum(axis=1)):  # a seed without a finite value shrinks the sample
        values = np.stack([row[np.isfinite(row)] for row in rows.to_numpy()])
        mean, low, high = seed_bootstrap(values, generator=generator)
        frame = rows.index.to_frame(index=False)
        frame = frame.assign(mean=mean, ci_low=low, ci_high=high, n_seeds=n_seeds, n=counts.loc[rows.index].to_numpy())
        parts.append(frame)
    result = pd.concat(parts, ignore_index=True)
    result.insert(0, "metric", metric)
    return result


def _episode_intervals(table: pd.DataFrame, metric: str, value: str, generator: np.random.Generator) -> pd.DataFrame:
    """Mean over seeds and episodes with a hierarchical bootstrap interval, one row per arm and control rate."""
    rows = []
    for key, group in table.dropna(subset=[value]).groupby(ARM_AT_RATE, sort=False):
        per_seed = [part[value].astype(float).to_numpy() for _, part in group.groupby("seed")]
        interval = hierarchical_bootstrap(per_seed, generator=generator, num_resamples=1000)
        rows.append(
            {
                "metric": metric,
                **dict(zip(ARM_AT_RATE, key, strict=True)),
                "detail": "",
                "mean": interval.mean,
                "ci_low": interval.ci_low,
                "ci_high": interval.ci_high,
                "n_seeds": interval.n_seeds,
                "n": interval.n,
            }
        )
    return pd.DataFrame(rows)


def _seeds_of_both(errors: pd.DataFrame, contrast: Contrast) -> list[int]:
    """Return the seeds that both arms of a contrast have."""
    a, b = _values(errors, contrast.a), _values(errors, contrast.b)
    return sorted(set(a.index) & set(b.index))


def _contrast_row(errors: pd.DataFrame, env: str, contrast: Contrast, generator: np.random.Generator) -> dict:
    seeds = _seeds_of_both(errors, contrast)
    a, b = (_values(errors, arm).loc[seeds] for arm in (contrast.a, contrast.b))
    difference = np.log(a.to_numpy()) - np.log(b.to_numpy())
    test = sign_flip_test(difference, generator=generator)
    mean, low, high = (float(x[0]) for x in seed_bootstrap(difference[None], generator=generator))
    equivalence = tost(difference, EQUIVALENCE_MARGIN).p_value if len(difference) > 1 else 1.0
    return {
        "env": env,
        "name": contrast.name,
        "question": contrast.question,
        "a": str(contrast.a),
        "b": str(contrast.b),
        "expected": contrast.expected,
        "ratio": math.exp(mean),
        "ci_low": math.exp(low),
        "ci_high": math.exp(high),
        "p_value": test.p_value,
        "p_equivalence": equivalence,
        "p_smallest": smallest_p_value(len(difference)),
        "n_seeds": len(difference),
    }


def _values(errors: pd.DataFrame, arm: ArmAtRate) -> pd.Series:
    chosen = errors[
        (errors["model"] == arm.model)
        & (errors["method"] == arm.method)
        & (errors["form"] == arm.form)
        & (errors["train_frequency"] == arm.train_frequency)
        & (errors["test_frequency"] == arm.test_frequency)
    ]
    return chosen.set_index("seed")["relative_error"].sort_index()


def _verdict(row: dict) -> str:
    """Compare a prediction with the data: it stands, falls, or cannot be decided with this many seeds."""
    differs = row["p_holm"] < SIGNIFICANCE
    if row["expected"] == "equal":
        if row["p_equivalence"] < SIGNIFICANCE:
            return "confirmed"
        return "refuted" if differs else "open"
    if not differs:
        return "open"
    return "confirmed" if (row["ratio"] < 1) == (row["expected"] == "less") else "refuted"


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value
