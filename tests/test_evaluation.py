"""Laws of the measures: what the exact flow, persistence and a fixed-step map must score, and where rows come from."""

import dataclasses
import functools

import numpy as np
import pandas as pd
import pytest
import torch

from tdlib import evaluation
from tdlib.core import facts
from tdlib.core.facts import GOOD_AT_OWN_STEP
from tdlib.core.solvers import integrate
from tdlib.data import collect_random
from tdlib.evaluation import evaluate, tables
from tdlib.evaluation import measures as registry
from tdlib.evaluation.errors import auroc, mean_over, rank_correlation
from tdlib.evaluation.measures import take as measures
from tdlib.evaluation.measures.convergence import LEVELS, convergence_verdict
from tdlib.evaluation.measures.velocity_field import equilibria
from tdlib.evaluation.sets import rollout_sets
from tdlib.evaluation.sets.gather import gather_pairs
from tdlib.models import Context, Persistence, RecurrentRollout, RescaledIncrement, build_model
from tdlib.speed import Query, Stack, predict_queries
from tdlib.study.arms import Arm
from tdlib.systems import SYSTEMS

PENDULUM, CARTPOLE = SYSTEMS["Pendulum-v1"], SYSTEMS["CartPole-v1"]


@functools.cache
def random_set(name, rate, seed):
    return collect_random(name, rate, seed, 300)


def make_test_set(system, seed=0, **options):
    sets = [random_set(system.spec.name, rate, seed) for rate in (10.0, 20.0, 50.0)]
    return evaluation.build_test_set(
        system, sets, seed=seed, **{"num_pairs": 48, "num_starts": 6, "num_context_pairs": 16, **options}
    )


@pytest.fixture(scope="module")
def pendulum():
    return {seed: make_test_set(PENDULUM, seed) for seed in (0, 1)}


@pytest.fixture(scope="module")
def cartpole():
    return make_test_set(CARTPOLE)


def exact(system):
    return lambda state, action, delta_t: system.flow(state.double(), action.double(), delta_t.double())


# of systems whose parameters stay, and that are driven: one without actions is scored no other way
@pytest.mark.parametrize(
    "name", [name for name, x in SYSTEMS.items() if not x.spec.parameter_names and x.spec.num_actions != 1]
)
def test_exact_flow_scores_zero_everywhere(name):
    system = SYSTEMS[name]
    test_set = make_test_set(system, num_context_pairs=0)
    one_step = evaluation.one_step_errors(exact(system), test_set, system.spec)
    assert set(one_step["test_frequency"]) == set(facts.RATES)
    # starts are rounded to float32: 2e-7 rad against increments of 1e-2 at 200 Hz
    assert one_step["relative_error"].max() < 2e-3
    assert one_step.query("dimension == 'all'")["relative_error"].max() < 1e-3
    defects = evaluation.consistency_error(exact(system), test_set, system.spec)
    assert len(defects) == len(evaluation.FREQUENCY_PAIRS) and defects["defect"].max() < 1e-4
    errors = evaluation.rollout_errors(exact(system), test_set, system.spec)
    assert (errors["n"] > 0).all() and np.isfinite(errors["mse"]).all()
    assert errors["relative_error"].max() < 2e-3


def test_persistence_scores_one_and_has_no_defect(pendulum):
    model = Persistence(PENDULUM.spec)
    one_step = evaluation.one_step_errors(model, pendulum[0], PENDULUM.spec)
    assert np.allclose(one_step["relative_error"], 1.0, atol=1e-4)
    assert set(one_step["test_set"]) == {"pooled", "ppo", "contacts"}
    defects = evaluation.consistency_error(model, pendulum[0], PENDULUM.spec)
    assert (defects["defect"] == 0).all() and np.allclose(defects["relative_error"], 1.0, atol=1e-4)
    errors = evaluation.rollout_errors(model, pendulum[0], PENDULUM.spec)
    # wrapped errors fall below the continued change once a pendulum has turned more than half around
    early = errors[(errors["time"] < 0.12) & (errors["dimension"] == "all")]
    assert np.allclose(early["relative_error"], 1.0, atol=1e-4)


