"""Planners against problems with known answers, and the clock that turns knots into inputs."""

import itertools

import numpy as np
import pytest
import torch
from scipy.interpolate import CubicHermiteSpline
from scipy.optimize import minimize

from tdlib.core.time_grid import delta_t_of
from tdlib.planning import (
    CEM,
    DIAL,
    INTERPOLATIONS,
    MPPI,
    PLANNERS,
    BoxInputs,
    CategoricalInputs,
    Enumeration,
    KnotClock,
    PredictiveSampling,
    Proposal,
    RandomInputs,
    all_sequences,
    build_planner,
    cost_weights,
    finite_scores,
    fresh_start,
    inputs_of,
    knot_weights,
    prediction_objective,
    shift_knots,
)
from tdlib.speed import record

BOX = BoxInputs(-2.0, 2.0)
SAMPLING = (CEM(), MPPI(), MPPI(temperature=0.1, standardized=False), PredictiveSampling(), DIAL())


def noise_of(inputs, num_problems=1, seed=0):
    """One stream per problem, (E, P, N, 1) per call."""
    generators = [torch.Generator().manual_seed(seed + e) for e in range(num_problems)]
    return lambda population, knots: torch.stack([inputs.draw_noise(population, knots, g) for g in generators])


def double_integrator_cost(knots, start):
    """Quadratic cost of x'' = u, x(0) = start, one second in 10 steps: (..., N, 1) -> (...)."""
    position, velocity, cost = start, torch.zeros_like(start), 0.0
    for force in knots[..., 0].unbind(dim=-1):
        position, velocity = position + 0.1 * velocity + 0.005 * force, velocity + 0.1 * force
        cost = cost + 0.1 * (position**2 + 0.1 * velocity**2 + 0.01 * force**2)
    return cost + position**2 + velocity**2


def optimum(start):
    def objective(x):
        return float(double_integrator_cost(torch.tensor(x)[:, None], torch.tensor(start, dtype=torch.float64)))

    return minimize(objective, torch.zeros(10).double().numpy(), bounds=[(-2, 2)] * 10).fun


@pytest.mark.parametrize(
    "planner",
    [
        CEM(population=256, num_iterations=30, num_elites=25),
        MPPI(256, 60, 0.05),
        MPPI(256, 60, 0.01, standardized=False),
        PredictiveSampling(256, 60),
        DIAL(256, 60, temperature=0.05, beta_horizon=10.0),
    ],
    ids=lambda planner: planner.name,
)
def test_planners_find_the_optimum_of_a_linear_quadratic_problem(planner):
    starts = torch.tensor([1.0, 0.3, -0.6], dtype=torch.float64)
    plan = planner.plan(
        lambda knots: -double_integrator_cost(knots.double(), starts[:, None].expand(knots.shape[:2])),
        BOX,
        fresh_start(BOX, (3,), 10),
        noise_of(BOX, 3),
    )
    best = torch.tensor([optimum(float(start)) for start in starts])
    excess = (-plan.score.double() - best) / best
    assert (excess > -1e-6).all()  # nothing beats the optimum
    assert (excess < 0.02).all()  # and sampling comes within 2 %


def test_cem_approaches_the_closed_form_minimum_of_a_quadratic():
    target = torch.tensor([0.5, -1.0, 1.5])[:, None]
    plan = CEM(population=128, num_iterations=25, num_elites=12).plan(
        lambda knots: -((knots - target) ** 2).sum(dim=(-1, -2)), BOX, fresh_start(BOX, (1,), 3), noise_of(BOX)
    )
    assert torch.allclose(plan.knots[0], target, atol=0.03)


@pytest.mark.parametrize("planner", SAMPLING, ids=lambda planner: planner.name)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_scores_that_are_not_finite_never_win_and_are_counted(planner, bad):
    def objective(knots):
        first = knots[..., 0, 0]
        return torch.where(first > 0, torch.full_like(first, bad), -(first**2))  # the box's upper half diverges

    plan = planner.plan(objective, BOX, fresh_start(BOX, (4,), 5), noise_of(BOX, 4))
    assert (plan.knots[:, 0, 0] <= 0).all()
    assert plan.score.isfinite().all()
    assert (plan.num_nonfinite > 10).all() and (plan.num_nonfinite < 128).all()


