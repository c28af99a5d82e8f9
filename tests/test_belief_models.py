"""Dynamics models with a belief: one filter whole and step by step, what is known of the past, angles, training."""

import dataclasses
import functools
import math

import pytest
import torch

from tdlib.core.specs import EnvironmentSpec, state_features
from tdlib.core.transitions import Transitions
from tdlib.models import MODELS, Batch, Context, DynamicsModel, build_model, find_family
from tdlib.models.beliefs import HiPRSSMOptions, MTS3Options, information
from tdlib.models.beliefs.masks import training_mask
from tdlib.speed import Query, Stack, predict_queries, prepared
from tdlib.speed.stacked_weights import StackedWeights
from tdlib.study.arms import Arm
from tdlib.systems import SYSTEMS
from tdlib.training import Budget, Trial, fit

PATHS = {
    "acrkn": "tdlib.models.families.acrkn:AcRKNModel",
    "hip_rssm": "tdlib.models.families.hip_rssm:HiPRSSMModel",
    "mts3": "tdlib.models.families.mts3:MTS3Model",
}
CHAPTER = ("acrkn", "hip_rssm", "mts3", "gaussian_gru", "gaussian_lstm", "gaussian_transformer")
SMALL = {
    "latent_dim": 3, "hidden_dim": 6, "control_hidden_dim": 6, "set_hidden_dim": 6, "decoder_hidden_dim": 6,
    "sequence_length": 12, "mask_window": 3,
}  # fmt: skip
OWN = {"acrkn": {}, "hip_rssm": {"context_length": 4}, "mts3": {"windows": (3,), "fewest_steps": 2}}
SPEC = SYSTEMS["Pendulum-v1"].spec
POINT = EnvironmentSpec(
    name="point", state_names=("x",), state_units=("m",), input_names=("u",), input_units=("1",), input_low=(-1.0,),
    input_high=(1.0,), angle_dims=(), position_dims=(), velocity_dims=(), reward_delta_t=0.1,
)  # fmt: skip
EXACT = dict(rtol=0, atol=1e-12)


def build(name, spec=SPEC, seed=0, **options):
    """A model in double precision with scales that are not trivial and weights away from where they start."""
    model = build_model(PATHS[name], spec, seed=seed, **SMALL | OWN[name] | options).double()
    states, actions, delta_t = steps(50, spec=spec)
    model.fit_scales(Transitions(states, actions, states + 0.1 * states.roll(1, dims=0), delta_t))
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for x in model.parameters():
            x += 0.2 * torch.randn(x.shape, generator=g, dtype=x.dtype)
    return model


def steps(*shape, spec=SPEC, seed=1):
    g = torch.Generator().manual_seed(seed)
    states = torch.randn(*shape, spec.state_dim, generator=g, dtype=torch.float64)
    actions = 2 * torch.rand(*shape, spec.action_dim, generator=g, dtype=torch.float64) - 1
    if spec.discrete:
        actions = (actions > 0).double()
    return states, actions, 0.02 + 0.05 * torch.rand(*shape, generator=g, dtype=torch.float64)


def context(*shape, count=5, spec=SPEC, seed=2):
    states, actions, delta_t = steps(*shape, count, spec=spec, seed=seed)
    return Context(states, actions, delta_t, torch.ones(*shape, count, dtype=torch.bool))


def test_a_preset_may_name_them_by_their_paths():
    labels = []
    for name, path in PATHS.items():
        family = find_family(path)
        labels.append(family.label)
        for arm in family.arms:
            assert build(name, form=arm.form).options.form == arm.form
        defaults = build_model(path, SPEC, seed=0)
        assert defaults.needs == family.needs and defaults.options.mask_window == 10
    assert labels == ["Ac-RKN", "HiP-RSSM", "MTS3"]


def test_their_defaults_see_nothing_ahead_and_the_published_ones_are_options():
    assert MODELS["mts3"].options().task_feed == "prior" and MTS3Options().task_feed == "posterior"
    assert MODELS["hip_rssm"].options().both_ends and not HiPRSSMOptions().both_ends
    assert {MODELS[name].options().norm for name in PATHS} == {"none"}  # levels differ, encoders do not
    published = build_model("mts3", SPEC, seed=0, **dataclasses.asdict(MTS3Options()))
    assert published.options.latent_dim == 30 and published.options.task_feed == "posterior"


