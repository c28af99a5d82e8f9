"""Prepared predictions, in row form and recorded, are those of the models, whatever is predicted beside them."""

import pytest
import torch

from tdlib.core.specs import EnvironmentSpec
from tdlib.models import Context, JumpModel, Persistence, RecurrentRollout, RescaledIncrement, build_model
from tdlib.speed import (
    FeaturesFirst,
    Query,
    RecordedDynamics,
    Stack,
    features_first,
    has_row_form,
    predict_queries,
    prepared,
    recorded,
)
from tdlib.speed.schedule import schedule
from tdlib.systems import SYSTEMS

ENVIRONMENTS = ("Pendulum-v1", "CartPole-v1", "CartPoleContinuous-v1")
CASES = [
    ("jump", {"form": "none"}),
    ("jump", {"form": "concat"}),
    ("jump", {"form": "scaled_concat", "size": "small"}),
    ("jump", {"form": "log_tau"}),
    ("lstm", {"form": "concat"}),
    ("lstm", {"form": "scaled_concat", "size": "medium"}),
    ("ensemble", {"form": "scaled_concat", "num_members": 3}),
    ("gru", {"form": "none", "hidden_dim": 16}),
    ("gru", {"form": "scaled_concat", "hidden_dim": 16}),
    ("gru", {"form": "warped", "hidden_dim": 16}),
]
RECORDED = [
    ("newtonian", {"solver": "euler", "trajectory": "shooting"}),
    ("velocity", {"solver": "midpoint"}),
    ("port_hamiltonian", {"solver": "rk4", "substeps": 2}),
    ("gru", {"form": "decay", "hidden_dim": 16}),
    ("gru", {"memory": "window", "hidden_dim": 16, "history_length": 4}),
]
IDS = ["-".join(map(str, (name, *options.values()))) for name, options in CASES + RECORDED]


def stack_of(spec, name, options, dtype, num_models=3):
    """Models whose normalizers and scales differ, as after training."""
    models, generator = [], torch.Generator().manual_seed(7)
    for seed in range(num_models):
        model = build_model(name, spec, seed=seed, **options)
        for key, buffer in model.named_buffers():
            if key.endswith(("std", "rate_scale")):
                buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
            elif key.endswith("mean"):
                buffer.copy_(torch.randn(buffer.shape, generator=generator))
        models.append(model.to(dtype))
    return Stack(models)


def batch(spec, dtype, shape, steps=8, context=5):
    """Starts (*shape, D), actions (*shape, T, A) and a past with one slice for all plans of an episode."""
    generator = torch.Generator().manual_seed(3)

    def actions(*size):
        if spec.discrete:
            return torch.randint(0, spec.num_actions, size, generator=generator).to(dtype)
        return torch.randn(size, generator=generator).to(dtype)

    def numbers(*size):
        return torch.randn(size, generator=generator).to(dtype)

    once = (*shape[:2], 1, context)
    past = Context(
        numbers(*once, spec.state_dim),
        actions(*once, spec.action_dim),
        0.02 + 0.05 * torch.rand(once, generator=generator).to(dtype),
        torch.rand(once, generator=generator) > 0.3,
    )
    return 0.5 * numbers(*shape, spec.state_dim), actions(*shape, steps, spec.action_dim), past


def expected(dynamics, state, actions, delta_t, past=None):
    intervals = torch.full(actions.shape[:-1], delta_t, dtype=state.dtype)
    with torch.no_grad():
        if past is None:
            return dynamics.predict_sequence(state, actions, intervals)
        past = Context(*(x.expand(*state.shape[:3], *x.shape[3:]) for x in past.tensors()))
        return dynamics.predict_sequence(state, actions, intervals, past)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-6)])
