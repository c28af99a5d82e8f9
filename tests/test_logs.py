"""A log of a seven-joint arm, without any system: imported, trained on, scored, diagnosed."""

import numpy as np
import pytest
import torch

from tdlib import evaluation
from tdlib.core.transitions import Transitions
from tdlib.data import recorded_histories, split_episodes, true_histories
from tdlib.data.csv_import import import_csv
from tdlib.evaluation.sets.gather import gather_pairs
from tdlib.evaluation.sets.log_sets import RECORDED, window_starts
from tdlib.models import Context, Persistence, build_model
from tdlib.study.arms import Arm
from tdlib.study.phases.beside import import_beside
from tdlib.training import Budget, Trial, fit

write_logs = import_beside("seven_joints:write_logs")
JOINTS, TYPICAL = import_beside("seven_joints:JOINTS"), import_beside("seven_joints:TYPICAL")


def train(model, splits, num_steps=400):
    train, val = ([splits[name].transitions(torch.float32)] for name in ("train", "val"))
    arm = Arm("jump", "dt_conditioned", "scaled_concat", train_frequency=RECORDED)
    fit([Trial(arm, 0, model, train, val)], Budget(num_steps, 3e-3))
    return model


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    log = import_csv(write_logs(tmp_path_factory.mktemp("arm")), name="arm", irregular=True)
    assert (log.spec.state_dim, log.spec.action_dim, log.num_episodes) == (2 * JOINTS, JOINTS, 20)
    return split_episodes(log, seed=0)


@pytest.fixture(scope="module")
def scaled(splits):
    spec = splits["train"].spec
    return train(build_model("jump", spec, seed=0, form="scaled_concat", train_delta_t=TYPICAL), splits)


@pytest.fixture(scope="module")
def blind(splits):
    return train(build_model("jump", splits["train"].spec, seed=0, form="none", train_delta_t=TYPICAL), splits)


def test_a_log_is_scored_on_its_own_intervals_and_the_rest_says_what_it_needs(splits, scaled):
    test_set = evaluation.build_test_set(None, [splits["test"]], seed=0, num_pairs=200, num_starts=20)
    assert not test_set.truth and test_set.env == "arm"
    arms = [(Arm("jump", "dt_conditioned", "scaled_concat", train_frequency=RECORDED), 0)]
    found = evaluation.evaluate_stack(scaled, arms, test_set)
    assert set(found) == {"one_step_errors", "rollout_errors", "consistency_errors", "state_errors", "skipped"}
    one_step = found["one_step_errors"]
    assert set(one_step["test_set"]) == {"log"} and set(one_step["test_frequency"]) == {RECORDED}
    assert len(one_step) == 2 * JOINTS + 1 and (one_step["n"] == 200).all()
    assert one_step.query("dimension == 'all'")["relative_error"].item() < 0.3
    rollouts = found["rollout_errors"].query("dimension == 'all'")
    assert (rollouts["n"] == 20).all() and rollouts["time"].max() == pytest.approx(1.0, abs=0.1)
    assert rollouts["relative_error"].max() < 1
    assert found["consistency_errors"]["fine_frequency"].item() == "2 x recorded"
    assert dict(zip(found["skipped"]["measure"], found["skipped"]["reason"], strict=True)) == {
        "convergence": "needs a field: a model with a derivative; needs the system: its equation; "
        "needs the truth at other intervals than the recorded ones",
        "calibration": "needs a spread: an ensemble of several members",
        "field": "needs the system: its equation",
        "energy": "needs a system that declares an energy",
        "dt_generalization": "needs sequences at several intervals: the truth beyond what was recorded",
        "known_rows": "needs a model with a memory",
        "imagined": "needs a path as long as what is known and what is imagined",
        "pictures": "needs the system: its equation",
    }
    flat = evaluation.evaluate_stack(Persistence(test_set.spec), None, test_set, measures=["one_step", "rollout"])
    assert np.allclose(flat["one_step_errors"]["relative_error"], 1) and "skipped" not in flat
    assert np.allclose(flat["rollout_errors"]["relative_error"], 1)
    # a joint that is not measured in turns is never wrapped; errors are those of the rows themselves
    pairs = test_set.pairs["log"]
    with torch.no_grad():
        predicted = scaled(*(x[0].float() for x in (pairs.state, pairs.action, pairs.delta_t)))
    by_hand = ((predicted - pairs.next_state[0]) ** 2).mean()
    assert one_step.query("dimension == 'all'")["mse"].item() == pytest.approx(float(by_hand), rel=1e-4)


