"""Recorded and captured steps: equal to the plain ones, and nothing in them reads back from the device."""

import copy
import math
import random
from dataclasses import replace

import pytest
import torch
from test_training import EPISODE, JUMP, LSTM, MIXED, PORT, SHORT, VAL, member, weights
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from tdlib.core.seeding import torch_generator
from tdlib.core.transitions import Transitions
from tdlib.models import MODELS
from tdlib.models.recurrence import _Unroll
from tdlib.speed import Stack, record
from tdlib.speed.capture import Captured
from tdlib.study.arms import Arm
from tdlib.training import Budget, fit
from tdlib.training import step as step_module
from tdlib.training.run import Learner, StackRun

ARMS = [JUMP, MIXED, LSTM, PORT] + [
    Arm(model, "ode", solver, train_frequency="mixed" if solver == "rk4" else "20")
    for model, solver in (("newtonian", "rk4"), ("first_order_ode", "euler"), ("velocity", "rk4"))
]
FAMILIES = ARMS + [
    Arm(name, arms.method, arms.form, train_frequency=arms.rates[0])
    for name, family in MODELS.items()
    if "state" in family.reads and name not in {arm.model for arm in ARMS}
    for arms in family.arms
]
BUDGET = Budget(num_steps=200, learning_rate=3e-3, batch_size=64)


def stack_run(arm, count=2, dtype=torch.float64, device="cpu", budget=BUDGET):
    learners = []
    for seed in range(count):
        one = member(arm, seed, dtype)
        if (
            window := one.model.needs.window
        ) > 1:  # episodes long enough; some are two in one, which matters to nothing here
            budget = replace(budget, batch_size=2 * window)
            steps = EPISODE * math.ceil((window + 1) / EPISODE)
            parts = [[torch.arange(0, len(x) + 1, steps) for x in part] for part in (one.train, one.val)]
            one = replace(one, train_offsets=parts[0], val_offsets=parts[1])
        one.model.fit_scales(Transitions.concatenate(list(one.train)))
        streams = (torch_generator(seed, name) for name in ("batches", "validation"))
        learners.append(Learner(one, one.model, *streams))
    run = StackRun(learners, budget, device)
    run.draw(4)
    return run


def arguments_of(run, k=0):
    return run._step.arguments(run._chunk[k], run._progress[k])


def name_of(arm):
    return f"{arm.model}-{arm.folder}"


# --- recordings ----------------------------------------------------------------------------------------------------


def test_sums_of_products_are_recorded_in_place_and_leave_the_rest_alone():
    """What is read again, and what is made of constants, holds the same in the next calls."""
    base, left, right = (torch.randn(3, 4, 4, dtype=torch.float64) for _ in range(3))

    def function(x):
        scaled, kept = base * 2, x * 3
        once = (scaled + torch.bmm(x, left)) + torch.bmm(x, right)
        turned = (torch.bmm(left, x) + torch.bmm(right, x)).transpose(1, 2)
        return once, kept + torch.bmm(x, left), kept, turned, torch.bmm(x, left) + 1

    recorded = record(function, torch.zeros_like(base))
    for x in torch.randn(3, 3, 4, 4, dtype=torch.float64):
        before = x.clone()
        torch.testing.assert_close(recorded(x), function(x))
        assert torch.equal(x, before)
    assert "baddbmm_" in str(recorded.inlined_graph)


def random_program(seed, length=30):
    """A function of (3, 4, 4) -> several results: operations on, and views of, anything that came before."""
    constant = torch.randn(3, 4, 4, dtype=torch.float64)

    def function(x):
        rng, held = random.Random(seed), [x, constant * 0.5, x * 2]

        def any_of():
            return rng.choice(held[-6:])

        for _ in range(length):
            a, b = any_of(), any_of()
            held += rng.choice([
                lambda a, b: [a + b], lambda a, b: [a * b], lambda a, b: [a - b], lambda a, b: [torch.tanh(a)],
                lambda a, b: [torch.addcmul(a, b, b, value=-0.5)], lambda a, b: [torch.lerp(a, b, torch.sigmoid(a))],
                lambda a, b: [a.transpose(1, 2)], lambda a, b: [a * a.transpose(1, 2)],
                lambda a, b: [torch.bmm(a, b) / 4], lambda a, b: [x.expand(3, 4, 4) + b for x in (a * 1.5).split(1)],
                lambda a, b: [torch.stack([x.cos() for x in a.unbind()])], lambda a, b: [-a],
                lambda a, b: [a + 0.1 * b[:, :1]], lambda a, b: [(a.masked_fill(a > 1, 1)).clamp(-1, 1)],
            ])(a, b)  # fmt: skip
        return tuple(rng.sample(held, 4))

    return function