def test_fixed_step_map_reproduces_its_limit(cartpole):
    step = 1 / 200
    table = evaluation.dt_generalization_test(
        lambda state, action, delta_t: CARTPOLE.flow(state.double(), action.double(), step),
        cartpole, CARTPOLE.spec, train_delta_t=step,
    )  # fmt: skip
    row = table.set_index("test_frequency")
    for rate in ("100", "50"):  # higher orders in Δ are small there
        assert row.loc[rate, "relative_error"] == pytest.approx(row.loc[rate, "fixed_step_limit"], rel=0.05)
    assert row.loc["200", "fixed_step_limit"] == pytest.approx(0, abs=1e-12) and row.loc["200", "relative_error"] < 1e-3
    coarse = evaluation.dt_generalization_test(
        lambda state, action, delta_t: CARTPOLE.flow(state.double(), action.double(), 0.1), cartpole, CARTPOLE.spec
    ).set_index("test_frequency")
    assert coarse.loc["100", "verdict"] == "worse than no change"
    assert coarse.loc["10", "verdict"] == "better than no change"


def test_convergence_test_passes_the_true_field_and_fails_a_learned_map(cartpole):
    def true_field(state, action, delta_t):
        return integrate(lambda s: CARTPOLE.derivative(s, CARTPOLE.spec.held_input(action)), state, delta_t)

    def learned_map(state, action, delta_t):  # what Euler at 0.05 s learns without any error of its own
        slope = (CARTPOLE.flow(state, action, 0.05) - state) / 0.05
        return state + delta_t.unsqueeze(-1) * slope

    options = {"train_delta_t": 0.05, "dtype": torch.float64}
    good = evaluation.convergence_test(true_field, cartpole, CARTPOLE, **options)
    bad = evaluation.convergence_test(learned_map, cartpole, CARTPOLE, **options)
    assert (good["verdict"] == "pass").all() and (bad["verdict"] == "fail").all()
    assert list(good["k"]) == list(LEVELS) and good["solver_step"].iloc[0] == pytest.approx(0.2)
    assert good["order"].iloc[0] == pytest.approx(4, abs=0.6)  # Runge-Kutta
    assert bad.set_index("k").loc[2, "order"] == pytest.approx(1, abs=0.1)  # Euler
    assert bad.set_index("k")["error"].idxmin() == 0 and bad.set_index("k").loc[0, "error"] < 1e-10


def test_only_a_field_that_is_good_at_its_own_step_passes_the_convergence_test(cartpole):
    shape = np.array([9, 3, 1, 1, 1, 1, 1, 1.05])
    assert (
        convergence_verdict(shape * GOOD_AT_OWN_STEP) == "pass"
        and convergence_verdict(shape * GOOD_AT_OWN_STEP * 1.01) == "poor"
    )
    assert convergence_verdict(np.array([9, 3, 1, 1, 1, 1, 1, 1.2]) * GOOD_AT_OWN_STEP) == "fail"
    assert convergence_verdict(np.full(8, np.nan)) == "poor"

    def half_field(state, action, delta_t):  # a smooth field, integrated well, that is wrong everywhere
        return integrate(lambda s: 0.5 * CARTPOLE.derivative(s, CARTPOLE.spec.held_input(action)), state, delta_t)

    found = evaluation.convergence_test(half_field, cartpole, CARTPOLE, train_delta_t=0.05, dtype=torch.float64)
    assert (found["verdict"] == "poor").all() and found["error"].std() < 0.01  # as flat as a plateau can be


class Damped:
    """The true field of a pendulum with friction c that the truth lacks, stepped exactly enough at 20 Hz."""

    train_delta_t = torch.tensor(0.05, dtype=torch.float64)

    def __init__(self, friction=0.0):
        self.friction = friction

    def derivative(self, state, action):
        rates = PENDULUM.derivative(state, PENDULUM.spec.held_input(action))
        return rates - self.friction * torch.stack([torch.zeros_like(state[..., 1]), state[..., 1]], dim=-1)

    def __call__(self, state, action, delta_t):
        return integrate(lambda s: self.derivative(s, action), state, delta_t, substeps=4)


