"""The GRU with a history: torch's cell, exact rotation, origin, alignment of the horizon, and what an interval does."""

import math
from dataclasses import replace

import pytest
import torch

from tdlib.core.specs import EnvironmentSpec, state_features
from tdlib.core.transitions import Transitions
from tdlib.models import DERIVATIONS, Batch, Context, build_model
from tdlib.models.families.gru import CLOCKS, GRUModel, GRUOptions
from tdlib.speed import Stack
from tdlib.study.arms import Arm
from tdlib.systems import SYSTEMS
from tdlib.training import Budget, Trial, fit

SPEC = SYSTEMS["double_cart_pole"].spec
EXACT = dict(rtol=0, atol=1e-12)
POINT = EnvironmentSpec(
    name="point", state_names=("x",), state_units=("m",), input_names=("u",), input_units=("1",), input_low=(-1.0,),
    input_high=(1.0,), angle_dims=(), position_dims=(), velocity_dims=(), reward_delta_t=0.1,
)  # fmt: skip


def gru(spec=SPEC, seed=0, **options) -> GRUModel:
    options = {"hidden_dim": 16, "relative": (0,), "history_length": 4, "prediction_horizon": 3} | options
    return build_model("gru", spec, seed=seed, **options).double()


def steps(*shape, spec=SPEC, seed=1):
    g = torch.Generator().manual_seed(seed)
    states = torch.randn(*shape, spec.state_dim, generator=g, dtype=torch.float64)
    actions = 2 * torch.rand(*shape, spec.action_dim, generator=g, dtype=torch.float64) - 1
    return states, actions, 0.02 + 0.05 * torch.rand(*shape, generator=g, dtype=torch.float64)


def context(*shape, count=3, seed=2):
    states, actions, delta_t = steps(*shape, count, seed=seed)
    return Context(states, actions, delta_t, torch.ones(*shape, count, dtype=torch.bool))


def window(model, count=5, seed=3):
    """States after each other by the model's own step, so that a window holds what it would predict."""
    length = model.needs.window
    states, actions, delta_t = steps(count, length + 1, seed=seed)
    return Batch(states[:, :-1], actions[:, :-1], states[:, 1:], delta_t[:, :-1])


# --- the cell and what it reads -------------------------------------------------------------------------------------


def test_the_memory_is_that_of_torch():
    model = gru(history_length=6, relative=())
    torchs = torch.nn.GRU(model.input_gates.in_features, 16, batch_first=True).double()
    with torch.no_grad():
        for own, theirs in ((model.input_gates, "ih"), (model.memory_gates, "hh")):
            getattr(torchs, f"weight_{theirs}_l0").copy_(own.weight)
            getattr(torchs, f"bias_{theirs}_l0").copy_(own.bias)
    past = context(7, count=6)
    rows = model._rows(past.states, past.actions, past.delta_t)
    found = model._read(model._cell(), rows, model._origin(rows))
    torch.testing.assert_close(found, torchs(torch.cat([rows.features, rows.others], dim=-1))[0][:, -1], **EXACT)


@pytest.mark.parametrize("memory", ["window", "carried"])
def test_relative_coordinates_make_predictions_that_move_with_the_origin(memory):
    model, past = gru(memory=memory), context(6)
    state, actions, _ = steps(6, 5, seed=4)
    there = torch.zeros(SPEC.state_dim, dtype=torch.float64)
    there[0] = 5.0
    moved = replace(past, states=past.states + there)
    one = model.predict_sequence(state[:, 0], actions, 0.05, past)
    other = model.predict_sequence(state[:, 0] + there, actions, 0.05, moved)
    torch.testing.assert_close(other - there, one, **EXACT)
    absolute = gru(memory=memory, relative=())
    differs = absolute.predict_sequence(state[:, 0] + there, actions, 0.05, moved) - there
    assert (differs - absolute.predict_sequence(state[:, 0], actions, 0.05, past)).abs().max() > 1e-3


