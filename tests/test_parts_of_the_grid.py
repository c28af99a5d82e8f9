"""Any part of a grid runs, in any order, for any valid preset; the notebooks say what is not there."""

import json
import re
import shutil
import subprocess
import sys
from functools import partial

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from notebook_cells import run_cells

from tdlib.core.files import stored
from tdlib.evaluation import load_rollouts, stored_rates
from tdlib.evaluation.tables import KEY_COLUMNS, read_table, write_table
from tdlib.grid.checks import check_figures, check_tables
from tdlib.grid.jobs import cells_of_seeds, grid_jobs
from tdlib.grid.times import phase_times, write_times
from tdlib.models import RescaledIncrement, build_model
from tdlib.publish import site
from tdlib.publish.block import write_block
from tdlib.publish.edition import IN_BLOCKS, OF_STUDY, PUBLISHED, add_taken, pack, unpack
from tdlib.speed import Stack
from tdlib.study import blocks, provenance
from tdlib.study.arms import Arm
from tdlib.study.blocks import MADE_WITH, made_with, presets_on_pages
from tdlib.study.chapters import load_chapter
from tdlib.study.layout import ROOT, RunLayout
from tdlib.study.phases import train
from tdlib.study.phases.collect import ensure_collected
from tdlib.study.phases.control import control_environment
from tdlib.study.phases.evaluate import evaluate_environment, example_rollouts, film_of, rollouts_path
from tdlib.study.phases.limit_tables import limit_curves
from tdlib.study.phases.seed_data import load_seed_data
from tdlib.study.phases.stacks import StackOfArms
from tdlib.study.phases.train import ensure_trained
from tdlib.study.presets import PRESET_FOLDER, PresetError, load_preset
from tdlib.study.provenance import Result, produced_files, shared_results
from tdlib.study.run import Missing, Run
from tdlib.study.selection import select_arms
from tdlib.study.statistics import load_tables, merge_parts, missing_contrasts, summarize
from tdlib.systems import SYSTEMS
from tdlib.training import UnfinishedFit
from tdlib.training.run import StackRun

sys.path.insert(0, str(ROOT / "book" / "_ext"))

import td_tables

matplotlib.use("agg")
ENV = "CartPoleContinuous-v1"  # random data only, so that no agent has to be trained
TINY = {
    "environments": [ENV],
    "models": ["jump"],
    "seeds": [0],
    "test_frequencies": [10, 20, 50],
    "collection": {"num_transitions": 600, "num_random_transitions": 600},
    "training": {"num_steps": 2, "learning_rate": 0.001},
    "evaluation": {"num_pairs": 32, "num_starts": 2},
}
UNIT_KEYS = (
    "dimension", "test_set", "truncated", "fine_frequency", "coarse_frequency", "k", "limit", "detail", "check",
    "model_frequency", "planner", "episode", "bin", "policy", "control_frequency",
)  # fmt: skip
BLOCKS = {"chosen": [1, 3], "others": [0, 2]}
TRAINED = f"cells/02_training_analysis-{ENV}-jump-seeds"
CONTROL = {"frequencies": [10], "episode_seconds": 0.4, "replan_seconds": 0.1, "num_samples": 8, "compare_mppi": False}


def test_films_have_the_names_that_the_seed_gives_them():
    films = {env: film_of(env) for env in ("Pendulum-v1", "CartPole-v1", ENV)}
    assert {env: film and (film.name, film.title) for env, film in films.items()} == {
        "Pendulum-v1": ("pendulum_baseline_10hz_on_50hz", "baseline of 10 Hz, stepped at 50 Hz"),
        "CartPole-v1": ("cartpole_multi_resolution_on_50hz", "multi-resolution, stepped at 50 Hz"),
        ENV: None,
    }


