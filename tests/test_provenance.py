"""A result stands while what it was made from is the same and its files are whole; contents decide, never times."""

import ast
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tdlib.core import sources
from tdlib.core.files import parse_yaml
from tdlib.evaluation.tables import read_table
from tdlib.grid.stamps import job_roots
from tdlib.grid.times import gather_times
from tdlib.study import provenance
from tdlib.study.layout import ROOT, RunLayout
from tdlib.study.phases.collect import adopt_data, ensure_collected
from tdlib.study.phases.control import control_environment
from tdlib.study.phases.evaluate import evaluate_environment
from tdlib.study.phases.limit_tables import limit_curves
from tdlib.study.phases.train import train_environment
from tdlib.study.presets import PRESET_FOLDER, load_preset
from tdlib.study.provenance import (
    STAMP,
    Result,
    answers_for,
    commit_of_memory,
    file_hash,
    produced_files,
    read_stamp,
    shared_results,
    sources_of,
)
from tdlib.study.run import Run
from tdlib.training import load_checkpoint

ENV = "CartPoleContinuous-v1"
OLD = (1e9, 1e9)  # a time long ago, before and after an edit


# ---------------------------------------------------------------- what a result is


@pytest.fixture
def made(tmp_path):
    """A result of two files."""
    result = Result(tmp_path / STAMP, sources="abc", seed=0, rate=10.0, data={"a": "1"})
    for name in ("table.csv", "model.pt"):
        (tmp_path / name).write_text(f"content of {name}")
    result.record([tmp_path / "table.csv", tmp_path / "model.pt"])
    return tmp_path


def again(folder, **changes):
    return Result(folder / STAMP, **{"sources": "abc", "seed": 0, "rate": 10.0, "data": {"a": "1"}, **changes})


def test_a_result_stands_for_what_it_was_made_from(made):
    assert again(made).is_current()
    assert {made / "table.csv", made / "model.pt", made / STAMP} <= set(produced_files())
    for change in ({"seed": 1}, {"rate": 20.0}, {"data": {"a": "2"}}, {"sources": "abd"}, {"more": None}):
        result = again(made, **change)
        assert result.reasons() == [f"{next(iter(change))} changed"] or "more" in change
        assert not result.is_current() or change == {"more": None}


def test_a_job_answers_for_its_members_of_a_shared_table(tmp_path):
    """Another job may add members to the table; the first stands until its own members do not."""

    def table(members, text):
        path = tmp_path / "shared.csv"
        path.write_text(text)
        result = Result(tmp_path / "shared.yaml", sources="abc")
        result.record([path], members=members)
        return result, path

    shared, path = table({"a/0": ["weights", "1"]}, "row of a/0")
    answers_for(shared.stamp, ["a/0"])
    assert path not in produced_files() and shared_results()[shared.stamp.resolve()] == {"a/0"}
    job = Result(tmp_path / "stamps" / "job.yaml", sources="abc")
    job.record([], relies_on={shared.stamp: {"a/0"}})
    assert job.is_current()
    table({"a/0": ["weights", "1"], "a/1": ["weights", "2"]}, "rows of a/0 and a/1")
    assert job.is_current()
    path.write_text("rows that nobody")
    provenance._whole.cache_clear()  # asked for once per process
    assert job.reasons() == ["../shared.yaml is missing or damaged"]
    table({"a/0": ["weights", "3"], "a/1": ["weights", "2"]}, "rows of another a/0")
    assert job.reasons() == ["../shared.yaml is missing or damaged"]
    shared.stamp.unlink()
    assert job.reasons() == ["../shared.yaml is missing or damaged"]


def test_a_damaged_or_missing_file_is_noticed(made):
    os.truncate(made / "model.pt", 5)
    assert again(made).reasons() == ["model.pt is missing or damaged"]
    (made / "model.pt").unlink()
    assert again(made).reasons() == ["model.pt is missing or damaged"]
    (made / "model.pt").write_text("content of model.pt")  # the same content, whatever its time
    os.utime(made / "model.pt", OLD)
    assert again(made).is_current()


