"""Analytic limits against the design's numbers, statistics against numbers worked out by hand and scipy."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats as scipy_stats

from tdlib.core.solvers import integrate
from tdlib.core.time_grid import delta_t_of
from tdlib.study.inference import (
    holm,
    seeds_needed,
    share_interval,
    sign_flip_test,
    smallest_p_value,
    t_interval,
    t_intervals,
    tost,
)
from tdlib.study.limits import (
    box_scale,
    composition_bound,
    defect_limit,
    fixed_step_limit,
    fixed_step_ratio,
    increment,
    interpolation_limit,
    learned_rate,
    limit_of,
    linear_rates,
    modified_equation,
    newton_limit,
    relative_size,
    rescaled_limit,
    sample_uniform,
)
from tdlib.study.statistics import statistics_of
from tdlib.systems import SYSTEMS

# the design's tables: (train rate, method) -> relative error at 5, 10, 20, 25, 33.3, 50, 100 Hz, or {form: ...}
TEST_RATES = (5, 10, 20, 25, 33.3, 50, 100)
FIXED_STEP = {
    ("Pendulum-v1", 20): (0.76, 0.50, 0, 0.25, 0.67, 1.50, 4.00),
    ("Pendulum-v1", 10): (0.51, 0, 1.01, 1.51, 2.34, 4.01, 9.00),
    ("Pendulum-v1", 50): (0.90, 0.80, 0.60, 0.50, 0.33, 0, 1.00),
    ("CartPole-v1", 20): (0.80, 0.52, 0, 0.26, 0.68, 1.53, 4.06),
}
RESCALED = {
    ("Pendulum-v1", 20): (0.247, 0.082, 0, 0.016, 0.033, 0.049, 0.066),
    ("Pendulum-v1", 50): (0.294, 0.131, 0.049, 0.033, 0.016, 0, 0.016),
    ("CartPole-v1", 20): (0.349, 0.126, 0, 0.026, 0.052, 0.077, 0.103),
    ("CartPole-v1", 50): (0.415, 0.200, 0.077, 0.051, 0.026, 0, 0.026),
}
INTERPOLATION_RATES = (5, 16, 25, 33.3, 100, 200)
INTERPOLATION = {
    ("Pendulum-v1", "scaled_concat"): (1.5e-2, 1.1e-4, 6.5e-5, 7.6e-5, 1.9e-4, 3.5e-4),
    ("Pendulum-v1", "concat"): (4.0e-2, 8.8e-4, 8.2e-4, 1.3e-3, 9.7e-3, 3.4e-2),
    ("Pendulum-v1", "log_concat"): (1.7e-1, 1.9e-2, 3.0e-2, 6.6e-2, 1.6, 10),
    ("CartPole-v1", "scaled_concat"): (9.2e-3, 7.0e-5, 4.2e-5, 4.8e-5, 1.2e-4, 2.2e-4),
}
# half a unit of the last digit given, and the sampling error of the design's own draw (it quotes 0.247 where 200 000
# draws give 0.2453)
ROUNDING, SAMPLING = 0.5, 0.03


@pytest.fixture(scope="module")
def draws():
    """8000 states and inputs per system, and the unit of each dimension."""
    return {
        name: (SYSTEMS[name], *sample_uniform(SYSTEMS[name], 8000, torch.Generator().manual_seed(0)))
        for name in ("Pendulum-v1", "CartPole-v1")
    }


def close(value, expected, unit):
    return abs(value - expected) <= ROUNDING * unit + SAMPLING * abs(expected)


@pytest.mark.parametrize(
    ("limit", "table", "unit"), [(fixed_step_limit, FIXED_STEP, 0.01), (rescaled_limit, RESCALED, 0.001)]
)
def test_limits_of_fixed_step_maps(draws, limit, table, unit):
    for (name, train), expected in table.items():
        system, state, action = draws[name]
        for rate, value in zip(TEST_RATES, expected, strict=True):
            found = limit(system, state, action, delta_t_of(train), delta_t_of(rate), box_scale(system))
            assert close(found, value, unit), (name, train, rate, found, value)


def test_newtons_series_in_iterates_of_exact_maps(draws):
    """Near the bottom the pendulum is linear, and differences of iterates are powers of M − 1, M = exp(Jh)."""
    system, _, _ = draws["Pendulum-v1"]
    away = 1e-4 * torch.randn(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    bottom, none, h = torch.tensor([math.pi, 0.0], dtype=torch.float64), torch.zeros(50, 1, dtype=torch.float64), 0.05
    jacobian = torch.tensor([[0.0, 1.0], [-15.0, 0.0]], dtype=torch.float64)
    one = torch.eye(2, dtype=torch.float64)
    difference = torch.linalg.matrix_exp(jacobian * h) - one
    for delta_t in (0.005, 0.02, 0.2):
        true = torch.linalg.matrix_exp(jacobian * delta_t) - one
        series, binomial = torch.zeros_like(one), 1.0
        for order in (1, 2, 3):
            binomial *= (delta_t / h - order + 1) / order
            series = series + binomial * torch.linalg.matrix_power(difference, order)
            expected = (
                (((away @ (series - true).T) ** 2).mean(dim=0) / ((away @ true.T) ** 2).mean(dim=0)).mean().sqrt()
            )
            found = newton_limit(system, bottom + away, none, h, delta_t, order)
            assert found == pytest.approx(float(expected), rel=1e-3), (delta_t, order)
    few = tuple(x[:50] for x in draws["CartPole-v1"][1:])
    for delta_t in (0.02, 0.1, 0.2):
        first = newton_limit(draws["CartPole-v1"][0], *few, h, delta_t, 1)
        assert first == pytest.approx(rescaled_limit(draws["CartPole-v1"][0], *few, h, delta_t), rel=1e-6)
    assert newton_limit(draws["CartPole-v1"][0], *few, h, 0.1, 2) < 1e-6  # the series ends at whole multiples


def test_interpolation_limits(draws):
    for (name, form), expected in INTERPOLATION.items():
        system, state, action = draws[name]
        for rate, value in zip(INTERPOLATION_RATES, expected, strict=True):
            found = interpolation_limit(system, state, action, delta_t_of(rate), form, scale=box_scale(system))
            unit = 10.0 ** (math.floor(math.log10(value)) - 1)
            assert close(found, value, unit), (name, form, rate, found, value)


@pytest.mark.parametrize("form", ["concat", "scaled_concat", "log_tau", "log_concat"])
def test_interpolation_is_exact_at_its_training_rates(draws, form):
    system, state, action = draws["Pendulum-v1"]
    for rate in (10, 20, 50):
        assert interpolation_limit(system, state[:50], action[:50], delta_t_of(rate), form) < 1e-12
    with pytest.raises(ValueError, match="form must be one of"):
        interpolation_limit(system, state, action, 0.05, "film")


def test_one_rate_scaled_form_has_the_rescaled_limit(draws):
    system, state, action = draws["CartPole-v1"]
    for delta_t in (0.1, 0.02):
        one = interpolation_limit(system, state[:200], action[:200], delta_t, "scaled", [0.05])
        assert one == pytest.approx(rescaled_limit(system, state[:200], action[:200], 0.05, delta_t), rel=1e-12)


def test_defects_of_exact_maps(draws):
    system, state, action = draws["Pendulum-v1"]
    state, action = state[:500], action[:500]
    raw = defect_limit(system, state, action, 0.02, 0.1, 5)
    assert raw == pytest.approx(fixed_step_limit(system, state, action, 0.02, 0.1), rel=1e-9)  # five steps are exact
    rescaled = defect_limit(system, state, action, 0.02, 0.1, 5, rescaled=True)
    assert rescaled == pytest.approx(rescaled_limit(system, state, action, 0.02, 0.1), rel=1e-9)
    assert defect_limit(system, state, action, 0.05, 0.1, 5) == pytest.approx(2.0, abs=0.1)  # (n − 1) h / Δ
    fine = [defect_limit(system, state, action, 0.05, delta, 5, rescaled=True) for delta in (0.02, 0.01)]
    assert fine[0] / fine[1] == pytest.approx(2.0, rel=0.02)  # first order in Δ


def test_limits_of_arms():
    assert limit_of("baseline", "none", "33.3") == "fixed_step" and limit_of("rescaled", "none", "20") == "rescaled"
    assert limit_of("multi_resolution", "log_tau", "mixed") == "interpolation log_tau"
    for arm in (("multi_resolution", "concat", "loguniform"), ("ode", "rk4", "20"), ("baseline", "none", "mixed")):
        assert limit_of(*arm) is None


def test_fixed_step_ratio_crosses_persistence_at_half_the_step():
    assert fixed_step_ratio(0.05, 0.1) == 0.5
    assert fixed_step_ratio(0.05, 0.02) == pytest.approx(1.5)
    assert fixed_step_ratio(0.05, 0.025) == 1.0


def test_relative_size_by_hand():
    error, change = torch.tensor([[3.0, 0.0], [4.0, 1.0]]), torch.tensor([[5.0, 2.0], [5.0, 2.0]])
    # per dimension: sqrt(12.5 / 25) and sqrt(0.5 / 4); with equal units (12.5 + 0.5) / (25 + 4)
    assert relative_size(error, change) == pytest.approx(math.sqrt((0.5 + 0.125) / 2))
    assert relative_size(error, change, torch.ones(2)) == pytest.approx(math.sqrt(13 / 29))


def test_composition_bound():
    assert composition_bound(0.01, 0.0, 0.02, 0.1) == pytest.approx(0.05)
    assert composition_bound(0.01, 4.0, 0.05, 0.05) == pytest.approx(0.01)
    total = 0.01 * sum(math.exp(4.0 * 0.02 * k) for k in range(5))  # each step's error grown by the steps after it
    assert composition_bound(0.01, 4.0, 0.02, 0.1) == pytest.approx(total)


def test_linear_rates_of_the_systems():
    bottom = linear_rates(SYSTEMS["Pendulum-v1"], torch.tensor([math.pi, 0.0]), torch.zeros(1))
    assert bottom[0] == pytest.approx(1j * math.sqrt(15), abs=1e-6)
    pole = linear_rates(SYSTEMS["CartPoleContinuous-v1"], torch.zeros(4), torch.zeros(1))
    assert pole[0].real == pytest.approx(3.972, abs=5e-4)


def test_modified_equation_has_the_designs_numbers():
    pendulum, cartpole = SYSTEMS["Pendulum-v1"], SYSTEMS["CartPole-v1"]
    for rate, damping in ((10, -0.741), (20, -0.374), (50, -0.150)):
        assert modified_equation(pendulum, 1 / rate, "euler")["damping"] == pytest.approx(damping, abs=5e-4)
    euler = modified_equation(pendulum, 0.1, "euler")
    assert euler["frequency"] / euler["true_frequency"] - 1 == pytest.approx(-0.025, abs=5e-4)
    assert math.exp(euler["damping"]) == pytest.approx(0.48, abs=5e-3)  # amplitude after 1 s
    assert modified_equation(pendulum, 0.1, "midpoint")["damping"] == pytest.approx(-0.024, abs=5e-4)
    for rate, damping, shift in ((10, 2.3e-4, 1.8e-4), (5, 7.1e-3, 2.4e-3)):
        rk4 = modified_equation(pendulum, 1 / rate, "rk4")
        assert rk4["damping"] == pytest.approx(damping, rel=0.02)
        assert rk4["frequency"] / rk4["true_frequency"] - 1 == pytest.approx(shift, rel=0.03)
    growth = modified_equation(cartpole, 0.1, "euler")
    assert growth["growth"] == pytest.approx(4.88, abs=5e-3) and growth["true_growth"] == pytest.approx(3.97, abs=5e-3)
    with pytest.raises(ValueError, match="solver must be one of"):
        modified_equation(pendulum, 0.1, "dopri5")


@pytest.mark.parametrize("solver", ["euler", "midpoint", "rk4"])
def test_one_solver_step_with_the_learned_rate_is_the_true_flow(solver):
    for rate, h in ((3.972, 0.1), (-1.3, 0.05)):
        learned = learned_rate(rate, h, solver).real
        one, step = torch.ones(1, dtype=torch.float64), torch.tensor(h, dtype=torch.float64)
        stepped = integrate(lambda x, k=learned: k * x, one, step, solver)
        assert float(stepped) == pytest.approx(math.exp(rate * h), rel=1e-12)


def test_t_interval_is_scipys():
    values = np.array([0.31, 0.35, 0.29, 0.33])
    found = t_interval(values, n=40)
    reference = scipy_stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert (found.ci_low, found.ci_high) == pytest.approx((reference.low, reference.high))
    assert found.mean == pytest.approx(0.32) and (found.n_seeds, found.n) == (4, 40)
    ratios = t_interval(np.exp(values), logarithmic=True)
    assert (ratios.mean, ratios.ci_high) == pytest.approx((math.exp(0.32), math.exp(reference.high)))
    with pytest.raises(ValueError, match="values must be positive to take their logarithms"):
        t_interval([1.0, 0.0], logarithmic=True)


def test_two_seeds_have_an_honest_interval_and_one_has_none():
    two = t_interval([0.0, 1.0])
    assert two.ci_high - 0.5 == pytest.approx(12.706 / 2, rel=1e-4)  # t with one degree of freedom, and s / √n = 1/2
    one = t_interval([1.0])
    assert one.mean == 1.0 and math.isnan(one.ci_low) and math.isnan(one.ci_high)
    draws = np.random.default_rng(0).normal(size=(4000, 2))
    _, low, high = t_intervals(draws)
    assert ((low <= 0) & (0 <= high)).mean() == pytest.approx(0.95, abs=0.012)  # 3.5 standard errors of 4000 draws
    assert ((draws.min(axis=1) <= 0) & (0 <= draws.max(axis=1))).mean() < 0.55  # their range covers half of the time
    for values in ([], [[]], [[1.0, float("nan")]]):
        with pytest.raises(ValueError, match="values must"):
            t_intervals(np.array(values))
    with pytest.raises(ValueError, match="confidence must lie"):
        t_intervals(draws, confidence=1.0)


def test_a_share_of_episodes_counts_them_and_sees_the_seeds():
    perfect = share_interval([5] * 4, [5] * 4)  # Clopper and Pearson: 0.025^(1/20)
    assert (perfect.mean, perfect.ci_high, perfect.n) == (1.0, 1.0, 20)
    assert perfect.ci_low == pytest.approx(0.025 ** (1 / 20))
    split = share_interval([5, 0, 5, 0], [5] * 4)  # half of the seeds fail always: t over seeds is the wider
    assert split.ci_low == 0.0 and split.ci_high == 1.0
    reference = scipy_stats.binomtest(10, 20).proportion_ci()
    even = share_interval([2, 3, 2, 3], [5] * 4)
    assert (even.ci_low, even.ci_high) == pytest.approx((reference.low, reference.high))
    assert math.isnan(share_interval([5], [5]).ci_low)
    with pytest.raises(ValueError, match="successes must lie between 0 and counts"):
        share_interval([6], [5])


def test_sign_flips_by_hand():
    assert sign_flip_test([1.0, 2.0, 3.0]).p_value == 2 / 8  # only + + + and − − − are as large
    assert sign_flip_test([1.0, 2.0, -3.0]).p_value == 1.0
    result = sign_flip_test([1.0, 1.0, 1.0, -1.0])
    assert result.exact and result.n == 4 and result.mean == 0.5
    patterns = [abs(sum(signs)) >= 2 for signs in itertools.product((1, -1), repeat=4)]
    assert result.p_value == np.mean(patterns)


def test_sign_flips_reach_the_smallest_value_and_agree_with_scipy():
    assert smallest_p_value(5) == 0.0625 and smallest_p_value(10) == pytest.approx(0.00195, abs=5e-6)
    for n in (5, 10, 12):
        assert sign_flip_test(np.arange(1.0, n + 1)).p_value == smallest_p_value(n)
    differences = np.random.default_rng(3).normal(0.5, 1.0, 9)
    reference = scipy_stats.permutation_test(
        (differences, np.zeros(9)), lambda a, b: np.mean(a - b), permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flip_test(differences).p_value == pytest.approx(reference.pvalue)
    many = np.random.default_rng(4).normal(0.4, 1.0, 30)
    sampled = sign_flip_test(many, generator=np.random.default_rng(0))
    assert sampled.p_value == pytest.approx(scipy_stats.ttest_1samp(many, 0.0).pvalue, rel=0.2)
    assert not sampled.exact
    with pytest.raises(ValueError, match="generator must be given for more than 12 pairs, got 30"):
        sign_flip_test(many)


def test_how_many_seeds_a_family_needs():
    assert [seeds_needed(k) for k in (1, 12, 36)] == [6, 9, 11]
    for family in (1, 9, 12, 36):
        n = seeds_needed(family)
        for seeds, confirmed in ((n, True), (n - 1, False)):  # as clear as can be, in all of them
            p = [sign_flip_test(np.arange(1.0, seeds + 1)).p_value] * family
            assert bool((holm(p) < 0.05).all()) is confirmed, (family, seeds)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]).tolist() == [1.0, 1.0]
    assert holm([0.02]).tolist() == [0.02]
    from statsmodels.stats.multitest import multipletests

    p = np.random.default_rng(5).uniform(size=12) ** 3
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    with pytest.raises(ValueError, match="p_values must be numbers in"):
        holm([0.1, 1.2])


def test_tost_agrees_with_two_t_tests():
    differences = np.array([0.1, -0.05, 0.08, 0.02, -0.01, 0.04])
    result = tost(differences, 0.1)
    above = scipy_stats.ttest_1samp(differences, -0.1, alternative="greater").pvalue
    below = scipy_stats.ttest_1samp(differences, 0.1, alternative="less").pvalue
    assert result.p_value == pytest.approx(max(above, below))
    assert tost(differences, 1.0).p_value < 1e-4 and tost(differences + 1, 0.1).p_value > 0.99
    assert tost([0.0, 0.0], 0.1).p_value == 0.0
    with pytest.raises(ValueError, match="margin must be positive"):
        tost(differences, 0.0)


def test_an_exact_increment_is_solved_once_and_new_tensors_are_solved_anew():
    system = SYSTEMS["Pendulum-v1"]
    state, action = sample_uniform(system, 8, torch.Generator().manual_seed(0))
    first = increment(system, state, action, 0.05)
    assert increment(system, state, action, 0.05) is first
    again = increment(system, state.clone(), action, 0.05)
    assert again is not first and torch.equal(again, first)
    assert not torch.equal(increment(system, state, action, 0.1), first)


def test_a_seed_that_diverged_is_counted_beside_the_mean_and_an_arm_of_which_all_did_keeps_its_row():
    keys = {"env": "a", "model": "m", "method": "baseline", "form": "none", "data": "transitions", "detail": ""}
    one = {**keys, "dimension": "all", "test_set": "pooled", "train_frequency": "20", "n": 7, "mse": 1.0}
    errors = {
        ("large", "50"): (1.0, 3.0, math.nan),
        ("large", "100"): (math.inf,) * 3,
        ("small", "50"): (1.0, 3.0, 5.0),
    }
    rows = [
        {**one, "size": size, "test_frequency": rate, "seed": seed, "relative_error": value}
        for (size, rate), values in errors.items() for seed, value in enumerate(values)
    ]  # fmt: skip
    table = statistics_of({"one_step_errors": pd.DataFrame(rows)})
    found = table[table["metric"] == "one_step.relative_error"].set_index(["size", "test_frequency"])
    assert found.loc[("large", "50"), ["mean", "n_seeds", "bad"]].tolist() == [2.0, 2, 1]
    assert found.loc[("small", "50"), ["mean", "n_seeds", "bad"]].tolist() == [3.0, 3, 0]
    assert math.isnan(found.loc[("large", "100"), "mean"]) and found.loc[("large", "100"), "bad"] == 3
    assert set(table["n"]) == {21}