@pytest.mark.parametrize("env", ["oscillator", "pendulum"])
def test_models_of_the_chapter_are_of_about_one_size_in_all_their_forms(env):
    arms = {(name, arm.form) for name in CHAPTER for arm in find_family(name).arms}
    built = [build_model(name, SYSTEMS[env].spec, seed=0, form=form) for name, form in sorted(arms)]
    sizes = [sum(x.numel() for x in model.parameters()) for model in built]
    assert max(sizes) < 1.15 * min(sizes)


@pytest.mark.parametrize("spec", [SPEC, SYSTEMS["CartPole-v1"].spec], ids=["torque", "table"])
@pytest.mark.parametrize("name", PATHS)
def test_it_predicts_states_and_variances_of_any_batch(name, spec):
    model, (states, actions, delta_t) = build(name, spec, form="concat"), steps(2, 3, 7, spec=spec)
    past = context(2, 3, spec=spec)
    found = model.predict(states[..., 0, :], actions, delta_t, past)
    assert found.state.shape == found.variance.shape == (2, 3, 7, spec.state_dim) and (found.variance > 0).all()
    one = model.predict(states[1, 2, 0], actions[1, 2], delta_t[1, 2], past.map(lambda x: x[1, 2]))
    torch.testing.assert_close(one.state, found.state[1, 2], **EXACT)
    shared = model.predict(states[:1, :1, 0], actions, 0.05, past.map(lambda x: x[:1, :1]))  # one start, many plans
    own = model.predict(states[0, 0, 0], actions[1, 1], 0.05, past.map(lambda x: x[0, 0]))
    torch.testing.assert_close(shared.state[1, 1], own.state, **EXACT)
    alone = model.predict(states[..., 0, :], actions, delta_t)
    assert model(states[..., 0, :], actions[..., 0, :], delta_t[..., 0]).shape == states[..., 0, :].shape
    assert (alone.state - found.state).abs().amax() > 1e-6 and model.has_memory
    other = model.predict(states[..., 0, :], actions, 2 * delta_t, past)
    assert (other.state - found.state).abs().amax() > 1e-6  # Δt is read


@pytest.mark.parametrize("name", ["acrkn", "mts3"])
def test_what_moves_on_by_time_does_not_ask_how_often(name):
    """Two steps of half the interval under one input, nothing seen between them: the same state and variance."""
    model, (states, actions, _) = build(name, form="flow_seconds" if name == "mts3" else "flow"), steps(3, 4)
    whole = model.predict(states[:, 0], actions, 0.05)
    halves = model.predict(states[:, 0], actions.repeat_interleave(2, dim=1), 0.025)
    if name == "acrkn":  # MTS3's slow level pools what it sees of inputs, step by step
        torch.testing.assert_close(halves.state[:, 1::2], whole.state, rtol=0, atol=1e-9)
        torch.testing.assert_close(halves.variance[:, 1::2], whole.variance, rtol=0, atol=1e-9)
    assert halves.state.isfinite().all() and (halves.variance > 0).all()


@pytest.mark.parametrize("name", PATHS)
def test_a_belief_is_not_asked_back_in_time(name):
    model, (states, actions, delta_t) = build(name), steps(2, 3)
    for given in (-0.05, delta_t * torch.tensor([1.0, 1.0, -1.0])):
        with pytest.raises(ValueError, match="delta_t must not be negative, got -0.0"):
            model.predict(states[:, 0], actions, given)
    with pytest.raises(ValueError, match="delta_t must not be negative, got -0.05"):
        model(states, actions, -0.05)
    assert model.predict(states[:, 0], actions, 0.0 * delta_t).state.isfinite().all()


@pytest.mark.parametrize("name", PATHS)
def test_predictions_are_those_of_the_filter_told_what_is_known(name):
    """A context, a start and inputs to come are one sequence in which nothing is seen after the start."""
    model, (states, actions, delta_t) = (
        build(name, context_length=5) if name == "hip_rssm" else build(name),
        steps(3, 12),
    )
    past = Context(states[:, :5], actions[:, :5], delta_t[:, :5], torch.ones(3, 5, dtype=torch.bool))
    found = model.predict(states[:, 5], actions[:, 5:], delta_t[:, 5:], past)
    seen = (torch.arange(12) <= 5).expand(3, 12)
    known = torch.where(seen.unsqueeze(-1), states, torch.nan)
    whole = model.filtered(model.scales.features(known), model.inputs(actions, delta_t), seen, delta_t)
    expected = model.read_off(whole.mean[:, 5:], whole.variance[:, 5:], states[:, 5])
    torch.testing.assert_close((found.state, found.variance), (expected.state, expected.variance), **EXACT)
    if not model.whole_sequences:
        stepped = DynamicsModel.predict(model, states[:, 5], actions[:, 5:], delta_t[:, 5:], past)
        torch.testing.assert_close((stepped.state, stepped.variance), (found.state, found.variance), **EXACT)