@pytest.mark.parametrize("text", ["", "not a mapping", "a: [", "fingerprint: 5150b2987092870c\n", "\xff"])
def test_a_stamp_that_is_none_vouches_for_nothing(made, text):
    (made / STAMP).write_text(text, encoding="latin-1")
    assert again(made).reasons() == ["it is not there"]


def test_only_what_was_written_can_be_recorded(tmp_path):
    with pytest.raises(ValueError, match="files must have been written, missing are"):
        Result(tmp_path / STAMP, sources="abc").record([tmp_path / "never.csv"])
    assert not (tmp_path / STAMP).exists()


# ---------------------------------------------------------------- which source a result depends on


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the library that tests may edit."""
    folder = tmp_path_factory.mktemp("tree")
    shutil.copytree(ROOT / "tdlib", folder / "tdlib", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def python(tree, script, *arguments):
    """Run a script on the copy; return what it printed as JSON."""
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


HASHES = """
import json, os, sys
from pathlib import Path
from tdlib.core.sources import source_hash

def hashes():
    train, evaluate = "tdlib.study.phases.train", "tdlib.study.phases.evaluate"
    system, model, other = "tdlib.systems.pendulum", "tdlib.models.families.jump", "tdlib.models.families.newtonian"
    measure = "tdlib.evaluation.measures.one_step"
    stop = ("tdlib.figures", "tdlib.study", "tdlib.core.files", "tdlib.core.sources")
    return {
        "data": source_hash("tdlib.data.sources.branched", system, stop=stop),
        "jump": source_hash(train, model, system, stop=stop),
        "field": source_hash(train, other, system, stop=stop),
        "cartpole": source_hash(train, model, "tdlib.systems.cartpole", stop=stop),
        "tables": source_hash(evaluate, model, system, measure, stop=stop),
    }

found, before = {}, hashes()  # nothing of these is imported: the files say
for name in sys.argv[1:]:
    path = Path("tdlib", name)
    text = path.read_text()
    path.write_text(text + "\\nMARK = 1\\n")
    os.utime(path, (1e9, 1e9))
    after = hashes()
    path.write_text(text)
    found[name] = sorted(key for key in before if before[key] != after[key])
