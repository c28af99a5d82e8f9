"""Systems with two inputs and with a table of five actions, through everything that handles actions."""

import csv
import dataclasses
import hashlib
import itertools
import json
import math

import gymnasium
import h5py
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from toy_systems import ACTIONS, ROVER, ROVER_OF_FIVE, ROVER_SPEC

from tdlib.core.seeding import torch_generator
from tdlib.core.specs import random_actions, spec_from_values, spec_values
from tdlib.data import (
    collect_random,
    load_dataset,
    save_dataset,
    split_episodes,
    subset_transitions,
    true_histories,
    write_branched,
)
from tdlib.data.schema import FIELDS, DatasetError
from tdlib.data.sources import SOURCES, find_source
from tdlib.data.sources.csv import import_csv
from tdlib.data.sources.random import write_random
from tdlib.data.verify import verify_dataset
from tdlib.envs import ENVIRONMENTS, SystemEnvironment, make_environment, register_system
from tdlib.evaluation import build_test_set, evaluate_control, evaluate_stack, one_step_errors
from tdlib.evaluation.control.dynamics import Oracle
from tdlib.evaluation.control.episodes import ControlSettings
from tdlib.evaluation.control.plant import Plant
from tdlib.evaluation.control.starts import control_starts
from tdlib.evaluation.sets.history import recorded_context, sample_origins
from tdlib.evaluation.sets.rollout_sets import draw_inputs
from tdlib.explorer.python.signals import held_inputs
from tdlib.models import DynamicsModel, Prediction
from tdlib.planning import CEM, MPPI, BoxInputs, CategoricalInputs, Enumeration, RandomInputs, fresh_start, inputs_of
from tdlib.speed import Stack
from tdlib.speed.structure import num_models
from tdlib.study.arms import Arm
from tdlib.systems import SYSTEMS

TOYS = (ROVER, ROVER_OF_FIVE)


@pytest.fixture(scope="module", autouse=True)
def registered():
    for toy in TOYS:
        register_system(toy)
    yield
    for toy in TOYS:
        del SYSTEMS[toy.spec.name], ENVIRONMENTS[toy.spec.name], gymnasium.registry[f"tdlib/{toy.spec.name}"]


@pytest.fixture(params=TOYS, ids=lambda toy: toy.spec.name)
def toy(request):
    return request.param


# --- specifications --------------------------------------------------------------------------------------------------


def test_an_action_is_inputs_within_their_range_or_a_row_of_the_table():
    held = ROVER_SPEC.held_input(torch.tensor([[5.0, -9.0], [-5.0, 1.0]]))
    assert held.tolist() == [[3.0, -4.0], [-1.0, 1.0]]
    assert ROVER_SPEC.held_numbers((5.0, -9.0)) == (3.0, -4.0)
    spec = ROVER_OF_FIVE.spec
    assert (spec.action_dim, spec.input_dim, spec.num_actions) == (1, 2, 5)
    assert spec.held_input(torch.tensor([[4.0], [1.0]])).tolist() == [[1.0, -4.0], [3.0, 0.0]]
    assert [spec.held_numbers(i) for i in range(5)] == list(ACTIONS)
    assert spec.nearest_action(torch.tensor(ACTIONS)).flatten().tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="must be in 0 .. 4, got 5"):
        spec.held_numbers(5)
    with pytest.raises(ValueError, match="must be 2 numbers, got 1.0"):
        ROVER_SPEC.held_numbers(1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_units": ("N",)}, "input_units of Rover-v0 must have 2 entries"),
        ({"velocity_dims": ()}, "velocity_dims of Rover-v0 must have 1 entries"),
        ({"angle_dims": (3,)}, "angle_dims of Rover-v0 must be in 0 .. 2"),
        ({"input_low": (4.0, 0.0)}, "input_low of Rover-v0 must not lie above input_high, got 4.0 and 3.0"),
        ({"action_table": ((1.0,),)}, "action_table of Rover-v0 must have rows of 2 inputs"),
    ],
)
def test_a_specification_that_does_not_fit_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(ROVER_SPEC, **change)


FIRST_EDITION = {
    "name": "CartPole-v1",
    "state_names": ["x", "x_dot", "theta", "theta_dot"],
    "state_units": ["m", "m/s", "rad", "rad/s"],
    "angle_dims": [2],
    "position_dims": [0, 2],
    "velocity_dims": [1, 3],
    "action_name": "force",
    "action_unit": "N",
    "action_low": -10.0,
    "action_high": 10.0,
    "num_actions": 2,
    "reward_delta_t": 0.02,
    "time_limit": 10.0,
}