def test_the_first_step_of_a_carried_memory_is_that_of_a_window_and_later_ones_are_not():
    past, (state, actions, _) = context(6), steps(6, 5, seed=4)
    one, other = (gru(memory=m).predict_sequence(state[:, 0], actions, 0.05, past) for m in ("window", "carried"))
    torch.testing.assert_close(one[:, 0], other[:, 0], **EXACT)
    assert (one - other)[:, 1:].abs().amax(dim=(0, 2)).min() > 1e-6


def test_a_window_is_read_anew_at_each_step():
    model = gru(memory="window")
    past, (states, actions, delta_t) = context(6), steps(6, 5, seed=4)
    predicted = model.predict_sequence(states[:, 0], actions, delta_t, past)
    rows = [torch.cat([x, y], dim=1) for x, y in zip((past.states, past.actions, past.delta_t), (
        torch.cat([states[:, :1], predicted], dim=1)[:, :-1], actions, delta_t), strict=True)]  # fmt: skip
    for t in range(5):
        own = Context(*(x[:, t : t + 3] for x in rows), torch.ones(6, 3, dtype=torch.bool))
        again = model.predict_sequence(rows[0][:, t + 3], rows[1][:, t + 3 : t + 4], rows[2][:, t + 3 : t + 4], own)
        torch.testing.assert_close(again[:, 0], predicted[:, t], **EXACT)


@pytest.mark.parametrize("memory", ["window", "carried"])
def test_what_does_not_exist_is_not_remembered(memory):
    model, past = gru(memory=memory), context(6)
    state, actions, delta_t = steps(6, 5, seed=4)
    mask = past.mask.clone()
    mask[:, 0] = False
    short = Context(*(x[:, 1:] for x in past.tensors()))
    own = model.predict_sequence(state[:, 0], actions, delta_t, replace(past, mask=mask))
    torch.testing.assert_close(own, model.predict_sequence(state[:, 0], actions, delta_t, short), **EXACT)
    nothing = model.predict_sequence(state[:, 0], actions, delta_t, replace(past, mask=mask & False))
    torch.testing.assert_close(nothing, model.predict_sequence(state[:, 0], actions, delta_t), **EXACT)
    assert (own - nothing).abs().amax(dim=(1, 2)).min() > 1e-6


# --- increments -----------------------------------------------------------------------------------------------------


def test_a_pair_turns_an_angle_on_the_unit_circle():
    model = gru()
    state, change = steps(50)[0], torch.randn(50, SPEC.feature_dim, dtype=torch.float64)
    moved = model._moved(state, change)
    for dim, first in ((1, 1), (2, 3)):  # angles and the first feature of each
        pair = torch.stack([1 + change[:, first], change[:, first + 1]], dim=-1)
        c, s = (pair / pair.norm(dim=-1, keepdim=True)).unbind(dim=-1)
        cos, sin = state[:, dim].cos(), state[:, dim].sin()
        torch.testing.assert_close(moved[:, dim].cos(), cos * c - sin * s, **EXACT)
        torch.testing.assert_close(moved[:, dim].sin(), sin * c + cos * s, **EXACT)
    torch.testing.assert_close(moved[:, [0, 3, 4, 5]], state[:, [0, 3, 4, 5]] + change[:, [0, 5, 6, 7]], **EXACT)
    torch.testing.assert_close(model._moved(state, model._wanted(state, moved)), moved, **EXACT)


