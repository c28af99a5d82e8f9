"""Visual world models: shapes, what Δt does, energies, codes, losses, and the contract on frames."""

import dataclasses
import math

import pytest
import torch
from discs import SYSTEM, clips, drawn, motions

from tdlib.core.context import Batch, Context
from tdlib.models import MODELS, build_model, models_reading
from tdlib.models.visual import PREDICTOR_REGISTRY, Posterior, VisualOptions, VisualWorldModel, kl_divergence
from tdlib.models.visual.energies import FlatEnergy, SpatialEnergy
from tdlib.models.visual.flat import Codebook, perplexity
from tdlib.models.visual.layers import DoublingConv2d
from tdlib.models.visual.objectives import kl_weight

SPEC = SYSTEM.spec
TINY = dict(img_size=16, spatial_size=2, latent_channels=4, hidden_channels=6, encoder_widths=(4, 6, 8),
            decoder_channels=6, flat_widths=(4, 6, 8, 8), latent_dim=6, flat_hidden_dim=8, n_codebook=16,
            rollout_steps=4, train_delta_t=0.1)  # fmt: skip
SPATIAL = [name for name in PREDICTOR_REGISTRY if name.startswith("spatial")]
FLAT = [name for name in PREDICTOR_REGISTRY if name.startswith("latent")]
FIELDS = [name for name in PREDICTOR_REGISTRY if name.endswith(("ode", "newtonian", "hamiltonian"))]
EXACT = dict(rtol=1e-10, atol=1e-12)
CASES = [(name, "spatial_bvae") for name in SPATIAL] + [(name, "flat_bvae") for name in FLAT]
CASES += [(name, "vqvae") for name in FLAT]
MODES = [(*case, mode) for case in CASES for mode in ("hgn", "detached") if case[1] != "vqvae" or mode == "hgn"]