def test_models_chosen_from_a_stack_of_arms_predict_as_they_did():
    members = tuple((Arm("jump", "rescaled", train_frequency="20"), seed) for seed in range(3))
    models = [build_model("jump", SYSTEMS[ENV].spec, seed=seed) for seed in range(3)]
    whole = StackOfArms(ENV, members, RescaledIncrement(Stack(models), 0.05))
    chosen = whole.select(lambda key: key["seed"] != 1)
    assert chosen.members == (members[0], members[2]) and whole.select(lambda key: key["seed"] == 7) is None
    inputs = torch.randn(1, 4, 4), torch.randn(1, 4, 1), torch.full((1, 4), 0.02)
    expected = RescaledIncrement(Stack([models[0], models[2]]), 0.05)(*inputs)
    assert torch.equal(chosen.dynamics(*inputs), expected)
    assert torch.equal(whole.dynamics(*inputs)[::2], expected)  # the whole is as it was


def write_tiny(folder, **changes):
    """Write a tiny preset into a folder; return its path."""
    content = yaml.safe_load((PRESET_FOLDER / "smoke.yaml").read_text()) | TINY
    content["control"] |= CONTROL
    content |= {"name": "tiny", **changes}
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Makes the path of a tiny preset; what it runs lies in the test's folder."""
    monkeypatch.setenv("TDLIB_RUNS", str(tmp_path / "runs"))
    return partial(write_tiny, tmp_path)


def notebook(name, **parameters):
    """Run the cells of a notebook; return its variables and what cells show."""
    variables = {}
    return variables, [shown for shown in run_cells(name, variables, **parameters) if shown is not None]


OPEN_LOOP = ("02_training_analysis", "03_results_visualization")
ALL = (*OPEN_LOOP, "04_control")


def phases(preset, env=ENV, notebooks=ALL, **parameters):
    """Run notebooks of a part; return what was not drawn."""
    missing = []
    for name in notebooks:
        _, shown = notebook(name, preset=preset, env=env, **parameters)
        missing += [x.reason.split(":")[0].removeprefix("no figure ") for x in shown if isinstance(x, Missing)]
    return missing


def closing(preset):
    """Run statistics and the figures of the paper."""
    return notebook("05_statistics", preset=preset)[0], notebook("06_paper_figures", preset=preset)[1]


def open_tiny(path):
    preset = load_preset(path)
    return Run(preset, RunLayout.of(preset.name))


def test_one_model_of_several_in_an_empty_run(tiny):
    path = tiny(models=["jump", "newtonian"])
    missing = phases(path, notebooks=OPEN_LOOP, models=["jump"])
    assert missing == [f"consistency/{ENV}-convergence", f"ensemble/{ENV}-calibration"]
    variables, _ = closing(path)
    assert set(variables["tables"]["one_step_errors"]["model"]) == {"none", "jump"}
    unanswered = missing_contrasts(variables["run"], variables["contrasts"])
    assert {"ODE against rescaling", "RK4 against Euler"} <= set(unanswered["name"])
    assert phases(path, notebooks=OPEN_LOOP, models=["newtonian"]) == [f"ensemble/{ENV}-calibration"]
    run = open_tiny(path)
    assert not list(run.layout.figures.rglob("*curves.png"))  # a part's figures lie apart
    assert len(list(run.layout.figure_parts.rglob("*curves.png"))) == 2
    before = {path: path.stat().st_mtime_ns for path in run.layout.metric_parts.glob("*_errors*")}
    ensure_trained(run, ENV)
    evaluate_environment(run, ENV)  # all of it: nothing is made again
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_the_seeds_command_line_has_its_row(tiny):
    path = tiny(models=["jump", "lstm"], seeds=[0, 1])
    part = {"models": ["jump"], "methods": ["baseline"], "train_frequencies": [20], "seeds": [1]}
    phases(path, **part)
    run = open_tiny(path)
    keys = ["model", "method", "train_frequency", "data", "seed"]
    errors = read_table(run.layout.part("one_step_errors", f"{ENV}-jump"))
    assert errors[keys].drop_duplicates().to_numpy().tolist() == [
        ["jump", "baseline", "20", "transitions", 1],
        ["jump", "baseline", "20", "seconds", 1],
        ["jump", "baseline", "20", "pooled", 1],
    ]
    assert sorted(p.name for p in run.layout.models.glob("*/*/*")) == [
        "baseline_20hz", "baseline_20hz_pooled", "baseline_20hz_seconds",
    ]  # fmt: skip
    # more of the grid is added beside it, and what was there is not made again
    for choice in ({"forms": ["scaled"]}, {"methods": ["rescaled"]}):  # the latter trains the baselines that it reads
        chosen = select_arms(run, models=["jump"], seeds=[0], **choice)
        ensure_trained(run, ENV, chosen)
        evaluate_environment(run, ENV, chosen)
        control_environment(run, ENV, chosen)
    more = read_table(run.layout.part("one_step_errors", f"{ENV}-jump"))
    assert more.head(len(errors)).equals(errors)
    assert set(zip(more["method"], more["form"], more["seed"], strict=True)) == {
        ("baseline", "none", 1), ("multi_resolution", "scaled", 0), ("rescaled", "none", 0),
    }  # fmt: skip
    control = read_table(run.layout.part("control_performance", f"{ENV}-jump"))
    assert set(control["method"]) == {"baseline", "multi_resolution", "rescaled"}


