"""Sets from MuJoCo where the extra is installed (`pip install -e ".[mujoco]"`), what is said where it is not, cuts."""

import importlib.util

import numpy as np
import pytest
import torch

from tdlib.data import DatasetError, check_dataset, collect_random, cut_sequences, load_dataset, load_splits
from tdlib.data.schema import TransitionDataset
from tdlib.data.sources import mujoco as source

PACKAGES = {"mujoco", "gymnasium_robotics"}
MISSING = sorted(name for name in PACKAGES if importlib.util.find_spec(name) is None)
STEPS = {"half_cheetah": 30, "hopper": 200, "point_maze": 60, "franka_kitchen": 8}
DIMS = {"half_cheetah": (17, 8, 9), "hopper": (11, 5, 5), "point_maze": (4, 2, 2), "franka_kitchen": (59, 30, 30)}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """MuJoCo writes its warnings to a file in the working folder."""
    monkeypatch.chdir(tmp_path)


def need(name):
    package = source.MACHINES[name].package
    missing = [x for x in ("mujoco", package) if x in MISSING]
    if missing:
        pytest.skip(f'{" and ".join(missing)} not installed: pip install -e ".[mujoco]"')


@pytest.fixture(scope="module", params=source.MACHINES)
def machine(request, tmp_path_factory):
    need(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("mujoco"))
        whole = source.collect_mujoco(request.param, STEPS[request.param], 0, training_steps=16)
    return request.param, whole


def test_what_is_observed_has_the_names_and_units_of_its_joints(machine):
    name, whole = machine
    env = source.make_machine(name)
    for observed, count in zip(source.OBSERVED, DIMS[name], strict=True):
        spec, columns = source.machine_spec(name, env, observed)
        assert spec.state_dim == len(columns) == len(set(spec.state_names)) == count
        if observed == "positions":
            assert set(spec.state_units) <= {"m", "rad", "1"}
    env.reset(seed=0)
    numbers = source._numbers(env.step(env.action_space.sample())[0])
    _, columns = source.machine_spec(name, env, "positions")
    at = env.unwrapped.data.qpos[source.MACHINES[name].hidden :]
    noise = 0.05 if name == "franka_kitchen" else 1e-12  # the kitchen's sensors are noisy
    np.testing.assert_allclose(numbers[columns], at, atol=noise)
    env.close()
    assert len(whole) == STEPS[name]


def test_a_set_is_one_of_the_schema_and_says_its_policy(machine):
    name, whole = machine
    check_dataset(whole)
    assert np.array_equal(whole.observation, whole.state.astype(np.float32)) and np.abs(whole.action).max() <= 1
    within = np.ones(len(whole) - 1, dtype=bool)
    within[whole.episode_offsets[1:-1] - 1] = False
    np.testing.assert_array_equal(whole.next_state[:-1][within], whole.state[1:][within])
    expected = "scripted" if source.MACHINES[name].scripted else "SAC after 16 decisions"
    assert whole.attributes["policy"].startswith(expected) and whole.attributes["learning_minutes"] < 5
    assert whole.control_frequency == source.MACHINES[name].rate


def test_positions_alone_come_to_a_file_with_its_splits(tmp_path):
    need("hopper")
    path = tmp_path / "hopper.h5"
    source.write_mujoco("hopper", 200, 0, path, observed="positions", training_steps=16, control_frequency=50)
    whole, parts = load_dataset(path, 50), load_splits(path)
    assert whole.spec.state_dim == 5 and whole.observation.shape[1] == 11 and whole.spec.name == "Hopper-v5-positions"
    assert sum(len(part) for part in parts.values()) == len(whole) == 200
    assert whole.num_cut_short and (whole.delta_t[whole.full_length] == 0.02).all()  # it falls between decisions


def test_the_walk_finds_its_goal_round_the_walls():
    need("point_maze")
    env = source.make_machine("point_maze")
    walk, reached = source.MACHINES["point_maze"].scripted(env, np.random.default_rng(0)), 0
    observation, _ = env.reset(seed=1)
    for _ in range(1500):
        goal = observation["desired_goal"].copy()
        observation = env.step(walk(observation))[0]
        reached += not np.array_equal(goal, observation["desired_goal"])  # another is drawn where one is reached
    env.close()
    assert reached >= 1


@pytest.mark.skipif(not MISSING, reason="the extra is installed: nothing is missing")
def test_a_missing_package_is_named():
    name = "point_maze"
    with pytest.raises(ValueError, match=r"machine 'point_maze' needs mujoco and gymnasium-robotics.*\[mujoco\]"):
        source.collect_mujoco(name, 10, 0)


def test_numbers_that_make_no_set_are_refused():
    with pytest.raises(ValueError, match="machine must be one of .*'hopper'.* got 'walker'"):
        source.make_machine("walker")
    with pytest.raises(ValueError, match="num_transitions must be a whole number >= 1, got 0"):
        source.collect_mujoco("hopper", 0, 0)


# --- cuts ------------------------------------------------------------------------------------------------------------


def test_cuts_are_pieces_of_episodes_drawn_alike_by_a_seed():
    dataset: TransitionDataset = collect_random("Pendulum-v1", 20, 0, 1000)
    found = cut_sequences(dataset, 50, 300, 0, torch.float64)
    assert found.states.shape == found.targets.shape == (300, 50, 2) and found.actions.shape == (300, 50, 1)
    rows, offsets = dataset.transitions_with_offsets()
    for i in range(0, 300, 50):
        (start,) = torch.nonzero((rows.state == found.states[i, 0]).all(dim=1)).flatten().tolist()
        torch.testing.assert_close(found.states[i], rows.state[start : start + 50], rtol=0, atol=0)
        torch.testing.assert_close(found.targets[i], rows.next_state[start : start + 50], rtol=0, atol=0)
        assert np.searchsorted(offsets, start, side="right") == np.searchsorted(offsets, start + 49, side="right")
    assert torch.equal(cut_sequences(dataset, 50, 300, 0, torch.float64).states, found.states)
    assert not torch.equal(cut_sequences(dataset, 50, 300, 1, torch.float64).states, found.states)
    longest = int(np.diff(offsets).max())
    rule = f"length must be at most that of the longest episode, {longest} steps, got {longest + 1}"
    with pytest.raises(DatasetError, match=rule):
        cut_sequences(dataset, longest + 1, 1, 0)