def tiny(predictor="spatial_jump", seed=0, **options):
    """A small model in double precision, not in training, whose batch statistics are those of some frames."""
    if predictor.startswith("latent"):
        options.setdefault("autoencoder", "flat_bvae")
    model = build_model("visual_world_model", SPEC, seed=seed, predictor=predictor, **(TINY | options)).double().train()
    layers = [layer for layer in model.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    for layer in layers:
        layer.momentum = 1.0
    channels, side, _ = model.options.image_shape
    with torch.no_grad():  # as it is, what an untrained encoder says hardly depends on what it sees
        model.decode(model.encode(drawn(motions(4, 3)[0], side, channels).double() / 255))
    for layer in layers:
        layer.momentum = 0.1
    return model.eval()


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def some_actions(*shape, seed=3):
    return torch.randint(0, SPEC.num_actions, (*shape, 1), generator=torch.Generator().manual_seed(seed)).double()


def window_batch(model, count=3, size=16, valid=None):
    """Windows of true frames, as the loop hands them to a loss."""
    steps = model.needs.window
    states, actions = motions(count, steps)
    drawn_noise = noise(count, steps, model.needs.noise) if model.needs.noise else None
    images = drawn(states, size).double() / 255
    delta_t = torch.full((count, steps), 0.1, dtype=torch.float64)
    return Batch(states[:, :-1], actions, states[:, 1:], delta_t, valid=valid, noise=drawn_noise, images=images)


# --- shapes ----------------------------------------------------------------------------------------------------------


def test_shapes_are_those_of_the_founding_document():
    """The table of shapes at the widths of the seed, and the number of weights it comes to."""
    model = build_model("visual_world_model", SPEC, seed=0).eval()
    frames = torch.rand(2, 3, 3, 64, 64)
    assert model.windows(frames).shape == (2, 2, 6, 64, 64)
    mu, logvar = model.encoder(model.windows(frames)[:, 0])
    assert mu.shape == logvar.shape == (2, 32, 8, 8)
    sides = []
    hooks = [layer[0].register_forward_hook(lambda _, __, out: sides.append(tuple(out.shape[1:])))
             for layer in model.encoder.features]  # fmt: skip
    model.encoder(model.windows(frames)[:, 0])
    assert sides == [(32, 32, 32), (64, 16, 16), (64, 16, 16), (64, 16, 16), (128, 8, 8), (128, 8, 8), (128, 8, 8),
                     (64, 8, 8)]  # fmt: skip
    for hook in hooks:
        hook.remove()
    state = model.state_transform(mu)
    assert state.shape == (2, 32, 8, 8) and model.decoder(state[:, :16]).shape == (2, 3, 64, 64)
    context = state.unsqueeze(1).expand(2, 5, 32, 8, 8)
    assert model.predictor(context, torch.zeros(2, 5, 1), 0.1).shape == (2, 5, 32, 8, 8)
    assert 0.9e6 < sum(x.numel() for x in model.parameters()) < 1.1e6
    assert model.needs.window == 17 and model.needs.noise * 17 >= 32 * 8 * 8


@pytest.mark.parametrize(("predictor", "autoencoder"), CASES)
def test_every_predictor_keeps_shapes_and_finds_a_gradient_for_each_weight(predictor, autoencoder):
    model = tiny(predictor, autoencoder=autoencoder, predictor_weight=1.0, training_mode="detached")
    context = noise(2, 3, *model.options.latent_shape)
    found = model.predictor(context, some_actions(2, 3), 0.1)
    assert found.shape == context.shape
    found.square().sum().backward()
    without = {name for name, x in model.predictor.named_parameters() if x.grad is None}
    assert without <= {"kinetic.output.bias", "potential.output.bias", "kinetic.network.2.bias",
                       "potential.network.2.bias"}  # fmt: skip
    assert all(x.grad.isfinite().all() for x in model.predictor.parameters() if x.grad is not None)


@pytest.mark.parametrize("predictor", PREDICTOR_REGISTRY)
def test_no_sample_knows_its_neighbors_and_batch_shapes_broadcast(predictor):
    model = tiny(predictor)
    context, actions = noise(3, 4, *model.options.latent_shape), some_actions(3, 4)
    delta_t = 0.05 + 0.1 * torch.rand(3, 4, dtype=torch.float64)
    together = model.predictor(context, actions, delta_t)
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(model.predictor(context[order], actions[order], delta_t[order]), together[order])
    alone = model.predictor(context[0], actions[0], delta_t[0])
    torch.testing.assert_close(alone, together[0], **EXACT)
    start = context[:, :1]
    spread = model.predictor.step(start, actions, delta_t, model.predictor.begin(start))[0]
    full = start.expand_as(context)
    expected = model.predictor.step(full, actions, delta_t, model.predictor.begin(full))[0]
    torch.testing.assert_close(spread, expected, **EXACT)


def test_images_may_be_gray_and_a_single_frame_may_be_enough():
    model = tiny(channels=1, encoder_frames=1)
    assert model.encode(torch.rand(2, 5, 1, 16, 16).double()).shape == (2, 5, 4, 2, 2)
    model = tiny(norm="group")
    assert not [name for name, _ in model.named_buffers() if "running" in name]


def test_a_window_belongs_to_its_last_frame_and_its_input_leads_on():
    """Frames that count: frame k is k everywhere. What is reconstructed, and which inputs lead there."""
    model = tiny(encoder_frames=3)
    seen = {}
    count = torch.arange(model.needs.window + 1, dtype=torch.float64)
    images = (count / 100).view(1, -1, 1, 1, 1).expand(1, -1, 3, 16, 16)
    windows = model.windows(images)
    assert windows.shape[1] == len(count) - 2 and torch.equal(windows[0, 4, ::3, 0, 0], count[4:7] / 100)

    def rolled(start, actions, delta_t):
        seen.update(actions=actions, delta_t=delta_t)
        return VisualWorldModel.roll(model, start, actions, delta_t)

    model.roll, decoded = rolled, []
    model.decode = lambda states: decoded.append(states.shape[1]) or torch.zeros(1, states.shape[1], 3, 16, 16).double()
    steps = count[:-1].view(1, -1)
    numbers = noise(1, model.needs.window, model.needs.noise)
    batch = Batch(
        steps.unsqueeze(-1), steps.unsqueeze(-1) % 3, steps.unsqueeze(-1), steps, noise=numbers, images=images
    )
    terms = model.terms(batch, torch.tensor(1.0))
    assert seen["delta_t"].tolist() == [[2.0, 3.0, 4.0, 5.0]] and seen["actions"].flatten().tolist() == [2, 0, 1, 2]
    assert decoded == [5]  # frames 2 to 6
    expected = (count[2:] / 100).square().mean()
    torch.testing.assert_close(terms["reconstruction"], expected)


# --- Δt --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("predictor", FIELDS)
def test_delta_t_reaches_the_integrator_and_none_leaves_the_state(predictor):
    model = tiny(predictor)
    state, action = noise(5, *model.options.latent_shape), some_actions(5)
    step = model.predictor.step
    assert torch.equal(step(state, action, 0.0)[0], state)
    first, second = (step(state, action, h)[0] - state for h in (1e-4, 2e-4))
    torch.testing.assert_close(second, 2 * first, rtol=2e-2, atol=1e-6)
    assert torch.equal(step(state, action)[0], step(state, action, 0.1)[0])
    each = torch.tensor([0.0, 0.1, 0.2, 0.1, 0.05], dtype=torch.float64)
    found = step(state, action, each)[0]
    torch.testing.assert_close(found[1], step(state[1], action[1], 0.1)[0], **EXACT)
    assert torch.equal(found[0], state[0])


def test_a_map_sees_delta_t_as_its_form_says():
    state, action = noise(5, 4, 2, 2), some_actions(5)
    plain, scaled, told = (tiny("spatial_jump", form=form).predictor for form in ("none", "scaled", "scaled_concat"))
    assert torch.equal(plain.step(state, action, 0.3)[0], plain.step(state, action, 0.1)[0])
    once, thrice = (scaled.step(state, action, h)[0] - state for h in (0.1, 0.3))
    torch.testing.assert_close(thrice, 3 * once, **EXACT)
    torch.testing.assert_close(once, plain.step(state, action)[0] - state, **EXACT)  # same weights
    once, thrice = (told.step(state, action, h)[0] - state for h in (0.1, 0.3))
    assert (thrice - 3 * once).abs().max() > 1e-3
    torch.testing.assert_close(told.step(state, action, 0.0)[0], state, **EXACT)


@pytest.mark.parametrize("predictor", ["spatial_hamiltonian", "latent_hamiltonian", "spatial_newtonian"])
@pytest.mark.parametrize("method", ["leapfrog", "rk4", "implicit_midpoint", "dopri5"])
def test_solvers_agree_as_their_steps_get_small(predictor, method):
    state, action = noise(2, *tiny(predictor).options.latent_shape), some_actions(2)
    exact = tiny(predictor, integration_method="rk4", substeps=16)
    other = tiny(predictor, integration_method=method, substeps=1 if method == "dopri5" else 16)
    found, expected = (x.predictor.step(state, action, 0.2)[0] for x in (other, exact))
    torch.testing.assert_close(found, expected, rtol=0, atol=5e-3)  # damping costs leapfrog an order


# --- energy ----------------------------------------------------------------------------------------------------------


def test_damping_costs_leapfrog_an_order():
    """As the docstring says: half the step halves the error with damping, and quarters it without."""
    start, found = noise(2, 4, 2, 2), {}
    for damped in (True, False):

        def rolled(**options):
            model = (tiny if damped else free)("spatial_hamiltonian", **options)  # noqa: B023
            return model.roll(start, some_actions(2, 10), 0.1).states[:, -1]

        exact = rolled(integration_method="rk4", substeps=16)
        first, second = ((rolled(substeps=n) - exact).abs().max() for n in (2, 4))
        found[damped] = float((first / second).detach())
    assert found[True] == pytest.approx(2, abs=0.4) and found[False] == pytest.approx(4, abs=0.4)


@pytest.mark.parametrize("pool", ["sum", "avg"])
def test_gradients_of_energies_are_those_of_autograd(pool):
    options = VisualOptions(**TINY | {"energy_pool": pool})
    for energy, shape in ((SpatialEnergy(2, options), (2, 3, 3)), (FlatEnergy(3, options), (3,))):
        energy.double()
        x = noise(4, *shape).requires_grad_()
        (expected,) = torch.autograd.grad(energy(x).sum(), x)
        torch.testing.assert_close(energy.gradient(x), expected, **EXACT)
        with torch.inference_mode():
            torch.testing.assert_close(energy.gradient(x), expected, **EXACT)


def free(predictor, **options):
    """A Hamiltonian without damping and input."""
    model = tiny(predictor, **options)
    with torch.no_grad():
        model.predictor.log_damping.fill_(-math.inf)
        model.predictor.port.weight.zero_()
    return model


@pytest.mark.parametrize("predictor", ["spatial_hamiltonian", "latent_hamiltonian"])
def test_leapfrog_keeps_the_energy_to_second_order_and_runs_back(predictor):
    model = free(predictor)
    start, drift = noise(3, *model.options.latent_shape), {}
    for h in (0.1, 0.05):
        steps = round(2.0 / h)
        rolled = model.roll(start, some_actions(3, steps), h)
        path = torch.cat([model.energy(start).unsqueeze(1), model.energy(rolled.states)], dim=1)
        drift[h] = (path - path[:, :1]).abs().max()
        assert drift[h] < 0.05 * path.abs().max()
        back = model.roll(rolled.states[:, -1], some_actions(3, steps), -h).states[:, -1]
        torch.testing.assert_close(back, start, rtol=0, atol=1e-10)
    assert 3.5 < drift[0.1] / drift[0.05] < 4.6
    euler = free(predictor, integration_method="euler")
    lost = euler.energy(euler.roll(start, some_actions(3, 20), 0.1).states[:, -1]) - euler.energy(start)
    assert lost.abs().max() > 5 * drift[0.1]


def test_average_pooling_makes_a_hamiltonian_inert():
    """The force of one position is divided by their number, so that positions hardly move."""
    seed = dict(spatial_size=8, img_size=64, latent_channels=16, hidden_channels=32, quadratic_prior=False)
    moved = {}
    for pool in ("sum", "avg"):
        model = free("spatial_hamiltonian", energy_pool=pool, **seed)
        momentum = noise(2, 8, 8, 8)
        moved[pool] = float(model.predictor.drift(torch.zeros_like(momentum), momentum).square().mean().sqrt().detach())
    assert moved["sum"] / moved["avg"] == pytest.approx(64)
    prior = free("spatial_hamiltonian", period=2.0)
    assert float(prior.predictor.log_stiffness.detach().exp()) == pytest.approx(math.pi**2)


def test_only_a_hamiltonian_has_an_energy():
    assert tiny("spatial_hamiltonian").predicts == ("image", "energy")
    model = tiny("spatial_newtonian")
    assert model.predicts == ("image",)
    with pytest.raises(ValueError, match="predictor must have an energy, spatial_newtonian has none"):
        model.energy(noise(2, 4, 2, 2))


# --- latents ---------------------------------------------------------------------------------------------------------


def test_the_divergence_is_that_of_torch_and_its_floor_holds():
    posterior = Posterior(noise(3, 4, 2, 2), 0.3 * noise(3, 4, 2, 2, seed=1))
    gaussian = torch.distributions.Normal(posterior.mu, torch.exp(0.5 * posterior.logvar))
    standard = torch.distributions.Normal(torch.zeros_like(posterior.mu), torch.ones_like(posterior.mu))
    expected = torch.distributions.kl_divergence(gaussian, standard).flatten(1).sum(dim=1)
    torch.testing.assert_close(kl_divergence(posterior, 3), expected)
    collapsed = Posterior(torch.zeros(2, 4, 2, 2, requires_grad=True), torch.zeros(2, 4, 2, 2))
    floor = kl_divergence(collapsed, 3, free_bits=0.25)
    assert floor.tolist() == [4.0, 4.0]  # 16 elements
    floor.sum().backward()
    assert not collapsed.mu.grad.any()
    assert Posterior.of(collapsed.mu, torch.full((2, 4, 2, 2), -50.0)).logvar.min() == -8


def test_a_normalized_weight_is_that_of_the_lower_bound():
    """β KL / n for a mean over n values is half of (Σ error² + 2 β KL) ... / n: σ² = ½ at β = 1."""
    done, half = torch.tensor(1.0), torch.tensor(0.05)
    options = VisualOptions(beta=1.0)
    assert float(kl_weight(options, done, 17)) == pytest.approx(1 / (17 * 3 * 64 * 64))
    assert float(kl_weight(options, half, 17)) == pytest.approx(0.5 / (17 * 3 * 64 * 64))
    literal = VisualOptions(beta=0.001, kl_normalize=False, beta_warmup=0.0)
    assert float(kl_weight(literal, torch.tensor(0.0), 17)) == pytest.approx(0.001)
    assert float(kl_weight(literal, done, 17)) * 17 * 3 * 64 * 64 == pytest.approx(209, abs=0.5)


def test_codes_pass_the_gradient_straight_through():
    book = Codebook(VisualOptions(**TINY)).double()
    with torch.no_grad():
        book.codes.copy_(noise(16, 6))
    latent = noise(5, 3, 6, seed=1).requires_grad_()
    found = book(latent)
    distance = (latent.unsqueeze(-2) - book.codes).square().sum(dim=-1)
    assert torch.equal(found.index, distance.argmin(dim=-1))
    torch.testing.assert_close(found.code, book.codes[found.index])
    weight = noise(5, 3, 6, seed=2)
    (through,) = torch.autograd.grad((found.code * weight).sum(), latent, retain_graph=True)
    assert torch.equal(through, weight)
    to_latent, to_codes = torch.autograd.grad(found.loss.mean(), (latent, book.codes))
    gap = 2 * (latent - found.code).detach() / latent.numel()
    torch.testing.assert_close(to_latent, 0.25 * gap)
    torch.testing.assert_close(to_codes.sum(dim=0), -gap.flatten(0, 1).sum(dim=0))
    assert float(perplexity(torch.tensor([0, 1, 2, 3]), 8)) == pytest.approx(4)
    assert float(perplexity(torch.tensor([2, 2]), 8)) == pytest.approx(1)


def test_the_predictor_of_codes_reads_the_newest_first_and_its_error_stays_its_own():
    model = tiny("latent_mlp", autoencoder="vqvae")
    states, seen = noise(1, 5, 6), []
    network = model.predictor.network
    hook = network.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    model.predictor(states, some_actions(1, 5))
    hook.remove()
    embedding = model.options.action_embedding_dim
    newest, older, oldest = (seen[3][:, a : a + 6] for a in (0, 6 + embedding, 12 + embedding))
    for got, place in ((newest, 3), (older, 2), (oldest, 1)):
        assert torch.equal(got, states[:, place])
    assert torch.equal(seen[1][:, 12 + embedding :], states[:, 0])  # nothing is known before the first
    batch = window_batch(model)
    terms = model.terms(batch, torch.tensor(1.0))
    terms["prediction"].backward()
    assert all(x.grad is None for name, x in model.named_parameters() if not name.startswith("predictor."))


# --- losses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("predictor", "autoencoder", "mode"), MODES)
def test_every_loss_is_finite_and_reaches_what_it_trains(predictor, autoencoder, mode):
    model = tiny(predictor, autoencoder=autoencoder, training_mode=mode).train()
    terms = model.terms(window_batch(model), torch.tensor(1.0))
    terms["loss"].backward()
    assert all(x.isfinite().all() for x in terms.values())
    without = {name for name, x in model.named_parameters() if x.grad is None}
    assert all(name.endswith("bias") for name in without), without  # an energy's constant moves nothing
    assert ("kl" in terms) == (autoencoder != "vqvae") and ("prediction" in terms) == (
        mode == "detached" or autoencoder == "vqvae"
    )


def test_in_detached_mode_the_predictors_error_moves_nothing_else():
    model = tiny("spatial_ode", training_mode="detached")
    model.terms(window_batch(model), torch.tensor(1.0))["prediction"].backward()
    moved = {name.split(".")[0] for name, x in model.named_parameters() if x.grad is not None}
    assert moved == {"predictor"}
    silent = tiny("spatial_ode", training_mode="detached", predictor_weight=0.0)
    assert "prediction" not in silent.terms(window_batch(silent), torch.tensor(1.0))


@pytest.mark.parametrize("mode", ["hgn", "detached"])
def test_frames_behind_the_end_of_an_episode_do_not_count(mode):
    model = tiny("spatial_jump", training_mode=mode, beta=0.0)
    steps = model.needs.window
    valid = torch.ones(3, steps, dtype=torch.bool)
    valid[1, 3:] = False
    batch = window_batch(model, valid=valid)
    changed = batch.images.clone()
    changed[1, 4:] = 0.5  # frames after steps 3, 4, ...
    other = dataclasses.replace(batch, images=changed)
    first, second = (model.loss(x, torch.tensor(1.0)) for x in (batch, other))
    torch.testing.assert_close(first, second, rtol=1e-12, atol=0)
    changed = batch.images.clone()
    changed[1, 3] = 0.5
    assert model.loss(dataclasses.replace(batch, images=changed), torch.tensor(1.0)) != first


def test_padding_counts_in_no_term_of_codes_nor_in_the_first_frame_of_a_longer_window():
    codes = tiny("latent_mlp", autoencoder="vqvae", predictor_weight=0.0)
    valid = torch.ones(3, codes.needs.window, dtype=torch.bool)
    valid[1, 3:] = False
    batch = window_batch(codes, valid=valid)
    changed = batch.images.clone()
    changed[1, 4:] = 0.5
    first, second = (codes.terms(x, torch.tensor(1.0)) for x in (batch, dataclasses.replace(batch, images=changed)))
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=1e-12, atol=0)
    model = tiny(encoder_frames=3, beta=0.0)  # whose first state is behind the end of an episode of one step
    valid = torch.ones(3, model.needs.window, dtype=torch.bool)
    valid[1, 1:] = False
    batch = window_batch(model, valid=valid)
    changed = batch.images.clone()
    changed[1, 2:] = 0.5
    first, second = (model.loss(x, torch.tensor(1.0)) for x in (batch, dataclasses.replace(batch, images=changed)))
    torch.testing.assert_close(second, first, rtol=1e-12, atol=0)
    nothing = window_batch(model, valid=torch.zeros_like(valid))
    assert float(model.loss(nothing, torch.tensor(1.0)).detach()) == 0


