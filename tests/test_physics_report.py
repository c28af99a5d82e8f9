"""Energy and intervals of physics systems: planted losses, exact flows and lost predictions are told apart."""

import dataclasses
import json
import math
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from notebook_cells import run_cells

from tdlib import evaluation
from tdlib.core.specs import least_action
from tdlib.data.sources.sequences import collect_sequences
from tdlib.evaluation.measures.energy import lacks_unforced, learned_energy
from tdlib.evaluation.sets.sequences import FIXED_STEPS, FIXED_TIME
from tdlib.models import Persistence, build_model
from tdlib.speed import Stack
from tdlib.study import checkpoint_report
from tdlib.study.checkpoint_report import console_tables, evaluate_checkpoints, find_checkpoints
from tdlib.study.phases.evaluate import evaluate_environment, load_test_set
from tdlib.study.phases.train import ensure_trained
from tdlib.study.run import open_run
from tdlib.study.selection import select_arms
from tdlib.systems import SYSTEMS
from tdlib.training import load_checkpoint, rebuild_env, rebuild_model

OSCILLATOR = SYSTEMS["oscillator"]
RATES = (20, 10, 5, 2)


@pytest.fixture(scope="module")
def test_set():
    data = [collect_sequences(OSCILLATOR, 60, 24, seed=0)]
    return evaluation.build_test_set(OSCILLATOR, data, seed=0, rates=RATES, num_pairs=16, num_starts=32, horizon=1.0)


def exact(system, parameters=None, *, delta_t=None):
    """The true flow as a model, of the parameters of every start where they are given; of one interval if asked."""

    def model(state, action, asked):
        drawn = None if parameters is None else parameters.expand(*state.shape[:-1], parameters.shape[-1])
        return system.flow(state.double(), action.double(), asked.double() if delta_t is None else delta_t, drawn)

    return model


# --- energy -----------------------------------------------------------------------------------------------------------


def test_the_exact_flow_drifts_as_the_truth_does(test_set):
    drawn = test_set.rollouts["10"].parameters
    table = evaluation.energy_drift(exact(OSCILLATOR, drawn), test_set, OSCILLATOR, kinds=["driven"])
    assert set(table["test_frequency"]) == {"20", "10", "5", "2"} and (table["n"] == 32).all()
    assert (table["true_drift"] > 0.01).all() and (table["n_diverged"] == 0).all()
    assert table["energy_error"].max() < 1e-5
    for name in ("drift", "relative_drift", "change"):
        assert np.allclose(table[name], table[f"true_{name}"], atol=1e-4, rtol=1e-4)
    scale = OSCILLATOR.total_energy(test_set.rollouts["10"].state, drawn).std()
    assert np.allclose(table["scale"], float(scale)) and table["learned_drift"].isna().all()
    assert np.allclose(table["scaled_drift"] * table["scale"], table["drift"])
    average = evaluation.energy_drift(exact(OSCILLATOR), test_set, OSCILLATOR, kinds=["driven"])
    assert (average["energy_error"] > 0.01).any()  # of one damping for all sequences


def test_without_losses_a_model_that_keeps_the_energy_is_told_from_one_that_loses_it(test_set):
    def last(model):
        table = evaluation.energy_drift(model, test_set, OSCILLATOR, rates=["10"], kinds=["unforced"])
        return table[table["time"] == table["time"].max()].iloc[0]

    kept, lost = last(exact(OSCILLATOR.without_losses())), last(exact(OSCILLATOR))
    assert kept["drift"] < 1e-5 and kept["true_drift"] == 0
    energy = OSCILLATOR.total_energy(test_set.rollouts["10"].state)
    mass, damping = OSCILLATOR.parameters["mass"], OSCILLATOR.parameters["damping"]
    assert lost["change"] < 0 and lost["drift"] == pytest.approx(-lost["change"], rel=1e-6)
    # over one period or so a weakly damped oscillator keeps exp(−c t / m) of its energy
    assert lost["drift"] == pytest.approx(float(energy.mean()) * (1 - math.exp(-damping / mass)), rel=0.25)
    assert lost["energy_error"] > lost["drift"] and lost["relative_drift"] == pytest.approx(0.18, abs=0.05)


