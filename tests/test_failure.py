"""The analyses of shift, excess, failure and alarm find what is planted, and refuse what is not there."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import torch

from tdlib import evaluation, figures
from tdlib.core.facts import FAILURES, FALSE_ALARMS
from tdlib.core.time_grid import delta_t_of
from tdlib.data import collect_random
from tdlib.evaluation.measures import calibration
from tdlib.evaluation.tables import ARM_COLUMNS
from tdlib.figures.selection import key_arms
from tdlib.study import excess_form, failure, shift
from tdlib.study.alarm import alarm_shares
from tdlib.study.analyses import analyze
from tdlib.study.deployed import COLUMNS, KINDS, deployed
from tdlib.study.judging import judge_predictions
from tdlib.study.limits import fixed_step_limit
from tdlib.study.measurements import measure
from tdlib.study.phases import limit_tables
from tdlib.study.predictions import load_predictions
from tdlib.study.presets import load_preset
from tdlib.study.shift import shift_ratios
from tdlib.systems import SYSTEMS

ENVS = ("Pendulum-v1", "CartPole-v1", "CartPoleContinuous-v1")
RATES = ("5", "10", "16", "20", "25", "33.3", "50", "100", "200")
ARM = {"size": "hidden64", "data": "transitions"}
RAW, MIXED = key_arms()[0], key_arms()[3]
KEYS = ("model", "method", "form", "train_frequency")


def noise(count, size=0.01, salt=0):
    return np.exp(size * np.random.default_rng(salt).standard_normal(count))


# rows


def one_step(arms, error, envs=ENVS, seeds=6, test_sets=("pooled",), rates=RATES):
    """Table of one-step errors, `error(env, arm, rate, seed, test_set)`."""
    rows = [
        {"env": env, **dict(zip(KEYS, arm, strict=True)), **ARM, "test_frequency": rate, "seed": seed, "test_set": name,
         "dimension": "all", "mse": 1.0, "relative_error": error(env, arm, rate, seed, name), "n": 64}
        for env in envs for arm in arms for rate in rates for seed in range(seeds) for name in test_sets
    ]  # fmt: skip
    return pd.DataFrame(rows)


def limits(names, value, envs=ENVS, seeds=6):
    """Table of limits, `value(env, limit, h, Δ)`."""
    rows = [
        {"env": env, "limit": name, "train_frequency": train, "test_frequency": rate, "detail": "", "seed": seed,
         "n": 64, "relative_error": value(env, name, delta_t_of(float(train)), delta_t_of(float(rate)))}
        for env in envs for name in names for train in ("10", "20", "50") for rate in RATES for seed in range(seeds)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def mismatch(env, name, h, step):
    return abs(1 - h / step)


def test_rows_hold_what_was_known_before_deployment():
    arms = [
        ("jump", "baseline", "none", "20"),
        MIXED,
        ("newtonian", "ode", "rk4", "50"),
        ("jump", "other", "none", "20"),
    ]
    errors = one_step(arms, lambda env, arm, rate, seed, name: float(rate), seeds=2)
    extra = errors.assign(test_frequency="irregular"), errors.assign(data="pooled"), errors.assign(test_set="ppo")
    mixed = limits(["interpolation scaled_concat"], lambda *_: 0.25, seeds=2)
    known = pd.concat(
        [limits(["fixed_step"], mismatch, seeds=2), mixed.assign(train_frequency="mixed")]
    ).drop_duplicates()
    defects = errors[errors["test_frequency"] == "10"].assign(coarse_frequency="10", fine_frequency="20", defect=2.0)
    defects = pd.concat([defects, defects.assign(fine_frequency="50", defect=5.0)])
    rows = deployed({"one_step_errors": pd.concat([errors, *extra]), "limits": known, "consistency_errors": defects})
    assert list(rows) == COLUMNS and len(rows) == len(ENVS) * 2 * (8 + 6 + 8)  # its own rates are left out
    raw = rows[rows["kind"] == "raw map"].set_index("test_frequency")
    assert (raw["own_error"] == 20).all() and raw.loc["50", "step_ratio"].iloc[0] == pytest.approx(0.4)
    assert raw.loc["50", "limit"].iloc[0] == pytest.approx(1.5) and raw.loc["33.3", "limit"].iloc[0] == pytest.approx(
        2 / 3
    )
    assert (raw.loc["10", "defect"] == 5.0).all() and raw.loc["5", "defect"].isna().all() and raw["spread"].isna().all()
    several = rows[rows["kind"] == "multi-resolution"].set_index("test_frequency")
    assert several["own_error"].groupby(level=0).first().to_dict() == {
        "5": 10.0, "16": 20.0, "25": 20.0, "33.3": 50.0, "100": 50.0, "200": 50.0
    }  # fmt: skip
    assert (several["limit"] == 0.25).all() and (rows.loc[rows["kind"] == "field by RK4", "limit"] == 0).all()
    assert deployed({"one_step_errors": errors}).empty


# shift


def shifted(ratio_of, seeds=6, test_sets=("pooled", "shift"), spread=0.02):
    """Measurements in which the errors of an arm on shifted states are `ratio_of(arm)` times those on pooled ones."""

    def error(env, arm, rate, seed, name):
        scale = ratio_of(arm) if name == "shift" else 1.0
        return 0.1 * scale * noise(1, spread, salt=[seed, len(name), len(arm[1]), int(float(rate))])[0]

    tables = {"one_step_errors": one_step(key_arms(), error, ENVS[:2], seeds, test_sets, shift.RATES)}
    both = [
        limits(["fixed_step"], mismatch, ENVS[:2], seeds),
        limits(["shift fixed_step"], lambda *_: 3.0, ENVS[:2], seeds),
    ]
    return measure(tables | {"limits": pd.concat(both, ignore_index=True)})


@pytest.mark.parametrize(
    ("several", "seeds", "verdict"),
    [(1.0, 6, "holds"), (1.0, 3, "consistent"), (4.0, 6, "refuted"), (2.0, 6, "open"), (1.0, 1, "open")],
)
def test_more_robust_is_what_grows_less_than_the_raw_map(several, seeds, verdict):
    table = shift_ratios(shifted(lambda arm: several if arm == MIXED else 2.0, seeds))
    own = table[(table["test_frequency"] == "20")].set_index(["env", "method"])
    assert set(own.index.get_level_values("env")) == set(ENVS[:2])
    row = own.loc[(ENVS[0], "multi_resolution")]
    assert row["ratio"] == pytest.approx(several, rel=0.1) and row["against"] == pytest.approx(several / 2, rel=0.1)
    assert row["verdict"] == verdict and row["n_seeds"] == seeds
    assert f"that it is more robust: {verdict} at 20, 33.3 and 100 Hz" in figures.draw_shift(table).caption
    off = table[(table["test_frequency"] == "33.3") & (table["method"] == "baseline")].iloc[0]
    assert off["limit_pooled"] == pytest.approx(2 / 3) and off["limit_ratio"] == pytest.approx(4.5)
    assert off["verdict"] == "" and off["against"] == 1.0  # the raw map itself


def test_a_seed_that_diverged_and_a_table_without_shifted_states():
    measured = shifted(lambda arm: 2.0)
    lost = (measured["metric"] == "one_step.shift.relative_error") & (measured["method"] == MIXED[1])
    measured.loc[lost & (measured["seed"] == 3), "value"] = np.inf
    rows = shift_ratios(measured)
    row = rows[(rows["method"] == MIXED[1]) & (rows["test_frequency"] == "20")].iloc[0]
    assert np.isnan(row["ratio"]) and (row["bad"], row["verdict"], row["n_seeds"]) == (1, "open", 6)
    assert "values are not finite and have no ratio" in figures.draw_shift(rows).caption
    assert shift_ratios(shifted(lambda arm: 2.0, test_sets=("pooled",))).empty


def test_exact_limits_on_shifted_states_are_those_of_these_states(monkeypatch):
    system = SYSTEMS["Pendulum-v1"]
    sets = [collect_random(system.spec.name, rate, 0, 300) for rate in (10.0, 20.0, 50.0)]
    other = [collect_random(system.spec.name, rate, 1, 300) for rate in (10.0, 20.0, 50.0)]
    options = {"seed": 0, "rates": (20.0, 50.0), "num_pairs": 64, "num_starts": 2, "num_context_pairs": 0}
    with_shift = evaluation.build_test_set(system, sets, shift=other, **options)
    asked = {"train_frequencies": (10.0, 20.0), "test_frequencies": (20.0, 50.0)}
    run = SimpleNamespace(preset=load_preset("smoke").model_copy(update=asked))
    monkeypatch.setattr(limit_tables, "load_pairs", lambda *_: with_shift.pairs)
    table = limit_tables._curves(run, system.spec.name, [0])
    pairs = with_shift.pairs["shift"]
    place = pairs.rates.index("50")
    exact = fixed_step_limit(system, pairs.state[place], pairs.action[place], 0.05, 0.02)
    row = table[(table["limit"] == "shift fixed_step") & (table["train_frequency"] == "20")].set_index("test_frequency")
    assert row.loc["50", "relative_error"] == pytest.approx(exact) and row.loc["50", "n"] == pairs.state.shape[1]
    assert not any(name.startswith("shift defect") for name in table["limit"])
    without_shift = evaluation.build_test_set(system, sets, **options)
    monkeypatch.setattr(limit_tables, "load_pairs", lambda *_: without_shift.pairs)
    without = limit_tables._curves(run, system.spec.name, [0])
    pd.testing.assert_frame_equal(without, table[~table["limit"].str.startswith("shift")].reset_index(drop=True))


# the form of the excess


def rows_of(kind, error, seeds=12, own=(0.02, 0.06, 0.18)):
    """Rows as `deployed` has them, of one kind, with `error(s, own, limit, salt)`; systems differ in own error."""
    model = next(arm[0] for arm in key_arms() if arm[1:3] == (kind.method, kind.form))
    found = []
    for env, own_error in zip(ENVS, own, strict=True):
        for train in ("10", "20", "50"):
            for rate in RATES:
                s = delta_t_of(float(rate)) / delta_t_of(float(train))
                limit = 0.0 if kind.limit is None else 0.2 * abs(1 - 1 / s)
                for seed in range(seeds):
                    place = {"env": env, "model": model, "method": kind.method, "form": kind.form, **ARM}
                    salt = [seed, int(float(rate)), int(train), len(env)]
                    place |= {"train_frequency": train, "test_frequency": rate, "seed": seed, "kind": kind.label}
                    values = {"step_ratio": s, "error": error(s, own_error, limit, salt), "own_error": own_error}
                    found.append(place | values | {"limit": limit, "defect": np.nan, "spread": np.nan})
    table = pd.DataFrame(found)
    return table[table["step_ratio"] != 1].reset_index(drop=True)


PLANTS = {
    "own error": (KINDS[1], lambda s: 1.0),
    "repeated step": (KINDS[1], lambda s: 1 / s),
    "mismatch": (KINDS[4], lambda s: 1 + 0.8 * abs(1 - 1 / s)),
    "power": (KINDS[4], lambda s: s**-0.6),
    "two powers": (KINDS[4], lambda s: s**0.9 if s > 1 else s**-0.4),
    "quadratic": (KINDS[4], lambda s: 1 + 0.5 * (s - 1) + 0.3 * (s - 1) ** 2 / 2),
}


@pytest.mark.parametrize("planted", PLANTS)
def test_a_planted_form_is_chosen_on_systems_and_rates_held_out(planted):
    kind, factor = PLANTS[planted]
    rows = rows_of(kind, lambda s, own, limit, salt: np.hypot(limit, own * factor(s)) * noise(1, 0.03, salt)[0])
    scores = excess_form.form_scores(rows)
    table = excess_form.compare_forms(scores).set_index("form")
    assert table.index[table["chosen"]].tolist() == [planted]
    assert table.loc[planted, "verdict"] == "confirmed" and table.loc[planted, "log_error"] == pytest.approx(
        0.03, rel=0.2
    )
    assert f"{kind.label}: {planted}, 0.029 [" in figures.draw_excess_forms(table.reset_index()).caption
    few = excess_form.compare_forms(scores[scores["seed"] < 3]).set_index("form")
    assert few.loc[planted, "verdict"] == "consistent"
    one = excess_form.compare_forms(scores[scores["seed"] < 1])
    assert not one["chosen"].any() and set(one["verdict"]) == {"", "open"}


def test_no_form_is_chosen_where_none_beats_the_trivial_ones():
    raw, field = KINDS[0], KINDS[4]
    exact = rows_of(
        raw, lambda s, own, limit, salt: limit * noise(1, 0.03, salt)[0]
    )  # the fit adds nothing to its limit
    chance = rows_of(
        field, lambda s, own, limit, salt: 0.1 * noise(1, 0.5, salt)[0]
    )  # nor does the own error say a thing
    table = excess_form.compare_forms(excess_form.form_scores(pd.concat([exact, chance], ignore_index=True)))
    assert not table["chosen"].any() and set(table["verdict"]) <= {"", "open", "refuted"}
    assert dict(zip(table["kind"], table["trivial"], strict=True)) == {
        raw.label: "limit alone",
        field.label: "constant",
    }
    assert "limit alone" not in set(table.loc[table["kind"] == field.label, "form"])  # it has none
    caption = figures.draw_excess_forms(table).caption
    assert caption.count("no form is seen to beat the trivial one") == 2


def test_a_form_is_not_fitted_to_what_it_is_scored_on():
    rows = rows_of(KINDS[4], lambda s, own, limit, salt: own * s**0.5 * noise(1, 0.1, salt)[0], seeds=2)
    held = (rows["env"] == ENVS[0]) | (rows["test_frequency"] == "5")
    other = rows.assign(error=rows["error"].where(~held, 7.0))
    test = (rows["env"] == ENVS[0]) & (rows["test_frequency"] == "5")
    for name in (excess_form.CONSTANT, *excess_form.FORMS):
        before, after = (excess_form.predict_out_of_group(each, name)[test] for each in (rows, other))
        assert np.isfinite(before).all() and np.array_equal(before, after), name
    lost = rows.assign(error=rows["error"].where(rows["seed"] != 1, np.inf))
    scores = excess_form.form_scores(lost)
    assert set(scores["seed"]) == {0} and set(scores["bad"]) == {int((rows["seed"] == 1).sum())}
    assert excess_form.form_scores(rows[rows["env"] == ENVS[0]]).empty  # nothing to hold out


# failure


def failing(probability_of, seeds=8):
    """Rows of all kinds whose error exceeds both thresholds with a given probability of the expected error."""
    parts = []
    for i, kind in enumerate(KINDS):
        rows = rows_of(kind, lambda *_: 0.1, seeds, own=(0.05, 0.2, 0.5))
        expected = np.hypot(rows["limit"], rows["own_error"]).to_numpy()
        failed = np.random.default_rng(i).random(len(rows)) < probability_of(expected)
        parts.append(rows.assign(error=np.where(failed, 3.0, 0.1)))
    return pd.concat(parts, ignore_index=True)


def test_planted_failures_are_foreseen_with_honest_probabilities():
    rows = failing(lambda expected: 1 / (1 + (expected / 0.3) ** -3))
    predicted = failure.predict_failures(rows)
    table = failure.compare_predictors(predicted).set_index(["threshold", "predictor"])
    for threshold in FAILURES:
        main = table.loc[(threshold, failure.MAIN)]
        assert main["verdict"] == "holds" and main["ratio_high"] < 0.9 and main["auc_low"] > 0.7
        assert main["brier"] == table["brier"].loc[threshold].min()
    curve = failure.reliability(predicted)
    main = curve[(curve["predictor"] == failure.MAIN) & (curve["n"] > 100)]
    assert len(main) >= 8 and ((main["probability"] - main["observed"]).abs() < 0.1).all()
    scores = failure.failure_scores(predicted)
    assert set(scores["env"]) == set(ENVS) and set(scores["test_frequency"]) == {"0.5", "1"}
    assert f"exceeds 0.5 ({table.loc[(0.5, failure.MAIN), 'failures']:.0%} do) is best foreseen by" in (
        figures.draw_predictors(table.reset_index()).caption
    )


def test_failures_by_chance_are_not_foreseen():
    table = failure.compare_predictors(failure.predict_failures(failing(lambda expected: np.full(len(expected), 0.3))))
    others = table[table["predictor"] != failure.BASE_RATE]
    assert set(others["verdict"]) <= {"open", "refuted"} and (others["ratio"] > 0.97).all()
    assert others["auc"].between(0.3, 0.7).all()


def test_a_probability_does_not_see_its_own_group_and_what_diverged_failed():
    rows = failing(lambda expected: 1 / (1 + (expected / 0.3) ** -3), seeds=2)
    test = (rows["env"] == ENVS[0]) & (rows["test_frequency"] == "5")
    held = (rows["env"] == ENVS[0]) | (rows["test_frequency"] == "5")
    turned = failure.predict_failures(rows.assign(error=rows["error"].where(~held, np.nan)))
    before = failure.predict_failures(rows)
    own = (before["env"] == ENVS[0]) & (before["test_frequency"] == "5")
    assert own.sum() == test.sum() * len(FAILURES) * 4 and turned.loc[own, "failed"].all()
    assert np.array_equal(before.loc[own, "probability"], turned.loc[own, "probability"])


def test_the_defect_stands_beside_the_main_predictor_on_the_same_rows():
    rows = failing(lambda expected: 1 / (1 + (expected / 0.3) ** -3), seeds=3)
    some = rows["test_frequency"].isin(["5", "10", "25"])
    rows["defect"] = np.where(some, np.where(rows["error"] > 1, 2.0, 0.1), np.nan)  # it gives the failures away
    predicted = failure.predict_failures(rows)
    verdicts = judge_predictions(failure.failure_scores(predicted), {"": load_predictions()["failure-is-foreseen"]})
    assert len(verdicts) == len(ENVS) * len(FAILURES) and (verdicts["n_seeds"] == 3).all()  # one number of each
    table = failure.compare_predictors(predicted)
    own = table[(table["subset"] == "defect") & (table["threshold"] == 1)].set_index("predictor")
    assert list(own.index) == [failure.BASE_RATE, failure.MAIN, "expected error and defect"]
    assert set(own["n"]) == {int(some.sum())} and own.loc["expected error and defect", "brier"] < 0.02
    assert "spread" not in set(table["subset"])
    assert failure.reliability(failure.predict_failures(rows.head(0))).empty


def test_the_logistic_regression_is_that_of_statsmodels():
    generator = np.random.default_rng(0)
    x = generator.standard_normal((400, 3))
    failed = generator.random(400) < 1 / (1 + np.exp(-(x @ [1.0, -2.0, 0.0] + 0.5)))
    standard = sm.add_constant((x - x.mean(0)) / x.std(0))
    model = sm.GLM(failed.astype(float), standard, family=sm.families.Binomial())
    fitted = model.fit_regularized(alpha=np.array([0.0, *[failure.RIDGE] * 3]), L1_wt=0.0)
    assert failure._logistic(x, failed, x[:50]) == pytest.approx(model.predict(fitted.params, standard[:50]), abs=1e-4)
    apart = failure._logistic(x[:, :1], x[:, 0] > 0, np.array([[-3.0], [3.0]]))  # classes that separate
    assert apart == pytest.approx([0, 1], abs=0.01)


# alarm


def test_an_alarm_sounds_on_the_declared_share_of_known_pairs_and_misses_what_members_share():
    generator = torch.Generator().manual_seed(0)
    score = torch.rand(3, 40_000, generator=generator, dtype=torch.float64)
    score[1] += 1.0  # an unknown rate that spread betrays
    error = torch.full_like(score, 0.1)
    error[1:] = 0.9  # both unknown rates fail; of the second the spread says nothing
    found = calibration._count_alarms(score, error, [0])
    assert found["n_tested"] == 20_000 and found["n_failures"].tolist() == [0, 20_000, 20_000]
    shares = [count / 20_000 for count in found["n_alarms"].tolist()]
    assert shares == pytest.approx([FALSE_ALARMS, 1, FALSE_ALARMS], abs=0.005)
    assert found["n_missed"].tolist() == [0, 0, 20_000 - found["n_alarms"].tolist()[2]]


def counted(missed, seeds=4):
    arm = {"model": "ensemble", "method": "dt_conditioned", "form": "scaled_concat", **ARM, "train_frequency": "20"}
    rows = [
        {"env": ENVS[0], **arm, "test_frequency": rate, "seed": seed, "bin": name, "spread": 0.1, "error": 0.1,
         "n": 512, "n_tested": 200, "n_alarms": 10, "n_failures": failures, "n_missed": int(missed * failures)}
        for rate, failures in (("20", 0), ("5", 100)) for seed in range(seeds) for name in ("all", "1")
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_shares_of_alarms_count_seeds_and_pairs_and_turn_with_the_table():
    for missed in (0.9, 0.1):
        table = alarm_shares(counted(missed)).set_index("test_frequency")
        assert table.loc["5", "missed"] == pytest.approx(missed) and np.isnan(table.loc["20", "missed"])
        assert table["alarms"].tolist() == [0.05, 0.05] and (table["n"] == 800).all()
        row = table.loc["5"]
        assert row["missed_low"] < missed < row["missed_high"] and row["failures"] == 0.5
        caption = figures.draw_alarm(table.reset_index()).caption
        assert f"fails most at 5 Hz, on 50% of the pairs, of which a share of {missed:g} [" in caption
    measured = measure({"ensemble_calibration": counted(0.9)})
    assert set(measured["metric"]) == {"ensemble.alarms", "ensemble.missed"}
    assert set(measured.loc[measured["metric"] == "ensemble.missed", "test_frequency"]) == {"5"}
    known = {"": load_predictions()["alarm-of-an-ensemble"]}
    verdicts = judge_predictions(measure({"ensemble_calibration": counted(0.0, seeds=5)}), known).set_index("what")
    assert verdicts["verdict"].tolist() == ["holds", "refuted", "refuted"]  # 0 of the failures missed is a number too
    old = counted(0.9).drop(columns=list(calibration.ALARM_COUNTS))
    assert alarm_shares(old).empty and alarm_shares(None).empty and measure({"ensemble_calibration": old}).empty


def test_a_run_without_errors_has_empty_analyses():
    run = SimpleNamespace(save_table=lambda name, table: pytest.fail(f"{name} has no rows"))
    found = analyze(run, {})
    assert set(found) == {"shift", "excess_forms", "failure", "reliability", "alarms", "scores"}
    assert all(table.empty for table in found.values())
    assert {*ARM_COLUMNS, "metric", "value"} <= set(found["scores"])
