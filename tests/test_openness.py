"""Openness: the files of the page "Bring your own", as a reader writes them, go from collection to tables unedited."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tdlib.evaluation.tables import read_table

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "book" / "bring_your_own.md").read_text(encoding="utf-8")
FILES = ("sliding_arm.py", "damped_map.py", "square_root_step.py", "mine.yaml")
PHASES = """
import json, sys
import torch
from tdlib.study.phases.control import control_environment
from tdlib.study.phases.evaluate import evaluate_environment
from tdlib.study.phases.train import train_environment
from tdlib.study.run import open_run

run = open_run("mine.yaml")
env = run.preset.environments[0]
summary = train_environment(run, env)
tables = evaluate_environment(run, env)
control = control_environment(run, env)
print(json.dumps({"env": env, "models": list(run.preset.models), "arms": len(summary), "episodes": len(control)}))
"""
LOAD = """
import sys
import torch
from tdlib.training import load_checkpoint
state, action = torch.zeros(3, 3), torch.tensor([[0.5, 1.0]]).expand(3, 2)
path = sys.argv[1]
try:
    load_checkpoint(path)
except ValueError as error:
    print("refused:", error)
import damped_map
model = load_checkpoint(path)
print(type(model).__name__, model(state, action, 0.02).shape)
"""
REFUSED = """
from tdlib.study.presets import PresetError, load_preset
try:
    load_preset("wrong.yaml")
except PresetError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the page's files."""
    folder = tmp_path_factory.mktemp("own")
    for name in FILES:
        blocks = re.findall(r"```(?:python|yaml)\n# " + re.escape(name) + r"\n(.*?)```", PAGE, re.S)
        assert len(blocks) == 1, name
        (folder / name).write_text(blocks[0], encoding="utf-8")
    return folder


def python(place, code, *arguments):
    environment = {**os.environ, "TDLIB_RUNS": str(place / "runs"), "PYTHONPATH": str(place)}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    result = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


@pytest.fixture(scope="module")
def study(place):
    """The phases of the page's preset, run once."""
    said = python(place, PHASES)
    return place / "runs" / "mine", __import__("json").loads(said.splitlines()[-1])


def test_a_system_and_models_of_ones_own_pass_all_phases(study):
    run, said = study
    assert said["env"] == "SlidingArm-v0"
    assert said["models"] == ["jump", "damped_map", "square_root_step"]
    table = read_table(run / "results/metrics/parts/one_step_errors-SlidingArm-v0-square_root_step.csv")
    assert {"5", "10", "20", "50", "100", "irregular"} == set(table["test_frequency"])
    assert {"slide", "angle", "spin", "all"} == set(table["dimension"])
    errors = table[(table["dimension"] == "all") & (table["test_set"] == "pooled")].set_index("test_frequency")
    assert (errors.loc[["10", "20", "50"], "relative_error"] < 0.9).all()  # better than predicting no change
    assert said["episodes"] > 0


def test_a_checkpoint_of_ones_own_class_loads_where_the_class_is_imported(place, study):
    run, _ = study
    said = python(place, LOAD, run / "models/SlidingArm_v0/damped_map/baseline_20hz/seed0")
    assert "DampedMap torch.Size([3, 3])" in said


def test_a_path_that_names_no_system_or_model_is_refused(place):
    text = (place / "mine.yaml").read_text(encoding="utf-8")
    for wrong, rule in (
        ("sliding_arm:SPEC", "must be a System"),
        ("sliding_arm:NOTHING", "can be imported"),
        ("nowhere:ARM", "can be imported"),
        ("SlidingArm-v9", "must be one of"),
    ):
        (place / "wrong.yaml").write_text(text.replace("sliding_arm:ARM", wrong), encoding="utf-8")
        assert rule in python(place, REFUSED)  # in a process of its own: what a preset names is registered
