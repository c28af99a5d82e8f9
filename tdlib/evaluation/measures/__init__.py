"""Measures of prediction, one file each; `MEASURES` is what every evaluation walks through."""

from tdlib.evaluation.measures.calibration import CALIBRATION
from tdlib.evaluation.measures.consistency import CONSISTENCY
from tdlib.evaluation.measures.convergence import CONVERGENCE
from tdlib.evaluation.measures.energy import ENERGY
from tdlib.evaluation.measures.generalization import DT_GENERALIZATION
from tdlib.evaluation.measures.imagined import IMAGINED
from tdlib.evaluation.measures.known_rows import KNOWN_ROWS
from tdlib.evaluation.measures.measure import NEEDS, SKIPPED, Measure, Skipped, Subject
from tdlib.evaluation.measures.one_step import ONE_STEP
from tdlib.evaluation.measures.points import POINTS
from tdlib.evaluation.measures.rollout import ROLLOUT
from tdlib.evaluation.measures.velocity_field import FIELDS
from tdlib.evaluation.measures.visual import PICTURES

MEASURES: dict[str, Measure] = {
    "rollout": ROLLOUT,
    "one_step": ONE_STEP,
    "consistency": CONSISTENCY,
    "points": POINTS,
    "convergence": CONVERGENCE,
    "calibration": CALIBRATION,
    "field": FIELDS,
    "energy": ENERGY,
    "dt_generalization": DT_GENERALIZATION,
    "known_rows": KNOWN_ROWS,
    "imagined": IMAGINED,
    "pictures": PICTURES,
}


def register_measure(measure: Measure) -> Measure:
    """Make a measure of your own part of every evaluation, and return it; the same function may come again, changed.

    Raises:
        ValueError: If its name or one of its tables is taken by another measure.
    """
    others = [other for other in MEASURES.values() if (other.name, _place(other)) != (measure.name, _place(measure))]
    if measure.name in {other.name for other in others}:
        raise ValueError(f"name must not be one of {list(MEASURES)}, got {measure.name!r}")
    taken = {SKIPPED, *(table for other in others for table in other.tables)}
    if taken & set(measure.tables):
        raise ValueError(f"tables must not be among {sorted(taken)}, got {measure.tables}")
    MEASURES[measure.name] = measure
    return measure


def _place(measure: Measure) -> tuple[str, str]:
    """Where the measure's function was written; a notebook's cell that is run again writes it at the same place."""
    return measure.ask.__module__, measure.ask.__qualname__


def result_tables() -> tuple[str, ...]:
    """Names of the tables of all measures, and last of what was skipped."""
    return (*(table for measure in MEASURES.values() for table in measure.tables), SKIPPED)


__all__ = ["MEASURES", "NEEDS", "SKIPPED", "Measure", "Skipped", "Subject", "register_measure", "result_tables"]
