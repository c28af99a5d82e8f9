"""The one rule by which a claim stands or falls: predictions and contrasts are judged by it alike.

A claim says where a number lies. The 95 % interval of the measured number over seeds lies inside that range, outside,
or across its edge:

| interval | 2 to 4 seeds | from 5 seeds on |
|---|---|---|
| inside | consistent | holds; of a contrast, confirmed if its p value stands Holm's correction, else open |
| outside | inconsistent | refuted |
| across an edge, or none | open | open |

Holm's correction protects what is claimed. It does not protect a claim from being refuted: a correction there would
only shield our own predictions.
"""

import math
from dataclasses import dataclass

from tdlib.study.inference import SIGNIFICANCE, Interval

DECISIVE_SEEDS = 5  # below, a verdict is consistent, inconsistent or open
CONSISTENT, INCONSISTENT, OPEN = "consistent", "inconsistent", "open"
HOLDS, CONFIRMED, REFUTED = "holds", "confirmed", "refuted"
VERDICTS = (CONFIRMED, HOLDS, REFUTED, CONSISTENT, INCONSISTENT, OPEN)


@dataclass(frozen=True)
class Claim:
    """Where a number lies, its edges included.

    Args:
        low: Smallest value that the claim allows.
        high: Largest value.

    Raises:
        ValueError: If it allows nothing, or everything.
    """

    low: float
    high: float

    def __post_init__(self):
        if not self.low < self.high or (math.isinf(self.low) and math.isinf(self.high)):
            raise ValueError(f"a claim must have an edge, and low below high, got {self.low} and {self.high}")


def judge(claim: Claim, estimate: Interval, p_family: float | None = None) -> str:
    """Return the verdict on a claim.

    Args:
        claim: What was declared.
        estimate: What was measured.
        p_family: Adjusted p value of a contrast in its family; None for a prediction, which has none.
    """
    if estimate.n_seeds < 2 or not math.isfinite(estimate.ci_low) or not math.isfinite(estimate.ci_high):
        return OPEN
    few = estimate.n_seeds < DECISIVE_SEEDS
    if estimate.ci_high < claim.low or estimate.ci_low > claim.high:
        return INCONSISTENT if few else REFUTED
    if not (claim.low <= estimate.ci_low and estimate.ci_high <= claim.high):
        return OPEN
    if few:
        return CONSISTENT
    if p_family is None:
        return HOLDS
    return CONFIRMED if p_family < SIGNIFICANCE else OPEN
