"""The double cart-pole as a task: its costs, its success, its picture, and planners that swing it up."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from tdlib.data import DatasetError, collect_random, load_dataset, load_splits, save_dataset
from tdlib.data.verify import verify_dataset
from tdlib.evaluation import ControlSettings, ControlTask, Oracle, collect_planned, control_starts, evaluate_control
from tdlib.evaluation.control.collect import Exploring, has_planned, write_with_planned
from tdlib.models import build_model
from tdlib.planning import CEM, DIAL, MPPI, CategoricalInputs, PredictiveSampling, RandomInputs, fresh_start
from tdlib.speed import Stack
from tdlib.systems import SYSTEMS

SYSTEM = SYSTEMS["double_cart_pole"]
MUJOCO = """
<mujoco>
  <option timestep="0.01" integrator="Euler"><flag contact="disable"/></option>
  <default><default class="rod"><geom type="capsule" fromto="0 0 0 0 0 -1" size="0.045" mass="0.1"/></default></default>
  <worldbody><body pos="0 0 2">
    <joint name="rail" type="slide" axis="1 0 0" limited="true" range="-3.8 3.8" damping="1e-4"/>
    <geom type="box" size="0.2 0.15 0.1" mass="1"/>
    <body><joint axis="0 1 0" damping="1e-2"/><geom class="rod"/>
      <body pos="0 0 -1"><joint axis="0 1 0" damping="1e-2"/><geom class="rod"/><site name="tip" pos="0 0 -1"/></body>
    </body>
  </body></worldbody>
  <actuator><motor joint="rail" gear="20" ctrllimited="true" ctrlrange="-1 1"/></actuator>