@pytest.mark.parametrize("seed", range(40))
def test_a_recording_overwrites_what_nothing_reads_again(seed):
    function = random_program(seed)
    recorded = record(function, torch.zeros(3, 4, 4, dtype=torch.float64))
    for x in torch.randn(3, 3, 4, 4, dtype=torch.float64):
        before = x.clone()
        for found, expected in zip(recorded(x), function(x), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        assert torch.equal(x, before)


def test_a_chain_of_operations_is_recorded_in_one_place():
    recorded = record(lambda x: torch.tanh(1 + 2 * x), torch.zeros(3))
    assert [name for name in ("mul_", "add_", "tanh_") if f"aten::{name}(" in str(recorded.inlined_graph)] == [
        "add_", "tanh_",
    ]  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("arm", ARMS, ids=name_of)
def test_a_recorded_gradient_equals_the_plain_one(arm, dtype):
    """On other batches and weights than those of the recording; relative to the largest element of a row."""
    run = stack_run(arm, dtype=dtype)
    recorded = record(run._step.gradient, *arguments_of(run))
    run.draw(4)
    for k in range(2):
        run._step.weights.flat.mul_(1.1)
        (found, gradient), (expected, plain) = (f(*arguments_of(run, k)) for f in (recorded, run._step.gradient))
        tolerance = 1e-12 if dtype is torch.float64 else 1e-5
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=0)
        assert ((gradient - plain).abs().amax(dim=1) <= tolerance * plain.abs().amax(dim=1)).all()