def test_rollouts_of_parts_join_and_the_first_are_drawn(tiny):
    run = open_tiny(tiny(seeds=[0, 1], evaluation={"num_pairs": 32, "num_starts": 5}, test_frequencies=[5, 10, 20, 50]))
    path = rollouts_path(run, ENV, "jump")
    assert example_rollouts(run, ENV, select_arms(run, methods=["baseline"])).empty
    for seed in (1, 0):
        chosen = select_arms(run, methods=["baseline"], train_frequencies=[10], seeds=[seed])
        ensure_trained(run, ENV, chosen)
        evaluate_environment(run, ENV, chosen)
        if seed == 1:
            alone = load_rollouts(path, 50)
    assert stored_rates(path) == ["5", "10", "20", "50", "irregular"]
    both = load_rollouts(path, 50)
    keys = list(zip(both.members["data"], both.members["seed"], strict=True))
    assert keys == [(data, seed) for seed in (0, 1) for data in ("transitions", "seconds", "pooled")]
    assert both.predicted.shape == (6, 5, 51, 4) and np.array_equal(both.predicted[3:], alone.predicted)
    errors = read_table(run.layout.part("rollout_errors", f"{ENV}-jump"))
    assert set(errors["seed"]) == {0, 1} and errors["git_commit"].nunique() == 1  # rows that joined name it too
    drawn = example_rollouts(run, ENV, chosen)
    assert set(drawn["model"]) == {"none", "jump"} and set(drawn["seed"]) == {0}
    assert set(drawn["test_frequency"]) == {"10", "20", "50"} and set(drawn["start"]) == {0, 1, 2}
    row = drawn.query("data == 'pooled' and test_frequency == '50' and start == 2 and step == 7")
    assert row["theta"].item() == both.predicted[2, 2, 7, 2] and row["theta_true"].item() == both.true[2, 2, 7, 2]


def test_a_part_that_changed_is_made_anew_and_the_others_stay(tiny):
    path = tiny(seeds=[0, 1])
    run = open_tiny(path)
    for seed in (0, 1):
        chosen = select_arms(run, methods=["baseline"], train_frequencies=[10], seeds=[seed])
        ensure_trained(run, ENV, chosen)
        evaluate_environment(run, ENV, chosen)
    part = run.layout.part("one_step_errors", f"{ENV}-jump")
    before = read_table(part)
    weights = next(run.layout.models.glob("*/jump/baseline_10hz/seed1/model.pt"))
    trained = next(run.layout.models.glob("*/jump/baseline_10hz_seconds/seed1/model.pt"))
    stamp = part.with_name(f"evaluation-{ENV}-jump.yaml")
    members = yaml.safe_load(stamp.read_text())["members"]
    changed = next(name for name in members if name.endswith("/transitions/10/1"))
    members[changed] = ["other weights", None]
    stamp.write_text(yaml.safe_dump({**yaml.safe_load(stamp.read_text()), "members": members}))
    evaluate_environment(run, ENV, select_arms(run, methods=["baseline"], train_frequencies=[10], seeds=[1]))
    after = read_table(part)
    keys = [name for name in before if name not in ("git_commit",)]
    pd.testing.assert_frame_equal(
        before.sort_values(keys, ignore_index=True), after.sort_values(keys, ignore_index=True)
    )
    assert not after.equals(before)  # the rows that changed stand last
    assert weights.is_file() and trained.is_file()


