"""Where time goes: parts that add up, times gathered from jobs, the chapter on speed, and figures drawn once."""

import json
import time

import numpy as np
import pandas as pd
import pytest

from tdlib.figures.speed import draw_growth, draw_time_split
from tdlib.grid.report import parts_of_cells
from tdlib.grid.spent import REST, set_aside, spent_of
from tdlib.grid.times import gather_times, split_of
from tdlib.publish.speed_page import speed_page
from tdlib.study.clock import Clock
from tdlib.study.cost import preset_work
from tdlib.study.predicted_cost import of_all_seeds
from tdlib.study.presets import load_preset


def test_a_second_counts_once_for_the_innermost_part():
    clock = Clock()
    started = time.perf_counter()
    clock.begin("outer")
    time.sleep(0.03)
    clock.begin("inner")
    time.sleep(0.06)
    clock.end()
    time.sleep(0.03)
    clock.end()
    whole = time.perf_counter() - started
    wall = {name: seconds[0] for name, seconds in clock.seconds.items()}
    assert sum(wall.values()) == pytest.approx(whole, abs=0.01)
    assert wall["inner"] == pytest.approx(0.06, abs=0.02) and wall["outer"] == pytest.approx(0.06, abs=0.02)
    assert sum(seconds[1] for seconds in clock.seconds.values()) < 0.05  # sleeping costs no CPU time


def test_a_cell_counts_for_the_part_its_tag_names():
    cells = [
        {"source": "import a", "tags": ["part:imports", "remove-cell"]},
        {"source": "run.save_figure('imports')", "tags": []},
    ]
    assert parts_of_cells(cells) == {"import a": "imports"}


def write_job(logs, name, wall, cpu, parts=None):
    path = logs / f"{name}.times.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"wall_seconds": wall, "cpu_seconds": cpu, "peak_mb": 300}))
    if parts:
        (logs / f"{name}.parts.json").write_text(json.dumps(parts))


def test_the_parts_of_a_job_add_up_to_its_whole(tmp_path):
    write_job(tmp_path, "02-Pendulum-v1", 12.0, 10.0, {"training": [8.0, 7.5], "figures": [2.0, 1.5]})
    write_job(tmp_path, "cells/02-Pendulum-v1-jump", 3.0, 3.0, {"training": [2.0, 2.0]})
    write_job(tmp_path, "preload", 5.0, 4.0)
    jobs, parts = gather_times(tmp_path)
    assert list(jobs["job"]) == ["02-Pendulum-v1", "cells/02-Pendulum-v1-jump", "preload"]
    for column in ("wall_seconds", "cpu_seconds"):
        summed = parts.groupby("job")[column].sum()
        assert summed.to_dict() == pytest.approx(jobs.set_index("job")[column].to_dict())
    assert set(parts[parts["job"] == "02-Pendulum-v1"]["part"]) == {"training", "figures", REST}
    split = split_of(parts)
    assert split["part"].iloc[0] == "training" and split["share"].sum() == pytest.approx(1)
    assert split.set_index("part").loc["imports", "cpu_seconds"] == 4.0


def test_what_is_read_from_a_clock_counts_the_part_that_is_open(tmp_path):
    clock = Clock()
    clock.kept_in = tmp_path / "x.parts.json"
    clock.begin("training")
    time.sleep(0.03)
    clock.keep()
    first = json.loads(clock.kept_in.read_text())["training"][0]
    time.sleep(0.02)
    clock.end()
    clock.keep()
    assert 0.03 <= first < json.loads(clock.kept_in.read_text())["training"][0] - 0.019


RUNS = [{"training": [60.0, 50.0]}, {"training": [40.0, 30.0], "figures": [2.0, 1.0]}]


@pytest.mark.parametrize(
    ("begun", "runs", "training", "figures"),
    [
        ([("w", "s"), ("w", "s")], 2, [100.0, 80.0], [2.0, 1.0]),  # interrupted: it goes on
        ([("w", "s"), ("w", "t")], 2, [60.0, 50.0], [2.0, 1.0]),  # from other source: the longest
        ([("w", "s"), ("v", "s")], 1, [40.0, 30.0], [2.0, 1.0]),  # other work: earlier runs are forgotten
    ],
)
def test_a_job_counts_with_all_its_runs(tmp_path, begun, runs, training, figures):
    name = "cells/02-Pendulum-v1-seed0"
    (tmp_path / "cells").mkdir()
    set_aside(tmp_path, name, *begun[0])
    (tmp_path / f"{name}.parts.json").write_text(json.dumps(RUNS[0]))  # cut off: no time of the whole
    assert gather_times(tmp_path)[0].empty
    set_aside(tmp_path, name, *begun[1])
    write_job(tmp_path, name, 45.0, 33.0, RUNS[1])
    spent = spent_of(tmp_path, name)
    assert spent.runs == runs and spent.peak_mb == 300
    assert spent.parts == {"training": training, "figures": figures, REST: [3.0, 2.0]}
    set_aside(tmp_path, name, *begun[1])  # nothing ran since
    assert spent_of(tmp_path, name) == spent
    write_job(tmp_path, name, 4.0, 3.0, {"figures": [1.0, 1.0]})
    row = gather_times(tmp_path)[0].iloc[0]
    assert row["runs"] == runs + 1 and row["cpu_seconds"] == training[1] + 1 + 1 + 2 + 2


