"""Data: files are whole and say what they hold, episodes are kept as they happened, splits and histories are exact."""

import csv
import dataclasses
import html
import os
import signal
import subprocess
import sys
import textwrap
import time

import h5py
import numpy as np
import pytest
import torch

from tdlib.core.specs import state_difference
from tdlib.data import (
    DatasetError,
    RateError,
    TransitionTorchDataset,
    branched_set,
    check_dataset,
    collect_random,
    draw_pairs,
    load_dataset,
    load_splits,
    log_uniform_set,
    save_dataset,
    split_episodes,
    subset_seconds,
    subset_transitions,
    true_histories,
    write_branched,
    write_random,
    write_splits,
)
from tdlib.data import verify as verification
from tdlib.data.schema import FIELDS
from tdlib.systems import SYSTEMS

ENVS = ("Pendulum-v1", "CartPole-v1", "CartPoleContinuous-v1")


@pytest.fixture(scope="module", params=ENVS)
def random_set(request):
    return collect_random(request.param, 20, 0, 1001)


def same_rows(a, b):
    names = (*FIELDS, "episode_offsets", "episode_id")
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in names)


# --- files -----------------------------------------------------------------------------------------------------------


def test_round_trip_keeps_every_bit(random_set, tmp_path):
    path = save_dataset(random_set, tmp_path / "set.h5")
    loaded = load_dataset(path, 20)
    assert same_rows(random_set, loaded)
    assert loaded.spec == random_set.spec and loaded.control_frequency == 20
    assert loaded.attributes["seed"] == 0 and loaded.attributes["content_hash"]
    assert os.listdir(tmp_path) == ["set.h5"]


def test_another_rate_is_an_error_or_a_choice(random_set, tmp_path):
    path = save_dataset(random_set, tmp_path / "set.h5")
    with pytest.raises(RateError, match="control_frequency must be the rate of set.h5, 20 Hz, got 50 Hz"):
        load_dataset(path, 50)
    assert load_dataset(path, 50, allow_other_rate=True).control_frequency == 20


def test_other_schema_cut_file_and_missing_file_are_named(random_set, tmp_path):
    path = save_dataset(random_set, tmp_path / "set.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.attrs["schema"] = "something else"
    rule = "other.h5: schema must be 'tdlib transitions' version 1, got 'something else'"
    with pytest.raises(DatasetError, match=rule):
        load_dataset(tmp_path / "other.h5")
    (tmp_path / "cut.h5").write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DatasetError, match="complete HDF5 file"):
        load_dataset(tmp_path / "cut.h5")
    (tmp_path / "text.h5").write_text("not HDF5")
    with pytest.raises(DatasetError, match="complete HDF5 file"):
        load_dataset(tmp_path / "text.h5")
    with pytest.raises(DatasetError, match="existing HDF5 file"):
        load_dataset(tmp_path / "none.h5")
    with h5py.File(path, "a") as file:
        del file["reward"]
    with pytest.raises(DatasetError, match="missing \\['reward'\\]"):
        load_dataset(path)


@pytest.mark.parametrize("column", ["state", "next_state", "action", "reward", "delta_t", "observation"])
def test_nan_is_refused_when_written_and_when_read(random_set, tmp_path, column):
    broken = getattr(random_set, column).copy()
    broken.reshape(len(broken), -1)[7, 0] = np.nan
    with pytest.raises(DatasetError, match=f"{column} must be finite, got .*nan.* in row 7"):
        save_dataset(dataclasses.replace(random_set, **{column: broken}), tmp_path / "bad.h5")
    assert not list(tmp_path.iterdir())
    path = save_dataset(random_set, tmp_path / "set.h5")
    with h5py.File(path, "a") as file:
        file[column][...] = broken
    with pytest.raises(DatasetError, match=f"{column} must be finite"):
        load_dataset(path)


def test_a_changed_number_is_noticed(random_set, tmp_path):
    path = save_dataset(random_set, tmp_path / "set.h5")
    with h5py.File(path, "a") as file:
        file["reward"][3] = 1.25
    with pytest.raises(DatasetError, match="content_hash"):
        load_dataset(path)


def test_wrong_shapes_order_rate_and_angles_are_refused(random_set):
    for change, message in (
        ({"action": np.zeros((len(random_set), 2))}, "action must have shape"),
        ({"episode_offsets": np.array([0, 5, 5, len(random_set)])}, "episode_offsets must rise"),
        ({"kind": "pairs"}, "kind must be one of"),
        ({"control_frequency": 50.0}, "delta_t must be at most 0.02 s"),
        ({"control_frequency": 10.0}, "except for the last row"),
        ({"state": random_set.state + 7.0}, "must be wrapped"),
    ):
        with pytest.raises(DatasetError, match=message):
            check_dataset(dataclasses.replace(random_set, **change))