# --- the loss -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", ["window", "carried"])
@pytest.mark.parametrize("loss_on", ["delta", "state"])
def test_a_model_that_predicts_a_window_has_no_loss_on_it(memory, loss_on):
    """The horizon is aligned: its first target follows the last row of the history, and predictions are fed back."""
    model = gru(memory=memory, loss_on=loss_on)
    batch, first = window(model), 3
    past = Context(*(x[:, :first] for x in (batch.state, batch.action, batch.delta_t)), torch.ones(5, first) > 0)
    future = slice(first, None)
    own = model.predict_sequence(batch.state[:, first], batch.action[:, future], batch.delta_t[:, future], past)
    perfect = replace(batch, next_state=torch.cat([batch.next_state[:, :first], own], dim=1))
    small = model.loss(perfect, torch.zeros(())).item()
    assert small < 1e-20 if loss_on == "state" else small < 0.1 * model.loss(batch, torch.zeros(())).item()
    late = perfect.next_state.clone()
    late[:, -1, 3] += 0.1  # a velocity of the last step alone
    expected = (0.1 / batch.delta_t[:, -1]).square().mean().item() / (3 * SPEC.feature_dim)
    found = model.loss(replace(perfect, next_state=late), torch.zeros(())).item() - small
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("memory", ["window", "carried"])
@pytest.mark.parametrize("loss_on", ["delta", "state"])
@pytest.mark.parametrize("unit", [None, torch.linspace(0.5, 2.0, SPEC.state_dim, dtype=torch.float64)])
def test_the_loss_and_its_gradient_are_those_of_steps_taken_one_by_one(memory, loss_on, unit):
    model = gru(memory=memory, loss_on=loss_on)
    batch, first = replace(window(model), unit=unit), 3
    past = Context(*(x[:, :first] for x in (batch.state, batch.action, batch.delta_t)), torch.ones(5, first) > 0)
    carry, observed, losses = model.initial(past), batch.state[:, first], []
    for t in range(first, first + 3):
        before, true = carry.state if observed is None else observed, batch.next_state[:, t]
        moved = model.step(carry, batch.action[:, t], batch.delta_t[:, t], observed)
        if loss_on == "delta":
            change = model._change(model._cell(), carry, batch.action[:, t], batch.delta_t[:, t], observed)[2]
            error = change - model._wanted(before, true)
        else:
            error = state_features(moved[1].state, SPEC) - state_features(true, SPEC)
        step = batch.delta_t[:, t, None] * model.rate_scale if unit is None else unit
        losses.append((error / step[..., [0, 1, 1, 2, 2, 3, 4, 5]]).square().mean())
        (carry, _), observed = moved, None
    one = model.loss(batch, torch.zeros(()))
    other = torch.stack(losses).mean()
    torch.testing.assert_close(one, other, **EXACT)
    gradients = [torch.autograd.grad(x, list(model.parameters())) for x in (one, other)]
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-12)


def test_losses_differ_by_the_length_of_the_pair_alone():
    """Without angles they are one number, since deltas are counted from where the prediction stands."""
    both = [gru(POINT, loss_on=name) for name in ("delta", "state")]
    states, actions, delta_t = steps(5, 7, spec=POINT)
    batch = Batch(states[:, :-1], actions[:, :-1], states[:, 1:], delta_t[:, :-1])
    one, other = (model.loss(batch, torch.zeros(())).item() for model in both)
    assert one == pytest.approx(other, rel=1e-12)


def test_a_row_that_does_not_count_has_no_part_in_the_loss():
    model = gru()
    batch = window(model)
    valid = torch.ones(5, model.needs.window, dtype=torch.bool)
    valid[:, -1] = False
    wrong = batch.next_state.clone()
    wrong[:, -1] += 100.0
    one, other = (
        model.loss(replace(batch, next_state=x, valid=valid), torch.zeros(())) for x in (batch.next_state, wrong)
    )
    assert one == other
    assert model.loss(replace(batch, valid=torch.zeros_like(valid)), torch.zeros(())) == 0


