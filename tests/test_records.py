"""Measured records: their licenses, the law on them, limits without an equation, intervals by blocks, verdicts."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tdlib.data.sources.door import import_log
from tdlib.data.sources.recording import Reading
from tdlib.limits import fixed_step_ratio
from tdlib.study import record_errors as errors_of
from tdlib.study.inference import crossed_interval
from tdlib.study.judging import judge_predictions
from tdlib.study.phases.records import _statistics
from tdlib.study.predictions import load_predictions
from tdlib.study.record_errors import (
    BLOCKS,
    LINES,
    least_squares,
    measure_record,
    networks,
    pairs_of,
    predictions_of,
    simulated,
)
from tdlib.study.records import FOLDER, LIST, Log, Record, Stretch, load_records, read_stretch
from tdlib.training import Budget

NAMES = {each.name: each for each in load_records()}
KNOWN = {name: each for name, each in load_predictions().items() if name.startswith("hardware")}


def measured(record):
    train, test = read_stretch(record, record.train), read_stretch(record, record.test)
    return measure_record(record, train, test, {LINES: [least_squares(record, train)]})


@pytest.fixture(scope="module")
def tables():
    """Least squares on each record, which takes a second or two."""
    return pd.concat([measured(record) for record in load_records()], ignore_index=True)


def whole(table, **keys):
    keys = {"metric": errors_of.ERROR, "over": errors_of.OVER_BLOCKS} | keys
    rows = table.loc[np.logical_and.reduce([table[name] == value for name, value in keys.items()])]
    assert len(rows) == BLOCKS
    return rows["whole"].iloc[0]


def log_of(states, interval=0.1, inputs=None):
    inputs = np.zeros((len(states) - 1, 1)) if inputs is None else inputs
    return Log(np.asarray(states, dtype=float), inputs, interval, (0,), None, None, None)


def test_each_file_has_its_source_and_license_beside_it():
    files = [path.name for path in FOLDER.glob("*.csv")]
    notice, licenses = ((FOLDER / name).read_text(encoding="utf-8") for name in ("NOTICE", "LICENSES.txt"))
    assert len(files) > 10 and sum(path.stat().st_size for path in FOLDER.iterdir()) < 1_050_000
    for name in files:
        assert name in notice and name in licenses, name
    used = {stretch.file for record in load_records() for stretch in (record.train, record.test)}
    assert used <= set(files)


def test_a_model_of_run_b_errs_on_run_a_as_was_reported(tables):
    main = {"env": "double pendulum b to a", "model": LINES, "detail": "all"}
    for rate, expected in (("25", 0.506), ("16.7", 0.662), ("12.5", 0.745), ("10", 0.796), ("250", 3.2)):
        assert whole(tables, method="baseline", test_frequency=rate, **main) == pytest.approx(expected, rel=0.005)
    assert whole(tables, method="rescaled", test_frequency="25", **main) == pytest.approx(0.182, abs=0.001)
    limits = {"metric": errors_of.LIMIT, "env": main["env"], "detail": "all"}
    assert whole(tables, test_frequency="250", **limits) == pytest.approx(3.22, abs=0.01)  # far below 4: noise


def test_the_formula_and_the_records_limits_agree_where_little_turns_and_little_is_noise(tables):
    for rate in ("25", "12.5", "10"):
        formula = whole(tables, metric=errors_of.FORMULA, env="free swing", test_frequency=rate)
        limit = whole(tables, metric=errors_of.LIMIT, env="free swing", test_frequency=rate, detail="all")
        assert formula == pytest.approx(fixed_step_ratio(0.02, 1 / float(rate))) and limit == pytest.approx(
            formula, rel=0.02
        )


def test_least_squares_is_declared_refuted_where_a_result_is_planted(tables):
    """The same rows judge as they did, and with errors a third larger the law is refuted."""
    verdicts = judge_predictions(tables, KNOWN).set_index(["prediction", "env", "what"])["verdict"]
    law = verdicts.loc["hardware-same-law"]
    assert set(law) == {"holds"} and len(law) == 8
    wrong = tables.copy()
    planted = (wrong["metric"] == errors_of.ERROR) & (wrong["method"] == "baseline")
    wrong.loc[planted, "value"] *= 1.3
    assert set(judge_predictions(wrong, {"": KNOWN["hardware-same-law"]})["verdict"]) == {"refuted"}


def test_the_limit_of_even_motion_is_the_formula():
    line = Record("line", "", Stretch(""), Stretch(""), rates=(1, 2, 3, 8), own=2)
    log = log_of(np.stack([np.arange(60) * 0.5, 3 - np.arange(60) * 0.1], axis=1))
    table = measure_record(line, log, log, {"exact": [lambda state, action: np.broadcast_to([1.0, -0.2], state.shape)]})
    for n, rate in ((1, "10"), (3, "3.33"), (8, "1.25")):
        found = {"test_frequency": rate, "detail": "all"}
        formula = abs(1 - 2 / n)
        assert whole(table, metric=errors_of.FORMULA, test_frequency=rate) == pytest.approx(formula)
        assert whole(table, metric=errors_of.LIMIT, **found) == pytest.approx(formula)
        assert whole(table, metric=errors_of.ERROR, model="exact", method="baseline", **found) == pytest.approx(formula)
        assert whole(table, model="exact", method="rescaled", **found) == pytest.approx(0, abs=1e-12)
    assert whole(table, model="exact", method="recurrent_rollout", test_frequency="1.25", detail="all") < 1e-12
    assert set(table.loc[table["detail"] == "positions", "n"]) and np.isfinite(table["whole"]).all()


def test_composing_follows_the_inputs_within_the_long_step():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(40, 1))
    states = np.concatenate([[[0.0]], np.cumsum(inputs, axis=0)]) ** 1.0
    log = log_of(states, inputs=inputs)
    found = predictions_of(lambda state, action: action + 0 * state, log, 4, 1)
    assert np.allclose(found["recurrent_rollout"], pairs_of(log, 4).change)
    assert np.allclose(found["rescaled"], 4 * found["baseline"])
    assert np.allclose(pairs_of(log, 4, 2).inputs[1], pairs_of(log, 4).inputs[0] * 2 - pairs_of(log, 4, 2).inputs[0])
    with pytest.raises(ValueError, match="multiple of 3 below 41, got 4"):
        pairs_of(log, 4, 3)
    assert np.allclose(simulated(lambda state, action: action, log), states)


def test_an_interval_is_the_jackknifes_over_blocks():
    """Errors that differ between blocks get a width, equal ones none, and the mean is the number of all rows."""
    rng = np.random.default_rng(1)
    change = rng.normal(size=(800, 2))
    even = pd.DataFrame(errors_of._blocks([0.3 * change], change))
    assert np.allclose(even["value"], 0.3) and np.allclose(even["whole"], 0.3)
    growing = 0.3 * change * np.linspace(0.5, 1.5, 800)[:, None]
    found = pd.DataFrame(errors_of._blocks([growing], change))
    logs = np.log(found["value"])
    assert np.exp(logs.mean()) == pytest.approx(found["whole"].iloc[0], rel=0.02) and logs.std() > 0.1
    every = [np.arange(800)] + [np.delete(np.arange(800), rows) for rows in np.array_split(np.arange(800), BLOCKS)]
    with np.errstate(all="raise"):  # the root mean square over both dimensions, each over its own change
        scores = [np.sqrt(np.mean((growing[r] ** 2).sum(0) / (change[r] ** 2).sum(0))) for r in every]
    by_hand = BLOCKS * np.log(scores[0]) - (BLOCKS - 1) * np.log(scores[1:])
    assert logs.to_numpy() == pytest.approx(by_hand, abs=1e-9) and found["whole"].iloc[0] == pytest.approx(scores[0])
    keys = {
        name: ""
        for name in (
            "metric",
            "env",
            "model",
            "method",
            "form",
            "size",
            "data",
            "train_frequency",
            "test_frequency",
            "detail",
        )
    }
    row = _statistics(found.assign(**keys)).iloc[0]
    assert row["ci_low"] < row["mean"] < row["ci_high"] and row["n"] == 800 and row["n_seeds"] == BLOCKS


def verdict_of(check, factors):
    """Judge a check on run c with networks that leave these shares of every change."""
    record = replace(NAMES["double pendulum a to c"], rates=(1,))
    test = read_stretch(record, record.test)

    def like(factor):
        return lambda state, action: (1 - factor) * pairs_of(test, 1).change

    table = measure_record(record, test, test, {"jump": [like(factor) for factor in factors]})
    return judge_predictions(table, {"": replace(KNOWN["hardware-excitation"], checks=(check,))}).iloc[0], table


@pytest.mark.parametrize(
    ("factors", "verdict"),
    [
        ((0.5, 0.51, 0.49, 0.5, 0.5), "refuted"),
        ((0.5, 0.51, 0.49), "inconsistent"),  # eight blocks do not make up for three networks
        ((0.618, 0.630, 0.597, 0.635, 0.770), "open"),  # one network is what the others are not
        ((0.9, 0.92, 0.91, 0.9, 0.93), "holds"),
        ((0.9, 0.92), "consistent"),
        ((0.5,), "open"),
    ],
)
def test_networks_are_judged_by_how_they_differ_too(factors, verdict):
    """The blocks agree to the last digit here, so that all width is the networks' own."""
    check = next(
        each
        for each in KNOWN["hardware-excitation"].checks
        if each.env == "double pendulum a to c" and each.left["model"] == "jump"
    )
    row, table = verdict_of(check, factors)
    assert row["verdict"] == verdict and row["n_seeds"] == len(factors)
    if len(factors) > 1:
        logs, t = np.log(factors), stats.t.ppf(0.975, len(factors) - 1)
        half = t * logs.std(ddof=1) / np.sqrt(len(factors))
        assert row["ci_low"] == pytest.approx(np.mean(factors) * np.exp(-half), rel=1e-6)
        said = _statistics(table).query("model == 'jump' and detail == 'all'").iloc[0]
        assert said["ci_high"] == pytest.approx(row["ci_high"]) and said["n_seeds"] == len(factors)


