"""What the doctor found as tables, each for a figure: the log's intervals, what was tried, the rules that apply."""

import math

import numpy as np
import pandas as pd

from tdlib.data import TransitionDataset
from tdlib.doctor.findings import Findings
from tdlib.doctor.rows import episodes_of
from tdlib.doctor.rules import RULES, Verdict

ASKED = "as it is"
WORDS = {
    "scaled": "its change times one factor", "proportional": "its change times Δ",
    "euler": "one Euler step of its field", "wrapped": "angles wrapped",
}  # fmt: skip


def intervals_table(dataset: TransitionDataset) -> pd.DataFrame:
    """Every interval of a log: episode, t [s] at its start, delta_t [s], and whether a pause stands before it.

    A pause is what lies between an episode and the one before, where one clock goes on: rows lost, or a recorder that
    stood still. Its length is `pause` [s], 0 where there is none.
    """
    rows, end = [], -math.inf
    for number, own in enumerate(episodes_of(dataset)):
        t, delta_t = dataset.t[own], dataset.delta_t[own]
        pause = np.zeros(len(t))
        if math.isfinite(end) and len(t) and t[0] > end:
            pause[0] = t[0] - end
        rows.append(pd.DataFrame({"episode": number, "t": t, "delta_t": delta_t, "pause": pause}))
        end = float(t[-1] + delta_t[-1]) if len(t) else end
    return pd.concat(rows, ignore_index=True)


def trials_table(findings: Findings, repair: str = "") -> pd.DataFrame:
    """Errors of the model as it is asked and of all that was tried, the least first.

    Returns:
        Rows trial (in words), error (nan where the model refused), floor (what noise makes of an error at most),
        repairs (whether it is the trial that mends the verdict).
    """
    way = "older" if findings.shift > 0 else "younger"
    words = {**WORDS, "shifted": f"inputs {abs(findings.shift):g} rows {way}"}
    found = {ASKED: findings.error, **findings.tried}
    table = pd.DataFrame({
        "trial": [words.get(name, name) for name in found],
        "error": [error if math.isfinite(error) else math.nan for error in found.values()],
        "repairs": [name == repair for name in found],
    })  # fmt: skip
    return table.assign(floor=findings.floor).sort_values("error", kind="stable", ignore_index=True)


def rules_table(verdict: Verdict) -> pd.DataFrame:
    """The rules from above: rule, kind (`healthy`, `fault` or `open`), state (`verdict`, `also` or `no`)."""
    also = {name for name, _ in verdict.also}
    return pd.DataFrame({
        "rule": [rule.name for rule in RULES],
        "kind": ["healthy" if rule.healthy else "open" if rule in (RULES[0], RULES[-1]) else "fault" for rule in RULES],
        "state": ["verdict" if rule.name == verdict.name else "also" if rule.name in also else "no" for rule in RULES],
    })  # fmt: skip