def test_dropout_hides_its_share_in_training_alone():
    model = gru(dropout=0.25)
    batch = window(model, count=400)
    batch = replace(batch, noise=torch.randn(400, model.needs.window, 16, dtype=torch.float64))
    kept = model._kept(batch, 4)
    assert (kept == 0).double().mean().item() == pytest.approx(0.25, abs=0.03)
    assert kept.max().item() == pytest.approx(1 / 0.75)
    training = model.loss(batch, torch.zeros(()))
    model.eval()
    assert model.loss(batch, torch.zeros(())) != training
    torch.testing.assert_close(model.loss(batch, torch.zeros(())), gru().loss(batch, torch.zeros(())), **EXACT)


# --- intervals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", CLOCKS)
def test_a_form_uses_the_interval_where_it_says_so(form):
    model, past = gru(form=form), context(6)
    if form.startswith("decay"):
        torch.nn.init.constant_(model.decay, 0.3)
    state, actions, _ = steps(6, 1, seed=4)
    short, long = (model.predict_sequence(state[:, 0], actions, x, past)[:, 0] - state[:, 0] for x in (0.02, 0.04))
    linear = [i for i in range(6) if i not in SPEC.angle_dims]
    if form == "none":
        torch.testing.assert_close(short, long, **EXACT)
    elif form == "scaled":
        torch.testing.assert_close(2 * short[:, linear], long[:, linear], **EXACT)
    else:
        assert (2 * short - long).abs().max() > 1e-6 and (short - long).abs().max() > 1e-6
    irregular = replace(past, delta_t=past.delta_t.flip(-1))
    other = model.predict_sequence(state[:, 0], actions, 0.02, irregular)[:, 0] - state[:, 0]
    reads = form not in ("none", "scaled")
    assert ((other - short).abs().max() > 1e-9) == reads


def test_a_memory_decays_as_it_says():
    model = gru(form="decay")
    gates, memory = torch.randn(3, 4, 16).double().unbind(), torch.randn(4, 16).double()
    intervals = (torch.full((4,), x, dtype=torch.float64) for x in (0.0, 0.1))
    now, later = (model._advance(model._cell(), gates, memory, x) for x in intervals)
    torch.testing.assert_close(later, now * math.exp(-math.log(2) * 0.1 / 0.05), **EXACT)  # softplus(0) = log 2


def test_a_repaired_model_is_the_same_at_its_own_interval_and_keeps_as_much_per_second_at_others():
    model, past = gru(train_delta_t=0.05), replace(context(6), delta_t=torch.full((6, 3), 0.05, dtype=torch.float64))
    state, actions, _ = steps(6, 5, seed=4)
    mended = model.with_form("warped")
    one, other = (m.predict_sequence(state[:, 0], actions, 0.05, past) for m in (model, mended))
    torch.testing.assert_close(one, other, **EXACT)
    gates, memory = torch.zeros(3, 1, 16).double().unbind(), torch.ones(1, 16).double()
    with torch.no_grad():
        mended.memory_gates.weight.zero_()
        mended.memory_gates.bias.zero_()
    cell, half_step, step = mended._cell(), torch.full((1,), 0.025).double(), torch.full((1,), 0.05).double()
    half, whole = (mended._advance(cell, gates, memory, x) for x in (half_step, step))
    torch.testing.assert_close(mended._advance(cell, gates, half, half_step), whole, **EXACT)
    with pytest.raises(ValueError, match="form must go from 'none' to 'scaled' or 'warped', got 'decay' to 'warped'"):
        gru(form="decay").with_form("warped")


@pytest.mark.parametrize("form", ["scaled", "warped"])
def test_a_repaired_model_stays_on_its_device(form):
    mended = gru().to("meta").with_form(form)
    assert {x.device.type for x in (*mended.parameters(), *mended.buffers())} == {"meta"}


