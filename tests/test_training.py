"""Training laws: the arms of the study, stacked equals separate, members fail alone, files whole or not at all."""

import copy
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from readers import BY_STATES

from tdlib.core.context import Batch
from tdlib.core.facts import ARM_COLUMNS, LOG_FORMS, TRAIN_RATES
from tdlib.core.seeding import torch_generator
from tdlib.core.transitions import Transitions
from tdlib.models import FORMS, MODELS, DynamicsModel, Needs, Options, RescaledIncrement, build_model
from tdlib.models.families.gru import CLOCKS
from tdlib.study.arms import DERIVED_ARMS, PERSISTENCE, Arm, all_arms, build_arm, trained_arms
from tdlib.systems import SYSTEMS
from tdlib.training import (
    CURVE_COLUMNS,
    Budget,
    Trial,
    UnfinishedFit,
    check_rate,
    delta_t_support,
    fit,
    fit_key,
    load_checkpoint,
    save_checkpoint,
)
from tdlib.training.fit import stacks_of
from tdlib.training.run import Learner, StackRun
from tdlib.training.sampling import DataPool, Layout, Sampler, StackSampler, window_starts

EPISODE = 25  # transitions
PUBLISHED = sorted((Path(__file__).resolve().parents[1] / "book/published/models").glob("*/*/*/seed0/model.pt"))


def true_transitions(env="Pendulum-v1", frequency=20.0, count=400, seed=0):
    """Episodes of the true system under random held inputs, contiguous in time."""
    system = SYSTEMS[env]
    g = torch.Generator().manual_seed(seed)
    low, high = (torch.tensor(x, dtype=torch.float64) for x in (system.reset_low, system.reset_high))
    num = count // EPISODE
    state = low + (high - low) * torch.rand(num, len(low), generator=g, dtype=torch.float64)
    parts = []
    for _ in range(EPISODE):
        if system.spec.discrete:
            action = torch.randint(0, 2, (num, 1), generator=g).double()
        else:
            action = system.spec.input_high[0] * (2 * torch.rand(num, 1, generator=g, dtype=torch.float64) - 1)
        delta_t = torch.full((num,), 1 / frequency, dtype=torch.float64)
        next_state = system.flow(state, action, delta_t)
        parts.append((state, action, next_state, delta_t))
        state = next_state
    return Transitions(*(torch.stack(x, dim=1).flatten(0, 1) for x in zip(*parts, strict=True)))


def offsets_of(transitions):
    return torch.arange(0, len(transitions) + 1, EPISODE)


TRAIN = {f: true_transitions(frequency=f, seed=1) for f in (10.0, 20.0, 50.0)}
VAL = {f: true_transitions(frequency=f, count=200, seed=2) for f in (10.0, 20.0, 50.0)}
JUMP = Arm("jump", "baseline", train_frequency="20")
MIXED = Arm("jump", "multi_resolution", "scaled_concat", train_frequency="mixed")
LSTM = Arm("lstm", "multi_resolution", "scaled_concat", train_frequency="mixed")
PORT = Arm("port_hamiltonian", "ode", "rk4", train_frequency="50")
SHORT = Budget(num_steps=40, learning_rate=3e-3, batch_size=64, num_validations=4, validation_size=100)


def member(arm=JUMP, seed=0, dtype=torch.float64, train=None, val=None):
    train = train or [TRAIN[f] for f in arm.frequencies]
    val = val or [VAL[f] for f in arm.frequencies]
    model = build_arm(arm, SYSTEMS["Pendulum-v1"].spec, seed).to(dtype)
    return Trial(arm, seed, model, train, val, [offsets_of(p) for p in train], [offsets_of(p) for p in val])


def weights(results):
    return [torch.cat([p.detach().flatten() for p in result.model.parameters()]) for result in results]


# --- the arms of the study -----------------------------------------------------------------------------------------


