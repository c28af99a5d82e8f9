"""Sets of which a part is seen: what is left of a state, their place in presets and grid, training and scores."""

import sys

import numpy as np
import pytest
import yaml

from tdlib.data import check_dataset, collect_random, load_dataset, split_path
from tdlib.data.sources.partly_seen import collect_partly_seen, only_positions, parts_of_name
from tdlib.grid import command
from tdlib.grid.jobs import grid_jobs
from tdlib.study.cost import preset_work
from tdlib.study.phases.partly_seen import collect_seen, dataset_path, evaluate_seen, select_seen, train_seen
from tdlib.study.phases.train import model_folder
from tdlib.study.presets import PRESET_FOLDER, PresetError, load_preset
from tdlib.study.run import open_run
from tdlib.study.selection import arms_of

NAME, MODELS = "pendulum-positions", ("acrkn", "gaussian_gru")


def write(folder, **changes):
    content = yaml.safe_load((PRESET_FOLDER / "mts3_smoke.yaml").read_text(encoding="utf-8"))
    content |= {"name": "tiny", "environments": ["pendulum"], "models": list(MODELS), "seeds": [0, 1]}
    content |= {"training": {"num_steps": 2, "learning_rate": 0.001, "batch_size": 100}, "seeds_per_cell": 1}
    group = {"sets": [NAME], "num_seeds": 1, "num_transitions": 1500, "imagined": 3.0}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(content | {"partly_seen": [group | changes]}), encoding="utf-8")
    return folder / "tiny.yaml"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("seen")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TDLIB_RUNS", str(root))
        yield open_run(write(root))


def test_names_say_what_is_driven_and_what_is_seen():
    assert parts_of_name(NAME) == ("pendulum", "positions")
    assert parts_of_name("Pendulum-v1-positions") == ("Pendulum-v1", "positions")
    assert parts_of_name("HalfCheetah-v5-published") == ("half_cheetah", "published")
    for name in ("pendulum", "pendulum-published", "HalfCheetah-v5-all", "walker-positions", "-positions"):
        with pytest.raises(ValueError, match=rf"a partly seen set must be one of .*'pendulum'.*got {name!r}"):
            parts_of_name(name)


def test_positions_are_those_of_the_whole_set_and_nothing_else_is_left():
    whole = collect_random("pendulum", 20, 3, 600)
    seen = check_dataset(collect_partly_seen(NAME, 20, 3, 600, 0))
    np.testing.assert_array_equal(seen.state, whole.state[:, :1])
    np.testing.assert_array_equal(seen.next_state, whole.next_state[:, :1])
    np.testing.assert_array_equal(seen.action, whole.action)
    assert seen.spec.name == NAME and seen.spec.state_names == ("theta",) and seen.spec.angle_dims == (0,)
    assert whole.parameters is not None and seen.parameters is None and seen.spec.parameter_names == ()
    with pytest.raises(ValueError, match="dataset must name positions among its states, pendulum-positions has"):
        only_positions(seen)


def test_a_preset_says_which_sets_and_how_many_seeds(tmp_path, run):
    for changes, rule in (
        ({"sets": ["pendulum-speeds"]}, r"partly_seen.0.sets: .*must be one of .*got 'pendulum-speeds'"),
        ({"sets": [NAME, NAME]}, r"partly_seen: .*sets must differ"),
        ({"imagined": 0.2}, r"partly_seen.0.imagined: .*greater than or equal to 1, got 0.2"),
        ({"num_transitions": 2}, r"partly_seen.0.num_transitions"),
    ):
        with pytest.raises(PresetError, match=rule):
            load_preset(write(tmp_path, **changes))
    assert run.preset.seeds_seen(NAME) == (0,) and [arm.model for arm in arms_of(run.preset, NAME)[1:]] == [*MODELS]
    jobs = {job.name: job for job in grid_jobs(run.preset) if job.parameters.get("seen") == NAME}
    data, own = f"cells/23_mts3_partly_seen-{NAME}-seed0", f"23_mts3_partly_seen-{NAME}"
    cells = [f"cells/23_mts3_partly_seen-{NAME}-{model}-seeds0" for model in MODELS]
    assert list(jobs) == [data, *cells, own] and jobs[own].after == (data, *cells)
    assert all(jobs[cell].after == (data,) for cell in cells)
    assert own in grid_jobs(run.preset)[-1].after
    work = preset_work(run.preset).query("env == @NAME and kind == 'training'")
    assert dict(zip(work["model"], work["count"], strict=True)) == dict.fromkeys(MODELS, 2)


