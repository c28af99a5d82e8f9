"""The history chapter on a tiny run: a member scored in windows of its rate, and a film of the arm that is asked."""

import numpy as np
import pytest
import yaml

from tdlib.dynamics_model_training.evaluate import evaluate_member, report
from tdlib.study.arms import Arm
from tdlib.study.phases.control_film import film_control, filmed_arm
from tdlib.study.phases.train import ensure_trained
from tdlib.study.presets import PRESET_FOLDER
from tdlib.study.run import Missing, open_run
from tdlib.study.selection import select_arms

ENV = "double_cart_pole"
OF_ONE, OF_TWO = Arm("gru", "baseline", train_frequency="20"), Arm("gru", "multi_resolution", train_frequency="mixed")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    content = yaml.safe_load((PRESET_FOLDER / "history_smoke.yaml").read_text(encoding="utf-8"))
    content |= {"name": "tiny", "environments": [ENV], "models": ["gru"], "forms": ["none"]}
    content |= {"training": {"num_steps": 1, "learning_rate": 0.001, "batch_size": 38}}
    (root / "tiny.yaml").write_text(yaml.safe_dump(content))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TDLIB_RUNS", str(root))
        run = open_run(root / "tiny.yaml")
        ensure_trained(run, ENV)
        yield run


def test_a_member_is_scored_on_held_out_windows_of_its_rate_in_units(run):
    found = evaluate_member(run, ENV, OF_ONE, 0, num_examples=20)
    assert set(found.steps["predictor"]) == {"model", "constant velocity", "last delta"}
    assert np.allclose(found.steps.query("predictor == 'model'")["time"], 0.05 * np.arange(1, 10))
    assert (found.steps["n"] == 20).all() and set(found.dimensions["unit"]) == {"m", "rad", "m/s", "rad/s"}
    assert "Average MSE per step:\n  Step 1: " in report(found)
    again = evaluate_member(run, ENV, OF_ONE, 0, num_examples=20)
    assert again.steps.equals(found.steps)


@pytest.mark.parametrize("arm", [OF_TWO, Arm("jump", "baseline", train_frequency="20")])
def test_an_arm_of_several_rates_or_without_a_history_is_refused(run, arm):
    with pytest.raises(ValueError, match="arm must be of one rate and of a family with a history_length, got Arm"):
        evaluate_member(run, ENV, arm, 0)


def test_the_arm_that_is_asked_for_is_filmed(run):
    film = film_control(run, ENV, None, OF_TWO)
    assert film.path.name == "double_cart_pole_control_at_20hz.mp4" and film.path.stat().st_size > 1000
    assert "looks through multi-resolution, none" in film.caption
    missing = film_control(run, ENV, select_arms(run, methods=["baseline"]), OF_TWO)
    assert isinstance(missing, Missing) and "gru/multi_resolution" in str(missing)
    assert str(film_control(run, ENV)).count(filmed_arm().model)  # the main model, which this run does not have
