"""Scores of visual predictions: against sums written out, planted errors, and true motion at other intervals."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from discs import HALF_WIDTH, SYSTEM, drawn, motions
from test_visual_models import tiny

from tdlib.evaluation.visual import (
    FrameSequences,
    VisualRollout,
    centroid,
    compute_visual_metrics,
    encoded_truth,
    frame_sequences,
    latent_nats,
    latent_statistics,
    psnr,
    ssim,
    visual_backward_rollout,
    visual_dt_generalization_test,
    visual_metrics_table,
    visual_open_loop_rollout,
    visual_repeated_rollout,
)
from tdlib.evaluation.visual.pictures import ground_of
from tdlib.evaluation.visual.scores import baselines


def filmed(delta_t=0.1, known_delta_t=None, holds=3, hold=0.2, known=1, count=3):
    state, actions = motions(count, holds, seed=5)
    return frame_sequences(SYSTEM, lambda x, _: drawn(x), state[:, 0], actions, delta_t, hold=hold, known=known,
                           known_delta_t=known_delta_t)  # fmt: skip


# --- pictures --------------------------------------------------------------------------------------------------------


def slow_ssim(x, y):
    """Window by window, as the definition says: (C, H, W) twice -> number."""
    line = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    weight = np.outer(line, line) / np.outer(line, line).sum()
    found = []
    for a, b in zip(x, y, strict=True):
        for i in range(a.shape[0] - 10):
            for j in range(a.shape[1] - 10):
                p, q = a[i : i + 11, j : j + 11], b[i : i + 11, j : j + 11]
                m, n = (weight * p).sum(), (weight * q).sum()
                v, w = (weight * (p - m) ** 2).sum(), (weight * (q - n) ** 2).sum()
                c = (weight * (p - m) * (q - n)).sum()
                found.append((2 * m * n + 1e-4) * (2 * c + 9e-4) / ((m**2 + n**2 + 1e-4) * (v + w + 9e-4)))
    return np.mean(found)


def test_ssim_is_that_of_the_definition():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 3, 16, 18, generator=generator, dtype=torch.float64)
    y = (x + 0.3 * torch.randn(2, 3, 16, 18, generator=generator, dtype=torch.float64)).clamp(0, 1)
    expected = [slow_ssim(a.numpy(), b.numpy()) for a, b in zip(x, y, strict=True)]
    assert ssim(x, y).tolist() == pytest.approx(expected, rel=1e-10)
    assert ssim(x, x).tolist() == pytest.approx([1, 1])
    with pytest.raises(ValueError, match="pictures must be at least 11 pixels wide and high, got 8 x 16"):
        ssim(torch.zeros(1, 8, 16), torch.zeros(1, 8, 16))


def test_scores_of_planted_errors():
    states, _ = motions(4, 6)
    truth = drawn(states).double() / 255
    found = compute_visual_metrics((truth + 0.1), truth)
    assert found["mse"].flatten().tolist() == pytest.approx([0.01] * 28)
    assert found["mae"].flatten().tolist() == pytest.approx([0.1] * 28)
    assert found["psnr"].flatten().tolist() == pytest.approx([20.0] * 28, abs=1e-5)
    assert float(psnr(torch.tensor(0.0, dtype=torch.float64))) == pytest.approx(80)
    exact = compute_visual_metrics(truth, truth)
    assert exact["valid_steps"].tolist() == [7] * 4 and not exact["ball_error"].any()
    late = truth.clone()
    late[:, 3:] = 0.0
    assert compute_visual_metrics(late, truth)["valid_steps"].tolist() == [3] * 4
    with pytest.raises(ValueError, match="predicted must have the truth's shape"):
        compute_visual_metrics(truth[:, :2], truth)


def test_what_knows_no_motion_is_valid_for_no_time():
    """On a ground as bright as ours, whose square is most of a picture's."""
    states, _ = motions(6, 12, seed=2)
    truth = 0.3 + 0.5 * drawn(states).double() / 255
    mean_image = truth.mean(dim=(0, 1)).expand_as(truth)
    assert compute_visual_metrics(mean_image, truth)["valid_steps"].tolist() == [0] * 6
    share = (mean_image - truth).square().mean() / truth.square().mean()
    assert share < 0.025  # divided by the mean square of the truth it would count as valid
    brighter = truth + 0.1 * (truth - ground_of(truth).view(-1, 1, 1))  # an error of a hundredth
    assert compute_visual_metrics(brighter, truth)["valid_steps"].tolist() == [13] * 6
    assert compute_visual_metrics(brighter + 0.5, truth)["valid_steps"].tolist() == [0] * 6