def test_specifications_are_read_back_those_of_the_first_edition_too(toy):
    assert spec_from_values(json.loads(json.dumps(spec_values(toy.spec)))) == toy.spec
    assert spec_from_values(FIRST_EDITION) == SYSTEMS["CartPole-v1"].spec
    nine = spec_from_values({**FIRST_EDITION, "num_actions": 9})
    assert [row[0] for row in nine.action_table] == [-10 + 2.5 * i for i in range(9)]
    assert spec_from_values({**FIRST_EDITION, "num_actions": None}).action_table is None
    with pytest.raises(ValueError, match="missing \\['name'\\], unknown \\['color'\\]"):
        spec_from_values({**{k: v for k, v in FIRST_EDITION.items() if k != "name"}, "color": "red"})


def test_a_file_of_the_first_edition_is_read_and_its_hash_verified(tmp_path):
    """Written as the first edition wrote it: its specification and its hash over it."""
    dataset = collect_random("CartPole-v1", 20, 0, 300)
    path = save_dataset(dataset, tmp_path / "old.h5")
    digest = hashlib.sha256(json.dumps([1, "episodes", 20.0, FIRST_EDITION], sort_keys=True).encode())
    for name in (*FIELDS, "episode_offsets", "episode_id"):
        values = np.ascontiguousarray(getattr(dataset, name))
        digest.update(f"{name} {values.dtype.str} {values.shape}".encode())
        digest.update(values.data)
    with h5py.File(path, "a") as file:
        file.attrs["spec"], file.attrs["content_hash"] = json.dumps(FIRST_EDITION), digest.hexdigest()
        file.attrs["units"] = json.dumps({"state": FIRST_EDITION["state_units"], "action": "N"})
    old = load_dataset(path, 20)
    assert old.spec == SYSTEMS["CartPole-v1"].spec
    again = load_dataset(save_dataset(old, tmp_path / "again.h5"))  # what is copied keeps its hash
    assert again.attributes["content_hash"] == digest.hexdigest()
    with h5py.File(path, "a") as file:
        file.attrs["spec"] = json.dumps({**FIRST_EDITION, "action_high": 11.0})
    with pytest.raises(DatasetError, match="content_hash"):
        load_dataset(path)


# --- environments ----------------------------------------------------------------------------------------------------


def test_the_environment_has_the_spaces_of_its_system(toy):
    assert make_environment(toy.spec.name, 20).unwrapped.system is toy
    env = SystemEnvironment(toy, 20)
    check_env(env)
    assert env.observation_space.shape == (3,) and np.isinf(env.observation_space.high).all()  # none declared
    if toy.spec.discrete:
        assert env.action_space == spaces.Discrete(5)
    else:
        assert env.action_space == spaces.Box(np.array([-1, -4]), np.array([3, 4]), dtype=np.float32)
    env.reset(options={"state": [0.1, 0.2, 0.3], "parameters": [1.1]})
    action = 3 if toy.spec.discrete else np.array([1.0, 4.0], dtype=np.float32)
    observation, *_, info = env.step(action)
    held = torch.tensor([3.0] if toy.spec.discrete else [1.0, 4.0])
    start, drag = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64), torch.tensor([1.1], dtype=torch.float64)
    truth = toy.flow(start, held, 0.05, drag)
    np.testing.assert_allclose(info["next_state"], truth.numpy(), atol=1e-12)
    np.testing.assert_allclose(observation, toy.observation(truth).numpy(), atol=1e-6)
    assert info["parameters"] == (1.1,)
    drawn = [env.reset(seed=seed)[1]["parameters"][0] for seed in range(20)]
    assert 0.5 <= min(drawn) < 0.8 and 1.2 < max(drawn) <= 1.5
    with pytest.raises(ValueError, match=r"parameters'\] must be finite numbers for \('drag',\), got \[1, 2\]"):
        env.reset(options={"parameters": [1, 2]})


def test_the_scalar_path_equals_the_flow(toy, generator):
    state = torch.randn(16, 3, dtype=torch.float64, generator=generator)
    action = random_actions(toy.spec, 16, generator) * 1.5
    action = action.round().clamp(max=4) if toy.spec.discrete else action
    for parameters in (None, toy.draw_parameters(16, generator)):
        outcome = toy.simulate(state, action, 0.07, parameters)
        few = toy.simulate_rows(state, action, 0.07, parameters)
        for name in ("next_state", "reward", "exit_time", "limit_hit"):
            torch.testing.assert_close(getattr(few, name), getattr(outcome, name), rtol=0, atol=1e-12)


