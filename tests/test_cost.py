"""Counts of work equal what a tiny run does, and predictions are those counts times the unit costs."""

import json
import math
from dataclasses import replace

import pandas as pd
import pytest
import torch
import yaml

from tdlib.data import collect_random, load_dataset
from tdlib.data.sources.sequences import collect_sequences
from tdlib.evaluation import build_test_set
from tdlib.evaluation.control.dynamics import Oracle
from tdlib.evaluation.control.episodes import ControlSettings, evaluate_control
from tdlib.evaluation.control.starts import control_starts
from tdlib.evaluation.measures.energy import lacks_unforced
from tdlib.evaluation.measures.generalization import DT_RATES
from tdlib.evaluation.tables import frequency_label
from tdlib.grid.times import phase_times
from tdlib.planning import CEM, MPPI, Enumeration
from tdlib.publish.speed_page import _phases
from tdlib.study.arms import Arm, trained_arms
from tdlib.study.book import runs_of
from tdlib.study.chapters import CHAPTERS, load_chapter
from tdlib.study.cost import (
    KINDS,
    ORACLE,
    family,
    growth_exponent,
    load_units,
    num_planned_transitions,
    num_test_transitions,
    optimizer_steps,
    predict,
    predicted_hours,
    preset_work,
    training_unit,
    unmeasured,
)
from tdlib.study.layout import RunLayout
from tdlib.study.phases.collect import ensure_collected, ppo_dataset_path, random_dataset_path
from tdlib.study.phases.train import budget_of, load_curves, train_environment
from tdlib.study.picture_cost import num_frames, picture_unit
from tdlib.study.predicted_cost import predicted_before, write_predictions
from tdlib.study.presets import PRESET_FOLDER, load_preset
from tdlib.study.run import Run, open_run
from tdlib.study.selection import arms_of, everything
from tdlib.systems import SYSTEMS
from tdlib.training import Trial


@pytest.fixture
def tiny(tmp_path):
    content = yaml.safe_load((PRESET_FOLDER / "smoke.yaml").read_text())
    content |= {"name": "tiny", "environments": ["Pendulum-v1"], "models": ["first_order_ode"], "seeds": [3]}
    content["collection"] = {"num_transitions": 512, "num_random_transitions": 640}
    content["training"] = {"num_steps": 4, "learning_rate": 0.001}
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(content))
    return Run(load_preset(path), RunLayout(tmp_path / "tiny"))


def counts(preset, kind):
    work = preset_work(preset)
    return work[work["kind"] == kind].groupby("what")["count"].sum().to_dict()


def test_collected_and_trained_as_much_as_counted(tiny):
    env, seed = "Pendulum-v1", 3
    ensure_collected(tiny, env)
    found = {"PPO transitions": 0, "random transitions": 0}
    for rate in tiny.preset.train_frequencies:
        for name, path in (("PPO transitions", ppo_dataset_path), ("random transitions", random_dataset_path)):
            found[name] += len(load_dataset(path(tiny, env, rate, seed), rate))
    assert counts(tiny.preset, "collection") == found

    train_environment(tiny, env)
    curves = load_curves(tiny, env)
    arms = [arm for arm in arms_of(tiny.preset) if arm.source == arm]
    last = curves.groupby(["form", "train_frequency"])["step"].max()
    assert len(last) == len(arms)
    assert counts(tiny.preset, "training") == {
        f"first_order_ode {form}": int(last[form].sum()) for form in last.index.unique("form")
    }


@pytest.mark.parametrize("env", ["Pendulum-v1", "CartPoleContinuous-v1"])
def test_test_sets_hold_as_many_transitions_as_counted(env):
    preset = load_preset("smoke")
    sets = [collect_random(env, rate, 0, 400) for rate in preset.train_frequencies]
    other = sets if env == "Pendulum-v1" else ()
    sizes = {"num_pairs": preset.evaluation.num_pairs, "num_starts": preset.evaluation.num_starts}
    rates = (*preset.test_frequencies, "irregular")
    found = build_test_set(SYSTEMS[env], sets, seed=0, rates=rates, shift=other, horizon=1.0, **sizes)
    pairs = sum(part.delta_t.numel() for part in found.pairs.values())
    steps = sum(part.actions.shape[0] * part.actions.shape[1] for part in found.rollouts.values())
    assert num_test_transitions(preset, env) == pairs + steps


