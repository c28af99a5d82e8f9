"""Why predicted pictures err no less than a copy of the last frame: what the detectors say of each such test."""

from collections.abc import Mapping

import pandas as pd

from tdlib.evaluation.visual.generalization import RECONSTRUCTION, TEACHER_FORCED
from tdlib.evaluation.visual.scores import COPY_LAST, MEAN_IMAGE, MODEL

LITTLE_MOTION = 0.5  # of the mean image's error: below it a copy is hard to beat
LITTLE_SAID = 1.0  # [nats]
LITTLE_WAY = 0.3  # of the spread of starts
KEYS = ("env", "model", "method", "form")
DETECTORS = ("latent_nats", "q_motion")
CAUSES = {  # in the order they are looked for -> words
    "diverged": "predictor: what it predicts is no number",
    "horizon": "horizon: hardly anything moves in it",
    "collapsed": "encoder: the latent says next to nothing",
    "decoder": "decoder: frames come back no better with nothing predicted",
    "still": "predictor: positions of the latent stand nearly still",
    "step": "predictor: single steps err as much",
    "steps": "predictor: errors add up over steps",
    "interval": "predictor: the interval is another than its own",
    "window": "encoder: its frames are not as far apart as in training",
}


def unbeaten(table: pd.DataFrame) -> pd.DataFrame:
    """Return where models of pictures err as much as a copy of the last frame, or more, and by what.

    A model that beats a copy at its own interval has learned: in test A of another interval the predictor is the cause,
    and in test B the encoder's window where A is passed. Otherwise detectors are asked in the order of `CAUSES`.

    Args:
        table: Rows of `visual_dt_generalization`; of models of states there is nothing to say.

    Returns:
        One row per system, arm, protocol and rate: the columns of `KEYS`, protocol, test_frequency, ratio (MSE over
        that of a copy, means over seeds) and cause, a key of `CAUSES`.
    """
    # models of pictures alone were asked to encode and decode
    seen = table.loc[table["prediction"] == RECONSTRUCTION, "model"].unique()
    table = table[table["model"].isin(seen)]
    by_test = ["protocol", "test_frequency"]
    rows = []
    for key, own in table.groupby(list(KEYS), sort=False):
        errors = own.groupby([*by_test, "prediction"], sort=False)["mse"].mean().unstack("prediction")
        names = [name for name in DETECTORS if name in own]
        said = own[own["prediction"] == MODEL].groupby(by_test)[names].mean()
        ratio = errors[MODEL] / errors[COPY_LAST]
        rate = own["train_frequency"].iloc[0]
        learned = ("A", rate) in ratio.index and ratio["A", rate] < 1
        for test in ratio.index[~(ratio < 1)]:
            if learned:
                passed = ratio.get(("A", test[1]), float("nan")) < 1
                cause = "window" if test[0] == "B" and passed else "interval"
            else:
                cause = cause_of(errors.loc[test], said.loc[test])
            rows.append([*key, *test, float(ratio[test]), cause])
    return pd.DataFrame(rows, columns=[*KEYS, *by_test, "ratio", "cause"])


def cause_of(errors: Mapping[str, float], said: Mapping[str, float]) -> str:
    """Return the first cause that detectors of one test name, a key of `CAUSES`.

    Args:
        errors: MSE by what is predicted; what was not asked is missing or nan.
        said: Detectors of the open loop by name.
    """
    unknown = float("nan")
    copied = errors[COPY_LAST]
    checks = {
        "diverged": not errors[MODEL] < float("inf"),
        "horizon": copied < LITTLE_MOTION * errors[MEAN_IMAGE],
        "collapsed": said.get("latent_nats", unknown) < LITTLE_SAID,
        "decoder": errors.get(RECONSTRUCTION, unknown) >= copied,
        "still": said.get("q_motion", unknown) < LITTLE_WAY,
        "step": errors.get(TEACHER_FORCED, unknown) >= copied,
    }
    return next((cause for cause, holds in checks.items() if holds), "steps")
