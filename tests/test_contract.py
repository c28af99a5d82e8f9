"""The contract for models of one's own: what each of them writes, and what it gets for it, alone and stacked."""

from typing import NamedTuple

import pytest
import torch
from test_models import EXACT, random_batch, random_context
from test_training import JUMP, SHORT, TRAIN, VAL, Linear, member, offsets_of, weights
from torch import Tensor, nn

from tdlib.core.context import Batch, Context, Prediction
from tdlib.core.seeding import torch_generator
from tdlib.models import DynamicsModel, Needs, Options, ParameterGroup
from tdlib.speed import Query, Stack, predict_queries, prepared
from tdlib.systems import SYSTEMS
from tdlib.training import Budget, Trial, fit
from tdlib.training.run import Learner, StackRun

SPEC = SYSTEMS["Pendulum-v1"].spec


def double(model, seed=0):
    """A model in double precision with weights of its own."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=g))
    return model.double()


class Belief(NamedTuple):
    mean: Tensor
    variance: Tensor


class Filter(DynamicsModel):
    """A belief that what is seen sharpens, so that a first step differs from those that go on from a prediction."""

    predicts = ("state", "variance")
    needs = Needs(window=8)

    def __init__(self, spec, options=None):
        super().__init__(spec, options)
        self.drift = nn.Linear(spec.state_dim + spec.action_dim, spec.state_dim)
        self.noise = nn.Parameter(torch.zeros(spec.state_dim))

    def initial(self, context):
        states = context.states
        belief = Belief(*(states.new_full((*states.shape[:-2], self.spec.state_dim), x) for x in (0.0, 10.0)))
        for t in range(states.shape[-2]):
            moved, _ = self.step(belief, context.actions[..., t, :], context.delta_t[..., t], states[..., t, :])
            exists = context.mask[..., t, None]
            belief = Belief(*(torch.where(exists, new, old) for new, old in zip(moved, belief, strict=True)))
        return belief

    def step(self, carry, action, delta_t=None, observed=None):
        mean, variance = carry
        if observed is not None:
            gain = variance / (variance + 0.1)
            mean, variance = mean + gain * (observed - mean), (1 - gain) * variance
        mean, action, delta_t = self.broadcast(mean, action, delta_t)
        rate = self.drift(torch.cat([mean, action], dim=-1))
        mean = mean + delta_t.unsqueeze(-1) * rate
        variance = variance + delta_t.unsqueeze(-1) * self.noise.exp()
        return Belief(mean, variance), Prediction(mean, variance=variance)


class Planner(DynamicsModel):
    """A model of whole sequences: each state depends on all actions of its window, also on those to come."""

    def __init__(self, spec, options=None):
        super().__init__(spec, options)
        self.slow = nn.Linear(spec.action_dim, spec.state_dim)

    def predict(self, state, actions, delta_t=None, context=None):
        steps = torch.arange(1, actions.shape[-2] + 1).to(state).unsqueeze(-1)
        return Prediction(state.unsqueeze(-2) + steps * self.slow(actions.mean(dim=-2, keepdim=True)))

    def forward(self, state, action, delta_t=None):
        return self.predict(state, action.unsqueeze(-2)).state[..., 0, :]


class Branching(Linear):
    """A model whose program depends on numbers: it cannot be stacked."""

    stacks = False

    def forward(self, state, action, delta_t=None):
        following = super().forward(state, action, delta_t)
        return following if float(state.abs().max()) < 1e6 else state


def test_a_model_must_write_something():
    with pytest.raises(NotImplementedError, match="DynamicsModel must write forward, or initial and step"):
        DynamicsModel(SPEC)(torch.zeros(2), torch.zeros(1))


def test_a_markov_model_can_be_stepped_and_forced_too():
    model = double(Linear(SPEC, Linear.Options()))
    states, actions, delta_t = random_batch(SPEC, 4, 6)
    forced = model.teacher_forced(states, actions, delta_t)
    torch.testing.assert_close(forced, model(states, actions, delta_t), **EXACT)
    carry = model.initial(Context.empty(states[:, 0], actions[:, 0]))
    carry, first = model.step(carry, actions[:, 0], delta_t[:, 0], states[:, 0])
    _, second = model.step(carry, actions[:, 1], delta_t[:, 1])
    sequence = model.predict(states[:, 0], actions, delta_t)
    torch.testing.assert_close(sequence.state[:, :2], torch.stack([first.state, second.state], dim=1), **EXACT)
    assert sequence.variance is None and not model.has_memory and not model.whole_sequences


def test_what_a_model_with_memory_gets_for_free():
    model = double(Filter(SPEC))
    state, actions, delta_t = random_batch(SPEC, 5, 3)
    past = random_context(SPEC, 5)
    assert model.has_memory and not model.whole_sequences
    found = model.predict(state[:, 0], actions, delta_t, past)
    assert found.state.shape == found.variance.shape == (5, 3, 2)
    assert (found.variance.diff(dim=1) > 0).all()  # nothing is seen after the start
    alone = model.predict(state[:, 0], actions, delta_t)
    assert (alone.state - found.state).abs().max() > 1e-3
    torch.testing.assert_close(model(state, actions, delta_t)[:, 0], alone.state[:, 0], **EXACT)
    assert torch.equal(model.predict_sequence(state[:, 0], actions, delta_t, past), found.state)


def test_stacks_carry_what_the_models_carry():
    models = [double(Filter(SPEC), seed) for seed in range(3)]
    stack = Stack(models)
    state, actions, delta_t = random_batch(SPEC, 3, 5, 4)
    past = random_context(SPEC, 3, 5)
    together = stack.predict(state[:, :, 0], actions, delta_t, past)
    carry = stack.initial(past)
    for t in range(4):
        carry, stepped = stack.step(carry, actions[:, :, t], delta_t[:, :, t], None if t else state[:, :, 0])
    torch.testing.assert_close(stepped.variance, together.variance[:, :, -1], **EXACT)
    for k, model in enumerate(models):
        own = model.predict(state[k, :, 0], actions[k], delta_t[k], past.map(lambda x, k=k: x[k]))
        torch.testing.assert_close(together.state[k], own.state, **EXACT)
        torch.testing.assert_close(together.variance[k], own.variance, **EXACT)


def test_a_stack_of_one_reads_its_context():
    model = double(Filter(SPEC))
    state, actions, delta_t = random_batch(SPEC, 5, 4)
    past = random_context(SPEC, 5)
    expected = model.predict_sequence(state[:, 0], actions, delta_t, past)
    inputs = (x.unsqueeze(0) for x in (state[:, 0], actions, delta_t))
    found = Stack([model]).predict_sequence(*inputs, past.map(lambda x: x.unsqueeze(0)))
    torch.testing.assert_close(found[0], expected, **EXACT)


def test_queries_tell_a_first_step_from_the_others():
    """Samples of different lengths share a batch; each sees its start once and goes on from its own belief."""
    models = [double(Filter(SPEC), seed) for seed in range(2)]
    stack, queries = Stack(models), []
    for i, num_steps in enumerate((1, 4, 7)):
        state, actions, delta_t = random_batch(SPEC, 2, 6, num_steps, seed=i)
        queries.append(Query(state[:, :, 0], actions, delta_t, random_context(SPEC, 2, 6, seed=9 + i)))
    answers = predict_queries(stack, queries, dtype=torch.float64)
    for query, found in zip(queries, answers, strict=True):
        expected = stack.predict_sequence(query.state, query.actions, query.delta_t, query.context)
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    plans = random_batch(SPEC, 2, 3, 5, 4)[1]  # models, starts, plans, steps
    start = random_batch(SPEC, 2, 3, 1)[0].expand(2, 3, 5, 2)
    past = random_context(SPEC, 2, 3, 1)
    expected = stack.predict_sequence(start, plans, 0.05, past)
    torch.testing.assert_close(prepared(stack).predict_sequence(start, plans, 0.05, past), expected, **EXACT)


def test_a_model_of_whole_sequences_is_asked_for_whole_sequences():
    models = [double(Planner(SPEC), seed) for seed in range(2)]
    stack = Stack(models)
    state, actions, delta_t = random_batch(SPEC, 2, 5, 4)
    assert stack.whole_sequences and stack.has_memory and prepared(stack) is stack
    expected = torch.stack([m.predict_sequence(x, a) for m, x, a in zip(models, state[:, :, 0], actions, strict=True)])
    (found,) = predict_queries(stack, [Query(state[:, :, 0], actions, delta_t)], dtype=torch.float64)
    torch.testing.assert_close(found, expected, **EXACT)


def test_a_model_that_does_not_stack_is_called_one_by_one():
    models = [double(Branching(SPEC, Branching.Options()), seed) for seed in range(3)]
    state, action, delta_t = random_batch(SPEC, 3, 4)
    separate = torch.stack([m(x, a, d) for m, x, a, d in zip(models, state, action, delta_t, strict=True)])
    torch.testing.assert_close(Stack(models)(state, action, delta_t), separate, **EXACT)
    torch.testing.assert_close(Stack(models)(state[:1], action, delta_t)[1], models[1](state[0], action[1], delta_t[1]))
    assert models[0].stack_limit("cpu") == models[0].stack_limit("cuda") == 1
    query = Query(state, action.unsqueeze(2), delta_t.unsqueeze(2))
    (found,) = predict_queries(Stack(models), [query], dtype=torch.float64)
    torch.testing.assert_close(found[:, :, 0], separate, **EXACT)


def test_options_that_act_beside_buffers_keep_models_apart():
    same, other = Linear(SPEC, Linear.Options()), Linear(SPEC, Linear.Options(shape=(3, 4)))
    assert same.structure() == Linear(SPEC, Linear.Options()).structure() != other.structure()


# --- training ------------------------------------------------------------------------------------------------------


def trial(model_class, seed, windows=False, dtype=torch.float64, **options):
    torch.manual_seed(seed)
    model = model_class(SPEC, model_class.Options(train_delta_t=0.05, **options)).to(dtype)
    offsets = [[offsets_of(TRAIN[20.0])], [offsets_of(VAL[20.0])]] if windows else []
    return Trial(JUMP, seed, model, [TRAIN[20.0]], [VAL[20.0]], *offsets)


@pytest.mark.parametrize("num_steps", [40, 120], ids=["plain", "recorded"])
def test_one_loop_trains_models_that_do_not_stack(num_steps):
    """The same model with and without stacking ends at the same weights."""
    budget = Budget(num_steps, 3e-3, batch_size=64, num_validations=3)
    alone, stacked = ([r for r in fit([trial(c, s) for s in range(2)], budget)] for c in (Branching, Linear))
    for left, right in zip(weights(alone), weights(stacked), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=1e-9)
    assert alone[0].best_val_loss < alone[0].curves["val_loss"].iloc[0]


def test_a_model_with_memory_trains_by_its_default_loss():
    result = fit([trial(Filter, 0, windows=True)], Budget(60, 1e-2, batch_size=64, num_validations=3))[0]
    assert result.best_val_loss < 0.9 * result.curves["val_loss"].iloc[0]


class Normed(DynamicsModel):
    """A network with batch statistics."""

    def __init__(self, spec, options=None):
        super().__init__(spec, options)
        self.network = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, spec.state_dim))

    def forward(self, state, action, delta_t=None):
        state, action, delta_t = self.broadcast(state, action, delta_t)
        inputs = torch.cat([self.scales.features(state), action], dim=-1)
        return state + delta_t.unsqueeze(-1) * self.rate_scale * self.network(inputs)


class NormedAlone(Normed):
    stacks = False


@pytest.mark.parametrize("num_steps", [40, 120], ids=["plain", "recorded"])
def test_batch_statistics_are_carried_and_stacked_equals_separate(num_steps):
    budget = Budget(num_steps, 3e-3, batch_size=64, num_validations=4, validation_size=100)
    together = fit([trial(Normed, s) for s in range(3)], budget)
    alone = [fit([trial(Normed, s)], budget)[0] for s in range(3)]
    looped = fit([trial(NormedAlone, s) for s in range(3)], budget)
    for a, b, c in zip(together, alone, looped, strict=True):
        own, others = a.model.state_dict(), (b.model.state_dict(), c.model.state_dict())
        assert int(own["network.1.num_batches_tracked"]) == a.best_step > 0
        assert (own["network.1.running_mean"] != 0).all() and (own["network.1.running_var"] != 1).all()
        for other in others:
            for name, values in own.items():
                torch.testing.assert_close(values, other[name], rtol=0, atol=1e-9, msg=name)
        assert a.best_val_loss == pytest.approx(b.best_val_loss, rel=1e-9)


def test_batch_statistics_are_torchs():
    """One stacked step against a plain one: the same statistics and the same gradient step."""
    result = fit([trial(Normed, 0)], Budget(1, 1e-3, batch_size=400, warmup_fraction=0.0, num_validations=1))[0]
    other = trial(Normed, 0).model
    other.fit_scales(TRAIN[20.0])
    uniform = torch.rand((2, 1, 400), generator=torch_generator(0, SPEC.name, "batches", 0), dtype=torch.float64)
    batch = Batch(*TRAIN[20.0][(uniform[1, 0] * 400).long()].tensors())
    optimizer = torch.optim.Adam(other.parameters(), lr=1e-3)
    other.train().loss(batch, torch.zeros(())).backward()
    nn.utils.clip_grad_norm_(other.parameters(), 10.0)
    optimizer.step()
    assert result.best_step == 1
    for name, values in result.model.state_dict().items():
        torch.testing.assert_close(values, other.state_dict()[name], rtol=0, atol=1e-7)


class Grouped(Linear):
    def parameter_groups(self):
        return [ParameterGroup(("inside",), learning_rate=0.1, weight_decay=0.5, clip=0.02),
                ParameterGroup(("outside.bias",), frozen=True)]  # fmt: skip


@pytest.mark.parametrize("num_steps", [12, 120], ids=["plain", "recorded"])
def test_parameter_groups_are_those_of_one_optimizer(num_steps):
    """Against AdamW with the same groups, clipped group by group and then together."""
    one = trial(Grouped, 0)
    one.model.fit_scales(TRAIN[20.0])
    other = trial(Grouped, 0).model
    other.load_state_dict(one.model.state_dict())
    frozen = other.outside.bias.detach().clone()
    budget = Budget(num_steps, 1e-2, batch_size=32, warmup_fraction=0.0, clip=0.05)
    run = StackRun([Learner(one, one.model, torch_generator(0, "a"), torch_generator(0, "b"))], budget, "cpu")
    inside = list(other.inside.parameters())
    optimizer = torch.optim.AdamW(
        [{"params": inside, "weight_decay": 0.5}, {"params": [other.outside.weight], "weight_decay": 0.0}]
    )
    run.draw(8)
    run.prepare()
    for step in range(8):
        for group, factor in zip(optimizer.param_groups, (0.1, 1.0), strict=True):
            group["lr"] = factor * budget.learning_rate_at(step)
        rows = run._step.batch(run._chunk[step], None)
        optimizer.zero_grad()
        other.loss(rows.map(lambda x: x[0]), torch.zeros(())).backward()
        other.outside.bias.grad = None
        nn.utils.clip_grad_norm_(inside, 0.02)
        nn.utils.clip_grad_norm_([*inside, other.outside.weight], budget.clip)
        optimizer.step()
        run.train_step(step, step)
    run._step.weights.write_back(one.model, run._step.weights.flat[0], [])
    assert torch.equal(one.model.outside.bias, frozen)
    for own, theirs in zip(one.model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(own, theirs, rtol=0, atol=1e-9)


class Late(Linear):
    def parameter_groups(self):
        return [ParameterGroup(("inside",), begins=0.5)]


def test_a_group_begins_when_it_is_its_turn():
    """Nothing moves it in the first half of training, the second half does; the others move all the time."""
    moved = {}
    for num_steps in (20, 40):
        budget = Budget(40, 1e-2, batch_size=32, num_validations=2)
        one = trial(Late, 0)
        one.model.fit_scales(TRAIN[20.0])
        before = {name: x.detach().clone() for name, x in one.model.named_parameters()}
        run = StackRun([Learner(one, one.model, torch_generator(0, "a"), torch_generator(0, "b"))], budget, "cpu")
        run.draw(40)
        run.prepare()
        for step in range(num_steps):
            run.train_step(step, step)
        run._step.weights.write_back(one.model, run._step.weights.flat[0], [])
        moved[num_steps] = {name: not torch.equal(x, before[name]) for name, x in one.model.named_parameters()}
    assert all(changed == name.startswith("outside") for name, changed in moved[20].items())
    assert all(moved[40].values())


class Curriculum(Linear):
    """A loss of its own with noise from the batch and a weight that grows with progress."""

    needs = Needs(window=8, noise=3)

    def loss(self, batch, progress):
        assert batch.noise.shape == (*batch.delta_t.shape, 3)
        dropped = (batch.noise[..., 0] < 0) & (progress < 0.5)
        error = self(batch.state, batch.action, batch.delta_t) - batch.next_state
        weight = (batch.valid & ~dropped).to(error.dtype)
        return ((error / self.rate_scale).square().mean(dim=-1) * weight).sum() / weight.sum()


def test_a_loss_of_ones_own_gets_noise_and_progress():
    together = fit([trial(Curriculum, s, windows=True) for s in range(3)], SHORT)
    alone = [fit([trial(Curriculum, s, windows=True)], SHORT)[0] for s in range(3)]
    for left, right in zip(weights(together), weights(alone), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=1e-12)
    assert together[0].best_val_loss < together[0].curves["val_loss"].iloc[0]


def test_what_a_loss_needs_must_be_there():
    class Seeing(Linear):
        needs = Needs(observations=True)

    with pytest.raises(ValueError, match="train must hold observation, which the model needs, for jump/baseline_20hz"):
        fit([trial(Seeing, 0)], SHORT)
    with pytest.raises(ValueError, match="batch_size must be a multiple of the model's window, got 60 and 8"):
        fit([trial(Curriculum, 0, windows=True)], Budget(10, 1e-3, batch_size=60))
    assert member(JUMP).model.needs == Needs() and isinstance(Options(), Options)