@pytest.mark.parametrize(("name", "options"), CASES + RECORDED, ids=IDS)
@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_prepared_models_predict_as_the_models(env, name, options, dtype, tolerance):
    spec = SYSTEMS[env].spec
    stack = stack_of(spec, name, options, dtype)
    state, actions, past = batch(spec, dtype, (3, 2, 4))
    past = past if stack.has_memory else None
    models = prepared(stack)
    assert isinstance(models, FeaturesFirst if (name, options) in CASES else RecordedDynamics)
    found = models.predict_sequence(state, actions, 0.04, past)
    torch.testing.assert_close(found, expected(stack, state, actions, 0.04, past), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("relative", [(0,), (0, 3, 4)])
def test_a_memory_counts_coordinates_from_its_first_row(relative):
    """With a past, with one that has a gap, without any; and many plans beside each other."""
    spec = SYSTEMS["double_cart_pole"].spec
    stack = stack_of(spec, "gru", {"hidden_dim": 16, "relative": relative}, torch.float64)
    state, actions, past = batch(spec, torch.float64, (3, 2, 4))
    assert not past.mask.all()
    models = prepared(stack)
    for known in (past, None):
        found = models.predict_sequence(state, actions, 0.04, known)
        wanted = expected(stack, state, actions, 0.04, known)
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    flat = [x.flatten(1, 2) for x in (state, actions, torch.full(actions.shape[:-1], 0.04, dtype=torch.float64))]
    past = Context(*(x.expand(3, 2, 4, *x.shape[3:]).flatten(1, 2) for x in past.tensors()))
    asked = [Query(*flat, past), Query(*(x[:, :3] for x in flat))]
    with_past, without = predict_queries(models, asked, dtype=torch.float64)
    wanted_past = expected(stack, state, actions, 0.04, batch(spec, torch.float64, (3, 2, 4))[2])
    torch.testing.assert_close(with_past, wanted_past.flatten(1, 2), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(without, wanted.flatten(1, 2)[:, :3], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["jump", "lstm", "newtonian", "gru"])
@pytest.mark.parametrize("discrete", [False, True])
def test_systems_with_many_inputs(name, discrete):
    spec = EnvironmentSpec(
        "arm", ("q1", "q2", "v1", "v2"), ("rad", "m", "rad/s", "m/s"), (0,), (0, 1), (2, 3), ("u1", "u2"),
        ("N m", "N"), (-1.0, -2.0), (1.0, 2.0), ((0.0, 1.0), (1.0, 0.0), (-1.0, 2.0)) if discrete else None,
    )  # fmt: skip
    stack = stack_of(spec, name, {}, torch.float64)
    state, actions, past = batch(spec, torch.float64, (3, 2, 4))
    past = past if stack.has_memory else None
    models = prepared(stack)
    found = models.predict_sequence(state, actions, 0.04, past)
    wanted = expected(stack, state, actions, 0.04, past)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    flat = [x.flatten(1, 2) for x in (state, actions, torch.full(actions.shape[:-1], 0.04, dtype=torch.float64))]
    past = past and Context(*(x.expand(3, 2, 4, *x.shape[3:]).flatten(1, 2) for x in past.tensors()))
    (answer,) = predict_queries(models, [Query(*flat, past)], dtype=torch.float64)
    torch.testing.assert_close(answer, wanted.flatten(1, 2), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("delta_t", [0.02, 0.03, 0.1, 0.005])
@pytest.mark.parametrize("wrapper", [RescaledIncrement, RecurrentRollout])
def test_derived_arms_have_a_row_form(wrapper, delta_t):
    spec = SYSTEMS["Pendulum-v1"].spec
    derived = wrapper(stack_of(spec, "jump", {"train_delta_t": 0.02}, torch.float64), 0.02, spec)
    state, actions, _ = batch(spec, torch.float64, (3, 2, 4))
    found = FeaturesFirst(derived).predict_sequence(state, actions, delta_t)
    torch.testing.assert_close(found, expected(derived, state, actions, delta_t), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["jump", "lstm", "port_hamiltonian"])
def test_a_prediction_does_not_depend_on_the_rest_of_the_batch(name, monkeypatch):
    spec = SYSTEMS["CartPoleContinuous-v1"].spec
    models = prepared(stack_of(spec, name, {}, torch.float32))
    state, actions, past = batch(spec, torch.float32, (3, 5, 16))
    past = past if models.has_memory else None
    whole = models.predict_sequence(state, actions, 0.05, past)

    def close(part, index):
        torch.testing.assert_close(part, whole[index], rtol=0, atol=1e-6)

    own = None if past is None else Context(*(x[:, 2:3] for x in past.tensors()))
    close(models.predict_sequence(state[:, 2:3], actions[:, 2:3], 0.05, own), (slice(None), slice(2, 3)))
    index = torch.tensor([0, 2])
    own = None if past is None else Context(*(x[index] for x in past.tensors()))
    close(models.select(index).predict_sequence(state[index], actions[index], 0.05, own), index)
    for module in (features_first, recorded):  # in parts, the last one shorter
        monkeypatch.setattr(module, "CHUNK", 1)
        monkeypatch.setattr(module, "SMALLEST", 7)
    close(models.predict_sequence(state, actions, 0.05, past), slice(None))


def test_later_calls_leave_earlier_predictions_alone():
    spec = SYSTEMS["Pendulum-v1"].spec
    models = FeaturesFirst(stack_of(spec, "jump", {}, torch.float32))
    state, actions, _ = batch(spec, torch.float32, (3, 1, 4))
    first = models.predict_sequence(state, actions, 0.05)
    kept = first.clone()
    models.predict_sequence(state + 1, actions, 0.1)
    assert torch.equal(first, kept)


def test_what_has_no_row_form_is_told():
    class Own(JumpModel):
        """A user's model may compute anything in `forward`."""

    spec = SYSTEMS["Pendulum-v1"].spec
    stack = stack_of(spec, "newtonian", {}, torch.float32)
    jump = build_model("jump", spec)
    for models in (Stack([Own(spec, Own.Options())]), Persistence(spec), RescaledIncrement(stack, 0.05, spec), jump):
        assert not has_row_form(models)
        with pytest.raises(ValueError, match="models must be a stack of models with a row form, got"):
            FeaturesFirst(models)


@pytest.mark.parametrize(("groups", "width", "length"), [
    ([(7, 1), (3, 50), (40, 2)], 16, 50),
    ([(1000, 1), (10, 20), (64, 8)], 16, 107),  # 1712 steps in 16 columns
    ([(1, 5)], 4, 5),
    ([(3, 4), (3, 4)], 2, 12),
])  # fmt: skip
def test_a_schedule_takes_every_step_once_and_wastes_none(groups, width, length):
    table = schedule(groups, width)
    total = sum(count * steps for count, steps in groups)
    assert table.step.shape == (length, width)
    assert sorted(table.step[table.step >= 0]) == list(range(total))
    lengths = [steps for count, steps in groups for _ in range(count)]
    first = 0
    for sample, steps in enumerate(lengths):
        ((begin, column),) = zip(*(table.sample == sample).nonzero(), strict=True)
        assert list(table.step[begin : begin + steps, column]) == list(range(first, first + steps))  # without a break
        first += steps