def test_the_ball_is_found_to_a_fraction_of_a_pixel_and_an_empty_picture_has_none():
    height = torch.linspace(-1.5, 1.5, 31, dtype=torch.float64)
    states = torch.stack([height, torch.zeros_like(height)], dim=-1)
    images = drawn(states, size=32).double() / 255
    ground = ground_of(images)
    place = centroid(images, ground)
    expected = (HALF_WIDTH - height) / (2 * HALF_WIDTH) * 32
    torch.testing.assert_close(place[:, 1], expected, rtol=0, atol=0.1)
    torch.testing.assert_close(place[:, 0], torch.full_like(height, 16.0), rtol=0, atol=1e-6)
    moved = drawn(states + torch.tensor([6 / 32 * 2.5, 0.0]), size=32).double() / 255
    error = compute_visual_metrics(moved.unsqueeze(0), images.unsqueeze(0))["ball_error"]
    torch.testing.assert_close(error[0], torch.full_like(height, 2.5), rtol=0, atol=0.2)
    empty = ground.view(-1, 1, 1).expand_as(images)
    table = visual_metrics_table({"nothing": empty.unsqueeze(0)}, images.unsqueeze(0), 0.1 * torch.arange(1, 32))
    assert table["ball_lost"].tolist() == [1.0] * 32 and table["ball_error"].isna().all()


def test_the_mean_image_scores_high_for_nothing_and_stands_beside():
    asked = filmed(holds=6)
    trivial = baselines(asked, asked.images.mean(dim=(0, 1)))
    table = visual_metrics_table(trivial, asked.truth, asked.times)
    whole = table[table["time"].isna()].set_index("prediction")
    assert (whole["psnr"] > 10).all() and set(whole.index) == {"mean_image", "copy_last"}
    copied = table[(table["prediction"] == "copy_last") & table["time"].notna()]
    assert copied["mse"].iloc[0] < copied["mse"].iloc[4] and copied["time"].tolist() == pytest.approx(
        [0.1 * k for k in range(1, 11)]
    )
    assert whole["n"].tolist() == [3, 3] and (whole["valid_time"] >= 0).all()


# --- sequences -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known_delta_t", [None, 0.1, 0.2])
def test_the_same_motion_is_filmed_at_every_interval(known_delta_t):
    """The start and every common time show the same picture; what is known before it is as far away as said."""
    coarse, fine = filmed(0.1, known_delta_t), filmed(0.05, known_delta_t)
    assert torch.equal(coarse.start, fine.start) and torch.equal(coarse.truth, fine.truth[:, 1::2])
    assert torch.equal(coarse.inputs, fine.inputs[:, ::2]) and torch.equal(fine.inputs[:, ::2], fine.inputs[:, 1::2])
    assert coarse.times.tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4])
    before = 0.1 if known_delta_t is None else known_delta_t
    assert coarse.delta_t[:, 0].tolist() == pytest.approx([before] * 3)
    state, actions = motions(3, 3, seed=5)
    step = torch.full((3,), 0.2 - before, dtype=torch.float64)
    there = SYSTEM.flow(state[:, 0], actions[:, 0], step) if before < 0.2 else state[:, 0]
    assert torch.equal(coarse.images[:, 0], drawn(there).float() / 255)


def test_drawn_parameters_reach_whoever_draws():
    state, actions = motions(3, 3, seed=5)
    masses, seen = torch.tensor([[0.3], [0.6], [0.9]], dtype=torch.float64), []

    def draw(states, parameters):
        seen.append(parameters)
        return drawn(states)

    system = dataclasses.replace(SYSTEM, spec=dataclasses.replace(SYSTEM.spec, parameter_names=("mass",)),
                                 parameter_ranges={"mass": (0.2, 1.0)})  # fmt: skip
    asked = frame_sequences(system, draw, state[:, 0], actions, 0.1, hold=0.2, known=1, parameters=masses)
    assert torch.equal(seen[0], masses.unsqueeze(1).expand(3, asked.images.shape[1], 1))