def test_a_failure_while_writing_leaves_the_old_file_whole(random_set, tmp_path, monkeypatch):
    path = save_dataset(random_set, tmp_path / "set.h5")
    before = path.read_bytes()
    monkeypatch.setattr("tdlib.data.storage.content_hash", lambda dataset: 1 / 0)  # the last thing that is written
    with pytest.raises(ZeroDivisionError):
        save_dataset(subset_transitions(random_set, 100, seed=0), path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["set.h5"]


def test_a_kill_while_writing_leaves_the_old_file_whole(tmp_path):
    path = save_dataset(collect_random("Pendulum-v1", 20, 0, 400), tmp_path / "set.h5")
    before = path.read_bytes()
    script = textwrap.dedent("""
        import sys, time
        import tdlib.data.storage as storage
        from tdlib.data import collect_random, save_dataset
        def stall(dataset):
            print("writing", flush=True)
            time.sleep(60)
        storage.content_hash = stall
        save_dataset(collect_random("Pendulum-v1", 20, 1, 400), sys.argv[1])
    """)
    process = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline().strip() == "writing"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert path.read_bytes() == before
    assert load_dataset(path).attributes["seed"] == 0
    assert len(verification.verify_files(tmp_path)) == 1  # the abandoned temporary file is not taken for data


# --- rows, selections, splits ---------------------------------------------------------------------------------------


def test_steps_cut_short_are_counted_and_left_out(random_set):
    delta_t = random_set.delta_t.copy()
    last = random_set.episode_offsets[1:] - 1
    delta_t[last[::2]] *= 0.4
    cut = check_dataset(dataclasses.replace(random_set, delta_t=delta_t))
    assert cut.num_cut_short == len(last[::2])
    batch, offsets = cut.transitions_with_offsets()
    assert len(batch) == len(cut) - cut.num_cut_short == offsets[-1] and len(offsets) == cut.num_episodes + 1
    assert torch.allclose(batch.delta_t, torch.tensor(0.05, dtype=torch.float64))
    assert len(TransitionTorchDataset(cut)) == len(batch)
    assert TransitionTorchDataset(cut)[0]["state"].dtype == torch.float32


def test_splits_are_by_episode_disjoint_and_complete(random_set, tmp_path):
    path = tmp_path / "set.h5"
    write_splits(random_set, path, seed=3)
    parts = load_splits(path, 20)
    ids = np.concatenate([part.episode_id for part in parts.values()])
    assert sorted(ids) == list(range(random_set.num_episodes))
    assert sum(len(part) for part in parts.values()) == len(random_set)
    assert len(split_episodes(random_set, 3)["val"]) == len(parts["val"])
    for part in parts.values():
        for i, episode in enumerate(part.episode_id):
            assert np.array_equal(part.state[part.episode(i)], random_set.state[random_set.episode(episode)])
    other = split_episodes(random_set, 4)
    assert random_set.num_episodes < 10 or not np.array_equal(other["train"].episode_id, parts["train"].episode_id)


def test_split_fractions_and_smallest_set():
    dataset = collect_random("Pendulum-v1", 10, 0, 10000)
    sizes = {split: part.num_episodes for split, part in split_episodes(dataset, 0).items()}
    assert sizes == {"train": 70, "val": 15, "test": 15}
    with pytest.raises(DatasetError, match="at least 3 episodes"):
        split_episodes(dataset.select_episodes([0, 1]), 0)


def test_equal_transitions_and_equal_seconds(random_set):
    part = check_dataset(subset_transitions(random_set, 333, seed=1))
    assert len(part) == 333 and (part.truncated | part.terminated)[part.episode_offsets[1:] - 1].all()
    assert abs(subset_seconds(random_set, 10.0, seed=1).seconds - 10.0) < 1e-9
    with pytest.raises(ValueError, match="num_transitions must be in 1"):
        subset_transitions(random_set, 5000, seed=1)


# --- sets without a policy --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("env", "rate"), [("Pendulum-v1", 33.3), ("CartPole-v1", 16), ("CartPoleContinuous-v1", 25)])
def test_random_sets_are_exact_reproducible_and_pass_verification(env, rate):
    dataset = collect_random(env, rate, 5, 1500)
    assert len(dataset) == 1500 and same_rows(dataset, collect_random(env, rate, 5, 1500))
    assert not np.array_equal(dataset.state[:9], collect_random(env, rate, 6, 200).state[:9])
    failed = [f for f in verification.verify_dataset(dataset) if f.ok is False]
    assert not failed
    assert (~dataset.episode_complete).sum() <= 2


@pytest.mark.parametrize("env", ["CartPole-v1", "CartPoleContinuous-v1"])
def test_random_episodes_are_long_enough_for_windows_and_their_states_fill_the_limits(env):
    for rate, allowed in ((10, 0.25), (20, 0.05), (50, 0.01)):
        dataset = collect_random(env, rate, 0, 6000)
        assert verification.short_share(dataset) < allowed, rate
        high = np.quantile(np.abs(dataset.state), 0.99, axis=0)
        assert high[0] > 1.5 and high[2] > 0.15, rate  # limits are 2.4 m and 0.209 rad
        ended = dataset.terminated[dataset.episode_offsets[1:] - 1].mean()
        assert 0.02 < ended < 0.98, rate  # the feedback neither always fails nor holds the pole for ever
        longest = SYSTEMS[env].collection.random_inputs.longest
        assert (dataset.episode_lengths <= round(longest * rate)).all()


def test_a_set_of_short_episodes_is_reported_and_fails_where_it_must_not_be(monkeypatch):
    system = SYSTEMS["CartPoleContinuous-v1"]
    inputs = dataclasses.replace(system.collection.random_inputs, feedback=(0.0,) * 4, amplitude=1.0, spread=1.0)
    collection = dataclasses.replace(system.collection, random_inputs=inputs)
    monkeypatch.setitem(SYSTEMS, system.spec.name, dataclasses.replace(system, collection=collection))
    dataset = collect_random(system.spec.name, 10, 0, 2000)
    rows = np.repeat(dataset.episode_lengths, dataset.episode_lengths)
    assert verification.short_share(dataset) == pytest.approx((rows < 8).mean())

    def finding(**options):
        found = verification.verify_dataset(dataset, **options)
        return next(f for f in found if f.check == "rows in short episodes")

    assert finding().ok is None and finding(require_long=True).ok is False


def test_branches_share_their_start_and_are_the_flow(random_set):
    states, actions, _ = draw_pairs([random_set, random_set], 50, seed=0)
    delta_ts = [0.1, 0.05, 0.02]
    branched = check_dataset(branched_set(random_set.spec.name, states, actions, delta_ts))
    assert len(branched) == 150 and branched.num_episodes == 50
    assert np.array_equal(branched.state.reshape(50, 3, -1)[:, 0], branched.state.reshape(50, 3, -1)[:, 2])
    system = SYSTEMS[random_set.spec.name]
    for k, delta_t in enumerate(delta_ts):
        truth = system.flow(states, actions, delta_t).numpy()
        assert np.abs(branched.next_state.reshape(50, 3, -1)[:, k] - truth).max() < 1e-12
    spread = log_uniform_set(random_set.spec.name, states, actions, seed=0, draws=40)
    assert 0.02 <= spread.delta_t.min() and spread.delta_t.max() <= 0.1
    # log-uniform: half of the draws lie below the geometric mean
    assert abs((spread.delta_t < (0.02 * 0.1) ** 0.5).mean() - 0.5) < 0.05
    with pytest.raises(ValueError, match="num_pairs"):
        draw_pairs([random_set], 5000, seed=0)
    with pytest.raises(DatasetError, match="kind 'episodes'"):
        true_history(branched, 0, 0.0, 0.1)


def test_written_sets_belong_together(tmp_path):
    sources = {}
    for rate in (10, 20, 50):
        path = write_random("CartPole-v1", rate, 0, 600, tmp_path / f"{rate}hz")
        for split, part in load_splits(path, rate).items():
            sources.setdefault(split, []).append(part)
    paths = write_branched("CartPole-v1", sources, 0, tmp_path / "branched")
    smallest = min(len(part) for part in sources["train"])
    assert len(load_dataset(paths["log_uniform_train"])) == smallest
    assert 0 <= smallest - len(load_dataset(paths["train"])) < 3
    assert verification.passed(verification.verify_files(tmp_path))
    before = load_dataset(tmp_path / "10hz" / "dataset_10hz.h5").attributes["content_hash"]
    again = load_dataset(write_random("CartPole-v1", 10, 0, 600, tmp_path / "10hz"))
    assert again.attributes["content_hash"] == before


# --- histories --------------------------------------------------------------------------------------------------------


def true_history(dataset, episode, time, delta_t, num_steps=8):
    return true_histories(dataset, np.array([episode]), np.array([time]), delta_t, num_steps).map(lambda x: x[0])


def longest(dataset):
    return int(dataset.episode_lengths.argmax())


def test_history_at_the_data_rate_is_the_data(random_set):
    episode = longest(random_set)
    rows = random_set.episode(episode)
    history = true_history(random_set, episode, float(random_set.t[rows][10]), 0.05, 8)
    assert np.array_equal(history.states.numpy(), random_set.state[rows][2:10])
    assert np.abs(history.actions.numpy() - random_set.action[rows][2:10]).max() < 1e-9
    assert history.mask.all() and (history.delta_t == 0.05).all()
    early = true_history(random_set, episode, float(random_set.t[rows][3]), 0.05, 8)
    assert early.mask.tolist() == [False] * 5 + [True] * 3 and early.states.isfinite().all()


@pytest.mark.parametrize("delta_t", [0.01, 0.02, 0.03, 0.05])
def test_history_finer_than_the_data_leads_to_the_state(random_set, delta_t):
    episode = longest(random_set)
    rows = random_set.episode(episode)
    time_now = float(random_set.t[rows][12])
    history = true_history(random_set, episode, time_now, delta_t, 4)
    system = SYSTEMS[random_set.spec.name]
    if delta_t in (0.02, 0.03):  # steps straddle the holds of 50 ms: compare with the states of a history of 10 ms
        fine = true_history(random_set, episode, time_now, 0.01, 12)
        every = round(delta_t / 0.01)
        assert torch.allclose(fine.states[12 - 4 * every :: every], history.states, atol=1e-9)
        return
    state = history.states[0]
    for action in history.actions:
        state = system.flow(state, action, delta_t)
    truth = torch.from_numpy(random_set.state[rows][12])
    assert state_difference(state, truth, random_set.spec).abs().max() < 1e-7  # substeps differ from those of the data


def test_history_coarser_than_the_data_averages_the_input(random_set):
    episode = longest(random_set)
    rows = random_set.episode(episode)
    history = true_history(random_set, episode, float(random_set.t[rows][12]), 0.1, 4)
    assert np.array_equal(history.states.numpy(), random_set.state[rows][4:12:2])
    first, second = random_set.action[rows][4:12:2], random_set.action[rows][5:12:2]
    # of two indices held equally long the later counts
    expected = second if random_set.spec.discrete else (first + second) / 2
    assert np.abs(history.actions.numpy() - expected).max() < 1e-9


def test_histories_in_a_batch_equal_single_ones_and_take_irregular_steps(random_set):
    generator = np.random.default_rng(0)
    episodes = generator.integers(0, random_set.num_episodes, 20)
    last = random_set.episode_offsets[episodes + 1] - 1
    times = generator.uniform(0, random_set.t[last] + random_set.delta_t[last])
    batch = true_histories(random_set, episodes, times, 0.03, 5)
    for i in range(20):
        single = true_history(random_set, episodes[i], times[i], 0.03, 5)
        assert torch.equal(batch.states[i], single.states) and torch.equal(batch.mask[i], single.mask)
    irregular = true_histories(random_set, episodes, times, np.full((20, 5), 0.03), 5)
    assert torch.allclose(irregular.states, batch.states)
    with pytest.raises(ValueError, match="times must lie inside episode"):
        true_history(random_set, 0, 99.0, 0.1)
    with pytest.raises(ValueError, match="episodes must be in"):
        true_history(random_set, 10**6, 0.0, 0.1)


# --- collection -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[("Pendulum-v1", 20), ("CartPole-v1", 50)])
def collected(request, tmp_path_factory):
    from tdlib.data.sources.ppo import collect_ppo

    env, rate = request.param
    folder = tmp_path_factory.mktemp("ppo")
    calls = []
    path = collect_ppo(env, rate, 0, 2001, folder, lambda done, total: calls.append((done, total)))
    assert calls[-1] == (2001, 2001)
    return env, rate, path


def test_collection_has_exactly_n_true_transitions(collected):
    env, rate, path = collected
    dataset = load_dataset(path, rate)
    assert len(dataset) == 2001
    assert not [f for f in verification.verify_dataset(dataset) if f.ok is False]  # flow, continuity, order, limits
    ends = dataset.episode_offsets[1:] - 1
    assert (dataset.terminated | dataset.truncated)[ends].all()
    assert (dataset.terminated | dataset.truncated).sum() == dataset.num_episodes
    assert (~dataset.episode_complete).sum() <= 4  # at most one episode per environment is cut by N
    assert (dataset.t[dataset.episode_offsets[:-1]] == 0).all()
    if env == "CartPole-v1":
        left = dataset.terminated
        outside = SYSTEMS[env].outside(torch.from_numpy(dataset.next_state)).numpy()
        assert outside[left].mean() > 0.9  # the true last state, not that after the reset
        assert np.isfinite(dataset.exit_time[left]).all()
        assert np.isinf(dataset.exit_time[~left]).all()


def test_collection_leaves_its_files(collected):
    from tdlib.data.sources.policy import load_policy

    env, rate, path = collected
    names = {p.name for p in path.parent.iterdir()}
    stem = f"final_dataset_{rate}hz"
    assert {f"{stem}.h5", f"{stem}_train.h5", f"{stem}_val.h5", f"{stem}_test.h5"} <= names
    assert {"final_model.zip", "policy.pth", "policy.yaml", "tensorboard"} <= names
    assert any((path.parent / "tensorboard").iterdir())
    if env == "CartPole-v1":
        saved = sorted(p.name for p in (path.parent / "checkpoints").iterdir()) if "checkpoints" in names else []
        assert len(saved) == load_dataset(path).episode_complete.sum() // 100
    assert (path.parent / "final_model.zip").stat().st_size < 10**6  # weights, not the data
    policy = load_policy(path.parent)
    from stable_baselines3 import PPO

    observation = load_dataset(path).observation[:50]
    expected, _ = PPO.load(path.parent / "final_model.zip", device="cpu").predict(observation, deterministic=True)
    chosen = policy(torch.from_numpy(observation)).detach().numpy()
    assert np.allclose(chosen.reshape(50), expected.reshape(50), atol=1e-5)
    with pytest.raises(DatasetError, match="missing policy.pth"):
        load_policy(path.parent / "tensorboard")


def test_a_collection_that_fails_leaves_the_one_before_whole(collected, monkeypatch):
    from tdlib.data.sources import ppo as collection

    env, rate, path = collected
    monkeypatch.setattr(collection, "_agent", lambda *a: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        collection.collect_ppo(env, rate, 0, 2002, path.parent)
    assert len(load_dataset(path, rate)) == 2001


def planted(monkeypatch, slopes):
    """Let the k-th agent's return change by slopes[k] per transition over what its collection gave."""
    from tdlib.data.sources import ppo as collection

    monkeypatch.undo()  # the one planted before
    train, seeds = collection._train, []

    def trained(collector, settings, rate, seed, *others):
        agent, dataset = train(collector, settings, rate, seed, *others)
        slope = slopes[len(seeds)]
        seeds.append(seed)
        return agent, dataclasses.replace(dataset, reward=dataset.reward + slope * np.arange(len(dataset)))

    monkeypatch.setattr(collection, "_train", trained)
    return collection.collect_ppo, seeds


def test_an_agent_without_a_gain_is_replaced_by_rule_and_every_attempt_is_kept_in_mind(tmp_path, monkeypatch):
    from tdlib.data.sources.attempts import MAX_ATTEMPTS, agent_seed, read_attempts

    wanted = [agent_seed(3, "CartPole-v1", 20, k) for k in range(1, MAX_ATTEMPTS + 1)]
    assert len(set(wanted)) == MAX_ATTEMPTS
    collect, seeds = planted(monkeypatch, [-1.0, 1.0])
    dataset = load_dataset(collect("CartPole-v1", 20, 3, 400, tmp_path / "second", require_gain=True))
    assert seeds == wanted[:2] and dataset.attributes["attempt"] == 2
    tried = read_attempts(dataset)
    assert [t.gained for t in tried] == [False, True] and [t.agent_seed for t in tried] == seeds
    assert tried[0].last_return < tried[0].first_return and tried[1].last_ci_low > tried[1].first_return
    assert not failed(dataset, require_gain=True)
    assert read_attempts(load_dataset(tmp_path / "second" / "final_dataset_20hz_test.h5")) == tried

    collect, seeds = planted(monkeypatch, [-1.0] * 9)
    dataset = load_dataset(collect("CartPole-v1", 20, 3, 400, tmp_path / "none", require_gain=True))
    assert seeds == wanted and dataset.attributes["attempt"] == MAX_ATTEMPTS  # no more than these, and it goes on
    collect, seeds = planted(monkeypatch, [-1.0] * 9)
    assert load_dataset(collect("CartPole-v1", 20, 3, 400, tmp_path / "any")).attributes["attempt"] == 1


def test_one_agent_without_a_gain_is_reported_and_does_not_stop_a_run(tmp_path, monkeypatch):
    from tdlib.study.phases import data_check
    from tdlib.study.presets import load_preset
    from tdlib.study.run import Run, RunLayout

    preset = load_preset("smoke").model_copy(update={"environments": ("CartPole-v1",)})
    collection = preset.collection.model_copy(update={"require_gain": True})
    run = Run(preset.model_copy(update={"collection": collection}), RunLayout(tmp_path))
    sets = []
    for rate, slope in ((10, 1.0), (20, -1.0), (50, 1.0)):
        collect, _ = planted(monkeypatch, [slope] * 9)
        sets.append((0, rate, "ppo", collect("CartPole-v1", rate, 0, 400, tmp_path / str(rate), require_gain=True)))
    monkeypatch.setattr(data_check, "whole_sets", lambda *arguments: sets)
    table = data_check.check_data(run, "CartPole-v1")
    assert table.query("ok == False")[["check", "control_frequency"]].to_numpy().tolist() == [
        ["return over time", "20"]
    ]
    at_20 = table[table["control_frequency"].eq("20") & table["check"].str.startswith("attempt")]
    assert (
        list(at_20["check"]) == ["attempt 1", "attempt 2", "attempt 3"] and at_20["value"].str.contains("no gain").all()
    )
    shown = data_check.table_of_checks(table)
    assert shown.table.loc["return over time", "sets"] == 3 and max(map(len, shown.table["rule"])) > 50
    assert all(html.escape(rule) in shown._repr_html_() for rule in shown.table["rule"])  # pandas cuts words
    attempts = data_check.load_attempts(run, "CartPole-v1")
    assert list(attempts["control_frequency"]) == ["10", "20", "20", "20", "50"]
    assert list(attempts["gained"]) == [True, False, False, False, True]
    sets.append(sets[1])  # two of four are too many
    with pytest.raises(data_check.DataCheckError, match="return over time"):
        data_check.check_data(run, "CartPole-v1")


def test_learning_table_has_a_row_per_fifth(collected, tmp_path):
    from tdlib.data.sources.learning import main

    env, rate, path = collected
    assert main([str(tmp_path / "learning.csv"), str(path)]) == 0
    with open(tmp_path / "learning.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["part"] for row in rows] == ["0.2", "0.4", "0.6", "0.8", "1.0"]
    assert {(row["env"], row["control_frequency"], row["transitions"]) for row in rows} == {(env, str(rate), "2001")}
    assert sum(int(row["n_episodes"]) for row in rows) == load_dataset(path).episode_complete.sum()
    assert f"--env {env} --rate {rate} --seed 0 --transitions 2001" in (tmp_path / "learning.json").read_text()


def test_same_seed_same_bits_and_another_seed_other_data(tmp_path):
    from tdlib.data.sources.ppo import collect_ppo

    sets = [load_dataset(collect_ppo("CartPole-v1", 20, s, 400, tmp_path / str(i))) for i, s in enumerate((0, 0, 1))]
    assert same_rows(sets[0], sets[1]) and sets[0].attributes["content_hash"] == sets[1].attributes["content_hash"]
    assert not np.array_equal(sets[0].state[:50], sets[2].state[:50])


@pytest.mark.parametrize("env", ["Pendulum-v1", "CartPole-v1"])
def test_the_written_out_policy_is_the_library_s(env):
    from tdlib.data.sources import ppo as collection
    from tdlib.data.sources.ppo_settings import ppo_settings
    from tdlib.systems.task import NUM_ENVS

    collector = collection.MultiFrequencyDataCollector(SYSTEMS[env], 20, 500)
    agent = collection._agent(collector, ppo_settings(env, 20), 0.05, 500, 0)
    own, theirs = agent.policy, type(agent.policy)
    assert own.forward.__func__ is not theirs.forward
    if own.use_sde:
        own.reset_noise(NUM_ENVS)
    observation = torch.randn(NUM_ENVS, collector.observation_space.shape[0])
    for _ in range(2):
        torch.manual_seed(1)
        with torch.no_grad():
            expected = theirs.forward(own, observation)
        torch.manual_seed(1)
        found = own.forward(observation)
        for x, y in zip(found, expected, strict=True):
            assert x.shape == y.shape and x.dtype == y.dtype
            torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-5)
        # scores, and the gradients that they give
        many = torch.randn(64, observation.shape[1])
        actions = torch.randint(0, 2, (64,)) if SYSTEMS[env].spec.discrete else torch.randn(64, 1)
        gradients = []
        for score in (own.evaluate_actions, lambda *x: theirs.evaluate_actions(own, *x)):
            own.zero_grad()
            parts = score(many, actions)
            sum((i + 1) * part.pow(2).mean() for i, part in enumerate(parts)).backward()
            gradients.append([part.detach() for part in parts] + [p.grad.clone() for p in own.parameters()])
        for x, y in zip(*gradients, strict=True):
            torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-5)
        own.optimizer.step()  # acting follows the parameters


def test_the_record_is_taken_below_normalizing_wrappers():
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import VecNormalize

    from tdlib.data.sources.ppo import MultiFrequencyDataCollector

    collector = MultiFrequencyDataCollector(SYSTEMS["Pendulum-v1"], 10, 900, reward_scale=0.01)
    PPO("MlpPolicy", VecNormalize(collector), n_steps=64, batch_size=64, n_epochs=1, seed=0, device="cpu").learn(1024)
    dataset = check_dataset(collector.recorder.dataset(10, {}))
    assert len(dataset) == 900
    theta, omega = dataset.state.T
    assert np.allclose(dataset.observation, np.stack([np.cos(theta), np.sin(theta), omega], 1), atol=1e-6)
    outcome = SYSTEMS["Pendulum-v1"].simulate(*(torch.from_numpy(c) for c in (dataset.state, dataset.action)), 0.1)
    assert np.allclose(dataset.reward, outcome.reward.numpy(), atol=1e-9)
    assert np.allclose(dataset.next_state, outcome.next_state.numpy(), atol=1e-9)


def test_settings_are_in_seconds_and_bad_arguments_are_named(tmp_path):
    from tdlib.data.sources.ppo import collect_ppo, main
    from tdlib.data.sources.ppo_settings import ppo_settings

    settings = ppo_settings("Pendulum-v1", 20)
    assert settings.discount(0.1) == pytest.approx(settings.discount(0.05) ** 2)
    assert settings.trace_decay(0.02) == pytest.approx(settings.trace_decay(0.04) ** 0.5)
    assert ppo_settings("CartPole-v1", 100) is SYSTEMS["CartPole-v1"].collection.ppo[50]
    for arguments, message in (
        (("CartPoleContinuous-v1", 20, 0, 500), "env must be one of"),
        (("Pendulum-v1", -1, 0, 500), "control_frequency must be positive"),
        (("Pendulum-v1", 20, -1, 500), "seed must be a whole number"),
        (("Pendulum-v1", 20, 0, 5), "num_transitions must be a whole number >= 100"),
    ):
        with pytest.raises(ValueError, match=message):
            collect_ppo(*arguments, tmp_path)
    with pytest.raises(SystemExit):
        main(["--env", "Acrobot-v1", "--rate", "20", "--out", str(tmp_path)])
    assert not list(tmp_path.iterdir())


# --- verification -----------------------------------------------------------------------------------------------------


def failed(dataset, **options):
    return {f.check for f in verification.verify_dataset(dataset, **options) if f.ok is False}


def test_verification_finds_what_is_wrong():
    good = collect_random("Pendulum-v1", 20, 0, 4000)
    assert not failed(good)
    shifted = good.next_state.copy()
    shifted[:, 1] += 1e-6
    assert failed(dataclasses.replace(good, next_state=shifted)) >= {"truth", "continuity"}
    wild = good.next_state.copy()
    wild[11, 1] += 1e4
    assert "outliers" in failed(dataclasses.replace(good, next_state=wild))
    assert "actions" in failed(dataclasses.replace(good, action=good.action * 2))
    assert "spread" in failed(dataclasses.replace(good, state=np.zeros_like(good.state)))
    assert "schema, shapes, NaN" in failed(dataclasses.replace(good, reward=np.full(4000, np.nan)))
    assert "return over time" not in failed(good) and "return over time" in failed(good, require_gain=True)
    rising = good.reward + np.linspace(0, 20, 4000)
    assert "return over time" not in failed(dataclasses.replace(good, reward=rising), require_gain=True)


def test_verify_command_has_an_exit_code(tmp_path, capsys):
    path = save_dataset(collect_random("CartPole-v1", 20, 0, 2000), tmp_path / "set.h5")
    assert verification.main([str(path)]) == 0 and "ok   truth" in capsys.readouterr().out
    (tmp_path / "cut.h5").write_bytes(path.read_bytes()[:5000])
    assert verification.main([str(tmp_path), "--json"]) == 1
    assert "complete HDF5 file" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        verification.main([str(tmp_path / "nothing")])


# --- other formats ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("env", ["Pendulum-v1", "CartPole-v1"])
def test_minari_round_trip(env, tmp_path):
    from tdlib.data.sources.minari import export_minari, import_minari

    dataset = collect_random(env, 10, 0, 300)
    folder = export_minari(dataset, tmp_path, "tdlib/random-10hz-v0")
    assert same_rows(dataset, import_minari(folder)) and import_minari(folder).spec == dataset.spec
    with pytest.raises(ValueError, match="exists"):
        export_minari(dataset, tmp_path, "tdlib/random-10hz-v0")
    with pytest.raises(DatasetError, match="folder of a Minari data set"):
        import_minari(tmp_path)


def test_foreign_minari_set_recovers_the_angle(tmp_path):
    import json

    from tdlib.data.sources.minari import export_minari, import_minari

    dataset = collect_random("Pendulum-v1", 20, 0, 400)
    folder = export_minari(dataset, tmp_path, "foreign-v0")
    metadata = json.loads((folder / "data" / "metadata.json").read_text())
    (folder / "data" / "metadata.json").write_text(
        json.dumps({key: value for key, value in metadata.items() if not key.startswith("tdlib")})
    )
    with pytest.raises(DatasetError, match="spec and control_frequency must be given"):
        import_minari(folder)
    foreign = import_minari(folder, spec=dataset.spec, control_frequency=20)
    assert np.allclose(foreign.state, dataset.state, atol=1e-5)  # observations are float32
    assert np.allclose(foreign.next_state, dataset.next_state, atol=1e-5)


def write_csv(path, times, columns):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["timestamp", *columns])
        writer.writerows(zip(times, *columns.values(), strict=True))


