"""The doctor's answer: a verdict with its evidence, the log's clock, errors by rate, and a wrapper to be pasted."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from tdlib.data import TransitionDataset
from tdlib.data.sources.logs import REPORT
from tdlib.doctor.findings import Findings
from tdlib.doctor.finer import finer_table
from tdlib.doctor.measure import measure
from tdlib.doctor.repair import WRAPPERS, best_repair, rates_table, wrapper
from tdlib.doctor.rows import evened
from tdlib.doctor.rules import OTHER_SCALE, Verdict, judge
from tdlib.doctor.tables import intervals_table
from tdlib.speed import Model, has_memory

AS_IT_IS = "as it is"
RESCALED = "other rate"  # the verdict whose remedy takes h as it is told


@dataclass(frozen=True)
class Examination:
    """What the doctor found and says; printed, it is its page.

    Args:
        verdict: What is wrong, by which evidence, and what to do.
        findings: All numbers.
        rates: Errors at the log's rate and coarser ones (`repair.rates_table`); empty for models that remember.
        h: Step that the model knows best [s].
        repair: Which of the repairs errs least over these rates.
        finer: Defects at finer rates (`finer.finer_table`); empty for models that remember.
        intervals: Every interval of the log (`tables.intervals_table`).
        angles: Dimensions of the state that are angles.
        log: Name of the log.
        notes: What the import of the log said.
    """

    verdict: Verdict
    findings: Findings
    rates: pd.DataFrame
    finer: pd.DataFrame
    intervals: pd.DataFrame
    h: float
    repair: str
    angles: tuple[int, ...]
    log: str
    notes: tuple[str, ...]

    @property
    def wrapper(self) -> str:
        """Lines of NumPy that repair the model without training; empty where it is best as it is."""
        return wrapper(self.repair, self.h, self.angles) if self.repair in WRAPPERS else ""

    @property
    def expected(self) -> str:
        """The error that the remedy leaves, in a sentence; empty where it was not tried or nothing is wrong."""
        error = self.verdict.expected_error
        if not math.isfinite(error) or self.verdict.rule.healthy:
            return ""
        said = f"expected error after it, on this log: {error:.2g} of the change"
        if self.verdict.name != RESCALED or not _told_otherwise(self.findings):
            return said
        fits = self.findings.delta_t / self.findings.scale
        left = self.findings.tried["scaled"]
        return f"{said} with h = {self.h:.3g} s; a step of {fits:.3g} s fits, and leaves {left:.2g}: check h"

    def as_dict(self) -> dict[str, object]:
        """Plain values, for a file."""
        found = self.findings
        return {
            "verdict": self.verdict.name,
            "evidence": self.verdict.evidence,
            "remedy": self.verdict.rule.remedy,
            "expected_error": _number(self.verdict.expected_error),
            "also": [list(each) for each in self.verdict.also],
            "error": _number(found.error),
            "noise_floor": _number(found.floor),
            "response": _number(found.response),
            "defect": _number(found.defect),
            "h": _number(self.h),
            "repair": self.repair,
            "refused": dict(found.refused),
            "tried": {name: _number(error) for name, error in found.tried.items()},
            "rates": _plain(self.rates),
            "finer": _plain(self.finer),
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        rule, found = self.verdict.rule, self.findings
        lines = [
            f"Verdict: {rule.name}. {rule.verdict}",
            f"  because {self.verdict.evidence}",
            f"  remedy: {rule.remedy}",
        ]
        if self.expected:
            lines.append(f"  {self.expected}")
        if found.refused:
            lines.append("  the model refuses " + "; ".join(f"{name}: {why}" for name, why in found.refused.items()))
        lines += [f"  also {name}: {evidence}" for name, evidence in self.verdict.also]
        lines += ["", f"Clock: {found.stamps}"]
        if found.even:
            lines.append("  states follow the numbers of rows, not their stamps: they were stamped when they were sent")
        if math.isfinite(found.label):
            lines.append(f"  labeled {found.label:.4g} Hz")
        lines += [
            f"Model: errs by {found.error:.2g} of the recorded change; noise makes at most about {found.floor:.2g}",
        ]
        if math.isfinite(found.response):
            lines.append(
                f"  from half a step to two its change grows by {found.response:.2g} of itself (proportional: 1.5)"
            )
        if math.isfinite(found.defect):
            lines.append(
                f"  two half steps differ from one by {found.defect:.2g} (nothing recorded says which is right)"
            )
        if len(self.rates):
            lines += ["", f"Errors by rate, h = {self.h:.3g} s; limit is |1 - h/Δ|, limit_here that of these states:"]
            lines.append(_table(self.rates))
            lines += [
                f"  refused at every {row.every}: {row.refused}" for row in self.rates.itertuples() if row.refused
            ]
            lines.append(f"Best over these rates: {self.repair}")
        if len(self.finer):
            steps = ", ".join(f"{row.parts} steps: {row.defect:.2g}" for row in self.finer.itertuples())
            lines.append(f"At finer rates, against one step (n - 1 for a map of one step): {steps}")
        if self.wrapper:
            lines += ["", "# around model(state, action), one step of h, in NumPy", self.wrapper.rstrip()]
        if self.notes:
            lines += ["", "What was read:", *(f"  {note}" for note in self.notes)]
        return "\n".join(lines)


def examine(
    model: Model,
    dataset: TransitionDataset,
    *,
    train_delta_t: float | None = None,
    label: float | None = None,
    num_rows: int = 2048,
    seed: int = 0,
) -> Examination:
    """Say what is wrong between one model and one log, and what to do about it.

    Args:
        model: One model, or any callable (state, action, delta_t) -> next state.
        dataset: A log that it was not trained on.
        train_delta_t: h, the step that the model was trained at [s]; by default the model's own, if it has one.
        label: Rate that the log is said to have [Hz].
        num_rows: Rows asked about, at most.
        seed: Decides which.

    Raises:
        ValueError: If the log is branched, or has no episode long enough to look around a row.
    """
    findings = measure(model, dataset, train_delta_t=train_delta_t, label=label, num_rows=num_rows, seed=seed)
    h = findings.train_delta_t
    if not math.isfinite(h):  # the step that its changes fit
        follows = findings.response > 1
        h = findings.delta_t if follows or findings.scale <= 0 else findings.delta_t / findings.scale
    log = evened(dataset) if findings.even else dataset
    remembers = has_memory(model)
    rates = pd.DataFrame() if remembers else rates_table(model, log, h)
    finer = pd.DataFrame() if remembers else finer_table(model, log)
    repair = best_repair(rates) if len(rates) else AS_IT_IS
    notes = tuple(str(dataset.attributes.get(REPORT, "")).splitlines())
    spec = dataset.spec
    verdict = _with_its_remedy(judge(findings), findings, rates, repair)
    return Examination(
        verdict, findings, rates, finer, intervals_table(dataset), h, repair, spec.angle_dims, spec.name, notes
    )


def _told_otherwise(findings: Findings) -> bool:
    """Whether the step that the model is said to have is another than the one that its changes fit."""
    told, fits = findings.train_delta_t, findings.delta_t / findings.scale if findings.scale > 0 else math.nan
    return math.isfinite(told) and not abs(told / fits - 1) <= OTHER_SCALE


def _with_its_remedy(verdict: Verdict, findings: Findings, rates: pd.DataFrame, repair: str) -> Verdict:
    """The verdict on a rate with the error that the repair leaves with the step it is told, not with the best one."""
    if verdict.name != RESCALED:
        return verdict
    if len(rates):
        left = float(rates[repair if repair in WRAPPERS else "rescaled"].iloc[0])
    else:  # a model that remembers
        left = math.nan if _told_otherwise(findings) else verdict.expected_error
    return dataclasses.replace(verdict, expected_error=left)


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _plain(table: pd.DataFrame) -> list[dict[str, object]]:
    """Rows without NaN, which JSON has no word for."""
    return [
        {name: _number(value) if isinstance(value, float) else value for name, value in row.items()}
        for row in table.to_dict("records")
    ]


def _table(rates: pd.DataFrame) -> str:
    shown = rates.drop(columns="refused")
    formats: Mapping[str, object] = {
        name: "{:.2g}".format for name in shown.columns if name not in ("every", "n")
    }  # fmt: skip
    return shown.to_string(index=False, formatters=formats)
