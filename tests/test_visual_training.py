"""Training visual world models by the one loop: they learn, what is frozen stays, parts are loaded, NaN stops it."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from discs import SYSTEM, clips
from test_capture import NoHostAccess, NoListAsIndex, needs_card
from test_visual_models import FLAT, MODES, SPATIAL, TINY

from tdlib.core.context import Batch, Context
from tdlib.core.transitions import Frames
from tdlib.models import build_model
from tdlib.models.visual import VisualOptions
from tdlib.models.visual.latent_dynamics import latent_spec
from tdlib.study.arms import build_arm, trained_arms
from tdlib.training import Budget, Trial, fit, load_checkpoint, save_checkpoint
from tdlib.training.latents import latent_set
from tdlib.training.picture_log import PictureLog, load_pictures
from tdlib.training.pretrained import PARTS, load_parts, load_pretrained
from tdlib.training.run import Learner, StackRun
from tdlib.training.sampling import DataPool, Layout
from tdlib.training.term_log import TermLog, held_out_windows
from tdlib.training.unfinished import UnfinishedFit

SPEC = SYSTEM.spec
ARM = trained_arms(["visual_world_model"])[0]
STEPS = 9
TRAIN, VAL = clips(4, STEPS), clips(2, STEPS, seed=1)


def tiny(predictor="spatial_jump", seed=0, **options):
    if predictor.startswith("latent"):
        options.setdefault("autoencoder", "flat_bvae")
    return build_model("visual_world_model", SPEC, seed=seed, predictor=predictor, **(TINY | options))


def trial(model, seed=0, train=TRAIN, val=VAL):
    return Trial(ARM, seed, model, [train[0]], [val[0]], [train[1]], [val[1]])


def budget(steps=4, batch=4, **options):
    return Budget(steps, options.pop("rate", 3e-3), batch_size=5 * batch, **{"num_validations": 2, **options})


def snapshot(model):
    return {name: x.clone() for name, x in model.state_dict().items()}


def moved(before, model):
    return {name.split(".")[0] for name, x in model.state_dict().items() if not torch.equal(x, before[name])}


def test_the_loop_hands_out_the_frames_at_the_ends_of_steps():
    """Frames that hold their own number, one episode shorter than the window."""
    model = tiny()
    pixels = torch.arange(12, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 16, 16).contiguous()
    first = torch.tensor([0, 1, 2, 3, 4, 5, 7, 8, 9])  # episodes of 6 and 3 steps
    part = replace(TRAIN[0][:9], frames=Frames(pixels, first))
    layout = Layout(SPEC, model.needs, part)
    pool = DataPool(layout)
    pool.add(part)
    pool.build(torch.float32, "cpu")
    index = torch.tensor([[[0, 1, 2, 3, 4], [6, 7, 8, 8, 8]]])
    valid = torch.tensor([[[True] * 5, [True, True, True, False, False]]])
    images = pool.images(index, valid)
    assert images.shape == (1, 2, 6, 3, 16, 16) and images.dtype == torch.uint8
    assert images[0, :, :, 0, 0, 0].tolist() == [[0, 1, 2, 3, 4, 5], [7, 8, 9, 10, 10, 10]]
    run = StackRun([Learner(trial(model, train=(part, torch.tensor([0, 6, 9]))), model, *[torch.Generator()] * 2)],
                   budget(), "cpu")  # fmt: skip
    run.draw(2)
    batch = run._step.batch(run._chunk[0], None)
    assert batch.images.shape == (1, 4, 6, 3, 16, 16) and batch.images.max() <= 11 / 255
    numbers = (batch.images[0, :, :, 0, 0, 0] * 255).round()
    begins = torch.where(numbers[:, :1] < 6, numbers[:, :1], torch.tensor(7.0))
    assert torch.equal(numbers, torch.minimum(begins + torch.arange(6), torch.where(begins < 6, 6.0, 10.0)))


@pytest.mark.parametrize(("predictor", "autoencoder", "mode"),
                         [("spatial_hamiltonian", "spatial_bvae", "hgn"), ("spatial_lstm", "spatial_bvae", "detached"),
                          ("latent_newtonian", "flat_bvae", "hgn"), ("latent_mlp", "vqvae", "hgn")])  # fmt: skip
def test_twenty_steps_halve_the_loss_of_four_clips(predictor, autoencoder, mode):
    assert (predictor, autoencoder, mode) in MODES
    model = tiny(predictor, autoencoder=autoencoder, training_mode=mode, beta=0.01, norm="group", autoencoder_rate=1.0)
    only = clips(4, 5)
    result = fit([trial(model, train=only, val=only)], budget(20, batch=8, rate=1e-2, num_validations=4))[0]
    losses = result.curves["val_loss"]
    assert result.best_val_loss < 0.5 * losses.iloc[0], losses.tolist()


FROZEN = [
    (dict(train_encoder=False, train_decoder=False), {"state_transform", "predictor"}),
    (dict(train_encoder=False, train_decoder=False, training_mode="detached"), {"state_transform", "predictor"}),
    (dict(train_predictor=False, predictor_weight=0.0, training_mode="detached"),
     {"encoder", "decoder", "state_transform"}),
    (dict(train_decoder=False), {"encoder", "state_transform", "predictor"}),
]  # fmt: skip


@pytest.mark.parametrize(("options", "trained"), FROZEN)
def test_what_is_frozen_keeps_weights_and_batch_statistics_bit_for_bit(options, trained):
    model = tiny("spatial_newtonian", **options)
    before, after = snapshot(model), {}
    fit([trial(model)], budget(patience=99), validated=lambda one, *_: after.update(snapshot(one.model)))
    changed = {name for name, x in after.items() if not torch.equal(x, before[name])}
    assert {name.split(".")[0] for name in changed} == trained
    assert [name for name in changed if "running_mean" in name] or "encoder" not in trained


def begun(model, device="cpu"):
    """A run of one model after its first batch was drawn."""
    one = trial(model)
    model.fit_scales(TRAIN[0])
    run = StackRun([Learner(one, model, torch.Generator(), torch.Generator())], budget(warmup_fraction=0.0), device)
    run.draw(4)
    return run


@pytest.mark.parametrize("predictor", [*SPATIAL, *FLAT])
def test_a_step_needs_nothing_from_the_host(predictor):
    run = begun(tiny(predictor))
    with NoListAsIndex(), NoHostAccess():
        for k in range(2):
            run.train_step(k, k)


@needs_card
@pytest.mark.parametrize("predictor", [*SPATIAL, *FLAT])
def test_a_step_on_a_card_is_that_of_a_processor(predictor):
    sums = []
    for device in ("cpu", "cuda"):
        run = begun(tiny(predictor), device)
        run.train_step(0, 0)
        sums.append([x.cpu() for x in run._step.read_sums()])
    torch.testing.assert_close(*sums, rtol=1e-3, atol=1e-4)  # losses and norms of gradients, single precision


def test_encoder_and_decoder_learn_slower_in_detached_mode_alone():
    """One step of Adam is as long as its rate: that of the predictor's weights is ten times the encoder's."""
    longest = {}
    for mode in ("hgn", "detached"):
        model = tiny("spatial_jump", training_mode=mode)
        before = snapshot(model)
        run = begun(model)
        run.prepare()
        run.train_step(0, 0)
        run._step.weights.write_back(model, run._step.weights.flat[0], [x[0] for x in run._step.weights.changing])
        changes = {name: (x.detach() - before[name]).abs().max() for name, x in model.named_parameters()}
        longest[mode] = [
            max(float(x) for name, x in changes.items() if name.startswith(part))
            for part in ("encoder", "decoder", "predictor", "state_transform")
        ]
    assert longest["hgn"] == pytest.approx([3e-3] * 4, rel=0.01)
    assert longest["detached"] == pytest.approx([3e-4, 3e-4, 3e-3, 3e-3], rel=0.01)


def test_a_training_that_was_cut_off_ends_at_the_same_bits(tmp_path):
    class CutOffError(Exception):
        pass

    def cut(done, total):
        if done >= 32:
            raise CutOffError

    def finished(where, progress=None):
        model = tiny("spatial_jump")
        kept = UnfinishedFit(where, "fit", every=0.0)
        return fit([trial(model)], budget(36, batch=1), progress=progress, unfinished=kept)[0]

    whole = finished(tmp_path / "whole")
    with pytest.raises(CutOffError):
        finished(tmp_path / "cut", cut)
    again = finished(tmp_path / "cut")
    for name, x in whole.model.state_dict().items():
        assert torch.equal(x, again.model.state_dict()[name]), name
    assert whole.curves.equals(again.curves)


def test_numbers_that_are_not_finite_stop_a_training_at_the_last_good_weights():
    """A rate at which it explodes: what is kept is finite, and is that of a validation before."""
    model = tiny("spatial_ode", norm="none")
    result = fit([trial(model)], budget(40, batch=2, rate=1e6, clip=1e9, num_validations=20, warmup_fraction=0.0))[0]
    assert result.stopped == "non_finite" and result.curves["step"].max() < 40
    assert all(x.isfinite().all() for x in model.state_dict().values())
    found = result.curves["val_loss"]
    assert result.best_val_loss == found[found.map(lambda x: x < float("inf"))].min()


def test_terms_are_logged_as_it_learns():
    model = tiny("spatial_jump", free_bits=0.1)
    one, seen = trial(model), []
    windows = held_out_windows(one, 5)
    assert windows.images.shape == (5, 6, 3, 16, 16) and windows.noise.shape == (5, 5, model.needs.noise)
    shown = VAL[0].frames.pixels.float() / 255
    assert all(any(torch.equal(window, shown[i : i + 6]) for i in range(15)) for window in windows.images)
    assert torch.equal(windows.images, held_out_windows(one, 5).images)
    log = TermLog(windows, then=lambda *given: seen.append(given[1]))
    fit([one], budget(patience=99), validated=log)
    table = log.table
    assert table["step"].tolist() == seen == [0, 2, 4]
    assert (table["kl_counted"] >= 16 * 0.1).all() and (table["kl"] <= table["kl_counted"]).all()
    assert table["reconstruction"].iloc[-1] < table["reconstruction"].iloc[0]


@pytest.mark.parametrize("mode", ["hgn", "detached"])
def test_pictures_are_kept_as_it_learns(tmp_path, mode):
    """The first frame is seen; those after it are predicted from it where that is what is trained, else seen too."""
    path, model = tmp_path / "training_pictures.npz", tiny("spatial_ode", training_mode=mode, norm="group")
    one, log = trial(model), PictureLog(lambda _: path)
    weights = []
    result = fit([one], budget(patience=99), validated=lambda *given: (log(*given), weights.append(snapshot(model))))[0]
    found = load_pictures(path)
    assert found.steps.tolist() == result.curves["step"].tolist() == [0, 2, 4] and log.files(one) == [path]
    assert found.times.tolist() == pytest.approx([0.0, 0.2, 0.4]) and found.errors.shape == (3, 3)
    clip = held_out_windows(one, 1)
    np.testing.assert_array_equal(found.truth, (clip.images[0, [1, 3, 5]] * 255).round())
    model.load_state_dict(weights[1])
    with torch.no_grad():
        made = model.eval().encode(clip.images)[:, 0]
        expected = [made, model.roll(made, clip.action[:, 1:], clip.delta_t[:, 1:]).states[:, -1]]
        if mode == "detached":
            expected[1] = model.encode(clip.images)[:, -1]
        frames = torch.cat([model.decode(x) for x in expected])
    np.testing.assert_allclose(found.seen[1, [0, 2]], frames * 255, atol=0.51)
    again = PictureLog(lambda _: path)  # of a training that goes on from step 2, and writes it a second time
    again(one, 2, result.curves)
    assert load_pictures(path).steps.tolist() == [0, 2]
    again(one, 0, result.curves)  # of one that starts over
    assert load_pictures(path).steps.tolist() == [0]
    path.write_bytes(path.read_bytes()[:99])
    with pytest.raises(ValueError, match="path must be a file of pictures while a model learned, got"):
        load_pictures(path)


# --- parts of models that were trained before ------------------------------------------------------------------------


def test_a_checkpoint_predicts_the_same_bits(tmp_path):
    model = tiny("spatial_hamiltonian").eval()
    save_checkpoint(tmp_path, model, {"env": "oscillator"})
    loaded = load_checkpoint(tmp_path)
    images, action = torch.rand(2, 2, 3, 16, 16), torch.zeros(2, 1)
    assert torch.equal(loaded(images, action, 0.1), model(images, action, 0.1))
    assert loaded.options == model.options and loaded.predicts == ("image", "energy")


def test_another_predictor_keeps_the_encoder_and_decoder_that_were_trained(tmp_path):
    first = tiny("spatial_jump", seed=1)
    with torch.no_grad():
        first.encoder.features[0][1].running_mean.add_(0.5)
    save_checkpoint(tmp_path, first, {"env": "oscillator"})
    model = tiny("spatial_hamiltonian", seed=2)
    before = snapshot(model)
    found = load_pretrained(model, tmp_path / "model.pt")
    assert found.parts == ("encoder", "decoder", "state_transform")
    assert all(name.startswith("predictor.") for name in (*found.missing, *found.unexpected))
    assert "predictor.log_damping" in found.missing and "predictor.network.0.weight" in found.unexpected
    assert moved(before, model) == {"encoder", "decoder", "state_transform"}
    for name in found.parts:
        for key, x in first.get_submodule(name).state_dict().items():
            assert torch.equal(x, model.get_submodule(name).state_dict()[key])
    same = load_pretrained(tiny("spatial_jump", seed=3), tmp_path)  # whose predictor is taken if it is asked for
    assert same.parts == found.parts and all(name.startswith("predictor.") for name in same.missing)
    assert load_pretrained(tiny("spatial_jump", seed=3), tmp_path, (*PARTS, "predictor")).missing == ()


UNFIT = [
    ("spatial_jump", dict(encoder_widths=(8, 6, 8)), ("encoder", "decoder"),
     r"encoder.features.0.0.weight must be \(4, 6, 4, 4\), got \(8, 6, 4, 4\)"),
    ("spatial_jump", dict(norm="group"), ("encoder",), "encoder.features.0.1.running_mean is missing"),
    ("latent_ode", {}, PARTS, "encoder must be a VisionEncoder, got a FlatEncoder"),
    ("spatial_ode", {}, ("predictor",), "predictor must be a SpatialJumpPredictor, got a SpatialODEPredictor"),
    ("spatial_jump", dict(form="scaled"), ("predictor",), "predictor must have form 'none', got 'scaled'"),
    ("spatial_jump", dict(train_delta_t=0.2), ("predictor",), "predictor must have train_delta_t 0.1, got 0.2"),
    ("spatial_jump", {}, ("wheels",), "parts must be among .*'encoder'.*, got .*wheels"),
]  # fmt: skip


@pytest.mark.parametrize(("predictor", "options", "parts", "message"), UNFIT)
def test_parts_that_do_not_fit_are_refused_and_nothing_is_changed(predictor, options, parts, message):
    """Shapes agree in most of these."""
    model = tiny("spatial_jump", seed=1)
    before = snapshot(model)
    with pytest.raises(ValueError, match=message):
        load_parts(model, tiny(predictor, seed=2, **options), parts)
    assert moved(before, model) == set()


def test_a_part_with_surplus_weights_or_a_missing_one_and_other_codes_are_refused(tmp_path):
    with pytest.raises(ValueError, match="encoder has no place for encoder.features.0.1.running_mean"):
        load_parts(tiny(norm="group"), tiny())
    lacking = tiny()
    del lacking.decoder.image.weight
    with pytest.raises(ValueError, match="decoder.image.weight is missing"):
        load_parts(tiny(), lacking)
    codes = dict(predictor="latent_mlp", autoencoder="vqvae")
    with pytest.raises(ValueError, match=r"quantizer.codes must be \(8, 6\), got \(16, 6\)"):
        load_parts(tiny(**codes, n_codebook=8), tiny(**codes))
    assert load_parts(tiny(**codes), tiny(**codes, seed=1)).parts == ("encoder", "decoder", "quantizer")
    with pytest.raises(ValueError, match="predictor must have energy_pool 'sum', got 'avg'"):
        load_parts(tiny("spatial_hamiltonian"), tiny("spatial_hamiltonian", energy_pool="avg"), ("predictor",))
    save_checkpoint(tmp_path, tiny("latent_ode"), {})
    with pytest.raises(ValueError, match="encoder must be a VisionEncoder, got a FlatEncoder"):
        load_pretrained(tiny(), tmp_path)


def test_the_map_from_latents_to_states_of_another_width_learns_anew():
    found = load_parts(tiny(hidden_channels=8), tiny(hidden_channels=6))
    assert found.parts == ("encoder", "decoder") and "state_transform.0.weight" in found.missing


def test_sets_that_do_not_fit_are_refused():
    model = tiny()
    with pytest.raises(ValueError, match="train must hold frames, which the model needs, for visual_world_model/hgn"):
        fit([trial(model, train=(replace(TRAIN[0], frames=None), TRAIN[1]))], budget())
    with pytest.raises(ValueError, match=r"images must be \(..., F, 3, 16, 16\), got \(.*3, 32, 32\)"):
        fit([trial(model, train=clips(4, STEPS, size=32), val=clips(2, STEPS, size=32))], budget())
    with pytest.raises(ValueError, match="batch_size must be a multiple of the model's window, got 12 and 5"):
        fit([trial(model)], Budget(4, 1e-3, batch_size=12))


def test_frames_of_other_rows_are_refused_before_they_leak_into_other_sets():
    part = TRAIN[0]
    with pytest.raises(ValueError, match=r"frames.first must be one per interval, \(36,\), got \(37,\)"):
        replace(part, frames=Frames(part.frames.pixels, torch.arange(37)))
    pool = DataPool(Layout(SPEC, tiny().needs, part))
    pool.add(replace(part, frames=None))
    pool.add(VAL[0])
    with pytest.raises(ValueError, match="every set must hold frames, 1 do not"):
        pool.build(torch.float32, "cpu")


def test_an_arm_names_the_predictor():
    forms = [arm.form for arm in trained_arms(["visual_world_model"])]
    model = build_arm(replace(ARM, form="spatial_ode"), SPEC, 0)
    assert (
        forms == [*SPATIAL, *SPATIAL, *FLAT, "latent_mlp", *["spatial_hamiltonian"] * 2]  # codes, arms of collapse
        and model.options.predictor == "spatial_ode"
        and model.options.train_delta_t == 0.1
    )
    assert ARM.folder == "hgn_spatial_jump_10hz"
    assert "visual_world_model" not in {arm.model for arm in trained_arms()}  # the study of states names it where meant


# --- predictors on latents that were encoded once ---------------------------------------------------------------------


@pytest.mark.parametrize("predictor", ["spatial_hamiltonian", "latent_lstm"])
def test_a_predictor_trained_on_cached_latents_is_that_of_the_visual_model(predictor):
    """The same loss as in detached mode without noise, and the same predictions once its weights are put back."""
    model = tiny(predictor, training_mode="detached", encoder_frames=2).eval()
    latents, offsets = latent_set(model, *TRAIN)
    assert offsets.tolist() == [0, 8, 16, 24, 32] and torch.equal(latents.action[:8], TRAIN[0].action[1:9])
    assert torch.equal(latents.state[1:8], latents.next_state[:7])
    spec = latent_spec(SPEC, model.options)
    options = {field.name: getattr(model.options, field.name) for field in fields(model.options)}
    alone = build_model("tdlib.models.visual.latent_dynamics:LatentDynamics", spec, seed=1, **options)
    alone.predictor.load_state_dict(model.predictor.state_dict())
    count = model.options.rollout_steps
    windows = [torch.stack([x[i : i + count] for i in (0, 8)]) for x in latents.tensors()]
    state, action, following, delta_t = windows
    expected = alone.loss(Batch(state, action, following, delta_t), torch.tensor(1.0))
    images = torch.stack([TRAIN[0].frames.pixels[i : i + count + 2] for i in (0, 10)]).float() / 255
    steps = model.needs.window
    acted = torch.stack([TRAIN[0].action[i : i + steps] for i in (0, 9)])
    none = torch.zeros(2, steps, model.needs.noise)
    batch = Batch(acted, acted, acted, torch.full((2, steps), 0.1), noise=none, images=images)
    torch.testing.assert_close(model.terms(batch, torch.tensor(1.0))["prediction"], expected)
    result = fit([Trial(ARM, 0, alone, [latents], [latents], [offsets], [offsets])],
                 Budget(20, 1e-2, batch_size=32, num_validations=2))[0]  # fmt: skip
    assert result.best_val_loss < 0.8 * result.curves["val_loss"].iloc[0]
    found = load_parts(model, result.model, ("predictor",))
    assert found.parts == ("predictor",) and all(not name.startswith("predictor") for name in found.missing)
    moved_on = alone.eval().predict_sequence(state[:, 0], action, delta_t)
    shape = model.options.latent_shape
    rolled = model.roll(state[:, 0].unflatten(-1, shape), action, delta_t).states
    torch.testing.assert_close(rolled.flatten(2), moved_on)


def test_a_predictor_of_latents_remembers_what_exists_alone():
    options = {field.name: getattr(tiny("latent_lstm").options, field.name) for field in fields(VisualOptions)}
    spec = latent_spec(SPEC, tiny("latent_lstm").options)
    alone = build_model("tdlib.models.visual.latent_dynamics:LatentDynamics", spec, seed=1, **options).eval()
    known, start = torch.randn(2, 3, 6), torch.randn(2, 6)
    acted, steps = torch.zeros(2, 3, 1), torch.full((2, 3), 0.1)
    mask = torch.tensor([[False, False, True]]).expand(2, 3)
    whole = Context(known, acted, steps, torch.ones_like(mask))
    last = whole.map(lambda x: x[:, 2:])
    cut, short, full = (
        alone.predict_sequence(start, torch.zeros(2, 4, 1), 0.1, context)
        for context in (replace(whole, mask=mask), last, whole)
    )
    torch.testing.assert_close(cut, short)
    assert not torch.allclose(cut, full)


def test_episodes_without_a_step_of_latents_are_refused():
    with pytest.raises(ValueError, match="part must have an episode of encoder_frames = 2 steps"):
        latent_set(tiny(), *clips(2, 1))
