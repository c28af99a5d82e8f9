"""Films of failures: which rollout is shown follows from the numbers, and what a run lacks is said."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from tdlib.evaluation import EpisodeFile, RolloutFile, Rollouts
from tdlib.evaluation.control.episodes import ControlResult
from tdlib.evaluation.sets.rollout_sets import RolloutSet
from tdlib.evaluation.tables import arm_of
from tdlib.publish.failures_page import failures_page
from tdlib.study.arms import Arm
from tdlib.study.layout import RunLayout
from tdlib.study.phases.control_kept import episodes_path
from tdlib.study.phases.evaluate import rollouts_path
from tdlib.study.phases.failure_films import choose, diverged, end_error, energy_gain, failures, film_failures
from tdlib.study.presets import load_preset
from tdlib.study.run import Missing, Run
from tdlib.systems import SYSTEMS

ENV = "Pendulum-v1"
SYSTEM = SYSTEMS[ENV]
BASELINE = arm_of(Arm("jump", "baseline", train_frequency="20"), 0, ENV)


def swings(factor):
    """True rollouts of half a second at 50 Hz, and predictions whose change is `factor` (S,) times too large."""
    generator = torch.Generator().manual_seed(0)
    start = torch.rand(len(factor), 2, generator=generator, dtype=torch.float64) + 1.0
    states = [start]
    for _ in range(25):
        states.append(SYSTEM.flow(states[-1], torch.zeros(len(factor), 1, dtype=torch.float64), 0.02))
    true = torch.stack(states[1:], dim=1)  # (S, T, D)
    delta_t = torch.full((len(factor), 25), 0.02, dtype=torch.float64)
    times = delta_t[0].cumsum(0)
    truth = RolloutSet(start[None], torch.zeros(1, len(factor), 25, 1), delta_t[None], true[None], None, times)
    predicted = start[:, None] + torch.tensor(factor, dtype=torch.float64)[:, None, None] * (true - start[:, None])
    return predicted[None], truth


@pytest.fixture
def run(tmp_path):
    return Run(load_preset("smoke"), RunLayout(tmp_path))


def stored(run, factor, rate="50"):
    file = RolloutFile(rollouts_path(run, ENV, "jump"), SYSTEM.spec)
    file.add(rate, [BASELINE], *swings(factor))
    file.write(["/".join(str(BASELINE[name]) for name in BASELINE if name != "env")], (), "abc")


def test_the_median_is_filmed_and_an_outlier_is_not(run):
    stored(run, [1.0, 1.2, 1.5, 1.7, 9.0])
    films = film_failures(run, {})
    shown = {film.path.stem: film for film in films if not isinstance(film, Missing)}
    assert list(shown) == ["failure_too_fast"]
    assert "start 2 of seed 0, the median of n = 5 rollouts on 1 system" in shown["failure_too_fast"].caption
    assert 2_000 < shown["failure_too_fast"].path.stat().st_size < 300_000
    page = failures_page(run.layout.root / "results")
    assert page.count("```{video}") == 1 and page.count("*Not filmed: ") == len(films) - 1
    stored(run, [9.0, 1.0, 1.0, 1.0, 1.0], rate="10")  # another rate: there is nothing to film at 50 Hz any more
    assert isinstance(film_failures(run, {})[0], Missing)
    assert not (run.layout.videos / "failure_too_fast.mp4").exists()
    assert "made before" in failures_page(run.layout.root / "elsewhere")


def test_scores_find_a_planted_error_and_a_planted_gain_of_energy():
    still = np.zeros((1, 3, 2, 2))
    still[0, :, 1] = [[1.0, 0.0], [1.0, 1.0], [1.0, -1.0]]
    rollouts = Rollouts(pd.DataFrame([BASELINE]), "50", ("theta", "omega"), still.copy(), still, still, still, None)
    assert np.allclose(end_error(SYSTEM, rollouts), 0) and np.allclose(energy_gain(SYSTEM, rollouts), 0)
    off = still.copy()
    off[0, 1, 1, 1] = 3.0  # faster than the truth
    off[0, 2, 1, 1] = -0.1  # slower
    planted = dataclasses.replace(rollouts, predicted=off)
    gain = energy_gain(SYSTEM, planted)[0]
    assert gain[1] > 0 > gain[2] and gain[0] == 0
    assert end_error(SYSTEM, planted)[0].argmax() == 1
    assert np.isnan(energy_gain(dataclasses.replace(SYSTEM, energy=None), planted)).all()


def test_a_choice_follows_its_rule():
    scores = [np.array([[3.0, np.nan]]), np.array([[1.0, 2.0], [np.inf, 2.5]])]
    assert choose(scores, "median") == (1, 1, 1)
    assert choose(scores, "largest") == (1, 1, 0)
    assert choose(scores, "smallest") == (1, 0, 0)
    with pytest.raises(ValueError, match="scores must hold a number"):
        choose([np.full((1, 2), np.nan)], "median")


def test_what_diverged_is_found_in_the_tables_and_a_good_run_has_none(run):
    rows = [{**BASELINE, "test_frequency": rate, "dimension": "all", "truncated": False, "relative_error": error}
            for rate, error in (("10", 0.5), ("50", np.nan), ("irregular", 1e9))]  # fmt: skip
    table = pd.DataFrame(rows)
    found = diverged(table)
    assert found.arm == ("jump", "baseline", "none", "20") and found.rate == "50"  # not finite is the worst of all
    stored(run, [1.0, 1e5, 1.0])
    film = {f.path.stem: f for f in film_failures(run, {"rollout_errors": table}) if not isinstance(f, Missing)}
    assert "start 1 of seed 0" in film["failure_diverged"].caption
    stored(run, [1.0, 1.1, 1.0])
    absent = [f.reason for f in film_failures(run, {"rollout_errors": table}) if isinstance(f, Missing)]
    assert any("none has: the worst rollout misses" in reason for reason in absent)
    assert diverged(None).arm is None


def test_a_planner_at_its_limit_is_filmed_beside_the_best_learned_episode(run):
    mixed = arm_of(Arm("jump", "multi_resolution", "scaled_concat", train_frequency="mixed"), 0, ENV)
    oracle = arm_of(Arm("none", "oracle", train_frequency=""), 0, ENV)
    rows = []
    for key, returns in ((oracle, [-900.0, -100.0]), (mixed, [-300.0, -100.0])):
        count = len(returns)
        states = torch.zeros(1, count, 11, 2)
        times = torch.arange(11) * 0.1
        fields = {"states": states, "actions": torch.zeros(1, count, 10, 1), "reward": torch.zeros(1, count, 10),
                  "episode_return": torch.tensor([returns]), "success": torch.zeros(1, count, dtype=torch.bool),
                  "exit_time": torch.full((1, count), torch.inf), "times": times, "control_frequency": 10.0,
                  "planner": "CEM", "num_nonfinite": torch.zeros(1, count), "model_delta_t": 0.1,
                  "seconds": 1.0}  # fmt: skip
        file = EpisodeFile(episodes_path(run, ENV, key["model"]), SYSTEM.spec)
        unit = "/".join([*(str(key[name]) for name in key if name != "env"), "10", "10", "CEM"])
        file.add([unit], ControlResult(**fields))
        file.write([unit], (), "abc")
        setting = {"test_frequency": "10", "control_frequency": "10", "model_frequency": "10", "planner": "CEM"}
        rows += [{**key, **setting, "episode": i, "episode_return": x, "planner_limited": True}
                 for i, x in enumerate(returns)]  # fmt: skip
    table = pd.DataFrame(rows)
    # of a seed that an earlier run made there are rows and no episode, however bad it was
    taken = table.assign(seed=1, episode_return=table["episode_return"] - 500.0)
    film = film_failures(run, {"control_performance": pd.concat([table, taken])})[-1]
    assert "the oracle (black, return -900)" in film.caption and "(color, return -300)" in film.caption
    decided = film_failures(run, {"control_performance": table.assign(planner_limited=False)})[-1]
    assert isinstance(decided, Missing) and "in no cell of this run" in decided.reason


def test_every_way_to_fail_asks_for_an_arm_of_the_study():
    from tdlib.study.selection import arms_of

    arms = {(arm.model, arm.method, arm.form, arm.train_frequency) for arm in arms_of(load_preset("quick"))}
    assert {failure.arm for failure in failures()} <= arms
    assert len({failure.name for failure in failures()}) == len(failures())