def test_windows_and_pasts_never_cross_a_file(splits):
    log = splits["test"]
    (rollouts,) = evaluation.build_test_set(None, [log], seed=3, num_pairs=300, num_starts=100).rollouts.values()
    starts = window_starts(log, 20)
    episode = np.searchsorted(log.episode_offsets, starts, side="right")
    assert (episode == np.searchsorted(log.episode_offsets, starts + 19, side="right")).all()
    assert len(starts) == (80 - 19) * log.num_episodes
    # what is recorded after one step is where the next begins, up to the last
    rows = {tuple(state): row for row, state in enumerate(log.state)}
    for start, states, actions, delta_t in zip(
        rollouts.state, rollouts.states, rollouts.actions, rollouts.delta_t, strict=True
    ):
        row = rows[tuple(start.tolist())]
        assert np.array_equal(states[:-1], log.state[row + 1 : row + 20])
        assert np.array_equal(actions, log.action[row : row + 20])
        assert np.array_equal(delta_t, log.delta_t[row : row + 20])
    context = rollouts.context
    for start, states, delta_t, mask in zip(rollouts.state, context.states, context.delta_t, context.mask, strict=True):
        row = rows[tuple(start.tolist())]
        known = min(8, int(round(row - log.episode_offsets[np.searchsorted(log.episode_offsets, row, "right") - 1])))
        assert int(mask.sum()) == known and bool(mask[8 - known :].all())
        assert np.array_equal(states[8 - known :], log.state[row - known : row])
        assert np.array_equal(delta_t[8 - known :], log.delta_t[row - known : row])
    short = evaluation.build_test_set(None, [log], seed=3, num_pairs=10, num_starts=2, horizon=10.0)
    assert not short.rollouts
    skipped = evaluation.evaluate_stack(Persistence(log.spec), None, short, measures=["rollout"])["skipped"]
    assert list(skipped["reason"]) == ["needs rollouts: an episode as long as the horizon"]


def test_a_model_with_memory_reads_the_logs_own_past(splits):
    spec = splits["test"].spec
    model = build_model("lstm", spec, seed=0, form="scaled_concat", train_delta_t=TYPICAL)
    model.fit_scales(splits["train"].transitions(torch.float32))
    test_set = evaluation.build_test_set(None, [splits["test"]], seed=0, num_pairs=50, num_context_pairs=30)
    found = evaluation.evaluate_stack(model, None, test_set)
    assert (found["one_step_errors"]["n"] == 30).all() and "rollout_errors" in found
    reasons = dict(zip(found["skipped"]["measure"], found["skipped"]["reason"], strict=True))
    assert reasons["consistency"] == "needs the truth at two rates, one a whole multiple of the other"
    pairs = gather_pairs(test_set, [{"seed": 0}], "log", with_context=True)
    assert pairs.context.actions.shape == (1, 1, 30, 8, JOINTS)
    found = evaluation.diagnose(model, splits["test"])
    assert np.isnan(found.defect)
    rows = np.arange(len(splits["test"]))
    past = recorded_histories(splits["test"], rows)
    context = Context(*(x.float() for x in (past.states, past.actions, past.delta_t)), past.mask)
    every = splits["test"].transitions(torch.float32)
    with torch.no_grad():
        predicted = model.predict_sequence(every.state, every.action[:, None], every.delta_t[:, None], context)[:, 0]
    error, change = ((x - every.next_state).square().mean(dim=0) for x in (predicted, every.state))
    assert found.own_error == pytest.approx(float((error / change).mean().sqrt()), rel=1e-3)
    with pytest.raises(ValueError, match="must be one of .*Pendulum-v1.*got 'arm'"):
        # states between the recorded ones need the system
        true_histories(splits["test"], np.array([0]), np.array([0.5]), 0.013)