assert hashes() == before
print(json.dumps([before, found]))
"""


def test_an_edit_changes_what_depends_on_it_and_nothing_else(tree):
    expected = {
        "systems/pendulum.py": ["data", "field", "jump", "tables"],
        "systems/cartpole.py": ["cartpole"],
        "core/solvers.py": ["cartpole", "data", "field", "jump", "tables"],
        "training/fit.py": ["cartpole", "field", "jump"],
        "evaluation/measures/one_step.py": ["tables"],
        "study/phases/train.py": ["cartpole", "field", "jump"],
        "figures/training.py": [],
        "study/presets.py": [],
        "planning/planners.py": [],
    }
    assert python(tree, HASHES, *expected)[1] == expected


def test_a_new_system_or_model_changes_nothing_of_the_others(tree, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(tree, copy, ignore=shutil.ignore_patterns("__pycache__"))
    before = python(copy, HASHES)
    for module, tables in sources.REGISTRIES.items():
        path = copy / sources.module_path(module).relative_to(ROOT)
        place = ".".join(path.parent.relative_to(copy).parts)
        (path.parent / "new_entry.py").write_text('"""One more."""\n\nENTRY = object()\n')
        text = path.read_text()
        for node in ast.parse(text).body:
            name = getattr(getattr(node, "target", None), "id", None)
            if name in tables:
                value = ast.get_source_segment(text, node.value)
                text = text.replace(f"= {value}", f"= {{**{value}, 'new': NEW}}")
        assert text.count("NEW") == len(tables)
        lines = text.splitlines(keepends=True)
        first = next(node.lineno for node in ast.parse(text).body if isinstance(node, (ast.Import, ast.ImportFrom)))
        lines.insert(first - 1, f"from {place}.new_entry import ENTRY as NEW\n")
        path.write_text("".join(lines))
    assert python(copy, HASHES) == before


def test_every_registry_has_its_tables():
    for module, tables in sources.REGISTRIES.items():
        text = sources.source_of(module).decode()
        assert all(f"\n{table}: " in text or f"\n{table} = " in text for table in tables), module


def test_only_its_own_family_counts():
    found = sources.source_modules("tdlib.study.phases.train", "tdlib.systems.pendulum", stop=("tdlib.study",))
    assert "tdlib.systems.pendulum" in found and "tdlib.systems.cartpole" not in found
    assert b"SYSTEMS: dict" not in found["tdlib.systems"] and b"def get_system" in found["tdlib.systems"]
    assert sources_of("tdlib.training.fit", system="Pendulum-v1") != sources_of(
        "tdlib.training.fit", system="CartPole-v1"
    )
    with pytest.raises(ValueError, match="name must be a module of tdlib, got 'tdlib.nothing'"):
        sources_of("tdlib.nothing")


def test_a_job_counts_the_figures_that_its_notebook_draws_and_no_others():
    """Whichever way a notebook names them: `from tdlib import figures`, or `from tdlib.figures import draw_...`."""
    preset = load_preset("smoke")
    counted = {
        name: {
            module.rpartition(".")[2]
            for module in sources.source_modules(*job_roots(preset, name))
            if module.startswith("tdlib.figures.")
        }
        for name in ("01_data_exploration-Pendulum-v1", "03_results_visualization-Pendulum-v1", "05_statistics")
    }
    assert counted["01_data_exploration-Pendulum-v1"] >= {"data", "whole_table", "style"}
    assert counted["03_results_visualization-Pendulum-v1"] >= {"calibration", "heatmaps", "horizon", "style"}
    assert counted["05_statistics"] >= {"statistics", "shift", "failure", "style"}
    own = {"data", "calibration", "heatmaps", "statistics", "shift", "failure", "beliefs", "visual"}
    assert counted["01_data_exploration-Pendulum-v1"] & own == {"data"}
    assert counted["05_statistics"] & own == {"statistics", "shift", "failure"}


def test_a_strangers_module_counts_as_it_was_when_it_was_imported(tmp_path, monkeypatch):
    (tmp_path / "their_model.py").write_text("from their_part import x\nfrom tdlib.core import time_grid\n")
    (tmp_path / "their_part.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    import their_model

    before = sources.source_hash("their_model")
    assert set(sources.source_modules("their_model")) >= {"their_model", "tdlib.core.time_grid"}
    (tmp_path / "their_model.py").write_text("x = 2  # of another length\n")
    assert sources.source_hash("their_model") == before
    importlib.reload(their_model)
    assert sources.source_hash("their_model") != before


# ---------------------------------------------------------------- as it was in memory

EDITED = """
import json, os, sys
from pathlib import Path
import tdlib.core.time_grid as module
from tdlib.core.sources import source_hash
path = Path(module.__file__)
before = source_hash("tdlib.core.time_grid")
text = path.read_text()
path.write_text(text.replace("{old}", "{new}"))
os.utime(path, (1e9, 1e9))
print(json.dumps([before, source_hash("tdlib.core.time_grid"), getattr(module, "MARK", None)]))
"""


def test_a_source_that_is_edited_counts_from_the_next_process_on(tree):
    path = tree / "tdlib/core/time_grid.py"
    text = path.read_text()
    try:
        path.write_text(text + "\nMARK = 1\n")
        os.utime(path, OLD)
        first = python(tree, EDITED.replace("{old}", "MARK = 1").replace("{new}", "MARK = 2"))
        assert first[0] == first[1] and first[2] == 1
        # of the same length and time as what was compiled before
        second = python(tree, EDITED.replace("{old}", "MARK = 2").replace("{new}", "MARK = 3"))
        assert second[0] == second[1] != first[0] and second[2] == 2
    finally:
        path.write_text(text)


def test_jobs_of_a_preloaded_process_name_the_source_they_run(tree, tmp_path):
    (tree / "tdlib/grid/probe.py").write_text(
        "def main(arguments=None):\n    import tdlib.models.contract as m\n"
        "    from tdlib.core.sources import source_hash\n"
        "    print(hasattr(m, 'MARK'), source_hash('tdlib.models.families.jump'), flush=True)\n    return 0\n"
    )
    script = """
