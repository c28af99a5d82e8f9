"""The founding documents' environments and data sets: settings, sequences, splits, files, and what they refuse."""

import math

import numpy as np
import pytest
import torch

from tdlib.data import (
    DatasetError,
    PrecomputedDataset,
    SequenceDataset,
    SequenceTorchDataset,
    collect_random,
    collect_sequences,
    load_dataset,
    write_sequences,
)
from tdlib.data.verify import verify_dataset
from tdlib.envs import (
    SYSTEMS,
    ForcedOscillator,
    ForcedPendulum,
    ForcedTwoBodySpaceship,
    PhysicsControlEnv,
    ThreeBodyEnv,
    make_environment,
    register_system,
)
from tdlib.study.phases.collect import ensure_collected, random_dataset_path
from tdlib.study.presets import PresetError
from tdlib.study.run import open_run
from tdlib.study.selection import arms_of

ENVS = {
    "oscillator": (ForcedOscillator, 2, 3),
    "pendulum": (ForcedPendulum, 2, 3),
    "spaceship": (ForcedTwoBodySpaceship, 4, 9),
    "three_body": (ThreeBodyEnv, 12, 9),
}


@pytest.mark.parametrize("name", ENVS)
def test_names_sizes_and_settings(name, generator):
    kind, state_dim, num_actions = ENVS[name]
    env = kind()
    assert (env.name, env.state_dim, env.action_dim) == (name, state_dim, num_actions)
    assert list(env.action_map) == list(range(num_actions)) and len(env.init_state_range) == state_dim
    assert env.system.spec.position_dims == tuple(range(state_dim))[env.pos_slice]
    assert env.system.spec.velocity_dims == tuple(range(state_dim))[env.vel_slice]
    state = env.sample_init_state(generator)
    params = env.sample_params(generator)
    assert state.shape == (state_dim,) and set(params) == set(env.variable_params) <= set(env.params)
    action = env.sample_action(generator)
    one = env.step(state, action, variable_params=params)
    many = env.step(state.expand(3, -1), torch.full((3,), action), env.dt_default, params)
    assert one.shape == (state_dim,) and torch.allclose(many, one.expand(3, -1), atol=1e-12)
    assert torch.equal(env.step(state, torch.tensor([action]), variable_params=params), one)
    halves = env.step(env.step(state, action, env.dt_default / 2, params), action, env.dt_default / 2, params)
    assert torch.allclose(halves, one, atol=1e-4)
    inputs = env.system.spec.held_input(torch.tensor([float(action)], dtype=torch.float64))
    slope = env.derivative(0.0, state, inputs, params)
    assert torch.allclose((env.step(state, action, 1e-5, params) - state) / 1e-5, slope, atol=1e-2, rtol=1e-3)
    assert env.get_energy(state, params).shape == () and env.power(state, inputs, params).shape == ()


@pytest.mark.parametrize("name", ("oscillator", "pendulum", "spaceship", "three_body", "double_cart_pole"))
def test_gymnasium_knows_every_system(name):
    env = make_environment(name, 1 / SYSTEMS[name].delta_t)
    observation, _ = env.reset(seed=0)
    assert observation.shape == (SYSTEMS[name].spec.state_dim,)
    assert np.isfinite(env.step(env.action_space.sample())[0]).all()