def test_a_member_without_any_finite_score_keeps_a_finite_plan_and_does_not_disturb_others():
    def objective(knots):
        score = -(knots**2).sum(dim=(-1, -2))
        return torch.where(torch.tensor([True, False])[:, None], score, torch.full_like(score, torch.nan))

    plan = CEM().plan(objective, BOX, fresh_start(BOX, (2,), 5), noise_of(BOX, 2))
    alone = CEM().plan(lambda knots: -(knots**2).sum(dim=(-1, -2)), BOX, fresh_start(BOX, (1,), 5), noise_of(BOX, 1))
    assert plan.knots.isfinite().all()
    assert plan.num_nonfinite.tolist() == [0, 128]
    assert plan.score[1] == -torch.inf
    assert torch.equal(plan.knots[0], alone.knots[0])


def test_finite_scores_counts():
    scores, count = finite_scores(torch.tensor([[1.0, torch.nan, torch.inf], [-torch.inf, 0.0, 2.0]]))
    assert scores.tolist() == [[1.0, -torch.inf, -torch.inf], [-torch.inf, 0.0, 2.0]]
    assert count.tolist() == [2, 1]


@pytest.mark.parametrize(
    ("planner", "inputs"),
    [*((planner, BOX) for planner in SAMPLING), *((planner, CategoricalInputs(2)) for planner in SAMPLING[:4])],
)
def test_a_plan_does_not_depend_on_its_neighbors(planner, inputs):
    goals = torch.tensor([0.3, -1.0, 1.7])

    def plans_for(index):
        def objective(knots):
            return -((knots - goals[index][:, None, None, None]) ** 2).sum(dim=(-1, -2))

        generators = [torch.Generator().manual_seed(100 + i) for i in index]
        warm_start = fresh_start(inputs, (len(index),), 6)
        for _ in range(3):  # the warm start must not mix problems either
            plan = planner.plan(
                objective,
                inputs,
                warm_start,
                lambda population, knots: torch.stack([inputs.draw_noise(population, knots, g) for g in generators]),
            )
            warm_start = plan.warm_start.shifted(1, inputs)
        return plan.knots

    together = plans_for([0, 1, 2])
    for i in range(3):
        assert torch.equal(plans_for([i])[0], together[i])


@pytest.mark.parametrize("planner", SAMPLING, ids=lambda planner: planner.name)
def test_same_noise_same_plan_other_noise_another(planner):
    def objective(knots):
        return -((knots - 0.7) ** 2).sum(dim=(-1, -2))

    plans = [planner.plan(objective, BOX, fresh_start(BOX, (1,), 6), noise_of(BOX, seed=s)).knots for s in (0, 0, 1)]
    assert torch.equal(plans[0], plans[1]) and not torch.equal(plans[0], plans[2])
    assert build_planner(planner.name).num_scored(BOX, 6) == PLANNERS[planner.name]().num_scored(BOX, 6) > 0


def test_the_first_sample_of_predictive_sampling_is_the_mean_and_the_mean_moves_to_the_best():
    target, scored = torch.tensor([0.5, -1.0, 1.5])[:, None], []

    def objective(knots):
        scored.append(knots)
        return -((knots - target) ** 2).sum(dim=(-1, -2))

    warm_start, noise, score = fresh_start(BOX, (2,), 3), noise_of(BOX, 2), torch.full((2,), -torch.inf)
    for call in range(4):
        mean = warm_start.proposal.center
        plan = PredictiveSampling(population=32).plan(objective, BOX, warm_start, noise)
        assert len(scored) == call + 1 and scored[-1].shape == (2, 32, 3, 1)
        assert torch.equal(scored[-1][:, 0], mean)
        best = (-((scored[-1] - target) ** 2)).sum(dim=(-1, -2)).argmax(dim=1)
        assert torch.equal(plan.knots, scored[-1][torch.arange(2), best])
        assert torch.equal(plan.warm_start.proposal.center, plan.knots)
        assert (plan.score >= score).all()  # the mean is scored again, so nothing found is lost
        warm_start, score = plan.warm_start, plan.score
    inputs = CategoricalInputs(3)
    start = fresh_start(inputs, (1,), 4)
    found = PredictiveSampling(256).plan(lambda x: -(x - 2).abs().sum(dim=(-1, -2)), inputs, start, noise_of(inputs))
    assert found.knots[0, :, 0].tolist() == [2.0] * 4 and found.warm_start.proposal.center[0, 0].tolist() == [0, 0, 1]
    nothing = PredictiveSampling().plan(lambda x: x[..., 0, 0] * torch.nan, BOX, warm_start, noise)
    assert torch.equal(nothing.knots, warm_start.proposal.center) and (nothing.num_nonfinite == 128).all()