def test_both_variances_count_and_degrees_of_freedom_are_satterthwaites():
    blocks, trained = np.array([1.0, 2, 3, 4, 5, 6, 7, 8]), np.array([4.0, 5, 3, 4, 6])
    found = crossed_interval(blocks, trained)
    a, b = blocks.var(ddof=1) / 8, trained.var(ddof=1) / 5
    half = stats.t.ppf(0.975, (a + b) ** 2 / (a**2 / 7 + b**2 / 4)) * np.sqrt(a + b)
    assert (found.ci_low, found.ci_high) == pytest.approx((4.5 - half, 4.5 + half))
    assert (found.mean, found.n_seeds) == (4.5, 5)


def test_errors_stand_over_the_records_limit(tables):
    """Which is where the law ends: models that err much at their own rate, and changes that are mostly noise."""
    at = {"model": LINES, "detail": "all"}
    for env, rate, expected in (
        ("UR10 arm", "31.2", 1.40),
        ("Panda arm", "15", 1.27),
        ("Crazyflie", "25.2", 1.11),
        ("double pendulum a halves", "250", 0.83),
        ("double pendulum b to a", "25", 0.98),
    ):
        found = whole(tables, metric=errors_of.OVER_LIMIT, env=env, test_frequency=rate, **at)
        assert found == pytest.approx(expected, abs=0.006), env
        error = whole(tables, metric=errors_of.ERROR, method="baseline", env=env, test_frequency=rate, **at)
        limit = whole(tables, metric=errors_of.LIMIT, env=env, test_frequency=rate, detail="all")
        assert found == pytest.approx(error / limit)
    networks_of = tables[tables["metric"] == errors_of.OVER_LIMIT]
    assert np.isfinite(networks_of["value"]).all() and len(networks_of)


