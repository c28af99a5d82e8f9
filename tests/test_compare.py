"""The comparison of two runs finds every kind of planted difference, and nothing where there is none."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from tdlib.core.files import PACKERS
from tdlib.evaluation.tables import write_table
from tdlib.grid.compare import CompareError, compare_runs, main, report

ARM = {"model": "jump", "method": "baseline", "form": "none", "size": "hidden64", "data": "transitions"}


def one_step(num=6):
    rows = [
        {"env": env, **ARM, "train_frequency": "20", "test_frequency": f"{rate:g}", "seed": seed, "mse": 1e-7 * (i + 1),
         "relative_error": 0.3 / (i + 1), "verdict": "pass", "n": 128}
        for env in ("Pendulum-v1", "CartPole-v1") for seed in (0, 1) for i, rate in enumerate((10, 20, 33.3)[:num])
    ]  # fmt: skip
    return pd.DataFrame(rows)


def control(generator):
    rows = [
        {"env": env, **ARM, "train_frequency": "20", "test_frequency": "10", "seed": seed, "control_frequency": "10",
         "model_frequency": "10", "planner": "cem", "episode": episode, "episode_return": generator.normal(-100, 30),
         "success": True, "exit_time": np.inf, "num_nonfinite": 0, "n": 1}
        for env in ("Pendulum-v1", "CartPole-v1") for seed in range(4) for episode in range(10)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture
def runs(tmp_path):
    """Two folders with the same tables."""
    for name in "ab":
        metrics = tmp_path / name / "results" / "metrics"
        write_table(metrics / "one_step_errors.csv", one_step())
        pendulum = one_step().query("env == 'Pendulum-v1'")
        write_table(metrics / "parts" / "one_step_errors-Pendulum-v1-jump.csv", pendulum)
        write_table(metrics / "control_performance.csv", control(np.random.default_rng(0)))
        (metrics / "job_times.csv").write_text(f"job,wall_seconds\nx,{1 if name == 'a' else 2}\n")
    return tmp_path / "a", tmp_path / "b"


def change(runs, edit, name="one_step_errors"):
    """Edit a table of the second run and return how that table differs."""
    path = runs[1] / "results" / "metrics" / f"{name}.csv"
    table = pd.read_csv(path, dtype={"test_frequency": str, "train_frequency": str})
    edited = edit(table)
    write_table(path, table if edited is None else edited)
    (found,) = (d for d in compare_runs(*runs) if d.table == name)
    others = [d for d in compare_runs(*runs) if d.table != name]
    assert all(other.same for other in others)
    return found


def test_equal_runs_are_the_same_whatever_they_cost(runs, capsys):
    assert main([str(runs[0]), str(runs[1])]) == 0
    out = capsys.readouterr().out
    assert "parts/one_step_errors" in out and out.rstrip().endswith("the same") and "job_times" not in out


def test_the_order_of_rows_and_the_making_of_numbers_do_not_matter(runs):
    def edit(table):
        table["seed"] = table["seed"].astype(float)  # 1 is written 1.0
        return table.sample(frac=1, random_state=0).assign(git_commit="abc", seconds=3.0)

    found = change(runs, edit)
    assert found.same and not found.columns and not found.columns_new


def test_missing_and_new_rows_are_counted_and_named(runs):
    def edit(table):
        table.loc[0, "test_frequency"] = "25"
        return table.iloc[:-2]

    found = change(runs, edit)
    assert (found.rows_a, found.rows_b, found.missing, found.new) == (12, 10, 3, 1)
    assert not found.same
    assert any("missing" in text and "test_frequency=10" in text for text in found.examples)
    assert any("new" in text and "test_frequency=25" in text for text in found.examples)


def test_rows_of_equal_keys_are_counted(runs):
    found = change(runs, lambda table: pd.concat([table, table.iloc[:1]]))
    assert (found.missing, found.new, found.same) == (0, 1, False)


@pytest.mark.parametrize(
    ("column", "factor", "same"),
    [("relative_error", 1 + 2e-4, False), ("relative_error", 1.5, False), ("mse", 1 + 2e-3, False), ("n", 2, False)],
)
def test_a_number_that_changed_is_found_with_its_row(runs, column, factor, same):
    def edit(table):
        table[column] = table[column].astype(float)
        table.loc[4, column] *= factor

    found = change(runs, edit)
    assert found.same == same
    (difference,) = found.columns
    assert difference.column == column and difference.differing == 1
    assert "seed=1" in difference.row and "test_frequency=20" in difference.row
    if column != "n":
        assert difference.largest == pytest.approx(1 - 1 / factor, rel=0.5)


def test_rounding_is_no_difference_and_the_tolerance_decides(runs):
    def last_digit(table):
        table["relative_error"] *= 1 + 5e-5

    found = change(runs, last_digit)
    assert found.same and 0 < found.columns[0].largest <= 1e-4
    assert not all(d.same for d in compare_runs(*runs, tolerance=1e-6))
    with pytest.raises(ValueError, match="tolerance must be at least 0, got -1"):
        compare_runs(*runs, tolerance=-1)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_number_that_is_lost_is_found(runs, value):
    def edit(table):
        table.loc[2, "relative_error"] = value

    found = change(runs, edit)
    assert not found.same and found.columns[0].largest == np.inf


def test_a_text_that_changed_is_found(runs):
    def edit(table):
        table.loc[7, "verdict"] = "fail"

    found = change(runs, edit)
    assert not found.same and found.columns[0].column == "verdict" and "pass -> fail" in found.columns[0].row


def test_a_lost_column_differs_and_a_new_one_is_told(runs):
    lost = change(runs, lambda table: table.drop(columns="mse"))
    assert lost.columns_missing == ("mse",) and not lost.same
    (back,) = (d for d in compare_runs(runs[1], runs[0]) if d.table == "one_step_errors")
    assert back.columns_new == ("mse",) and back.same


def test_a_lost_key_column_is_told_with_every_row_new(runs):
    found = change(runs, lambda table: table.drop(columns="seed"))
    assert "seed" in found.columns_missing and found.missing and not found.same


def test_a_lost_table_has_every_row_missing(runs):
    (runs[1] / "results/metrics/one_step_errors.csv").unlink()
    (found,) = (d for d in compare_runs(*runs) if d.table == "one_step_errors")
    assert (found.rows_b, found.missing, found.same) == (0, 12, False)
    (back,) = (d for d in compare_runs(*reversed(runs)) if d.table == "one_step_errors")
    assert (back.rows_a, back.new, back.same) == (0, 12, False)


def test_close_choices_of_a_planner_are_counted_apart(runs, capsys):
    def edit(table):
        chance = np.random.default_rng(1).normal(0, 20, len(table))
        table["episode_return"] += np.where(np.arange(len(table)) % 4 == 0, chance, 0)

    found = change(runs, edit, "control_performance")
    assert found.same and found.columns  # they differ, and are not judged
    for episodes in found.episodes:
        assert episodes.episodes == 40 and episodes.differing == 10
        assert episodes.ci_low < episodes.mean < episodes.ci_high and not episodes.systematic
    assert main([str(runs[0]), str(runs[1])]) == 0
    assert "10 of 40 episodes differ, mean difference of return" in capsys.readouterr().out


def test_returns_that_changed_not_by_chance_are_found(runs, capsys):
    def edit(table):
        cartpole = table["env"] == "CartPole-v1"
        table.loc[cartpole, "episode_return"] -= 3 + np.random.default_rng(1).normal(0, 1, cartpole.sum())

    found = change(runs, edit, "control_performance")
    assert not found.same
    verdicts = {episodes.env: episodes.systematic for episodes in found.episodes}
    assert verdicts == {"Pendulum-v1": False, "CartPole-v1": True}
    cartpole = next(e for e in found.episodes if e.systematic)
    assert cartpole.mean == pytest.approx(-3, abs=0.5) and cartpole.ci_high < 0
    assert main([str(runs[0]), str(runs[1])]) == 1
    assert "not by chance" in capsys.readouterr().out


def test_a_missing_episode_differs(runs):
    assert not change(runs, lambda table: table.iloc[1:], "control_performance").same


def test_statistics_of_episodes_follow_the_episodes(runs):
    rows = [{"env": "Pendulum-v1", "metric": name, "mean": 1.0} for name in ("one_step.mse", "control.return")]
    for run, factor in zip(runs, (1, 2), strict=True):
        table = pd.DataFrame(rows)
        table.loc[1, "mean"] *= factor
        write_table(run / "results/metrics/statistics.csv", table)
    found = {d.table: d for d in compare_runs(*runs)}
    assert found["statistics"].same and not found["statistics"].columns
    assert found["statistics of episodes"].same and found["statistics of episodes"].columns[0].largest == 0.5


@pytest.mark.parametrize("suffix", PACKERS)
def test_an_edition_is_read_packed(runs, suffix):
    path = runs[1] / "results/metrics/one_step_errors.csv"
    with PACKERS[suffix].open(f"{path}{suffix}", "wb") as file:
        file.write(path.read_bytes())
    path.unlink()
    shutil.rmtree(runs[1] / "results/metrics/parts")
    shutil.rmtree(runs[0] / "results/metrics/parts")
    assert all(found.same for found in compare_runs(*runs))


def test_json_holds_the_same(runs, capsys):
    def edit(table):
        table.loc[0, "relative_error"] = np.nan

    found = change(runs, edit)
    assert main([str(runs[0]), str(runs[1]), "--json"]) == 1
    content = json.loads(capsys.readouterr().out)
    assert content["same"] is False
    (table,) = (t for t in content["tables"] if t["table"] == found.table)
    assert table["columns"][0]["largest"] == "inf" and table["same"] is False
    assert "DIFFERS" in report([found])


def test_what_is_no_run_is_named(tmp_path, runs, capsys, monkeypatch):
    assert main(["nonsense", str(runs[0])]) == 2
    assert "nonsense must be the folder of a run or the name of a preset" in capsys.readouterr().err
    assert main([str(tmp_path), str(runs[0])]) == 2
    assert "must hold tables in results/metrics" in capsys.readouterr().err
    monkeypatch.setenv("TDLIB_RUNS", str(tmp_path))
    (runs[0]).rename(tmp_path / "smoke")
    assert all(found.same for found in compare_runs("smoke", runs[1]))
    with pytest.raises(CompareError):
        compare_runs("quick", runs[1])
    with pytest.raises(SystemExit) as stop:
        main([str(runs[1])])
    assert stop.value.code == 2