@pytest.mark.parametrize("friction", [0.0, 0.4])
def test_damping_that_the_truth_lacks_is_found_in_a_field(pendulum, friction):
    found = evaluation.field_errors(Damped(friction), pendulum[0], PENDULUM)
    errors, poles = found["field_errors"].iloc[0], found["field_poles"].set_index(["equilibrium", "pole"])
    assert errors["divergence_error"] == pytest.approx(-friction, abs=1e-5)
    assert errors["relative_error"] < 1e-6 if friction == 0 else errors["relative_error"] > 0.01
    assert np.isnan(errors["relative_error_limit"])  # what a field can learn, its form decides
    hanging, upright = poles.loc["theta=pi", 0], poles.loc["theta=0", 0]
    natural = np.sqrt(15.0)  # 3g/2l
    for what in ("", "_step"):  # r² + c r ± 3g/2l = 0
        assert hanging[f"real{what}"] == pytest.approx(-friction / 2, abs=1e-3)
        assert hanging[f"imag{what}"] == pytest.approx(np.sqrt(natural**2 - friction**2 / 4), rel=1e-3)
        grown = -friction / 2 + np.sqrt(natural**2 + friction**2 / 4)
        assert upright[f"real{what}"] == pytest.approx(grown, rel=1e-3)
    assert hanging["real_true"] == pytest.approx(0, abs=1e-9) and upright["real_true"] == pytest.approx(natural)


def test_a_field_is_scored_under_no_grad_too(pendulum):
    with torch.no_grad():
        quiet = evaluation.field_errors(Damped(0.4), pendulum[0], PENDULUM)
    for name, table in evaluation.field_errors(Damped(0.4), pendulum[0], PENDULUM).items():
        pd.testing.assert_frame_equal(table, quiet[name])


def test_the_field_of_the_exact_map_is_its_own_limit_and_its_steps_poles_are_true(pendulum):
    class ExactMap:
        train_delta_t = torch.tensor(0.05, dtype=torch.float64)

        def __call__(self, state, action, delta_t):
            free = dataclasses.replace(PENDULUM, state_limits=None)
            return free.flow(state.double(), action.double(), delta_t.double())

    found = evaluation.field_errors(ExactMap(), pendulum[0], PENDULUM)
    errors, poles = found["field_errors"].iloc[0], found["field_poles"]
    assert errors["relative_error"] > 0.05 and errors["relative_error"] == pytest.approx(
        errors["relative_error_limit"], rel=1e-3
    )
    assert errors["divergence_error"] == pytest.approx(errors["divergence_error_limit"], abs=1e-3)
    for part in ("real", "imag"):
        assert np.allclose(poles[part], poles[f"{part}_limit"], atol=1e-3)  # of Euler's inverse modified equation
        assert np.allclose(poles[f"{part}_step"], poles[f"{part}_true"], atol=1e-3)
    swinging = poles[(poles["equilibrium"] == "theta=pi") & (poles["pole"] == 0)].iloc[0]
    assert swinging["real"] < -0.3  # the map looks damped where the pendulum is not


def test_a_field_without_an_equilibrium_in_its_box_has_no_poles():
    assert list(equilibria(PENDULUM)) == ["theta=0", "theta=pi"]
    assert list(equilibria(CARTPOLE)) == ["theta=0"]  # its task ends far from hanging
    falling = dataclasses.replace(PENDULUM, equation=lambda x, u, p, m: (x[1], -1.0))
    assert equilibria(falling) == {}


def test_stack_equals_its_models_on_their_own_seeds(pendulum):
    models = [build_model("jump", PENDULUM.spec, seed=s, form="scaled_concat") for s in (3, 4)]
    members = [tables.arm_of(Arm("jump", "dt_conditioned", "scaled_concat", train_frequency="20"), s, "Pendulum-v1")
               for s in (0, 1)]  # fmt: skip
    together = evaluation.one_step_errors(Stack(models), pendulum, PENDULUM.spec, members)
    for seed, model in enumerate(models):
        alone = evaluation.one_step_errors(model, pendulum[seed], PENDULUM.spec)
        mine = together[together["seed"] == seed]
        assert np.allclose(alone["mse"], mine["mse"], rtol=1e-4)
    assert list(together)[: len(tables.KEY_COLUMNS)] == list(tables.KEY_COLUMNS) and together.columns[-1] == "n"
    with pytest.raises(ValueError, match="members must name each of the 2 models"):
        evaluation.one_step_errors(Stack(models), pendulum, PENDULUM.spec, members[:1])
    with pytest.raises(ValueError, match="lacks"):
        evaluation.one_step_errors(Stack(models), {0: pendulum[0]}, PENDULUM.spec, members)