def test_networks_learn_a_record_and_obey_its_limit():
    record = NAMES["free swing"]
    train, test = read_stretch(record, record.train), read_stretch(record, record.test)
    (network,) = networks(record, train, [0], Budget(120, 3e-3, batch_size=64))
    table = measure_record(record, train, test, {"network": [network]})
    own = whole(table, model="network", test_frequency="50", detail="all")
    off = whole(table, model="network", method="baseline", test_frequency="12.5", detail="all")
    over = table[(table["metric"] == errors_of.OVER_LIMIT) & (table["over"] == "networks")]
    assert set(over["detail"]) == {"all", "positions"} and over["value"].between(0.9, 1.3).all()
    assert own < 0.4 and off == pytest.approx(
        whole(table, metric=errors_of.LIMIT, test_frequency="12.5", detail="all"), rel=0.1
    )


def test_a_list_with_an_unknown_key_or_a_record_in_pieces_is_refused(tmp_path):
    text = (FOLDER / LIST).read_text(encoding="utf-8")
    (tmp_path / LIST).write_text(text.replace("  own: 10\n", "  ownn: 10\n", 1), encoding="utf-8")
    with pytest.raises(TypeError, match="ownn"):
        load_records(tmp_path)
    rows = ["t,q_rad,u", *(f"{0.1 * k + (5 if k > 20 else 0):.1f},{k},0" for k in range(40))]
    (tmp_path / "gap.csv").write_text("\n".join(rows), encoding="utf-8")
    gap = Record(
        "gap",
        "",
        Stretch("gap.csv"),
        Stretch("gap.csv"),
        (1,),
        1,
        columns={"timestamp": "t", "state": ["q_rad"], "ctrl": ["u"]},
    )
    with pytest.raises(ValueError, match="without a pause"):
        read_stretch(gap, gap.train, tmp_path)
    assert import_log(tmp_path / "gap.csv", Reading(columns=gap.columns, stamps="repair")).num_episodes == 2