def test_csv_import_continues_angles_and_sorts_columns_by_number(tmp_path):
    times = np.arange(50) * 0.05
    angle = (3.0 + 2.0 * times + np.pi) % (2 * np.pi) - np.pi  # logged wrapped
    columns = {"qvel_1": np.ones(50), "qpos_1": angle, "ctrl_0": times, "qpos_0": times, "qvel_0": np.ones(50)}
    write_csv(tmp_path / "a.csv", times, columns)
    write_csv(tmp_path / "b.csv", times + 7, columns)
    from tdlib.data.sources.csv import import_csv

    dataset = import_csv(tmp_path, name="two", angle_positions=(1,), control_frequency=20)
    assert dataset.num_episodes == 2 and len(dataset) == 98 and dataset.control_frequency == 20
    assert np.allclose(dataset.next_state[:, 1] - dataset.state[:, 1], 0.1)
    assert np.allclose(dataset.state[:, 0], dataset.t) and np.allclose(dataset.action[:, 0], dataset.t)
    loaded = load_dataset(save_dataset(dataset, tmp_path / "two.h5"), 20)
    assert same_rows(dataset, loaded) and loaded.spec.angle_dims == (1,)
    assert "truth" not in {f.check for f in verification.verify_dataset(loaded)}  # no equation to compare with