def test_evaluate_stack_gives_every_table(pendulum):
    arms = [(Arm("first_order_ode", "ode", "rk4", train_frequency="20"), 0),
            (Arm("first_order_ode", "ode", "rk4", train_frequency="mixed"), 1)]  # fmt: skip
    stack = Stack([build_model("first_order_ode", PENDULUM.spec, seed=s) for s in (0, 1)])
    fields = evaluation.evaluate_stack(stack, arms, pendulum, PENDULUM, options={"points": {"num_points": 5}})
    assert set(fields) == {"one_step_errors", "rollout_errors", "energy_drift", "consistency_errors", "state_errors",
                           "convergence_test", "field_errors", "field_poles", "dt_generalization",
                           "sliding_windows", "skipped"}  # fmt: skip
    ensembles = [build_model("ensemble", PENDULUM.spec, seed=s, form="scaled_concat", num_members=2) for s in (0, 1)]
    arms = [(Arm("ensemble", "dt_conditioned", "scaled_concat", train_frequency="20"), s) for s in (0, 1)]
    options = {"rollout": {"rates": ["20", "50"]}}
    result = evaluation.evaluate_stack(Stack(ensembles), arms, pendulum, PENDULUM, options=options)
    calibration = result["ensemble_calibration"].query("bin == 'all' and test_frequency == '20'")
    assert np.allclose(calibration["auroc"], 0.5)  # the known rate against itself
    assert set(result["rollout_errors"]["test_frequency"]) == {"20", "50"}
    base = Stack([build_model("jump", PENDULUM.spec, seed=s, train_delta_t=0.02) for s in (0, 1)])
    for wrapper, method in ((RescaledIncrement, "rescaled"), (RecurrentRollout, "recurrent_rollout")):
        arms = [(Arm("jump", method, train_frequency="50"), s) for s in (0, 1)]
        derived = evaluation.evaluate_stack(wrapper(base, 0.02), arms, pendulum, PENDULUM)
        own = derived["one_step_errors"].query("test_set == 'pooled' and test_frequency == '50'")
        members = [tables.arm_of(arm, seed, "Pendulum-v1") for arm, seed in arms]
        plain = evaluation.one_step_errors(base, pendulum, PENDULUM.spec, members)
        plain = plain.query("test_set == 'pooled' and test_frequency == '50'")
        assert np.allclose(own["relative_error"], plain["relative_error"], rtol=1e-4)
    merged = evaluation.merge_tables([fields, result])
    assert len(merged["one_step_errors"]) == len(fields["one_step_errors"]) + len(result["one_step_errors"])


def test_models_with_memory_see_the_true_past(pendulum):
    model = build_model("lstm", PENDULUM.spec, seed=0, form="scaled_concat")
    table = evaluation.one_step_errors(model, pendulum[0], PENDULUM.spec, sets=("pooled", "ppo"))
    assert set(table["test_set"]) == {"pooled", "ppo"} and (table["n"] == 16).all()  # only pairs whose past is known
    pairs = gather_pairs(pendulum, [{"seed": 0}], "pooled", with_context=True)
    assert pairs.context.states.shape == (1, len(facts.RATES), 16, 8, 2)
    masked = pairs.context.mask.any(dim=-1)
    assert masked.any()
    # the last context state leads to the pair's state under the context's input, where that input was held
    rate = pairs.rates.index("200")
    state, action, delta_t, known = (x[0, rate, :, -1] for x in pairs.context.tensors())
    reached = PENDULUM.flow(state, action, delta_t)
    gap = torch.remainder(reached - pairs.state[0, rate] + torch.pi, 2 * torch.pi) - torch.pi
    assert gap[known].abs().median() < 1e-6
    assert len(evaluation.consistency_error(model, pendulum[0], PENDULUM.spec)) == len(evaluation.FREQUENCY_PAIRS)
    evaluation.rollout_errors(model, pendulum[0], PENDULUM.spec)


