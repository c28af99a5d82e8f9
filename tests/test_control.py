"""Closed-loop control: the oracle solves the tasks, the real system is the real system, and members do not interact."""

import dataclasses
import math

import pandas as pd
import pytest
import torch

from tdlib.core.specs import EnvironmentSpec
from tdlib.envs import make_environment
from tdlib.evaluation.control.dynamics import Oracle, SideBySide
from tdlib.evaluation.control.episodes import ControlSettings, evaluate_control
from tdlib.evaluation.control.plans import declared_inputs, declared_planner, knot_clock, planning_objective
from tdlib.evaluation.control.rows import ORACLE_STARTS, control_rows, marked, planner_limits
from tdlib.evaluation.control.starts import control_parameters, control_starts, starts_of_seeds
from tdlib.models import (
    Context,
    DynamicsModel,
    JumpModel,
    Persistence,
    Prediction,
    RecurrentRollout,
    RescaledIncrement,
    build_model,
)
from tdlib.planning import CEM, MPPI, Enumeration, Plan, PredictiveSampling, RandomInputs, inputs_of
from tdlib.speed import FeaturesFirst, RecordedDynamics, Stack, prepared
from tdlib.systems import SYSTEMS, System
from tdlib.systems.task import Planning, Task

QUICK = ControlSettings(replan_interval=0.2, duration=7.0)
SMALL = CEM(population=16, num_elites=4)
PENDULUM, CARTPOLE, CONTINUOUS = (SYSTEMS[n] for n in ("Pendulum-v1", "CartPole-v1", "CartPoleContinuous-v1"))


def stack_of(system, name="jump", num_models=3, **options):
    return Stack([build_model(name, system.spec, seed=i, **options) for i in range(num_models)])


@pytest.mark.parametrize("rate", [10, 20, 50])
@pytest.mark.parametrize("system", [PENDULUM, CONTINUOUS], ids=lambda s: s.spec.name)
def test_the_oracle_solves_the_tasks_even_with_the_smallest_budget(system, rate):
    result = evaluate_control(
        Oracle(system), system, rate, control_starts(system, 10), planner=CEM(population=32), settings=QUICK
    )
    assert result.success.double().mean() >= 0.9
    assert result.num_nonfinite.sum() == 0


@pytest.mark.parametrize("rate", [20, 50])
def test_the_oracle_balances_the_bang_bang_pole_with_the_declared_planner(rate):
    settings = ControlSettings(replan_interval=0.2, duration=6.0)
    starts = control_starts(CARTPOLE, 20)
    own = evaluate_control(Oracle(CARTPOLE), CARTPOLE, rate, starts, settings=settings)
    assert own.planner == "enumeration" and own.success.double().mean() >= 0.95
    # a second of ten knots, as for the other systems, is too coarse: this is why it declares its own
    coarse = dataclasses.replace(settings, horizon=1.0, knots_per_second=10.0)
    sampled = evaluate_control(Oracle(CARTPOLE), CARTPOLE, rate, starts, planner=CEM(population=32), settings=coarse)
    assert sampled.success.double().mean() < 0.8


def test_a_plan_ends_where_its_episode_does():
    """A plan that leaves the limits and is predicted to come back is charged as one that stays outside."""

    class Script:
        has_memory = False

        def predict_sequence(self, state, actions, delta_t, context=None):
            theta = torch.tensor([[0.0, 0.3, 0.0], [0.0, 0.0, 0.3]])  # out and back; out at the end
            states = torch.zeros(*actions.shape[:-1], 4)
            states[..., 2] = theta
            return states

    def scores(task):
        system = dataclasses.replace(CARTPOLE, task=task)
        clock = knot_clock(system, 0.1)
        start, plans = torch.zeros(1, 1, 1, 4), torch.zeros(1, 1, 2, clock.num_knots, 1)
        return planning_objective(Script(), system, start, None, clock, 0.0, 0.5)(plans)[0, 0]

    back, late = scores(CARTPOLE.task)
    assert back < late  # out after 0.2 s is worse than out after 0.3 s
    dear, push = CARTPOLE.planning.failure_cost, 1e-4 * 100
    weights = torch.tensor([0.1, 0.1, 0.05 + 0.5])
    assert float(back) == pytest.approx(-float(weights[0] * push + dear * weights[1:].sum()), rel=1e-5)
    open_ended = dataclasses.replace(CARTPOLE.planning, failure_cost=None)
    back, late = scores(dataclasses.replace(CARTPOLE.task, planning=open_ended))
    assert back > late  # without, coming back is predicted to pay