</mujoco>
"""  # the model of the founding document, by its numbers
SHORT = ControlSettings(duration=1.0, replan_interval=0.1)


def tip(state):
    """Where the second rod ends, by the chain of the two: (..., 6) -> (...), (...) [m]."""
    x, first, second = state[..., 0], state[..., 1], state[..., 1] + state[..., 2]
    return x - torch.sin(first) - torch.sin(second), 2 - torch.cos(first) - torch.cos(second)


def test_accelerations_are_mujocos(generator):
    """And the tip is where MuJoCo has it; by MuJoCo 3.3.7 and 4.0.0 they differ by 2e-13 m/s² of up to 132 m/s²."""
    mujoco = pytest.importorskip("mujoco", reason="MuJoCo is not installed; it checks the equation alone")
    model = mujoco.MjModel.from_xml_string(MUJOCO)
    data, site = mujoco.MjData(model), mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SITE, "tip")
    assert model.opt.gravity.tolist() == [0, 0, -SYSTEM.parameters["gravity"]]
    wide = torch.tensor([3.5, 4.0, 4.0, 5.0, 5.0, 5.0], dtype=torch.float64)
    states = wide * (2 * torch.rand(300, 6, generator=generator, dtype=torch.float64) - 1)
    inputs = 2 * torch.rand(300, 1, generator=generator, dtype=torch.float64) - 1
    found, places = SYSTEM.derivative(states, inputs), torch.stack(tip(states), dim=-1)
    for state, control, derivative, place in zip(states, inputs, found, places, strict=True):
        data.qpos[:], data.qvel[:], data.ctrl[:] = state[:3], state[3:], control
        mujoco.mj_forward(model, data)
        np.testing.assert_allclose(derivative[3:], data.qacc, rtol=0, atol=1e-12)
        np.testing.assert_allclose(place, data.site_xpos[site, [0, 2]], rtol=0, atol=1e-12)


def test_costs_are_the_founding_document_s(generator):
    state, control = 3 * torch.randn(50, 6, generator=generator), torch.rand(50, 1, generator=generator)
    along, up = tip(state)
    upright = (up - 4) ** 2 + (along - state[:, 0]) ** 2
    running = upright + 0.1 * (state[:, 4] ** 2 + state[:, 5] ** 2) + 0.001 * control[:, 0] ** 2
    ending = 10 * upright + 10 * state[:, 0] ** 2 + state[:, 3:].square().sum(dim=-1)
    assert torch.allclose(SYSTEM.cost(state, control), running)
    assert torch.allclose(SYSTEM.terminal_cost(state), ending)
    assert torch.allclose(SYSTEM.reward_rate(state, control), -running)
    best = torch.tensor([0.0, math.pi, 0.0, 0.0, 0.0, 0.0], dtype=torch.float64)  # both rods up, at rest, in the middle
    assert SYSTEM.cost(best, torch.zeros(1)) < 1e-12 and SYSTEM.terminal_cost(best) < 1e-12
    hanging = torch.zeros(6, dtype=torch.float64)
    assert float(SYSTEM.terminal_cost(hanging)) == pytest.approx(160.0)


def test_a_held_tip_is_success_and_a_swing_through_the_top_is_none():
    times = torch.arange(61, dtype=torch.float64) * 0.05
    held = torch.zeros(61, 6, dtype=torch.float64)
    held[:, 1] = math.pi
    late_fall, bent, crossed = held.clone(), held.clone(), held.clone()
    late_fall[-3:, 1] = 2.0
    bent[:, 1:3] = torch.tensor([math.pi - 0.4, 0.8])  # either rod 23° off: the tip is 0.16 m too low
    crossed[:, 1] = torch.linspace(0, 2 * math.pi, 61)
    episodes = torch.stack([held, late_fall, bent, crossed])
    assert SYSTEM.success(episodes, times).tolist() == [True, False, False, False]
    episodes[0, :39] = 0.0  # what was before the last second does not matter
    assert SYSTEM.success(episodes, times)[0]


def test_control_starts_hang_nearly_still():
    starts = control_starts(SYSTEM, 50, seed=3)
    assert tip(starts)[1].max() < 0.1 and starts[:, 0].abs().max() <= 0.5 and starts[:, 3:].abs().max() <= 0.2
    assert not torch.equal(starts, control_starts(SYSTEM, 50, seed=4))


def test_the_scene_shows_where_the_rods_are():
    def painted(state):
        image = Image.new("RGB", (800, 800), "white")
        SYSTEM.views.scene.paint(ImageDraw.Draw(image, "RGBA"), 800, state, (-3.0, 0.0, 0.0), "#ff0000")
        return np.asarray(image)

    rail = round(800 * 0.52)
    dark = [(painted(state) < 64).all(axis=-1) for state in ((0.0, 0.0, 0.0), (0.0, math.pi, 0.0), (2.0, math.pi, 0.0))]
    rows, columns = ([np.argwhere(picture)[:, i] for picture in dark] for i in (0, 1))
    length = 2 * 800 / 8.4
    assert rows[0].max() == pytest.approx(rail + length, abs=15) and rows[0].min() > rail - 30
    assert rows[1].min() == pytest.approx(rail - length, abs=15) and rows[1].max() < rail + 30
    assert columns[2].mean() - columns[1].mean() == pytest.approx(2 * 800 / 8.4, abs=5)


@pytest.mark.parametrize("planner", [CEM(), MPPI(), PredictiveSampling(), DIAL()], ids=lambda p: p.name)
def test_planning_on_the_truth_raises_the_tip(planner):
    """Two seconds from hanging cost less than under random inputs, and the cost has fallen by a fifth and more."""
    starts = control_starts(SYSTEM, 2)
    settings = dataclasses.replace(SHORT, duration=2.0)
    runs = [
        evaluate_control(Oracle(SYSTEM), SYSTEM, 20, starts, planner=each, settings=settings)
        for each in (planner, RandomInputs())
    ]
    costs = [-run.reward.sum(dim=-1) for run in runs]
    assert (costs[0] < costs[1]).all()
    rate = SYSTEM.cost(runs[0].states[..., 1:, :], torch.zeros(1, dtype=torch.float64))  # (1, E, T)
    assert (rate[..., -8:].mean(dim=-1) < 0.8 * rate[..., :4].mean(dim=-1)).all()


def test_a_custom_dynamics_is_an_argument():
    starts = control_starts(SYSTEM, 2)
    by_truth = ControlTask("double_cart_pole").run(20, starts, planner=CEM(16, num_elites=4), settings=SHORT)
    truth = evaluate_control(Oracle(SYSTEM), SYSTEM, 20, starts, planner=CEM(16, num_elites=4), settings=SHORT)
    assert torch.equal(by_truth.states, truth.states)
    model = build_model("jump", SYSTEM.spec, seed=0)
    custom = ControlTask(SYSTEM, custom_dynamics=model).run(20, starts, CEM(16, num_elites=4), SHORT)
    learned = evaluate_control(Stack([model]), SYSTEM, 20, starts, planner=CEM(16, num_elites=4), settings=SHORT)
    assert torch.equal(custom.states, learned.states) and not torch.equal(custom.states, truth.states)
    with pytest.raises(ValueError, match="custom_dynamics must have predict_sequence, str has none"):
        ControlTask(SYSTEM, custom_dynamics="model.pt")
    with pytest.raises(ValueError, match=r"custom_dynamics must predict \('x', .*double_cart_pole, got \('theta',"):
        ControlTask(SYSTEM, custom_dynamics=build_model("jump", SYSTEMS["Pendulum-v1"].spec, seed=0))
    with pytest.raises(ValueError, match="environment must be one of"):
        ControlTask("triple_cart_pole")


def test_episodes_under_a_planner_become_a_set_of_transitions(tmp_path):
    common = {"planner": CEM(8, num_elites=2, num_iterations=1), "settings": SHORT}
    dataset = collect_planned(SYSTEM, 20, 5, 3, **common)
    assert len(dataset) == 60 and dataset.episode_lengths.tolist() == [20] * 3 and dataset.control_frequency == 20
    assert not [f for f in verify_dataset(dataset) if f.ok is False]
    assert dataset.truncated.sum() == 3 and not dataset.terminated.any()
    assert dataset.attributes["seed"] == 5 and dataset.attributes["policy"].startswith("cem planning every 0.1 s")
    starts, judged = torch.from_numpy(dataset.state[::20]), control_starts(SYSTEM, 60, 5)
    low, high = (torch.tensor(corner, dtype=torch.float64) for corner in SYSTEM.control_starts[0])
    assert len(SYSTEM.control_starts) == 1 and ((low <= starts) & (starts <= high)).all()
    assert not (starts[:, None] == judged).all(dim=-1).any()  # a model is not judged from a start of its data
    loaded = load_dataset(save_dataset(dataset, tmp_path / "planned.h5"), 20)
    assert np.array_equal(loaded.action, dataset.action)
    again, other = (collect_planned(SYSTEM, 20, seed, 2, **common) for seed in (5, 6))
    assert np.array_equal(again.action, dataset.action[:40]) and not np.array_equal(other.action, again.action)
    model = collect_planned(SYSTEM, 20, 5, 1, dynamics=build_model("jump", SYSTEM.spec, seed=0), **common)
    assert "JumpModel" in model.attributes["policy"] and not np.array_equal(model.action, dataset.action[:20])


def test_a_planner_makes_its_share_of_a_set(tmp_path):
    """The rest are the random inputs that a set without a planner would begin with."""
    few = CEM(4, num_elites=2, num_iterations=1)
    each = {"replan_seconds": 0.1, "planner": few}
    dataset = load_dataset(
        write_with_planned("double_cart_pole", 10.0, 3, 300, tmp_path, planned_share=0.05, **each), 10
    )
    alone = collect_random("double_cart_pole", 10.0, 3, 285)
    assert len(dataset) == 300 and np.array_equal(dataset.state[15:], alone.state)
    settings = ControlSettings(replan_interval=0.1, duration=1.5)  # no longer than there are rows
    planned = collect_planned(SYSTEM, 10.0, 3, 1, planner=few, settings=settings)
    rows = {tuple(row) for row in planned.state}
    assert all(tuple(row) in rows for row in dataset.state[:15])
    assert "cem planning" in dataset.attributes["policy"] and "planned_share 0.05" in dataset.attributes["settings"]
    assert not [f for f in verify_dataset(dataset) if f.ok is False]
    splits = load_splits(tmp_path / "dataset_10hz.h5", 10.0)
    assert sum(map(len, splits.values())) == 300
    for share in (0.0, 1.0, 0.001):
        with pytest.raises(ValueError, match=r"planned_share must be in \(0, 1\) and leave both parts rows, got"):
            write_with_planned("double_cart_pole", 10.0, 3, 300, tmp_path, planned_share=share, **each)
    assert has_planned(SYSTEM) and not has_planned(SYSTEMS["oscillator"])


def test_sets_are_joined_only_with_their_like():
    one, other = (collect_random("double_cart_pole", 10.0, seed, 40) for seed in (0, 1))
    both = one.joined_with(other)
    assert np.array_equal(both.state, np.concatenate([one.state, other.state]))
    assert both.num_episodes == one.num_episodes + other.num_episodes
    assert np.array_equal(both.select_episodes([one.num_episodes]).state, other.select_episodes([0]).state)
    with pytest.raises(DatasetError, match="other must have this set's control_frequency, got 20"):
        one.joined_with(collect_random("double_cart_pole", 20.0, 0, 40))
    with pytest.raises(DatasetError, match="other must have the columns"):
        one.joined_with(dataclasses.replace(other, extras={"image": np.zeros(40)}))


def test_an_episode_that_leaves_the_rail_ends_there():
    narrow = dataclasses.replace(
        SYSTEM, task=dataclasses.replace(SYSTEM.task, outside=lambda x, p, m: m.abs(x[0]) > 0.6)
    )
    settings = dataclasses.replace(SHORT, duration=3.0)
    planner = CEM(4, num_elites=2, num_iterations=1)
    dataset = collect_planned(narrow, 20, 0, 4, exploration=3.0, planner=planner, settings=settings)
    last = dataset.episode_offsets[1:] - 1
    assert dataset.terminated.sum() >= 2 and np.array_equal(
        np.flatnonzero(dataset.terminated | dataset.truncated), last
    )
    assert (np.abs(dataset.state[:, 0]) <= 0.6).all() and (
        np.abs(dataset.next_state[dataset.terminated, 0]) > 0.6
    ).all()


def test_exploration_disturbs_what_is_carried_out_and_not_what_is_kept():
    plain = PredictiveSampling(16)
    inputs = ControlTask(SYSTEM).system.spec
    from tdlib.planning import inputs_of

    box = inputs_of(inputs)
    start = fresh_start(box, (400,), 5)

    def plan(planner):
        generator = torch.Generator().manual_seed(0)
        return planner.plan(
            lambda knots: -(knots**2).sum(dim=(-1, -2)), box, start,
            lambda population, knots: torch.stack([box.draw_noise(population, knots, generator) for _ in range(400)]),
        )  # fmt: skip

    alone, disturbed = plan(plain), plan(Exploring(plain, 0.2))
    assert torch.equal(alone.warm_start.proposal.center, disturbed.warm_start.proposal.center)
    noise = (disturbed.knots - alone.knots).flatten()
    assert float(noise.std()) == pytest.approx(0.2, rel=0.1) and abs(float(noise.mean())) < 0.02
    assert torch.equal(plan(Exploring(plain, 0.0)).knots, alone.knots)
    assert plan(Exploring(plain, 50.0)).knots.abs().max() == 1.0
    assert Exploring(plain, 0.2).name == "predictive_sampling" and Exploring(plain, 0.2).num_scored(box, 5) == 16
    with pytest.raises(ValueError, match="spread must be finite and not negative, got -0.1"):
        Exploring(plain, -0.1)
    with pytest.raises(ValueError, match="exploration needs inputs in a box, got CategoricalInputs"):
        Exploring(plain, 0.1).plan(None, CategoricalInputs(2), start, None)
