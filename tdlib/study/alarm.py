"""Does an ensemble's spread sound an alarm where its predictions fail? Shares over seeds of what was counted."""

import numpy as np
import pandas as pd

from tdlib.evaluation.tables import ARM_COLUMNS
from tdlib.study.inference import Interval, share_interval

SHARES = {
    "alarms": ("n_alarms", "n_tested"),
    "failures": ("n_failures", "n_tested"),
    "missed": ("n_missed", "n_failures"),
}


def alarm_shares(calibration: pd.DataFrame | None) -> pd.DataFrame:
    """Average the alarms of every ensemble at every rate.

    Args:
        calibration: Table ensemble_calibration; None, or without counts (made by older source), gives no rows.

    Returns:
        One row per environment, ensemble and rate: alarms (share of pairs above the threshold), failures (share of
        pairs whose error exceeds half of the true change), missed (share of those without an alarm; nan without
        failures), each with its interval over seeds, which also counts pairs; n_seeds, n (pairs), n_failures.
    """
    if calibration is None or "n_alarms" not in calibration:
        return pd.DataFrame()
    rows = calibration[(calibration["bin"] == "all") & (calibration["n_tested"] > 0)]
    keys = ["env", *ARM_COLUMNS, "test_frequency"]
    found = []
    for key, own in rows.groupby(keys, sort=False):
        row = dict(zip(keys, key, strict=True))
        for name, (count, of) in SHARES.items():
            some = own[own[of] > 0]
            share = share_interval(some[count], some[of]) if len(some) else Interval(np.nan, np.nan, np.nan, 0, 0)
            row |= {name: share.mean, f"{name}_low": share.ci_low, f"{name}_high": share.ci_high}
        counts = {"n_seeds": own["seed"].nunique(), "n": own["n_tested"].sum(), "n_failures": own["n_failures"].sum()}
        found.append(row | counts)
    return pd.DataFrame(found)