# --- data ------------------------------------------------------------------------------------------------------------


def test_random_data_cover_all_inputs_and_verify(toy, tmp_path):
    dataset = collect_random(toy.spec.name, 20, 0, 1500)
    assert dataset.action.shape == (1500, toy.spec.action_dim)
    if toy.spec.discrete:
        assert set(dataset.action[:, 0]) == {0.0, 1.0, 2.0, 3.0, 4.0}
    else:
        assert np.allclose(dataset.action.min(0), ROVER_SPEC.input_low, atol=0.05)
        assert np.allclose(dataset.action.max(0), ROVER_SPEC.input_high, atol=0.05)
        assert abs(np.corrcoef(dataset.action.T)[0, 1]) < 0.2  # each input has noise of its own
    findings = verify_dataset(dataset)
    assert not [f for f in findings if f.ok is False]
    assert [f.check for f in findings if f.check.startswith("actions")] == (
        ["actions"] if toy.spec.discrete else ["actions, thrust", "actions, torque"]
    )
    loaded = load_dataset(save_dataset(dataset, tmp_path / "set.h5"), 20)
    assert loaded.spec == toy.spec and np.array_equal(loaded.parameters, dataset.parameters)
    assert 0.5 <= dataset.parameters.min() < 0.7 and 1.3 < dataset.parameters.max() <= 1.5  # every episode has its own
    parts = split_episodes(dataset, 0)
    assert sum(len(part) for part in parts.values()) == 1500
    assert np.array_equal(parts["val"].parameters, dataset.parameters[parts["val"].episode_id])
    assert not [f for f in verify_dataset(parts["val"]) if f.ok is False]
    assert np.array_equal(dataset.transitions().parameters.numpy(), dataset.row_parameters)
    with pytest.raises(DatasetError, match=r"parameters \('drag',\) must have shape"):
        save_dataset(dataclasses.replace(dataset, parameters=None), tmp_path / "none.h5")


def test_branches_keep_the_parameters_of_their_pair(toy, tmp_path):
    sources = {"train": [collect_random(toy.spec.name, rate, 0, 300) for rate in (10, 20)]}
    for path in write_branched(toy.spec.name, sources, 0, tmp_path, frequencies=(10, 20)).values():
        branched = load_dataset(path)
        assert len(np.unique(branched.parameters)) > 10
        (truth,) = [f for f in verify_dataset(branched) if f.check == "truth"]
        assert truth.ok


def test_a_coarser_history_has_the_mean_input_or_the_index_held_longest(toy):
    dataset = collect_random(toy.spec.name, 20, 0, 800)
    episode = int(dataset.episode_lengths.argmax())
    rows = dataset.action[dataset.episode(episode)]
    now = dataset.t[dataset.episode(episode)][12:13]
    history = true_histories(dataset, np.array([episode]), now, 0.15, 3)
    held = rows[3:12].reshape(3, 3, -1)
    if toy.spec.discrete:
        for chosen, three in zip(history.actions[0, :, 0], held[..., 0], strict=True):
            counts = {index: list(three).count(index) for index in three}
            assert counts[float(chosen)] == max(counts.values())
    else:
        assert np.allclose(history.actions[0], held.mean(axis=1), atol=1e-9)


