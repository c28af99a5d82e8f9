"""Physical truth: the flow, its scalar twin, the registered environments, and the frequency wrapper."""

import math

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_sb3

from tdlib.core.odeint import odeint_reference
from tdlib.core.seeding import derive_seed, torch_generator
from tdlib.core.solvers import SOLVERS, integrate
from tdlib.core.specs import state_difference, state_features, wrap_angle
from tdlib.core.time_grid import delta_t_of, num_steps, rate_label, steps_within, time_grid
from tdlib.envs import ENVIRONMENTS, FixedFrequencyWrapper, make_environment
from tdlib.envs.gymnasium_physics import native_step, plant_change
from tdlib.systems import SYSTEMS
from tdlib.systems.system import SCALAR_ROWS

RATES = (5, 10, 16, 20, 25, 33.3, 50, 100, 200)


def random_pairs(system, count, generator):
    low = torch.tensor(system.reset_low, dtype=torch.float64) * 3
    high = torch.tensor(system.reset_high, dtype=torch.float64) * 3
    state = low + (high - low) * torch.rand(count, len(low), generator=generator, dtype=torch.float64)
    unit = torch.rand(count, 1, generator=generator, dtype=torch.float64)
    last = (system.spec.num_actions or 2) - 1  # some systems have one action: none
    action = unit.round().clamp(max=last) if system.spec.discrete else system.spec.input_low[0] * (1 - 2 * unit)
    return state, action


# --- the flow ---------------------------------------------------------------------------------------------------------


# the truth's error where motions are fast: bodies that meet, a second pole at 6 rad/s; elsewhere 1.5e-7 was measured at
# 5 Hz on the fastest states, below 3e-8 at 10 Hz and above
FAST = {"three_body": 1e-5, "double_cart_pole": 5e-5}


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("rate", [5, 10, 33.3, 50])
def test_flow_equals_an_adaptive_solver(name, rate, generator):
    system = SYSTEMS[name]
    state, action = random_pairs(system, 32, generator)
    delta_t = delta_t_of(rate)
    kept = ~system.simulate(state, action, delta_t).limit_hit
    state, action = state[kept], action[kept]
    force = system.spec.held_input(action)
    reference = odeint_reference(lambda s: system.derivative(s, force), state, delta_t, rtol=1e-11, atol=1e-12)
    assert (system.flow(state, action, delta_t) - reference).abs().max() < FAST.get(name, 5e-7)


@pytest.mark.parametrize("name", SYSTEMS)
def test_flow_accepts_one_interval_per_sample(name, generator):
    system = SYSTEMS[name]
    state, action = random_pairs(system, len(RATES), generator)
    delta_t = torch.tensor([delta_t_of(rate) for rate in RATES], dtype=torch.float64)
    together = system.flow(state, action, delta_t)
    for i in range(len(RATES)):
        alone = system.flow(state[i], action[i], delta_t[i])
        assert torch.equal(together[i], alone)


@pytest.mark.parametrize("name", SYSTEMS)
def test_two_intervals_equal_one(name, generator):
    system = SYSTEMS[name]
    state, action = random_pairs(system, 64, generator)
    kept = ~system.simulate(state, action, 0.1).limit_hit
    half = system.flow(system.flow(state, action, 0.05), action, 0.05)
    assert (half - system.flow(state, action, 0.1))[kept].abs().max() < 1e-7


@pytest.mark.parametrize("name", SYSTEMS)
def test_flow_back_in_time_returns_to_the_start(name, generator):
    system = SYSTEMS[name]
    state, action = random_pairs(system, 64, generator)
    outcome = system.simulate(state, action, 0.1)
    back = system.flow(outcome.next_state, action, -0.1)
    assert (back - state)[~outcome.limit_hit].abs().max() < max(1e-6, FAST.get(name, 0.0))


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("rate", RATES)
def test_scalar_path_equals_flow(name, rate, generator):
    system = SYSTEMS[name]
    state, action = random_pairs(system, 24, generator)
    state = state * 2  # some leave their limits inside the interval
    delta_t = delta_t_of(rate)
    outcome = system.simulate(state, action, delta_t)
    for i in range(len(state)):
        next_state, reward, exit_time, limit_hit = system.advance(tuple(state[i].tolist()), action[i].item(), delta_t)
        np.testing.assert_allclose(next_state, outcome.next_state[i].numpy(), rtol=0, atol=1e-12)
        assert reward == pytest.approx(outcome.reward[i].item(), abs=1e-12)
        assert exit_time == pytest.approx(outcome.exit_time[i].item(), abs=1e-12)
        assert limit_hit == outcome.limit_hit[i].item()