def test_dial_draws_with_the_spread_of_its_schedule():
    planner, drawn = DIAL(population=4, num_iterations=3, beta_iteration=0.5, beta_horizon=2.0, num_kept=0), []
    unit = torch.tensor([1.0, 0.5, -0.5, -1.0]).reshape(1, 4, 1, 1)

    def objective(knots):
        drawn.append(knots)
        return knots.new_zeros(knots.shape[:-2])  # all alike

    planner.plan(objective, BOX, fresh_start(BOX, (1,), 5), lambda p, n: unit.expand(1, p, n, 1))
    for i, knots in enumerate(drawn):
        spread = [2.0 * np.exp(-i / (0.5 * 3) - (5 - h) / (2.0 * 5)) for h in range(1, 6)]  # half the box is 2
        apart = 2 * (knots[0, 0, :, 0] - knots[0, 1, :, 0])  # wherever the mean is
        assert apart.tolist() == pytest.approx(spread, rel=1e-5)
    assert len(drawn) == 3 and float(planner.scale(0, 5)[-1]) == 1.0
    flat = DIAL(population=16, num_iterations=2, beta_iteration=1e9, beta_horizon=1e9)
    goal = (lambda x: -((x - 0.3) ** 2).sum(dim=(-1, -2)), BOX, fresh_start(BOX, (1,), 5))
    same = [p.plan(*goal, noise_of(BOX)).knots for p in (flat, MPPI(population=16, num_iterations=2))]
    assert torch.allclose(*same, atol=1e-6)  # without annealing it is MPPI
    for call in (lambda x: DIAL().num_scored(x, 3), lambda x: DIAL().plan(None, x, fresh_start(x, (1,), 3), None)):
        with pytest.raises(ValueError, match="DIAL needs inputs in a box, got CategoricalInputs"):
            call(CategoricalInputs(2))


@pytest.mark.parametrize("planner", [MPPI, DIAL])
def test_a_temperature_is_in_units_of_the_cost_or_of_its_spread(planner):
    scores = torch.tensor([[-3.0, -1.0, -2.5, -torch.inf], [-torch.inf] * 4])
    weights = planner(temperature=0.1, standardized=False).weights(scores)
    by_hand = np.exp(np.array([-3.0, -1.0, -2.5]) / 0.1)
    assert weights[0].tolist() == pytest.approx([*by_hand / by_hand.sum(), 0.0], abs=1e-6)
    assert weights[1].tolist() == [0.0] * 4
    spread = float(scores[0, :3].std(correction=0))
    relative = planner(temperature=0.1 / spread).weights(scores)
    assert torch.allclose(relative, weights, atol=1e-6)


def test_enumeration_equals_brute_force():
    generator = torch.Generator().manual_seed(3)
    table = torch.randn(2, 3**4, generator=generator)  # a score for every sequence of two problems
    powers = 3 ** torch.arange(3, -1, -1)

    def objective(plans):
        index = (plans[..., 0].long() * powers).sum(dim=-1)
        return table.gather(1, index)

    inputs = CategoricalInputs(3)
    plan = Enumeration().plan(objective, inputs, fresh_start(inputs, (2,), 4), noise_of(inputs, 2))
    for problem in range(2):
        sequences = list(itertools.product(range(3), repeat=4))
        best = max(range(81), key=lambda i: table[problem, i])
        assert plan.knots[problem, :, 0].long().tolist() == list(sequences[best])
        assert plan.score[problem] == table[problem].max()


