"""Laws of models with beliefs: the algebra against dense matrices, masks, lengths, causality, and what is refused."""

import math

import pytest
import torch
from torch import nn

from tdlib.evaluation.sliding import sliding_mean
from tdlib.models.beliefs import (
    MTS3,
    AcRKN,
    Belief,
    BeliefOptions,
    Dynamics,
    Evidence,
    GaussianEncoder,
    HiPRSSM,
    HiPRSSMOptions,
    MTS3Options,
    Transition,
    aggregate,
    condition,
    condition_whole,
    dense_covariance,
    evidence,
    filter_beliefs,
    information,
    isotropic,
    linear_map,
    marginalize,
    push,
)
from tdlib.models.beliefs.unrolled import LinearStep

D, Y, A = 3, 2, 1  # latent, observation, action
EXACT = dict(rtol=0, atol=1e-12)
SMALL = {"latent_dim": D, "hidden_dim": 5, "control_hidden_dim": 5, "set_hidden_dim": 4, "decoder_hidden_dim": 4}


@pytest.fixture(autouse=True)
def double():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def some_belief(*shape, d=D):
    upper, lower = 0.5 + torch.rand(2, *shape, d)
    side = (upper * lower).sqrt() * (1.6 * torch.rand(*shape, d) - 0.8)
    return Belief(torch.randn(*shape, 2 * d), torch.cat([upper, lower, side], dim=-1))


def seen(*shape, n=D, valid=None):
    return evidence(torch.randn(*shape, n), 0.1 + torch.rand(*shape, n), valid)


def close(found, expected, **tolerance):
    torch.testing.assert_close(tuple(found), tuple(expected), **tolerance or EXACT)


MODELS = {
    "acrkn": lambda actions=A, **given: AcRKN(Y, actions, BeliefOptions(**SMALL | {"norm": "post"} | given)),
    "hip_rssm": lambda actions=A, **given: HiPRSSM(Y, actions, HiPRSSMOptions(**SMALL | {"context_length": 4} | given)),
    "mts3": lambda actions=A, **given: MTS3(Y, actions, MTS3Options(**SMALL | {"windows": (3,)} | given)),
    "acrkn by time": lambda actions=A, **given: AcRKN(Y, actions, BeliefOptions(**SMALL | {"form": "flow"} | given)),
    "mts3 by time": lambda actions=A, **given: MTS3(
        Y, actions, MTS3Options(**SMALL | {"windows": (3,), "form": "flow"} | given)
    ),
    "mts3 in seconds": lambda actions=A, **given: MTS3(
        Y, actions, MTS3Options(**SMALL | {"windows": (2, 4), "form": "flow_seconds", "fewest_steps": 2} | given)
    ),
    "mts3 of three levels": lambda actions=A, **given: MTS3(
        Y, actions, MTS3Options(**SMALL | {"windows": (2, 4)} | given)
    ),
}


def scattered(model):
    """Move weights from where they start, where most of a matrix is zero."""
    with torch.no_grad():
        for x in model.parameters():
            x += 0.3 * torch.randn_like(x)
    return model


def sequence(*shape, steps=7):
    valid = torch.rand(*shape, steps) > 0.3
    return torch.randn(*shape, steps, Y), torch.randn(*shape, steps, A), valid


def predictions(model, *sequence, weights=None):
    """Call a model, with other weights if they are given, at 20 Hz: mean and variance, (..., T, 2 Y)."""
    timed = {"delta_t": torch.full(sequence[0].shape[:-1], 0.05)} if model.fast.options.time.flows else {}
    found = torch.func.functional_call(model, weights or {}, sequence, timed)
    return torch.cat((found.predicted if isinstance(model, MTS3) else found)[:2], dim=-1)


# --- the algebra ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rule", "n"), [(condition, D), (condition_whole, 2 * D)])
def test_observations_one_by_one_say_what_they_say_together_in_any_order(rule, n):
    members, prior = seen(4, 6, n=n, valid=torch.rand(4, 6) > 0.4), some_belief(4)
    together = rule(prior, aggregate(members))
    for order in (range(6), reversed(range(6))):
        step = prior
        for i in order:
            step = rule(step, members.unstack()[i])
        close(step, together)


