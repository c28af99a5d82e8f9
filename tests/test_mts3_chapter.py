"""The chapter on two time scales on a tiny run: paths to draw, and what its tables and figures must hold."""

import numpy as np
import pytest
import yaml

from tdlib.figures import draw_belief
from tdlib.figures.beliefs import live_belief
from tdlib.figures.live_picture import LivePicture
from tdlib.grid.jobs import grid_jobs
from tdlib.study.chapters import load_chapter, measures_of
from tdlib.study.chapters.mts3 import rates_imagined
from tdlib.study.phases.imagine import STARTS, imagined_paths
from tdlib.study.phases.train import ensure_trained
from tdlib.study.presets import PRESET_FOLDER, load_preset
from tdlib.study.run import open_run
from tdlib.study.selection import arms_of, select_arms

ENV = "pendulum"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    content = yaml.safe_load((PRESET_FOLDER / "mts3_smoke.yaml").read_text(encoding="utf-8"))
    content |= {"name": "tiny", "environments": [ENV], "models": ["mts3", "gaussian_gru"], "forms": ["none", "flow"]}
    content |= {"training": {"num_steps": 1, "learning_rate": 0.001, "batch_size": 50}}
    (root / "tiny.yaml").write_text(yaml.safe_dump(content))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TDLIB_RUNS", str(root))
        run = open_run(root / "tiny.yaml")
        ensure_trained(run, ENV)
        yield run


@pytest.fixture(scope="module")
def paths(run):
    return imagined_paths(run, ENV, rates=("10", "50"))


def test_paths_are_known_for_a_second_and_then_imagined(run, paths):
    arms = [arm for arm in arms_of(run.preset, ENV) if arm.source == arm]
    assert paths.groupby(["model", "method", "form", "train_frequency"]).ngroups == len(arms)
    assert set(paths["start"]) == set(range(STARTS)) and set(paths["test_frequency"]) == {"10", "50"}
    known, ahead = paths[paths["time"] <= 0], paths[paths["time"] > 0]
    assert known["time"].min() == pytest.approx(-1.0) and ahead["time"].max() == pytest.approx(3.0)
    assert known["theta"].isna().all() and ahead["theta"].notna().all() and (ahead["theta_spread"] > 0).all()
    off = ahead["theta_true"] - ahead["theta"]
    assert (off.abs() <= np.pi + 1e-6).all()  # the truth is drawn on the prediction's turn
    own = paths[(paths["test_frequency"] == "10") & (paths["start"] == 0)]
    assert own.groupby("time")["omega_true"].nunique().eq(1).all()  # one truth for all arms
    chosen = select_arms(run, models=["gaussian_gru"], methods=["baseline"])
    assert set(imagined_paths(run, ENV, chosen, ("10",))["model"]) == {"gaussian_gru"}


def test_a_live_belief_says_how_much_its_band_holds(paths):
    first = {"arm": "MTS3: multi-resolution flow, mixed", "test_frequency": "10", "start": 0}
    drawing = LivePicture(live_belief, paths, **first).still()
    rows = drawing.data[drawing.data["time"] > 0]
    held = ((rows["theta_true"] - rows["theta"]).abs() <= 2 * rows["theta_spread"]).mean()
    assert f"holds {100 * held:.2g} % of the truth" in drawing.caption.replace("holds 100 %", "holds 1e+02 %")
    assert "n = 1 start" in drawing.caption
    assert "n = 1" in draw_belief(paths, "10").caption


def test_the_presets_have_the_chapters_arms_and_jobs_of_one_model_and_seed():
    smoke, quick, whole = map(load_preset, ("mts3_smoke", "mts3_quick", "mts3"))
    assert set(smoke.models) == set(whole.models) and len(whole.seeds) >= 5
    assert {arm.keys()["form"] for arm in arms_of(whole)} == set(whole.forms)
    jobs = [job for job in grid_jobs(whole) if job.notebook == "18_mts3_train"]
    assert len([job for job in jobs if "seeds" in job.parameters]) >= 2 * 6 * 5
    assert "imagined" in measures_of("mts3") and "imagined" not in measures_of("history")
    assert rates_imagined(quick) == ["10", "20", "50", "irregular"]
    chapter = load_chapter("mts3")
    work = [chapter.own_transitions(preset, ENV) for preset in (smoke, quick, whole)]
    assert work == sorted(work) and work[0] == 4 * (40 + 80 + 200 + 80)
