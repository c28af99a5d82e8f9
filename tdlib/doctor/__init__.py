"""The rate doctor: one model, one log, what is wrong between them, and what to do about it.

python -m tdlib.doctor MODEL LOG
"""

from tdlib.doctor.findings import Findings
from tdlib.doctor.measure import measure
from tdlib.doctor.repair import best_repair, rates_table, wrapper
from tdlib.doctor.report import Examination, examine
from tdlib.doctor.rules import RULES, Rule, Verdict, judge

__all__ = [
    "RULES",
    "Examination",
    "Findings",
    "Rule",
    "Verdict",
    "best_repair",
    "examine",
    "judge",
    "measure",
    "rates_table",
    "wrapper",
]