def test_enumeration_refuses_what_is_too_much():
    assert all_sequences(2, 10).shape == (1024, 10, 1)
    with pytest.raises(ValueError, match="at most 1024 sequences, got 2\\^11 = 2048"):
        all_sequences(2, 11)
    with pytest.raises(ValueError, match="discrete"):
        Enumeration().plan(lambda plans: plans, BOX, fresh_start(BOX, (1,), 4), noise_of(BOX))


def test_categorical_cem_finds_a_sequence():
    target = torch.tensor([0, 1, 1, 0, 1, 0, 0, 1.0])[:, None]
    inputs = CategoricalInputs(2)

    def objective(knots):
        return -(knots != target).sum(dim=(-1, -2)).float()

    plan = CEM(num_iterations=6).plan(objective, inputs, fresh_start(inputs, (1,), 8), noise_of(inputs))
    assert torch.equal(plan.knots[0], target)
    assert set(plan.knots.unique().tolist()) <= {0.0, 1.0}


def test_random_inputs_ignore_the_objective_and_stay_in_the_box():
    plan = RandomInputs().plan(lambda knots: 1 / 0, BOX, fresh_start(BOX, (3,), 6), noise_of(BOX, 3))
    assert plan.knots.shape == (3, 6, 1) and (plan.knots.abs() <= 2).all()
    assert len(plan.knots.unique()) > 6


def test_random_inputs_are_drawn_from_the_whole_box():
    """As far apart as normal numbers of half the box's width that are clipped to it: 0.72 of that half."""
    knots = RandomInputs().plan(lambda knots: 1 / 0, BOX, fresh_start(BOX, (400,), 6), noise_of(BOX, 400)).knots
    assert knots.std().item() / 2 == pytest.approx(0.718, abs=0.05)


def test_inputs_stay_in_their_box():
    wide = Proposal(torch.zeros(4, 5, 1), torch.full((4, 5, 1), 50.0))
    plans = BOX.sample(wide, noise_of(BOX, 4)(64, 5))
    assert plans.min() == -2 and plans.max() == 2


def test_noise_comes_in_opposite_pairs():
    noise = BOX.draw_noise(9, 4, torch.Generator().manual_seed(0))
    assert noise[0].abs().max() == 0 and torch.equal(noise[1:5], -noise[5:])


@pytest.mark.parametrize("rate", [5, 10, 16, 20, 25, 33.3, 50, 100])
def test_horizon_and_knots_are_counted_in_seconds(rate):
    delta_t = delta_t_of(rate)
    clock = KnotClock.at_rate(1.0, 10, delta_t)
    assert clock.num_knots == (5 if rate == 5 else 10)  # no knot shorter than a control step
    assert clock.num_steps * delta_t <= 1.0 + 1e-9
    assert (clock.num_steps + 1) * delta_t > 1.0
    held = clock.held_knots(0.0, clock.step_times(0.0))
    times = torch.arange(clock.num_steps) * delta_t
    assert held.tolist() == [int(t / clock.knot_interval + 1e-6) for t in times.tolist()]


def test_knots_are_held_over_model_steps_and_keep_their_place_when_planned_inside_a_knot():
    clock = KnotClock(horizon=0.4, knot_interval=0.2, model_delta_t=0.05)
    knots = torch.tensor([1.0, 2.0])[:, None]
    assert clock.signal(0.0)(knots)[:, 0].tolist() == [1, 1, 1, 1, 2, 2, 2, 2]
    # 50 ms into the first knot three steps of it are left, and the last knot is held on to the horizon
    assert clock.signal(0.05)(knots)[:, 0].tolist() == [1, 1, 1, 2, 2, 2, 2, 2]
    assert clock.knot_at(0.15) == 0 and clock.knot_at(0.2) == 1 and clock.knot_at(3 * 0.2) == 3


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_a_shifted_plan_is_the_same_signal_in_time(interpolation):
    clock = KnotClock(horizon=1.0, knot_interval=0.1, model_delta_t=0.02, interpolation=interpolation)
    knots = torch.randn(clock.num_knots, 1, generator=torch.Generator().manual_seed(0))
    signal = {round(i * 0.02, 6): float(x) for i, x in enumerate(clock.signal(0.0)(knots)[:, 0])}
    compared = 0
    for steps in (1, 4, 5, 12, 37):
        now = steps * 0.02
        later = shift_knots(knots, clock.knot_at(now), torch.full_like(knots, torch.nan))
        for i, x in enumerate(clock.signal(now)(later)[:, 0]):
            time = round(now + i * 0.02, 6)
            if time in signal and not x.isnan():
                assert float(x) == pytest.approx(signal[time], rel=1e-5, abs=1e-6 if interpolation != "zero" else 0.0)
                compared += 1
    assert compared > 50


