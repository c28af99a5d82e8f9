"""Trajectories on disk: what was predicted and what is true, by member; parts join, and others stay as they lie."""

import math

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from tdlib import evaluation
from tdlib.core.time_grid import delta_t_of
from tdlib.data import collect_random
from tdlib.evaluation.files.row_file import RowFile
from tdlib.evaluation.tables import MEMBER_COLUMNS, arm_of
from tdlib.figures.selection import shown_arms
from tdlib.models import build_model
from tdlib.planning import CEM
from tdlib.publish.examples import write_examples
from tdlib.speed import Stack
from tdlib.study.arms import Arm
from tdlib.study.presets import load_preset
from tdlib.systems import SYSTEMS

SYSTEM = SYSTEMS["CartPoleContinuous-v1"]
RATES = (10.0, 33.3, "irregular")
MEMBERS = [(Arm("jump", "baseline", train_frequency="10"), 0), (Arm("jump", "baseline", train_frequency="10"), 1),
           (Arm("jump", "baseline", train_frequency="50"), 1)]  # fmt: skip
NAMES = ["/".join([*arm.keys().values(), str(seed)]) for arm, seed in MEMBERS]
STARTS = 5


@pytest.fixture(scope="module")
def test_sets():
    def build(seed):
        sets = [collect_random(SYSTEM.spec.name, rate, seed, 300) for rate in (10.0, 50.0)]
        return evaluation.build_test_set(SYSTEM, sets, seed=seed, rates=RATES, num_pairs=16, num_starts=STARTS)

    return {seed: build(seed) for seed in (0, 1)}


@pytest.fixture(scope="module")
def stack():
    return Stack([build_model("jump", SYSTEM.spec, seed=i) for i in range(3)])


def evaluated(path, test_sets, stack, members=MEMBERS):
    file = evaluation.RolloutFile(path, SYSTEM.spec)
    own = {seed: test_sets[seed] for _, seed in members}
    evaluation.evaluate_stack(
        stack, members, own, SYSTEM, measures=["rollout"], options={"rollout": {"keep": file.add}}
    )
    return file


@pytest.fixture(scope="module")
def path(tmp_path_factory, test_sets, stack):
    path = tmp_path_factory.mktemp("files") / "rollouts.h5"
    assert evaluated(path, test_sets, stack).write(NAMES, (), "abc") == [path]
    return path


@pytest.mark.parametrize("rate", ["10", "33.3", "irregular"])
def test_what_is_stored_is_what_was_predicted_and_what_is_true(path, test_sets, stack, rate):
    found = evaluation.load_rollouts(path, rate)
    columns = [dict(arm_of(arm, seed, SYSTEM.spec.name)) for arm, seed in MEMBERS]
    pd.testing.assert_frame_equal(found.members, pd.DataFrame(columns)[list(found.members)], check_dtype=False)
    assert found.predicted.dtype == found.true.dtype == np.float32 and found.state_names == SYSTEM.spec.state_names
    assert found.predicted.shape == found.true.shape == (3, STARTS, found.delta_t.shape[-1] + 1, 4)
    for k, (_, seed) in enumerate(MEMBERS):
        asked = test_sets[seed].rollouts[rate]
        alone = evaluation.open_loop_rollout(stack, asked.state[None], asked.actions[None], asked.delta_t[None])[k]
        # members of one stack are predicted together: last bits of float32 depend on what else is in the batch
        assert np.allclose(found.predicted[k, :, 1:], alone.numpy(), rtol=2e-6, atol=2e-6)
        assert np.array_equal(found.predicted[k, :, 0], asked.state.numpy().astype(np.float32))
        state = asked.state
        for step in range(asked.delta_t.shape[1]):
            action, delta_t = (torch.from_numpy(x[k, :, step]).double() for x in (found.actions, found.delta_t))
            state = SYSTEM.flow(state, action, delta_t)
            error = np.abs(found.true[k, :, step + 1] - state.numpy())
            assert (error <= 1e-6 * np.maximum(1, np.abs(state.numpy()))).all()
    times = found.times[0, 0]
    assert times[0] == 0 and times[-1] == pytest.approx(1.0, abs=0.02)
    if rate != "irregular":
        assert np.allclose(np.diff(times), delta_t_of(float(rate)))
    assert not np.array_equal(found.true[0], found.true[1]) and np.array_equal(found.true[1], found.true[2])
    assert found.inside.dtype == bool and found.inside[:, :, 0].any()