def test_csv_import_names_what_is_wrong(tmp_path):
    from tdlib.data.sources.csv import import_csv

    times, ones = np.arange(10) * 0.1, np.ones(10)
    full = {"qpos_0": ones, "qvel_0": ones, "ctrl_0": ones}
    jitter = times + np.where(np.arange(10) > 5, 0.02, 0)
    broken = np.where(np.arange(10) == 4, np.nan, 1.0)
    for name, arguments, options, message in (
        ("column", (times, {k: v for k, v in full.items() if k != "ctrl_0"}), {}, "at least one ctrl column, got 0"),
        ("nan", (times, full | {"qvel_0": broken}), {}, "qvel_0 must be finite, got nan in row 5"),
        ("order", (times[::-1], full), {}, "timestamp must rise"),
        ("jitter", (jitter, full), {}, "intervals must be constant"),
        ("rate", (times, full), {"control_frequency": 20}, "must be the log's rate, 10 Hz, got 20 Hz"),
    ):
        write_csv(tmp_path / f"{name}.csv", *arguments)
        with pytest.raises(DatasetError, match=message):
            import_csv(tmp_path / f"{name}.csv", **options)
    irregular = import_csv(tmp_path / "jitter.csv", irregular=True)
    assert irregular.control_frequency is None and irregular.delta_t.max() == pytest.approx(0.12)
    with pytest.raises(DatasetError, match="path must be a CSV file"):
        import_csv(tmp_path / "none.csv")


def test_collection_is_not_loaded_with_the_package():
    code = "import sys, tdlib.data; sys.exit('stable_baselines3' in sys.modules or 'minari' in sys.modules)"
    started = time.perf_counter()
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0, time.perf_counter() - started