def test_seeds_with_logs_of_different_sizes_stack(splits):
    parts = [splits["test"], splits["val"].select_episodes([0])]
    sets = {seed: evaluation.build_test_set(None, [part], seed=seed) for seed, part in enumerate(parts)}
    arms = [(Arm("none", "persistence", size="none", data="none"), seed) for seed in sets]
    found = evaluation.evaluate_stack(Persistence(parts[0].spec), arms, sets, measures=["one_step", "rollout"])
    assert (found["one_step_errors"]["n"] == len(parts[1])).all()
    assert list(found["one_step_errors"]["seed"].unique()) == [0, 1]
    branched = splits["test"].__class__(**{**vars(splits["test"]), "kind": "branched"})
    with pytest.raises(ValueError, match="kind 'episodes'"):
        evaluation.build_test_set(None, [branched], seed=0)


def test_diagnosis_tells_a_map_of_one_step_from_a_model_that_follows_the_interval(splits, scaled, blind):
    good, bad = (evaluation.diagnose(model, splits["test"]) for model in (scaled, blind))
    for found in (good, bad):
        errors = found.errors
        assert list(errors["bin"]) == ["all", "1", "2", "3", "4"] and errors["delta_t"].iloc[1:].is_monotonic_increasing
        assert np.allclose(errors["persistence"], 1) and errors["n"].iloc[0] == errors["n"].iloc[1:].sum()
        assert len(splits["test"]) == errors["n"].iloc[0] and found.train_delta_t == TYPICAL
    assert not good.ignores_delta_t and 1 < good.response < 2 and good.own_error < 0.3
    assert good.own_error < bad.own_error
    assert bad.ignores_delta_t and bad.response == 0 and np.allclose(bad.steps["increment"], 1)
    assert list(bad.steps["fixed_step_limit"]) == [1, 0, 0.5] and np.allclose(bad.steps["delta_t"], [0.025, 0.05, 0.1])
    # a map of the typical step errs at the other ones, as the law says
    quarters = bad.errors.set_index("bin")
    assert min(quarters.loc["1", "model"], quarters.loc["4", "model"]) > 1.5 * quarters.loc["2", "model"]
    assert bad.own_error == pytest.approx(quarters.loc["all", "fixed_step_limit"], rel=0.25)
    assert quarters.loc["1", "rescaled"] < quarters.loc["1", "model"]
    assert bad.defect > 0.5 > good.defect
    assert "map of one step" in str(bad) and "|1 − 0.05 s/Δ|" in str(bad) and "follows the interval" in str(good)
    assert f"{len(splits['test'])} recorded steps" in str(good) and f"{good.own_error:.2g}" in str(good)
    with pytest.raises(ValueError, match="train_delta_t must be given"):
        evaluation.diagnose(lambda state, action, delta_t: state, splits["test"])


def test_an_exact_model_of_an_even_log_has_no_error(tmp_path):
    log = import_csv(write_logs(tmp_path, jitter=0.0, num_files=3, num_rows=60), name="arm", control_frequency=20.0)
    table = {tuple(s): e for s, e in zip(log.state.astype(np.float32).tolist(), log.next_state, strict=True)}

    def recall(state, action, delta_t):
        ends = [table.get(tuple(s), np.zeros(2 * JOINTS)) for s in state.reshape(-1, 2 * JOINTS).tolist()]
        return torch.from_numpy(np.stack(ends)).reshape(state.shape)

    test_set = evaluation.build_test_set(None, [log], seed=0)
    assert list(test_set.rollouts) == ["20"]
    found = evaluation.one_step_errors(recall, test_set, log.spec)
    assert set(found["test_frequency"]) == {"20"} and found["relative_error"].max() < 1e-5
    result = evaluation.diagnose(recall, log, train_delta_t=0.05)
    assert result.own_error < 1e-5 and list(result.errors["bin"]) == ["all"] and result.ignores_delta_t
    assert isinstance(log.transitions(), Transitions)
