"""Laws that every dynamics model keeps: one contract, exact identities, energy, memory, and errors that name names."""

import copy
from dataclasses import replace

import pytest
import torch

from tdlib.core.odeint import odeint_reference
from tdlib.core.solvers import integrate
from tdlib.core.specs import wrap_angle
from tdlib.core.transitions import Transitions
from tdlib.models import (
    DISCRETE,
    FIELDS,
    FORMS,
    MODELS,
    Batch,
    Context,
    DynamicsModel,
    Ensemble,
    NewtonIncrement,
    Persistence,
    RecurrentRollout,
    RescaledIncrement,
    build_model,
    form_coefficients,
)
from tdlib.models.families.gru import CLOCKS
from tdlib.speed import Stack
from tdlib.systems import SYSTEMS

ENVS = ("Pendulum-v1", "CartPole-v1", "CartPoleContinuous-v1")
VARIANTS = (
    [
        (name, {"form": form})
        for name in DISCRETE
        for form in (CLOCKS if name == "gru" else getattr(MODELS[name].options, "forms", FORMS))
    ]
    + [(name, {"solver": solver}) for name in FIELDS for solver in ("rk4", "euler", "midpoint")]
    + [(name, {"trajectory": "shooting", "substeps": 2}) for name in FIELDS]
)
EXACT = dict(rtol=0, atol=1e-12)  # double precision, sums in another order


def name_of(variant):
    return "-".join([variant[0], *map(str, variant[1].values())])


@pytest.fixture(params=VARIANTS, ids=name_of)
def variant(request):
    return request.param


def random_batch(spec, *shape, seed=1):
    g = torch.Generator().manual_seed(seed)
    state = torch.randn(*shape, spec.state_dim, generator=g, dtype=torch.float64)
    if spec.discrete:
        action = torch.randint(0, spec.num_actions, (*shape, 1), generator=g).double()
    else:
        action = torch.rand(*shape, 1, generator=g, dtype=torch.float64) * 2 - 1
    delta_t = 0.01 + 0.1 * torch.rand(*shape, generator=g, dtype=torch.float64)
    return state, action, delta_t


def double_model(name, env="Pendulum-v1", seed=0, **options):
    """A model in double precision, fitted to true transitions so that no scale is trivial."""
    system = SYSTEMS[env]
    state, action, delta_t = random_batch(system.spec, 200, seed=7)
    model = build_model(name, system.spec, seed=seed, **options).double()
    model.fit_scales(Transitions(state, action, system.flow(state, action, delta_t), delta_t))
    return model


def tie_jump_to_field(jump, ode):
    """Give an Euler field the jump model's weights; the jump's last input column is Δt, silent in form `scaled`."""
    weights = copy.deepcopy(jump.network.state_dict())
    weights["0.weight"] = weights["0.weight"][:, :-1]
    ode.field.network.load_state_dict(weights)
    ode.field.scales.load_state_dict(jump.scales.state_dict())
    ode.action_encoder.load_state_dict(jump.action_encoder.state_dict())


# --- the contract, for every registered model and form -------------------------------------------------------------


@pytest.mark.parametrize("env", ENVS[:2])  # a continuous and a discrete action
def test_any_batch_shape_and_one_interval_per_sample(variant, env):
    model = double_model(variant[0], env, **variant[1])
    state, action, delta_t = random_batch(model.spec, 2, 3)
    together = model(state, action, delta_t)
    assert together.shape == state.shape and together.dtype == torch.float64
    for i in range(2):
        for j in range(3):
            alone = model(state[i, j], action[i, j], delta_t[i, j])  # no batch axis at all
            torch.testing.assert_close(together[i, j], alone, **EXACT)
    one_number = model(state, action, float(delta_t[0, 0]))
    torch.testing.assert_close(one_number[0, 0], together[0, 0], **EXACT)


def test_batch_axes_broadcast(variant):
    model = double_model(variant[0], **variant[1])
    state, action, delta_t = random_batch(model.spec, 4, 3)
    spread_out = model(state[:, :1], action, delta_t)
    torch.testing.assert_close(spread_out, model(state[:, :1].expand(4, 3, -1), action, delta_t), **EXACT)