@pytest.mark.parametrize("env", ["oscillator", "spaceship", "bouncing_ball"])
def test_a_chapter_counts_the_sequences_and_unforced_rollouts_of_its_own_measures(env):
    preset = load_preset("physics_smoke")
    rates = [*map(frequency_label, preset.test_frequencies), "irregular"]
    evaluation = preset.evaluation
    found = build_test_set(
        SYSTEMS[env], [collect_sequences(env, 40, 20, 0)], seed=0, rates=(*preset.test_frequencies, "irregular"),
        num_pairs=evaluation.num_pairs, num_starts=evaluation.num_starts, horizon=evaluation.horizon,
        hold=evaluation.hold,
    )  # fmt: skip
    steps = {rate: part.actions[..., 0].numel() for rate, part in found.rollouts.items()}
    sequences = found.sequences(tuple(rate for rate in DT_RATES if rate in rates), evaluation.num_steps)
    own = sum(part.rollouts.actions[..., 0].numel() for part in sequences)
    own += 0 if lacks_unforced(SYSTEMS[env]) else sum(steps.values())
    pairs = evaluation.num_pairs * (len(rates) + len(preset.train_frequencies))
    assert own > 0 and num_test_transitions(preset, env) == pairs + sum(steps.values()) + own


def test_a_chapter_costs_what_its_notebooks_do():
    preset = load_preset("physics_quick")
    work = preset_work(preset)
    assert set(work["kind"]) == {"collection", "training", "evaluation"}  # nothing is controlled
    sequences = work[work["what"] == "sequence transitions"]
    assert sequences["count"].sum() == len(preset.environments) * len(preset.seeds) * 3 * 2000
    arms = [arm for env in preset.environments for arm in arms_of(preset, env) if arm.source == arm]
    assert sum(counts(preset, "training").values()) == 120 * len(preset.seeds) * len(arms) > 0


def test_a_chapter_plans_where_it_says_and_with_the_arms_it_names():
    preset = load_preset("history")
    work = preset_work(preset).query("kind == 'control'")
    assert set(work["env"]) == {preset.environments[0]}  # its notebook runs once, on the first system
    planned = [arm for arm in arms_of(preset) if arm.acts and load_chapter("history").plans(arm)]
    assert everything(open_run("history")).acting.arms == tuple(planned)
    assert 5 < len(planned) < 12 and {arm.model for arm in planned} == {"jump", "lstm", "gru"}
    assert set(work["model"]) == {"", "jump", "lstm", "gru"}
    few, without = preset.model_copy(update={"models": ("jump", "gru")}), load_preset("history_quick")
    assert preset_work(few).query("kind == 'control' and model == 'gru'")["count"].sum() == (
        work.loc[work["model"] == "gru", "count"].sum()
    )
    assert preset_work(without).query("kind == 'control'").empty  # a preset that does not speak of control


def test_runs_side_by_side_share_the_cores_and_what_was_not_measured_is_named():
    study = load_preset("smoke")
    runs = runs_of(study)
    assert [run.chapter for run in runs] == list(CHAPTERS)
    work = pd.concat(map(preset_work, runs))
    units = work[["kind", "what"]].drop_duplicates().assign(seconds=1e-4)
    both, alone = (predicted_hours(each, units, cores=1)["cpu"] for each in (runs, [study]))
    assert both == pytest.approx(1e-4 * work["count"].sum() / 3600) and both > alone
    chains = [predicted_hours([run], units, cores=1000)["wall"] for run in runs]
    assert predicted_hours(runs, units, cores=1000)["wall"] == pytest.approx(max(chains))
    assert unmeasured(runs, units) == []
    known = units[units["what"] != "sequence transitions"]
    assert unmeasured(runs, known) == ["collection: sequence transitions"] and unmeasured([study], known) == []