def test_a_phase_that_was_cut_off_trains_nothing_twice(tiny, monkeypatch):
    run = open_tiny(tiny())
    chosen = select_arms(run, models=["jump"], methods=["baseline"], train_frequencies=[20])
    monkeypatch.setattr(train, "UnfinishedFit", partial(UnfinishedFit, every=0.0))
    with monkeypatch.context() as cut_off:
        cut_off.setattr(train, "_save", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ensure_trained(run, ENV, chosen)
    assert list(run.layout.unfinished.iterdir())
    with monkeypatch.context() as ready:
        ready.setattr(StackRun, "train_step", lambda *arguments: 1 / 0)
        ensure_trained(run, ENV, chosen)  # from the states that lie there
    assert not list(run.layout.unfinished.iterdir()) and list(run.layout.models.rglob("model.pt"))


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"models": ["jmp"]}, ["models", "'jump'", "'jmp'"]),
        ({"methods": ["base"]}, ["methods", "'baseline'", "'base'"]),
        ({"forms": ["scale"]}, ["forms", "'scaled'", "'scale'"]),
        ({"train_frequencies": [25]}, ["train_frequencies", "'20'", "'25'"]),
        ({"sizes": ["large"]}, ["sizes", "'hidden64'", "'large'"]),
        ({"seeds": [7]}, ["seeds", "[0]", "[7]"]),
        ({"methods": ["baseline"], "forms": ["scaled"]}, ["an arm", "baseline", "scaled", "none has"]),
    ],
)
def test_a_choice_outside_the_preset_is_refused(tiny, choice, words):
    with pytest.raises(PresetError) as error:
        select_arms(open_tiny(tiny()), **choice)
    assert all(word in str(error.value) for word in words), error.value


def test_other_training_rates(tiny):
    path = tiny(models=["newtonian", "jump"], train_frequencies=[15, 30], test_frequencies=[5, 15, 30])
    run = open_tiny(path)
    assert {arm.train_frequency for arm in select_arms(run).arms} == {"15", "30", "mixed", "loguniform"}
    notebook("01_data_exploration", preset=path, env=ENV)
    phases(path, forms=["none", "rk4"])
    closing(path)
    errors = load_tables(run)["one_step_errors"]
    assert {"rescaled", "recurrent_rollout", "ode"} <= set(errors["method"])
    assert set(errors["train_frequency"]) == {"15", "30", "mixed", "loguniform", ""}
    figure = json.loads((next(run.layout.figure_parts.glob("*/error_vs_horizon")) / f"{ENV}.json").read_text())
    assert "baseline, 15 Hz" in figure["caption"]


def test_a_single_training_rate(tiny):
    run = open_tiny(tiny(models=["jump", "ensemble"], train_frequencies=[25], test_frequencies=[5, 25]))
    chosen = select_arms(run, models=["ensemble"])
    assert {arm.train_frequency for arm in select_arms(run).arms} == {"25"}
    ensure_trained(run, ENV, chosen)
    tables = evaluate_environment(run, ENV, chosen)
    assert set(tables["one_step_errors"]["train_frequency"]) == {"25", ""}
    assert "mixed" not in set(limit_curves(run, ENV)["train_frequency"])


def test_a_single_test_rate_is_not_asked_to_compare_two(tiny):
    run = open_tiny(tiny(train_frequencies=[20], test_frequencies=[20]))
    ensure_trained(run, ENV)
    tables = evaluate_environment(run, ENV)
    others = ["training_summary.csv must exist", "control_performance.csv must exist"]  # of other phases
    assert check_tables(run, tables) == others
    told = tables.pop("skipped")
    assert set(told[told["measure"] == "consistency"]["model"]) == {"jump", "none"}
    assert check_tables(run, tables) == ["consistency_errors.csv must exist", *others]
    needs = load_chapter("study").figures["consistency/{}-defect"]
    assert not needs(run.preset, ENV) and needs(load_preset("smoke"), ENV)


def test_a_preset_without_the_cart_poles(tiny):
    path = tiny(environments=["Pendulum-v1"], models=["ensemble"])
    notebook("00_ground_truth", preset=path)
    notebook("01_data_exploration", preset=path, env="Pendulum-v1")
    phases(path, env="Pendulum-v1")
    closing(path)
    run = open_tiny(path)
    assert check_tables(run, load_tables(run)) == [] and check_figures(run) == []


