"""The numbers that a verdict is read from."""

from collections.abc import Mapping
from dataclasses import dataclass

from tdlib.data.sources.stamps import StampReport


@dataclass(frozen=True)
class Findings:
    """Numbers of one model on one log. Errors are relative to the recorded change: 0 is exact, 1 predicts no change.

    Args:
        rows: Rows that were asked about.
        stamps: What the log's clock says.
        label: Rate that somebody says it has [Hz]; nan if nobody did.
        delta_t: Median interval [s]; the mean where rows come in bursts.
        spread: Standard deviation of the intervals over their median.
        train_delta_t: h, the step that the model was trained at [s]; nan if unknown.
        moving: Dimensions that change.
        clean: Those among them whose noise is less than half of their change.
        noise: Noise of one change over the change, by dimension; nan where nothing changes.
        error: Of the model as it is asked.
        floor: What noise makes of an error, at most: inputs that step with every row look like noise too.
        correlation: Of predicted and recorded changes.
        scale: Factor on the predicted changes that fits best.
        tried: Name -> error when the model is asked differently, or its answer scaled.
        sure: Name -> how many standard errors of the rows lie between `error` and what was tried; above 0 it is better.
        shift: Rows by which older inputs fit best, of `SHIFTS`; what was tried as "shifted".
        response: How much the increment grows from half a step to two, over the increment; 1.5 if it is proportional.
        defect: Difference of one step and two halves, over the recorded change; nan for models that remember.
        pace: Bounds of the change of positions over what their velocities make of the intervals; 1 where clock and
            units agree, nan without pairs.
        jumps: Share of rows in which a position that is no angle leaps from one end of a turn to the other, by name.
        refused: What was tried and the model refused -> its reason.
        even: Whether rows that come in bursts were measured evenly: states follow their numbers, not their stamps.
    """

    rows: int
    stamps: StampReport
    label: float
    delta_t: float
    spread: float
    train_delta_t: float
    moving: tuple[str, ...]
    clean: tuple[str, ...]
    noise: Mapping[str, float]
    error: float
    floor: float
    correlation: float
    scale: float
    tried: Mapping[str, float]
    sure: Mapping[str, float]
    shift: float
    response: float
    defect: float
    pace: tuple[float, float]
    jumps: Mapping[str, float]
    refused: Mapping[str, str]
    even: bool