def test_the_divergence_weighs_as_much_as_the_frames_that_count():
    model = tiny(beta=1.0)
    valid = torch.zeros(3, model.needs.window, dtype=torch.bool)
    valid[:, :2] = True  # two of five frames behind the first
    terms = model.terms(window_batch(model, valid=valid), torch.tensor(1.0))
    weight = (terms["loss"] - terms["reconstruction"]) / terms["kl"]
    assert float(weight.detach()) == pytest.approx(1 / (2 * 3 * 16 * 16))


# --- the contract on frames ------------------------------------------------------------------------------------------


def film(count=2, steps=6):
    states, actions = motions(count, steps)
    return drawn(states).double() / 255, actions


def past(images, actions, delta_t=0.1):
    """The context of frames (..., C, 3, H, W) and the inputs that led on from each."""
    steps = torch.full(actions.shape[:-1], delta_t, dtype=torch.float64)
    states = torch.zeros(*actions.shape[:-1], SPEC.state_dim, dtype=torch.float64)
    return Context(states, actions, steps, torch.ones_like(steps, dtype=torch.bool), images=images)


@pytest.mark.parametrize(("predictor", "autoencoder", "mode"), MODES)
def test_steps_are_a_prediction_and_what_is_seen_is_used(predictor, autoencoder, mode):
    model = tiny(predictor, autoencoder=autoencoder, training_mode=mode)
    images, actions = film()
    if model.coded:
        with torch.no_grad():  # a code for every frame
            model.quantizer.codes[:14] = model.encoded(images)[0].repeat(1, 2, 1)[:, :7].flatten(0, 1)
    known = past(images[:, :3], actions[:, :3])
    together = model.predict(images[:, 3], actions[:, 3:6], 0.1, known)
    assert together.image.shape == (2, 3, 3, 16, 16) and together.state.shape == (2, 3, 0)
    assert (together.energy is not None) == predictor.endswith("hamiltonian")
    carry, seen = model.initial(known), images[:, 3]
    for t in range(3):
        carry, prediction = model.step(carry, actions[:, 3 + t], 0.1, seen)
        torch.testing.assert_close(prediction.image, together.image[:, t], **EXACT)
        seen = None
    again = model.step(carry, actions[:, 0], 0.1, images[:, 6])[1].image
    assert not torch.equal(again, model.step(carry, actions[:, 0], 0.1)[1].image)
    others = model.predict(
        images[:1, 3], actions[:, 3:6], torch.full((2, 3), 0.1, dtype=torch.float64), known.map(lambda x: x[:1])
    )
    torch.testing.assert_close(others.image[0], together.image[0], **EXACT)
    memoryless = mode == "hgn" and autoencoder != "vqvae" or not model.predictor.begin(carry.state)
    shorter = model.predict(images[:, 3], actions[:, 3:6], 0.1, past(images[:, 2:3], actions[:, 2:3]))
    assert torch.allclose(shorter.image, together.image, rtol=0, atol=1e-12) == memoryless
    single = model(images[:, 2:4], actions[:, 3], 0.1)
    if memoryless:
        torch.testing.assert_close(single, together.image[:, 0], **EXACT)