@pytest.mark.parametrize(("rule", "n"), [(condition, D), (condition_whole, 2 * D)])
def test_nothing_seen_changes_nothing(rule, n):
    prior = some_belief(4)
    found = rule(prior, aggregate(seen(4, 6, n=n, valid=torch.zeros(4, 6, dtype=torch.bool))))
    close(found, prior if rule is condition else (prior.mean, prior.covariance * (torch.arange(3 * D) < 2 * D)))


def test_conditioning_is_that_of_dense_matrices():
    prior, found = some_belief(4), seen(4)
    shows = torch.eye(D, 2 * D)
    covariance, noise = dense_covariance(prior), torch.diag_embed(1 / found.precision)
    gain = covariance @ shows.T @ torch.linalg.inv(shows @ covariance @ shows.T + noise)
    error = found.pull / found.precision - prior.mean[:, :D]
    posterior = condition(prior, found)
    torch.testing.assert_close(posterior.mean, prior.mean + (gain @ error.unsqueeze(-1)).squeeze(-1), **EXACT)
    torch.testing.assert_close(dense_covariance(posterior), covariance - gain @ shows @ covariance, **EXACT)


def test_information_is_half_the_logarithm_of_how_much_narrower_a_belief_is():
    """An observation of precision Λ leaves the determinant of a pair 1/(1 + uΛ) of what it was."""
    prior, found = some_belief(4), seen(4)
    after, upper = condition(prior, found), prior.covariance[:, :D]
    expected = 0.5 * (1 + upper * found.precision).log2().mean(dim=-1)
    torch.testing.assert_close(information(after, prior), expected, **EXACT)
    dense = [torch.linalg.slogdet(dense_covariance(x)).logabsdet for x in (prior, after)]
    torch.testing.assert_close(information(after, prior), 0.5 * (dense[0] - dense[1]) / math.log(2) / D, **EXACT)


@pytest.mark.parametrize("shape", [(), (4,)])
def test_a_linear_step_keeps_the_diagonals_of_the_dense_covariance(shape):
    belief, matrix = some_belief(4), torch.randn(*shape, 2 * D, 2 * D)
    dense = matrix @ dense_covariance(belief) @ matrix.mT
    pushed = push(linear_map(matrix), belief)
    torch.testing.assert_close(pushed.mean, (matrix @ belief.mean.unsqueeze(-1)).squeeze(-1), **EXACT)
    blocks = dense_covariance(Belief(torch.zeros(2 * D), torch.ones(3 * D))).bool()  # where Σ is not zero
    torch.testing.assert_close(dense_covariance(pushed), torch.where(blocks, dense, 0.0), **EXACT)


def test_the_filter_is_kalmans_where_the_factorization_is_exact():
    """Matrices of diagonal blocks keep the d pairs of coordinates apart, so that nothing is left out."""
    eye = torch.eye(D)
    a11, a12, a21, a22, c = 0.9 * eye, torch.diag(torch.rand(D)), -0.3 * eye, 0.8 * eye, 0.5 * torch.eye(2 * D)
    matrix = torch.cat([torch.cat([a11, a12], dim=1), torch.cat([a21, a22], dim=1)])
    task, prior, members = some_belief(), some_belief(), seen(5, valid=torch.tensor([1, 1, 0, 1, 1]).bool())
    noise = Belief(torch.randn(2 * D), torch.cat([torch.rand(2 * D), torch.zeros(D)]))
    effect, through = marginalize([(linear_map(c), task)], noise), linear_map(matrix)
    effects = effect.expand(5)
    priors, posteriors = filter_beliefs(prior, members, effects, lambda x, e: marginalize([(through, x)], e))

    mean, covariance, shows = prior.mean, dense_covariance(prior), torch.eye(D, 2 * D)
    for t in range(5):
        if members.precision[t].sum():
            noise_of_y = torch.diag(1 / members.precision[t])
            gain = covariance @ shows.T @ torch.linalg.inv(shows @ covariance @ shows.T + noise_of_y)
            mean = mean + gain @ (members.pull[t] / members.precision[t] - shows @ mean)
            covariance = covariance - gain @ shows @ covariance
        torch.testing.assert_close(
            (posteriors.mean[t], dense_covariance(posteriors.unstack()[t])), (mean, covariance), **EXACT
        )
        mean = matrix @ mean + c @ task.mean + noise.mean
        covariance = matrix @ covariance @ matrix.T + c @ dense_covariance(task) @ c.T + dense_covariance(noise)
        torch.testing.assert_close(
            (priors.mean[t + 1], dense_covariance(priors.unstack()[t + 1])), (mean, covariance), **EXACT
        )


