"""The analyses that span a run's environments: shift, the form of the excess, failure, and the ensemble's alarm."""

from collections.abc import Mapping

import pandas as pd

from tdlib.study.alarm import alarm_shares
from tdlib.study.clock import part
from tdlib.study.deployed import deployed
from tdlib.study.excess_form import compare_forms, form_scores
from tdlib.study.failure import compare_predictors, failure_scores, predict_failures, reliability
from tdlib.study.measurements import measure
from tdlib.study.run import Run
from tdlib.study.shift import shift_ratios

SCORES = "scores"  # numbers by seed that predictions speak about, as `measure` has them; not written


@part("statistics")
def analyze(run: Run, tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Compute them from the merged tables, write those with rows to `results/metrics`, and return them by name.

    Returns:
        shift (`shift_ratios`), excess_forms (`compare_forms`), failure (`compare_predictors`), reliability, alarms
        (`alarm_shares`), and scores.
    """
    rows = deployed(tables)
    forms, predicted = form_scores(rows), predict_failures(rows)
    found = {
        "shift": shift_ratios(measure(tables)),
        "excess_forms": compare_forms(forms),
        "failure": compare_predictors(predicted),
        "reliability": reliability(predicted),
        "alarms": alarm_shares(tables.get("ensemble_calibration")),
    }
    for name, table in found.items():
        if len(table):
            run.save_table(name, table)
    return found | {SCORES: pd.concat([forms, failure_scores(predicted)], ignore_index=True)}
