"""Modes of training: single intervals, windows, and a penalty on flows that do not run back; solvers of a preset."""

import dataclasses

import pytest
import torch
from test_models import EXACT, double_model, random_batch

from tdlib.core.context import Batch
from tdlib.core.facts import LOG_UNIFORM, MODES, method_and_mode
from tdlib.data import collect_sequences
from tdlib.evaluation.tables import frequency_label
from tdlib.models import DynamicsModel, TrajectoryShootingModel, build_model
from tdlib.models.reversal import reversal_defect, reversal_penalty
from tdlib.study.arms import Arm, all_arms, build_arm, trained_arms
from tdlib.study.presets import PresetError, load_preset
from tdlib.study.selection import arms_of
from tdlib.systems import SYSTEMS
from tdlib.training import Budget, Trial, fit

PRESET = """
name: waves
description: some
environments: [oscillator]
seeds: [0]
models: [jump, newtonian, lstm]
methods: [baseline, ode]
forms: [none, rk4]
train_frequencies: [5, 10]
test_frequencies: [2, 5, 10]
collection: {num_transitions: 300, num_random_transitions: 300, sequence_length: 10}
training: {num_steps: 4, learning_rate: 0.003}
checks: {max_own_rate_error: 2.0}
control: {frequencies: [5, 10], replan_seconds: 0.2}
training_modes: [matching, shooting, reversible]
solvers: [dopri5]
"""


def batch_of(spec, *shape):
    state, action, delta_t = random_batch(spec, *shape)
    following, _, _ = random_batch(spec, *shape, seed=2)
    return Batch(state, action, following, delta_t)


# --- windows ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["jump", "newtonian", "first_order_ode", "mass_matrix"])
def test_a_window_is_run_through_from_its_first_state_and_counts_whole(name):
    matching = double_model(name)
    shooting = double_model(name, trajectory="shooting", window=5)
    assert isinstance(shooting, TrajectoryShootingModel) and shooting.needs.window == 5
    batch = batch_of(matching.spec, 6, 5)
    state, states = batch.state[:, 0], []
    for t in range(5):
        state = matching(state, batch.action[:, t], batch.delta_t[:, t])
        states.append(state)
    error = torch.stack(states, dim=1) - batch.next_state
    error[..., 0] = torch.atan2(error[..., 0].sin(), error[..., 0].cos())
    expected = (error / (batch.delta_t.unsqueeze(-1) * matching.rate_scale)).square().mean()
    torch.testing.assert_close(shooting.loss(batch, torch.tensor(0.0)), expected, **EXACT)
    (gradient,) = torch.autograd.grad(states[-1].sum(), matching.action_encoder.linear.weight)
    (last,) = torch.autograd.grad(
        matching(states[-2].detach(), batch.action[:, 4], batch.delta_t[:, 4]).sum(),
        matching.action_encoder.linear.weight,
    )
    assert (gradient - last).abs().max() > 1e-6  # earlier intervals move it too


def test_beyond_its_loss_it_is_the_one_interval_model():
    shooting = double_model("newtonian", trajectory="shooting")
    state, action, delta_t = random_batch(shooting.spec, 4)
    assert torch.equal(shooting.derivative(state, action), shooting.matching.derivative(state, action))
    assert shooting.solver == "rk4" and shooting.with_solver("euler").solver == "euler"
    assert not hasattr(double_model("jump", trajectory="shooting"), "derivative")
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        shooting.nothing_of_the_kind  # noqa: B018


@pytest.mark.parametrize("arm", [("jump", "baseline_shooting", "none"), ("newtonian", "ode_reversible", "rk4")])
def test_both_train_through_the_one_loop(arm):
    dataset = collect_sequences("oscillator", 60, 16, 0)
    data, offsets = dataset.transitions_with_offsets(torch.float32)
    offsets = torch.as_tensor(offsets)
    arm = Arm(*arm, train_frequency="10")
    models = [build_arm(arm, dataset.spec, seed) for seed in range(2)]
    trials = [Trial(arm, seed, model, [data], [data], [offsets], [offsets]) for seed, model in enumerate(models)]
    for result in fit(trials, Budget(60, 5e-3, batch_size=64, num_validations=2)):
        assert result.best_val_loss < 0.5 * result.curves["val_loss"].iloc[0]


# --- reversal --------------------------------------------------------------------------------------------------------


class Flow(DynamicsModel):
    """The true flow of a system, its damping as given."""

    def __init__(self, damping):
        self.system = SYSTEMS["pendulum"]
        super().__init__(self.system.spec)
        self.damping = damping

    def forward(self, state, action, delta_t=None):
        drawn = state.new_full((*state.shape[:-1], 1), self.damping)
        return self.system.flow(state, action, delta_t, drawn)


def test_what_runs_back_is_not_penalized_and_friction_is():
    state, _, delta_t = random_batch(SYSTEMS["pendulum"].spec, 50)
    action = torch.zeros(50, 1, dtype=torch.float64)  # a torque all along
    assert reversal_defect(Flow(0.0), state, action, delta_t).abs().max() < 1e-7
    defects = [reversal_defect(Flow(d), state, action, delta_t).abs().max() for d in (0.1, 0.5)]
    assert 1e-3 < defects[0] < defects[1] / 3