@pytest.mark.parametrize(
    ("num_steps", "num_effects", "every", "gaps"),
    [(5, 5, None, False), (5, 5, 2, True), (5, 4, 3, True), (1, 0, None, False)],
)
def test_the_filter_written_out_is_the_one_step_by_step_with_its_gradients(num_steps, num_effects, every, gaps):
    exists = torch.tensor([True, True, False, True, True]).expand(4, 5) if gaps else None
    inputs = [*seen(4, num_steps), *some_belief(4, num_effects), torch.randn(2 * D, 2 * D) / 2]
    inputs = [x.requires_grad_() for x in inputs]
    members, effects, through = Evidence(*inputs[:2]), Belief(*inputs[2:4]), linear_map(inputs[4])
    prior, weights = some_belief(), []

    def of(found):
        parts = [x for belief in found for x in belief]
        weights.extend(torch.randn_like(x) for x in parts[len(weights) :])
        total = sum((x * w).sum() for x, w in zip(parts, weights, strict=True))
        return [*parts, *torch.autograd.grad(total, inputs[: 5 if num_effects else 2], retain_graph=True)]

    stepwise = filter_beliefs(prior, members, effects, lambda x, e: marginalize([(through, x)], e), every, exists)
    at_once = filter_beliefs(prior, members, effects, LinearStep(through), every, exists)
    torch.testing.assert_close(of(at_once), of(stepwise), **EXACT)


def test_small_variances_lose_nothing_in_single_precision():
    prior = some_belief(100)
    found = evidence(torch.randn(100, D), torch.full((100, D), 1e-4))
    exact = condition(prior, found)
    single = condition(*(type(x)(*(part.float() for part in x)) for x in (prior, found)))
    assert ((single.covariance.double() - exact.covariance) / exact.covariance).abs().max() < 1e-5  # (1 − q)u: 1e-3
    upper, lower, side = single.covariance.chunk(3, dim=-1)
    assert (upper > 0).all() and (upper * lower > side**2).all()


def test_a_mixture_of_one_matrix_is_that_matrix_and_a_band_and_identity_are_where_they_say():
    one, plain, belief, noise = (
        Dynamics(D, num_basis=1),
        Dynamics(D),
        some_belief(4),
        isotropic(D, 0.1, like=torch.ones(1)),
    )
    nn.init.normal_(plain.matrices)
    one.load_state_dict(one.state_dict() | plain.state_dict())
    close(Transition(one, D).prepared()(belief, noise), Transition(plain, D).prepared()(belief, noise))
    several = Dynamics(D, num_basis=4)
    nn.init.normal_(several.matrices)
    mixed = several.matrix(belief.mean)
    share = torch.softmax(several.coefficients(belief.mean), dim=-1)
    torch.testing.assert_close(mixed[2], sum(w * m for w, m in zip(share[2], several.matrices, strict=True)), **EXACT)
    banded = Dynamics(D, identity=True, band=1)
    nn.init.ones_(banded.matrices)
    near = torch.tensor([[1.0, 1, 0], [1, 1, 1], [0, 1, 1]])
    torch.testing.assert_close(banded.matrix(), near.repeat(2, 2) + torch.eye(2 * D), **EXACT)


def test_an_encoders_mean_may_have_length_one():
    mean, variance = GaussianEncoder(Y, 5, D, norm="unit")(torch.randn(4, Y))
    torch.testing.assert_close(mean.norm(dim=-1), torch.ones(4), **EXACT)
    assert (variance > 1e-4).all()