def test_no_interval_means_the_training_step(variant):
    model = double_model(variant[0], train_delta_t=0.03, **variant[1])
    state, action, _ = random_batch(model.spec, 5)
    torch.testing.assert_close(model(state, action), model(state, action, 0.03), **EXACT)


def test_same_seed_same_weights_and_no_trace_in_the_global_generator(variant):
    spec = SYSTEMS["Pendulum-v1"].spec
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, again, other = (build_model(variant[0], spec, seed=s, **variant[1]).state_dict() for s in (4, 4, 5))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert any(not torch.equal(first[k], other[k]) for k in first)
    by_generator = [build_model(variant[0], spec, generator=torch.Generator().manual_seed(1)) for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(*(m.parameters() for m in by_generator), strict=True))


@pytest.mark.parametrize("env", ENVS[:2])
def test_stacked_equals_separate(variant, env):
    models = [double_model(variant[0], env, seed=s, **variant[1]) for s in range(3)]
    stack = Stack(models)
    state, action, delta_t = random_batch(models[0].spec, 3, 2, 4)
    separate = torch.stack([m(x, a, d) for m, x, a, d in zip(models, state, action, delta_t, strict=True)])
    torch.testing.assert_close(stack(state, action, delta_t), separate, **EXACT)
    shared = torch.stack([m(state[0], action[0], delta_t[0]) for m in models])
    torch.testing.assert_close(stack(state[:1], action[:1], delta_t[:1]), shared, **EXACT)
    actions = action.unsqueeze(-2).expand(3, 2, 4, 5, 1)
    steps = delta_t.unsqueeze(-1).expand(3, 2, 4, 5)
    sequences = [m.predict_sequence(x, a, d) for m, x, a, d in zip(models, state, actions, steps, strict=True)]
    torch.testing.assert_close(stack.predict_sequence(state, actions, steps), torch.stack(sequences), **EXACT)


def test_a_sequence_feeds_predictions_back(variant):
    model = double_model(variant[0], **variant[1])
    state, action, delta_t = random_batch(model.spec, 6)
    actions = torch.stack([action, action.flip(0), action], dim=-2)
    steps = torch.stack([delta_t, 2 * delta_t, delta_t], dim=-1)
    sequence = model.predict_sequence(state, actions, steps)
    assert sequence.shape == (6, 3, model.spec.state_dim)
    torch.testing.assert_close(sequence[:, 0], model(state, actions[:, 0], steps[:, 0]), **EXACT)
    if not model.has_memory:
        torch.testing.assert_close(sequence[:, 2], model(sequence[:, 1], actions[:, 2], steps[:, 2]), **EXACT)


def test_a_vanishing_interval_changes_nothing_where_the_form_promises_it(variant):
    model = double_model(variant[0], **variant[1])
    state, action, _ = random_batch(model.spec, 5)
    predicted = model(state, action, torch.zeros(5, dtype=torch.float64))
    if variant[1].get("form") in ("none", "concat", "decay", "ode") or hasattr(model, "read_off"):
        assert (predicted - state).abs().max() > 1e-4  # these move by a step of their own whatever is asked
    else:
        torch.testing.assert_close(predicted, state, **EXACT)


def test_a_turn_of_an_angle_changes_nothing_but_the_angle(variant):
    model = double_model(variant[0], "CartPole-v1", **variant[1])
    state, action, delta_t = random_batch(model.spec, 5)
    turn = torch.tensor([0, 0, 2 * torch.pi, 0], dtype=torch.float64)
    torch.testing.assert_close(model(state + turn, action, delta_t) - turn, model(state, action, delta_t), **EXACT)


def test_gradients_reach_every_weight_that_can_matter(variant):
    model = double_model(variant[0], **variant[1])
    state, action, delta_t = random_batch(model.spec, 8)
    if "variance" in model.predicts:  # a path has no use for it, and its first window none for what is slow
        states, actions, steps = random_batch(model.spec, 2, model.needs.window)
        noise = torch.zeros(2, model.needs.window, model.needs.noise, dtype=torch.float64)
        model.loss(Batch(states, actions, states.roll(-1, dims=-2), steps, noise=noise), torch.tensor(1.0)).backward()
    else:
        loss = model.predict_sequence(state, torch.stack([action] * 2, dim=-2), delta_t.unsqueeze(-1).expand(8, 2))
        loss.square().sum().backward()
    for name, parameter in model.named_parameters():
        # the last bias of an energy is its zero point
        offsets = ("network.4.bias",) if "port_hamiltonian" in variant[0] else ("potential.4.bias", "kinetic.4.bias")
        energy_offset = name.endswith(offsets)
        assert parameter.grad is not None or energy_offset, name
        assert energy_offset or parameter.grad.abs().sum() > 0, name