@pytest.mark.parametrize("form", ["scaled", "warped"])
def test_a_stack_of_several_rates_is_repaired_as_each_of_its_models(form):
    models = [gru(seed=s, train_delta_t=h) for s, h in enumerate((0.1, 0.05, 0.02))]
    past, (state, actions, delta_t) = context(3, 4), steps(3, 4, 5, seed=4)
    method = {"scaled": "rescaled", "warped": "warped"}[form]
    together = Stack([DERIVATIONS[method].wrap(model, 0.05, SPEC) for model in models])
    found = together.predict_sequence(state[:, :, 0], actions, delta_t, past)
    for k, model in enumerate(models):
        own = past.map(lambda x, k=k: x[k])
        alone = model.with_form(form).predict_sequence(state[k, :, 0], actions[k], delta_t[k], own)
        torch.testing.assert_close(found[k], alone, **EXACT)
        assert (alone - model.predict_sequence(state[k, :, 0], actions[k], delta_t[k], own)).abs().max() > 1e-3


# --- training -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", CLOCKS)
def test_models_are_stacked_by_what_their_memory_does(form):
    models = [gru(form=form, seed=s) for s in range(3)]
    past, (state, actions, delta_t) = context(3, 4), steps(3, 4, 5, seed=4)
    together = Stack(models).predict_sequence(state[:, :, 0], actions, delta_t, past)
    for k, model in enumerate(models):
        own = past.map(lambda x, k=k: x[k])
        alone = model.predict_sequence(state[k, :, 0], actions[k], delta_t[k], own)
        torch.testing.assert_close(together[k], alone, **EXACT)
    assert gru().structure() == gru(form="scaled").structure() != gru(form="warped").structure()


def linear_data(count=30, length=40, delta_t=0.1):
    """x' = x + Δt·(previous input): only a model with a history can predict it."""
    g = torch.Generator().manual_seed(0)
    inputs = 2 * torch.rand(count, length + 1, 1, generator=g) - 1
    states = torch.cat([torch.zeros(count, 1, 1), (delta_t * inputs[:, :-1]).cumsum(dim=1)], dim=1)
    rows = Transitions(
        states[:, :-1].flatten(0, 1), inputs[:, 1:].flatten(0, 1), states[:, 1:].flatten(0, 1),
        torch.full((count * length,), delta_t),
    )  # fmt: skip
    return rows, torch.arange(count + 1) * length


@pytest.mark.parametrize("memory", ["window", "carried"])
def test_it_learns_what_only_the_row_before_tells(memory):
    """The state follows the input of the row before; the horizon is predicted from there, inputs known."""
    rows, offsets = linear_data()
    model = build_model(
        "gru", POINT, seed=0, hidden_dim=12, history_length=3, prediction_horizon=3, memory=memory, train_delta_t=0.1,
        relative=(0,),
    )  # fmt: skip
    trial = Trial(
        Arm("gru", "baseline", train_frequency="10"),
        0,
        model,
        [rows],
        [rows],
        train_offsets=[offsets],
        val_offsets=[offsets],
    )
    result = fit([trial], Budget(num_steps=600, learning_rate=1e-2, batch_size=160))[0]
    unit = rows.next_state.sub(rows.state).square().mean().sqrt()
    past = Context(rows.state[:2][None], rows.action[:2][None], rows.delta_t[:2][None], torch.ones(1, 2) > 0)
    actions = rows.action[2:12][None]
    predicted = result.model.predict_sequence(rows.state[2][None], actions, 0.1, past)
    assert (predicted[0] - rows.next_state[2:12]).square().mean().sqrt() < 0.3 * unit


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "log_tau"}, "form must be one of"),
        ({"memory": "none"}, "memory must be one of"),
        ({"loss_on": "angle"}, "loss_on must be one of"),
        ({"dropout": 1.0}, "dropout must be in"),
        ({"history_length": 0}, "history_length must be >= 1, got 0"),
    ],
)
def test_an_option_that_breaks_a_rule_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        GRUOptions(**options)


def test_an_angle_is_no_relative_coordinate():
    with pytest.raises(
        ValueError, match=r"relative must be dimensions of double_cart_pole that are no angles, got \[1\]"
    ):
        gru(relative=(0, 1))