def test_what_a_measure_lacks_stands_in_a_table(pendulum):
    arms = [(Arm("lstm", "baseline", train_frequency="20"), seed) for seed in (0, 1)]
    stack = Stack([build_model("lstm", PENDULUM.spec, seed=s) for s in (0, 1)])
    found = evaluation.evaluate_stack(stack, arms, pendulum, PENDULUM)
    skipped = found["skipped"]
    assert set(zip(skipped["measure"], skipped["reason"], strict=True)) == {
        ("convergence", "needs a field: a model with a derivative"),
        ("calibration", "needs a spread: an ensemble of several members"),
        ("field", "needs a field: the model's step depends on more than the state"),
        ("pictures", "needs films: what a camera saw"),
    }
    assert list(skipped["seed"]) == [0, 1] * 4 and (skipped["model"] == "lstm").all()
    assert set(skipped["measure"].str.split(":").str[0]) <= set(evaluation.MEASURES)
    field = build_model("newtonian", PENDULUM.spec, seed=0)
    without = evaluation.evaluate_stack(field, None, pendulum[0], None, measures=["convergence", "consistency"])
    assert list(without) == ["consistency_errors", "skipped"]
    assert list(without["skipped"]["reason"]) == ["needs the system: its equation"]
    with pytest.raises(ValueError, match="measures must be among .*one_step.*got .*'one'"):
        evaluation.evaluate_stack(field, None, pendulum[0], None, measures=["one"])


def drift(subject, *, rate="20"):
    """A reader's own measure: how far predictions drift on average, in units."""
    pairs = gather_pairs(subject.test_sets, subject.members, "pooled", rates=[rate])
    if not pairs.rates:
        yield evaluation.Skipped(f"rate {rate}", "needs pairs of this rate")
        return

    def question():
        (predicted,) = yield [Query(pairs.state[:, 0], pairs.action[:, 0].unsqueeze(2), pairs.delta_t[:, 0, :, None])]
        error = (predicted[:, :, 0] - pairs.next_state[:, 0]).mean(dim=1)
        axes = {"test_frequency": [rate], "dimension": subject.spec.state_names}
        return tables.tidy(subject.members, axes, {"drift": error.unsqueeze(1).numpy(), "n": pairs.state.shape[2]})

    yield question()


def test_a_measure_of_ones_own_is_taken_with_the_others(pendulum, monkeypatch):
    monkeypatch.setattr(registry, "MEASURES", dict(registry.MEASURES))
    monkeypatch.setattr(evaluate, "MEASURES", registry.MEASURES)
    own = evaluation.Measure("drift", ("drift",), frozenset({"state", "pairs"}), drift)
    assert evaluation.register_measure(own) is own and evaluation.register_measure(own) is own
    assert "drift" in evaluation.result_tables()
    shift = torch.tensor([0.25, -0.5], dtype=torch.float64)

    def biased(state, action, delta_t):
        return exact(PENDULUM)(state, action, delta_t) + shift

    found = evaluation.evaluate_stack(biased, None, pendulum[0], PENDULUM, measures=["one_step", "drift"])
    assert set(found) == {"one_step_errors", "drift"}
    assert np.allclose(found["drift"]["drift"], shift, atol=1e-4) and list(found["drift"]["n"]) == [48, 48]
    found = evaluation.evaluate_stack(
        biased, None, pendulum[0], PENDULUM, measures=["drift"], options={"drift": {"rate": "21"}}
    )
    assert list(found) == ["skipped"] and found["skipped"]["measure"].item() == "drift: rate 21"
    with pytest.raises(ValueError, match="name must not be one of .*'one_step'"):
        evaluation.register_measure(evaluation.Measure("one_step", ("mine",), frozenset(), drift))
    with pytest.raises(ValueError, match="tables must not be among .*'skipped'"):
        evaluation.register_measure(evaluation.Measure("mine", ("skipped",), frozenset(), drift))
    with pytest.raises(ValueError, match="needs of measure 'mine' must be among .*'field'"):
        evaluation.Measure("mine", ("mine",), frozenset({"fields"}), drift)


FAMILIES = ("jump", "lstm", "ensemble", "first_order_ode", "newtonian", "velocity", "port_hamiltonian")


def family(name, system, dtype):
    """A stack of three models of different forms and training steps."""
    forms = ["none", "scaled_concat", "log_tau"] if name in ("jump", "lstm", "ensemble") else [None] * 3
    models = [
        build_model(name, system.spec, seed=s, train_delta_t=h, **({"form": form} if form else {}))
        for s, (form, h) in enumerate(zip(forms, (0.02, 0.05, 0.1), strict=True))
    ]
    return [model.to(dtype) for model in models]