import json, subprocess, sys
from pathlib import Path
from tdlib.grid.preload import preloaded
edited, place = Path("tdlib/models/contract.py"), Path(sys.argv[1])
def run(environment):
    command = [sys.executable, "-m", "tdlib.grid.job", "tdlib.grid.probe"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()
with preloaded(place / "socket", place / "logs") as environment:
    found = [run(environment)]
    edited.write_text(edited.read_text() + "\\nMARK = 1\\n")
    found.append(run(environment))
fresh = "from tdlib.core.sources import source_hash; print(source_hash('tdlib.models.families.jump'))"
found.append(subprocess.run([sys.executable, "-c", fresh], capture_output=True, text=True, check=True).stdout.split())
print(json.dumps(found))
"""
    text = (tree / "tdlib/models/contract.py").read_text()
    try:
        before, edited, after = python(tree, script, tmp_path)
    finally:
        (tree / "tdlib/models/contract.py").write_text(text)
        (tree / "tdlib/grid/probe.py").unlink()
    assert before == edited and before[0] == "False"
    assert after != [before[1]]  # what the next process makes


@dataclass
class ToyJob:
    """A notebook job of the copied library whose cell is what a test says."""

    path: Path
    content: dict
    runs: Path

    @property
    def logs(self):
        return self.runs / "smoke/logs"

    @property
    def out(self):
        return self.runs / "smoke/notebooks/00_ground_truth.ipynb"

    @property
    def environment(self):
        named = {"TDLIB_JOB": "00_ground_truth", "TDLIB_LOGS": str(self.logs), "TDLIB_RUNS": str(self.runs)}
        return {**os.environ, **named, "PYTHONPATH": str(self.path.parents[1])}

    def write(self, source):
        parameters = next(c for c in self.content["cells"] if "parameters" in c["metadata"].get("tags", []))
        cell = {"cell_type": "code", "execution_count": None, "id": "toy", "metadata": {}, "outputs": []}
        self.path.write_text(json.dumps({**self.content, "cells": [parameters, {**cell, "source": source}]}))

    def start(self):
        command = [
            sys.executable, "-m", "tdlib.grid.job", "tdlib.grid.stamps", "smoke", "first", "tdlib.grid.batch",
            str(self.path), str(self.out), "-y", "{preset: smoke}", "--cwd", str(self.runs.parent),
        ]  # fmt: skip
        return subprocess.Popen(command, cwd=self.path.parents[1], env=self.environment, start_new_session=True)


@pytest.fixture
def toy(tree, tmp_path):
    for folder in ("params", "notebooks"):
        shutil.copytree(ROOT / folder, tree / folder, dirs_exist_ok=True)
    path = tree / "notebooks" / "00_ground_truth.ipynb"
    job = ToyJob(path, json.loads(path.read_text()), tmp_path / "runs")
    job.logs.mkdir(parents=True)
    return job


def test_a_notebook_that_is_edited_while_it_runs_is_out_of_date(toy, tmp_path):
    wait = "from pathlib import Path\nPath('begun').touch()\nwhile not Path('edited').exists():\n    pass"
    toy.write(wait)
    with toy.start() as process:
        while not (tmp_path / "begun").exists() and process.poll() is None:
            time.sleep(0.05)
        toy.write(wait + "\n")
        os.utime(toy.path, OLD)
        (tmp_path / "edited").touch()
        assert process.wait(timeout=120) == 0
    token = (
        "import json; from tdlib.grid.stamps import *; p = load_preset('smoke');"
        "print(json.dumps([token_of(p, '00_ground_truth'), job_result(p, '00_ground_truth').reasons()]))"
    )

    def now():
        command = [sys.executable, "-c", token]
        done = subprocess.run(command, cwd=toy.path.parents[1], env=toy.environment, capture_output=True, text=True)
        return json.loads(done.stdout)

    found, reasons = now()
    assert found != "first" and reasons == ["notebook changed"]
    toy.write(wait)  # back to the text that ran
    assert now() == ["first", []]
    stamp = toy.runs / "smoke/stamps/00_ground_truth.yaml"
    stamp.rename(tmp_path / "aside")
    assert now()[0] not in ("first", found)  # cut off between notebook and stamp: it is to run again
    (tmp_path / "aside").rename(stamp)
    toy.out.unlink()
    assert now()[1] == ["../notebooks/00_ground_truth.ipynb is missing or damaged"]


def test_the_time_of_a_job_that_was_cut_off_inside_a_cell_counts(toy, tmp_path):
    toy.write(
        "from pathlib import Path\nfrom tdlib.study.progress import Progress\nfrom tdlib.study.clock import part\n"
        "report = Progress('toy')\nwith part('training'):\n    while not Path('go').exists():\n        report(1, 2)\n"
        "report(2, 2)"
    )
    parts = toy.logs / "00_ground_truth.parts.json"
    begun = time.monotonic()
    with toy.start() as process:
        while process.poll() is None and time.monotonic() < begun + 120:
            if parts.exists() and (seconds := json.loads(parts.read_text()).get("training", [0, 0]))[0] > 1:
                break
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)  # as a power cut does: nothing is said any more
    while time.time() < parts.stat().st_mtime + 3:  # its kernel, a process of its own, notices within a second
        time.sleep(0.1)
    assert gather_times(toy.logs)[0].empty
    before = json.loads(parts.read_text())["training"]
    assert before[0] >= seconds[0] > 1
    (tmp_path / "go").touch()
    with toy.start() as process:
        assert process.wait(timeout=120) == 0
    jobs, found = gather_times(toy.logs)
    assert jobs["runs"].tolist() == [2]
    assert before[1] <= found.set_index("part")["cpu_seconds"]["training"] + 0.01
    last = json.loads((toy.logs / "00_ground_truth.times.json").read_text())
    assert jobs["wall_seconds"].iloc[0] == pytest.approx(last["wall_seconds"] + before[0], abs=0.5)


def test_the_commit_says_whether_the_tree_is_what_runs():
    commit = commit_of_memory()
    head = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    assert commit.removesuffix("-dirty") == head.stdout.strip()
    assert provenance.outside_history([head.stdout.strip(), "0123456", f"{head.stdout.strip()}-dirty"]) == [
        "0123456", f"{head.stdout.strip()}-dirty",
    ]  # fmt: skip


# ---------------------------------------------------------------- the phases


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of one environment and one small family, evaluated and controlled."""
    folder = tmp_path_factory.mktemp("run")
    content = yaml.safe_load((PRESET_FOLDER / "smoke.yaml").read_text())
    content |= {"name": "tiny", "environments": [ENV], "models": ["ensemble"], "test_frequencies": [10, 20, 50]}
    content["collection"] = {"num_transitions": 600, "num_random_transitions": 600}
    content["training"] = {"num_steps": 2, "learning_rate": 0.001}
    content["evaluation"] = {"num_pairs": 32, "num_starts": 2}
    content["control"] |= {"frequencies": [10], "compare_mppi": False}
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(content))
    made = Run(load_preset(path), RunLayout(folder / "tiny"))
    everything(made)
    return made