class Counting(Oracle):
    """The true system, which counts the transitions that a planner asks for."""

    count = 0

    def predict_sequence(self, state, actions, delta_t, context=None):
        Counting.count += actions[..., 0].numel()
        return super().predict_sequence(state, actions, delta_t, context)


SAMPLING = (CEM(population=8, num_iterations=2), MPPI(population=8))


@pytest.mark.parametrize(("rate", "model_rate"), [(20.0, None), (50.0, 10.0), (10.0, 50.0), (16.0, None)])
@pytest.mark.parametrize(
    ("env", "planner"), [*(("Pendulum-v1", each) for each in SAMPLING), ("CartPole-v1", Enumeration())]
)
def test_planners_imagine_as_many_transitions_as_counted(env, planner, rate, model_rate):
    preset = load_preset("smoke")
    control = preset.control
    system, Counting.count = SYSTEMS[env], 0
    settings = ControlSettings(
        duration=control.episode_seconds,
        replan_interval=control.replan_seconds,
        model_delta_t=None if model_rate is None else 1 / model_rate,
    )
    with torch.no_grad():
        evaluate_control(
            Counting(system), system, rate, control_starts(system, 3), planner=planner, settings=settings,
        )  # fmt: skip
    assert Counting.count == 3 * num_planned_transitions(preset, env, rate, planner, model_rate)


def test_a_prediction_that_was_written_down_stays_and_counts_all_seeds(tmp_path):
    path, quick = tmp_path / "predicted.csv", load_preset("quick")
    units = preset_work(quick)[["kind", "what"]].drop_duplicates().assign(seconds=3600e-6)
    whole = write_predictions([quick.model_copy(update={"taken": (1,)}), load_preset("smoke")], units, path)
    counts = preset_work(quick).groupby("kind")["count"].sum()
    assert predicted_before("quick", path) == pytest.approx({kind: 1e-6 * n for kind, n in counts.items()}, abs=5e-4)
    write_predictions([quick], units.assign(seconds=0.0), path)
    assert set(predicted_before("quick", path).values()) == {0.0}  # its own rows are replaced, others stay
    assert len(pd.read_csv(path)) == len(whole) and predicted_before("full", path) == {}
    before = predicted_before("full")
    assert set(before) == set(KINDS) and 5 < sum(before.values()) < 20


def test_an_epoch_budget_counts_batches():
    literal = load_preset("full_literal")
    batches = math.ceil(0.7 * literal.collection.num_transitions / literal.training.batch_size)
    assert optimizer_steps(literal, "hidden64") == literal.training.num_epochs * batches
    full = load_preset("full")
    assert optimizer_steps(full, "large") == full.training.num_steps_large


def test_predictions_are_counts_times_unit_costs():
    preset = load_preset("quick")
    work = preset_work(preset)
    units = work[["kind", "what"]].drop_duplicates().assign(seconds=2e-6)
    table = predict(preset, units)
    assert table["cpu_seconds"].sum() == pytest.approx(2e-6 * work["count"].sum())
    hours = predicted_hours([preset], units, cores=2)
    assert hours["cpu"] == pytest.approx(table["cpu_seconds"].sum() / 3600)
    assert hours["cpu"] / 2 <= hours["wall"] <= hours["cpu"]
    # many cores do not make the longest chain of jobs shorter
    assert predicted_hours([preset], units, cores=1000)["wall"] == pytest.approx(
        max(rows["cpu_seconds"].sum() - min(rows.groupby("kind")["cpu_seconds"].sum()[["evaluation", "control"]])
            for _, rows in table.groupby("env")) / 3600
    )  # fmt: skip
    assert predict(preset, units.iloc[1:])["cpu_seconds"].isna().any()  # not measured is not zero


def test_twice_the_seeds_cost_twice_as_much():
    one = load_preset("smoke")
    two = one.model_copy(update={"seeds": (0, 1)})
    for kind in ("collection", "training", "evaluation", "control"):
        first, second = counts(one, kind), counts(two, kind)
        oracle = first.pop(ORACLE, 0), second.pop(ORACLE, 0)
        assert oracle[0] <= oracle[1] < 2 * oracle[0] or kind != "control"  # a mark needs as many starts of two seeds
        assert {what: 2 * count for what, count in first.items()} == second