def test_energy_that_is_no_number_is_counted_and_not_left_out(test_set):
    def lost(state, action, delta_t):
        moved = OSCILLATOR.flow(state.double(), action.double(), delta_t.double())
        return torch.where(state[..., :1] > 0.5, torch.full_like(moved, torch.nan), moved)

    table = evaluation.energy_drift(lost, test_set, OSCILLATOR, rates=["10"], kinds=["driven"])
    row = table[table["time"] == 0.1].iloc[0]
    assert row["n_diverged"] == int((test_set.rollouts["10"].state[:, 0] > 0.5).sum()) > 0
    assert row["n"] == 32 and np.isinf(row["drift"]) and np.isinf(row["energy_error"])


def test_learned_energies_are_known_up_to_an_affine_scale(test_set):
    models = [build_model("port_hamiltonian", OSCILLATOR.spec, seed=seed) for seed in (0, 1)]
    stack, state = Stack(models), test_set.rollouts["10"].state.unsqueeze(0)
    found = learned_energy(stack)(state)
    assert found.shape == (2, 32) and found.dtype == torch.float64
    for k, model in enumerate(models):
        assert torch.allclose(found[k].float(), model.energy(state[0].float()), atol=1e-5)
    assert learned_energy(Stack([build_model("jump", OSCILLATOR.spec, seed=0)])) is None
    assert learned_energy(Stack([build_model("newtonian", OSCILLATOR.spec, seed=0)])) is None

    before = evaluation.energy_drift(stack, test_set, OSCILLATOR, rates=["10"])
    with torch.no_grad():  # ten times the energy, and the constant of the last layer shifted: the same drift
        for model in models:
            last = model.field.network[-1]
            last.bias.add_(3.0)
    shifted = evaluation.energy_drift(Stack(models), test_set, OSCILLATOR, rates=["10"])
    assert (before["learned_drift"] > 0).all()
    assert np.allclose(before["learned_drift"], shifted["learned_drift"], rtol=1e-6)


def test_a_system_without_an_idle_action_has_driven_rollouts_only():
    system = SYSTEMS["CartPole-v1"]
    assert lacks_unforced(system) == "needs an action without input"
    assert lacks_unforced(SYSTEMS["CartPoleContinuous-v1"]) is None
    assert "loses" in lacks_unforced(dataclasses.replace(OSCILLATOR, lossless=None))
    spinning = SYSTEMS["spaceship"].spec
    assert not spinning.held_input(least_action(spinning)).any()


def test_a_leapfrog_field_without_damping_keeps_its_learned_energy(test_set):
    model = build_model("separable_hamiltonian", OSCILLATOR.spec, seed=0, solver="leapfrog")
    with torch.no_grad():
        model.field.log_damping.fill_(-40.0)
        model.field.port.weight.zero_()
    damped = build_model("separable_hamiltonian", OSCILLATOR.spec, seed=0, solver="leapfrog")
    with torch.no_grad():
        damped.field.log_damping.fill_(1.0)
        damped.field.port.weight.zero_()
    drifts = {}
    for name, own in (("kept", model), ("lost", damped)):
        table = evaluation.energy_drift(Stack([own]), test_set, OSCILLATOR, rates=["20"], kinds=["unforced"])
        drifts[name] = table["learned_drift"].max()
    assert drifts["kept"] < 0.1 * drifts["lost"] and drifts["lost"] > 0.02  # of an untrained field, slow still


# --- intervals --------------------------------------------------------------------------------------------------------