def test_what_does_not_exist_is_not_known():
    model = tiny("latent_mlp", autoencoder="vqvae")
    images, actions = film()
    known, shorter = past(images[:, :3], actions[:, :3]), past(images[:, 2:3], actions[:, 2:3])
    cut = dataclasses.replace(known, mask=torch.tensor([[False, False, True]]).expand(2, 3))
    found, expected = (model.predict(images[:, 3], actions[:, 3:6], 0.1, x).image for x in (cut, shorter))
    torch.testing.assert_close(found, expected, **EXACT)


def test_it_is_one_line_of_the_registry_and_reads_images():
    assert "visual_world_model" in models_reading("image") and "visual_world_model" not in models_reading("state")
    family = MODELS["visual_world_model"]
    assert family.form_option == "predictor" and {arms.form for arms in family.arms} == set(PREDICTOR_REGISTRY)


BAD = [
    (dict(latent_channels=5), "latent_channels must be even"),
    (dict(img_size=32), "img_size must be 8 * spatial_size = 16, got 32"),
    (dict(predictor="spatial_jumpy"), "predictor must be one of"),
    (dict(predictor="latent_ode"), "with spatial_bvae, got 'latent_ode'"),
    (dict(predictor="latent_newtonian", autoencoder="flat_bvae", latent_dim=5), "latent_dim must be even"),
    (dict(autoencoder="flat_bvae", predictor="latent_ode", img_size=24), "img_size must be a multiple of 16"),
    (dict(autoencoder="vqvae", predictor="latent_mlp", rollout_steps=2), "rollout_steps must be at least"),
    (dict(predictor="spatial_ode", integration_method="leapfrog"), "integration_method must not move momenta"),
    (dict(training_mode="hgnn"), "training_mode must be one of"),
    (dict(encoder_frames=0), "encoder_frames must be >= 1"),
    (dict(free_bits=-1.0), "free_bits must be finite"),
    (
        dict(train_predictor=False, predictor_weight=0.0),
        "training_mode must be 'detached' to train encoder",
    ),
    (dict(rollout_steps=1, encoder_frames=1), "rollout_steps must be at least 2 with encoder_frames = 1"),
    (dict(encoder_widths=(4, 4)), "encoder_widths must be 3 numbers"),
    (dict(kl_normalise=True), "options of model 'visual_world_model' must be among"),
]