@pytest.mark.parametrize("arm", [MIXED, LSTM, PORT], ids=name_of)
def test_recorded_training_equals_plain_training(arm, monkeypatch):
    """Weights after 40 steps of three members, of which one has stopped and left the stack."""

    def trained(threshold):
        monkeypatch.setattr(step_module, "WORTH_RECORDING", threshold)
        return fit([member(arm, seed) for seed in range(3)], SHORT)

    recorded, plain = trained(1), trained(SHORT.num_steps + 1)
    for a, b in zip(weights(recorded), weights(plain), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_stacks_of_one_shape_share_a_recording():
    recordings = {}
    for count in (2, 2, 3):
        run = stack_run(JUMP, count)
        run._recordings = recordings
        run.prepare()
    assert len(recordings) == 2


@pytest.mark.parametrize("shape", [(3, 40, 5), (3, 5, 40), (3, 16, 16), (2, 7, 1), (1, 1, 6)])
@pytest.mark.parametrize("width", [1, 2, 16, 33])
def test_cheaper_forms_are_equal(shape, width):
    """Products of every shape, in both storage orders, with a bias, joined, and bent; to the last bits of double."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=g, dtype=torch.float64)
    w = torch.randn(shape[0], shape[2], width, generator=g, dtype=torch.float64)
    b = torch.randn(shape[0], 1, width, generator=g, dtype=torch.float64)

    def function(x, w, b):
        joined = torch.cat([torch.bmm(x, w) + b, b + torch.bmm(x, w)], dim=-1)
        columns = torch.stack(joined.unbind(dim=-1)[::-1], dim=-1)
        product = torch.bmm(x, w)
        return columns.tanh(), torch.bmm(columns.mT, x) * 1.0, product + b + product  # used twice: not fused

    for start in (x, x.mT.contiguous().mT):
        for found, expected in zip(record(function, start, w, b)(start, w, b), function(start, w, b), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)


def test_the_cheaper_tanh_saturates_and_passes_zero():
    x = torch.tensor([-torch.inf, -50.0, -1e-8, 0.0, 1e-8, 50.0, torch.inf])
    torch.testing.assert_close(record(torch.tanh, x)(x), x.tanh(), rtol=0, atol=1e-7)
    assert record(torch.tanh, x)(torch.full((7,), torch.nan)).isnan().all()


def fill_a_new_tensor(x):
    y = torch.zeros(3)
    y.add_(x)
    return y.mul_(2)


def fill_a_row(x):
    y = torch.zeros(2, 3)
    y[1] = x
    return y * 2


@pytest.mark.parametrize("function", [fill_a_new_tensor, fill_a_row])
def test_a_recording_that_writes_in_place_starts_anew_in_every_replay(function):
    recorded = record(function, torch.ones(3))
    for value in (1.0, 5.0, 2.0):
        x = torch.full((3,), value)
        assert torch.equal(recorded(x), function(x))


def test_the_written_out_recurrence_has_the_right_gradient():
    g = torch.Generator().manual_seed(0)
    gates = torch.randn(5, 2, 12, generator=g, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(12, 3, generator=g, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, w: _Unroll.apply(a, w)[0], (gates, weight))


@pytest.mark.parametrize("arm", ARMS, ids=name_of)
def test_a_sample_does_not_depend_on_the_rest_of_the_batch(arm):
    """Single precision: kernels choose another order of summation for another batch size."""
    run = stack_run(arm, dtype=torch.float32)
    stack = Stack([learner.model for learner in run._learners])
    state, action, _, delta_t = (x.unsqueeze(0) for x in VAL[20.0].to(torch.float32).tensors())
    predict = record(stack.forward, state, action, delta_t)
    first = stack.forward(state[:, :3], action[:, :3], delta_t[:, :3])
    for whole in (stack.forward(state, action, delta_t), predict(state, action, delta_t)):
        torch.testing.assert_close(whole[:, :3], first, rtol=1e-6, atol=1e-6)


# --- captured steps ------------------------------------------------------------------------------------------------


class NoHostAccess(TorchDispatchMode):
    """Fails where a device would have to wait for the host, or the host for the device."""

    FORBIDDEN = ("_local_scalar_dense", "is_nonzero", "nonzero", "masked_select", "lift_fresh", "item", "equal")

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        name = function.overloadpacket.__name__
        assert name not in self.FORBIDDEN, f"{name} needs the host"
        return function(*arguments, **(keywords or {}))


class NoListAsIndex(TorchFunctionMode):
    """Fails where columns are chosen by a list: a card would wait for its numbers, and cannot capture that."""

    def __torch_function__(self, function, types, arguments=(), keywords=None):
        if function in (torch.Tensor.__getitem__, torch.Tensor.__setitem__):
            index = arguments[1] if isinstance(arguments[1], tuple) else (arguments[1],)
            assert not any(isinstance(each, list) for each in index), f"{index} needs the host"
        return function(*arguments, **(keywords or {}))


@pytest.mark.parametrize("arm", FAMILIES, ids=name_of)
def test_a_step_needs_nothing_from_the_host(arm):
    run = stack_run(arm)
    with NoListAsIndex(), NoHostAccess():
        for k in range(2):
            run.train_step(k, k)
    with pytest.raises(AssertionError, match="needs the host"), NoHostAccess():
        float(run._step.weights.flat.sum())
    with pytest.raises(AssertionError, match="needs the host"), NoListAsIndex():
        run._step.weights.flat[..., [0, 1]]


@pytest.mark.parametrize("arm", ARMS, ids=name_of)
def test_a_step_works_on_tensors_of_another_device(arm):
    """Meta tensors have no values: a tensor made on the host, or a value read, is an error."""
    run = stack_run(arm)
    measured, gradient = run._step.gradient(*(x.to("meta") for x in arguments_of(run)))
    assert measured.device.type == gradient.device.type == "meta"
    assert gradient.shape == run._step.weights.flat.shape


def test_the_learning_rate_may_be_a_tensor():
    """Adam on the matrix of all weights, rates as tensors, equals torch.optim.Adam with numbers, row by row."""
    run = stack_run(JUMP, count=2)
    held = run._step.weights
    parameters = [row.clone().requires_grad_() for row in held.flat]
    optimizer = torch.optim.Adam(parameters, foreach=False, fused=False)
    for k in range(20):
        gradient = torch.randn(held.flat.shape, generator=torch.Generator().manual_seed(k), dtype=torch.float64)
        for parameter, row in zip(parameters, gradient, strict=True):
            parameter.grad = row.clone()
        optimizer.param_groups[0]["lr"] = 1e-2 / (k + 1)
        optimizer.step()
        held.adam_step(gradient, torch.tensor(1e-2 / (k + 1), dtype=torch.float64))
    torch.testing.assert_close(held.flat, torch.stack(parameters).detach(), rtol=0, atol=1e-12)


def test_on_a_processor_a_captured_step_is_the_plain_call():
    total = torch.zeros(3)
    captured = Captured(lambda x: total.add_(x), [total], torch.ones(3))
    assert torch.equal(total, torch.zeros(3))  # nothing ran yet
    captured(torch.ones(3))
    captured(2 * torch.ones(3))
    assert torch.equal(total, 3 * torch.ones(3))


# --- on a card -----------------------------------------------------------------------------------------------------

needs_card = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@needs_card
@pytest.mark.parametrize("arm", FAMILIES, ids=name_of)
def test_a_captured_step_equals_the_plain_one_on_a_card(arm):
    found = []
    for captured in (True, False):
        run = stack_run(arm, device="cuda")
        if captured:
            run.prepare()
        start = run._step.weights.flat.clone()
        for k in range(4):
            run.train_step(k, k)
        assert not torch.equal(start, run._step.weights.flat)
        found.append((run._step.weights.flat.clone(), *copy.deepcopy(run._step.read_sums())))
    for left, right in zip(*found, strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=1e-9)


@needs_card
@pytest.mark.parametrize("arm", [MIXED, LSTM], ids=name_of)
def test_nothing_waits_for_the_card_between_validations(arm):
    run = stack_run(arm, device="cuda")
    run.prepare()
    torch.cuda.set_sync_debug_mode("error")
    try:
        run.draw(4)
        for k in range(4):
            run.train_step(k, k)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@needs_card
def test_training_on_a_card_ends_where_the_processor_ends():
    budget = Budget(num_steps=150, learning_rate=1e-3, batch_size=64, num_validations=3, validation_size=64)
    for arm in (MIXED, LSTM, PORT):
        results = [fit([member(arm, seed) for seed in range(3)], budget, device) for device in ("cpu", "cuda")]
        for left, right in zip(*map(weights, results), strict=True):
            torch.testing.assert_close(left, right.cpu(), rtol=0, atol=1e-6)  # rates are single precision on a card