def test_a_terminal_cost_takes_the_place_of_the_last_cost_rate():
    """x' = u from 0 under cost x² and a terminal cost of 7 (x − 1)²: the score of a held input, by hand."""

    class Integrator:
        has_memory = False

        def predict_sequence(self, state, actions, delta_t, context=None):
            return state.unsqueeze(-2) + (delta_t * actions).cumsum(dim=-2)

    def score(task):
        system = dataclasses.replace(DRIFTER, task=task)
        clock = knot_clock(system, 0.1)
        plans = torch.full((1, 1, 1, clock.num_knots, 1), 0.5)
        return float(planning_objective(Integrator(), system, torch.zeros(1, 1, 1, 1), None, clock, 0.0, 0.5)(plans))

    states = 0.05 * torch.arange(1, 11)
    running = float(0.1 * (states**2).sum() - 0.05 * states[-1] ** 2)
    assert score(DRIFTER.task) == pytest.approx(-running - 0.5 * 0.25, rel=1e-5)
    ending = dataclasses.replace(DRIFTER.task, terminal_cost=lambda x, p, m: 7 * (x[0] - 1) ** 2)
    assert score(ending) == pytest.approx(-running - 7 * 0.25, rel=1e-5)
    with pytest.raises(ValueError, match="system must declare a terminal cost, Drifter-v0 has none"):
        DRIFTER.terminal_cost(torch.zeros(1))