@pytest.mark.parametrize(("options", "words"), BAD)
def test_options_that_do_not_fit_are_refused(options, words):
    with pytest.raises(ValueError) as error:
        build_model("visual_world_model", SPEC, **(TINY | options))
    assert words in str(error.value)


def test_frames_that_do_not_fit_are_refused():
    model = tiny()
    images, actions = film()
    known = past(images[:, :1], actions[:, :1])
    for call, words in (
        (lambda: model.encode(images[..., :8, :]), r"images must be \(..., F, 3, 16, 16\), got \(2, 7, 3, 8, 16\)"),
        (lambda: model.encode((images * 255).to(torch.uint8)), "images must be numbers in \\[0, 1\\], got torch.uint8"),
        (lambda: model.encode(images[:, :1]), "images must be at least encoder_frames = 2 in a row, got 1"),
        (lambda: model.predict(images[:, 0], actions), "context must hold images of the 1 steps before .* got none"),
        (lambda: model.predict(images[:, 0], actions, 0.1, dataclasses.replace(known, mask=~known.mask)), "got 0"),
        (lambda: model.loss(dataclasses.replace(window_batch(model), images=None), torch.tensor(0.0)), "hold images"),
        (lambda: model.loss(dataclasses.replace(window_batch(model), noise=None), torch.tensor(0.0)), "hold noise"),
        (lambda: model(torch.zeros(2, 2), torch.zeros(2, 1)), "images must be"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


def test_a_set_holds_each_frame_once():
    part, offsets = clips(3, 4)
    assert len(part) == 12 and len(part.frames.pixels) == 15 and offsets.tolist() == [0, 4, 8, 12]
    again = type(part).concatenate([part[:5], part[5:]])
    assert again.frames.pixels is part.frames.pixels and torch.equal(again.frames.first, part.frames.first)
    other, _ = clips(2, 4, seed=1)
    both = type(part).concatenate([part, other])
    shown = both.frames.pixels[both.frames.first]
    assert torch.equal(shown, torch.cat([x.frames.pixels[x.frames.first] for x in (part, other)]))
    with pytest.raises(ValueError, match="pixels must be"):
        dataclasses.replace(part.frames, pixels=part.frames.pixels.float())
    with pytest.raises(ValueError, match="first must be in 0 .. 13"):
        dataclasses.replace(part.frames, first=part.frames.first + 3)


@pytest.mark.parametrize("predictor", PREDICTOR_REGISTRY)
def test_systems_without_inputs_have_predictors_too(predictor):
    none = dict.fromkeys(("input_names", "input_units", "input_low", "input_high"), ())
    spec = dataclasses.replace(SPEC, action_table=None, **none)
    autoencoder = "flat_bvae" if predictor.startswith("latent") else "spatial_bvae"
    model = build_model("visual_world_model", spec, predictor=predictor, autoencoder=autoencoder, **TINY)
    rolled = model.roll(torch.randn(2, *model.options.latent_shape), torch.zeros(2, 3, 0), 0.1)
    assert rolled.states.shape == (2, 3, *model.options.latent_shape) and rolled.states.isfinite().all()


def test_a_convolution_of_doubled_sides_is_one_of_the_map_itself():
    layer = DoublingConv2d(3, 2).double()
    plain = torch.nn.Sequential(torch.nn.Upsample(scale_factor=2), torch.nn.Conv2d(3, 2, 3, padding=1)).double()
    plain[1].load_state_dict(layer.state_dict())
    x = noise(2, 3, 5, 4).requires_grad_()
    found, expected = layer(x), plain(x)
    torch.testing.assert_close(found, expected, **EXACT)
    weigh = noise(*expected.shape, seed=1)
    gradients = [torch.autograd.grad((y * weigh).sum(), (x, *module.parameters()))
                 for y, module in ((found, layer), (expected, plain))]  # fmt: skip
    torch.testing.assert_close(*gradients, **EXACT)