def test_sequences_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="hold must be a multiple of delta_t = 0.15 s, got 0.2 s"):
        filmed(0.15)
    with pytest.raises(ValueError, match="known must fit into one hold of 0.2 s, got 3 frames of 0.1 s"):
        filmed(0.1, known=3)
    asked = filmed()
    with pytest.raises(ValueError, match="actions and delta_t must be 5, one fewer than images, got 4 and 5"):
        FrameSequences(asked.images, asked.actions[:, 1:], asked.delta_t, 1)
    with pytest.raises(ValueError, match="known must be in 0 .. 4"):
        FrameSequences(asked.images, asked.actions, asked.delta_t, 5)
    with pytest.raises(ValueError, match="images must be numbers in"):
        FrameSequences((asked.images * 255).to(torch.uint8), asked.actions, asked.delta_t, 1)
    with pytest.raises(ValueError, match="sequences must show encoder_frames = 3 frames, got 2"):
        visual_open_loop_rollout(tiny(encoder_frames=3), asked)


# --- rollouts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("predictor", "mode"), [("spatial_hamiltonian", "hgn"), ("spatial_lstm", "detached")])
def test_a_rollout_is_the_models_prediction_in_parts_of_any_size(predictor, mode):
    model = tiny(predictor, training_mode=mode).train()
    asked = filmed(known=2)
    found = visual_open_loop_rollout(model, asked, rows=2)
    assert model.training and found.images.shape == asked.truth.shape and not found.images.requires_grad
    model.eval()
    double = asked.to("cpu", torch.float64)
    expected = model.predict(double.start, double.inputs, double.steps, double.context)
    torch.testing.assert_close(found.images, expected.image, rtol=1e-10, atol=1e-12)
    assert found.latents.shape == (3, 5, 4, 2, 2)
    assert (found.energy is None) == (predictor == "spatial_lstm")
    truth = encoded_truth(model, asked)
    torch.testing.assert_close(truth[:, 0], found.latents[:, 0], rtol=1e-10, atol=1e-12)


def test_a_field_runs_back_and_a_map_does_not():
    model, asked = tiny("spatial_hamiltonian"), filmed()
    back, reverse = visual_backward_rollout(model, asked)
    truth = reverse.truth
    assert torch.equal(truth, asked.images[:, 1:-1].flip(1)) and back.images.shape == truth.shape
    copied = baselines(reverse, truth.mean(dim=(0, 1)))["copy_last"]
    assert torch.equal(copied, asked.images[:, -1:].expand_as(truth))  # where the way back begins
    table = visual_metrics_table({"model": back.images, "copy_last": copied}, truth, reverse.times)
    assert (table["valid_time"].dropna() >= 0).all() and table["time"].min() < 0
    forward = model.roll(back.latents[:, -1], asked.inputs.double(), asked.steps.double()).states
    gone = (forward[:, -1] - back.latents[:, 0]).abs().max()
    assert gone < 0.02 * (back.latents[:, -1] - back.latents[:, 0]).abs().max()  # damping costs leapfrog its symmetry
    with pytest.raises(ValueError, match="model must integrate a field to run back, spatial_jump is a map"):
        visual_backward_rollout(tiny("spatial_jump"), asked)


def test_a_map_repeats_its_step_at_multiples():
    model = tiny("spatial_jump")
    coarse, fine = filmed(0.2, 0.1), filmed(0.1)
    repeated = visual_repeated_rollout(model, coarse, 2)
    own = visual_open_loop_rollout(model, fine)
    torch.testing.assert_close(repeated.images, own.images[:, 1::2], rtol=1e-10, atol=1e-12)