@pytest.mark.parametrize("name", SYSTEMS)
def test_few_rows_go_as_many(name, generator):
    system = SYSTEMS[name]
    state, action = random_pairs(system, 2 * SCALAR_ROWS, generator)
    many = system.simulate_rows(2 * state, action, 0.1)
    halves = zip((2 * state).split(SCALAR_ROWS), action.split(SCALAR_ROWS), strict=True)
    few = [system.simulate_rows(*half, 0.1) for half in halves]
    for field in ("next_state", "reward", "exit_time", "limit_hit"):
        joined = torch.cat([getattr(outcome, field) for outcome in few])
        torch.testing.assert_close(joined, getattr(many, field), rtol=0, atol=1e-12)


def test_the_pendulum_keeps_its_energy_without_torque():
    system = SYSTEMS["Pendulum-v1"]
    state = torch.tensor([[3.0, 0.5], [2.0, -1.0]], dtype=torch.float64)

    def energy(s):
        return 0.5 * s[:, 1] ** 2 + 15 * s[:, 0].cos()

    start, moved = state, state
    for _ in range(200):
        moved = system.flow(moved, torch.zeros(2, 1, dtype=torch.float64), 0.05)
    assert (energy(moved) - energy(start)).abs().max() < 1e-4


def test_speed_limit_is_applied_and_flagged():
    system = SYSTEMS["Pendulum-v1"]
    outcome = system.simulate(
        torch.tensor([[math.pi / 2, 7.9], [0.0, 0.0]], dtype=torch.float64), torch.zeros(2, 1, dtype=torch.float64), 0.1
    )
    assert outcome.limit_hit.tolist() == [True, False]
    assert outcome.next_state[0, 1] <= 8.0


# --- Gymnasium's own physics ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "step_attribute"), [("Pendulum-v1", "dt"), ("CartPole-v1", "tau")])
def test_our_copy_of_gymnasiums_step_is_gymnasiums_step(name, step_attribute, generator):
    system = SYSTEMS[name]
    state, action = random_pairs(system, 16, generator)
    env = gymnasium.make(name).unwrapped
    for i in range(len(state)):
        env.reset(seed=0)
        setattr(env, step_attribute, 0.03)
        env.state = state[i].numpy().copy()
        env.step(int(action[i]) if system.spec.discrete else action[i].numpy())
        ours = native_step(system, state[i], system.spec.held_input(action[i]), 0.03)
        # Gymnasium keeps CartPole's state in float32
        np.testing.assert_allclose(np.asarray(env.state, dtype=float), ours.numpy(), atol=1e-6)


@pytest.mark.parametrize("name", [name for name, system in SYSTEMS.items() if system.views.native_step])
def test_gymnasiums_physics_converges_to_ours_at_first_order(name, generator):
    system = SYSTEMS[name]
    state, action = random_pairs(system, 64, generator)
    truth = system.simulate(state, action, 0.1)
    force = system.spec.held_input(action)
    errors = []
    for count in (32, 64, 128, 256):
        moved = state
        for _ in range(count):
            moved = native_step(system, moved, force, 0.1 / count)
        errors.append(state_difference(moved, truth.next_state, system.spec)[~truth.limit_hit].abs().max().item())
    orders = [math.log2(a / b) for a, b in zip(errors, errors[1:], strict=False)]
    assert all(order == pytest.approx(1.0, abs=0.1) for order in orders), (errors, orders)


def test_changing_the_inner_step_changes_the_plant():
    # computed independently when the study was planned: 33 / 16 / 8 / 3.3 % of the one-step change
    generator = torch_generator(0, "plant")
    found = [
        plant_change(SYSTEMS["Pendulum-v1"], delta_t_of(rate), num_samples=20_000, generator=generator).mean().item()
        for rate in (5, 10, 20, 50)
    ]
    np.testing.assert_allclose(found, [0.33, 0.16, 0.08, 0.033], rtol=0.05)


# --- registered environments ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ENVIRONMENTS)
@pytest.mark.parametrize("rate", [10, 33.3, 50])
@pytest.mark.filterwarnings("ignore:We recommend you to use a symmetric and normalized Box action space")
def test_environments_pass_both_checkers(name, rate):
    env = make_environment(name, rate)
    check_env(env.unwrapped)
    check_env_sb3(env)


@pytest.mark.parametrize("name", ["Pendulum-v1", "CartPole-v1"])
def test_spaces_are_those_of_gymnasium(name):
    ours, theirs = make_environment(name, 20), gymnasium.make(name)
    assert ours.action_space == theirs.action_space
    np.testing.assert_allclose(ours.observation_space.low, theirs.observation_space.low)
    np.testing.assert_allclose(ours.observation_space.high, theirs.observation_space.high)


