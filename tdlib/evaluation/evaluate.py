"""All measures of prediction for one stack of models in one call."""

from collections.abc import Mapping, Sequence

import pandas as pd
import torch

from tdlib.evaluation.measures import MEASURES, SKIPPED, Skipped, Subject
from tdlib.evaluation.measures.take import take
from tdlib.evaluation.sets.gather import members_of
from tdlib.evaluation.sets.test_sets import TestSet
from tdlib.evaluation.tables import Member, arm_of, tidy
from tdlib.speed import Model
from tdlib.systems import System


def evaluate_stack(
    stack: Model,
    arms_and_seeds: Sequence[tuple[object, int]] | None,
    test_sets: Mapping[int, TestSet] | TestSet,
    system: System | None = None,
    *,
    measures: Sequence[str] | None = None,
    options: Mapping[str, Mapping[str, object]] | None = None,
    device: torch.device | str = "cpu",
) -> dict[str, pd.DataFrame]:
    """Take every measure of K models of one structure on their own seeds' test sets.

    Args:
        stack: `Stack` of K models, or a wrapper of one (`Persistence`, `RescaledIncrement`, `RecurrentRollout`).
        arms_and_seeds: K pairs of an arm (with the fields model, method, form, size, data, train_frequency) and a seed;
            None for nameless models.
        test_sets: One test set per seed, or one for all.
        system: Exact flow; None for a log.
        measures: Keys of `MEASURES` to take; None for all.
        options: Options of single measures by their name, for example `{"points": {"num_points": 100}}`.
        device: Where the models are.

    Returns:
        Tables by name. What a measure could not be taken of stands in the table `skipped`: key columns, measure,
        reason.

    Raises:
        ValueError: If a measure does not exist; the message lists those that do.
    """
    options = options or {}
    _check_names("measures", measures or ())
    _check_names("options", options)
    if isinstance(test_sets, TestSet):
        test_sets = {test_sets.seed: test_sets}
    env = next(iter(test_sets.values())).env
    members = None if arms_and_seeds is None else [arm_of(arm, seed, env) for arm, seed in arms_and_seeds]
    subject = Subject(stack, members_of(stack, test_sets, env, members), test_sets, system, device)
    questions, owners, skipped = [], [], []
    for name in measures or MEASURES:
        measure = MEASURES[name]
        reason = measure.missing(subject)
        asked = [Skipped("", reason)] if reason else measure.ask(subject, **options.get(name, {}))
        for question in asked:
            if isinstance(question, Skipped):
                skipped.append(_skipped_rows(subject.members, name, question))
            else:
                questions.append(question)
                owners.append(measure)
    results = take(stack, questions, len(subject.members), device=device)
    parts = [
        found if isinstance(found, Mapping) else {measure.tables[0]: found}
        for measure, found in zip(owners, results, strict=True)
    ]
    return merge_tables([*parts, *({SKIPPED: rows} for rows in skipped)])


def merge_tables(parts: Sequence[Mapping[str, pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """Join the tables of several stacks by name."""
    names = dict.fromkeys(name for part in parts for name in part)
    frames = {name: [part[name] for part in parts if name in part and len(part[name])] for name in names}
    return {name: pd.concat(tables, ignore_index=True) for name, tables in frames.items() if tables}


def _skipped_rows(members: Sequence[Member], name: str, skipped: Skipped) -> pd.DataFrame:
    table = tidy(members, {"test_frequency": [""]}, {})
    what = f"{name}: {skipped.part}" if skipped.part else name
    return table.assign(measure=what, reason=skipped.reason)


def _check_names(argument: str, names: Sequence[str] | Mapping) -> None:
    unknown = [name for name in names if name not in MEASURES]
    if unknown:
        raise ValueError(f"{argument} must be among {list(MEASURES)}, got {unknown}")
