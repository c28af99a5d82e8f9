"""One rule for contrasts and predictions: it confirms what it can, and a planted wrong result turns every check."""

import dataclasses
import math
import subprocess

import numpy as np
import pandas as pd
import pytest
import yaml

from tdlib.study.contrasts import CONTRASTS, EQUAL, FAMILY_LIMIT, LESS
from tdlib.study.inference import Interval, holm, smallest_p_value
from tdlib.study.judging import judge_contrasts, judge_predictions, missing_of
from tdlib.study.limits import LIMITS
from tdlib.study.measurements import COLUMNS, SUCCESS, measure
from tdlib.study.prediction_history import prediction_history, write_history
from tdlib.study.predictions import load_predictions
from tdlib.study.verdicts import Claim, judge

ENVS = ("Pendulum-v1", "CartPole-v1", "CartPoleContinuous-v1")
STUDY_SEEDS = 12
KNOWN = load_predictions()
CHECKS = [check for prediction in KNOWN.values() for check in prediction.checks]
SPREAD = 0.002  # relative spread of planted values over seeds: small beside every claim
WIDEST = 12.5  # a claim with two edges allows at most this factor between them


def records(query, values, n=10):
    filled = {"detail": "", "size": "none", "data": "none", "form": "none", "model": "none", "method": "none",
              "train_frequency": "", "test_frequency": ""}  # fmt: skip
    return [filled | query | {"seed": i, "value": v, "n": n} for i, v in enumerate(values)]


def rows(query, values, n=10):
    """Rows of the table of measurements: the number of one query, one value per seed."""
    return pd.DataFrame(records(query, values, n))[COLUMNS]


def spread(center, seeds, salt=0):
    return center * (1 + SPREAD * np.random.default_rng(salt).uniform(-1, 1, seeds))


def arm_query(env, arm):
    return {"metric": "one_step.relative_error", "env": env, "model": arm.model, "method": arm.method, "form": arm.form,
            "size": "hidden64", "data": arm.data, "train_frequency": arm.train_frequency,
            "test_frequency": arm.test_frequency}  # fmt: skip


# the rule


def interval(low, high, seeds):
    return Interval((low + high) / 2, low, high, seeds, seeds)


@pytest.mark.parametrize(
    ("low", "high", "seeds", "verdict"),
    [
        (0.96, 1.04, 12, "holds"), (0.96, 1.04, 5, "holds"), (0.96, 1.04, 4, "consistent"),
        (1.2, 1.3, 5, "refuted"), (0.2, 0.3, 12, "refuted"), (1.2, 1.3, 4, "inconsistent"),
        (0.2, 0.3, 2, "inconsistent"),
        (1.05, 1.2, 12, "open"), (0.5, 1.5, 12, "open"), (1.05, 1.2, 2, "open"), (0.96, 1.04, 1, "open"),
        (math.nan, math.nan, 12, "open"),
    ],
)  # fmt: skip
def test_the_rule(low, high, seeds, verdict):
    assert judge(Claim(0.9, 1.1), interval(low, high, seeds)) == verdict


def test_the_rule_of_a_family_protects_what_is_claimed_and_not_from_being_refuted():
    claim, inside, outside = Claim(0.0, 1.0), interval(0.1, 0.2, 12), interval(3.0, 4.0, 5)
    assert judge(claim, inside, 0.049) == "confirmed" and judge(claim, inside, 0.051) == "open"
    assert judge(claim, outside, 1.0) == "refuted"
    assert judge(claim, interval(0.1, 0.2, 4), 0.001) == "consistent"  # whatever its p
    for low, high in ((1.0, 1.0), (2.0, 1.0), (-math.inf, math.inf)):
        with pytest.raises(ValueError, match="a claim must have an edge"):
            Claim(low, high)


# contrasts


def test_the_family_is_small_enough_for_the_seeds_of_the_study():
    assert len(CONTRASTS) <= FAMILY_LIMIT and len({each.name for each in CONTRASTS}) == len(CONTRASTS)
    assert (holm([smallest_p_value(STUDY_SEEDS)] * FAMILY_LIMIT) < 0.05).all()