@pytest.mark.parametrize("name", PATHS)
def test_what_is_remembered_begins_after_the_last_step_that_does_not_exist(name):
    model, (states, actions, delta_t) = build(name), steps(3, 4)
    past = context(3, count=7)
    mask = torch.tensor([True, True, False, True, True, True, True]).expand(3, 7)
    masked = Context(past.states, past.actions, past.delta_t, mask)
    other = Context(*(torch.cat([x[:, :3] + 1, x[:, 3:]], dim=1) for x in past.tensors()[:3]), mask)
    found, same = (model.predict(states[:, 0], actions, delta_t, x) for x in (masked, other))
    torch.testing.assert_close(same.state, found.state, **EXACT)
    later = past.map(lambda x: x[:, 3:])  # three steps, a whole window, are gone: the others stay where they were
    torch.testing.assert_close(model.predict(states[:, 0], actions, delta_t, later).state, found.state, **EXACT)
    unmasked = model.predict(states[:, 0], actions, delta_t, past)
    assert (unmasked.state - found.state).abs().max() > 1e-6


@pytest.mark.parametrize("form", ["none", "flow"])
@pytest.mark.parametrize("name", ["hip_rssm", "mts3"])
def test_a_task_is_read_with_the_time_between_observations_where_beliefs_move_on_by_time(name, form):
    """The same rows, twice as far apart: their decay per time is half as fast."""
    model, (states, actions, delta_t) = build(name, form=form), steps(2, 9)
    features, inputs = model.scales.features(states), model.inputs(actions, delta_t)

    def task(delta_t):
        if name == "hip_rssm":
            return model.network.task(features, inputs, None, delta_t).mean
        return model.network(features, inputs, delta_t=delta_t).tasks[0].posteriors.mean[:, 0]  # of the first window

    moved = (task(2 * delta_t) - task(delta_t)).abs().max()
    assert moved > 1e-6 if form == "flow" else moved == 0


@pytest.mark.parametrize("name", [name for name in CHAPTER if name not in PATHS])
def test_a_memory_is_told_what_is_seen(name):
    """A zero that is seen and a row that is not differ."""
    model, (states, actions, delta_t) = build_model(name, SPEC, seed=0).double(), steps(2, 6)
    features, inputs = torch.zeros_like(model.scales.features(states)), model.inputs(actions, delta_t)
    seen = torch.ones(2, 6, dtype=torch.bool)
    found, unseen = (model.filtered(features, inputs, x, delta_t).mean for x in (seen, seen & (torch.arange(6) != 2)))
    moved = (found - unseen).abs().amax(dim=(0, 2))
    assert (moved[:2] == 0).all() and (moved[2:] > 1e-9).all()
    with pytest.raises(ValueError, match="identity, band and num_basis are of a matrix per step, a memory has none"):
        build_model(name, SPEC, seed=0, identity=True)


@pytest.mark.parametrize(
    ("name", "options", "levels"),
    [
        ("acrkn", {"form": "flow"}, 1), ("hip_rssm", {}, 2), ("mts3", {"windows": (3, 6)}, 3),
        ("mts3", {"form": "flow_seconds"}, 2), ("mts3", {"task_feed": "posterior"}, 2),
    ],
)  # fmt: skip
def test_what_each_level_knows_goes_with_the_prediction(name, options, levels):
    """Two rows of the context do not exist; a level begins with the first that does, knowing nothing."""
    model, (states, actions, delta_t) = build(name, **options), steps(3, 8)
    past = context(3, count=6)
    past = Context(past.states, past.actions, past.delta_t, (torch.arange(6) >= 2).expand(3, 6))
    by_steps = model.predict if model.whole_sequences else functools.partial(DynamicsModel.predict, model)
    expected = by_steps(states[:, 0], actions, delta_t, past)
    found, inside = model.follow(states[:, 0], actions, delta_t, past)
    torch.testing.assert_close((found.state, found.variance), (expected.state, expected.variance), rtol=0, atol=1e-9)
    assert len(inside) == levels and inside[0].begins is None
    mean, _ = model.network.fast.decoder(inside[0].belief)
    torch.testing.assert_close(model.read_off(mean[:, 6:], mean[:, 6:], states[:, 0]).state, found.state, **EXACT)
    for level in inside:
        known = information(level.belief, level.first)
        assert known.shape == (3, 14) and known.isfinite().all()
        assert (known[:, 8] > 0).all()  # the windows before are over
    for level in inside[1:]:
        assert level.begins.shape == (3, 14) and level.begins[:, 0].all()
        prior = name == "mts3" and options.get("task_feed") != "posterior"
        unaware = information(level.belief, level.first)[:, 2]  # in the first window
        assert (unaware.abs() < 1e-12).all() == prior
    if options.get("windows"):
        assert [level.begins[0].nonzero().flatten().tolist() for level in inside[1:]] == [[0, 5, 8, 11], [0, 8]]


