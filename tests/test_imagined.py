"""Long predictions after a known stretch: what is known, what is asked, and scores that are known by hand."""

import numpy as np
import pytest
import torch

from tdlib.data.sources.random import collect_random
from tdlib.evaluation import build_test_set, evaluate_stack
from tdlib.evaluation.measures import imagined as measure_of
from tdlib.evaluation.measures.measure import Subject
from tdlib.evaluation.sets.gather import gather_imagined
from tdlib.evaluation.sets.imagination import split_rollouts
from tdlib.evaluation.sliding import sliding_rmse
from tdlib.models import Persistence, Prediction, build_model
from tdlib.speed import Stack
from tdlib.study.arms import Arm
from tdlib.study.measurements import COVERAGE, measure
from tdlib.systems import SYSTEMS

SYSTEM = SYSTEMS["oscillator"]
RATES, HORIZON, STARTS = (5, 10, 20, 100, "irregular"), 3.0, 5
ASKED = ["5", "10", "20", "irregular"]
ARM = Arm("mts3", "baseline", train_frequency="20")
MEMBER = {"env": "oscillator", **ARM.keys(), "seed": 0}


@pytest.fixture(scope="module")
def test_set():
    sets = [collect_random("oscillator", rate, 0, 600) for rate in (10, 20)]
    return build_test_set(SYSTEM, sets, seed=0, rates=RATES, num_pairs=8, num_starts=STARTS)


@pytest.fixture(scope="module")
def tables(test_set):
    stack = Stack([build_model("mts3", SYSTEM.spec, seed=0)])
    return evaluate_stack(
        stack, [(ARM, 0)], {0: test_set}, SYSTEM, measures=["imagined"], options={"imagined": {"horizon": HORIZON}}
    )


def test_what_is_known_leads_to_what_is_asked_at_every_rate(test_set):
    found = gather_imagined(test_set, [MEMBER], tuple(ASKED), 1.0, HORIZON)
    assert list(found) == ASKED
    first = {}
    for rate, each in found.items():
        rollouts = each.rollouts
        past = rollouts.context
        assert past.mask.all() and past.delta_t.sum(dim=-1).allclose(torch.tensor(1.0, dtype=torch.float64))
        assert rollouts.times[-1] == pytest.approx(HORIZON, abs=0.05)
        drawn = rollouts.parameters[0]
        flowed = SYSTEM.flow(past.states[0, :, -1], past.actions[0, :, -1], past.delta_t[0, :, -1], drawn)
        torch.testing.assert_close(flowed, rollouts.state[0])
        ahead = SYSTEM.flow(rollouts.state[0], rollouts.actions[0, :, 0], rollouts.delta_t[0, :, 0], drawn)
        torch.testing.assert_close(ahead, rollouts.states[0, :, 0])
        first[rate] = past.states[0, :, 0], rollouts.states[0, :, -1]
        assert (each.at_mean[0] - rollouts.states[0]).abs().amax() > 1e-3  # a damping is hidden
    for begin, end in first.values():  # one start and one input in time, whatever the rate
        torch.testing.assert_close(begin, first["20"][0])
        torch.testing.assert_close(end, first["20"][1], rtol=0, atol=1e-6)


def test_a_stretch_without_a_past_or_a_future_is_refused(test_set):
    whole = test_set.rollouts["10"]
    for known in (0, 10):
        with pytest.raises(
            ValueError, match=rf"known must be in \[1, steps - 1\] for rollouts of 10 steps, got {known}"
        ):
            split_rollouts(whole, known)


def test_the_tables_hold_every_rate_window_and_span(tables):
    windows, intervals = tables["sliding_windows"], tables["interval_calibration"]
    assert windows.groupby("test_frequency", sort=False)["time"].apply(list).to_dict() == {
        rate: [0.0, 1.0, 2.0, 3.0] if rate == "5" else [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0] for rate in ASKED
    }
    assert windows.groupby("test_frequency", sort=False)["window"].unique().explode().to_dict() == pytest.approx(
        {rate: 0.4 if rate == "5" else 0.5 for rate in ASKED}
    )
    assert windows[["rmse", "nll", "hidden_rmse"]].notna().all().all() and (windows["n"] == STARTS).all()
    assert set(intervals["span"]) == {"to 1 s", "1 to 3 s"}
    assert np.allclose(intervals[[f"pit_{k}" for k in range(1, 11)]].sum(axis=1), 1, atol=1e-4)
    found = measure(tables)
    assert {"imagined.rmse", "imagined.nll", "imagined.hidden_rmse"} < set(found["metric"])
    assert {f"calibration.{name}" for name in COVERAGE} < set(found["metric"])
    assert set(found[found["metric"] == "imagined.rmse"]["detail"]) == {"0.5", "1", "3"}