def test_the_arms_are_those_of_the_design():
    """One row per line of the table of arms: (model, method, form, training rates)."""
    rates, several = {"10", "20", "50"}, {"mixed", "loguniform"}
    table = {("jump", "baseline", "none"): rates}
    table |= {("jump", "dt_conditioned", form): rates for form in ("concat", "scaled_concat", *LOG_FORMS)}
    table |= {("jump", "multi_resolution", f): several for f in ("concat", "scaled", "scaled_concat", *LOG_FORMS)}
    table |= {("lstm", "baseline", "none"): rates}
    table |= {("lstm", "dt_conditioned", form): {"20"} for form in ("concat", "scaled_concat")}
    table |= {("lstm", "multi_resolution", form): {"mixed"} for form in ("concat", "scaled_concat")}
    fields = ("first_order_ode", "newtonian", "velocity", "port_hamiltonian", "separable_hamiltonian", "mass_matrix")
    for field in fields:
        table |= {(field, "ode", "rk4"): rates | several, (field, "ode", "euler"): rates}
    table |= {("separable_hamiltonian", "ode", "leapfrog"): rates}
    table |= {("gru", "baseline", "none"): rates}
    table |= {("gru", "multi_resolution", form): {"mixed"} for form in CLOCKS if form != "warped"}
    table |= {("ensemble", "dt_conditioned", "scaled_concat"): {"20"}}
    for name in ("acrkn", "hip_rssm", "mts3", "gaussian_gru", "gaussian_lstm", "gaussian_transformer"):
        forms = MODELS[name].options.forms
        table |= {(name, "baseline", "none"): rates, **{(name, "multi_resolution", form): {"mixed"} for form in forms}}
        table |= {(name, "dt_conditioned", form): {"20"} for form in forms if form.startswith("flow")}
    table |= {("ensemble", "multi_resolution", "scaled_concat"): {"mixed"}}
    found = {}
    for arm in trained_arms():
        assert arm.size == "hidden64"
        if arm.data == "transitions":
            found.setdefault((arm.model, arm.method, arm.form), set()).add(arm.train_frequency)
    assert found == table
    pooled = {(arm.model, arm.method, arm.form, arm.train_frequency) for arm in trained_arms() if arm.data == "pooled"}
    assert pooled == {
        *(("jump", "baseline", "none", rate) for rate in rates),
        ("jump", "multi_resolution", "scaled_concat", "mixed"),
        *(("newtonian", "ode", "rk4", rate) for rate in (*rates, "mixed")),
    }
    contacts = [arm for arm in trained_arms() if arm.data == "contacts"]
    assert [(arm.model, arm.train_frequency) for arm in contacts] == [("jump", "20"), ("newtonian", "20")]
    assert all(arm.applies_to(SYSTEMS[env]) == (env == "Pendulum-v1") for arm in contacts for env in SYSTEMS)
    seconds = [arm for arm in trained_arms() if arm.data == "seconds"]
    assert [(arm.method, arm.form, arm.train_frequency) for arm in seconds] == [
        *(("baseline", "none", rate) for rate in ("10", "20")),
        *(("dt_conditioned", "scaled_concat", rate) for rate in ("10", "20")),
        ("multi_resolution", "scaled_concat", "mixed"),
    ]
    per_model = {name: len(trained_arms([name])) for name in MODELS}
    assert per_model == {"jump": 35, "lstm": 7, "gru": 11, "first_order_ode": 8, "newtonian": 13, "velocity": 8,
                         "port_hamiltonian": 8, "separable_hamiltonian": 11, "mass_matrix": 8,
                         "ensemble": 2, "acrkn": 7, "hip_rssm": 7, "mts3": 10, "gaussian_gru": 5, "gaussian_lstm": 5,
                         "gaussian_transformer": 5, "visual_world_model": 18}  # fmt: skip
    assert {arm.form for arm in trained_arms(["jump"])} == set(FORMS)


def test_sizes_add_one_rate_of_the_baseline_and_of_the_best_forms():
    extra = trained_arms(sizes=("small", "large"))
    assert len(extra) == 6 and len(trained_arms(sizes=("hidden64", "small", "large"))) == 150 + 6
    assert {(a.method, a.form, a.train_frequency) for a in extra if a.size == "large"} == {
        ("baseline", "none", "20"), ("dt_conditioned", "scaled_concat", "20"),
        ("multi_resolution", "scaled_concat", "mixed"),
    }  # fmt: skip


def test_amounts_add_shares_of_equal_transitions_and_of_equal_seconds():
    extra = trained_arms(["jump"], amounts=(0.01, 0.3))[35:]
    assert {arm.data for arm in extra} == {
        "transitions_1pct", "transitions_30pct", "seconds_1pct", "seconds_30pct",
    }  # fmt: skip
    assert len(extra) == 2 * (3 + 3 + 1 + 2 + 2 + 1) and not any(arm.acts for arm in extra)
    assert {arm.method for arm in extra} == {"baseline", "dt_conditioned", "multi_resolution"}
    assert "baseline_10hz_seconds_1pct" in {arm.folder for arm in extra}
    assert not any(arm.source in extra for arm in all_arms(["jump"], amounts=(0.01,)) if arm.source != arm)


def test_derived_arms_read_trained_ones():
    assert [(a.method, a.train_frequency) for a in DERIVED_ARMS] == [
        ("persistence", ""), *((name, rate) for name in ("rescaled", "newton_2", "newton_3") for rate in TRAIN_RATES),
        ("recurrent_rollout", "50"), *((name, rate) for name in ("rescaled", "warped") for rate in TRAIN_RATES),
    ]  # fmt: skip
    assert {arm.method for arm in DERIVED_ARMS if not arm.acts} == {"persistence", "newton_2", "newton_3"}
    assert PERSISTENCE.source is None and PERSISTENCE.frequencies == ()
    assert all(arm.source in trained_arms() for arm in DERIVED_ARMS if arm.source)
    assert set(all_arms()) == {*DERIVED_ARMS, *trained_arms()}
    assert all_arms(["lstm"]) == [PERSISTENCE, *trained_arms(["lstm"])]


def test_folders_are_the_names_others_rely_on():
    arms = {
        "baseline_10hz": Arm("jump", "baseline", train_frequency="10"),
        "dt_conditioned_scaled_concat_20hz": Arm("jump", "dt_conditioned", "scaled_concat", train_frequency="20"),
        "multi_resolution_scaled_concat": MIXED,
        "multi_resolution_log_tau_loguniform": Arm("jump", "multi_resolution", "log_tau", train_frequency="loguniform"),
        "ode_rk4_20hz": Arm("newtonian", "ode", "rk4", train_frequency="20"),
        "ode_rk4_mixed": Arm("newtonian", "ode", "rk4", train_frequency="mixed"),
        "ode_rk4_loguniform": Arm("newtonian", "ode", "rk4", train_frequency="loguniform"),
        "ode_euler_20hz": Arm("newtonian", "ode", "euler", train_frequency="20"),
        "baseline_20hz_small": Arm("jump", "baseline", size="small", train_frequency="20"),
        "baseline_10hz_seconds": Arm("jump", "baseline", data="seconds", train_frequency="10"),
        "recurrent_rollout_50hz": next(arm for arm in DERIVED_ARMS if arm.method == "recurrent_rollout"),
        "persistence": PERSISTENCE,
    }
    for folder, arm in arms.items():
        assert arm.folder == folder
    every = all_arms(sizes=("hidden64", "small", "medium", "large"))
    assert len({(arm.model, arm.folder) for arm in every}) == len(every)