def test_a_stored_error_is_the_one_in_the_table(path, test_sets, stack):
    table = evaluation.evaluate_stack(stack, MEMBERS, test_sets, SYSTEM, measures=["rollout"])["rollout_errors"]
    found = evaluation.load_rollouts(path, 10, {"train_frequency": 50})
    error = ((found.predicted[0, :, -1] - found.true[0, :, -1]).astype(np.float64) ** 2).mean(axis=0)
    row = table.query("train_frequency == '50' and test_frequency == '10' and dimension == 'x' and not truncated")
    assert error[0] == pytest.approx(row.loc[row["time"] == row["time"].max(), "mse"].item(), rel=1e-4)


def test_members_are_chosen_by_their_columns(path):
    assert evaluation.stored_rates(path) == ["10", "33.3", "irregular"]
    whole = evaluation.load_rollouts(path, 10)
    some = evaluation.load_rollouts(path, 10.0, {"seed": 1, "train_frequency": ["10", 50]})
    assert some.members["train_frequency"].tolist() == ["10", "50"] and some.members["seed"].tolist() == [1, 1]
    assert np.array_equal(some.predicted, whole.predicted[1:]) and np.array_equal(some.true, whole.true[1:])
    table = some.table(2)
    assert len(table) == 2 * 2 * 11 and set(table["start"]) == {0, 1} and set(table["test_frequency"]) == {"10"}
    row = table.query("train_frequency == '50' and start == 1 and step == 3")
    assert row["theta"].item() == whole.predicted[2, 1, 3, 2] and row["theta_true"].item() == whole.true[2, 1, 3, 2]
    assert row["time"].item() == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("rate", "where", "message"),
    [
        (20, None, r"test_frequency must be among \['10', '33.3', 'irregular'\], got '20'"),
        (10, {"seed": 7}, r"which have \{'seed': \['0', '1'\]\}, got \{'seed': 7\}"),
        (10, {"sed": 1}, "where must name columns among .*'seed'.*, got 'sed'"),
    ],
)
def test_what_is_not_there_is_refused(path, rate, where, message):
    with pytest.raises(ValueError, match=message):
        evaluation.load_rollouts(path, rate, where)


def test_a_missing_file_and_one_of_something_else_say_so(path, tmp_path):
    for load in (evaluation.load_rollouts, evaluation.load_episodes):
        with pytest.raises(FileNotFoundError, match="there is none at .*nothing.h5"):
            load(tmp_path / "nothing.h5", 10)
    with pytest.raises(ValueError, match="schema 'tdlib episodes 1', got 'tdlib rollouts 1'"):
        evaluation.load_episodes(path, 10)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(ValueError, match="schema 'tdlib rollouts 1', got None"):
        evaluation.stored_rates(tmp_path / "other.h5")


def test_truth_is_stored_once_per_seed_and_all_of_it_is_packed(path):
    with h5py.File(path) as file:
        assert file.attrs["columns"].tolist() == list(MEMBER_COLUMNS) and file.attrs["state_units"][0] == "m"
        assert file["predicted/10/unit"].asstr()[:].tolist() == NAMES
        assert file["predicted/10/git_commit"].asstr()[:].tolist() == ["abc"] * 3
        for rate in ("10", "33.3", "irregular"):
            assert file[f"true/{rate}/unit"].asstr()[:].tolist() == ["0", "1"]
            for name in ("states", "actions", "delta_t", "inside"):
                column = file[f"true/{rate}/{name}"]
                assert (column.compression, column.compression_opts, column.shuffle) == ("gzip", 1, True)
                assert column.chunks == (1, *column.shape[1:])
            assert file[f"predicted/{rate}/states"].chunks == (1, STARTS, file[f"true/{rate}/delta_t"].shape[2] + 1, 4)


def copy(path, target):
    target.write_bytes(path.read_bytes())
    return target


def commits(path):
    with h5py.File(path) as file:
        made = dict(zip(file["predicted/10/unit"].asstr()[:], file["predicted/10/git_commit"].asstr()[:], strict=True))
        return made, file["true/10/unit"].asstr()[:].tolist()