# --- whole models -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_rows_are_computed_alone_as_in_a_batch_and_stacked_as_alone(name):
    models = [scattered(MODELS[name]()) for _ in range(2)]
    observations, actions, valid = sequence(3)
    expected = [predictions(model, observations, actions, valid) for model in models]
    assert expected[0].shape == (3, 7, 2 * Y) and (expected[0][..., Y:] > 0).all()
    torch.testing.assert_close(predictions(models[0], observations[1], actions[1], valid[1]), expected[0][1], **EXACT)
    torch.testing.assert_close(
        predictions(models[0], observations[:1], actions[:1], valid[:1]), expected[0][:1], **EXACT
    )
    parameters, buffers = torch.func.stack_module_state(models)

    def call(weights):
        return predictions(models[0], observations, actions, valid, weights=weights)

    torch.testing.assert_close(torch.func.vmap(call)(parameters | buffers), torch.stack(expected), **EXACT)


@pytest.mark.parametrize("name", MODELS)
def test_what_is_masked_may_be_anything_and_its_gradient_is_finite(name):
    model = scattered(MODELS[name](**{"both_ends": True} if name == "hip_rssm" else {}))
    observations, actions, valid = sequence(4)
    valid[0] = False
    expected = predictions(model, torch.where(valid.unsqueeze(-1), observations, 7.0), actions, valid)
    found = predictions(model, torch.where(valid.unsqueeze(-1), observations, torch.nan), actions, valid)
    torch.testing.assert_close(found, expected, **EXACT)
    gradients = torch.autograd.grad(found.square().mean(), list(model.parameters()))
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert sum(bool(gradient.any()) for gradient in gradients) == len(gradients)  # and every weight has an effect


@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("name", ["mts3", "mts3 of three levels"])
def test_the_last_window_may_be_short(name, steps):
    """As if the rest of it were not seen; without actions exactly, with them in all windows before it."""
    observations, actions, valid = sequence(3, steps=8)
    valid[:, steps:] = False
    model = scattered(MODELS[name](actions=0))
    found = predictions(model, observations[:, :steps], None, valid[:, :steps])
    torch.testing.assert_close(found, predictions(model, observations, None, valid)[:, :steps], **EXACT)
    model = scattered(MODELS[name]())
    whole = steps // model.options.windows[-1] * model.options.windows[-1]
    found = predictions(model, observations[:, :steps], actions[:, :steps], valid[:, :steps])
    expected = predictions(model, observations, actions, valid)
    torch.testing.assert_close(found[:, :whole], expected[:, :whole], **EXACT)
    assert found.isfinite().all()


@pytest.mark.parametrize("name", MODELS)
def test_who_sees_ahead(name):
    """What is expected after a step depends on later observations only where a posterior task acts in its window."""
    observations, actions, _ = sequence(2)
    other = observations.clone()
    other[:, 5] += 1.0

    def first_change(**given):
        torch.manual_seed(1)
        model = scattered(MODELS[name](**given))
        moved = predictions(model, other, actions) - predictions(model, observations, actions)
        return int(moved.abs().amax(dim=(0, 2)).gt(1e-12).int().argmax())

    if name.startswith("mts3"):
        assert first_change() < 5 and first_change(task_feed="prior") == 5
    else:
        assert first_change() == 5


def test_without_a_task_the_models_are_one():
    observations, actions, valid = sequence(3)
    alone = scattered(AcRKN(Y, A, BeliefOptions(**SMALL)))
    for name in ("hip_rssm", "mts3"):
        model = scattered(MODELS[name](norm="none"))
        nn.init.zeros_(model.fast.transition.matrices["task"])
        model.load_state_dict(alone.state_dict(), strict=False)
        expected = predictions(alone, observations, actions, valid)
        torch.testing.assert_close(predictions(model, observations, actions, valid), expected, **EXACT)


def test_the_cut_of_the_gradient_changes_no_value_and_an_abstract_actions_uncertainty_does():
    observations, actions, valid = sequence(3)
    base = scattered(MODELS["mts3"]())

    def of(**given):
        model = MODELS["mts3"](**given)
        model.load_state_dict(base.state_dict())
        found = predictions(model, observations, actions, valid)
        return found, torch.autograd.grad(found.sum(), model.fast.transition.dynamics.matrices)[0]

    (value, cut), (same, whole) = of(), of(detach_between_windows=False)
    torch.testing.assert_close(value, same, **EXACT)
    assert (cut - whole).abs().max() > 1e-3
    wider = base.slow[0](observations, actions, valid)
    uncertain = MODELS["mts3"](abstract_action_covariance=True)
    uncertain.load_state_dict(base.state_dict())
    later = [x.priors.covariance[:, 1:, : 2 * D] for x in (wider, uncertain.slow[0](observations, actions, valid))]
    assert (later[1] > later[0]).all()