def test_a_log_with_two_controls_and_states_of_no_pair(tmp_path):
    times = np.arange(30) * 0.05
    columns = {
        "qpos_0": np.sin(times), "qvel_0": np.cos(times), "state_0": times, "ctrl_1": 2 * times, "ctrl_0": times,
        "battery [V]": 12 - times, "reward": times,
    }  # fmt: skip
    with open(tmp_path / "log.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["timestamp", *columns])
        writer.writerows(zip(times, *columns.values(), strict=True))
    dataset = import_csv(tmp_path, name="log")
    spec = dataset.spec
    assert spec.state_names == ("qpos_0", "qvel_0", "state_0") and spec.input_names == ("ctrl_0", "ctrl_1")
    assert (spec.position_dims, spec.velocity_dims) == ((0,), (1,))
    assert spec.input_high == pytest.approx((1.4, 2.8))  # of the rows that act: nothing follows the last
    assert np.allclose(dataset.action[:, 1], 2 * dataset.t)
    given = dataclasses.replace(spec, position_dims=(), velocity_dims=())
    assert np.array_equal(import_csv(tmp_path, spec=given).state, dataset.state)
    with pytest.raises(DatasetError, match="files of Pendulum-v1 must have columns of 2 states and 1 ctrl"):
        import_csv(tmp_path, spec=SYSTEMS["Pendulum-v1"].spec)
    loaded = load_dataset(save_dataset(dataset, tmp_path / "log.h5"))
    assert len(loaded) == 29 and set(loaded.extras) == {"battery__V_", "log_reward"}
    assert np.array_equal(loaded.extras["battery__V_"], 12 - times[:-1]) and loaded.reward.max() == 0
    assert np.array_equal(subset_transitions(loaded, 5, seed=0).extras["log_reward"], times[:5])


def test_minari_keeps_several_inputs_parameters_and_further_columns(tmp_path):
    from tdlib.data.sources.minari import export_minari, import_minari

    dataset = collect_random("Rover-v0", 20, 0, 200)
    dataset = dataclasses.replace(dataset, extras={"load": np.arange(200.0)})
    back = import_minari(export_minari(dataset, tmp_path, "rover-v0"))
    assert np.array_equal(back.action, dataset.action) and back.spec == dataset.spec
    assert np.array_equal(back.parameters, dataset.parameters)
    assert np.array_equal(back.extras["load"], dataset.extras["load"])


def test_ppo_collects_several_inputs_and_a_table(toy, tmp_path):
    from tdlib.data.sources.policy import load_policy
    from tdlib.data.sources.ppo import collect_ppo
    from tdlib.data.sources.ppo_settings import ppo_settings

    settings = ppo_settings("CartPole-v1" if toy.spec.discrete else "Pendulum-v1", 20)
    path = collect_ppo(toy.spec.name, 20, 0, 400, tmp_path, settings=settings)
    dataset = load_dataset(path, 20)
    assert dataset.action.shape == (400, toy.spec.action_dim)
    columns = (torch.from_numpy(x) for x in (dataset.state, dataset.action, dataset.row_parameters))
    state, action, parameters = columns
    outcome = toy.simulate(state, action, 0.05, parameters)
    assert np.allclose(outcome.next_state.numpy(), dataset.next_state, atol=1e-9)
    chosen = load_policy(tmp_path)(torch.from_numpy(dataset.observation))
    assert chosen.shape == dataset.action.shape
    held = toy.spec.held_input(chosen)
    assert torch.isfinite(held).all() and (toy.spec.discrete or torch.equal(held, chosen))


# --- planning and control --------------------------------------------------------------------------------------------


def test_box_proposals_have_a_range_per_input():
    box = inputs_of(ROVER_SPEC)
    assert box == BoxInputs((-1.0, -4.0), (3.0, 4.0))
    proposal = box.initial((2,), 3)
    assert proposal.center[0, 0].tolist() == [1.0, 0.0] and proposal.spread[0, 0].tolist() == [2.0, 4.0]
    noise = box.draw_noise(64, 3, torch.Generator().manual_seed(0))
    assert noise.shape == (64, 3, 2) and not torch.equal(noise[..., 0], noise[..., 1])
    plans = box.sample(proposal, 9 * noise)
    assert plans.amin(dim=(0, 1, 2)).tolist() == [-1.0, -4.0] and plans.amax(dim=(0, 1, 2)).tolist() == [3.0, 4.0]
    narrow = box.refit(proposal, plans, torch.eye(64)[:1].expand(2, 64), True)
    assert narrow.spread[0, 0].tolist() == pytest.approx([0.1, 0.2])
    with pytest.raises(ValueError, match="low must be one bound per input"):
        BoxInputs((0.0, 1.0), 2.0)


@pytest.mark.parametrize(
    ("planner", "tolerance"),
    [(CEM(population=128, num_iterations=20, num_elites=12), 0.1), (MPPI(256, 60, 0.05), 0.3)],  # MPPI's spread stays
)
def test_planners_find_the_minimum_over_two_inputs(planner, tolerance):
    box, target = inputs_of(ROVER_SPEC), torch.tensor([[2.0, -3.0], [0.5, 1.0], [-0.5, 3.5]])
    generators = [torch.Generator().manual_seed(0)]
    plan = planner.plan(
        lambda knots: -((knots - target) ** 2).sum(dim=(-1, -2)), box, fresh_start(box, (1,), 3),
        lambda population, knots: torch.stack([box.draw_noise(population, knots, g) for g in generators]),
    )  # fmt: skip
    assert torch.allclose(plan.knots[0], target, atol=tolerance)


def test_categorical_cem_finds_what_enumeration_finds():
    inputs = inputs_of(ROVER_OF_FIVE.spec)
    assert inputs == CategoricalInputs(5)
    table = torch.randn(4, 5, generator=torch.Generator().manual_seed(1))  # the score of each action at each knot

    def objective(plans):
        return table.gather(1, plans[..., 0].long().reshape(-1, 4).T).sum(dim=0).reshape(plans.shape[:-2])

    def noise(population, knots):
        return inputs.draw_noise(population, knots, noise.generator).unsqueeze(0)

    noise.generator = torch.Generator().manual_seed(0)
    start = fresh_start(inputs, (1,), 4)
    best = Enumeration().plan(objective, inputs, start, noise)
    assert best.knots[0, :, 0].long().tolist() == table.argmax(dim=1).tolist()
    found = CEM(num_iterations=8).plan(objective, inputs, start, noise)
    assert torch.equal(found.knots, best.knots) and found.score == best.score
    drawn = RandomInputs().plan(objective, inputs, start, noise)
    assert set(drawn.knots.flatten().tolist()) <= {0.0, 1.0, 2.0, 3.0, 4.0}


@pytest.mark.parametrize("planner", [CEM(), MPPI(), Enumeration()], ids=lambda p: p.name)
def test_the_oracle_drives_the_rover(toy, planner):
    if planner.name == "enumeration" and not toy.spec.discrete:
        return
    settings = ControlSettings(horizon=0.8, knots_per_second=5, duration=2.0, replan_interval=0.1)
    result = evaluate_control(Oracle(toy), toy, 20, control_starts(toy, 3), planner=planner, settings=settings)
    assert result.actions.shape == (1, 3, 40, toy.spec.action_dim)
    assert result.success.all() and result.num_nonfinite.sum() == 0


def test_a_longer_model_step_sees_the_majority_of_indices_and_the_mean_of_inputs(toy):
    plant = Plant(toy, torch.zeros(1, 1, 3, dtype=torch.float64), 0.05, 0.05)
    held = [[4.0], [1.0], [4.0]] if toy.spec.discrete else [[1.0, 0.0], [2.0, 3.0], [3.0, -3.0]]
    for action in held:
        plant.step(torch.tensor([0]), torch.tensor(action, dtype=torch.float64).reshape(1, 1, -1))
    context = plant.context(torch.tensor([0]), 1, 0.15, torch.float64, "cpu")
    assert context.actions.flatten().tolist() == ([4.0] if toy.spec.discrete else [2.0, 0.0])
    states, actions, _, _ = plant.episodes(4)
    assert states.shape == (1, 1, 5, 3) and actions.shape == (1, 1, 4, toy.spec.action_dim)


def test_rollout_inputs_are_uniform_over_every_range(toy, generator):
    signal = draw_inputs(toy, torch.zeros(200, 3, dtype=torch.float64), 5, generator)
    assert signal.shape == (200, 5, toy.spec.action_dim)
    if toy.spec.discrete:
        assert signal.unique().tolist() == [0, 1, 2, 3, 4]
    else:
        assert np.allclose(signal.amin(dim=(0, 1)), ROVER_SPEC.input_low, atol=0.2)
        assert np.allclose(signal.amax(dim=(0, 1)), ROVER_SPEC.input_high, atol=0.2)


def test_signals_of_the_explorer_for_several_inputs():
    two = [{"kind": "constant", "value": 9.0}, {"kind": "sine", "amplitude": 2.0, "frequency": 1.0}]
    actions = held_inputs(two, ROVER_SPEC, 0.25, 3)
    assert [row[0] for row in actions] == [3.0] * 3 and [row[1] for row in actions] == pytest.approx([0, 2, 0])
    forward = [{"kind": "constant", "value": 2.9}, {"kind": "constant", "value": 0.3}]
    assert held_inputs(forward, ROVER_OF_FIVE.spec, 0.1, 2) == [1.0, 1.0]
    with pytest.raises(ValueError, match="one of each of the 2 inputs, got 1"):
        held_inputs(two[0], ROVER_SPEC, 0.1, 2)
    for value, index in itertools.product((-10.0, -0.1), (0.0,)):
        assert held_inputs({"kind": "constant", "value": value}, SYSTEMS["CartPole-v1"].spec, 0.1, 1) == [index]
    assert held_inputs({"kind": "constant", "value": 0.0}, SYSTEMS["CartPole-v1"].spec, 0.1, 1) == [1.0]
    assert math.isclose(held_inputs({"kind": "constant", "value": 9.0}, SYSTEMS["Pendulum-v1"].spec, 0.1, 1)[0], 2.0)


def test_test_sets_follow_the_parameters_of_their_episodes(toy):
    datasets = [collect_random(toy.spec.name, rate, 0, 400) for rate in (10, 20)]
    test_set = build_test_set(toy, datasets, seed=0, rates=(10, 50), num_pairs=64, num_starts=8, num_context_pairs=8)
    origin = sample_origins(datasets, 64, torch_generator(0, toy.spec.name, "test set", "pooled"))
    pooled = test_set.pairs["pooled"]
    assert torch.equal(pooled.state[0], origin.state)
    truth = toy.flow(origin.state, origin.action, 0.02, origin.parameters)
    torch.testing.assert_close(pooled.next_state[1], truth, rtol=0, atol=1e-12)
    assert (pooled.next_state[1] - toy.flow(origin.state, origin.action, 0.02)).abs().max() > 1e-4
    rollouts = test_set.rollouts["10"]
    assert rollouts.states.shape == (8, 10, 3) and rollouts.inside is not None


# --- sources ---------------------------------------------------------------------------------------------------------


def test_sources_are_found_by_name_and_imported_when_called():
    assert find_source("random").call is write_random and find_source("csv").call is import_csv
    assert {source.needs for source in SOURCES.values()} == {"system", "simulator", "sets", "log"}
    with pytest.raises(ValueError, match="source must be one of .*'branched'.* got 'ftp'"):
        find_source("ftp")
    for source in SOURCES.values():
        assert callable(source.call)


class Told(DynamicsModel):
    """The rover's equations in closed form, with the drag that the context tells; without it, with the nominal one."""

    def initial(self, context):
        shape = context.mask.shape[:-1]
        drag = context.parameters
        if drag is None:
            drag = context.states.new_full((*shape, 1), ROVER.parameters["drag"])
        return drag[..., 0], context.states.new_zeros(*shape, 3)

    def step(self, carry, action, delta_t=None, observed=None):
        drag, state = carry
        state, action, delta_t = self.broadcast(state if observed is None else observed, action, delta_t)
        heading, speed, yaw_rate = state.unbind(dim=-1)
        turning = ROVER.parameters["turning_drag"]
        end, last = action[..., 0] / drag, action[..., 1] / turning
        kept, kept_turn = torch.exp(-drag * delta_t), torch.exp(-turning * delta_t)
        heading = heading + last * delta_t + (yaw_rate - last) * (1 - kept_turn) / turning
        following = torch.stack([heading, end + (speed - end) * kept, last + (yaw_rate - last) * kept_turn], dim=-1)
        return (drag, following), Prediction(following)


def test_measures_tell_a_model_the_parameters_of_each_sequence():
    rates = {10.0: collect_random(ROVER_SPEC.name, 10.0, 0, 400), 20.0: collect_random(ROVER_SPEC.name, 20.0, 0, 400)}
    sizes = {"num_pairs": 64, "num_starts": 6, "horizon": 0.5}
    sets = {seed: build_test_set(ROVER, list(rates.values()), seed=seed, rates=(10, 20), **sizes) for seed in (0, 1)}
    drags = sets[0].pairs["pooled"].context.parameters
    assert drags.shape == (2, 64, 1) and len(drags.unique()) > 4
    for models in (Told(ROVER_SPEC), Stack([Told(ROVER_SPEC), Told(ROVER_SPEC)])):
        members = [(Arm("told", "baseline", train_frequency="20"), seed) for seed in range(num_models(models))]
        tables = evaluate_stack(models, members, sets, ROVER, measures=["one_step", "rollout"])
        for name in ("one_step_errors", "rollout_errors"):
            assert tables[name]["relative_error"].max() < 1e-3, name
    for each in sets.values():  # untold, it is wrong: what was told made the difference
        for part in (*each.pairs.values(), *each.rollouts.values()):
            object.__setattr__(part, "context", dataclasses.replace(part.context, parameters=None))
    errors = one_step_errors(Told(ROVER_SPEC), sets[0], ROVER_SPEC)
    assert errors.query("dimension == 'speed'")["relative_error"].min() > 0.02
    log = recorded_context(sample_origins([rates[10.0]], 20, torch_generator(0)))
    assert log.parameters.shape == (20, 1)