def test_every_family_has_a_name_of_its_own():
    names = {(arm.model, arm.size, arm.form if arm.method == "ode" else ""): family(arm) for arm in trained_arms()}
    assert len(set(names.values())) == len(names)


def test_a_mode_of_training_has_a_cost_of_its_own():
    """Rolling windows out costs more than single transitions; the physics chapter trains both."""
    work = preset_work(load_preset("physics"))
    steps = work[work["kind"] == "training"].groupby("what")["count"].sum()
    matched = Arm("newtonian", "ode", "rk4", train_frequency="mixed")
    rolled = replace(matched, method="ode_shooting")
    assert training_unit(matched) == family(matched) == family(rolled) != training_unit(rolled)
    assert 0 < steps[training_unit(rolled)] < steps[training_unit(matched)]


def test_models_of_pictures_are_counted_by_phase_and_by_what_a_system_has():
    preset = load_preset("visual")
    work = preset_work(preset)
    training = work[work["kind"] == "training"]
    pictured = training[training["model"] == "visual_world_model"]
    steps = pictured.groupby(["env", "what"])["count"].sum()
    first, second, codes = (picture_unit(preset, Arm("visual_world_model", method, form)) for method, form in (
        ("autoencoder", "none"), ("two_phase", "latent_ode"), ("vqvae", "latent_mlp")
    ))  # fmt: skip
    settings = preset.pictures
    assert steps["oscillator", first] == steps["oscillator", codes] == 3 * settings.autoencoder_steps  # one for all
    assert steps["oscillator", second] == 3 * settings.latent_steps
    collapsing = [
        steps["oscillator", what] for what in set(pictured["what"]) if "raw_kl" in what or "mean_energy" in what
    ]
    assert collapsing == [2 * 1400] * 2  # two seeds, one system
    large = [what for what in pictured["what"] if "64 px" in what]
    assert all(steps[env, what] == 1400 for env, what in steps.index if what in large) and len(large) == 5 + 2
    assert len(pictured[pictured["env"] == "hgn_pendulum"]) == 4  # two predictors, each in two sizes
    frames = 32 * 2 * (2 + 5 + 10 + 20)
    scored = work[(work["kind"] == "evaluation") & ~work["what"].str.endswith("per model")]
    assert set(scored["count"]) == {3 * frames, 2 * frames, frames} and "jump hidden64, drawn" in set(scored["what"])
    assert num_frames(preset) == frames
    other = load_preset("visual_gpu")  # wider: what was measured of one says nothing of the other
    same = Arm("visual_world_model", "hgn", "spatial_jump")
    assert picture_unit(preset, same) != picture_unit(other, same)
    units = work[["kind", "what"]].drop_duplicates().assign(seconds=1e-3)
    assert unmeasured([preset], units) == [] and any("spatial_jump" in what for what in unmeasured([other], units))


def test_units_are_read_by_device(tmp_path):
    assert load_units(tmp_path / "scaling.json") == {}
    units = [{"kind": "training", "what": "lstm", "seconds": 0.25}]
    path = tmp_path / "scaling.json"
    path.write_text(json.dumps({"cpu": {"units": units, "series": []}, "a card": {"units": [], "series": []}}))
    found = load_units(path)
    assert list(found) == ["cpu"]
    assert found["cpu"].equals(pd.DataFrame(units))


def test_the_exponent_of_a_power_is_found_with_its_interval():
    x = [1, 2, 4, 8, 16]
    power, low, high = growth_exponent(x, [3 * v**0.7 for v in x])
    assert power == pytest.approx(0.7) and low == pytest.approx(0.7) and high == pytest.approx(0.7)
    power, low, high = growth_exponent(x, [1.1, 1.9, 4.4, 7.5, 16.2])
    assert low < 1 < high and low < power < high
    with pytest.raises(ValueError, match="at least three pairs of positive numbers"):
        growth_exponent([1, 2], [1, 2])
    with pytest.raises(ValueError, match="positive"):
        growth_exponent([1, 2, 3], [1, 0, 2])