def planted_family(env, seeds, wrong=None):
    """Measurements in which every contrast of an environment comes out as predicted, but the wrong one."""
    tables = []
    for i, each in enumerate(CONTRASTS):
        if each is not wrong and wrong is not None:
            continue  # arms stand in several contrasts: one is planted at a time
        ratio = {LESS: 0.5, EQUAL: 1.0}.get(each.expected_in(env), 2.0)
        if wrong is not None:
            ratio = 3.0 if each.expected_in(env) in (LESS, EQUAL) else 0.4
        tables += [
            rows(arm_query(env, each.a), spread(0.1 * ratio, seeds, i)),
            rows(arm_query(env, each.b), [0.1] * seeds),
        ]
    return pd.concat(tables, ignore_index=True)


@pytest.mark.parametrize("env", ENVS)
@pytest.mark.parametrize("contrast", CONTRASTS, ids=lambda each: each.name)
@pytest.mark.parametrize(
    ("seeds", "verdict"), [(2, "inconsistent"), (4, "inconsistent"), (5, "refuted"), (12, "refuted")]
)
def test_a_planted_wrong_result_turns_every_contrast(env, contrast, seeds, verdict):
    table = judge_contrasts(planted_family(env, seeds, contrast), [env])
    assert table.set_index("name")["verdict"].to_dict() == {contrast.name: verdict}


@pytest.mark.parametrize("env", ENVS)
@pytest.mark.parametrize("contrast", CONTRASTS, ids=lambda each: each.name)
def test_a_clear_result_is_confirmed_with_the_seeds_of_the_study(env, contrast):
    ratio = {LESS: 0.5, EQUAL: 1.0}.get(contrast.expected_in(env), 2.0)

    def row(seeds):
        a, b = (rows(arm_query(env, arm), values) for arm, values in
                ((contrast.a, spread(0.1 * ratio, seeds)), (contrast.b, [0.1] * seeds)))  # fmt: skip
        return judge_contrasts(pd.concat([a, b]), [env]).iloc[0]

    assert row(STUDY_SEEDS)["verdict"] == "confirmed" and row(STUDY_SEEDS)["p_smallest"] < 0.05
    assert row(2)["verdict"] == "consistent" and row(1)["verdict"] == "open"
    six = row(6)
    if contrast.expected_in(env) == EQUAL:
        assert six["verdict"] == "confirmed"
    else:  # the clearest result there can be, and the table says why it is open
        assert six["verdict"] == "open" and six["note"] == "cannot be confirmed with 6 seeds, 9 are needed"
        assert six["p_smallest"] > 0.05


def test_the_family_of_an_environment_is_all_it_declares():
    env, contrast = ENVS[0], next(each for each in CONTRASTS if each.expected == LESS)
    a, b = rows(arm_query(env, contrast.a), spread(0.05, 12)), rows(arm_query(env, contrast.b), [0.1] * 12)
    both = pd.concat([a, b, a.assign(env=ENVS[1]), b.assign(env=ENVS[1])])
    table = judge_contrasts(both, ENVS)
    assert table["p_holm"].tolist() == pytest.approx([len(CONTRASTS) * smallest_p_value(12)] * 2)  # absent ones count
    missing = missing_of(table, ENVS)
    assert len(missing) == len(ENVS) * len(CONTRASTS) - 2 and contrast.name in set(missing["name"])


def test_a_seed_without_a_finite_error_is_not_left_out():
    env, contrast = ENVS[0], CONTRASTS[-1]
    a = rows(arm_query(env, contrast.a), [*spread(0.1, 11), np.inf])
    table = judge_contrasts(pd.concat([a, rows(arm_query(env, contrast.b), [0.1] * 12)]), [env])
    row = table.iloc[0]
    assert (row["verdict"], row["note"], row["n_seeds"]) == ("open", "1 of 12 seeds without a finite value", 12)