# --- forms and identities ------------------------------------------------------------------------------------------


def test_forms_are_what_their_table_says():
    assert form_coefficients("none", 0.02) == (0.0, 0.02, 0.0, 0.0)
    assert form_coefficients("concat", 0.05) == (20.0, 0.05, 0.0, 0.0)
    assert form_coefficients("scaled", 0.1) == (0.0, 0.0, 1.0, 0.0)
    assert form_coefficients("scaled_concat", 0.1) == (20.0, 0.0, 1.0, 0.0)
    gain, constant, linear, log = form_coefficients("log_tau", 0.1)
    assert (gain, constant, linear) == (1.0, 0.0, 0.0)
    assert log * 4.0 == pytest.approx(0.1)  # τ(0.1 s) = log10 0.1 + 5 = 4: at its own step the form steps by h


@pytest.mark.parametrize("env", ENVS)
@pytest.mark.parametrize("h", [0.02, 0.05, 0.1])
def test_one_rate_scaled_is_the_rescaled_baseline(env, h):
    scaled = double_model("jump", env, form="scaled", train_delta_t=h)
    baseline = double_model("jump", env, form="none", train_delta_t=h)  # the same seed: the same weights
    state, action, delta_t = random_batch(scaled.spec, 50)
    rescaled = RescaledIncrement(baseline, h)
    torch.testing.assert_close(scaled(state, action, delta_t), rescaled(state, action, delta_t), **EXACT)
    torch.testing.assert_close(scaled(state, action, h), baseline(state, action, delta_t), **EXACT)


@pytest.mark.parametrize("env", ENVS)
def test_euler_field_is_the_scaled_jump(env):
    jump = double_model("jump", env, form="scaled")
    ode = double_model("first_order_ode", env, solver="euler")
    tie_jump_to_field(jump, ode)
    state, action, delta_t = random_batch(jump.spec, 50)
    torch.testing.assert_close(ode(state, action, delta_t), jump(state, action, delta_t), **EXACT)


def test_one_stack_mixes_forms_and_training_steps():
    forms = [("none", 0.1), ("none", 0.02), ("scaled", 0.05), ("log_tau", 0.1), ("concat", 0.05)]
    models = [double_model("jump", seed=s, form=form, train_delta_t=h) for s, (form, h) in enumerate(forms)]
    stack = Stack(models)
    state, action, delta_t = random_batch(models[0].spec, 1, 20)
    for model, predicted in zip(models, stack(state, action, delta_t), strict=True):
        torch.testing.assert_close(predicted, model(state[0], action[0], delta_t[0]), **EXACT)
    assert stack.train_delta_t.tolist() == [0.1, 0.02, 0.05, 0.1, 0.05]


# --- fields --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("env", ENVS[:2])
def test_own_solvers_agree_with_torchdiffeq(name, env):
    model = double_model(name, env)
    state, action, _ = random_batch(model.spec, 10)

    def field(s):
        return model.derivative(s, action)

    for solver in ("euler", "midpoint"):
        own = model.with_solver(solver)(state, action, 0.05)
        torch.testing.assert_close(own, odeint_reference(field, state, 0.05, method=solver), **EXACT)

    def distance(h):
        return (model(state, action, h) - odeint_reference(field, state, h, method="rk4")).abs().max()

    # torchdiffeq's rk4 is the 3/8 rule, ours the classical one: both of order 4, so one step differs by O(h^5)
    assert distance(0.05) < 3e-5
    assert distance(0.0125) < distance(0.05) / 4**4.5 + 1e-15
    accurate = model.with_solver("rk4", substeps=16)(state, action, 0.05)
    torch.testing.assert_close(accurate, odeint_reference(field, state, 0.05), rtol=0, atol=1e-7)  # dopri5, rtol 1e-9