def queries_of(system, with_context, generator):
    """Batches of different rates, lengths and owners, two with a past."""
    spec = system.spec

    def uniform(*shape):
        return 2 * torch.rand(*shape, dtype=torch.float64, generator=generator) - 1

    def inputs(*shape):
        return torch.randint(0, 2, shape, generator=generator).double() if spec.discrete else 2 * uniform(*shape)

    def query(models, samples, steps, past, only_last=False):
        context = None
        if past:
            batch = models, samples, 8
            mask = torch.rand(batch, generator=generator) < 0.8
            context = Context(uniform(*batch, spec.state_dim), inputs(*batch, 1), 0.105 + 0.1 * uniform(*batch), mask)
        start, delta_t = uniform(models, samples, spec.state_dim), 0.105 + 0.1 * uniform(models, samples, steps)
        return Query(start, inputs(models, samples, steps, 1), delta_t, context, only_last)

    past = with_context
    return [query(3, 40, 1, past), query(1, 7, 5, past), query(3, 9, 13, False, True), query(1, 6, 5, False)]


def one_by_one(models, queries):
    """Plain calls: one model, one query, one sample after the other."""
    answers = []
    for query in queries:
        rows = []
        for k, model in enumerate(models):
            own = [x[k if len(x) > 1 else 0] for x in (query.state, query.actions, query.delta_t)]
            past = query.context and [x[k if len(x) > 1 else 0] for x in query.context.tensors()]
            samples = []
            for i in range(query.num_samples):
                context = past and Context(*(x[i] for x in past))
                samples.append(model.predict_sequence(*(x[i] for x in own), context))
            rows.append(torch.stack(samples))
        answers.append(torch.stack(rows).detach()[:, :, -1 if query.only_last else 0 :])
    return answers