def test_inputs_between_knots_are_those_of_scipy_and_numpy():
    knots = np.random.default_rng(0).normal(size=7)
    position = np.linspace(0.0, 6.0, 121)
    padded = np.concatenate([knots[:1], knots, knots[-1:]])
    slopes = (padded[2:] - padded[:-2]) / 2  # of the neighbors; the first and last knot are their own
    expected = {
        "zero": knots[np.floor(position + 1e-9).astype(int)],
        "linear": np.interp(position, np.arange(7), knots),
        "cubic": CubicHermiteSpline(np.arange(7), knots, slopes)(position),
    }
    assert set(expected) == set(INTERPOLATIONS)
    for name, values in expected.items():
        weights = knot_weights(name, torch.tensor(position), 7)
        assert np.allclose(weights.numpy() @ knots, values, atol=1e-12)
        assert torch.allclose(weights.sum(dim=-1), torch.ones(121, dtype=torch.float64))  # a constant stays constant
        beyond = knot_weights(name, torch.tensor([7.5, 20.0], dtype=torch.float64), 7)
        assert np.allclose(beyond.numpy() @ knots, knots[-1], atol=1e-12)  # the last knot is held on


@pytest.mark.parametrize(("interpolation", "num_knots"), [("zero", 4), ("linear", 5), ("cubic", 6)])
def test_joined_knots_stand_at_both_ends_of_every_interval(interpolation, num_knots):
    clock = KnotClock.at_rate(1.0, 4, 0.05, interpolation=interpolation, limits=((-1.0, 0.0), (1.0, 3.0)))
    assert clock.num_knots == num_knots and clock.num_steps == 20
    line = torch.arange(num_knots) / 10 - (0.1 if interpolation == "cubic" else 0.0)  # its first knot lies before
    knots = torch.stack([line, 7 * line], dim=-1).expand(2, 3, -1, -1)  # two straight lines in time
    found = clock.signal(0.0)(knots)
    assert found.shape == (2, 3, 20, 2)
    times = np.arange(20) * 0.05
    straight = 0.4 * times if interpolation != "zero" else 0.1 * np.floor(times / 0.25 + 1e-9)
    inner = slice(0, 15) if interpolation == "cubic" else slice(0, 20)  # a cubic ends with half the slope
    assert np.allclose(found[1, 2, inner, 0], straight[inner], atol=1e-6)
    assert np.allclose(found[1, 2, inner, 1], 7 * straight[inner], atol=1e-5)
    some = clock.signal(0.1, [0.1, 0.15])(knots[0, 0])
    assert torch.allclose(some, clock.signal(0.1)(knots[0, 0])[:2], atol=1e-6)


def test_a_cubic_is_clipped_where_it_overshoots_its_knots():
    limits = (-1.0,), (1.0,)
    knots = torch.tensor([-1.0, -1.0, 1.0, 1.0, -1.0, -1.0])[:, None]
    free, kept = (KnotClock(0.8, 0.2, 0.02, "cubic", bound).signal(0.0)(knots)[:, 0] for bound in (None, limits))
    assert free.max() > 1.05 and kept.max() == 1.0
    assert torch.equal(kept, free.clamp(-1, 1))