def test_models_are_trained_and_scored_on_what_is_seen_once(run):
    alone = select_seen(run, NAME, ["acrkn"], [0])
    assert list(train_seen(run, NAME, alone)["model"]) == ["acrkn"]
    part = evaluate_seen(run, NAME, alone)["sliding_windows"]
    assert set(part["model"]) == {"none", "acrkn"} and not list(run.layout.metric_parts.glob("sliding_windows*"))
    arm = alone.arms[0]
    before = (model_folder(run, NAME, arm, 0) / "model.pt").stat().st_mtime_ns
    chosen = select_seen(run, NAME)
    summary = train_seen(run, NAME, chosen)
    assert list(summary["model"]) == [*MODELS] and set(summary["env"]) == {NAME}
    assert (model_folder(run, NAME, arm, 0) / "model.pt").stat().st_mtime_ns == before
    tables = evaluate_seen(run, NAME, chosen)
    windows = tables["sliding_windows"]
    assert set(windows["env"]) == {NAME} and set(windows["test_frequency"]) == {"20"} and windows["time"].max() == 3.0
    same = windows[windows["model"] == "acrkn"].reset_index(drop=True)
    assert np.allclose(same["rmse"], part[part["model"] == "acrkn"]["rmse"], rtol=1e-4)
    assert np.isfinite(tables["interval_calibration"]["coverage_95"]).all()
    rows = collect_seen(run, NAME, chosen)
    assert (
        rows["policy"].iloc[0].startswith("half the transitions uniform inputs") and rows["transitions"].item() == 1500
    )
    test = load_dataset(split_path(dataset_path(run, NAME, 0), "test"), 20)
    assert test.state.shape[1] == 1
    with pytest.raises(PresetError, match=r"seen must be among the preset's \['pendulum-positions'\], got \['x'\]"):
        select_seen(run, "x")
    with pytest.raises(PresetError, match=r"seeds must be among the preset's \[0\], got \[1\]"):
        select_seen(run, NAME, [], [1])


def test_episodes_that_are_too_short_are_named_before_anything_is_trained(tmp_path, monkeypatch):
    monkeypatch.setenv("TDLIB_RUNS", str(tmp_path / "runs"))
    short = open_run(write(tmp_path, imagined=6.0))
    rule = r"partly_seen.imagined must be at most .*longest test episode of pendulum-positions, 4.65 s.*got 6 s"
    with pytest.raises(PresetError, match=rule):
        train_seen(short, NAME, select_seen(short, NAME))
    assert not short.layout.models.exists()


def test_the_grid_refuses_machines_whose_packages_are_missing_before_anything_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TDLIB_RUNS", str(tmp_path / "runs"))
    monkeypatch.setitem(sys.modules, "mujoco", None)  # as where it is not installed
    path = write(tmp_path, sets=["HalfCheetah-v5-published"])
    assert command.main([str(path), "grid"]) == 2
    said = capsys.readouterr().err
    assert 'names HalfCheetah-v5-published, which mujoco must collect: pip install -e ".[mujoco]"' in said
    assert [path.name for path in (tmp_path / "runs" / "tiny").iterdir()] == []
    assert command.main([str(path), "grid", "--dry-run"]) == 2
    listed = capsys.readouterr()
    assert listed.err == said and "cells/23_mts3_partly_seen-HalfCheetah-v5-published-seed0 " in listed.out