# predictions


def planted(check, number, seeds, n=10):
    """Measurements that make the number of one check, over seeds, lie at `number`."""
    if check.share:
        return records(check.left, [number] * seeds, n)
    over = spread(0.5, seeds, 1) if check.over is not None else np.ones(seeds)
    minus = spread(0.1, seeds, 2) if check.minus is not None else np.zeros(seeds)
    found = records(check.left, spread(number, seeds) * over + minus, n)
    for query, values in ((check.over, over), (check.minus, minus)):
        found += [] if query is None else records(query, values, n)
    return found


def verdicts_of(cases):
    """Judge (check, number, seeds, n) cases at once, each in an environment of its own, as checks share arms."""
    found, known = [], {}
    for i, (check, number, seeds, n) in enumerate(cases):
        sides = {side: query and query | {"env": f"{i}{query['env']}"} for side in ("left", "over", "minus")
                 for query in [getattr(check, side)]}  # fmt: skip
        own = dataclasses.replace(check, env=f"{i}", **sides)
        found += planted(own, number, seeds, n)
        known[f"{i}"] = dataclasses.replace(KNOWN[check.prediction], checks=(own,))
    table = judge_predictions(pd.DataFrame(found)[COLUMNS], known)
    assert table["env"].tolist() == list(known)
    return table


def right(claim):
    """A value well inside a claim."""
    if math.isinf(claim.low):
        return claim.high / 2
    if math.isinf(claim.high):
        return claim.low * 1.5
    return math.sqrt(claim.low * claim.high) if claim.low > 0 else (claim.low + claim.high) / 2


def wrongs(claim):
    """A value a little beyond each edge that can be passed: a tenth, not a caricature."""
    low, high = ((edge, math.isfinite(edge)) for edge in (claim.low, claim.high))
    step = 0.1 * (claim.high - claim.low) if claim.low < 0 and high[1] and low[1] else 0.0  # a difference
    below = [claim.low - step if step else claim.low / 1.1] if low[1] else []
    return [*below, *([claim.high + step if step else claim.high * 1.1] if high[1] else [])]


PLANTED = [(check, wrong) for check in CHECKS if not check.share for wrong in wrongs(check.claim)]
SHARES = [check for check in CHECKS if check.share]


@pytest.mark.parametrize("seeds", [2, 4, 5, 12])
def test_a_planted_wrong_result_turns_every_prediction(seeds):
    planted_for = {check.prediction for check, _ in PLANTED} | {check.prediction for check in SHARES}
    assert planted_for == set(KNOWN)
    table = verdicts_of([(check, wrong, seeds, 10) for check, wrong in PLANTED])
    for (check, wrong), verdict in zip(PLANTED, table["verdict"], strict=True):
        assert verdict == ("refuted" if seeds >= 5 else "inconsistent"), (check.prediction, check.what, wrong)


@pytest.mark.parametrize("seeds", [2, 5, 12])
def test_a_right_result_holds_from_five_seeds_on(seeds):
    checks = [check for check in CHECKS if not check.share]
    table = verdicts_of([(check, right(check.claim), seeds, 10) for check in checks])
    for check, row in zip(checks, table.to_dict("records"), strict=True):
        assert row["verdict"] == ("holds" if seeds >= 5 else "consistent"), (check.prediction, check.what)
        assert row["measured"] == pytest.approx(right(check.claim), rel=0.02, abs=0.02)


def verdict_of(check, number, seeds, n):
    return verdicts_of([(check, number, seeds, n)]).iloc[0]