def everything(run):
    train_environment(run, ENV)
    evaluate_environment(run, ENV)
    control_environment(run, ENV)
    limit_curves(run, ENV)


def contents(run):
    return {path: file_hash(path) for path in sorted(run.layout.root.rglob("*")) if path.is_file()}


def times(run):
    return {path: path.stat().st_mtime_ns for path in sorted(run.layout.root.rglob("*")) if path.is_file()}


def rewritten(run, work=everything):
    """Which files are written again, by name relative to the run; summaries of checkpoints always are."""
    before = times(run)
    work(run)
    found = {p.relative_to(run.layout.root).as_posix() for p, t in times(run).items() if before.get(p) != t}
    return {name for name in found if "training_summary" not in name}


def test_nothing_is_made_again_that_stands(run):
    assert rewritten(run) == set()


PART = "results/metrics/parts/{}-CartPoleContinuous-v1-ensemble.csv"


@pytest.mark.parametrize(
    "name",
    [
        "data/random/CartPoleContinuous_v1/20hz/seed0/dataset_20hz_train.h5",
        "data/branched/CartPoleContinuous_v1/seed0/log_uniform_val.h5",
        "data/processed/normalization_stats_CartPoleContinuous_v1.json",
        "models/CartPoleContinuous_v1/ensemble/dt_conditioned_scaled_concat_20hz/seed0/model.pt",
        "models/CartPoleContinuous_v1/ensemble/dt_conditioned_scaled_concat_20hz/seed0/training_curves.png",
        PART.format("one_step_errors"),
        PART.format("control_performance"),
        "results/metrics/parts/limits-CartPoleContinuous-v1.csv",
        "results/trajectories/CartPoleContinuous-v1-ensemble-rollouts.h5",
        "results/trajectories/CartPoleContinuous-v1-ensemble-episodes.h5",
    ],
)
@pytest.mark.parametrize("how", ["cut", "missing"])
def test_a_damaged_result_is_made_again_and_nothing_that_depends_on_the_same_content(run, name, how):
    path, before = run.layout.root / name, contents(run)
    if how == "cut":
        os.truncate(path, path.stat().st_size // 2)
        os.utime(path, (2e9, 2e9))
    else:
        path.unlink()
    again = rewritten(run)
    assert name in again
    after = contents(run)
    assert after.keys() == before.keys()
    if path.suffix in (".csv", ".pt") or name.endswith("rollouts.h5"):
        assert after[path] == before[path]
    folders = {"data": "data/", "models": "models/", "results": "results/"}
    made_again = {top for top, prefix in folders.items() if any(n.startswith(prefix) for n in again)}
    assert made_again == {name.split("/")[0]}  # equal weights and data: what was made from them stands
    if name.startswith("models"):
        load_checkpoint(path.parent)


def test_rows_name_the_commit_of_the_source_that_made_them(run):
    for name in ("one_step_errors", "control_performance", "training_summary"):
        commits = read_table(run.layout.root / PART.format(name))["git_commit"].unique()
        assert list(commits) == [commit_of_memory()]
    stamp = read_stamp(run.layout.part("evaluation", f"{ENV}-ensemble").with_suffix(".yaml"))
    assert stamp["git_commit"] == commit_of_memory()


def test_limits_depend_on_seeds_and_data(run, tmp_path):
    members = read_stamp(run.layout.part("limits", ENV).with_suffix(".yaml"))["members"]
    assert members.keys() == {"0"} and set(members["0"]) == {"10hz/seed0", "20hz/seed0", "50hz/seed0"}
    more = Run(run.preset.model_copy(update={"seeds": (0, 1)}), run.layout)
    with pytest.raises(Exception, match="seed1"):  # another seed, whose data are not there: not the same limits
        limit_curves(more, ENV)


def test_data_of_another_version_are_adopted_as_they_are(run, tmp_path):
    other = Run(run.preset, RunLayout(tmp_path / "other"))
    shutil.copytree(run.layout.data, other.layout.data)
    stamps = sorted(other.layout.data.rglob("*.yaml"))
    for stamp in stamps:
        stamp.write_text("fingerprint: 5150b2987092870c\n")  # as the first edition stamped
    before = {path: file_hash(path) for path in other.layout.data.rglob("*.h5")}
    assert adopt_data(other, ENV) == len(stamps)
    assert rewritten(other, lambda r: ensure_collected(r, ENV)) == set()
    assert all(parse_yaml(stamp.read_text())["adopted"] for stamp in stamps)
    assert {path: file_hash(path) for path in other.layout.data.rglob("*.h5")} == before