def test_times_from_before_runs_were_counted_are_of_unknown_work(tmp_path):
    write_job(tmp_path, "02", 12.0, 10.0)
    assert spent_of(tmp_path, "02").runs == 1
    set_aside(tmp_path, "02", "w", "s")
    assert spent_of(tmp_path, "02").runs == 0


@pytest.fixture
def results(tmp_path):
    metrics = tmp_path / "metrics"
    write_job(tmp_path / "logs", "02-Pendulum-v1", 12.0, 10.0, {"training": [8.0, 7.5]})
    jobs, parts = gather_times(tmp_path / "logs")
    metrics.mkdir()
    jobs.to_csv(metrics / "job_times.csv", index=False)
    parts.to_csv(metrics / "part_times.csv", index=False)
    row = {"name": "train 16", "ours": 0.22, "peer": 1.36, "unit": "ms / model / step", "ratio": 6.2, "ratio_low": 6.0,
           "ratio_high": 6.5, "fraction_of_peak": 0.61, "threads": 1, "device": "cpu", "peer_name": "a loop",
           "goal": 6.0, "group": "training", "torch": "2.13"}  # fmt: skip
    late = {**row, "name": "train 4", "ratio": 3.1, "ratio_low": 3.0, "ratio_high": 3.2}
    alone = {**row, "name": "unit", "peer": None, "ratio": None, "ratio_low": None, "ratio_high": None, "goal": None,
             "fraction_of_peak": None, "peer_name": "", "group": "scaling"}  # fmt: skip
    (metrics / "bench.json").write_text(json.dumps([row, late, alone]))
    kinds = pd.concat([preset_work(load_preset(name)) for name in ("quick", "full", "full_literal")])
    units = kinds[["kind", "what"]].drop_duplicates().assign(seconds=1e-6).to_dict("records")
    line = {"name": "step", "axis": "models", "x": [1, 2, 4], "y": [0.1, 0.19, 0.41], "exponent": 1.02, "low": 0.9,
            "high": 1.1}  # fmt: skip
    (metrics / "scaling.json").write_text(json.dumps({"cpu": {"units": units, "series": [line]}}))
    return tmp_path


def test_the_chapter_shows_what_was_measured(results):
    page = speed_page(results)
    assert "| training | 8 | 8 | 75 % |" in page
    assert "counts with all its runs" in page and "| 02-Pendulum-v1 | 1 | 12 | 10 | 300 |" in page
    assert "6.20 (6.00–6.50) | 6 |" in page
    assert "3.10 (3.00–3.20) | 6 **missed** |" in page
    assert page.count("**missed**") == 1
    assert page.count("All on cpu, 1 thread.") == 2 and "| on |" not in page
    table = results / "metrics" / "job_times.csv"
    pd.read_csv(table).drop(columns="runs").to_csv(table, index=False)  # of an edition from before runs were counted
    page = speed_page(results)
    assert "counts with its last time" in page and "| 02-Pendulum-v1 | 12 | 10 | 300 |" in page
    bench = results / "metrics" / "bench.json"
    first, *others = json.loads(bench.read_text())
    bench.write_text(json.dumps([{**first, "device": "A card"}, *others]))
    mixed = speed_page(results)
    assert "| on |" in mixed and "| A card, 1 thread |" in mixed and "| cpu, 1 thread |" in mixed
    alone = "| what | ours | unit |\n| --- | ---: | --- |\n| unit | 0.22 | "  # nothing of a peer that is not there
    assert alone in page
    assert "| step | models | 1.02 | 0.90 to 1.10 | 3 |" in page
    for name in ("time_split", "growth"):
        assert f"../results/figures/speed/{name}.png" in page
        assert json.loads((results / "figures" / "speed" / f"{name}.json").read_text())["alt"]
    predicted = next(line for line in page.splitlines() if line.startswith("| full |")).split(" | ")
    work = preset_work(of_all_seeds(load_preset("full")))
    assert float(predicted[5]) == pytest.approx(1e-6 * work["count"].sum() / 3600, rel=0.05)


def test_a_long_table_of_benchmarks_is_folded_whole(results):
    bench = results / "metrics" / "bench.json"
    first, *others, alone = json.loads(bench.read_text())
    many = [{**alone, "name": f"unit {k}"} for k in range(50)]
    bench.write_text(json.dumps([first, *others, *many]))
    page = speed_page(results)
    folded = page.split("{dropdown} 50 rows\n")[1].split("\n:::::\n")[0]
    assert page.count("{dropdown}") == 1 and folded.count("\n| unit ") == 50


