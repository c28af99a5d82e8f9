"""How far predicted pictures are from true ones, at the interval of training and at others, beside what needs no model.

Models of pictures are asked as they are. Models of states see the true start and are drawn: the upper line, of what
there is to gain by better eyes. The mean image of training and the last frame seen stand beside every one of them.
"""

from collections.abc import Iterator, Mapping
from typing import cast

import pandas as pd

from tdlib.evaluation.measures.measure import Measure, Skipped, Subject
from tdlib.evaluation.measures.take import Question
from tdlib.evaluation.tables import Member, frequency_value, order_columns
from tdlib.evaluation.visual.films import Films
from tdlib.evaluation.visual.generalization import (
    scores_over_time,
    visual_dt_generalization_test,
)
from tdlib.evaluation.visual.rollouts import visual_open_loop_rollout
from tdlib.evaluation.visual.scores import MODEL, baselines
from tdlib.models.visual import VisualWorldModel
from tdlib.speed import Query

OVER_TIME, OVER_RATES = "visual_metrics", "visual_dt_generalization"


def ask(
    subject: Subject, *, films: Mapping[int, Films] | None = None
) -> Iterator[Question[Mapping[str, pd.DataFrame]] | Skipped]:
    """Put one question per model of pictures, or one per test of models of states.

    Args:
        subject: One model of pictures, or models of states.
        films: Seed -> what is asked, with tests at the interval of training.

    Yields:
        Rows of key columns, of `visual_dt_generalization` what `visual_dt_generalization_test` says; of
        `visual_metrics` the scores of the model and the baselines at its own interval: prediction, time [s] (none for
        all of it together), mse, mae, psnr [dB], ssim, ball_error [pixels], ball_lost, valid_time [s], n sequences.
    """
    if films is None:
        yield Skipped("", "needs films: what a camera saw")
    elif "image" in subject.predicts:
        yield _of_pictures(subject, films)
    elif "state" not in subject.predicts:
        yield Skipped("", "needs a model that predicts the image, or the state that one is drawn of")
    else:
        for place, _ in enumerate(subject.members):
            yield from (_of_states(subject, films, place, key) for key in _first(films).sequences)


PICTURES = Measure("pictures", (OVER_TIME, OVER_RATES), frozenset({"system"}), ask)


def _of_pictures(subject: Subject, films: Mapping[int, Films]) -> Question[Mapping[str, pd.DataFrame]]:
    yield []
    model, member = cast(VisualWorldModel, subject.model), subject.members[0]
    own, device = films[member["seed"]], subject.device
    table = visual_dt_generalization_test(model, own.sequences, own.mean_image, device=device)
    key = _own_interval(own, float(model.train_delta_t))
    if key is None:
        return {OVER_RATES: _keyed(table, member)}
    asked = own.sequences[key]
    predicted = {MODEL: visual_open_loop_rollout(model, asked, device=device).images}
    times = scores_over_time(*key, asked, predicted | baselines(asked, own.mean_image))
    return {OVER_RATES: _keyed(table, member), OVER_TIME: _keyed(_without_test(times), member)}


def _of_states(
    subject: Subject, films: Mapping[int, Films], place: int, key: tuple[str, str]
) -> Question[Mapping[str, pd.DataFrame]]:
    member = subject.members[place]
    own = films[member["seed"]]
    asked = own.sequences[key]
    (answer,) = yield [Query(*(x.unsqueeze(0) for x in (own.starts, asked.inputs, asked.steps)))]
    states = answer[min(place, len(answer) - 1)]  # all models of a stack were asked about this member's motions
    predicted = {MODEL: own.drawn(states).to(asked.images)} | baselines(asked, own.mean_image)
    table = scores_over_time(*key, asked, predicted)
    found = {OVER_RATES: _keyed(table[table["time"].isna()].drop(columns="time"), member)}
    if key == _own_interval(
        own, 1 / frequency_value(member["train_frequency"])
    ):  # nan for several rates, which none is
        found[OVER_TIME] = _keyed(_without_test(table), member)
    return found


def _first(films: Mapping[int, Films]) -> Films:
    return next(iter(films.values()))


def _own_interval(films: Films, train_delta_t: float) -> tuple[str, str] | None:
    """Return the first test at the interval of training, or None."""
    for key, asked in films.sequences.items():
        if abs(float(asked.steps.mean()) - train_delta_t) < 1e-4 * train_delta_t:
            return key
    return None


def _without_test(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns=["protocol", "delta_t", "horizon"])


def _keyed(table: pd.DataFrame, member: Member) -> pd.DataFrame:
    return order_columns(table.assign(**member))
