"""What a known past is worth: pasts that end at the same states, and what a model with a memory makes of them."""

import pandas as pd
import pytest
import torch

from tdlib.data.sources.random import collect_random
from tdlib.evaluation import build_test_set, evaluate_stack, one_step_errors
from tdlib.evaluation.measures import known_rows
from tdlib.evaluation.measures.known_rows import (
    NUM_PASTS,
    OWN_INTERVAL,
    ROWS,
    THINNED,
    at_training_interval,
    every_other,
    last_rows,
)
from tdlib.models import Context, Persistence, build_model
from tdlib.speed import Stack
from tdlib.study.arms import Arm
from tdlib.study.measurements import measure
from tdlib.systems import SYSTEMS

SYSTEM = SYSTEMS["oscillator"]
ARMS = [(Arm("gru", "baseline", train_frequency=rate), 0) for rate in ("10", "20", "mixed")]
MEMBERS = [{"env": "oscillator", **arm.keys(), "seed": seed} for arm, seed in ARMS]
RATES = (5, 10, 20, 50)


@pytest.fixture(scope="module")
def test_set():
    sets = [collect_random("oscillator", rate, 0, 600) for rate in (10, 20)]
    return build_test_set(SYSTEM, sets, seed=0, rates=(*RATES, "irregular"), num_pairs=24, num_starts=2)


@pytest.fixture(scope="module")
def stack():
    models = [
        build_model("gru", SYSTEM.spec, seed=i, hidden_dim=8, train_delta_t=h) for i, h in enumerate((0.1, 0.05, 0.05))
    ]
    return Stack(models)


def of(table, past, **where):
    rows = table[table["past"] == past]
    for name, value in where.items():
        rows = rows[rows[name] == value]
    return rows.reset_index(drop=True)


def past(count=4):
    states = torch.arange(count, dtype=torch.float64).reshape(1, count, 1)
    mask = torch.ones(1, count, dtype=torch.bool)
    return Context(states, 10 * states, torch.full((1, count), 0.1, dtype=torch.float64), mask)


def test_lost_rows_leave_longer_ones():
    spec = SYSTEMS["CartPoleContinuous-v1"].spec
    found = every_other(past(), spec)
    assert found.mask.tolist() == [[False, False, True, True]]
    assert found.states[0, 2:, 0].tolist() == [0, 2] and found.actions[0, 2:, 0].tolist() == [5, 25]
    assert found.delta_t[0, 2:].tolist() == pytest.approx([0.2, 0.2])
    assert every_other(past(), SYSTEM.spec).actions[0, 2:, 0].tolist() == [10, 30]  # indices: the later one
    broken = last_rows(past(), 3)
    assert every_other(broken, spec).mask.tolist() == [[False, False, False, True]]  # half a pair is none
    assert [int(last_rows(past(), n).mask.sum()) for n in (0, 1, 4)] == [0, 1, 4]


def test_every_model_gets_the_past_at_its_own_training_rate():
    many = past().map(lambda x: x.expand(1, 3, 1, *x.shape[1:]).clone())  # (1, R, N, C, ...)
    for i in range(3):
        many.states[0, i] += 100 * i
    found = at_training_interval(many, ["5", "10", "20"], MEMBERS)
    firsts = found.states[:, :, 0, 0, 0]
    assert firsts.tolist() == [[100, 100, 100], [200, 200, 200], [0, 100, 200]]


def test_a_whole_past_scores_as_one_step_errors_do_and_none_as_an_empty_memory(test_set, stack, monkeypatch):
    monkeypatch.setattr(known_rows, "SHARE", 1)  # of all pairs
    tables = evaluate_stack(stack, ARMS, {0: test_set}, SYSTEM, measures=["known_rows"])
    table = tables["known_rows"]
    assert len(set(table["past"])) == NUM_PASTS
    errors = one_step_errors(stack, test_set, SYSTEM.spec, MEMBERS, sets=["pooled"])
    errors = errors[errors["dimension"] == "all"].reset_index(drop=True)
    whole = of(table, f"{ROWS[-1]} rows")
    pd.testing.assert_series_equal(whole["relative_error"], errors["relative_error"], rtol=1e-5)
    pairs = test_set.pairs["pooled"]
    place = pairs.rates.index("20")
    with torch.no_grad():
        alone = stack.template.__class__(SYSTEM.spec, stack.template.options)
        alone.load_state_dict(build_model("gru", SYSTEM.spec, seed=1, hidden_dim=8, train_delta_t=0.05).state_dict())
        asked = (pairs.state[place].float(), pairs.action[place].float().unsqueeze(1), pairs.delta_t[place].float())
        found = alone.predict_sequence(asked[0], asked[1], asked[2].unsqueeze(1))[:, 0]
    mse = (found - pairs.next_state[place]).square().mean()
    row = of(table, "0 rows", train_frequency="20", test_frequency="20").iloc[0]
    assert row["mse"] == pytest.approx(float(mse), rel=1e-4) and row["rows"] == row["seconds"] == 0


def test_pasts_differ_where_they_do_and_nowhere_else(test_set, stack):
    table = evaluate_stack(stack, ARMS, {0: test_set}, SYSTEM, measures=["known_rows"])["known_rows"]
    own = of(table, OWN_INTERVAL)
    assert set(own["train_frequency"]) == {"10", "20"}
    for rate in ("10", "20"):
        at_own, whole = (
            of(table, name, train_frequency=rate, test_frequency=rate)["mse"][0] for name in (OWN_INTERVAL, "8 rows")
        )
        assert at_own == pytest.approx(whole, rel=1e-6)
        elsewhere, whole = (
            of(table, name, train_frequency=rate, test_frequency="50")["mse"][0] for name in (OWN_INTERVAL, "8 rows")
        )
        assert elsewhere != pytest.approx(whole, rel=1e-6)
    late = table[(table["test_frequency"] == "50") & (table["train_frequency"] == "20")].set_index("past")
    assert late.loc["8 rows", "seconds"] <= 8 * 0.02 + 1e-9 and late.loc[THINNED, "rows"] <= 4
    assert late.loc[THINNED, "seconds"] == pytest.approx(2 * 0.02 * late.loc[THINNED, "rows"])


def test_measurements_name_the_past(test_set, stack):
    table = evaluate_stack(stack, ARMS, {0: test_set}, SYSTEM, measures=["known_rows"])["known_rows"]
    found = measure({"known_rows": table})
    assert set(found["metric"]) == {"known_rows.relative_error"} and set(found["detail"]) == set(table["past"])
    assert found["value"].tolist() == table["relative_error"].tolist()


def test_a_model_without_a_memory_is_not_asked(test_set):
    found = evaluate_stack(Persistence(SYSTEM.spec), None, {0: test_set}, SYSTEM, measures=["known_rows"])
    assert "known_rows" not in found and "needs a model with a memory" in found["skipped"]["reason"].iloc[0]