def test_pairs_of_a_masked_end_leak_where_the_official_code_lets_them():
    observations, actions, _ = sequence(2)
    valid = torch.tensor([True, False, True, True, True, True, True]).expand(2, 7)
    other = observations.clone()
    other[:, 1] += 1
    for both_ends in (False, True):
        model = scattered(MODELS["hip_rssm"](both_ends=both_ends))
        moved = model.task(other, actions, valid).mean - model.task(observations, actions, valid).mean
        assert bool(moved.abs().max() > 1e-6) != both_ends


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "given", "rule"),
    [
        (BeliefOptions, {"latent_dim": 0}, "latent_dim must be >= 1, got 0"),
        (BeliefOptions, {"initial_variance": 1.0}, "above |initial_side|, got 1.0 and 1.0"),
        (BeliefOptions, {"norm": "batch"}, "norm must be one of"),
        (BeliefOptions, {"variance": "exp"}, "variance must be one of"),
        (BeliefOptions, {"form": "scaled"}, "form must be one of ['none', 'concat', 'flow'], got 'scaled'"),
        (BeliefOptions, {"objective": "mae"}, "objective must be one of"),
        (BeliefOptions, {"dropped": 1.0}, "dropped must be in [0, 1), got 1.0"),
        (BeliefOptions, {"sequence_length": 1}, "sequence_length must be >= 2"),
        (HiPRSSMOptions, {"context_length": 51}, "at most sequence_length, got 51 > 50"),
        (MTS3Options, {"windows": (90,)}, "at most sequence_length, got (90,) > 50"),
        (BeliefOptions, {"band": -1}, "band must be >= 0, got -1"),
        (HiPRSSMOptions, {"context_length": 1}, "context_length must be >= 2"),
        (MTS3Options, {"windows": ()}, "windows must be one or more"),
        (MTS3Options, {"windows": (4, 6)}, "multiple of the one before, got (4, 6)"),
        (MTS3Options, {"windows": (4, 4)}, "multiple of the one before"),
        (MTS3Options, {"task_feed": "both"}, "task_feed must be one of"),
        (MTS3Options, {"fewest_steps": 0}, "fewest_steps must be >= 1, got 0"),
        (BeliefOptions, {"form": "flow", "identity": True}, "of a matrix per step, form 'flow' has none"),
        (BeliefOptions, {"form": "flow_seconds"}, "form must be one of"),
    ],
)
def test_options_that_make_no_model_are_refused(kind, given, rule):
    with pytest.raises(ValueError) as error:
        kind(**given)
    assert rule in str(error.value)


@pytest.mark.parametrize("name", MODELS)
def test_shapes_that_do_not_match_are_refused(name):
    model, (observations, actions, valid) = MODELS[name](), sequence(3)
    for given, rule in (
        ((observations[..., :1], actions, valid), "observations must be"),
        ((observations[:, :0], actions[:, :0], valid[:, :0]), "T >= 1"),
        ((observations, actions[:, :-1], valid), "actions must be (3, 7, 1)"),
        ((observations, None, valid), "got None"),
        ((observations, actions, valid.unsqueeze(-1)), "valid must be (3, 7) of bool"),
        ((observations, actions, valid.double()), "valid must be"),
    ):
        with pytest.raises(ValueError) as error:
            model(*given)
        assert rule in str(error.value)
    unactuated = MODELS[name](actions=0)
    assert predictions(unactuated, observations, None, valid).isfinite().all()
    with pytest.raises(ValueError, match="actions must be None beside the observations"):
        unactuated(observations, actions, valid)


def test_numbers_that_make_no_belief_or_window_are_refused():
    with pytest.raises(ValueError, match=r"above \|side\|, got 1.0 and 1.0"):
        isotropic(D, 1.0, 1.0, like=torch.ones(1))
    for window in (0, 11):
        with pytest.raises(ValueError, match=rf"window must be in \[1, steps - 10\] for 20 steps, got {window}"):
            sliding_mean(torch.ones(2, 20), window)