def test_a_study_of_many_jobs_is_shown_by_phase(results):
    for k in range(70):
        write_job(results / "logs", f"cells/02-Pendulum-v1-jump-seed{k}", 100.0 + k, 90.0, {"training": [80.0, 75.0]})
        write_job(results / "logs", f"cells/03-Pendulum-v1-jump-seed{k}", 9.0, 8.0, {"evaluation": [8.0, 7.5]})
    jobs, parts = gather_times(results / "logs")
    jobs.to_csv(results / "metrics" / "job_times.csv", index=False)
    parts.to_csv(results / "metrics" / "part_times.csv", index=False)
    page = speed_page(results)
    assert "the 60 that took longest of 141" in page and page.count("| cells/02-") == 60
    assert "jump-seed10 " in page and "jump-seed9 " not in page and "cells/03-" not in page
    drawn = json.loads((results / "figures" / "speed" / "time_split.json").read_text())
    assert "of 2 phases" in drawn["alt"] and "CPU seconds of every phase" in drawn["caption"]


def test_numbers_of_any_size_are_written_out_and_hours_name_what_they_are_of(results):
    bench, scaling = (results / "metrics" / name for name in ("bench.json", "scaling.json"))
    rows, costs = json.loads(bench.read_text()), json.loads(scaling.read_text())
    values = {5065.8: "5,070", 1936770.7: "1,940,000", 999.6: "1,000", 617.2: "617", 0.2193: "0.219", 12.0: "12"}
    bench.write_text(json.dumps([{**rows[0], "name": f"row {x}", "ours": x} for x in values]))
    units = [unit for unit in costs["cpu"]["units"] if unit["kind"] != "collection"]
    scaling.write_text(json.dumps({**costs, "A card": {"units": units}}))
    page = speed_page(results)
    for value, written in values.items():
        assert f"| row {value} | {written} | 1.36 |" in page
    cpu, card = (line for line in page.splitlines() if line.startswith("| preset |"))
    assert cpu.count("[CPU h]") == 5 and cpu.endswith("all of these [CPU h] | wall on 2 cores [h] |")
    assert card == "| preset | training [h of the card] | evaluation [h of the card] | control [h of the card] " + (
        "| all of these [h of the card] |"
    )  # agents and environments stay on the processor
    first, second = (line.split(" | ") for line in page.splitlines() if line.startswith("| full |"))
    assert second[1:4] == first[2:5] and len(second) == 5 and "–" not in second[4]
    assert "e+0" not in page


@pytest.mark.parametrize("missing", ["bench.json", "scaling.json", "part_times.csv", "job_times.csv"])
def test_the_chapter_survives_what_is_missing(results, missing):
    (results / "metrics" / missing).unlink()
    page = speed_page(results)
    assert "**Limits.**" in page
    gone = {
        "bench.json": "was not run on this machine: the comparison with others.",
        "scaling.json": "was not run on this machine: how the cost grows and what the presets cost.",
        "part_times.csv": "kept no times by part",
        "job_times.csv": None,
    }
    assert [words for words in gone.values() if words and words in page] == [w for w in [gone[missing]] if w]


def test_a_family_without_a_unit_cost_is_no_zero(results):
    path = results / "metrics" / "scaling.json"
    content = json.loads(path.read_text())
    content["cpu"]["units"] = [unit for unit in content["cpu"]["units"] if unit["kind"] != "training"]
    path.write_text(json.dumps(content))
    row = next(line for line in speed_page(results).splitlines() if line.startswith("| quick |"))
    assert row.split(" | ")[2] == "–" and row.endswith("| – | – |")


def test_a_chapter_of_nothing_says_what_to_run(tmp_path):
    page = speed_page(tmp_path)
    assert page.count("make bench DEVICE=cuda") == 1
    assert "the comparison with others and how the cost grows and what the presets cost" in page
    assert "## Ours and others" not in page and "## How the cost grows" not in page  # no sections without numbers
    assert "{result-figure}" not in page


def test_speed_figures_say_what_they_show():
    rows = [("a", "training", 3.0), ("a", "figures", 1.0), ("b", "figures", 4.0)]
    parts = pd.DataFrame(rows, columns=["job", "part", "cpu_seconds"])
    drawing = draw_time_split(parts)
    assert "figures" in drawing.alt and "n = 1 run" in drawing.caption
    line = {"name": "step", "axis": "models", "x": [1, 2, 4], "y": [1.0, 2, 4], "exponent": 1, "low": 1, "high": 1}
    drawing = draw_growth([line], "cpu")
    axis = drawing.figure.axes[0]
    np.testing.assert_allclose(axis.lines[1].get_ydata(), line["y"])  # the fitted power goes through exact points
    assert axis.get_xlabel() == "models"