@pytest.mark.parametrize("system", [PENDULUM, CARTPOLE], ids=lambda system: system.spec.name)
@pytest.mark.parametrize("name", FAMILIES)
def test_one_batch_of_all_queries_equals_plain_calls(name, system):
    models = family(name, system, torch.float64)
    queries = queries_of(system, name == "lstm", torch.Generator().manual_seed(1))
    for part in (2**20, 64 * 64):  # everything at once; in parts that cut queries
        answers = predict_queries(Stack(models), queries, dtype=torch.float64, part=part)
        for answer, expected in zip(answers, one_by_one(models, queries), strict=True):
            assert answer.shape == expected.shape
            torch.testing.assert_close(answer, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("wrapper", [RescaledIncrement, RecurrentRollout])
def test_derived_arms_in_one_batch_equal_plain_calls(wrapper):
    models = [build_model("jump", PENDULUM.spec, seed=s, train_delta_t=0.03).double() for s in range(3)]
    queries = queries_of(PENDULUM, False, torch.Generator().manual_seed(2))
    answers = predict_queries(wrapper(Stack(models), 0.03, PENDULUM.spec), queries, dtype=torch.float64)
    expected = one_by_one([wrapper(model, 0.03, PENDULUM.spec).double() for model in models], queries)
    for answer, plain in zip(answers, expected, strict=True):
        torch.testing.assert_close(answer, plain, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_prediction_does_not_depend_on_the_rest_of_the_batch(name):
    models = family(name, PENDULUM, torch.float32)
    queries = queries_of(PENDULUM, name == "lstm", torch.Generator().manual_seed(3))
    together = predict_queries(Stack(models), queries)
    for query, answer in zip(queries, together, strict=True):
        (alone,) = predict_queries(Stack(models), [query])
        torch.testing.assert_close(alone, answer, rtol=1e-6, atol=1e-6)
        context = query.context and Context(*(x[:1, :2] for x in query.context.tensors()))
        few = Query(*(x[:1, :2] for x in (query.state, query.actions, query.delta_t)), context, query.only_last)
        (smallest,) = predict_queries(Stack(models[:1]), [few])
        torch.testing.assert_close(smallest, answer[:1, :2], rtol=1e-6, atol=1e-6)


def test_passes_that_memory_asks_for_change_nothing(pendulum, monkeypatch):
    arms = [(Arm("newtonian", "ode", "rk4", train_frequency="mixed"), s) for s in (0, 1)]
    stack = Stack([build_model("newtonian", PENDULUM.spec, seed=s) for s in (0, 1)])
    whole = evaluation.evaluate_stack(stack, arms, pendulum, PENDULUM)
    passes_made, predict = [], measures.predict_queries

    def counted(model, queries, **options):
        passes_made.append(len(queries))
        return predict(model, queries, **options)

    monkeypatch.setattr(measures, "predict_queries", counted)
    evaluation.evaluate_stack(stack, arms, pendulum, PENDULUM)
    assert len(passes_made) == 1  # all measures at all rates
    monkeypatch.setattr(measures, "MAX_STATES", 500)
    cut = evaluation.evaluate_stack(stack, arms, pendulum, PENDULUM)
    assert len(passes_made) > 5
    for name, table in whole.items():
        if name != "convergence_test":  # its order is a quotient of rounding errors
            pd.testing.assert_frame_equal(cut[name], table, rtol=1e-3, atol=1e-6)

    def asks_twice():
        yield []
        yield []

    with pytest.raises(RuntimeError, match="asks once"):
        measures.take(stack, [asks_twice()], 2)


def test_test_sets_are_decided_by_their_seed(pendulum):
    again = make_test_set(PENDULUM, 0)
    for name, pairs in pendulum[0].pairs.items():
        assert torch.equal(pairs.next_state, again.pairs[name].next_state)
        assert not torch.equal(pairs.next_state, pendulum[1].pairs[name].next_state)
    for rate, rollouts in pendulum[0].rollouts.items():
        assert torch.equal(rollouts.states, again.rollouts[rate].states)
    pooled = pendulum[0].pairs["pooled"]
    assert torch.equal(pooled.state[0], pooled.state[-1]) and pooled.state.abs()[..., 0].max() <= torch.pi
    assert pendulum[0].pairs["ppo"].rates == ("10", "20", "50")
    sets = [random_set(PENDULUM.spec.name, rate, 0) for rate in (10.0, 20.0, 50.0)]
    alone = evaluation.build_pairs(PENDULUM, sets, seed=0, num_pairs=48, own_states=False)  # without pasts the same
    assert set(alone) == {"pooled", "contacts"}
    for name, pairs in alone.items():
        assert torch.equal(pairs.next_state, pendulum[0].pairs[name].next_state) and pairs.context is None


def test_all_rates_share_one_physical_input(pendulum):
    rollouts = pendulum[0].rollouts
    ends = {rate: rollouts[rate].states[:, -1] for rate in ("5", "10", "20", "25", "50", "100", "200", "irregular")}
    for rate, end in ends.items():
        assert rollouts[rate].times[-1] == pytest.approx(1.0)
        # away from the speed limit only the substeps differ; on it the flow is not smooth
        assert (end - ends["10"]).abs().median() < 1e-5, rate
    assert rollouts["33.3"].times[-1] == pytest.approx(0.99) and rollouts["16"].times[-1] == pytest.approx(1.0)
    delta_t = rollouts["irregular"].delta_t
    assert delta_t.min() >= 0.025 and delta_t.max() <= 0.075 and delta_t.std() > 0.005
    assert torch.allclose(delta_t.unflatten(1, (-1, 4)).sum(-1), torch.tensor(0.2, dtype=torch.float64))


def test_cartpole_is_scored_until_the_truth_leaves_twelve_degrees(cartpole):
    limit = 12 * 2 * np.pi / 360
    for rollouts in cartpole.rollouts.values():
        gone = (rollouts.states[..., 2].abs() > limit) | (rollouts.states[..., 0].abs() > 2.4)
        assert not (rollouts.inside & gone).any()  # outside is never scored
        assert (rollouts.inside[:, 1:] <= rollouts.inside[:, :-1]).all()  # and does not come back
    errors = evaluation.rollout_errors(Persistence(CARTPOLE.spec), cartpole, CARTPOLE.spec, rates=["50"])
    cut, full = (errors[(errors["truncated"] == flag) & (errors["dimension"] == "all")] for flag in (True, False))
    survivors = cartpole.rollouts["50"].inside.sum(dim=0)
    assert list(cut["n"]) == [int(survivors[round(t * 50) - 1]) for t in cut["time"]] and cut["n"].min() < 6
    assert (full["n"] == 6).all() and (errors["n_starts"] == 6).all()
    t = float(cut["time"].iloc[0])
    kept = cartpole.rollouts["50"].inside[:, round(t * 50) - 1]
    assert kept.any()
    moved = cartpole.rollouts["50"].states[kept, round(t * 50) - 1] - cartpole.rollouts["50"].state[kept]
    assert cut["mse"].iloc[0] == pytest.approx(float((moved**2).mean()), rel=1e-4)


def test_inputs_keep_the_truth_inside_as_long_as_possible():
    system = SYSTEMS["CartPoleContinuous-v1"]
    start = torch.zeros(4, 4, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    chosen = rollout_sets.draw_inputs(system, start, 5, generator)
    random = -10 + 20 * torch.rand(4, 5, 1, dtype=torch.float64, generator=generator)
    hold = torch.full((4, 5), 0.2, dtype=torch.float64)
    survival = [rollout_sets.survival_time(system, start, actions, hold).mean() for actions in (chosen, random)]
    assert survival[0] > survival[1]


def test_open_loop_rollout_feeds_back_and_mse_grows_from_it():
    spec = PENDULUM.spec
    state = torch.tensor([[3.0, 0.5], [0.1, -0.2]], dtype=torch.float64)
    actions, delta_t = torch.zeros(2, 4, 1), torch.full((2, 4), 0.1)
    predicted = evaluation.open_loop_rollout(lambda s, a, d: s + d.unsqueeze(-1), state, actions, delta_t)
    assert predicted.shape == (2, 4, 2) and torch.allclose(predicted[:, -1], state + 0.4, atol=1e-6)
    target = state.unsqueeze(1) + torch.tensor([2 * torch.pi, 0.0], dtype=torch.float64)  # a full turn is no error
    mse = evaluation.mse_over_horizon(predicted, target, spec)
    moved = 0.1 * torch.arange(1, 5, dtype=torch.float64)
    assert torch.allclose(mse, (moved**2).unsqueeze(1).expand(4, 2), atol=1e-6)


def test_small_measures_by_hand():
    assert auroc(torch.tensor([3.0, 4.0]), torch.tensor([1.0, 2.0])) == 1.0
    assert auroc(torch.tensor([1.0, 3.0]), torch.tensor([2.0, 3.0])) == pytest.approx((0 + 0 + 1 + 0.5) / 4)
    assert rank_correlation(torch.tensor([1.0, 2, 3]), torch.tensor([1.0, 8, 27])) == pytest.approx(1.0)
    assert np.isnan(rank_correlation(torch.ones(3), torch.arange(3.0)))
    values = torch.tensor([[[1.0], [3.0]], [[5.0], [7.0]]])
    kept = torch.tensor([[True, False], [True, False]])
    assert torch.equal(mean_over(values, kept, dim=-2)[0], torch.tensor([3.0]))
    assert mean_over(values, kept, dim=-2)[1].isnan().all()


def test_tables_keep_rates_as_text(tmp_path):
    table = tables.tidy([{"env": "e", "model": "jump", "train_frequency": "10", "seed": 2}],
                        {"test_frequency": ["33.3", "irregular"], "time": [0.5, 1.0]},
                        {"mse": np.arange(4.0).reshape(1, 2, 2), "n": 7})  # fmt: skip
    path = tables.write_table(tmp_path / "a" / "t.csv", table)
    read = tables.read_table(path)
    assert list(read["train_frequency"]) == ["10"] * 4
    assert list(read["test_frequency"].unique()) == ["33.3", "irregular"]
    assert read["form"].eq("none").all() and read["seed"].eq(2).all() and list(read.columns)[-1] == "n"
    assert list(tables.at_time(read, 1.0)["mse"]) == [1.0, 3.0] and len(tables.at_time(read, 0.7)) == 0
    assert not list(path.parent.glob("*.tmp*"))
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="result table"):
        tables.read_table(tmp_path / "bad.csv")
    assert sorted(["mixed", "50", "5", "33.3", "irregular"], key=tables.frequency_order) == [
        "5", "33.3", "50", "irregular", "mixed"]  # fmt: skip


def test_bad_test_sets_are_refused():
    sets = [random_set("Pendulum-v1", 10.0, 0)]
    with pytest.raises(ValueError, match="must be of CartPole-v1"):
        evaluation.build_test_set(CARTPOLE, sets, seed=0)
    with pytest.raises(ValueError, match="at least one data set"):
        evaluation.build_test_set(PENDULUM, [], seed=0)
    with pytest.raises(ValueError, match="num_pairs"):
        evaluation.build_test_set(PENDULUM, sets, seed=0, num_pairs=0)


def test_plant_change_falls_with_the_step():
    change = evaluation.plant_change_table(PENDULUM, num_samples=512)
    total = change[change["dimension"] == "all"].set_index("test_frequency")["relative_change"]
    assert 0.2 < total["5"] < 0.5 and total["200"] < 0.02 and total.is_monotonic_decreasing