@pytest.mark.parametrize("interpolation", ["zero", "linear", "cubic"])
@pytest.mark.parametrize(("rate", "model_rate"), [(20, 20), (20, 10), (10, 20)])
def test_the_plant_carries_out_the_signal_that_was_predicted_with(interpolation, rate, model_rate):
    predicted, planned_at = [], []

    class Spy:
        has_memory = False

        def predict_sequence(self, state, actions, delta_t, context=None):
            predicted.append(actions)
            return state.unsqueeze(-2).expand(*actions.shape[:-1], -1)

    class Dice:
        """Carries out knots at random, shown to the model first; wide ones, so that a cubic leaves the box between."""

        name = "dice"
        generator = torch.Generator().manual_seed(0)

        def num_scored(self, inputs, num_knots):
            return 1

        def plan(self, objective, inputs, warm_start, noise):
            center = warm_start.proposal.center
            knots = 2.0 * torch.randint(-1, 2, center.shape, generator=self.generator)
            planned_at.append(objective(knots.unsqueeze(-3)))
            return Plan(knots, torch.zeros(1, 2), torch.zeros(1, 2, dtype=torch.long), warm_start)

    settings = ControlSettings(
        duration=2.0, replan_interval=0.3, knots_per_second=4.0, interpolation=interpolation,
        model_delta_t=1 / model_rate,
    )  # fmt: skip
    result = evaluate_control(Spy(), PENDULUM, rate, control_starts(PENDULUM, 2), planner=Dice(), settings=settings)
    fine = max(rate, model_rate)
    starts = [round(float(t) * rate) for t in result.times[:-1] if abs(float(t) / 0.3 - round(float(t) / 0.3)) < 1e-6]
    assert len(predicted) == len(planned_at) == len(starts) == 7
    compared = 0
    for first, actions in zip(starts, predicted, strict=True):
        carried = result.actions[0, :, first : first + round(0.3 * rate)]
        told = actions[0, :, 0]  # (E, T, 1) at model steps
        for step in range(round(0.3 * fine)):  # where a control step and a model step start together
            if (
                step % (fine // rate) == 0
                and step % (fine // model_rate) == 0
                and step // (fine // rate) < carried.shape[1]
            ):
                mine, model = carried[:, step // (fine // rate)], told[:, step // (fine // model_rate)]
                assert torch.allclose(mine, model.double(), atol=1e-6)
                compared += 1
    assert compared > 15
    assert result.actions.abs().max() <= 2.0 and predicted[0].abs().max() <= 2.0
    if interpolation != "zero":  # not the knots alone
        assert len(result.actions.unique()) > 10


def test_a_task_says_how_wide_and_how_often_plans_are_drawn():
    planning = Planning("predictive_sampling", population=24, spread=0.5, smallest_scale=1.0)
    system = dataclasses.replace(PENDULUM, task=dataclasses.replace(PENDULUM.task, planning=planning))
    assert declared_planner(system) == PredictiveSampling(24) and declared_planner(PENDULUM) == CEM()
    inputs = declared_inputs(system)
    plans = inputs.sample(inputs.initial((), 50), inputs.draw_noise(400, 50, torch.Generator().manual_seed(0)))
    assert torch.allclose(plans.std(dim=(1, 2)).mean(), torch.tensor(0.96), atol=0.03)  # 1 N m, clipped at 2 of them
    assert declared_inputs(PENDULUM) == inputs_of(PENDULUM.spec)
    assert declared_inputs(CARTPOLE) == inputs_of(CARTPOLE.spec)


def test_discrete_actions_are_held():
    with pytest.raises(ValueError, match="interpolation of discrete actions must be 'zero', got 'cubic' for CartPole"):
        knot_clock(CARTPOLE, 0.05, interpolation="cubic")


def test_enumeration_balances_the_bang_bang_pole():
    result = evaluate_control(
        Oracle(CARTPOLE), CARTPOLE, 20, control_starts(CARTPOLE, 2), planner=Enumeration(),
        settings=ControlSettings(duration=3.0),
    )  # fmt: skip
    assert result.success.all() and result.planner == "enumeration"
    assert result.episode_return[0].tolist() == pytest.approx([150.0, 150.0])  # one per 20 ms
    assert set(result.actions.unique().tolist()) <= {0.0, 1.0}


def test_episodes_hang_by_turns_of_seed_and_number():
    starts = [control_starts(PENDULUM, 4, seed) for seed in range(3)]
    hanging = [[abs(abs(x) - math.pi) < 0.21 and abs(v) < 0.21 for x, v in own.tolist()] for own in starts]
    assert hanging[0][0] and hanging[0][2] and hanging[1][1] and hanging[1][3] and hanging[2][0]
    assert [sum(own) for own in hanging] == [2, 2, 2]  # the others are drawn from the reset box
    assert len({tuple(row) for own in starts for row in own.tolist()}) == 12
    assert torch.equal(control_starts(PENDULUM, 2, 1), starts[1][:2])


def test_seeds_have_starts_and_noise_of_their_own_and_members_of_one_seed_share_them():
    seeds, settings = [5, 7, 5], ControlSettings(duration=0.4, replan_interval=0.2, dtype=torch.float64)
    starts, drawn = starts_of_seeds(PENDULUM, 2, seeds)
    assert drawn is None and torch.equal(starts[0], control_starts(PENDULUM, 2, 5))
    common = {"planner": SMALL, "settings": settings}
    together = evaluate_control(Oracle(PENDULUM), PENDULUM, 10, starts, num_members=3, seeds=seeds, **common)
    assert torch.equal(together.actions[0], together.actions[2])
    for member, seed in enumerate(seeds):
        own = dataclasses.replace(settings, seed=seed)
        alone = evaluate_control(Oracle(PENDULUM), PENDULUM, 10, starts[member], planner=SMALL, settings=own)
        assert torch.allclose(alone.states[0], together.states[member], rtol=0, atol=1e-9)
    same = starts[:1].expand(2, -1, -1)  # one start, two seeds: other noise, other plans
    two = evaluate_control(Oracle(PENDULUM), PENDULUM, 10, same, num_members=2, seeds=[5, 7], **common)
    assert not torch.equal(two.actions[0], two.actions[1])
    parameters = starts_of_seeds(DRIFTER, 3, [0, 1])[1]
    assert torch.equal(parameters[1], control_parameters(DRIFTER, 3, 1)) and not torch.equal(*parameters)
    with pytest.raises(ValueError, match="seeds must be one per member: 3, got 2"):
        evaluate_control(Oracle(PENDULUM), PENDULUM, 10, starts, num_members=3, seeds=[5, 7], **common)


@pytest.mark.parametrize("rate", [5, 10, 16, 20, 25, 33.3, 50, 100])
def test_plans_per_second_are_the_same_at_every_rate(rate):
    counts = []

    class Counting(Oracle):
        def predict_sequence(self, state, actions, delta_t, context=None):
            counts.append(actions.shape[2])
            return super().predict_sequence(state, actions, delta_t, context)

    settings = ControlSettings(duration=3.0, replan_interval=0.1)
    evaluate_control(Counting(PENDULUM), PENDULUM, rate, control_starts(PENDULUM, 1), planner=SMALL, settings=settings)
    assert len(counts) == SMALL.num_iterations * (15 if rate == 5 else 30)


def test_random_inputs_do_not_solve_the_tasks():
    for system in (PENDULUM, CONTINUOUS):
        result = evaluate_control(
            Oracle(system), system, 10, control_starts(system, 8), planner=RandomInputs(), settings=QUICK
        )
        assert result.success.double().mean() < 0.5


@pytest.mark.parametrize("system", [PENDULUM, CONTINUOUS, CARTPOLE], ids=lambda s: s.spec.name)
@pytest.mark.parametrize("rate", [10, 33.3])
def test_episodes_are_those_of_the_gymnasium_environment(system, rate):
    """Replaying the inputs in the registered environment gives the same states, return and end."""
    starts = control_starts(system, 2)
    result = evaluate_control(
        Oracle(system), system, rate, starts, planner=SMALL,
        settings=ControlSettings(replan_interval=0.3, duration=3.0),
    )  # fmt: skip
    for episode in range(2):
        environment = make_environment(system.spec.name, rate)
        environment.reset(options={"state": starts[episode].numpy()})
        total, elapsed = 0.0, 0.0
        for t in range(result.actions.shape[2]):
            action = result.actions[0, episode, t].numpy()
            _, reward, terminated, _, info = environment.step(int(action[0]) if system.spec.discrete else action)
            total, elapsed = total + reward, info["t"] + min(info["exit_time"], info["delta_t"])
            assert result.states[0, episode, t + 1].tolist() == pytest.approx(info["next_state"], abs=1e-9)
            if terminated:
                break
        assert float(result.episode_return[0, episode]) == pytest.approx(total, abs=1e-9)
        assert terminated == math.isfinite(result.exit_time[0, episode])
        if terminated:
            assert float(result.exit_time[0, episode]) == pytest.approx(elapsed, abs=1e-9)
            assert not result.success[0, episode]


def test_many_episodes_advance_like_few():
    """Above SCALAR_ROWS the real system is advanced in tensors; the episodes are the same."""
    settings = ControlSettings(duration=0.5)
    starts = control_starts(PENDULUM, 120)
    many = evaluate_control(Oracle(PENDULUM), PENDULUM, 20, starts, planner=SMALL, settings=settings)
    few = evaluate_control(Oracle(PENDULUM), PENDULUM, 20, starts[:3], planner=SMALL, settings=settings)
    assert torch.allclose(many.states[:, :3], few.states, atol=1e-4)  # float32 plans may differ in the last bits
    assert torch.allclose(many.episode_return[:, :3], few.episode_return, atol=1e-2)


def test_members_and_episodes_do_not_interact():
    stack = stack_of(PENDULUM)
    starts = control_starts(PENDULUM, 3)
    settings = ControlSettings(duration=1.0, replan_interval=0.1)
    together = evaluate_control(stack, PENDULUM, 20, starts, num_members=3, planner=SMALL, settings=settings)
    assert together.states.shape == (3, 3, 21, 2) and together.actions.shape == (3, 3, 20, 1)
    member = evaluate_control(stack.select(torch.tensor([1])), PENDULUM, 20, starts, planner=SMALL, settings=settings)
    assert torch.allclose(member.states[0], together.states[1], atol=1e-4)
    fewer = evaluate_control(stack, PENDULUM, 20, starts[:1], num_members=3, planner=SMALL, settings=settings)
    assert torch.allclose(fewer.states, together.states[:, :1], atol=1e-4)


def test_an_episode_does_not_depend_on_what_is_planned_beside_it():
    """In double precision, where rounding cannot turn a close choice between two plans, episodes are the same."""
    jumps = [build_model("jump", PENDULUM.spec, seed=i).double() for i in range(3)]
    fields = [build_model("newtonian", PENDULUM.spec, seed=i).double() for i in range(2)]
    starts = control_starts(PENDULUM, 3)
    settings = ControlSettings(duration=1.0, replan_interval=0.1, dtype=torch.float64)
    common = {"planner": SMALL, "settings": settings}
    beside = SideBySide([Oracle(PENDULUM), prepared(Stack(jumps)), prepared(Stack(fields))], [1, 3, 2])
    together = evaluate_control(beside, PENDULUM, 20, starts, num_members=6, **common)
    parts = [
        evaluate_control(dynamics, PENDULUM, 20, starts[:2], num_members=count, **common)
        for dynamics, count in ((Oracle(PENDULUM), 1), (Stack(jumps), 3), (Stack(fields), 2))
    ]
    for name in ("states", "actions", "episode_return"):
        alone = torch.cat([getattr(part, name) for part in parts])
        assert torch.allclose(getattr(together, name)[:, :2], alone, rtol=0, atol=1e-6)
    oracle = together.members(slice(0, 1))
    assert torch.equal(oracle.states, together.states[:1]) and oracle.control_frequency == 20


def test_side_by_side_selects_members_of_every_part():
    parts = [prepared(stack_of(PENDULUM, num_models=3)), prepared(stack_of(PENDULUM, "lstm", num_models=2))]
    beside = SideBySide(parts, [3, 2])
    state, actions = torch.randn(5, 1, 4, 2), torch.randn(5, 1, 4, 6, 1)
    past = Context(
        torch.randn(5, 1, 1, 3, 2), torch.randn(5, 1, 1, 3, 1), torch.full((5, 1, 1, 3), 0.05),
        torch.ones(5, 1, 1, 3, dtype=torch.bool),
    )  # fmt: skip
    whole = beside.predict_sequence(state, actions, 0.05, past)
    for chosen in ([1, 3, 4], [4], [0, 1, 2]):
        index = torch.tensor(chosen)
        own = Context(*(x[index] for x in past.tensors()))
        some = beside.select(index).predict_sequence(state[index], actions[index], 0.05, own)
        assert torch.allclose(some, whole[index], atol=1e-6)
    with pytest.raises(ValueError, match="counts must be one per part and at least one, got 1 for 2 parts"):
        SideBySide(parts, [3])


def test_other_models_are_recorded():
    class Slow(JumpModel):
        """Somebody's own model, of which no row form is known."""

        def forward(self, state, action, delta_t=None):
            return state + 0.5 * (super().forward(state, action, delta_t) - state)

    stack = Stack([Slow(PENDULUM.spec, Slow.Options()) for _ in range(2)])
    assert isinstance(prepared(stack), RecordedDynamics) and isinstance(prepared(stack_of(PENDULUM)), FeaturesFirst)
    state, actions = torch.randn(2, 1, 4, 2), torch.randn(2, 1, 4, 3, 1)
    with torch.no_grad():
        expected = stack.predict_sequence(state, actions, torch.full((2, 1, 4, 3), 0.05))
    assert torch.allclose(prepared(stack).predict_sequence(state, actions, 0.05), expected, atol=1e-6)


def test_a_quarter_of_the_samples_plans_as_well_through_knots():
    """On the true Pendulum: 64 x 2 samples with knots, warm start, kept elites; 512 with an input for every step."""
    starts, oracle = control_starts(PENDULUM, 8), Oracle(PENDULUM)
    plain = MPPI(population=512, num_iterations=1, num_kept=0)
    returns = [
        evaluate_control(
            oracle, PENDULUM, 20, starts, planner=planner,
            settings=ControlSettings(duration=6.0, knots_per_second=knots),
        ).episode_return.mean()
        for planner, knots in ((CEM(), 10.0), (plain, 20.0))
    ]  # fmt: skip
    assert returns[0] >= 1.1 * returns[1]  # returns are negative: at most a tenth dearer


def test_same_seed_same_episodes_other_seed_others():
    stack, starts = stack_of(CONTINUOUS, num_models=2), control_starts(CONTINUOUS, 1)
    runs = [
        evaluate_control(
            stack, CONTINUOUS, 20, starts, num_members=2, planner=SMALL, settings=ControlSettings(duration=0.3, seed=s)
        )
        for s in (0, 0, 1)
    ]
    assert torch.equal(runs[0].states, runs[1].states) and not torch.equal(runs[0].states, runs[2].states)
    assert torch.equal(control_starts(CONTINUOUS, 2), control_starts(CONTINUOUS, 5)[:2])


def test_a_model_that_diverges_is_counted_and_leaves_the_others_alone():
    starts, settings = control_starts(PENDULUM, 2), ControlSettings(duration=0.5)
    models = [build_model("jump", PENDULUM.spec, seed=i) for i in range(2)]
    healthy = evaluate_control(Stack(models), PENDULUM, 20, starts, num_members=2, planner=SMALL, settings=settings)
    with torch.no_grad():
        models[1].network[0].weight.fill_(torch.nan)
    broken = evaluate_control(Stack(models), PENDULUM, 20, starts, num_members=2, planner=SMALL, settings=settings)
    assert broken.num_nonfinite.tolist() == [[0, 0], [320, 320]]  # 10 plans of 2 x 16 samples
    assert broken.states.isfinite().all()
    assert torch.allclose(broken.states[0], healthy.states[0], atol=1e-4)


def test_the_derived_arms_predict_what_their_classes_say():
    stack = stack_of(PENDULUM, num_models=2, train_delta_t=0.02)
    state, actions = torch.randn(2, 1, 5, 2), torch.randn(2, 1, 5, 4, 1)
    for dynamics in (
        stack,
        RescaledIncrement(stack, 0.02, PENDULUM.spec),
        RecurrentRollout(stack, 0.02, PENDULUM.spec),
        Persistence(PENDULUM.spec),
    ):
        for delta_t in (0.1, 0.05, 0.03):
            expected = dynamics.predict_sequence(state, actions, torch.full((2, 1, 5, 4), delta_t))
            found = prepared(dynamics).predict_sequence(state, actions, delta_t)
            assert torch.allclose(found, expected, atol=1e-6)


def test_predictions_in_double_precision():
    stack = Stack([build_model("jump", CARTPOLE.spec, seed=0).double()])
    settings = ControlSettings(duration=0.25, dtype=torch.float64)
    result = evaluate_control(stack, CARTPOLE, 16, control_starts(CARTPOLE, 2), planner=SMALL, settings=settings)
    assert result.states.shape == (1, 2, 5, 4) and result.num_nonfinite.sum() == 0


@pytest.mark.parametrize("name", ["first_order_ode", "newtonian", "port_hamiltonian", "ensemble"])
def test_recorded_models_equal_the_stack(name):
    stack = stack_of(CONTINUOUS, name, num_models=2)
    state, actions = 0.1 * torch.randn(2, 1, 4, 4), torch.randn(2, 1, 4, 3, 1)
    with torch.no_grad():
        expected = stack.predict_sequence(state, actions, torch.full((2, 1, 4, 3), 0.05))
        assert torch.allclose(RecordedDynamics(stack).predict_sequence(state, actions, 0.05), expected, atol=1e-6)


def test_memory_models_see_their_true_past():
    """The context at a planning time is the true past at the model's step; another past gives another prediction."""
    seen = []

    class Spy:
        has_memory = True

        def predict_sequence(self, state, actions, delta_t, context=None):
            seen.append((state, delta_t, context))
            return state.unsqueeze(-2).expand(*actions.shape[:-1], -1)

    result = evaluate_control(
        Spy(), PENDULUM, 20, control_starts(PENDULUM, 2), planner=CEM(population=4, num_elites=2, num_iterations=1),
        settings=ControlSettings(duration=1.0, context_steps=3, model_delta_t=0.1),
    )  # fmt: skip
    assert len(seen) == 20
    state, delta_t, context = seen[5]  # t = 0.25 s: two whole model steps of 0.1 s lie behind, begun at 0.05 and 0.15 s
    assert delta_t == 0.1 and context.mask[0, 0, 0].tolist() == [False, True, True]
    assert torch.allclose(state[:, :, 0].double(), result.states[:, :, 5], atol=1e-6)
    assert torch.allclose(context.states[:, :, 0, 1].double(), result.states[:, :, 1], atol=1e-6)
    assert torch.allclose(context.states[:, :, 0, 2].double(), result.states[:, :, 3], atol=1e-6)
    mean_input = result.actions[:, :, 3:5].mean(dim=2)
    assert torch.allclose(context.actions[:, :, 0, 2].double(), mean_input, atol=1e-6)

    stack = stack_of(PENDULUM, "lstm", num_models=2)
    start, plans = torch.randn(2, 2, 4, 2), torch.randn(2, 2, 4, 6, 1)
    past = [torch.randn(2, 2, 1, 3, 2), torch.randn(2, 2, 1, 3, 1), torch.full((2, 2, 1, 3), 0.05)]
    context = Context(*past, torch.ones(2, 2, 1, 3, dtype=torch.bool))
    other = Context(past[0] + 1, *past[1:], context.mask)
    first, second = (RecordedDynamics(stack).predict_sequence(start, plans, 0.05, c) for c in (context, other))
    assert not torch.allclose(first, second)
    repeated = Context(*(x.expand(2, 2, 4, *x.shape[3:]) for x in context.tensors()))
    expected = stack.predict_sequence(start, plans, torch.full((2, 2, 4, 6), 0.05), repeated)
    assert torch.allclose(first, expected, atol=1e-6)


def test_memory_models_run_in_closed_loop():
    result = evaluate_control(
        stack_of(CARTPOLE, "lstm"), CARTPOLE, 20, control_starts(CARTPOLE, 2), num_members=3, planner=SMALL,
        settings=ControlSettings(duration=0.6),
    )  # fmt: skip
    assert result.episode_return.isfinite().all() and (result.episode_return > 0).all()


DRIFTER = System(
    spec=EnvironmentSpec(
        name="Drifter-v0", state_names=("x",), state_units=("m",), angle_dims=(), position_dims=(), velocity_dims=(),
        input_names=("u",), input_units=("m/s",), input_low=(-1.0,), input_high=(1.0,), time_limit=4.0,
        parameter_names=("drift",),
    ),
    equation=lambda x, u, p, m: (u[0] + p.drift,),
    parameters={"drift": 0.0},
    parameter_ranges={"drift": (-0.5, 0.5)},
    task=Task((-1.0,), (1.0,), reward=lambda x, u, p, m: -(x[0] ** 2), cost=lambda x, u, p, m: x[0] ** 2),
)  # fmt: skip
DRIFTING = ControlSettings(replan_interval=0.5)


class AtOnce(DynamicsModel):
    """x + Σ (u + drift)·Δt for all steps at once, the drift read off the last true step; there is no `step`."""

    def predict(self, state, actions, delta_t=None, context=None):
        held, known = context.actions[..., -1, :], context.mask[..., -1:]
        seen = (state - context.states[..., -1, :]) / context.delta_t[..., -1:] - held
        drift = torch.where(known, seen, torch.zeros_like(seen))
        return Prediction(state.unsqueeze(-2) + (delta_t * (actions + drift.unsqueeze(-2))).cumsum(dim=-2))


class Driftless(DynamicsModel):
    """x + u·Δt: knows of no drift."""

    def forward(self, state, action, delta_t=None):
        return state + delta_t.unsqueeze(-1) * action


def drifting(dynamics, num_members=1, parameters=None, settings=DRIFTING):
    starts = control_starts(DRIFTER, 6)
    return evaluate_control(
        dynamics, DRIFTER, 10, starts, num_members=num_members, parameters=parameters, settings=settings
    )


def test_episodes_have_parameters_of_their_own_and_the_oracle_knows_them():
    drift = control_parameters(DRIFTER, 6)
    assert torch.equal(drift[:2], control_parameters(DRIFTER, 2)) and len(drift.unique()) == 6
    beside = SideBySide([Oracle(DRIFTER), prepared(Stack([Driftless(DRIFTER.spec)]))], [1, 1])
    result = drifting(beside, 2, drift)
    moved = 0.1 * (result.actions + drift.unsqueeze(-2))
    assert torch.allclose(result.states.diff(dim=2), moved, atol=1e-12)
    told, untold = result.states[:, :, -1, 0].abs()  # after half a second without a new plan
    assert (told < 0.05).all() and (untold - told > 0.25 * drift[:, 0].abs()).all()
    nominal = drifting(Oracle(DRIFTER))
    assert torch.allclose(nominal.states.diff(dim=2), 0.1 * nominal.actions, atol=1e-12)
    assert control_parameters(PENDULUM, 6) is None


def test_a_model_without_step_is_planned_with_by_whole_sequences():
    """One that is exact once it has seen a step ends where the oracle does, alone and in stacks of one and of two."""
    drift = control_parameters(DRIFTER, 6)
    alone = drifting(AtOnce(DRIFTER.spec), parameters=drift)
    stack = Stack([AtOnce(DRIFTER.spec), AtOnce(DRIFTER.spec)])
    assert stack.whole_sequences and prepared(stack) is stack
    stacked = drifting(stack, 2, drift)
    assert torch.allclose(stacked.states, alone.states.expand(2, -1, -1, -1), atol=1e-5)
    one = drifting(Stack([AtOnce(DRIFTER.spec)]), parameters=drift)
    assert torch.allclose(one.states, alone.states, atol=1e-5)
    oracle = drifting(Oracle(DRIFTER), parameters=drift)
    assert torch.allclose(alone.states[:, :, -1], oracle.states[:, :, -1], atol=0.05)
    beside = drifting(SideBySide([Oracle(DRIFTER), stack], [1, 2]), 3, drift)
    assert torch.allclose(beside.states[:1], oracle.states, atol=1e-5)
    assert torch.allclose(beside.states[1:], stacked.states, atol=1e-5)


@pytest.mark.parametrize(("rate", "model_rate"), [(50, 10), (10, 50), (20, 20)])
def test_model_step_and_control_step_may_differ(rate, model_rate):
    result = evaluate_control(
        Oracle(PENDULUM), PENDULUM, rate, control_starts(PENDULUM, 4), planner=CEM(population=32),
        settings=dataclasses.replace(QUICK, model_delta_t=1 / model_rate),
    )  # fmt: skip
    assert result.success.double().mean() >= 0.75  # the oracle plans well at any step
    assert result.states.shape[2] == 7 * rate + 1
    assert control_rows(result, [{}])[0]["model_frequency"] == f"{model_rate}"


def test_members_that_are_through_are_left_out():
    """Most of 40 untrained models drop the pole at once; what remains is the same as without leaving any out."""
    stack, starts = stack_of(CONTINUOUS, num_models=40), control_starts(CONTINUOUS, 1)
    settings = ControlSettings(duration=2.0, replan_interval=0.1)
    result = evaluate_control(stack, CONTINUOUS, 10, starts, num_members=40, planner=SMALL, settings=settings)
    import tdlib.evaluation.control.episodes as control

    original, control.COMPACTION_MEMBERS = control.COMPACTION_MEMBERS, 1000
    try:
        whole = evaluate_control(stack, CONTINUOUS, 10, starts, num_members=40, planner=SMALL, settings=settings)
    finally:
        control.COMPACTION_MEMBERS = original
    assert result.exit_time.isfinite().double().mean() > 0.5
    same = torch.isclose(result.exit_time, whole.exit_time)
    assert same.double().mean() >= 0.95  # float32 products differ in the last bit with the size of a stack


def test_rows():
    settings = ControlSettings(duration=1.0, replan_interval=0.2)
    starts = control_starts(PENDULUM, 2)
    oracle = evaluate_control(Oracle(PENDULUM), PENDULUM, 33.3, starts, planner=SMALL, settings=settings)
    result = evaluate_control(
        stack_of(PENDULUM, num_models=2), PENDULUM, 33.3, starts, num_members=2, planner=SMALL, settings=settings
    )
    keys = [{"env": "Pendulum-v1", "seed": s} for s in range(2)]
    rows = control_rows(result, keys, oracle.episode_return.expand(2, -1))
    assert len(rows) == 4 and [row["episode"] for row in rows] == [0, 1, 0, 1]
    assert rows[2]["test_frequency"] == rows[2]["control_frequency"] == rows[2]["model_frequency"] == "33.3"
    assert rows[2]["duration"] == pytest.approx(0.99)  # whole steps of 0.03 s
    assert rows[3]["regret"] == pytest.approx(float(oracle.episode_return[0, 1] - result.episode_return[1, 1]))
    assert rows[0]["planner"] == "cem" and rows[0]["n"] == 1
    assert control_rows(result, keys, model_frequency=10.0)[0]["model_frequency"] == "10"
    assert control_rows(oracle, [{}])[0]["regret"] is None
    with pytest.raises(ValueError, match="keys must be one per member: 2, got 1"):
        control_rows(result, [{}])


def test_a_mark_rests_on_enough_starts_of_the_oracle():
    def episodes(rate, solved, count, planner="cem"):
        return [
            {"control_frequency": rate, "planner": planner, "success": number < solved, "episode": number}
            for number in range(count)
        ]

    few, enough = ORACLE_STARTS - 1, ORACLE_STARTS
    oracle = pd.DataFrame([*episodes("10", 0, few), *episodes("20", 17, enough), *episodes("50", 18, enough)])
    limits = planner_limits(oracle)
    assert limits == {("20", "cem"): True, ("50", "cem"): False}  # .85, .9; 19 failures of 19 decide nothing yet
    table = pd.DataFrame([*oracle.to_dict("records"), *episodes("20", 0, 1, "random"), *episodes("20", 0, 1, "mppi")])
    marks = marked(table, limits, "cem").groupby(["control_frequency", "planner"])["planner_limited"].agg(set)
    assert marks["20", "cem"] == marks["20", "random"] == {True} and marks["50", "cem"] == {False}
    assert all(math.isnan(*marks[cell]) for cell in (("20", "mppi"),)) and all(map(math.isnan, marks["10", "cem"]))


@pytest.mark.parametrize(
    "options", [{"horizon": 0.0}, {"knots_per_second": math.inf}, {"spread": 0.0}, {"failure_cost": math.nan}]
)
def test_what_a_planner_cannot_use_is_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Planning(**options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"starts": torch.zeros(3, 3)}, r"starts must be \(E, 2\) or \(1, E, 2\), got \(3, 3\)"),
        ({"starts": torch.full((1, 2), torch.nan)}, "starts must be finite"),
        ({"control_frequency": -5}, "control_frequency must be positive"),
        ({"settings": ControlSettings(model_delta_t=0.03)}, "model_delta_t must be a whole multiple or fraction of"),
    ],
)
def test_bad_input_is_refused(change, message):
    arguments = {"control_frequency": 20, "starts": torch.zeros(1, 2), **change}
    with pytest.raises(ValueError, match=message):
        evaluate_control(Oracle(PENDULUM), PENDULUM, **arguments)


@pytest.mark.parametrize(
    "settings", [{"horizon": 0.0}, {"duration": float("nan")}, {"replan_interval": -0.1}, {"knots_per_second": -1.0}]
)
def test_bad_settings_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        ControlSettings(**settings)