def test_every_number_can_be_set_and_registered(generator):
    env = ForcedPendulum(
        name="long_pendulum", length=2.0, dt_default=0.04, variable_params={"mass": (0.5, 1.5)},
        init_state_range=((-0.5, 0.5), (0.0, 0.0)),
    )  # fmt: skip
    assert env.params["length"] == 2.0 and env.dt_default == 0.04 and set(env.sample_params(generator)) == {"mass"}
    starts = env.sample_init_state(generator, 100)
    assert starts[:, 0].abs().max() <= 0.5 and not starts[:, 1].any()
    register_system(env.system)
    made = make_environment("long_pendulum", 25)
    made.reset(seed=0)
    assert len(collect_sequences("long_pendulum", 4, 5, 0)) == 20
    small = ForcedOscillator(init_state_range=(-0.1, 0.1)).sample_init_state(generator, 50)
    assert small.abs().max() <= 0.1
    wide = ForcedTwoBodySpaceship(init_mode="seed").sample_init_state(generator, 200)
    assert (
        wide[:, :2].norm(dim=-1).min()
        < 1.0
        < ForcedTwoBodySpaceship().sample_init_state(generator, 200)[:, :2].norm(dim=-1).min()
    )
    founded = ThreeBodyEnv(integrator="symplectic_euler", n_substeps=1, softening=1e-6)
    assert founded.system.integrator.startswith("SYMPLECTIC_EULER, ceil(delta_t / 50 ms)")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ForcedPendulum(weight=1.0), "parameters of pendulum must be among .*, got \\['weight'\\]"),
        (lambda: ForcedPendulum(dt_default=0.0), "dt_default must be positive"),
        (lambda: ForcedPendulum(variable_params={"damping": (1.0, 0.0)}), "range of damping must be finite and low <="),
        (lambda: ForcedPendulum(init_state_range=((0, 1),) * 3), "init_state_range must be .* 2 such pairs"),
        (lambda: ForcedTwoBodySpaceship(init_mode="box"), "init_mode must be one of \\['orbit', 'seed'\\], got 'box'"),
        (lambda: ThreeBodyEnv(integrator="verlet"), "solver must be one of"),
        (lambda: ThreeBodyEnv(n_substeps=0), "n_substeps must be at least 1, got 0"),
        (
            lambda: ForcedPendulum().step(torch.zeros(2).double(), 3),
            "action_idx must be whole numbers in 0 .. 2, got 3",
        ),
        (lambda: ForcedPendulum().step(torch.zeros(2).double(), 0, -0.1), "dt must be positive and finite"),
        (lambda: ForcedPendulum().step(torch.full((2,), math.inf).double(), 0), "state of pendulum must stay finite"),
        (
            lambda: ForcedPendulum().step(torch.zeros(2).double(), 0, 0.1, {"mass": 1.0}),
            "variable_params must be \\['damping'\\], got \\['mass'\\]",
        ),
        (lambda: collect_sequences("pendulum", 0, 5, 0), "num_sequences must be positive, got 0"),
        (lambda: collect_sequences("pendulum", 5, 5, 0, -0.1), "delta_t must be positive, got -0.1"),
        (lambda: collect_sequences("pendul", 5, 5, 0), "environment must be one of"),
    ],
)
def test_wrong_settings_are_refused_by_name_rule_and_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("name", ENVS)
def test_sequences_are_what_the_system_does(name):
    dataset = collect_sequences(name, 12, 8, seed=3)
    system = SYSTEMS[name]
    assert dataset.num_episodes == 12 and (dataset.episode_lengths == 8).all()
    assert not [found for found in verify_dataset(dataset) if found.ok is False]
    if system.spec.parameter_names:
        assert len(np.unique(dataset.parameters[:, 0])) == 12
    again = collect_sequences(name, 12, 8, seed=3)
    assert np.array_equal(dataset.next_state, again.next_state)
    assert not np.array_equal(dataset.state, collect_sequences(name, 12, 8, seed=4).state)
    assert set(np.unique(collect_sequences(name, 60, 8, seed=0).action)) == set(range(system.spec.num_actions))


def test_splits_go_by_sequence_in_the_shares_asked_for(tmp_path):
    path = write_sequences("oscillator", 50, 4, 0, tmp_path / "a.h5")
    sizes = {split: load_dataset(tmp_path / f"a_{split}.h5").num_episodes for split in ("train", "val", "test")}
    assert sizes == {"train": 40, "val": 5, "test": 5} and load_dataset(path).num_episodes == 50
    write_sequences("oscillator", 40, 4, 0, tmp_path / "b.h5", val_split=0.15, test_split=0.2)
    parts = [load_dataset(tmp_path / f"b_{split}.h5") for split in ("train", "val", "test")]
    assert [part.num_episodes for part in parts] == [26, 6, 8]
    assert sorted(np.concatenate([part.episode_id for part in parts])) == list(range(40))
    with pytest.raises(ValueError, match="val_split and test_split must be in .0, 1. and leave a rest, got 0.5, 0.6"):
        write_sequences("oscillator", 40, 4, 0, tmp_path / "c.h5", val_split=0.5, test_split=0.6)


def test_a_sequence_that_goes_to_infinity_enters_no_set():
    runaway = PhysicsControlEnv(SYSTEMS["oscillator"], name="runaway", damping=-1.0, variable_params={})
    system = runaway.system
    assert np.isfinite(collect_sequences(system, 5, 10, 0).next_state).all()
    with pytest.raises(DatasetError, match="sequences of runaway must stay finite .* 0 of 10 did"):
        collect_sequences(system, 5, 10, 0, delta_t=400.0)


def test_lost_sequences_are_drawn_anew_and_counted_up_to_one_half():
    """Sequences of more damping than zero stay finite, the others go to infinity within 4000 s."""
    counts = {}
    for share in (0.3, 0.8):  # of those that are lost
        bounds = {"damping": (-share, 1 - share)}
        system = PhysicsControlEnv(SYSTEMS["oscillator"], name="some_run_away", variable_params=bounds).system
        try:
            dataset = collect_sequences(system, 200, 10, 0, delta_t=4000.0)
            assert dataset.parameters.min() > -0.1 and np.isfinite(dataset.next_state).all()
            counts[share] = dataset.attributes["drawn_again"]
        except DatasetError as error:
            counts[share] = str(error)
    assert 40 < counts[0.3] < 150 and "some_run_away must stay finite" in counts[0.8]


# --- torch datasets by the founding documents' names ------------------------------------------------------------------