def test_rk4_rules_coincide_on_a_linear_field():
    matrix = torch.tensor([[0.0, 1.0], [-15.0, -0.3]], dtype=torch.float64)
    state = torch.randn(7, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    own = integrate(lambda s: s @ matrix.T, state, torch.full((7,), 0.05, dtype=torch.float64))
    torch.testing.assert_close(own, odeint_reference(lambda s: s @ matrix.T, state, 0.05, method="rk4"), **EXACT)


def test_two_half_intervals_approach_one_as_the_solver_refines():
    model = double_model("newtonian")
    state, action, _ = random_batch(model.spec, 10)
    defects = []
    for substeps in (1, 2, 4):
        fine = model.with_solver("rk4", substeps)
        halves = fine(fine(state, action, 0.05), action, 0.05)
        defects.append((fine(state, action, 0.1) - halves).detach().abs().max())
    assert defects[1] < defects[0] / 10 and defects[2] < defects[1] / 10  # order 4: a factor of 16 each


@pytest.mark.parametrize("env", ENVS)
def test_energy_is_kept_without_damping_and_input(env):
    model = double_model("port_hamiltonian", env)
    with torch.no_grad():
        model.field.log_damping.fill_(-torch.inf)
        model.field.port.weight.zero_()
    state, action, _ = random_batch(model.spec, 10)
    start = model.field.energy(state)
    for _ in range(200):
        state = model(state, action, 0.005).detach()
    assert (state - random_batch(model.spec, 10)[0]).abs().max() > 0.1  # it moved
    torch.testing.assert_close(model.field.energy(state), start, rtol=0, atol=1e-11)


def test_damping_only_takes_energy():
    model = double_model("port_hamiltonian")
    with torch.no_grad():
        model.field.log_damping.fill_(0.0)
        model.field.port.weight.zero_()
    state, action, _ = random_batch(model.spec, 20)
    energies = [model.field.energy(state)]
    for _ in range(100):
        state = model(state, action, 0.01).detach()
        energies.append(model.field.energy(state))
    assert (torch.stack(energies).diff(dim=0) <= 1e-12).all()
    assert (energies[-1] < energies[0] - 1e-4).all()


@pytest.mark.parametrize("env", ENVS)
def test_structure_of_the_fields(env):
    spec = SYSTEMS[env].spec
    position, velocity = list(spec.position_dims), list(spec.velocity_dims)
    state, action, _ = random_batch(spec, 10)
    newtonian = double_model("newtonian", env).derivative(state, action)
    assert torch.equal(newtonian[:, position], state[:, velocity])
    constant = double_model("velocity", env).derivative(state, action)
    assert torch.equal(constant[:, velocity], torch.zeros(10, len(velocity), dtype=torch.float64))
    assert constant[:, position].abs().min() > 0


def test_fields_work_with_any_order_of_dimensions():
    spec = SYSTEMS["CartPole-v1"].spec
    order = [3, 0, 2, 1]  # theta_dot, x, theta, x_dot
    shuffled = replace(
        spec,
        state_names=tuple(spec.state_names[i] for i in order),
        angle_dims=(2,),
        position_dims=(1, 2),
        velocity_dims=(3, 0),
    )
    model = build_model("newtonian", shuffled, seed=0)
    state, action = torch.randn(5, 4), torch.ones(5, 1)
    derivative = model.derivative(state, action)
    assert torch.equal(derivative[:, [1, 2]], state[:, [3, 0]])


def test_a_shooting_model_predicts_as_its_matching_model():
    matching = double_model("newtonian")
    shooting = double_model("newtonian", trajectory="shooting")
    state, action, delta_t = random_batch(matching.spec, 6)
    torch.testing.assert_close(shooting(state, action, delta_t), matching(state, action, delta_t), **EXACT)
    assert shooting.field is shooting.matching.field and shooting.needs.window > 1 == matching.needs.window


# --- baselines without training ------------------------------------------------------------------------------------


def test_persistence_predicts_no_change():
    model = Persistence(SYSTEMS["Pendulum-v1"].spec)
    state, action, delta_t = random_batch(model.spec, 3, 4)
    assert torch.equal(model(state, action, delta_t), state)
    assert torch.equal(model(state[:1], action, delta_t), state[:1].expand(3, 4, 2))
    assert not list(model.parameters())


def test_composing_the_true_flow_is_the_true_flow_for_whole_multiples():
    system = SYSTEMS["Pendulum-v1"]
    state, action, _ = random_batch(system.spec, 6)
    composed = RecurrentRollout(system.flow, 0.02, system.spec)
    delta_t = torch.tensor([0.02, 0.04, 0.06, 0.08, 0.1, 0.2], dtype=torch.float64)
    torch.testing.assert_close(composed(state, action, delta_t), system.flow(state, action, delta_t), **EXACT)
    single = delta_t.float().double()  # intervals that went through single precision count the same
    torch.testing.assert_close(composed(state, action, single), composed(state, action, delta_t), rtol=0, atol=1e-5)


def test_the_remainder_is_a_rescaled_increment():
    system = SYSTEMS["Pendulum-v1"]
    state, action, _ = random_batch(system.spec, 5)
    composed, rescaled = (wrap(system.flow, 0.02, system.spec) for wrap in (RecurrentRollout, RescaledIncrement))
    torch.testing.assert_close(composed(state, action, 0.01), rescaled(state, action, 0.01), **EXACT)
    after = system.flow(state, action, 0.04)
    torch.testing.assert_close(composed(state, action, 0.05), rescaled(after, action, 0.01), **EXACT)
    torch.testing.assert_close(rescaled(state, action, 0.02), system.flow(state, action, 0.02), **EXACT)


def test_newtons_series_starts_as_rescaling_and_ends_as_composition():
    system = SYSTEMS["Pendulum-v1"]
    state, action, delta_t = random_batch(system.spec, 6)
    first = NewtonIncrement(system.flow, 1, 0.05, system.spec)
    rescaled = RescaledIncrement(system.flow, 0.05, system.spec)
    torch.testing.assert_close(first(state, action, delta_t), rescaled(state, action, delta_t), **EXACT)
    third = NewtonIncrement(system.flow, 3, 0.05, system.spec)
    for n in range(4):  # the flow composed n times, and nothing at all
        exact = system.flow(state, action, n * 0.05) if n else state
        torch.testing.assert_close(third(state, action, n * 0.05), exact, rtol=0, atol=1e-11)
    with pytest.raises(ValueError, match="order.*>= 1.*0"):
        NewtonIncrement(system.flow, 0, 0.05, system.spec)


def test_newtons_series_of_an_exact_map_gains_about_an_order_of_magnitude_per_term():
    """Pendulum's flow over 50 ms asked for other intervals: relative errors of orders 1, 2, 3 within twice those seen.

    The expected numbers are of states with a wider spread of speeds, hence the factor of two.
    """
    system = SYSTEMS["Pendulum-v1"]
    g = torch.Generator().manual_seed(0)
    unit = 2 * torch.rand(2000, 3, generator=g, dtype=torch.float64) - 1
    state, action = unit[:, :2] * torch.tensor([torch.pi, 3.0]), 2 * unit[:, 2:]  # far from the speed limit
    expected = {0.2: (0.241, 0.033, 0.003), 0.02: (0.050, 0.005, 0.001), 0.005: (0.075, 0.009, 0.002)}
    for delta_t, errors in expected.items():
        truth = system.flow(state, action, delta_t)
        scale = (truth - state).std(dim=0)
        for order, error in enumerate(errors, start=1):
            predicted = NewtonIncrement(system.flow, order, 0.05, system.spec)(state, action, delta_t)
            found = ((predicted - truth) / scale).norm() / ((truth - state) / scale).norm()
            assert error / 2 < found < 2 * error


def test_wrappers_take_stacks():
    models = [double_model("jump", seed=s, train_delta_t=0.02) for s in range(3)]
    state, action, delta_t = random_batch(models[0].spec, 1, 8)
    for wrap in (RescaledIncrement, RecurrentRollout):
        together = wrap(Stack(models), 0.02)(state, action, delta_t)
        separate = torch.stack([wrap(m, 0.02)(state[0], action[0], delta_t[0]) for m in models])
        torch.testing.assert_close(together, separate, **EXACT)
        actions = action.unsqueeze(-2).expand(1, 8, 3, 1)
        assert wrap(Stack(models), 0.02).predict_sequence(state, actions, 0.05).shape == (3, 8, 3, 2)


# --- memory --------------------------------------------------------------------------------------------------------


def random_context(spec, *shape, seed=2):
    states, actions, delta_t = random_batch(spec, *shape, 8, seed=seed)
    return Context(states, actions, delta_t, torch.ones(*shape, 8, dtype=torch.bool))


def test_another_history_gives_another_prediction():
    model = double_model("lstm")
    state, action, delta_t = random_batch(model.spec, 5)
    actions, steps = action.unsqueeze(-2), delta_t.unsqueeze(-1)
    one = model.predict_sequence(state, actions, steps, random_context(model.spec, 5, seed=2))
    other = model.predict_sequence(state, actions, steps, random_context(model.spec, 5, seed=3))
    assert (one - other).abs().amax(dim=(1, 2)).min() > 1e-6


def test_a_masked_history_is_no_history():
    model = double_model("lstm")
    state, action, delta_t = random_batch(model.spec, 5)
    actions, steps = action.unsqueeze(-2), delta_t.unsqueeze(-1)
    context = random_context(model.spec, 5)
    empty = replace(context, mask=torch.zeros_like(context.mask))
    without = model.predict_sequence(state, actions, steps)
    torch.testing.assert_close(model.predict_sequence(state, actions, steps, empty), without, **EXACT)
    late = context.mask.clone()
    late[:, :5] = False  # only the last three steps exist
    short = Context(*(x[:, 5:] for x in context.tensors()))
    partly = model.predict_sequence(state, actions, steps, replace(context, mask=late))
    torch.testing.assert_close(partly, model.predict_sequence(state, actions, steps, short), **EXACT)


def test_teacher_forcing_is_the_step_by_step_memory():
    model = double_model("lstm", "CartPole-v1", form="scaled_concat")
    states, actions, delta_t = random_batch(model.spec, 4, 6)
    step_by_step = DynamicsModel.teacher_forced(model, states, actions, delta_t)
    torch.testing.assert_close(model.teacher_forced(states, actions, delta_t), step_by_step, **EXACT)
    carry = model.initial(Context.empty(states[:, 0], actions[:, 0]))
    for t in range(6):
        carry, _ = model.step(carry, actions[:, t], delta_t[:, t], states[:, t])
    context = Context(states, actions, delta_t, torch.ones(4, 6, dtype=torch.bool))
    torch.testing.assert_close(model.initial(context)[:2], carry[:2], **EXACT)


def test_the_cell_is_torchs():
    model = double_model("lstm")
    cell = torch.nn.LSTMCell(model.input_gates.in_features, 64).double()
    with torch.no_grad():  # torch orders the gates as input, forget, candidate, output
        for own, theirs in ((model.input_gates.weight, cell.weight_ih), (model.memory_gates.weight, cell.weight_hh)):
            keep, write, candidate, show = own.chunk(4)
            theirs.copy_(torch.cat([write, keep, candidate, show]))
        keep, write, candidate, show = model.input_gates.bias.chunk(4)
        cell.bias_ih.copy_(torch.cat([write, keep, candidate, show]))
        cell.bias_hh.zero_()
    inputs, output, state = torch.randn(3, 12).double(), torch.randn(3, 64).double(), torch.randn(3, 64).double()
    torch.testing.assert_close(model._advance(inputs, output, state), cell(inputs, (output, state)), **EXACT)


def test_one_history_serves_many_candidates_and_stacks():
    models = [double_model("lstm", seed=s) for s in range(3)]
    context = random_context(models[0].spec, 3, 4, 1)  # models, episodes, one for all plans
    state, _, _ = random_batch(models[0].spec, 3, 4, 1)
    _, actions, _ = random_batch(models[0].spec, 3, 4, 6, 5)  # six plans of five steps
    plans = state.expand(3, 4, 6, 2)
    together = Stack(models).predict_sequence(plans, actions, 0.05, context)
    assert together.shape == (3, 4, 6, 5, 2)
    full = Context(*(x.expand(3, 4, 6, *x.shape[3:]) for x in context.tensors()))
    for k, model in enumerate(models):
        own = Context(*(x[k] for x in full.tensors()))
        torch.testing.assert_close(together[k], model.predict_sequence(plans[k], actions[k], 0.05, own), **EXACT)


# --- ensembles and stacks ------------------------------------------------------------------------------------------


def test_an_ensemble_is_mean_and_spread_of_its_members():
    ensemble = double_model("ensemble", form="scaled_concat")
    state, action, delta_t = random_batch(ensemble.spec, 6)
    each = torch.stack([member(state, action, delta_t) for member in ensemble.members])
    assert len(each) == 5
    torch.testing.assert_close(ensemble(state, action, delta_t), each.mean(0), **EXACT)
    torch.testing.assert_close(ensemble.spread(state, action, delta_t), each.std(0), **EXACT)
    stack = Stack([ensemble, double_model("ensemble", seed=1, form="none")])
    torch.testing.assert_close(stack.spread(state[None], action[None], delta_t[None])[0], each.std(0), **EXACT)
    assert stack.member_predictions(state[None], action[None], delta_t[None]).shape == (2, 5, 6, 2)


def test_a_stack_can_change_its_solver():
    models = [double_model("newtonian", seed=s) for s in range(2)]
    state, action, delta_t = random_batch(models[0].spec, 1, 6)
    fine = Stack(models).with_solver("midpoint", 3)
    expected = torch.stack([m.with_solver("midpoint", 3)(state[0], action[0], delta_t[0]) for m in models])
    torch.testing.assert_close(fine(state, action, delta_t), expected, **EXACT)
    assert models[0].solver == "rk4"  # a copy, not a change
    expected = torch.stack([m.derivative(state[0], action[0]) for m in models])
    torch.testing.assert_close(fine.derivative(state, action), expected, **EXACT)


def test_a_stack_is_a_snapshot_and_runs_in_inference_mode():
    models = [build_model("port_hamiltonian", SYSTEMS["Pendulum-v1"].spec, seed=s) for s in range(2)]
    stack = Stack(models)
    with torch.inference_mode():
        before = stack(torch.ones(1, 3, 2), torch.ones(1, 3, 1), 0.05)
    with torch.no_grad():
        models[0].field.port.weight.zero_()
    torch.testing.assert_close(stack(torch.ones(1, 3, 2), torch.ones(1, 3, 1), 0.05), before)


@pytest.mark.parametrize(
    ("models", "words"),
    [
        (lambda: [], ["models", "at least one"]),
        (lambda: [double_model("jump"), double_model("first_order_ode")], ["models", "solver"]),
        (lambda: [double_model("jump"), double_model("jump", hidden_dim=8)], ["models", "sizes"]),
        (lambda: [double_model("newtonian"), double_model("newtonian", solver="euler")], ["models", "solver"]),
        (lambda: [double_model("jump"), double_model("ensemble")], ["models"]),
        (lambda: [double_model("ensemble"), double_model("ensemble", num_members=3)], ["models", "number of members"]),
    ],
)
def test_what_cannot_be_stacked_is_refused(models, words):
    with pytest.raises(ValueError) as error:
        Stack(models())
    assert all(word in str(error.value) for word in words)


def test_a_stack_refuses_a_wrong_leading_axis():
    stack = Stack([double_model("jump", seed=s) for s in range(3)])
    state, action, delta_t = random_batch(stack.spec, 5)
    with pytest.raises(ValueError, match="leading axis of 3.*or 1.*5, 2"):
        stack(state, action, delta_t)
    with pytest.raises(ValueError, match="ensembles"):
        stack.spread(state[None], action[None], delta_t[None])


# --- scales, sizes, errors -----------------------------------------------------------------------------------------


def test_scales_are_those_of_the_training_split():
    spec = SYSTEMS["Pendulum-v1"].spec
    state = torch.tensor([[0.0, 1.0], [torch.pi / 2, 3.0], [torch.pi, -1.0]], dtype=torch.float64)
    rates = torch.tensor([[1.0, 5.0], [3.0, 5.0], [5.0, 5.0]], dtype=torch.float64)  # [1/s], the second constant
    delta_t = torch.tensor([0.1, 0.05, 0.02], dtype=torch.float64)
    action = torch.tensor([[-1.0], [0.0], [1.0]], dtype=torch.float64)
    model = build_model("newtonian", spec, seed=0).double()
    model.fit_scales(Transitions(state, action, state + rates * delta_t[:, None], delta_t))
    torch.testing.assert_close(model.rate_scale, torch.tensor([2.0, 1.0], dtype=torch.float64))  # std of 1, 3, 5
    features = torch.stack([state[:, 0].cos(), state[:, 0].sin(), state[:, 1]], dim=-1)
    torch.testing.assert_close(model.scales.normalizer.mean, features.mean(0))
    torch.testing.assert_close(model.action_encoder.normalizer.std, torch.ones(1, dtype=torch.float64))
    assert wrap_angle(state[2, 0]) == torch.pi


def test_output_is_in_units_of_the_typical_rate():
    small, large = double_model("jump"), double_model("jump")
    with torch.no_grad():
        large.scales.rate_scale.mul_(10)
    state, action, delta_t = random_batch(small.spec, 5)
    torch.testing.assert_close(
        large(state, action, delta_t) - state, 10 * (small(state, action, delta_t) - state), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize(("size", "widths"), [("hidden64", [64, 64]), ("small", [256] * 2), ("medium", [512] * 3),
                                              ("large", [1024] * 4)])  # fmt: skip
def test_sizes(size, widths):
    model = build_model("jump", SYSTEMS["Pendulum-v1"].spec, seed=0, size=size)
    layers = [m.out_features for m in model.network if isinstance(m, torch.nn.Linear)]
    assert layers == [*widths, 2]
    assert model(torch.zeros(2), torch.zeros(1)).shape == (2,)


def test_actions_are_embedded_as_the_seed_says():
    discrete = build_model("jump", SYSTEMS["CartPole-v1"].spec, seed=0).action_encoder
    assert isinstance(discrete.embedding, torch.nn.Embedding) and discrete.embedding.weight.shape == (2, 8)
    continuous = build_model("jump", SYSTEMS["CartPoleContinuous-v1"].spec, seed=0).action_encoder
    assert isinstance(continuous.linear, torch.nn.Linear) and continuous.linear.out_features == 8


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda spec: build_model("jumpy", spec), ["model", *MODELS, "'jumpy'"]),
        (lambda spec: build_model("jump", spec, form="log"), ["form", *FORMS, "'log'"]),
        (lambda spec: build_model("jump", spec, size="huge"), ["size", "hidden64", "large", "'huge'"]),
        (lambda spec: build_model("newtonian", spec, solver="dopri"), ["solver", "rk4", "dopri5", "'dopri'"]),
        (lambda spec: build_model("newtonian", spec, trajectory="multi"), ["trajectory", "shooting", "'multi'"]),
        (lambda spec: build_model("newtonian", spec, substeps=0), ["substeps", ">= 1", "0"]),
        (lambda spec: build_model("jump", spec, solver="rk4"), ["options", "form", "['solver']"]),
        (lambda spec: build_model("newtonian", spec, form="concat"), ["options", "solver", "['form']"]),
        (lambda spec: build_model("jump", spec, hiden_dim=32), ["options", "hidden_dim", "hiden_dim"]),
        (lambda spec: build_model("jump", spec, hidden_dim=0), ["hidden_dim", ">= 1", "0"]),
        (lambda spec: build_model("jump", spec, size="small", hidden_dim=32), ["hidden_dim", "small", "32"]),
        (lambda spec: build_model("jump", spec, train_delta_t=0.0), ["train_delta_t", "0.0"]),
        (lambda spec: build_model("ensemble", spec, num_members=1), ["members", "two", "1"]),
        (
            lambda spec: build_model("newtonian", replace(spec, position_dims=(), velocity_dims=())),
            ["velocity", "position_dims"],
        ),
        (lambda spec: Ensemble([double_model("jump"), double_model("jump", hidden_dim=8)]), ["members", "sizes"]),
    ],
)
def test_bad_requests_are_named(call, words):
    with pytest.raises(ValueError) as error:
        call(SYSTEMS["Pendulum-v1"].spec)
    assert all(str(word) in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize("env", SYSTEMS)
def test_the_written_out_energy_gradient_is_the_gradient(env, generator):
    spec = SYSTEMS[env].spec
    field = build_model("port_hamiltonian", spec, seed=0).double().field
    field.scales.normalizer.std.uniform_(0.5, 2.0, generator=generator)
    state = torch.randn(32, spec.state_dim, dtype=torch.float64, generator=generator)
    expected = torch.func.grad(lambda s: field.energy(s).sum())(state)
    torch.testing.assert_close(field.energy_gradient(state), expected, rtol=0, atol=1e-12)