@pytest.mark.parametrize("rate", RATES)
def test_an_episode_lasts_ten_seconds_at_every_rate(rate):
    env = make_environment("Pendulum-v1", rate)
    env.reset(seed=0)
    truncated, count = False, 0
    while not truncated:
        *_, truncated, info = env.step(np.zeros(1, dtype=np.float32))
        count += 1
    assert count == steps_within(10.0, delta_t_of(rate))
    assert info["t"] == pytest.approx((count - 1) * delta_t_of(rate))


def test_reward_of_ten_seconds_does_not_depend_on_the_rate():
    totals = []
    for rate in (10, 20, 50):
        env = make_environment("Pendulum-v1", rate)
        env.reset(options={"state": [math.pi, 0.1]})
        truncated, total = False, 0.0
        while not truncated:
            _, reward, _, truncated, _ = env.step(np.zeros(1, dtype=np.float32))
            total += reward
        totals.append(total)
    np.testing.assert_allclose(totals, totals[0], rtol=1e-6)


def test_cartpole_ends_at_the_exit_and_stops_the_reward_there():
    env = make_environment("CartPole-v1", 10)
    env.reset(options={"state": [0.0, 0.0, 0.2, 0.5]})
    _, reward, terminated, _, info = env.step(0)
    assert terminated
    assert info["exit_time"] < 0.1
    assert reward == pytest.approx(info["exit_time"] / 0.02)
    whole = SYSTEMS["CartPole-v1"].flow(
        torch.tensor([0.0, 0.0, 0.2, 0.5], dtype=torch.float64), torch.zeros(1, dtype=torch.float64), 0.1
    )
    np.testing.assert_allclose(info["next_state"], whole.numpy(), atol=1e-12)


def test_seed_twice_gives_the_same_episode():
    runs = []
    for _ in range(2):
        env = make_environment("CartPole-v1", 20)
        observation, _ = env.reset(seed=3)
        env.action_space.seed(3)
        trace = [observation]
        for _ in range(5):
            trace.append(env.step(env.action_space.sample())[0])
        runs.append(np.stack(trace))
    assert np.array_equal(*runs)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: make_environment("Pendulum-v2", 20), ["environment", "Pendulum-v1", "'Pendulum-v2'"]),
        (lambda: make_environment("Pendulum-v1", 0), ["control_frequency", "positive", "0"]),
        (lambda: make_environment("Pendulum-v1", float("nan")), ["control_frequency", "finite", "nan"]),
        (lambda: make_environment("Pendulum-v1", "20"), ["control_frequency", "number", "'20'"]),
        (lambda: make_environment("Pendulum-v1", 20).reset(options={"state": [0, np.nan]}), ["state", "finite"]),
        (lambda: derive_seed(-1), ["seed", ">= 0", "-1"]),
        (lambda: num_steps(1.0, 0.03), ["whole number", "1.0", "0.03"]),
        (lambda: integrate(lambda s: s, torch.ones(1, 1), torch.ones(1), solver="rk5"), ["solver", "rk4", "'rk5'"]),
    ],
)
def test_bad_input_names_argument_rule_and_value(call, words):
    with pytest.raises(ValueError) as error:
        call()
    assert all(word in str(error.value) for word in words), error.value


# --- the frequency wrapper --------------------------------------------------------------------------------------------


class CountingEnvironment(gymnasium.Env):
    """Inner step 0.01 s; reward 1 per step; ends after `end` inner steps; the observation counts them."""

    observation_space = spaces.Box(0, np.inf, (1,), dtype=np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, end=10_000):
        self.sim_dt, self.end, self.count, self.actions = 0.01, end, 0, []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count, self.actions = 0, []
        return np.zeros(1, dtype=np.float32), {}

    def step(self, action):
        self.count += 1
        self.actions.append(action)
        return np.array([self.count], dtype=np.float32), 1.0, self.count >= self.end, False, {}


def test_wrapper_holds_the_action_for_exactly_the_inner_steps():
    env = FixedFrequencyWrapper(CountingEnvironment(), 20)
    env.reset()
    observation, reward, terminated, truncated, info = env.step(1)
    assert (observation[0], reward, terminated, truncated) == (5, 5.0, False, False)
    assert env.unwrapped.actions == [1] * 5
    assert info["delta_t"] == pytest.approx(0.05)


def test_wrapper_reports_the_length_of_a_step_cut_short():
    env = FixedFrequencyWrapper(CountingEnvironment(end=7), 20)
    env.reset()
    env.step(0)
    *_, terminated, _, info = env.step(0)
    assert terminated
    assert info["delta_t"] == pytest.approx(0.02)