@pytest.mark.parametrize("check", SHARES, ids=lambda check: f"{check.env}:{check.what}")
def test_the_oracle_decides_from_twenty_starts_on(check):
    above = math.isfinite(check.claim.low)
    good, bad = (1.0, 0.2) if above else (0.4, 1.0)
    # 12 seeds of the planner with 5 starts each: the study's cell
    assert verdict_of(check, good, 12, 5)["verdict"] == "holds"
    assert verdict_of(check, bad, 12, 5)["verdict"] == "refuted"
    few = verdict_of(check, bad, 4, 5)
    assert few["n"] == 20 and few["verdict"] == ("inconsistent" if above else "open")  # 20 of 20 leave .83 possible
    row = verdict_of(check, good, 6, 3)
    assert (row["verdict"], row["note"]) == ("open", "cannot be decided with 18 starts, 20 are needed")
    one = verdict_of(check, good, 1, 60)
    assert (one["verdict"], one["note"]) == ("open", "cannot be decided with 1 seed")


def test_predictions_have_bounds_that_can_fail():
    trained = {query["train_frequency"] for check in CHECKS for query in check.queries if "train_frequency" in query}
    assert {"10", "20", "50"} <= trained
    for check in CHECKS:
        low, high = check.claim.low, check.claim.high
        if math.isfinite(low) and math.isfinite(high):
            assert high / low <= WIDEST if low > 0 else high - low <= 1, check
        else:  # one edge only where the other is the end of the scale (collapsed: 0 nats), or theory gives none
            assert check.share or check.prediction in ("euler-is-a-map", "energy-prior", "pictures-collapse"), check
    for name in (
        "off-rate-formula",
        "rescaling",
        "rk4-transfers",
        "size-is-no-help",
        "concat-one-rate",
        "environments-alike",
    ):
        pairs = {tuple(float(check.left[key]) for key in ("train_frequency", "test_frequency"))
                 for check in KNOWN[name].checks}  # fmt: skip
        assert any(train < test for train, test in pairs) and any(train > test for train, test in pairs), name


def test_the_exact_limit_is_the_reference_of_what_has_one():
    for check in CHECKS:
        left = check.left
        if left["metric"] == "one_step.relative_error" and left["method"] in LIMITS and check.env in ENVS:
            off_rate = left["train_frequency"] != left["test_frequency"]
            names = {query["metric"] for query in check.queries}
            if check.prediction in ("off-rate-formula",) or check.minus is not None:
                assert off_rate and f"limit.{LIMITS[left['method']]}" in names


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mismatch": [20, 50]}, "unknown keys \\['mismatch'\\]"),
        ({"near": None}, "must have near and tolerance, between, below or above"),
        ({"above": 1}, "must have near and tolerance, between, below or above"),
        ({"left": {"metric": "x", "rate": 20}}, "unknown keys \\['rate'\\]"),
    ],
)
def test_a_prediction_that_cannot_be_read_is_refused(tmp_path, change, message):
    check = {"what": "a", "left": {"metric": "x"}, "near": 1, "tolerance": 0.1} | change
    check = {key: value for key, value in check.items() if value is not None}
    item = {"name": "p", "title": "t", "statement": "s", "source": "s", "env": ["Pendulum-v1"], "checks": [check]}
    path = tmp_path / "predictions.yaml"
    path.write_text(yaml.safe_dump([item]))
    with pytest.raises(ValueError, match=message):
        load_predictions(path)
    path.write_text(yaml.safe_dump([item | {"checks": [], "name": "q"}]))
    with pytest.raises(ValueError, match="'q' must have a check"):
        load_predictions(path)


def test_measurements_take_the_excess_over_the_limit_of_the_same_seed():
    keys = {"env": ENVS[0], "model": "jump", "form": "none", "size": "hidden64", "data": "transitions"}
    errors = pd.DataFrame(
        [keys | {"method": method, "train_frequency": "20", "test_frequency": "50", "seed": seed, "test_set": "pooled",
                 "dimension": "all", "mse": 1.0, "relative_error": 1.5 + seed, "n": 8}
         for method in ("baseline", "dt_conditioned") for seed in (0, 1)]
    )  # fmt: skip
    limits = pd.DataFrame(
        [{"env": ENVS[0], "limit": "fixed_step", "train_frequency": "20", "test_frequency": "50", "detail": "",
          "seed": seed, "relative_error": 1.4 + seed / 2, "n": 8} for seed in (0, 1)]
    )  # fmt: skip
    table = measure({"one_step_errors": errors, "limits": limits})
    excess = table[table["metric"] == "one_step.excess"]
    assert excess["value"].tolist() == pytest.approx([0.1, 0.6]) and set(excess["method"]) == {"baseline"}
    assert table.loc[table["metric"] == "limit.fixed_step", "value"].tolist() == [1.4, 1.9]
    assert not len(table[(table["metric"] == SUCCESS)])
    assert list(measure({}).columns) == COLUMNS