def test_shares_of_the_data_are_equal_transitions_or_equal_seconds_and_nested(tiny):
    run = open_tiny(tiny(amounts=[0.1, 0.5]))
    ensure_collected(run, ENV, [0])
    data = load_seed_data(run, ENV, 0)
    whole = {rate: part for rate, (part, _) in data.train["transitions"].items()}
    count = len(whole[10.0])
    assert {len(part) for part in whole.values()} == {count}
    for share in (0.1, 0.5):
        name = f"{100 * share:g}pct"
        for rate, (part, _) in data.train[f"transitions_{name}"].items():
            assert len(part) == int(share * count)
            assert torch.equal(part.state, whole[rate].state[: len(part)])  # the first episodes of the whole
        assert {len(part) for part, _ in data.share[f"transitions_{name}"].values()} == {int(share * count) // 3}
        covered = [len(part) / rate for rate, (part, _) in data.train[f"seconds_{name}"].items()]
        assert max(covered) - min(covered) <= 0.1  # one step of the coarsest rate
        shared = [len(part) / rate for rate, (part, _) in data.share[f"seconds_{name}"].items()]
        assert sum(shared) == pytest.approx(covered[0], abs=0.3)
    arm = Arm("jump", "multi_resolution", "scaled_concat", data="seconds_10pct", train_frequency="mixed")
    train, val = data.parts(arm)
    assert [len(part) for part, _ in train] == [len(part) for part, _ in data.share["seconds_10pct"].values()]
    assert [len(part) for part, _ in val] == [len(part) for part, _ in data.val["seconds"].values()]


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """A preset of the shape of `full` after all its jobs: its path, and what each job no longer answered for."""
    folder = tmp_path_factory.mktemp("cells")
    full = yaml.safe_load((PRESET_FOLDER / "full.yaml").read_text())
    shape = {key: full[key] for key in ("amounts", "train_frequencies")}
    fewer = [{"sizes": ["small"], "num_seeds": 1}, {"amounts": True, "num_seeds": 1}]
    shape |= {"models": ["jump"], "sizes": ["hidden64", "small"], "seeds": [0, 1], "seeds_per_cell": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TDLIB_RUNS", str(folder / "runs"))
        path = write_tiny(folder, fewer_seeds=fewer, **shape)
        run, answered, taken_away = open_tiny(path), [], {}
        for job in grid_jobs(run.preset):
            if job.notebook == "07_explorer":
                continue
            provenance._produced.clear()
            provenance._relied_on.clear()
            patch.setenv("TDLIB_JOB", job.name)
            patch.setenv("TDLIB_LOGS", str(folder))
            notebook(job.notebook, preset=path, **job.parameters)
            answered.append(Result(run.layout.root / "stamps" / f"{job.name}.yaml", sources=""))
            answered[-1].record(produced_files(), relies_on=shared_results())
            provenance._whole.cache_clear()
            taken_away |= {result.stamp.stem: result.reasons() for result in answered if result.reasons()}
        yield path, taken_away


def test_cells_of_fulls_shape_end_to_end(cells):
    path, taken_away = cells
    run = open_tiny(path)
    names = {job.name: job for job in grid_jobs(run.preset)}
    where = "cells/03_results_visualization-CartPoleContinuous-v1"
    assert {f"{where}-none-seeds0", f"{where}-jump-seeds1", f"{where}-jump-small-baseline-seed0"} <= set(names)
    assert f"{where}-jump-small-baseline-seed1" not in names
    last = names[f"{where}-jump-seeds1"]  # one after the other, since they write into the same tables
    assert {f"{where}-jump-seeds0", f"{where}-jump-small-baseline-seed0"} <= set(last.order)
    assert not set(last.order) & set(last.after)
    assert not run.layout.figure_parts.exists()  # the notebooks of the whole draw
    assert taken_away == {}  # what a job answers for stays: an interrupted grid runs nothing twice
    assert check_tables(run, load_tables(run)) == [] and check_figures(run) == []
    assert json.loads((run.layout.metrics / "summary_statistics.json").read_text())["seeds"] == 2


def test_a_block_of_seeds_runs_its_own_cells_and_no_other(tiny, tmp_path):
    """A later block may be the first on its machine; its own cells of one model still go one after the other."""
    path = tiny(seeds=[0, 1, 2, 3], seeds_per_cell=1)
    command = [
        sys.executable, "-m", "snakemake", "-s", str(ROOT / "params" / "Snakefile"), "cells", "--directory",
        str(tmp_path), "--config", f"preset={path}", "seeds=1-3", "--cores", "1", "--dry-run", "--nocolor",
    ]  # fmt: skip
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    listed = result.stdout + result.stderr
    notebooks = open_tiny(path).layout.notebooks
    names = {name: {job.name for job in cells_of_seeds(load_preset(path), seeds)} for name, seeds in BLOCKS.items()}
    outputs = re.findall(rf"output: {re.escape(str(notebooks))}/(.+)\.ipynb", listed)
    assert set(outputs) == names["chosen"] and len(outputs) == len(names["chosen"])
    assert not [name for name in names["others"] if f"{name}.ipynb" in listed]
    last = next(block for block in listed.split("rule ") if f"output: {notebooks}/{TRAINED}3.ipynb" in block)
    assert f"{TRAINED}1.ipynb" in last


def test_a_block_stands_for_its_seeds_in_another_run(cells, tmp_path, monkeypatch):
    path, _ = cells
    monkeypatch.setattr(blocks, "BLOCKS", tmp_path)
    run = open_tiny(path)
    whole = load_tables(run)
    with pytest.raises(ValueError, match="must have run, from collection to tables"):
        write_block(run, [1])
    for cell in cells_of_seeds(run.preset, [1]):
        executed = run.layout.notebooks / f"{cell.name}.ipynb"
        executed.parent.mkdir(parents=True, exist_ok=True)
        executed.touch()
        log = run.layout.logs / f"{cell.name}.times.json"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(json.dumps({"wall_seconds": 3.0, "cpu_seconds": 2.0, "peak_mb": 400}))
    (run.layout.logs / "book.times.json").write_text(json.dumps({"wall_seconds": 9, "cpu_seconds": 9, "peak_mb": 9}))
    part = run.layout.part("one_step_errors", f"{ENV}-jump")
    rows = read_table(part)
    write_table(part, rows.assign(git_commit=rows["git_commit"].where(rows["test_frequency"] != "10", "")))
    with pytest.raises(ValueError, match="must name the commit that made them"):
        write_block(run, [1])
    write_table(part, rows)
    folder = write_block(run, [1])
    assert folder == tmp_path / "tiny" / "seeds1" and made_with(folder)["seeds"] == [1]
    content = yaml.safe_load(path.read_text())
    other = tmp_path / "tiny.yaml"
    other.write_text(yaml.safe_dump(content | {"taken": [1], "description": "of one seed"}))
    taking = open_tiny(other)
    assert taking.preset.own_seeds == (0,) and all(
        1 not in job.parameters.get("seeds", []) for job in grid_jobs(taking.preset)
    )
    # all that this run made belongs to seed 0; with the rows that it takes it is the run of both
    for part in taking.layout.metric_parts.glob("*.csv"):
        rows = read_table(part)
        write_table(part, rows[rows["seed"] == 0])
    merged = merge_parts(taking)
    assert set(merged) == set(whole)
    for name, table in merged.items():
        keys = [key for key in (*KEY_COLUMNS, *UNIT_KEYS) if key in table]
        expected = whole[name]
        if name == "rollout_errors":  # few times of a taken seed
            expected = expected.merge(table[[*keys, "time"]].drop_duplicates())
        sort = [*keys, *(key for key in ("time",) if key in table)]
        both = [x[table.columns].sort_values(sort, kind="stable").reset_index(drop=True) for x in (table, expected)]
        pd.testing.assert_frame_equal(*both, check_dtype=False)
    assert check_tables(taking, merged) == []
    shutil.rmtree(taking.layout.logs)  # those of this run; what the cells of the block cost is in it
    jobs, _ = write_times(taking)
    assert set(jobs["job"]) == {cell.name for cell in cells_of_seeds(run.preset, [1])}
    assert phase_times(*write_times(taking))["cpu_seconds"].sum() == 2.0 * len(jobs)
    of_two = pd.DataFrame(
        {"job": ["cells/a-seeds1-7", "cells/b-seed7", "cells/c-seed1"], "cpu_seconds": [3.0, 3.0, 3.0]}
    )
    monkeypatch.setattr(blocks.pd, "read_csv", lambda path: of_two)  # a cell of two seeds, of which one is taken
    counted = blocks.taken_times("tiny", [1], "job_times")
    assert counted.to_numpy().tolist() == [["cells/a-seeds1-7", 1.5], ["cells/c-seed1", 3.0]]
    monkeypatch.undo()
    monkeypatch.setattr(blocks, "BLOCKS", tmp_path)
    pack(tmp_path / "none", taking.layout.root / "results", tmp_path / "edition", OF_STUDY, taking.preset.taken)
    packed = tmp_path / "edition" / "results"
    assert set(read_table(stored(packed / "metrics" / "one_step_errors.csv"))["seed"]) == {0}
    unpack(tmp_path / "edition", tmp_path / "unpacked")
    add_taken(tmp_path / "unpacked" / "results", taking.preset)
    for name in IN_BLOCKS:
        back, table = read_table(tmp_path / f"unpacked/results/metrics/{name}.csv"), merged[name]
        assert set(back["seed"]) == {0, 1} and len(back[back["seed"] == 1]) == len(table[table["seed"] == 1])
    assert presets_on_pages() == {"full_literal"}
    monkeypatch.setattr(site, "presets_on_pages", lambda: {"tiny", "full_literal"})
    site.add_blocks("tiny", tmp_path / "staged")
    assert not (tmp_path / "staged").exists()  # the study's own: its run shows them
    site.add_blocks("other", tmp_path / "staged")
    source = td_tables.open_source(tmp_path / "staged" / "tiny", "rows kept")
    assert source.label == "rows kept, preset tiny" and {row["n_seeds"] for row in source.rows} == {"1"}
    assert len(summarize(taking, merged)) == len(summarize(run, whole))
    other.write_text(yaml.safe_dump(content | {"taken": [1]}))
    older = yaml.safe_load((folder / MADE_WITH).read_text())
    del older["preset"]["evaluation"]["hold"]  # of a time before there was this key
    (folder / MADE_WITH).write_text(yaml.safe_dump(older))
    made_with.cache_clear()
    assert load_preset(other).own_seeds == (0,)
    for changed, words in (
        ({"taken": [0, 1]}, "taken must leave a seed to this run"),
        ({"taken": [7]}, "taken must be among seeds"),
        ({"taken": [0]}, r"taken must be seeds whose rows lie in .*got \[0\]; there are \[1\]"),
        ({"taken": [1], "test_frequencies": [5, 10, 20, 50]}, "was made with test_frequencies"),
    ):
        other.write_text(yaml.safe_dump(content | changed))
        with pytest.raises(PresetError, match=words):
            load_preset(other)
    shutil.copytree(folder, folder.with_name("seeds1-2"))
    other.write_text(yaml.safe_dump(content | {"taken": [1]}))
    with pytest.raises(PresetError, match="a seed must be in one block, seed 1 is in .*seeds1 and .*seeds1-2"):
        load_preset(other)


def test_a_seed_that_ran_twice_gave_the_same_errors():
    """Seed 2 ran for its block and again, on another machine and at another commit, for the edition's models."""
    both = [
        read_table(stored(folder / "one_step_errors.csv"))
        for folder in (blocks.BLOCKS / "full" / "seeds2-3", PUBLISHED / "results" / "metrics")
    ]
    first, again = [rows[rows["seed"] == 2] for rows in both]
    keys = [*KEY_COLUMNS, "test_set", "dimension"]
    joined = first.merge(again, on=[key for key in keys if key in first], suffixes=("_first", "_again"))
    assert len(joined) == len(first) == len(again) > 10_000
    off = (joined["relative_error_again"] / joined["relative_error_first"] - 1).abs()
    assert off.max() < 5e-4 and (off < 5e-5).mean() > 0.99