@pytest.mark.parametrize(
    ("rate", "window", "ends"),
    [(5, 2, [5, 10, 15]), (25, 12, [25, 50, 75]), (10, 5, [5, 10, 15, 20, 25, 30])],
)
def test_windows_end_where_a_row_does(rate, window, ends):
    assert measure_of.window_ends(1 / rate, 3 * rate, window) == ends
    nearest = measure_of.window_ends(1 / rate, 3 * rate, window, whole=False)
    assert len(nearest) == 6 and set(ends) <= set(nearest)


def planted(test_set, offset, spread):
    """Scores at 20 Hz of predictions that are off by so much, in units of the truth's spread, and say so much."""
    each = gather_imagined(test_set, [MEMBER], ("20",), 1.0, HORIZON)["20"]
    truth = each.rollouts.states
    scale = truth.std(dim=(1, 2), keepdim=True)
    subject = Subject(Persistence(SYSTEM.spec), [MEMBER], {0: test_set}, SYSTEM)
    found = Prediction(truth + offset * scale, (spread * scale).square().expand_as(truth))
    scored = measure_of._Scores(subject, each, found)
    return scored.sliding(subject, "20"), scored.calibration(subject, "20"), scale


def test_errors_and_likelihoods_are_in_standard_deviations_of_the_truth(test_set):
    windows, intervals, _ = planted(test_set, 0.3, 0.5)
    assert np.allclose(windows["rmse"], 0.3)
    expected = 2 * (0.5 * np.log(2 * np.pi * 0.25) + 0.5 * (0.3 / 0.5) ** 2)  # two dimensions
    assert np.allclose(windows["nll"], expected, rtol=1e-5)
    assert np.allclose(intervals["coverage_50"], 1) and np.allclose(intervals["pit_3"], 1)  # Φ(−0.6) = 0.27
    _, sure, _ = planted(test_set, 0.3, 0.2)
    assert np.allclose(sure["coverage_80"], 0) and np.allclose(sure["coverage_95"], 1)  # 1.5 deviations off


def test_drawn_errors_of_the_spread_that_is_said_are_calibrated(test_set):
    g = torch.Generator().manual_seed(0)
    offset = 0.4 * torch.randn(1, STARTS, 60, 2, generator=g, dtype=torch.float64)
    windows, intervals, scale = planted(test_set, offset, 0.4)
    for level, share in ((50, 0.5), (80, 0.8), (95, 0.95)):
        assert np.allclose(intervals[f"coverage_{level}"], share, atol=0.09)
    assert np.allclose(intervals[[f"pit_{k}" for k in range(1, 11)]], 0.1, atol=0.08)
    truth = torch.zeros(STARTS, 60, 2, dtype=torch.float64)
    _, by_hand = sliding_rmse(truth, offset[0], 10, num_bins=5)  # windows that end after 10, 20, … 50 steps
    assert np.allclose(windows["rmse"][1:6], by_hand[1:], rtol=1e-5)


def test_what_has_no_variance_has_errors_alone(test_set):
    options = {"imagined": {"horizon": HORIZON}}
    found = evaluate_stack(
        Persistence(SYSTEM.spec), None, {0: test_set}, SYSTEM, measures=["imagined"], options=options
    )
    assert set(found) == {"sliding_windows"} and found["sliding_windows"]["nll"].isna().all()


def test_a_log_is_asked_about_its_own_stretches():
    log = collect_random("oscillator", 20, 0, 1600)  # episodes of five seconds
    test_set = build_test_set(None, [log], seed=0, num_pairs=8, num_starts=4)
    stack = Stack([build_model("acrkn", SYSTEM.spec, seed=0)])
    arm = Arm("acrkn", "baseline", train_frequency="20")
    asked = {"measures": ["imagined"], "options": {"imagined": {"horizon": HORIZON}}}
    found = evaluate_stack(stack, [(arm, 0)], test_set, **asked)["sliding_windows"]
    assert found["time"].max() == HORIZON and found["hidden_rmse"].isna().all() and (found["n"] == 4).all()
    long = {"measures": ["imagined"], "options": {"imagined": {"horizon": 100.0}}}
    skipped = evaluate_stack(stack, [(arm, 0)], test_set, **long)["skipped"]
    assert "needs a path as long as what is known and what is imagined" in skipped["reason"].iloc[0]