def test_a_learned_field_is_penalized_for_its_damping_alone():
    """A mass matrix and a potential run back whatever they have learned; nothing else of this model may not."""
    batch = batch_of(SYSTEMS["pendulum"].spec, 20)
    penalties = {}
    for damping in (-torch.inf, -3.0, 0.0):
        model = double_model("mass_matrix", "pendulum", substeps=16, reversal=0.7)
        with torch.no_grad():
            model.field.log_damping.fill_(damping)
        penalties[damping] = float(reversal_penalty(model, batch))
        plain = double_model("mass_matrix", "pendulum", substeps=16)
        plain.load_state_dict(model.state_dict())
        expected = plain.loss(batch, torch.tensor(0.0)) + 0.7 * penalties[damping]
        torch.testing.assert_close(model.loss(batch, torch.tensor(0.0)), expected, **EXACT)
    assert penalties[-torch.inf] < 1e-10 < 1e-5 < penalties[-3.0] < penalties[0.0]


def test_the_penalty_teaches_a_field_to_lose_its_damping():
    system = SYSTEMS["oscillator"]
    state, action, delta_t = random_batch(system.spec, 200)
    model = double_model("newtonian", "oscillator", reversal=1.0)
    batch = Batch(state, action, state, delta_t)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    before = float(reversal_penalty(model, batch))
    for _ in range(60):
        optimizer.zero_grad()
        model.penalty(batch).backward()
        optimizer.step()
    assert float(reversal_penalty(model, batch)) < 0.1 * before


# --- arms and presets ------------------------------------------------------------------------------------------------


def test_modes_and_solvers_add_arms_and_change_nothing_else():
    assert trained_arms(modes=["matching"], solvers=[]) == trained_arms()
    models = ["jump", "lstm", "newtonian"]
    every, plain = trained_arms(models, modes=MODES, solvers=["dopri5"]), trained_arms(models)
    added = [arm for arm in every if arm not in plain]
    assert set(plain) <= set(every) and not any(arm.train_frequency == LOG_UNIFORM for arm in added)
    modes = {name: {method_and_mode(arm.method)[1] for arm in added if arm.model == name} for name in ("jump", "lstm")}
    assert modes == {"jump": {"shooting"}, "lstm": set()}
    fields = {(arm.method, arm.form) for arm in added if arm.model == "newtonian"}
    assert {("ode", "dopri5"), ("ode_shooting", "rk4"), ("ode_reversible", "rk4")} <= fields
    assert ("ode_shooting", "dopri5") not in fields  # K solves in a row, one model after the other
    folders = [f"{arm.model}/{arm.folder}" for arm in every]
    assert len(set(folders)) == len(folders)
    spec = SYSTEMS["oscillator"].spec
    shooting = build_arm(Arm("newtonian", "ode_shooting", "rk4", train_frequency="10"), spec, 0)
    matching = build_arm(Arm("newtonian", "ode", "rk4", train_frequency="10"), spec, 0)
    assert all(map(torch.equal, shooting.parameters(), matching.parameters()))  # paired
    reversible = build_arm(Arm("newtonian", "ode_reversible", "dopri5", train_frequency="10"), spec, 0)
    assert reversible.options.reversal == 1.0 and reversible.solver == "dopri5"
    with pytest.raises(ValueError, match="modes must be among .*'shooting'.*, got \\['single'\\]"):
        all_arms(modes=["single"])


def test_a_preset_chooses_modes_and_solvers(tmp_path):
    path = tmp_path / "waves.yaml"
    path.write_text(PRESET)
    preset = load_preset(path)
    found = {(arm.model, arm.method, arm.form) for arm in arms_of(preset, "oscillator")} - {
        ("none", "persistence", "none")
    }
    assert found == {
        ("jump", "baseline", "none"), ("jump", "baseline_shooting", "none"), ("lstm", "baseline", "none"),
        *(("newtonian", f"ode{mode}", "rk4") for mode in ("", "_shooting", "_reversible")),
        ("newtonian", "ode", "dopri5"),
    }  # fmt: skip
    assert {frequency_label(rate) for rate in preset.train_frequencies} == {"5", "10"}
    for changed, message in (
        (PRESET.replace("[dopri5]", "[dopri]"), "solver must be one of .*, got 'dopri'"),
        (PRESET.replace("[matching, shooting, reversible]", "[multi]"), "training_modes"),
        (
            PRESET.replace("0.003}", "0.003, batch_size: 60}").replace(", lstm", ""),
            "multiple of the model's window, got 60 and 8",
        ),
    ):
        path.write_text(changed)
        with pytest.raises(PresetError, match=message):
            load_preset(path)


def test_reversal_needs_velocities_to_turn():
    spec = dataclasses.replace(SYSTEMS["oscillator"].spec, position_dims=(), velocity_dims=())
    build_model("first_order_ode", spec)
    with pytest.raises(ValueError, match="spec must pair every position with a velocity"):
        build_model("first_order_ode", spec, reversal=1.0)
