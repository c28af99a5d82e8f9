"""What the data check of a run demands of its sets, and what the agents behind them did."""

from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd

from tdlib.data import TransitionDataset, load_dataset
from tdlib.data.sources.attempts import read_attempts
from tdlib.data.verify import RETURN_CHECK, Finding, verify_dataset
from tdlib.figures import WholeTable
from tdlib.study.phases.collect import whole_sets
from tdlib.study.run import Run
from tdlib.systems import SYSTEMS

WITHOUT_GAIN = 10  # one agent in so many may be left without a gain


class DataCheckError(ValueError):
    """Collected data that break a rule of the data check; the message lists the findings."""


def check_data(run: Run, env: str, seeds: Sequence[int] | None = None) -> pd.DataFrame:
    """Apply the data check to every whole set of one environment; return one row per check, and per agent tried.

    An agent without a gain has been replaced where it could be. One of them, or a tenth, may be left and is reported:
    its data are true, and what it did not visit the pooled test states show.

    Raises:
        DataCheckError: If a check fails.
    """
    rows = []
    for seed, rate, policy, path in whole_sets(run, env, seeds):
        require_gain = policy == "ppo" and run.preset.collection.require_gain
        require_long = policy == "random" and SYSTEMS[env].collection.random_inputs is not None
        dataset, place = load_dataset(path, rate), {"policy": policy, "control_frequency": f"{rate:g}", "seed": seed}
        findings = verify_dataset(dataset, require_gain=require_gain, require_long=require_long)
        for finding in (*findings, *_attempt_findings(dataset)):
            rows.append({"env": env, **place, **asdict(finding)})
    table = pd.DataFrame(rows)
    failed = table[table["ok"].eq(False)]
    agents = table["check"].eq(RETURN_CHECK) & table["policy"].eq("ppo")
    if failed["check"].eq(RETURN_CHECK).sum() <= max(1, agents.sum() // WITHOUT_GAIN):
        failed = failed[failed["check"] != RETURN_CHECK]
    if len(failed):
        raise DataCheckError(f"data of {env} must pass every check, these fail:\n{failed.to_string(index=False)}")
    if run.select_seeds(seeds) == run.preset.own_seeds:  # a part of the seeds would take the place of all
        run.save_part("data_checks", env, table)
    return table


def table_of_checks(findings: pd.DataFrame) -> WholeTable:
    """Return one row per check: over how many sets it ran, what it found in the first of them, and its rule.

    Args:
        findings: Rows of `check_data`.
    """
    columns = {"sets": ("check", "size"), "first_value": ("value", "first"), "rule": ("rule", "first")}
    return WholeTable(findings.groupby("check", sort=False).agg(**columns))


def load_attempts(run: Run, env: str, seeds: Sequence[int] | None = None) -> pd.DataFrame:
    """Load what every agent's return did, one row per attempt; the last attempt of a rate and seed is the one kept."""
    rows = []
    for seed, rate, policy, path in whole_sets(run, env, seeds):
        if policy == "ppo":
            place = {"env": env, "control_frequency": f"{rate:g}", "seed": seed}
            rows += [{**place, **asdict(attempt)} for attempt in read_attempts(load_dataset(path, rate))]
    return pd.DataFrame(rows)


def _attempt_findings(dataset: TransitionDataset) -> list[Finding]:
    """Report every agent that was trained for a set."""
    return [
        Finding(
            f"attempt {tried.attempt}",
            None,
            f"return {tried.first_return:.0f} to {tried.last_return:.0f}, {'a' if tried.gained else 'no'} gain",
            f"agent seed {tried.agent_seed}",
        )
        for tried in read_attempts(dataset)
    ]