def test_wrapper_ends_by_seconds():
    for rate in (10, 20, 50):
        env = FixedFrequencyWrapper(CountingEnvironment(), rate, time_limit=2.0)
        env.reset()
        truncated, count = False, 0
        while not truncated:
            *_, truncated, _ = env.step(0)
            count += 1
        assert count == 2 * rate


def test_wrapper_integrates_the_reward_over_time():
    env = FixedFrequencyWrapper(CountingEnvironment(), 20, reward_delta_t=0.05)
    env.reset()
    assert env.step(0)[1] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: FixedFrequencyWrapper(CountingEnvironment(), 33), ["control_frequency", "whole number", "33 Hz"]),
        (lambda: FixedFrequencyWrapper(gymnasium.make("CartPole-v1"), 20), ["whole number", "0.02", "2.5 steps"]),
        (lambda: FixedFrequencyWrapper(CountingEnvironment(), 20, sim_dt=0.02), ["sim_dt", "0.01", "0.02"]),
        (
            lambda: FixedFrequencyWrapper(gymnasium.make("CartPole-v1", max_episode_steps=100), 10),
            ["TimeLimit", "100 inner steps", "max_episode_steps=-1"],
        ),
        (lambda: FixedFrequencyWrapper(gymnasium.make("Acrobot-v1"), 10), ["whole number", "0.2"]),
    ],
)
def test_wrapper_refuses_what_it_cannot_represent(make, words):
    with pytest.raises(ValueError) as error:
        make()
    assert all(word in str(error.value) for word in words), error.value


def test_wrapper_runs_gymnasiums_own_cartpole():
    env = FixedFrequencyWrapper(gymnasium.make("CartPole-v1"), 10)
    env.reset(seed=0)
    _, reward, _, _, info = env.step(1)
    assert reward == pytest.approx(5.0)  # five inner steps of 20 ms
    assert info["delta_t"] == pytest.approx(0.1)


def test_wrapper_turns_mujocos_frame_skip_into_its_own_hold(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its warnings to a file in the working folder
    env = FixedFrequencyWrapper(gymnasium.make("InvertedPendulum-v5", max_episode_steps=-1), 25)
    assert env.sim_dt == pytest.approx(0.02)  # MuJoCo's time step of this model
    assert env.substeps == 2
    native = gymnasium.make("InvertedPendulum-v5")  # frame_skip 2: the same 25 Hz
    a, b = env.reset(seed=0)[0], native.reset(seed=0)[0]
    for _ in range(5):
        a, b = env.step(np.array([0.5]))[0], native.step(np.array([0.5]))[0]
    np.testing.assert_allclose(a, b, atol=1e-12)


# --- seconds and steps ------------------------------------------------------------------------------------------------


def test_step_counts_come_out_whole():
    assert num_steps(0.6, 0.2) == 3  # int(0.6 / 0.2) is 2
    assert steps_within(1.0, 0.03) == 33
    assert delta_t_of(33.3) == 0.03
    assert rate_label(33.3) == "33.3hz"
    assert rate_label(10) == "10hz"
    np.testing.assert_allclose(time_grid(1.0, 0.25), [0, 0.25, 0.5, 0.75, 1.0])


def test_angles_wrap_to_the_half_open_circle():
    angles = torch.tensor([0.0, math.pi, -math.pi, 3 * math.pi, 4.0], dtype=torch.float64)
    expected = [0.0, math.pi, math.pi, math.pi, 4.0 - 2 * math.pi]
    np.testing.assert_allclose(wrap_angle(angles).numpy(), expected, atol=1e-12)
    spec = SYSTEMS["Pendulum-v1"].spec
    difference = state_difference(torch.tensor([[3.1, 0.0]]), torch.tensor([[-3.1, 0.0]]), spec)
    assert difference[0, 0].item() == pytest.approx(6.2 - 2 * math.pi, abs=1e-6)
    assert state_features(torch.zeros(1, 2), spec).tolist() == [[1.0, 0.0, 0.0]]


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("midpoint", 2), ("rk4", 4)])
def test_solvers_have_their_order(solver, order):
    assert solver in SOLVERS
    truth = math.exp(-1.0)
    errors = [
        abs(integrate(lambda s: -s, torch.ones(1, 1).double(), torch.ones(1).double(), solver, n).item() - truth)
        for n in (8, 16, 32)
    ]
    observed = [math.log2(a / b) for a, b in zip(errors, errors[1:], strict=False)]
    assert observed == pytest.approx([order, order], abs=0.12)


def test_random_streams_of_different_names_differ():
    assert derive_seed(0, "split") != derive_seed(0, "init")
    assert derive_seed(0, "split") == derive_seed(0, "split")
    assert torch.rand(1, generator=torch_generator(1, "a")) == torch.rand(1, generator=torch_generator(1, "a"))