def test_warm_start_shift_drops_what_has_passed_and_appends_fresh_knots():
    proposal = Proposal(torch.tensor([1.0, 2.0, 3.0]).reshape(1, 3, 1), torch.full((1, 3, 1), 0.1))
    elites = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).reshape(1, 2, 3, 1)
    warm_start = type(fresh_start(BOX, (1,), 3))(proposal, elites)
    moved = warm_start.shifted(2, BOX)
    assert moved.proposal.center[0, :, 0].tolist() == [3.0, 0.0, 0.0]
    assert moved.proposal.spread[0, :, 0].tolist() == [2.0, 2.0, 2.0]  # wide again, half the box
    assert moved.elites[0, :, :, 0].tolist() == [[3.0, 0.0, 0.0], [6.0, 0.0, 0.0]]
    assert torch.equal(warm_start.shifted(0, BOX).proposal.center, proposal.center)
    assert warm_start.shifted(7, BOX).proposal.center.abs().max() == 0


def test_cost_is_integrated_over_time_so_that_rates_agree():
    """x' = a under cost x² + terminal: every rate gives nearly the same score for the same signal."""
    scores = []
    for delta_t in (0.1, 0.05, 0.02):
        clock = KnotClock.at_rate(1.0, 10, delta_t)
        objective = prediction_objective(
            lambda actions, h=delta_t: (actions * h).cumsum(dim=-2),
            lambda states, actions: states[..., 0] ** 2,
            clock,
            0.0,
            0.5,
        )
        scores.append(float(objective(torch.ones(1, 10, 1))))
    exact = -(1 / 3 + 0.5)  # ∫ t² dt over 1 s, and half a second of the last cost
    assert scores == pytest.approx([exact] * 3, abs=2e-3)  # trapezoids err by Δt²/6
    assert float(cost_weights(KnotClock(1.0, 0.1, 0.1), 0.5).sum()) == pytest.approx(1.0 - 0.05 + 0.5)


def test_a_recording_equals_the_function():
    weight = torch.randn(4, 3, 3, dtype=torch.float64)

    def function(x, y):
        return torch.func.vmap(lambda w, a: torch.func.grad(lambda s: (s @ w).tanh().sum())(a))(weight, x) * y

    x, y = torch.randn(4, 7, 3, dtype=torch.float64), torch.tensor(0.3, dtype=torch.float64)
    replayed = record(function, x, y)
    assert torch.allclose(replayed(x, y), function(x, y), rtol=0, atol=1e-12)
    x, y = torch.randn(4, 7, 3, dtype=torch.float64), torch.tensor(-2.0, dtype=torch.float64)
    assert torch.allclose(replayed(x, y), function(x, y), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: CEM(population=0), "population must be a whole number >= 1, got 0"),
        (lambda: CEM(num_elites=65), "num_elites must be at most population = 64, got 65"),
        (lambda: CEM(num_kept=7), "num_kept must be in 0 .. num_elites = 6, got 7"),
        (lambda: MPPI(temperature=0.0), "temperature must be positive and finite, got 0.0"),
        (lambda: MPPI(num_iterations=1.5), "num_iterations must be a whole number >= 1, got 1.5"),
        (lambda: DIAL(temperature=-1.0), "temperature must be positive and finite, got -1.0"),
        (lambda: DIAL(num_kept=65), "num_kept must be in 0 .. population = 64, got 65"),
        (lambda: DIAL(beta_horizon=0.0), "beta_horizon must be positive and finite, got 0.0"),
        (lambda: PredictiveSampling(population=0), "population must be a whole number >= 1, got 0"),
        (lambda: build_planner("ilqr"), "planner must be one of .*'dial'.*'predictive_sampling'.*, got 'ilqr'"),
        (lambda: KnotClock(1.0, 0.1, 0.1, "spline"), "interpolation must be one of .*'cubic'.*, got 'spline'"),
        (lambda: KnotClock(1.0, 0.1, 2.0), "horizon must hold at least one model step"),
        (lambda: KnotClock(1.0, -0.1, 0.1), "knot_interval must be positive and finite \\[s\\], got -0.1"),
        (lambda: KnotClock.at_rate(1.0, 0, 0.1), "knots_per_second must be positive and finite, got 0"),
    ],
)
def test_bad_settings_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_inputs_of_a_spec():
    from tdlib.systems import SYSTEMS

    assert inputs_of(SYSTEMS["CartPole-v1"].spec) == CategoricalInputs(2)
    assert inputs_of(SYSTEMS["Pendulum-v1"].spec) == BoxInputs(-2.0, 2.0)