def test_parts_join_in_the_order_of_the_whole(path, test_sets, tmp_path):
    parts = tmp_path / "parts.h5"
    last = evaluated(parts, test_sets, Stack([build_model("jump", SYSTEM.spec, seed=2)]), MEMBERS[2:])
    last.write(NAMES, (), "abc")
    first = evaluated(parts, test_sets, Stack([build_model("jump", SYSTEM.spec, seed=i) for i in (0, 1)]), MEMBERS[:2])
    first.write(NAMES, {NAMES[2]}, "def")
    assert commits(parts) == ({NAMES[0]: "def", NAMES[1]: "def", NAMES[2]: "abc"}, ["0", "1"])
    for rate in evaluation.stored_rates(path):
        joined, whole = (evaluation.load_rollouts(each, rate) for each in (parts, path))
        pd.testing.assert_frame_equal(joined.members, whole.members)
        assert np.allclose(joined.predicted, whole.predicted, rtol=2e-6, atol=2e-6)
        assert np.array_equal(joined.true, whole.true) and np.array_equal(joined.inside, whole.inside)


def test_one_member_is_replaced_the_others_stay_and_those_that_fell_go(path, test_sets, tmp_path):
    other = copy(path, tmp_path / "other.h5")
    again = evaluated(other, test_sets, Stack([build_model("jump", SYSTEM.spec, seed=9)]), MEMBERS[1:2])
    again.write(NAMES, {NAMES[1], NAMES[2]}, "def")  # of seed 0 nothing stands
    assert commits(other) == ({NAMES[1]: "def", NAMES[2]: "abc"}, ["1"])
    before, after = (evaluation.load_rollouts(each, 10, {"seed": 1}) for each in (path, other))
    assert np.array_equal(after.predicted[1], before.predicted[1]) and np.array_equal(after.true, before.true)
    assert not np.allclose(after.predicted[0], before.predicted[0], rtol=1e-2)


def test_what_fails_leaves_the_old_file_and_nothing_else(path, test_sets, stack, tmp_path):
    other = copy(path, tmp_path / "other.h5")
    rows = RowFile(other, "tdlib rollouts 1", {})
    rows.add("predicted/10", NAMES[0], {"states": np.zeros((2, 3, 4), np.float32)})
    with pytest.raises(ValueError, match="'/predicted/10' must have the same arrays"):
        rows.write(NAMES, NAMES[1:], "def")
    with pytest.raises(ValueError, match="units must hold all that was added"):
        rows.write(NAMES[1:], NAMES[1:], "def")
    assert other.read_bytes() == path.read_bytes() and [p.name for p in tmp_path.iterdir()] == ["other.h5"]
    # nothing added: not written again; nothing left: the file goes
    assert evaluation.RolloutFile(other, SYSTEM.spec).write(NAMES, NAMES, "def") == [other]
    assert other.read_bytes() == path.read_bytes()
    assert evaluation.RolloutFile(other, SYSTEM.spec).write(NAMES, (), "def") == [] and not other.exists()
    same = evaluated(tmp_path / "same.h5", test_sets, stack)
    assert same.write(NAMES, (), "abc")[0].read_bytes() == path.read_bytes()  # equal content, equal file


@pytest.fixture(scope="module")
def controlled(stack):
    starts = torch.zeros(2, 4, dtype=torch.float64)
    starts[1, 2] = 0.2  # soon leaves its limits under a planner of chance
    settings = evaluation.ControlSettings(duration=1.0)
    planner = CEM(population=8, num_iterations=1)
    return evaluation.evaluate_control(stack, SYSTEM, 10, starts, num_members=3, planner=planner, settings=settings)


SETTING = "/10/10/cem"


def test_the_rewards_of_an_episode_sum_to_its_return(controlled, stack):
    assert controlled.reward.shape == (3, 2, 10)
    assert torch.allclose(controlled.reward.sum(dim=-1), controlled.episode_return, rtol=1e-12)
    left = controlled.exit_time.isfinite()
    assert left.any()
    for m, e in left.nonzero().tolist():
        assert (controlled.reward[m, e, math.ceil(controlled.exit_time[m, e] / 0.1 - 1e-9) :] == 0).all()
    # recorded more finely where the model steps finer: still one reward per control step
    settings = evaluation.ControlSettings(duration=0.4, model_delta_t=0.05)
    fine = evaluation.evaluate_control(
        stack,
        SYSTEM,
        10,
        torch.zeros(1, 4),
        num_members=3,
        planner=CEM(population=8, num_iterations=1),
        settings=settings,
    )
    assert fine.reward.shape == (3, 1, 4) and torch.allclose(fine.reward.sum(dim=-1), fine.episode_return, rtol=1e-12)