@pytest.mark.parametrize("form", ["none", "flow", "flow_seconds"])
@pytest.mark.parametrize("missing", [1, 2, 4])
def test_rows_that_do_not_exist_shift_no_window(missing, form):
    """Whatever stands before the first known row, and however many rows."""
    model, (states, actions, delta_t) = build("mts3", form=form, windows=(3, 6)), steps(3, 8)
    past = context(3, count=5)
    padded = Context(*(torch.cat([x[:, :1].expand(-1, missing, *x.shape[2:]), x], dim=1) for x in past.tensors()))
    mask = (torch.arange(5 + missing) >= missing).expand(3, -1)
    padded = Context(padded.states, padded.actions, padded.delta_t, mask)
    found, expected = (model.predict(states[:, 0], actions, delta_t, x) for x in (padded, past))
    torch.testing.assert_close((found.state, found.variance), (expected.state, expected.variance), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", PATHS)
def test_a_stack_is_its_models(name):
    models = [build(name, seed=seed) for seed in range(2)]
    states, actions, delta_t = steps(2, 3, 4)
    past = context(2, 3)
    stack = Stack(models)
    together = stack.predict(states[:, :, 0], actions, delta_t, past)
    for k, model in enumerate(models):
        own = model.predict(states[k, :, 0], actions[k], delta_t[k], past.map(lambda x, k=k: x[k]))
        torch.testing.assert_close((together.state[k], together.variance[k]), (own.state, own.variance), **EXACT)
    assert models[0].whole_sequences == (name == "mts3")
    (found,) = predict_queries(stack, [Query(states[:, :, 0], actions, delta_t, past)], dtype=torch.float64)
    torch.testing.assert_close(found, together.state, rtol=0, atol=1e-9)
    planned, plain = (x.predict_sequence(states[:, :, 0], actions, 0.05, past) for x in (prepared(stack), stack))
    torch.testing.assert_close(planned, plain, **EXACT)


def test_states_are_read_off_their_features_and_variances_to_first_order():
    model = build("acrkn")
    true = torch.cumsum(0.8 * torch.rand(4, 9, SPEC.state_dim, dtype=torch.float64), dim=1) + 2  # angles turn past π
    features = model.scales.features(true[:, 1:])
    variance = torch.full_like(features, 1e-10)
    found = model.read_off(features, variance, true[:, 0])
    torch.testing.assert_close(found.state, true[:, 1:], rtol=0, atol=1e-9)
    g = torch.Generator().manual_seed(0)
    noise = 1e-5 * torch.randn(4000, 8, features.shape[-1], generator=g, dtype=torch.float64)
    spread = model.read_off(features[:1] + noise, variance[:1].expand(4000, -1, -1), true[:1, 0].expand(4000, -1)).state
    torch.testing.assert_close(spread.var(dim=0), found.variance[0], rtol=0.15, atol=0)


# --- training ---------------------------------------------------------------------------------------------------------


def test_the_mask_drops_steps_and_more_and_more_windows_but_the_first():
    noise = torch.randn(4000, 12, 3, generator=torch.Generator().manual_seed(0))
    for progress, share in ((0.0, 0.05), (0.021, 0.15), (1.0, 0.75)):
        seen = training_mask(noise, torch.tensor(progress), 3, 0.0, 0.75).view(4000, 4, 3)
        assert seen[:, 0].all() and (seen.any(dim=-1) == seen.all(dim=-1)).all()  # windows as a whole
        assert 1 - seen[:, 1:].float().mean() == pytest.approx(share / 2, abs=0.02)
    at_once = training_mask(noise, torch.tensor(0.0), 3, 0.0, 0.75, apart=0.0).view(4000, 4, 3)
    assert 1 - at_once[:, 1:].float().mean() == pytest.approx(0.75 / 2, abs=0.02)
    single = training_mask(noise, torch.tensor(1.0), 3, 0.15, 0.0).float().mean()
    assert single == pytest.approx(0.85, abs=0.01)


@pytest.mark.parametrize(("name", "objective"), [("acrkn", "nll"), ("hip_rssm", "mse"), ("mts3", "nll")])
def test_the_loss_is_of_the_next_features_and_of_steps_that_count(name, objective):
    model, (states, actions, delta_t) = (
        build(name, objective=objective, dropped=0.0, dropped_windows=0.0),
        steps(5, 13),
    )
    features = model.scales.normalizer.normalize(state_features(states, SPEC))
    valid = torch.rand(5, 12) > 0.3
    noise = torch.zeros(5, 12, 3, dtype=torch.float64)
    batch = Batch(states[:, :-1], actions[:, :-1], states[:, 1:], delta_t[:, :-1], valid=valid, noise=noise)
    inputs = model.inputs(actions, delta_t)[:, :-1]
    found = model.filtered(features[:, :-1], inputs, torch.ones_like(valid), delta_t[:, :-1])
    if objective == "nll":
        each = -torch.distributions.Normal(found.mean, found.variance.sqrt()).log_prob(features[:, 1:]).sum(dim=-1)
    else:
        each = (found.mean - features[:, 1:]).square().mean(dim=-1)
    torch.testing.assert_close(model.loss(batch, torch.ones(())), each[valid].mean(), rtol=1e-9, atol=0)


@pytest.mark.parametrize("name", CHAPTER)
def test_a_model_alone_trains_as_in_a_stack(name):
    """Alone it is called without the axis of a stack, whose products round otherwise: 1e-10 of the largest gradient."""
    size = {"sequence_length": 12, "mask_window": 3} | OWN.get(name, {})
    states, actions, delta_t = steps(1, 5, 13)
    noise = torch.randn(1, 5, 12, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    state, action, interval = (x[:, :, :-1] for x in (states, actions, delta_t))
    one = Batch(state, action, states[:, :, 1:], interval, valid=noise[..., 0] > -1, noise=noise)

    def trained(count):
        model = build_model(name, SPEC, seed=0, **size).double()
        model.fit_scales(Transitions(*(x.flatten(0, 2) for x in (one.state, one.action, one.next_state, one.delta_t))))
        weights = StackedWeights([model] * count, "cpu")
        flat = weights.flat.requires_grad_()
        batch = one.map(lambda x: x.expand(count, *x.shape[1:]))
        losses, _ = weights.losses(flat, weights.buffers, batch, torch.tensor(0.5, dtype=torch.float64))
        (gradient,) = torch.autograd.grad(losses.sum(), flat)
        return losses[0], gradient[0]

    (loss, gradient), (expected, of_stack) = trained(1), trained(2)
    largest = float(of_stack.abs().max())
    assert largest > 0
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(gradient, of_stack, rtol=0, atol=1e-10 * largest)


def test_it_trains_to_better_than_the_spread_of_what_it_predicts():
    """A point that an input pushes around, seen with gaps: the likelihood of a fitted constant is left behind."""
    g = torch.Generator().manual_seed(3)
    count, length = 40, 13
    actions = 2 * torch.rand(count, length, 1, generator=g) - 1
    states = torch.cumsum(torch.cat([torch.randn(count, 1, 1, generator=g), 0.3 * actions], dim=1), dim=1)
    delta_t = torch.full((count * length,), 0.1)
    rows = Transitions(states[:, :-1].reshape(-1, 1), actions.reshape(-1, 1), states[:, 1:].reshape(-1, 1), delta_t)
    offsets = torch.arange(0, count * length + 1, length)
    model = build_model(PATHS["mts3"], POINT, seed=0, train_delta_t=0.1, **SMALL | OWN["mts3"])
    arm = Arm(PATHS["mts3"], "baseline", train_frequency="10")
    trial = Trial(arm, 0, model, [rows], [rows], train_offsets=[offsets], val_offsets=[offsets])
    result = fit([trial], Budget(num_steps=40, learning_rate=3e-2, batch_size=120, num_validations=2))[0]
    constant = 0.5 * (1 + math.log(2 * math.pi))  # of a standard normal, which standardized features are
    assert result.best_val_loss < constant - 0.2 < result.curves["val_loss"].iloc[0]