def test_sequences_ask_the_same_of_every_interval(test_set):
    every = test_set.sequences(("20", "10", "5", "2"), 10)
    assert every is test_set.sequences(("20", "10", "5", "2"), 10)  # truth is followed once
    steps = {one.rate: one.rollouts for one in every if one.protocol == FIXED_STEPS}
    timed = {one.rate: one.rollouts for one in every if one.protocol == FIXED_TIME}
    assert set(steps) == set(timed) == {"20", "10", "5", "2"}
    assert all(torch.equal(one.actions, steps["20"].actions) for one in steps.values())
    assert {one.states.shape for one in steps.values()} == {(32, 10, 2)}
    for one in timed.values():
        assert float(one.times[-1]) == pytest.approx(1.0)
        assert torch.allclose(one.states[:, -1], timed["20"].states[:, -1], atol=1e-9)  # equal forces, equal ends
    with pytest.raises(ValueError, match=r"rates must be some of the test set's .*'50'"):
        test_set.sequences(("50",), 10)


def test_an_exact_model_errs_at_no_interval_and_no_change_scores_one(test_set):
    drawn = test_set.rollouts["10"].parameters
    members = [{"env": "oscillator", "model": "exact", "seed": 0, "train_frequency": "10"}]
    table = evaluation.dt_generalization(exact(OSCILLATOR, drawn), test_set, OSCILLATOR.spec, members)
    assert len(table) == 8 and (table["n"] == 32).all() and (table["n_diverged"] == 0).all()
    assert sorted(set(table["delta_t"])) == [0.05, 0.1, 0.2, 0.5]
    assert np.allclose(table.loc[table["protocol"] == FIXED_STEPS, "horizon"], 50 * table["delta_t"].unique())
    assert np.allclose(table.loc[table["protocol"] == FIXED_TIME, "horizon"], 5.0)
    assert table["mse"].max() < 1e-8 and (table["no_change_mse"] > 0.1).all()
    still = evaluation.dt_generalization(Persistence(OSCILLATOR.spec), test_set, OSCILLATOR.spec)
    assert np.allclose(still["relative_error"], 1.0, atol=1e-4)
    assert np.allclose(still["mse"], still["no_change_mse"], rtol=1e-4) and still["unaware_mse"].isna().all()


def test_a_map_that_ignores_delta_t_scores_its_limit(test_set):
    drawn = test_set.rollouts["10"].parameters
    members = [{"env": "oscillator", "model": "map", "seed": 0, "train_frequency": "10"}]
    fixed = exact(OSCILLATOR, drawn, delta_t=0.1)
    table = evaluation.dt_generalization(fixed, test_set, OSCILLATOR.spec, members, num_steps=20)
    own = table["delta_t"] == 0.1
    assert np.allclose(table["mse"], table["unaware_mse"], rtol=1e-3, atol=1e-9)
    assert table.loc[own, "relative_error"].max() < 1e-4
    assert table.loc[~own, "unaware_error"].min() > 0.1


def test_lost_predictions_are_counted_and_not_left_out(test_set):
    def lost(state, action, delta_t):
        moved = OSCILLATOR.flow(state.double(), action.double(), delta_t.double())
        return torch.where(moved[..., :1] > 1.5, 1e3 * moved, moved)

    table = evaluation.dt_generalization(lost, test_set, OSCILLATOR.spec, num_steps=20)
    assert (table["n_diverged"] > 0).any() and (table["n_diverged"] < table["n"]).any() and (table["n"] == 32).all()

    def no_number(state, action, delta_t):
        return torch.full_like(state, torch.nan)

    table = evaluation.dt_generalization(no_number, test_set, OSCILLATOR.spec, num_steps=3)
    assert (table["n_diverged"] == 32).all() and np.isinf(table["mse"]).all()


