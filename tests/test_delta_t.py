"""Δt is followed from the simulator through the file and the batch to the call of the model, and to its test."""

import pytest
import torch

from tdlib.core.context import Batch
from tdlib.core.time_grid import delta_t_of
from tdlib.data import collect_random, load_dataset, save_dataset
from tdlib.evaluation import build_test_set
from tdlib.speed.stacked_weights import StackedWeights
from tdlib.study.arms import MIXED, Arm, build_arm
from tdlib.systems import SYSTEMS
from tdlib.training import Budget, Trial, fit

RATES = (10.0, 20.0, 50.0)


@pytest.mark.parametrize("env", ["Pendulum-v1", "CartPoleContinuous-v1"])
def test_delta_t_from_file_to_model_call(env, tmp_path, monkeypatch):
    system = SYSTEMS[env]
    parts = []
    for rate in RATES:
        path = save_dataset(collect_random(env, rate, 0, 600), tmp_path / f"{rate:g}.h5")
        dataset = load_dataset(path, rate)
        assert set(dataset.delta_t) == {delta_t_of(rate)}  # in the file, to the last bit
        parts.append(dataset.transitions(torch.float32))

    seen = []
    original = StackedWeights.losses

    def spy(self, *arguments):
        batch = next(x for x in arguments if isinstance(x, Batch))
        seen.append((batch.state.detach(), batch.delta_t.detach()))
        return original(self, *arguments)

    monkeypatch.setattr(StackedWeights, "losses", spy)
    arm = Arm("jump", "multi_resolution", "scaled_concat", train_frequency=MIXED)
    fit([Trial(arm, 0, build_arm(arm, system.spec, 0), parts, parts)], Budget(3, 1e-3, num_validations=1))

    known = {float(torch.tensor(delta_t_of(rate), dtype=torch.float32)) for rate in RATES}
    table = {tuple(row.tolist()): float(d) for part in parts for row, d in zip(part.state, part.delta_t, strict=True)}
    mixed = [delta_t for _, delta_t in seen if set(delta_t.flatten().tolist()) == known]
    assert len(mixed) >= 2  # batches of training mix the three rates; validation goes rate by rate
    for state, delta_t in seen:
        for row, interval in zip(state.flatten(0, 1), delta_t.flatten(), strict=True):
            assert table[tuple(row.tolist())] == float(interval)  # each state with the Δt it was recorded with


def test_delta_t_of_a_test_set_is_that_of_its_rate():
    system = SYSTEMS["Pendulum-v1"]
    datasets = [collect_random("Pendulum-v1", rate, 0, 600) for rate in RATES]
    rates = (5.0, 33.3, 50.0)
    test_set = build_test_set(system, datasets, seed=0, rates=rates, num_pairs=16, num_starts=2, num_context_pairs=0)
    pairs = test_set.pairs["pooled"]
    for i, rate in enumerate(rates):
        assert set(pairs.delta_t[i].tolist()) == {delta_t_of(rate)}
        truth = system.flow(pairs.state[i], pairs.action[i], delta_t_of(rate))
        torch.testing.assert_close(pairs.next_state[i], truth, rtol=0, atol=1e-12)
    for label, rollout in test_set.rollouts.items():
        assert set(rollout.delta_t.flatten().tolist()) == {delta_t_of(float(label))}