def test_a_budget_in_epochs_validates_once_per_epoch():
    """So that the patience of ten validations is the seed's patience of ten epochs."""
    preset = load_preset("full_literal")
    assert preset.training.num_epochs == 100
    run = Run(preset, RunLayout.of("full_literal"))
    trial = Trial(None, 0, None, [range(350_000)], [range(75_000)], None, None)
    budget = budget_of(run, "hidden64", [trial])
    per_epoch = math.ceil(350_000 / 256)
    assert budget.patience == 10 and budget.num_steps == 100 * per_epoch
    assert sorted(budget.validation_steps()) == [per_epoch * epoch for epoch in range(1, 101)]


def test_the_times_of_a_phase_are_those_of_its_jobs_and_cells():
    jobs = pd.DataFrame({
        "job": ["cells/02_training_analysis-Pendulum-v1-jump-seeds0-1", "02_training_analysis-Pendulum-v1", "book"],
        "wall_seconds": [100.0, 10.0, 30.0], "cpu_seconds": [90.0, 9.0, 25.0], "peak_mb": [500, 700, 400],
    })  # fmt: skip
    parts = pd.DataFrame([
        {"job": jobs["job"][0], "part": "training", "wall_seconds": 80.0, "cpu_seconds": 75.0},
        {"job": jobs["job"][0], "part": "figures", "wall_seconds": 20.0, "cpu_seconds": 15.0},
        {"job": jobs["job"][1], "part": "training", "wall_seconds": 5.0, "cpu_seconds": 4.0},
        {"job": "book", "part": "training", "wall_seconds": 7.0, "cpu_seconds": 7.0},
    ])  # fmt: skip
    table = phase_times(jobs, parts).set_index("phase")
    ours = pd.DataFrame({**jobs.iloc[0], "job": ["10_physics_train-oscillator"]})
    done = [("collection", 2.0), ("training", 30.0), ("figures", 4.0)]
    of_ours = pd.DataFrame([{"job": ours["job"][0], "part": name, "cpu_seconds": each} for name, each in done])
    assert phase_times(ours, of_ours)["work_seconds"].tolist() == [32.0]
    training = table.loc["02_training_analysis"]
    assert (training["jobs"], training["wall_seconds"], training["cpu_seconds"]) == (2, 110.0, 99.0)
    assert training["work_seconds"] == 79.0 and training["peak_mb"] == 700
    assert math.isnan(table.loc["book", "work_seconds"]) and table["cpu_seconds"].sum() == jobs["cpu_seconds"].sum()


def test_the_page_sets_each_phase_beside_its_prediction(tmp_path):
    metrics = tmp_path / "metrics"
    metrics.mkdir()
    job = "02_training_analysis-Pendulum-v1"
    row = {"job": [job], "wall_seconds": [72.0], "cpu_seconds": [72.0]}
    pd.DataFrame({**row, "peak_mb": [300]}).to_csv(metrics / "job_times.csv", index=False)
    pd.DataFrame({**row, "part": ["training"]}).to_csv(metrics / "part_times.csv", index=False)
    (metrics / "summary_statistics.json").write_text(json.dumps({"preset": "smoke"}))
    preset = load_preset("smoke")
    work = preset_work(preset)
    count = work[work["kind"] == "training"]["count"].sum()
    units = work[["kind", "what"]].drop_duplicates().assign(seconds=36.0 / count)
    page = "\n".join(_phases(tmp_path, {"cpu": units}))
    assert "| 02_training_analysis | 1 | 0.020 | 0.020 | 0.020 | 0.010 | 2.00 | 300 |" in page
    assert "times what was predicted, that of a phase between 2.00 and 2.00 times." in page
    assert "| – | – | 300 |" in "\n".join(_phases(tmp_path, {})) and _phases(tmp_path / "none", {}) == []