def test_arms_build_what_they_name():
    spec = SYSTEMS["Pendulum-v1"].spec
    for arm in trained_arms():
        model = build_arm(arm, spec, 0)
        assert model.built_as == arm.model
        assert float(model.train_delta_t) == {"10": 0.1, "20": 0.05, "50": 0.02}.get(arm.train_frequency, 0.05)
        assert getattr(model, "solver", arm.form) == arm.form
    same = [build_arm(Arm("jump", "baseline", train_frequency=f), spec, 3).network[0].weight for f in ("10", "50")]
    assert torch.equal(*same)  # arms are compared from equal starts
    assert not torch.equal(same[0], build_arm(JUMP, spec, 4).network[0].weight)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: trained_arms(["jmp"]), ["model", "jump", "lstm", "jmp"]),
        (lambda: trained_arms(sizes=["huge"]), ["sizes", "small", "huge"]),
        (lambda: build_arm(PERSISTENCE, SYSTEMS["Pendulum-v1"].spec, 0), ["arm", "trained", "persistence"]),
        (lambda: build_arm(JUMP, SYSTEMS["Pendulum-v1"].spec, -1), ["seed", ">= 0", "-1"]),
        (lambda: Budget(0, 1e-3), ["num_steps", ">= 1", "0"]),
        (lambda: Budget(10, float("nan")), ["learning_rate", "nan"]),
        (lambda: Budget(10, 1e-3, warmup_fraction=1.0), ["warmup_fraction", "[0, 1)", "1.0"]),
        (lambda: fit([member(LSTM)], Budget(10, 1e-3, batch_size=100)), ["batch_size", "window", "100", "16"]),
        (lambda: Budget(10, 1e-3, loss="mse"), ["loss", "increment", "'mse'"]),
        (lambda: Budget(10, 1e-3, schedule="step"), ["schedule", "cosine", "'step'"]),
    ],
)
def test_bad_requests_are_named(call, words):
    with pytest.raises(ValueError) as error:
        call()
    assert all(word in str(error.value) for word in words), str(error.value)


# --- sampling ------------------------------------------------------------------------------------------------------


def test_windows_never_cross_an_episode():
    starts, lengths = window_starts(torch.tensor([0, 20, 25, 25, 60]), 16)
    episodes = [(0, 20), (20, 25), (25, 60)]
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        assert any(a <= start and start + length <= b for a, b in episodes)
    assert lengths.tolist().count(5) == 1 and (lengths != 5).sum() == (lengths == 16).sum()
    assert starts.tolist() == [*range(5), 20, *range(25, 45)]


def test_samples_cover_rates_uniformly_and_stay_in_their_sets():
    parts = [TRAIN[10.0][:100], TRAIN[50.0]]
    layout = Layout(SYSTEMS["Pendulum-v1"].spec, Needs(), TRAIN[20.0])
    pool = DataPool(layout)
    pool.add(TRAIN[20.0])
    sampler = Sampler(parts, None, pool, 1, torch_generator(0, "test"))
    assert pool.add(parts[0]) == 400 and pool.add(TRAIN[20.0]) == 0  # stored once
    pool.build(torch.float64, "cpu")
    index, valid = (x.squeeze(1) for x in StackSampler([sampler]).draw(200, 50))
    assert index.shape == valid.shape == (200, 50, 1) and valid.all()
    delta_t = layout.columns(pool.gather(index))["delta_t"]
    assert set(delta_t.unique().tolist()) == {0.1, 0.02}
    assert abs((delta_t == 0.1).double().mean() - 0.5) < 0.02  # 10 000 draws: four standard deviations
    assert index.unique().numel() == 500
    chosen, _ = Sampler(parts, None, pool, 1, torch_generator(0, "test")).fixed(80)
    assert len(chosen.unique()) == 80 and (chosen < 500).sum() == 40


def test_window_batches_are_contiguous_and_mark_padding():
    pool = DataPool(Layout(SYSTEMS["Pendulum-v1"].spec, Needs(window=16), TRAIN[20.0]))
    sampler = Sampler([TRAIN[20.0]], [torch.tensor([0, 10, 400])], pool, 16, torch_generator(0, "test"))
    pool.build(torch.float64, "cpu")
    index, valid = (x.squeeze(1) for x in StackSampler([sampler]).draw(50, 16))
    assert index.shape == (50, 16, 16)
    first = index[..., 0] < 10
    assert first.any() and (valid.sum(-1) == torch.where(first, 10, 16)).all()
    assert (index.diff(dim=-1)[valid[..., 1:]] == 1).all()
    assert (index[first] < 10).all()