def test_measurements_of_other_test_sets_stand_beside_and_do_not_mix():
    keys = {"env": ENVS[0], "model": "jump", "method": "baseline", "form": "none", "size": "hidden64", "seed": 0,
            "data": "transitions", "train_frequency": "20", "test_frequency": "20", "dimension": "all",
            "n": 8}  # fmt: skip
    errors = {"pooled": 0.1, "ppo": 0.2, "contacts": 0.3, "shift": 0.4}
    rows = [keys | {"test_set": name, "mse": 1.0, "relative_error": error} for name, error in errors.items()]
    table = measure({"one_step_errors": pd.DataFrame(rows)})
    assert table.loc[table["metric"] != "one_step.mse", ["metric", "value"]].to_numpy().tolist() == [
        ["one_step.relative_error", 0.1],
        ["one_step.ppo.relative_error", 0.2],
        ["one_step.contacts.relative_error", 0.3],
        ["one_step.shift.relative_error", 0.4],
    ]


# since when


def write(path, *items):
    path.write_text(yaml.safe_dump([{"name": name, "title": "t", "checks": [bound]} for name, bound in items]))


@pytest.fixture
def repository(tmp_path):
    """A repository with two versions of two predictions, and a third that is not committed."""
    folder = tmp_path / "origin"
    folder.mkdir()

    def git(*words):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)

    git("init", "--quiet")
    path = folder / "predictions.yaml"
    for versions in ((("a", 1),), (("a", 1), ("b", 1)), (("a", 2), ("b", 1))):
        write(path, *versions)
        git("add", "."), git("commit", "--quiet", "-m", "a version")
    return path


def test_history_says_when_a_prediction_was_written_and_changed(repository):
    found = prediction_history(repository)
    a, b = found["a"]["versions"], found["b"]["versions"]
    assert [version["changed"] for version in a] == [[], ["checks"]] and [version["changed"] for version in b] == [[]]
    assert all(len(version["commit"]) == 7 and version["date"].count("-") == 2 for version in (*a, *b))
    write(repository, ("a", 3), ("b", 1), ("c", 1))
    found = prediction_history(repository)
    assert found["a"]["versions"][-1] == {"commit": "", "date": "", "changed": ["checks"]}
    assert found["b"]["versions"] == b and found["c"]["versions"] == [{"commit": "", "date": "", "changed": []}]


def test_an_edition_keeps_the_history_for_shallow_clones_and_archives(repository, tmp_path):
    stored = tmp_path / "history.yaml"
    write_history(stored, repository)
    whole = prediction_history(repository)
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", f"file://{repository.parent}", str(shallow)], check=True)
    assert prediction_history(shallow / repository.name, stored) == whole
    archive = tmp_path / "archive"
    archive.mkdir()
    (archive / repository.name).write_text(repository.read_text())
    assert prediction_history(archive / repository.name, stored) == whole
    assert prediction_history(archive / repository.name)["a"]["versions"] == []  # nothing is known
    write(archive / repository.name, ("a", 4), ("b", 1))
    changed = prediction_history(archive / repository.name, stored)
    assert changed["a"]["versions"][-1]["changed"] == ["unknown"] and changed["b"] == whole["b"]


def test_every_prediction_of_the_book_has_a_history():
    found = prediction_history()
    assert list(found) == list(KNOWN)
    assert len({bool(entry["versions"]) for entry in found.values()}) == 1  # none has one in an archive, else all have