def test_every_episode_is_stored(controlled, tmp_path):
    path, units = tmp_path / "episodes.h5", [name + SETTING for name in NAMES]
    file = evaluation.EpisodeFile(path, SYSTEM.spec)
    with pytest.raises(ValueError, match="one per member: 3, got 2"):
        file.add(units[:2], controlled)
    file.add(units[1:], controlled.members([1, 2]))
    assert file.write(units, (), "abc") == [path]
    file.add(units[:1], controlled.members([0]))
    file.write(units, units[1:], "def")
    assert evaluation.stored_settings(path) == [("10", "10", "cem")]
    found = evaluation.load_episodes(path, 10)
    assert found.members["seed"].tolist() == [0, 1, 1] and set(found.members["planner"]) == {"cem"}
    for name in ("states", "actions", "reward", "exit_time"):
        assert np.array_equal(getattr(found, name), getattr(controlled, name).numpy().astype(np.float32))
    assert np.allclose(found.times, controlled.times.numpy())
    one = evaluation.load_episodes(path, 10, {"train_frequency": 50}, planner="cem")
    assert np.array_equal(one.states, found.states[2:])
    for asked in ({"control_frequency": 20}, {"control_frequency": 10, "planner": "mppi"},
                  {"control_frequency": 10, "model_frequency": 20}):  # fmt: skip
        with pytest.raises(ValueError, match=r"must be one of \[\('10', '10', 'cem'\)\], got"):
            evaluation.load_episodes(path, **asked)
    raw = sum(getattr(found, name).nbytes for name in ("states", "actions", "reward", "exit_time"))
    assert path.stat().st_size < raw + 40_000  # what HDF5 adds to arrays of a few kB


def test_the_edition_holds_three_per_cell(path, controlled, tmp_path):
    preset = load_preset("quick").model_copy(update={"seeds": (1, 0), "train_frequencies": (10.0, 20.0)})
    run, edition = tmp_path / "run", tmp_path / "edition"
    run.mkdir()
    copy(path, run / "x-jump-rollouts.h5")
    other = evaluation.RolloutFile(run / "x-jump-rollouts.h5", SYSTEM.spec)
    other.write(NAMES, NAMES[:2], "def")
    file = evaluation.EpisodeFile(run / "x-jump-episodes.h5", SYSTEM.spec)
    model, method, form, trained = shown_arms()[0]
    shown = "/".join([*Arm(model, method, form, train_frequency=trained).keys().values(), "1"])
    units = [f"{name}/10/{step}/cem" for name, step in ((shown, 10), (shown, 20), (shown.removesuffix("1") + "0", 10))]
    file.add(units, controlled)
    file.write(units, (), "abc")
    written = write_examples(run, edition, preset)
    assert {each.name for each in written} == {"x-jump-rollouts.h5", "x-jump-episodes.h5"}
    assert evaluation.stored_rates(edition / "x-jump-rollouts.h5") == ["10"]
    found, whole = (evaluation.load_rollouts(folder / "x-jump-rollouts.h5", 10) for folder in (edition, run))
    assert whole.members["seed"].tolist() == [0, 1] and found.members["seed"].tolist() == [1]
    assert np.array_equal(found.predicted, whole.predicted[1:, :3]) and np.array_equal(found.true, whole.true[1:, :3])
    assert commits(edition / "x-jump-rollouts.h5") == ({NAMES[1]: "abc"}, ["1"])
    assert evaluation.stored_settings(edition / "x-jump-episodes.h5") == [("10", "10", "cem")]
    episodes = evaluation.load_episodes(edition / "x-jump-episodes.h5", 10)
    assert len(episodes.members) == 1
    assert np.array_equal(episodes.states, controlled.states[:1].numpy().astype(np.float32))
