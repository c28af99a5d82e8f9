"""Openness: the files of the page "Bring your own" go from collection to a built book by the page's own command."""

import re
import sys
from pathlib import Path

import pytest
import yaml

from tdlib.data import load_dataset
from tdlib.evaluation.tables import read_table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from own_files import copy_own_files, python

ARM, OF_FIVE = "SlidingArm-v0", "SlidingArmOfFive-v0"
OURS = re.compile(r"jump, first_order_ode, ")  # ours beside them only take time here; the smoke run's chapter has them
FIGURES = ("data/{}-coverage", "training/{}-curves", "limits/{}", "error_vs_horizon/{}", "control/{}")
LOAD = """
import torch
from tdlib.training import load_checkpoint
state, action = torch.zeros(3, 3), torch.tensor([[0.5, 1.0]]).expand(3, 2)
path = "runs/mine/models/SlidingArm_v0/damped_map/baseline_20hz/seed0"
try:
    load_checkpoint(path)
except ValueError as error:
    print("refused:", error)
import damped_map
model = load_checkpoint(path)
print(type(model).__name__, model(state, action, 0.02).shape)
"""
PLAN = """
import square_root_step
from sliding_arm import ARM_OF_FIVE as system
from tdlib.evaluation import ControlSettings, control_starts, evaluate_control
from tdlib.planning import CEM, Enumeration
from tdlib.training import load_checkpoint
model = load_checkpoint("runs/mine/models/SlidingArmOfFive_v0/square_root_step/multi_resolution/seed0")
settings = ControlSettings(horizon=0.6, knots_per_second=5, duration=1.0, replan_interval=0.2)
for planner in (Enumeration(), CEM(population=32)):
    found = evaluate_control(model, system, 10, control_starts(system, 2), planner=planner, settings=settings)
    print(planner.name, tuple(found.actions.shape), sorted(set(found.actions.flatten().tolist()) - {0, 1, 2, 3, 4}))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the page's files, the preset without our models, and what the page's command makes of them."""
    folder = copy_own_files(tmp_path_factory.mktemp("own files"))
    text, count = OURS.subn("", (folder / "mine.yaml").read_text(encoding="utf-8"))
    assert count == 1
    (folder / "mine.yaml").write_text(text, encoding="utf-8")
    result = python(folder, "-m", "tdlib.grid", "mine.yaml", "book")
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    assert "the book is at" in result.stdout
    return folder


def test_the_data_hold_inputs_parameters_and_what_the_sensor_saw(place):
    for env, num_actions in ((ARM, 2), (OF_FIVE, 1)):
        folder = place / "runs/mine/data/random" / env.replace("-", "_") / "20hz/seed0"
        data = load_dataset(folder / "dataset_20hz.h5", 20)
        assert data.state.shape[1] == 3 and data.action.shape[1] == num_actions
        assert data.observation.shape == (len(data), 3) and data.spec.observation_names[1] == "cos_angle"
        loads = data.parameters[:, 0].tolist()  # one per episode
        assert len(set(loads)) == data.num_episodes and all(0.8 <= load <= 1.2 for load in loads)
    assert set(data.action[:, 0].tolist()) == {0.0, 1.0, 2.0, 3.0, 4.0}


def test_every_arm_has_errors_and_a_form_of_ones_own_has_learned(place):
    for env in (ARM, OF_FIVE):
        table = read_table(place / f"runs/mine/results/metrics/parts/one_step_errors-{env}-square_root_step.csv")
        assert {"5", "10", "20", "50", "100", "irregular"} == set(table["test_frequency"])
        assert {"slide", "angle", "spin", "all"} == set(table["dimension"])
        errors = table[(table["dimension"] == "all") & (table["test_set"] == "pooled")].set_index("test_frequency")
        assert (errors.loc[["10", "20", "50"], "relative_error"] < 0.9).all()  # better than predicting no change


def test_every_arm_plans_for_both_kinds_of_actions(place):
    table = read_table(place / "runs/mine/results/metrics/control_performance.csv")
    planned = table[table["planner"] == "cem"]
    for env in (ARM, OF_FIVE):
        assert {"damped_map", "square_root_step", "none"} <= set(planned[planned["env"] == env]["model"])
    result = python(place, "-c", PLAN)
    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stdout.split("\n")[:2] == ["enumeration (1, 2, 10, 1) []", "cem (1, 2, 10, 1) []"]


def test_the_book_shows_the_figures_of_ones_own_systems(place):
    html = place / "runs/mine/html"
    contents = yaml.safe_load((place / "runs/mine/site/_toc.yml").read_text(encoding="utf-8"))
    files = [chapter["file"] for part in contents["parts"] for chapter in part["chapters"]]
    assert {f"notebooks/03_results_visualization-{env}" for env in (ARM, OF_FIVE)} <= set(files)
    assert all((html / f"{file}.html").is_file() for file in [contents["root"], *files])
    assert contents["root"] in (html / "index.html").read_text(encoding="utf-8")
    cover, gallery = ((html / f"book/{name}.html").read_text(encoding="utf-8") for name in ("cover", "gallery"))
    pictures = {path.name for path in (html / "_images").glob("*.png")}
    for env in (ARM, OF_FIVE):
        assert f"_images/{env}.png" in cover or re.search(rf'alt="[^"]*{env}', cover)
        for figure in FIGURES:
            path = place / f"runs/mine/results/figures/{figure.format(env)}.png"
            assert path.is_file()
            assert re.search(rf'id="gallery-{path.parent.name.replace("_", "-")}-{path.stem.lower()}', gallery), path
    assert len(pictures) > 2 * len(FIGURES)
    assert "DampedMap" in cover and "Pendulum" not in cover


def test_the_explorer_opens_ones_own_systems_only(place):
    script = (place / "runs/mine/html/_static/explorer_run.js").read_text(encoding="utf-8")
    assert f'"environments":["{ARM}","{OF_FIVE}"]' in script
    weights = (place / "runs/mine/html/_static/weights/weights-SlidingArm_v0.js").read_text(encoding="utf-8")
    assert "damped_map/baseline_20hz" in weights


def test_a_checkpoint_of_ones_own_class_loads_where_the_class_is_imported(place):
    result = python(place, "-c", LOAD)
    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stdout.startswith("refused: ") and "DampedMap torch.Size([3, 3])" in result.stdout


def test_the_command_again_has_nothing_to_do(place):
    result = python(place, "-m", "tdlib.grid", "mine.yaml", "book")
    assert result.returncode == 0 and "nothing to do" in result.stdout
