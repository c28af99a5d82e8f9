"""The phase that the rate doctor is tried in: planted faults, healthy logs, and one examination with its tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tdlib.data import TransitionDataset
from tdlib.data.decimate import decimate
from tdlib.data.sources.door import import_log
from tdlib.data.sources.recording import Reading
from tdlib.doctor import Examination, examine, judge, measure
from tdlib.doctor.changes import changes_table
from tdlib.doctor.command import load_model
from tdlib.doctor.line import fit_line
from tdlib.doctor.planted import NOISE, PLANTED, healthy_cases
from tdlib.doctor.plants import UNSEEN
from tdlib.doctor.repair import REPAIRS
from tdlib.evaluation.tables import ARM_DEFAULTS
from tdlib.speed import Model
from tdlib.study.clock import part
from tdlib.study.inference import clopper_pearson
from tdlib.study.layout import ROOT
from tdlib.study.run import Run
from tdlib.study.statistics import STATISTICS_COLUMNS

RECORDS = ROOT / "book" / "measured"
FITTED, ASKED, SLOWER = "double_pendulum_b_50hz.csv", "double_pendulum_a_50hz.csv", 2
COLUMNS = {
    "timestamp": "time_s", "qpos": ["pos1_rad", "pos2_rad"], "qvel": ["vel1_rad_s", "vel2_rad_s"],
    "ctrl": ["tau_cmd1_nm", "tau_cmd2_nm"],
}  # fmt: skip
NAME = "double pendulum a"  # of the record that is asked about
METHODS = dict(zip(REPAIRS, ("baseline", "rescaled", "newton_2", "recurrent_rollout"), strict=True))
HEALTHY_LOGS = 30
HEALTHY = "no fault"  # the fault of a healthy log


@dataclass(frozen=True)
class Patient:
    """One model and one log.

    Args:
        model: Of one interval.
        log: A log that it was not trained on.
        train_delta_t: Step that it was trained at [s]; None if nobody says.
    """

    model: Model
    log: TransitionDataset
    train_delta_t: float | None


def open_patient(
    model: str = "", log: str = "", columns: Mapping[str, str | Sequence[str]] | None = None, train_delta_t: float = 0.0
) -> Patient:
    """Load a model and a log, or those of the book: least squares on a record of 50 Hz, and another at half its rate.

    Args:
        model: As in `python -m tdlib.doctor`; that of the book if empty.
        log: File or folder; that of the book if empty.
        columns: Which columns are what, by the groups of `Reading`; empty where their names say so.
        train_delta_t: Step of the model's training [s]; 0 if it says so itself, or nobody does.

    Raises:
        ValueError: If only one of the two is given, or one cannot be read.
    """
    if bool(model) != bool(log):
        raise ValueError(f"model and log must be given both or neither, got model={model!r} and log={log!r}")
    if model:
        found = load_model(model)
        spec = getattr(found, "spec", None)
        mapped = {name: each if isinstance(each, str) else list(each) for name, each in (columns or {}).items()}
        return Patient(
            found, import_log(log, Reading(spec=spec, columns=mapped or None, stamps="repair")), train_delta_t or None
        )
    fitted, asked = (import_log(RECORDS / name, Reading(columns=COLUMNS, name=NAME)) for name in (FITTED, ASKED))
    return Patient(fit_line(fitted), decimate(asked, SLOWER, filtered=False), float(np.median(fitted.delta_t)))


def examine_patient(run: Run, patient: Patient, label: float = 0.0) -> tuple[Examination, pd.DataFrame]:
    """Examine, write the errors by rate as `doctor_rates`, and return the answer with the changes by rate."""
    with part("evaluation"):
        found = examine(patient.model, patient.log, train_delta_t=patient.train_delta_t, label=label or None)
        changes = changes_table(patient.model, patient.log, found.h)
    run.save_table("doctor_rates", found.rates)
    return found, changes


def try_doctor(run: Run, found: Examination) -> pd.DataFrame:
    """Plant every fault in plants that no rule was tuned on, and ask about healthy logs of them.

    Writes `planted` and `statistics`.

    Returns:
        One row per case: fault, plant, noise, seed, expected and given verdict, right.
    """
    with part("evaluation"):
        rows = [
            _tried(fault, plant, noise, seed, expected, make(plant, seed, noise))
            for fault, (make, expected) in PLANTED.items()
            for plant in UNSEEN for noise in NOISE for seed in run.preset.own_seeds
        ]  # fmt: skip
        rows += [
            _tried(HEALTHY, plant, noise, seed, "", case) for plant, seed, noise, case in healthy_cases(HEALTHY_LOGS)
        ]
    table = pd.DataFrame(rows)
    run.save_table("planted", table)
    run.save_table("statistics", shares_and_errors(table, found))
    return table


def _tried(fault: str, plant: str, noise: float, seed: int, expected: str, case: tuple) -> dict[str, object]:
    model, log, told = case
    verdict = judge(measure(model, log, **told))
    right = verdict.name == expected if expected else verdict.rule.healthy
    return {"fault": fault, "plant": plant, "noise": noise, "seed": seed, "expected": expected or "healthy",
            "verdict": verdict.name, "right": right}  # fmt: skip


def shares_and_errors(table: pd.DataFrame, found: Examination) -> pd.DataFrame:
    """Shares of right verdicts and of false alarms, and the errors of the examination, as pages quote them."""
    healthy = table["fault"] == HEALTHY
    planted = table[~healthy]
    of_noise = {f"{noise:g}": cases for noise, cases in planted.groupby("noise")}
    rows: list[dict] = [
        {"metric": "doctor.right", "env": "planted", "detail": noise, **_share(cases, cases["right"])}
        for noise, cases in {"all": planted, **of_noise}.items()
    ]
    rows.append({"metric": "doctor.alarms", "env": "healthy", **_share(table[healthy], ~table["right"][healthy])})
    rows += [
        {"metric": "doctor.cases", "env": row["env"], "mean": row["n"], "n": row["n"]} for row in (rows[0], rows[-1])
    ]
    for row in found.rates.to_dict("records"):
        rate = {"env": found.log, "test_frequency": f"{1 / row['delta_t']:.3g}", "n": row["n"]}
        rows += [{"metric": "doctor.error", "method": METHODS[name], "mean": row[name], **rate} for name in REPAIRS]
        rows.append({"metric": "doctor.limit", "mean": row["limit_here"], **rate})
    single = {"n_seeds": 1, "bad": 0, "ci_low": np.nan, "ci_high": np.nan}
    blank = {**ARM_DEFAULTS, "test_frequency": "", "detail": "", **single}
    return pd.DataFrame([blank | row for row in rows])[STATISTICS_COLUMNS]


def _share(cases: pd.DataFrame, which: pd.Series) -> dict[str, float | int]:
    """The share of such cases, with Clopper and Pearson's interval: none of 30 may be one of ten."""
    low, high = clopper_pearson(int(which.sum()), len(cases))
    own = {"n": len(cases), "n_seeds": cases["seed"].nunique()}
    return {"mean": float(which.mean()), "ci_low": low, "ci_high": high, **own}