# --- the training step ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arm", [JUMP, MIXED, LSTM, PORT], ids=lambda a: a.model + "-" + a.folder)
@pytest.mark.parametrize("loss", ["increment", "next_state"])
def test_the_loss_is_the_stated_one(arm, loss):
    """Recomputed from the data and the model's own call: the interval of every row reaches the model."""
    one = member(arm)
    one.model.fit_scales(Transitions.concatenate(list(one.train)))
    budget = Budget(10, 1e-3, batch_size=64, loss=loss)
    run = StackRun([Learner(one, one.model, torch_generator(0, "a"), torch_generator(0, "b"))], budget, "cpu")
    run.draw(1)
    index, counted = again(one, budget).draw(1, budget.batch_size // one.model.needs.window)
    counted = counted[0, 0] if arm.model == "lstm" else counted[0, 0].squeeze(-1)
    everything = Transitions.concatenate(list(one.train))
    index = index[0, 0] if arm.model == "lstm" else index[0, 0, :, 0]
    state, action, next_state, delta_t = everything[index].tensors()  # training sets come first in the pool
    scale = everything.state.std(dim=0) if loss == "next_state" else delta_t.unsqueeze(-1) * one.model.rate_scale
    if arm.model == "lstm":
        predicted = one.model.teacher_forced(state, action, delta_t)
    else:
        predicted = one.model(state, action, delta_t)
    expected = ((predicted - next_state) / scale)[counted].square().mean()
    found = run._step.losses(run._chunk[0], run._progress[0])
    torch.testing.assert_close(found[0], expected, rtol=1e-10, atol=0)


def again(one, budget, name="a"):
    """The sampler of a member that trains alone, from the start of its stream."""
    window = one.model.needs.window
    pool = DataPool(Layout(one.model.spec, one.model.needs, one.train[0]))
    return StackSampler([Sampler(one.train, one.train_offsets, pool, window, torch_generator(0, name))])


def test_one_step_is_adam_with_clipping():
    one = member(JUMP)
    one.model.fit_scales(one.train[0])
    reference = build_arm(JUMP, one.model.spec, 0).double()
    reference.load_state_dict(one.model.state_dict())
    budget = Budget(8, 1e-2, batch_size=32, warmup_fraction=0.0, clip=0.05)
    run = StackRun([Learner(one, one.model, torch_generator(0, "a"), torch_generator(0, "b"))], budget, "cpu")
    run.draw(8)
    index, _ = again(one, budget).draw(8, budget.batch_size)
    optimizer = torch.optim.Adam(reference.parameters())
    for step in range(8):
        optimizer.param_groups[0]["lr"] = budget.learning_rate_at(step)
        state, action, next_state, delta_t = one.train[0][index[step, 0, :, 0]].tensors()
        error = (reference(state, action, delta_t) - next_state) / (delta_t.unsqueeze(-1) * reference.rate_scale)
        optimizer.zero_grad()
        error.square().mean().backward()
        torch.nn.utils.clip_grad_norm_(reference.parameters(), budget.clip)
        optimizer.step()
        run.train_step(step, step)
    run._step.weights.write_back(one.model, run._step.weights.flat[0], [])
    for own, theirs in zip(one.model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(own, theirs, rtol=0, atol=1e-12)


def test_learning_rate_warms_up_and_decays():
    budget = Budget(100, 1.0, warmup_fraction=0.1)
    rates = [budget.learning_rate_at(k) for k in range(100)]
    assert rates[0] == 0.1 and rates[9] == 1.0 and rates[10] == 1.0
    assert rates[55] == pytest.approx(0.5) and rates[-1] < 1e-3
    assert all(a <= b for a, b in zip(rates[:9], rates[1:10], strict=True))
    assert all(a >= b for a, b in zip(rates[10:-1], rates[11:], strict=True))
    assert budget.validation_steps() == set(range(5, 101, 5))
    assert Budget(3, 1.0, num_validations=20).validation_steps() == {1, 2, 3}


# --- many members --------------------------------------------------------------------------------------------------


def test_stacked_training_equals_separate_training():
    def members():
        arms = [JUMP, MIXED, Arm("jump", "baseline", train_frequency="50"), LSTM, LSTM, PORT, PORT]
        return [member(arm, seed) for seed, arm in enumerate(arms)]

    together = fit(members(), SHORT)
    alone = [fit([one], SHORT)[0] for one in members()]
    for a, b, left, right in zip(together, alone, weights(together), weights(alone), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=1e-12)
        assert a.best_step == b.best_step and a.stopped == b.stopped
        pd.testing.assert_frame_equal(a.curves, b.curves, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("arm", [MIXED, PORT], ids=lambda a: a.model)
def test_stacked_training_equals_separate_training_in_single_precision(arm):
    budget = Budget(500, 1e-3, batch_size=64, num_validations=2, validation_size=64)

    def members():
        return [member(arm, seed, torch.float32) for seed in range(3)]

    together = fit(members(), budget)
    alone = [fit([one], budget)[0] for one in members()]
    for left, right in zip(weights(together), weights(alone), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=1e-6)  # measured: 1.2e-7, 0.9e-7


def test_the_same_seed_trains_to_the_same_bits():
    first, again = (weights(fit([member(MIXED, 3, torch.float32)], SHORT))[0] for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, weights(fit([member(MIXED, 4, torch.float32)], SHORT))[0])


def poisoned():
    bad = TRAIN[20.0].state.clone()
    bad[7] = torch.nan
    return [Transitions(bad, *TRAIN[20.0].tensors()[1:])]


def test_a_member_with_nan_stops_alone():
    def healthy():
        return [member(JUMP, seed) for seed in range(3)]

    sick = member(JUMP, 9, train=poisoned())
    start = torch.cat([p.detach().flatten() for p in sick.model.parameters()]).clone()
    results = fit([*healthy(), sick], SHORT)
    assert [r.stopped for r in results] == ["budget"] * 3 + ["non_finite"]
    torch.testing.assert_close(weights(results)[3], start, rtol=0, atol=0)  # nothing was worth keeping
    for with_sick, without in zip(weights(results)[:3], weights(fit(healthy(), SHORT)), strict=True):
        torch.testing.assert_close(with_sick, without, rtol=0, atol=1e-12)


def test_a_stack_of_which_nothing_is_left_ends():
    results = fit([member(JUMP, seed, train=poisoned()) for seed in range(2)], SHORT)
    assert [r.stopped for r in results] == ["non_finite"] * 2
    assert all(len(r.curves) < 1 + SHORT.num_validations for r in results)


def test_a_member_that_diverges_keeps_its_best_weights():
    one = member(JUMP)
    huge = Transitions(*(x.clone() for x in TRAIN[20.0].tensors()))
    huge.next_state[::2] = torch.inf
    result = fit([member(JUMP, 1, train=[huge]), one], SHORT)[0]
    assert result.stopped == "non_finite" and result.best_step == 0
    assert weights([result])[0].isfinite().all()


def test_stopped_members_leave_the_stack_and_the_others_do_not_notice():
    """Half of the members validate on the opposite of what they learn, so that waiting never helps them."""
    reversed_val = [Transitions(v.state, v.action, 2 * v.state - v.next_state, v.delta_t) for v in [VAL[20.0]]]
    budget = Budget(100, 3e-3, batch_size=64, patience=2, num_validations=10, validation_size=100)

    def healthy():
        return [member(JUMP, seed) for seed in range(2)]

    losing = [member(JUMP, seed, val=reversed_val) for seed in (7, 8)]
    mixed = fit([losing[0], healthy()[0], losing[1], healthy()[1]], budget)
    assert [r.stopped for r in mixed] == ["patience", "budget", "patience", "budget"]
    assert len(mixed[0].curves) < len(mixed[1].curves) == 11
    separate = fit(healthy(), budget)
    for left, right in zip(weights([mixed[1], mixed[3]]), weights(separate), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=1e-12)
    assert mixed[0].best_val_loss == mixed[0].curves["val_loss"].min()


def test_after_a_validation_a_model_has_the_weights_that_were_scored():
    """Every validation looks at all 200 transitions, so that the loss can be computed again."""
    budget = Budget(60, 3e-2, batch_size=64, patience=2, num_validations=6, validation_size=200)
    trials, seen = [member(JUMP, seed) for seed in range(3)], []
    whole = Batch(*VAL[20.0].tensors())

    def validated(trial, step, curves):
        with torch.no_grad():
            found = trial.model.loss(whole, torch.tensor(1.0))
        seen.append((trial.seed, step))
        assert curves["step"].iloc[-1] == step and curves["val_loss"].iloc[-1] == pytest.approx(found.item(), rel=1e-9)

    results = fit(trials, budget, validated=validated)
    assert [step for seed, step in seen if seed == 0] == results[0].curves["step"].tolist()
    assert {seed for seed, _ in seen} == {0, 1, 2}
    for left, right in zip(
        weights(results), weights(fit([member(JUMP, seed) for seed in range(3)], budget)), strict=True
    ):
        assert torch.equal(left, right)  # who looks on changes nothing


def test_a_model_keeps_its_scales_where_it_is_to():
    trained = fit([member(JUMP)], SHORT)[0].model
    other = Transitions(TRAIN[20.0].state + 1, TRAIN[20.0].action, TRAIN[20.0].next_state + 1, TRAIN[20.0].delta_t)
    scales = copy.deepcopy(trained.scales.state_dict())
    for keeps in (True, False):
        again = replace(member(JUMP, train=[other]), model=copy.deepcopy(trained), keeps_scales=keeps)
        found = fit([again], SHORT)[0].model.scales.state_dict()
        assert all(torch.equal(x, found[name]) for name, x in scales.items()) == keeps


def test_a_schedule_may_be_constant_after_the_warm_up():
    budget = Budget(100, 1.0, warmup_fraction=0.1, schedule="constant")
    assert [budget.learning_rate_at(k) for k in (4, 9, 10, 99)] == [0.5, 1.0, 1.0, 1.0]


# --- going on after a break ---------------------------------------------------------------------------------------


class BreakError(Exception):
    """What ends a process in the middle of a fit."""


def broken_off(trials, budget, unfinished, calls):
    """Fit until `progress` has been called so many times."""
    seen = []

    def progress(done, total):
        seen.append(done)
        if len(seen) > calls:
            raise BreakError

    with pytest.raises(BreakError):
        fit(trials, budget, progress=progress, unfinished=unfinished)


def assert_same_fits(left, right):
    assert all(map(torch.equal, weights(left), weights(right)))  # every bit
    for one, other in zip(left, right, strict=True):
        pd.testing.assert_frame_equal(one.curves, other.curves, check_exact=True)
        named = [(r.best_step, r.best_val_loss, r.stopped, r.trial.label) for r in (one, other)]
        assert named[0] == named[1]


BREAKS = {
    "recorded": (Budget(160, 3e-3, batch_size=64, num_validations=8, validation_size=100), [JUMP, MIXED, JUMP]),
    "members stop": (Budget(160, 3e-3, batch_size=64, patience=2, num_validations=16), [JUMP, "losing", "losing"]),
    "all stop": (Budget(160, 3e-3, batch_size=64, patience=2, num_validations=16), ["losing", "losing"]),
    "memory": (Budget(80, 3e-3, batch_size=64, num_validations=4, validation_size=100), [LSTM, LSTM]),
    "stacks": (Budget(80, 3e-3, batch_size=64, num_validations=4, validation_size=100), [JUMP, LSTM]),
    "ensemble": (Budget(80, 3e-3, batch_size=64, num_validations=4, validation_size=100),
                 [Arm("ensemble", "multi_resolution", "scaled_concat", train_frequency="mixed")]),
}  # fmt: skip


@pytest.mark.parametrize("name", BREAKS)
@pytest.mark.parametrize("calls", [1, 4])
def test_a_training_that_was_cut_off_goes_on_to_the_same_bits(name, calls, tmp_path):
    budget, arms = BREAKS[name]
    reversed_val = [Transitions(v.state, v.action, 2 * v.state - v.next_state, v.delta_t) for v in [VAL[20.0]]]

    def trials():
        return [
            member(JUMP, 7 + k, val=reversed_val, dtype=torch.float32) if arm == "losing"
            else member(arm, k, dtype=torch.float32)
            for k, arm in enumerate(arms)
        ]  # fmt: skip

    whole, first = fit(trials(), budget), []
    kept = UnfinishedFit(tmp_path, "fit", every=0.0)
    fit(trials(), budget, progress=lambda done, total: first.append(done), unfinished=UnfinishedFit(tmp_path, "x", 0.0))
    calls = min(calls, len(first) - 1)
    broken_off(trials(), budget, kept, calls)
    assert list(tmp_path.glob("fit-*.pt"))
    reported = []
    assert_same_fits(fit(trials(), budget, progress=lambda done, total: reported.append(done), unfinished=kept), whole)
    assert len(reported) < len(first)  # it did not start over
    kept.clear()
    assert sorted(path.name[0] for path in tmp_path.iterdir()) == ["x"] * len(list(tmp_path.glob("x-*")))


def test_a_damaged_state_is_noticed_and_the_training_starts_over(tmp_path, caplog):
    budget, kept = BREAKS["recorded"][0], UnfinishedFit(tmp_path, "fit", every=0.0)
    whole = fit([member(dtype=torch.float32)], budget)
    for damage in (lambda b: b[:-7], lambda b: b[:900] + bytes([b[900] ^ 1]) + b[901:], lambda b: b""):
        kept.clear()
        broken_off([member(dtype=torch.float32)], budget, kept, 3)
        (state,) = tmp_path.glob("*.pt")
        state.write_bytes(damage(state.read_bytes()))
        caplog.clear()
        assert_same_fits(fit([member(dtype=torch.float32)], budget, unfinished=kept), whole)
        assert "fit-0.pt is damaged" in caplog.text and "starts over" in caplog.text
    names = {fit_key(1, {"a": 2}), fit_key(1, {"a": 3}), fit_key(2, {"a": 2})}
    assert len(names) == 3 and fit_key(1, {"a": 2}) in names


def test_a_short_training_leaves_no_state_and_a_write_that_fails_leaves_the_one_before(tmp_path, monkeypatch):
    budget = BREAKS["recorded"][0]
    fit([member()], budget, unfinished=UnfinishedFit(tmp_path, "short"))
    assert not list(tmp_path.iterdir())
    kept = UnfinishedFit(tmp_path, "fit", every=0.0)
    broken_off([member()], budget, kept, 3)
    (state,) = tmp_path.iterdir()
    before = state.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *paths: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fit([member()], budget, unfinished=kept)
    assert list(tmp_path.iterdir()) == [state] and state.read_bytes() == before


def test_wide_models_train_one_by_one_on_the_cpu_and_small_ones_together():
    spec = SYSTEMS["Pendulum-v1"].spec
    wide, small = build_model("jump", spec, seed=0, size="small"), build_model("jump", spec, seed=0)
    assert stacks_of([wide, small, wide, small], "cpu") == [[0], [2], [1, 3]]
    assert stacks_of([wide, small, wide, small], "cuda") == [[0, 2], [1, 3]]


def test_ensembles_train_their_members_on_their_own_batches():
    arm = Arm("ensemble", "dt_conditioned", "scaled_concat", train_frequency="20")
    ensemble, jump = fit([member(arm), member(JUMP)], SHORT)
    assert list(ensemble.curves.columns) == list(CURVE_COLUMNS) and len(ensemble.curves) == len(jump.curves)
    assert ensemble.curves["val_loss"].iloc[-1] < ensemble.curves["val_loss"].iloc[0]
    state, action, _, delta_t = VAL[20.0][:50].tensors()
    assert (ensemble.model.spread(state, action, delta_t) > 0).all()
    scales = [m.rate_scale for m in ensemble.model.members]
    assert all(torch.equal(scales[0], s) for s in scales)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("arm", [MIXED, LSTM, PORT], ids=lambda a: a.model)
def test_the_same_program_trains_on_cuda(arm):
    results = [fit([member(arm, seed) for seed in range(3)], SHORT, device) for device in ("cpu", "cuda")]
    for left, right in zip(*map(weights, results), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=1e-7)  # learning rates are single precision on a card


def test_progress_ends_at_the_total():
    seen = []
    fit([member(JUMP), member(PORT)], SHORT, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (80, 80) and all(total == 80 for _, total in seen)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize("arm", [MIXED, LSTM, Arm("newtonian", "ode", "rk4", train_frequency="mixed")],
                         ids=lambda a: a.model)  # fmt: skip
def test_models_learn_the_pendulum_at_every_rate(arm):
    train = [true_transitions(frequency=f, count=5000, seed=3) for f in arm.frequencies]
    result = fit([member(arm, 0, torch.float32, train)], Budget(300, 5e-3, num_validations=3))[0]
    for frequency in (10.0, 20.0, 50.0):
        test = VAL[frequency].to(torch.float32)
        state, action, next_state, delta_t = test.tensors()
        with torch.no_grad():
            if arm.model == "lstm":
                states, actions, steps = (x.unflatten(0, (-1, EPISODE)) for x in (state, action, delta_t))
                predicted = result.model.teacher_forced(states, actions, steps).flatten(0, 1)
            else:
                predicted = result.model(state, action, delta_t)
        relative = (predicted - next_state).square().sum() / (next_state - state).square().sum()
        assert relative.sqrt() < 0.25


def test_shooting_trains_on_windows():
    spec = SYSTEMS["Pendulum-v1"].spec
    model = build_model("newtonian", spec, seed=0, trajectory="shooting")
    arm = Arm("newtonian", "ode", "rk4", train_frequency="20")
    one = Trial(arm, 0, model, [TRAIN[20.0]], [VAL[20.0]], [offsets_of(TRAIN[20.0])], [offsets_of(VAL[20.0])])
    result = fit([one], Budget(40, 5e-3, batch_size=64, num_validations=2))[0]
    assert result.best_val_loss < 0.5 * result.curves["val_loss"].iloc[0]


def with_data(**changes):
    one = member(JUMP)
    return Trial(**{**{k: getattr(one, k) for k in Trial.__dataclass_fields__}, **changes})


def bad_members():
    train = TRAIN[20.0]
    cartpole = build_model("jump", SYSTEMS["CartPole-v1"].spec, seed=0)
    pushes = true_transitions("CartPole-v1", count=50)
    wrong = Transitions(pushes.state, pushes.action + 1, pushes.next_state, pushes.delta_t)
    yield with_data(train=[]), ["train", "at least one set", "jump/baseline_20hz/seed0"]
    yield with_data(val=[train[:0]]), ["val", "no empty one"]
    yield with_data(model=cartpole), ["train", "(N, 4)", "(400, 2)"]
    yield with_data(model=cartpole, train=[wrong], val=[wrong]), ["train", "action indices in 0 .. 1"]
    lstm = build_model("lstm", SYSTEMS["Pendulum-v1"].spec, seed=0)
    yield with_data(model=lstm, train_offsets=None), ["train_offsets", "episode offsets"]
    yield with_data(model=lstm, val_offsets=[torch.tensor([0, 7])]), ["val_offsets", "0 to 200", "0 to 7"]


@pytest.mark.parametrize("case", range(6))
def test_data_that_do_not_fit_are_refused_before_training(case):
    bad, words = list(bad_members())[case]
    good = member(PORT)
    before = weights([type("R", (), {"model": good.model})])[0].clone()
    with pytest.raises(ValueError) as error:
        fit([good, bad], SHORT)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert torch.equal(before, weights([type("R", (), {"model": good.model})])[0])


# --- checkpoints ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", BY_STATES)
@pytest.mark.parametrize("env", ["Pendulum-v1", "CartPole-v1"])
def test_a_checkpoint_predicts_the_same_bits(tmp_path, name, env, dtype):
    data = true_transitions(env, count=50)
    model = build_model(name, SYSTEMS[env].spec, seed=3, train_delta_t=0.02).to(torch.float32)
    model = model.double() if dtype is torch.float64 else model
    model.fit_scales(data)
    save_checkpoint(tmp_path / "seed3", model, {"env": env, "seed": 3})
    state, action, _, delta_t = data.to(dtype).tensors()
    for path in (tmp_path / "seed3", tmp_path / "seed3" / "model.pt", str(tmp_path / "seed3")):
        loaded = load_checkpoint(path)
        assert torch.equal(loaded(state, action, delta_t), model(state, action, delta_t))
        assert type(loaded) is type(model) and loaded.record["seed"] == 3 and loaded.structure() == model.structure()
    assert loaded.spec == model.spec and loaded.options == model.options and loaded.built_as == name


def saved(tmp_path, **config):
    model = build_arm(JUMP, SYSTEMS["Pendulum-v1"].spec, 0)
    return model, save_checkpoint(tmp_path / "baseline_20hz", model, {"env": "Pendulum-v1", **JUMP.keys(), **config})


def test_the_description_is_readable_and_weights_hold_no_pickled_objects(tmp_path):
    curves = fit([member(JUMP)], SHORT)[0].curves
    model = build_arm(JUMP, SYSTEMS["Pendulum-v1"].spec, 0)
    folder = save_checkpoint(tmp_path / "m", model, {"delta_t_support": delta_t_support([TRAIN[20.0]])}, curves)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["delta_t_support"] == [0.05, 0.05] and config["build"]["name"] == "jump"
    assert config["spec"]["state_names"] == ["theta", "omega"] and len(config["model_sha256"]) == 64
    assert set(torch.load(folder / "model.pt", weights_only=True)) == set(model.state_dict())
    pd.testing.assert_frame_equal(pd.read_csv(folder / "training_curves.csv"), curves)


def test_an_interrupted_write_leaves_the_old_files_whole(tmp_path, monkeypatch):
    model, folder = saved(tmp_path)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}

    def interrupted(*paths):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(folder, build_arm(JUMP, model.spec, 1), {})
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert torch.equal(load_checkpoint(folder)(torch.ones(2), torch.ones(1)), model(torch.ones(2), torch.ones(1)))


def test_damaged_checkpoints_are_refused(tmp_path):
    _, folder = saved(tmp_path)
    whole = (folder / "model.pt").read_bytes()
    (folder / "model.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="model.pt must be the file that config.yaml describes"):
        load_checkpoint(folder)
    (folder / "model.pt").write_bytes(whole)
    text = (folder / "config.yaml").read_text()
    for changed, message in (
        (text.replace("checkpoint_version: 2", "checkpoint_version: 9"), "checkpoint_version 2, got 9"),
        (text.replace("hidden_dim: 64", "hidden_dim: 32"), "weights config.yaml describes"),
        (text.replace("name: jump", "name: jumpy").replace(":JumpModel", ":Leap"), "model must be one of"),
        (text.replace("    form: none", "    form: none\n    speed: 3"), "options of model 'jump' must be among"),
        (text.replace("hidden_dim: 64", "hidden_dim: many"), "hidden_dim must be a whole number, got 'many'"),
        (text.replace("spec:", "specification:"), "must describe build .* and spec"),
        ("a: [", "must be YAML"),
        ("just text", "checkpoint_version 2, got 'just text'"),
    ):
        (folder / "config.yaml").write_text(changed)
        with pytest.raises(ValueError, match=message):
            load_checkpoint(folder)
    (folder / "config.yaml").unlink()
    with pytest.raises(ValueError, match="path must be a checkpoint folder"):
        load_checkpoint(folder)


class Linear(DynamicsModel):
    """A model of a user's own, by import path; drawn to no registry."""

    @dataclass(frozen=True)
    class Options(Options):
        width: int = 3
        shape: tuple[int, ...] = (1, 2)

    def __init__(self, spec, options):
        super().__init__(spec, options)
        self.inside = torch.nn.Linear(spec.state_dim + spec.action_dim, options.width)
        self.outside = torch.nn.Linear(options.width, spec.state_dim)

    def forward(self, state, action, delta_t=None):
        state, action, delta_t = self.broadcast(state, action, delta_t)
        change = self.outside(torch.tanh(self.inside(torch.cat([self.scales.features(state)[..., 1:], action], -1))))
        return state + delta_t.unsqueeze(-1) * self.rate_scale * change


PATH = f"{__name__}:Linear"


def test_a_model_of_ones_own_trains_is_saved_and_loaded_by_its_import_path(tmp_path):
    arms = trained_arms([PATH])
    assert [arm.folder for arm in arms] == ["baseline_10hz", "baseline_20hz", "baseline_50hz"]
    results = fit([member(arm, seed, torch.float32) for arm in arms for seed in range(2)], SHORT)
    assert all(r.best_val_loss < 0.9 * r.curves["val_loss"].iloc[0] for r in results)
    model = results[0].model
    assert model.built_as == PATH and model.options == Linear.Options(train_delta_t=0.1)
    save_checkpoint(tmp_path / "m", model, {**arms[0].keys(), "seed": 0})
    loaded = load_checkpoint(tmp_path / "m")  # this module is imported
    state, action, _, delta_t = VAL[20.0].to(torch.float32).tensors()
    assert torch.equal(loaded(state, action, delta_t), model(state, action, delta_t))
    assert type(loaded) is Linear and loaded.options == model.options and loaded.record["model"] == PATH
    assert loaded.structure() == model.structure()
    with pytest.raises(ValueError, match="options of model .* must be among .*'width'"):
        build_model(PATH, SYSTEMS["Pendulum-v1"].spec, depth=2)


def test_a_checkpoint_imports_and_runs_nothing(tmp_path, monkeypatch):
    model = build_model(PATH, SYSTEMS["Pendulum-v1"].spec, seed=0)
    folder = save_checkpoint(tmp_path / "m", model, {})
    text = (folder / "config.yaml").read_text()
    monkeypatch.delitem(sys.modules, __name__)
    with pytest.raises(ValueError, match="imported or passed in classes"):
        load_checkpoint(folder)
    assert type(load_checkpoint(folder, classes=[Linear])) is Linear
    (tmp_path / "stranger.py").write_text("raise SystemExit('a checkpoint ran code')")
    monkeypatch.syspath_prepend(tmp_path)
    for path in ("stranger:Model", "os:system", "torch.nn:Linear", "tdlib.models:build_model", "builtins:object"):
        (folder / "config.yaml").write_text(text.replace(PATH, path))
        with pytest.raises(ValueError, match="imported or passed in classes|subclass of DynamicsModel"):
            load_checkpoint(folder)
    assert "stranger" not in sys.modules


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda p: "/".join(p.parts[-4:-1]))
def test_checkpoints_of_the_first_edition_still_load(path):
    model = load_checkpoint(path.parent)
    assert model.record["checkpoint_version"] in (1, 2)
    assert torch.isfinite(model(torch.zeros(3, model.spec.state_dim), torch.zeros(3, 1))).all()
    arm = Arm(**{key: model.record[key] for key in ARM_COLUMNS})
    built = build_arm(arm, model.spec, 0)
    assert model.structure() == built.structure() and model.options == built.options
    check_rate(model, 1 / model.record["delta_t_support"][0])


def test_what_a_checkpoint_says_cannot_be_changed(tmp_path):
    _, folder = saved(tmp_path, delta_t_support=[0.05, 0.05], metrics={"best_step": 3})
    model = load_checkpoint(folder)
    assert model.record["delta_t_support"] == (0.05, 0.05) and model.record["metrics"]["best_step"] == 3
    assert model.config is model.record and copy.deepcopy(model).record == model.record
    for change in (lambda: model.record.__setitem__("seed", 1), lambda: setattr(model, "record", {}),
                   lambda: model.record["metrics"].update(best_step=4)):  # fmt: skip
        with pytest.raises((AttributeError, TypeError)):
            change()
    again = save_checkpoint(tmp_path / "again", model, model.record)
    assert load_checkpoint(again).record["metrics"] == model.record["metrics"]


def test_what_cannot_be_saved_is_refused_before_writing(tmp_path):
    spec = SYSTEMS["Pendulum-v1"].spec
    with pytest.raises(ValueError, match="build_model"):
        save_checkpoint(tmp_path / "a", RescaledIncrement(SYSTEMS["Pendulum-v1"].flow, 0.05, spec), {})
    with pytest.raises(ValueError, match="plain"):
        save_checkpoint(tmp_path / "b", build_model("jump", spec, seed=0), {"loss": torch.ones(1)})
    assert not list(tmp_path.iterdir())


def test_another_rate_than_the_models_is_an_explicit_choice(tmp_path):
    _, folder = saved(tmp_path, delta_t_support=delta_t_support([TRAIN[20.0].to(torch.float32)]))
    model = load_checkpoint(folder)
    check_rate(model, 20)
    with pytest.raises(ValueError, match="control_frequency.*0.05.*50 Hz = 0.02 s.*allow_other_rate"):
        check_rate(model, 50)
    check_rate(model, 50, allow_other_rate=True)
    several = delta_t_support([TRAIN[f] for f in (10.0, 50.0)])
    _, folder = saved(tmp_path, delta_t_support=several)
    mixed = load_checkpoint(folder)
    check_rate(mixed, 33.3)
    with pytest.raises(ValueError, match="5 Hz"):
        check_rate(mixed, 5)
    check_rate(build_arm(JUMP, model.spec, 0), 20)  # unsaved: its own training step