def test_other_intervals_are_tested_with_known_frames_at_the_old_and_at_the_new_one():
    asked = {("A", rate): filmed(1 / float(rate), 0.1) for rate in ("20", "10", "5")}
    asked |= {("B", rate): filmed(1 / float(rate)) for rate in ("20", "10", "5")}
    mean_image = asked["A", "10"].images.mean(dim=(0, 1))
    tables = {name: visual_dt_generalization_test(tiny(name), asked, mean_image)
              for name in ("spatial_jump", "spatial_hamiltonian")}  # fmt: skip
    for name, table in tables.items():
        rows = table.set_index(["protocol", "test_frequency", "prediction"]).sort_index()
        assert rows["delta_t"].loc["A", "5"].unique().tolist() == pytest.approx([0.2])
        assert {"mean_image", "copy_last", "model"} <= set(rows.loc["B", "20"].index)
        assert ("model_repeated" in rows.loc["A", "5"].index) == (name == "spatial_jump")
        assert "model_repeated" not in rows.loc["A", "20"].index
        gone_back = {
            key[:2] for key in rows.index if key[2] == "model_back"
        }  # a field, where frames are of one interval
        assert gone_back == (set() if name == "spatial_jump" else {("A", "10"), *(("B", x) for x in ("20", "10", "5"))})
        assert rows["mse"].loc["A", "20", "copy_last"] == rows["mse"].loc["B", "20", "copy_last"]
        assert rows["mse"].loc["A", "10", "model"] == rows["mse"].loc["B", "10", "model"]
        assert rows["mse"].loc["A", "5", "model"] != rows["mse"].loc["B", "5", "model"]
        if name == "spatial_hamiltonian":
            back, reverse = visual_backward_rollout(tiny(name), asked["B", "5"])
            expected = compute_visual_metrics(back.images.float(), reverse.truth)["mse"].mean()
            assert rows["mse"].loc["B", "5", "model_back"].item() == pytest.approx(float(expected), rel=1e-5)
            copied = (reverse.truth - asked["B", "5"].images[:, -1:]).square().mean()
            assert rows["mse"].loc["B", "5", "copy_last_back"].item() == pytest.approx(float(copied), rel=1e-5)
            assert rows["delta_t"].loc["B", "5", "model_back"].item() == pytest.approx(-0.2)
        model, others = rows.xs("model", level="prediction"), rows.drop(index="model", level="prediction")
        assert model["q_motion"].notna().all() and others["q_motion"].isna().all()
        assert model["latent_error"].notna().all()
        apart = "model_teacher_forced", "model_reconstruction"  # states are read off frames of one interval
        assert all(("B", rate, name) in rows.index for rate in ("20", "10", "5") for name in apart)
        assert not any(("A", "5", name) in rows.index for name in apart)
        assert model["energy_time_std"].notna().all() == (name == "spatial_hamiltonian")
    with pytest.raises(ValueError, match="protocol must be one of"):
        visual_dt_generalization_test(tiny(), {("C", "10"): asked["A", "10"]}, mean_image)


def test_a_latent_says_what_its_divergence_is_and_nothing_where_the_encoder_says_the_prior():
    model, asked = tiny("spatial_hamiltonian"), filmed()
    seen = asked.images[:, asked.known - 1 : asked.known + 1].double()
    mu, logvar = (x.flatten(1) for x in model.posterior(seen))
    expected = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(dim=1)
    torch.testing.assert_close(latent_nats(model, asked), expected.detach(), rtol=1e-10, atol=1e-12)
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.zero_()
    assert not latent_nats(model, asked).any()
    coded = tiny("latent_mlp", autoencoder="vqvae", img_size=16, context_length=1)
    assert latent_nats(coded, asked).isnan().all()


def test_detectors_tell_latents_that_stay_from_those_that_move():
    start = torch.randn(64, 1, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    still = start.expand(64, 5, 4, 2, 2)
    energy = start.square().sum(dim=(2, 3, 4)).expand(64, 5)
    images = torch.zeros(64, 4, 3, 16, 16)
    found = latent_statistics(VisualRollout(images, still, energy), still, 2)
    assert found["q_motion"] == found["latent_mse"] == found["energy_time_std"] == found["energy_drift"] == 0
    assert found["energy_std"] == pytest.approx(float(energy[:, 0].std()))
    moved = still.clone()
    moved[:, 1:, :2] += 2.0  # positions alone
    found = latent_statistics(VisualRollout(images, moved, energy + torch.arange(5)), still, 2)
    assert found["q_motion"] == pytest.approx(
        2 / float(start[:, 0, :2].std(dim=0, correction=0).square().mean().sqrt())
    )
    assert found["latent_mse"] == pytest.approx(2.0) and found["energy_drift"] > 0
    found = latent_statistics(VisualRollout(images, moved, None), None, 2)
    assert math.isnan(found["energy_mean"]) and math.isnan(found["latent_error"])
