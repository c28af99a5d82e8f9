"""The phase of control: rows appear while it runs, an interruption loses little, every seed has its own episodes."""

import math

import pandas as pd
import pytest
import torch
import yaml

import tdlib.study.parts as parts
import tdlib.study.phases.control as phase
import tdlib.study.phases.control_film as film
from tdlib.core.files import parse_yaml
from tdlib.evaluation.control.starts import control_starts
from tdlib.evaluation.tables import read_table
from tdlib.speed import Stack
from tdlib.study.arms import build_arm
from tdlib.study.layout import RunLayout
from tdlib.study.phases.stacks import StackOfArms
from tdlib.study.phases.train import ensure_trained
from tdlib.study.predictions import load_predictions
from tdlib.study.presets import PRESET_FOLDER, load_preset
from tdlib.study.run import Run
from tdlib.study.selection import select_arms

ENV = "CartPoleContinuous-v1"  # random data only, so that no agent has to be trained
CONTROL = {
    "frequencies": [10, 20], "episodes_per_seed": 1, "oracle_starts": 4, "episode_seconds": 0.4, "replan_seconds": 0.1,
    "num_samples": 8, "num_iterations": 1, "compare_mppi": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A preset and trained models of it."""
    folder = tmp_path_factory.mktemp("control")
    content = yaml.safe_load((PRESET_FOLDER / "smoke.yaml").read_text())
    content |= {"name": "tiny", "environments": [ENV], "models": ["jump"], "seeds": [0, 1], "control": CONTROL}
    content["collection"] = {"num_transitions": 600, "num_random_transitions": 600}
    content["training"] = {"num_steps": 2, "learning_rate": 0.001}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(content))
    run = Run(load_preset(folder / "tiny.yaml"), RunLayout(folder / "tiny"))
    ensure_trained(run, ENV, chosen_of(run))
    return folder


def chosen_of(run):
    return select_arms(run, models=["jump"], methods=["baseline", "rescaled"], train_frequencies=[20])


def fresh(folder, name):
    """A run with the same models and without results."""
    run = Run(load_preset(folder / "tiny.yaml"), RunLayout(folder / name))
    run.layout.root.mkdir()
    run.layout.models.symlink_to(folder / "tiny/models")
    return run


class InterruptedCellError(Exception):
    """Stands for a process that is killed."""


@pytest.fixture
def episodes(monkeypatch):
    """Note which settings and seeds are run."""
    noted, real = [], phase._episodes

    def run(run, system, setting, dynamics, seeds, count):
        noted.append((setting.labels, tuple(seeds), count))
        return real(run, system, setting, dynamics, seeds, count)

    monkeypatch.setattr(phase, "_episodes", run)
    return noted


def contents(run):
    return {path.name: path.read_text() for path in sorted(run.layout.metric_parts.glob("control*.csv"))}


@pytest.mark.parametrize("stop", [0, 3, 6, 8, 11])
def test_an_interrupted_cell_goes_on_where_it_was(folder, episodes, monkeypatch, stop):
    monkeypatch.setattr(parts, "SAVE_SECONDS", 0.0)
    whole = fresh(folder, f"whole{stop}")
    table = phase.control_environment(whole, ENV, chosen_of(whole))
    everything = list(episodes)
    assert len(everything) == 6 + 6  # oracle and random; two rates, two other model steps, two rates under MPPI

    episodes.clear()
    again = fresh(folder, f"again{stop}")
    real, count = phase.evaluate_control, 0

    def killed(*arguments, **options):
        nonlocal count
        if count == stop:
            raise InterruptedCellError
        count += 1
        return real(*arguments, **options)

    monkeypatch.setattr(phase, "evaluate_control", killed)
    with pytest.raises(InterruptedCellError):
        phase.control_environment(again, ENV, chosen_of(again))
    monkeypatch.setattr(phase, "evaluate_control", real)
    episodes.clear()
    resumed = phase.control_environment(again, ENV, chosen_of(again))
    assert episodes == everything[stop:]  # what was finished is not run again
    assert contents(again) == contents(whole)
    pd.testing.assert_frame_equal(resumed.astype(str), table.astype(str))
    episodes.clear()
    phase.control_environment(again, ENV, chosen_of(again))
    assert episodes == []


def test_a_changed_member_is_run_again_alone(folder, episodes):
    run = fresh(folder, "changed")
    phase.control_environment(run, ENV, chosen_of(run))
    before = read_table(run.layout.part("control_performance", f"{ENV}-jump"))
    stamp = run.layout.part("control_performance", f"{ENV}-jump").with_suffix(".yaml")
    content = parse_yaml(stamp.read_text())
    changed = next(name for name in content["members"] if "/rescaled/" in name and name.endswith("/1/20/20/cem"))
    stamp.write_text(yaml.safe_dump({**content, "members": {**content["members"], changed: "other weights"}}))
    episodes.clear()
    phase.control_environment(run, ENV, chosen_of(run))
    assert episodes == [(("20", "20", "cem"), (1,), 1)]
    after = read_table(run.layout.part("control_performance", f"{ENV}-jump"))
    assert len(after) == len(before) and list(after["episode"]) == list(before["episode"])


def test_rows_of_the_oracle_are_what_the_checks_ask_for(folder):
    run = fresh(folder, "rows")
    table = phase.control_environment(run, ENV, chosen_of(run))
    oracle = table[table["method"] == "oracle"]
    assert set(oracle["model"]) == {"none"} and set(oracle["seed"]) == {0, 1}
    other = oracle[oracle["planner"] == "mppi"]  # no mark rests on another planner: from the starts of the arms only
    assert other.groupby(["control_frequency", "seed"])["episode"].agg(list).tolist() == [[0]] * 4
    assert (oracle["model_frequency"] == oracle["control_frequency"]).all() and oracle["success"].notna().all()
    own = oracle[oracle["planner"] == "cem"]
    assert own.groupby(["control_frequency", "seed"])["episode"].agg(list).tolist() == [[0, 1]] * 4  # 4 starts a mark
    queries = [check.left for check in load_predictions()["planner-limits"].checks]
    assert all(query["model"] == "none" and query["method"] == "oracle" for query in queries)
    learned = table[(table["model"] == "jump") & (table["planner"] == "cem") & (table["control_frequency"] == "10")]
    learned = learned[learned["model_frequency"] == "10"]
    for _, row in learned.iterrows():  # each against its own seed's oracle, from the same start
        mine = own[(own["control_frequency"] == "10") & (own["seed"] == row["seed"]) & (own["episode"] == 0)]
        assert row["regret"] == pytest.approx(float(mine["episode_return"].iloc[0]) - row["episode_return"], abs=1e-3)
    assert not torch.equal(control_starts(phase.SYSTEMS[ENV], 1, 0), control_starts(phase.SYSTEMS[ENV], 1, 1))
    assert table["planner_limited"].isna().all()  # four starts of the oracle decide nothing


def test_the_first_seed_of_pendulum_is_filmed_swinging_up(folder, monkeypatch, tmp_path):
    env, arm = "Pendulum-v1", film.filmed_arm()
    preset = load_preset("smoke")
    run = Run(preset, RunLayout(tmp_path / "film"))
    stack = StackOfArms(env, ((arm, 0),), Stack([build_arm(arm, phase.SYSTEMS[env].spec, 0)]))
    monkeypatch.setattr(film, "load_stacks", lambda *_: [stack])
    tables, real = [], film.save_rollout_video

    def save(table, path, **options):
        tables.append(table)
        return real(table, path, **options)

    monkeypatch.setattr(film, "save_rollout_video", save)
    video = film.film_control(run, env)
    (table,) = tables
    assert abs(abs(table["theta"].iloc[0]) - math.pi) < 0.2 and table["theta"].iloc[0] == table["theta_true"].iloc[0]
    assert table["time"].iloc[-1] == pytest.approx(preset.control.episode_seconds)
    assert not table["theta"].equals(table["theta_true"])  # what a model of chance steers, and the oracle
    assert video.path == run.layout.videos / "pendulum_control_at_20hz.mp4" and video.path.stat().st_size > 1000
    assert "oracle" in video.alt and "n = 1" in video.caption and "Pendulum-v1" in video.caption
    assert "declares no starts" in repr(film.film_control(run, ENV))
    others = select_arms(run, methods=["baseline"])
    assert "not among what was chosen" in repr(film.film_control(run, env, others))