@pytest.mark.parametrize("name", ENVS)
def test_items_are_sequences_that_the_system_repeats(name):
    system = SYSTEMS[name]
    dataset = SequenceDataset(name, n_seqs=20, seq_len=6, dtype=torch.float64)
    assert len(dataset) == 16 and dataset.dt == system.delta_t
    for i in (0, 7, 15):
        item = dataset[i]
        count = len(system.spec.parameter_names)
        assert item["states"].shape == (7, system.spec.state_dim) and item["actions"].shape == (6,)
        assert item["parameters"].shape == (count,) and torch.equal(item["targets"], item["states"][1:])
        state = item["states"][0]
        for action, target in zip(item["actions"], item["targets"], strict=True):
            drawn = item["parameters"] if count else None
            state = system.flow(state, action.double().unsqueeze(0), dataset.dt, drawn)
            assert torch.allclose(state, target, atol=1e-9)  # angles that turn over included
    batch = next(iter(torch.utils.data.DataLoader(dataset, batch_size=5)))
    assert batch["states"].shape == (5, 7, system.spec.state_dim) and batch["actions"].dtype == torch.int64


def test_angles_of_sequences_run_on_where_rows_are_wrapped():
    dataset = SequenceDataset("pendulum", n_seqs=30, seq_len=40, dtype=torch.float64)
    assert dataset.states[..., 0].abs().max() > 2 * math.pi
    rates = dataset.states[..., 0].diff(dim=1) / dataset.dt
    assert rates.abs().max() < 1.05 * dataset.states[..., 1].abs().max()


def test_a_precomputed_set_is_the_one_collected_on_the_fly(tmp_path):
    write_sequences("oscillator", 40, 5, 3, tmp_path / "oscillator" / "first.h5", 0.05, val_split=0.2)
    hashes = set()
    for split, size in (("train", 28), ("val", 8), ("test", 4)):
        precomputed = PrecomputedDataset("oscillator/first", split, data_root=tmp_path)
        fresh = SequenceDataset("oscillator", 40, 5, 0.05, split=split, val_split=0.2, seed=3)
        assert len(precomputed) == len(fresh) == size and precomputed.dt == 0.05
        assert all(torch.equal(precomputed[i][key], fresh[i][key]) for i in range(size) for key in fresh[i])
        assert precomputed.content_hash == fresh.content_hash
        again = PrecomputedDataset(tmp_path / "oscillator" / "first.h5", split)
        assert again.content_hash == precomputed.content_hash
        hashes.add(precomputed.content_hash)
    assert len(hashes) == 3
    with pytest.raises(ValueError, match="one of \\['oscillator/first'\\] below .*, got 'oscillator/second'"):
        PrecomputedDataset("oscillator/second", data_root=tmp_path)
    with pytest.raises(ValueError, match="split must be one of .*'val', 'test'.*, got 'eval'"):
        PrecomputedDataset("oscillator/first", "eval", data_root=tmp_path)
    with pytest.raises(ValueError, match="split must be one of .*, got 'eval'"):
        SequenceDataset("oscillator", 40, 5, split="eval")
    with pytest.raises(DatasetError, match="dataset must hold sequences of one length"):
        SequenceTorchDataset(collect_random("CartPole-v1", 10, 0, 100))


def test_a_preset_collects_sequences_and_keeps_some_arms(tmp_path, monkeypatch):
    monkeypatch.setenv("TDLIB_RUNS", str(tmp_path / "runs"))
    preset = tmp_path / "waves.yaml"
    preset.write_text(
        "name: waves\ndescription: some\nenvironments: [oscillator]\nseeds: [0]\nmodels: [jump, newtonian]\n"
        "methods: [baseline, ode]\nforms: [none, rk4]\ntrain_frequencies: [5, 10]\ntest_frequencies: [2, 5, 10]\n"
        "collection: {num_transitions: 300, num_random_transitions: 300, sequence_length: 10}\n"
        "training: {num_steps: 4, learning_rate: 0.003}\nchecks: {max_own_rate_error: 2.0}\n"
        "control: {frequencies: [5, 10], replan_seconds: 0.2}\n"
    )
    run = open_run(preset)
    arms = arms_of(run.preset, "oscillator")
    assert {(arm.method, arm.form) for arm in arms} == {("persistence", "none"), ("baseline", "none"), ("ode", "rk4")}
    ensure_collected(run, "oscillator")
    dataset = load_dataset(random_dataset_path(run, "oscillator", 5, 0))
    assert dataset.num_episodes == 30 and (dataset.episode_lengths == 10).all() and dataset.delta_t[0] == 0.2
    text = preset.read_text()
    for changed, message in (
        (text.replace("length: 10", "length: 7"), "must be a multiple of sequence_length = 7, got 300"),
        (text.replace("[none, rk4]", "[rk4]"), "must leave an arm of every model, jump has"),
    ):
        preset.write_text(changed)
        with pytest.raises(PresetError, match=message):
            open_run(preset)
