"""What MTS3 is timed against computes the same, and what a gradient keeps grows with the steps and no faster."""

import sys
from pathlib import Path

import pytest
import torch

from tdlib.models.beliefs import MTS3, MTS3Options, negative_log_likelihood

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
import bench_mts3
import mts3_peers

SMALL = dict(latent_dim=4, hidden_dim=7, control_hidden_dim=6, set_hidden_dim=9, decoder_hidden_dim=8, windows=(5,))


def test_the_step_by_step_form_is_ours_with_its_gradients():
    """Some observations are masked and two windows as a whole, one of one sequence alone."""
    torch.manual_seed(0)
    options = MTS3Options(**SMALL, sequence_length=20)
    model = MTS3(bench_mts3.OBSERVATION, bench_mts3.ACTION, options).double()
    (observations, actions, seen), targets = bench_mts3.sequences(3, 20, 5)
    observations, actions, targets = (x.double() for x in (observations, actions, targets))
    seen = seen.clone()
    seen[1, :5] = False
    with torch.no_grad():
        for x in model.parameters():  # away from where they start
            x += 0.2 * torch.randn_like(x)
    ours = model(observations, actions, seen).predicted
    peer = mts3_peers.Stepwise(model)(observations, actions, seen)
    torch.testing.assert_close((ours.mean, ours.variance), peer, rtol=1e-9, atol=1e-9)
    losses = [negative_log_likelihood(targets, *found[:2]).mean() for found in (ours, peer)]
    gradients = [torch.autograd.grad(loss, list(model.parameters())) for loss in losses]
    for (name, _), own, other in zip(model.named_parameters(), *gradients, strict=True):
        assert own.abs().max() > 1e-6, name
        torch.testing.assert_close(own, other, rtol=1e-9, atol=1e-9, msg=lambda text, name=name: f"{name}: {text}")


def test_what_is_kept_for_the_gradient_grows_with_the_number_of_steps():
    kept = [bench_mts3.saved_megabytes(length, batch=2) for length in (90, 180, 360)]
    assert 0 < kept[0] < kept[1]
    assert (kept[2] - kept[1]) / (kept[1] - kept[0]) == pytest.approx(2, rel=0.02)


def test_the_library_s_memory_trains_in_the_place_of_ours():
    model = mts3_peers.gru_baseline(bench_mts3.OBSERVATION, bench_mts3.ACTION)
    sequences, targets = bench_mts3.sequences(2, 6, 3)
    before = model.memory.cell.weight_hh_l0.detach().clone()
    mts3_peers.training_step(model, sequences, targets)()
    assert not torch.equal(before, model.memory.cell.weight_hh_l0)