def test_a_test_set_without_the_intervals_is_told_so(test_set):
    data = [collect_sequences(OSCILLATOR, 12, 12, seed=0)]
    fine = evaluation.build_test_set(OSCILLATOR, data, seed=0, rates=(50, 100), num_pairs=4, num_starts=4, horizon=0.2)
    with pytest.raises(ValueError, match=r"test_sets must have one of the rates"):
        evaluation.dt_generalization(Persistence(OSCILLATOR.spec), fine, OSCILLATOR.spec)
    found = evaluation.evaluate_stack(Persistence(OSCILLATOR.spec), None, fine, OSCILLATOR,
                                      measures=["dt_generalization", "energy"])  # fmt: skip
    assert "dt_generalization" not in found and "20, 10, 5, 2" in found["skipped"]["reason"].iloc[0]


# --- the report -------------------------------------------------------------------------------------------------------

PRESET = {
    "name": "tiny",
    "chapter": "physics",
    "description": "A report's trial.",
    "environments": ["oscillator", "spaceship"],
    "seeds": [0, 1],
    "models": ["jump", "lstm", "port_hamiltonian"],
    "methods": ["baseline", "ode"],
    "forms": ["none", "rk4"],
    "train_frequencies": [10],
    "test_frequencies": [20, 10, 5, 2],
    "collection": {"num_transitions": 400, "num_random_transitions": 400, "sequence_length": 10},
    "training": {"num_steps": 20, "learning_rate": 0.003},
    "evaluation": {"num_pairs": 16, "num_starts": 32, "num_steps": 4},
    "control": {"frequencies": [10], "episodes_per_seed": 1, "replan_seconds": 0.5},
    "checks": {"max_own_rate_error": 2.0},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    path = root / "tiny.yaml"
    path.write_text(yaml.safe_dump(PRESET))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TDLIB_RUNS", str(root))
        run = open_run(path)
        ensure_trained(run, "oscillator")
        yield run


@pytest.fixture(scope="module")
def report(run):
    return evaluate_checkpoints(run, ["oscillator/jump/baseline_10hz", "oscillator/port_hamiltonian"], horizon=10)


def test_a_preset_says_how_long_its_sequences_are(run):
    chosen = select_arms(run, models=["jump"], seeds=[0])
    tables = evaluate_environment(run, "oscillator", chosen)
    steps = tables["dt_generalization"].query("protocol == 'fixed_steps'")
    assert np.allclose(steps["horizon"], 4 * steps["delta_t"]) and set(steps["model"]) == {"none", "jump"}
    assert set(tables["energy_drift"]["kind"]) == {"driven", "unforced"}


def test_checkpoints_are_found_by_every_name_and_once(run, tmp_path):
    short = "oscillator/jump/baseline_10hz/seed0"
    folder = run.layout.models / short
    for name in (short, folder, folder / "model.pt", f"tiny/{short}"):
        assert find_checkpoints(run, [name]) == {short: folder.resolve()}
    assert list(find_checkpoints(run, [short, folder, short])) == [short]
    (tmp_path / "link").symlink_to(folder)
    assert list(find_checkpoints(run, [short, tmp_path / "link"])) == [short]
    assert len(find_checkpoints(run, ["oscillator/jump"])) == 4  # two arms, two seeds
    with pytest.raises(ValueError, match=r"checkpoints must lead to a model.pt, 'nowhere' does not: looked in .*tiny"):
        find_checkpoints(run, ["nowhere"])
    with pytest.raises(ValueError, match="at least one"):
        evaluate_checkpoints(run, [])


def test_checkpoints_of_two_systems_are_refused(run):
    folder = run.layout.models / "oscillator/jump/baseline_10hz/seed0"
    other = run.layout.models / "elsewhere/seed0"
    shutil.copytree(folder, other)
    config = (other / "config.yaml").read_text().replace("env: oscillator", "env: spaceship")
    (other / "config.yaml").write_text(config)
    with pytest.raises(
        ValueError, match=r"checkpoints must be of one system, got oscillator .*, spaceship \(elsewhere"
    ):
        evaluate_checkpoints(run, [folder, "elsewhere"])
    shutil.rmtree(other.parent)


def test_a_report_says_of_every_checkpoint_what_the_measures_say(run, report):
    assert list(report.folders) == [
        *(f"oscillator/jump/baseline_10hz/seed{seed}" for seed in (0, 1)),
        *(f"oscillator/port_hamiltonian/ode_rk4_10hz/seed{seed}" for seed in (0, 1)),
    ]
    numbers = report.checkpoints.set_index("checkpoint")
    assert (numbers["n"] == 32).all() and numbers[["train_loss", "val_loss"]].notna().all().all()
    steps = report.dt_generalization
    own = steps[(steps["protocol"] == FIXED_STEPS) & (steps["delta_t"] == 0.1)].set_index("checkpoint")
    assert np.allclose(numbers["open_loop_mse"], own.loc[numbers.index, "mse"], rtol=1e-6)
    assert np.allclose(report.horizons.groupby("checkpoint")["mse"].mean()[numbers.index], numbers["open_loop_mse"])
    drift = report.energy_drift
    last = drift[(drift["kind"] == "driven") & np.isclose(drift["time"], 1.0)].set_index("checkpoint")
    assert np.allclose(numbers["energy_drift"], last.loc[numbers.index, "drift"])
    learned = report.energies.groupby("model")["energy_learned"].count()
    assert learned["jump"] == 0 and learned["port_hamiltonian"] > 0
    begun = report.energies[report.energies["time"] == 0.0]
    assert np.allclose(begun["energy"], begun["energy_true"])
    # one at a time they score as in a stack
    alone = evaluate_checkpoints(run, ["oscillator/port_hamiltonian/ode_rk4_10hz/seed1"], horizon=10)
    name = alone.checkpoints["checkpoint"].iloc[0]
    assert alone.checkpoints["open_loop_mse"].iloc[0] == pytest.approx(numbers.loc[name, "open_loop_mse"], rel=1e-4)


def test_a_model_that_remembers_is_given_its_past(run):
    found = evaluate_checkpoints(run, ["oscillator/lstm"], horizon=10)
    assert len(found.folders) == 2 and np.isfinite(found.checkpoints["open_loop_mse"]).all()
    name, folder = next(iter(found.folders.items()))
    rollouts = load_test_set(run, "oscillator", 0).sequences(("20", "10", "5", "2"), 10)[2].rollouts
    forgetful = evaluation.open_loop_rollout(
        load_checkpoint(folder), rollouts.state, rollouts.actions, rollouts.delta_t, context=None
    )
    without = evaluation.squared_error(forgetful, rollouts.states, OSCILLATOR.spec).mean()
    with_past = found.checkpoints.set_index("checkpoint").loc[name, "open_loop_mse"]
    assert rollouts.context is not None and float(without) != pytest.approx(with_past, rel=1e-3)


def test_runs_of_one_model_stay_apart(run):
    first, other = "oscillator/jump/baseline_10hz/seed0", run.layout.models / "again/baseline_10hz/seed0"
    shutil.copytree(run.layout.models / first, other)
    both = evaluate_checkpoints(run, [first, other], horizon=5)
    shutil.rmtree(other.parents[1])
    assert len(both.checkpoints) == 2 and both.checkpoints["arm"].nunique() == 2
    assert all(arm.endswith("baseline_10hz)") for arm in both.checkpoints["arm"])
    assert both.checkpoints["open_loop_mse"].nunique() == 1


def test_a_report_is_written_whole_and_beside_an_earlier_one(run, report):
    folder = checkpoint_report.write_report(run, report, "now")
    assert folder == run.layout.reports / "now"
    pictures = ("rollout_comparison", "energy_comparison", "dt_generalization", "mse_over_horizon")
    assert all((folder / f"{name}.png").is_file() for name in pictures)
    for name in pictures:
        words = json.loads((folder / f"{name}.json").read_text())
        assert re.search(r"oscillator[^.]*\)\.$", words["caption"]) and words["alt"].endswith(".")
    summary = pd.read_csv(folder / "summary.csv")
    assert list(summary["n"]) == [64, 64] and (summary["n_checkpoints"] == 2).all()
    for name in ("open_loop_mse", "energy_drift", "relative_energy_drift", "unforced_drift"):
        assert (summary[f"{name}_low"] <= summary[name]).all() and (summary[name] <= summary[f"{name}_high"]).all()
    assert len(pd.read_csv(folder / "dt_generalization.csv")) == 2 * 2 * 4
    small = evaluate_checkpoints(run, ["oscillator/jump/baseline_10hz/seed0"], horizon=2)
    assert checkpoint_report.write_report(run, small, "now").name == "now_2"


def test_an_evaluation_of_one_checkpoint_is_written_with_all_its_numbers(run, report):
    own = checkpoint_report.write_evaluation(run, report, "oscillator/jump/baseline_10hz/seed0")
    assert own == run.layout.evaluations / "oscillator--jump--baseline_10hz--seed0"
    assert {path.name for path in own.glob("*.png")} == {"rollout.png", "energy.png", "dt_generalization.png"}
    metrics = json.loads((own / "eval_metrics.json").read_text())
    assert metrics["n"] == 32 and len(metrics["mse_over_horizon"]) == 10 and len(metrics["dt_generalization"]) == 8
    assert metrics["mse_over_horizon"][-1]["time"] == pytest.approx(1.0)
    with pytest.raises(ValueError, match="checkpoint must be one of"):
        checkpoint_report.write_evaluation(run, report, "other")


def test_a_cell_of_the_grid_compares_nothing_and_who_names_checkpoints_gets_their_files(
    run, tmp_path, monkeypatch, capsys
):
    path = run.layout.root.parent / "tiny.yaml"

    def page(**parameters):
        variables, part = {}, {"env": "oscillator", "models": ["jump"], "seeds": [0]}
        list(run_cells("11_physics_evaluate", variables, preset=path, **part, **parameters))
        return variables["report"]

    monkeypatch.setenv("TDLIB_LOGS", str(tmp_path))  # of the bar that a job leaves
    monkeypatch.setenv("TDLIB_JOB", "cells/11_physics_evaluate-oscillator-jump")
    assert page() is None
    monkeypatch.delenv("TDLIB_JOB")
    short = "oscillator/jump/baseline_10hz/seed0"
    assert list(page(checkpoints=[short], horizon=5).folders) == [short]
    said = "written to results/evaluations/oscillator--jump--baseline_10hz--seed0"
    assert capsys.readouterr().out.count(said) == 1 and (run.layout.root / said[11:] / "eval_metrics.json").is_file()


def test_tables_for_the_console_hold_every_arm_and_interval(report):
    text = console_tables(report)
    assert all(text.count(arm) == 3 for arm in set(report.checkpoints["arm"]))
    assert text.count("Δt = 0.5 s") == 2 and "2 × 32" in text


def test_means_over_checkpoints_count_what_is_not_finite():
    table = pd.DataFrame({"arm": ["a"] * 3 + ["b"], "mse": [1.0, 4.0, np.inf, np.nan], "n": 32})
    plain = checkpoint_report.over_checkpoints(table, "mse", ["arm"]).set_index("arm")
    assert plain.loc["a", "mean"] == 2.5 and plain.loc["a", "low"] == 0 and plain.loc["a", "bad"] == 1
    assert np.isnan(plain.loc["b", "mean"]) and plain.loc["b", "bad"] == 1
    geometric = checkpoint_report.over_checkpoints(table, "mse", ["arm"], logarithmic=True).set_index("arm")
    assert geometric.loc["a", "mean"] == pytest.approx(2.0) and geometric.loc["a", "low"] > 0


def test_a_checkpoint_rebuilds_its_model_and_system(run):
    folder = run.layout.models / "oscillator/jump/baseline_10hz/seed0"
    assert rebuild_env(folder) is OSCILLATOR
    rebuilt, loaded = rebuild_model(folder).state_dict(), load_checkpoint(folder).state_dict()
    assert all(torch.equal(rebuilt[name], loaded[name]) for name in loaded)
