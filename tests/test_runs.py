"""Running: files written whole, progress, and staged notebooks."""

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from nbclient import NotebookClient

from tdlib.core.files import parse_yaml, write_text, yaml_text
from tdlib.evaluation.tables import read_table
from tdlib.publish import site
from tdlib.publish.edition import OF_CHAPTER, at_few_times, pack, unpack, write_stripped_notebook
from tdlib.publish.gallery import write_gallery
from tdlib.publish.site import main
from tdlib.study.layout import ROOT, RunLayout
from tdlib.study.progress import Progress


def test_a_run_lies_in_the_seeds_tree(tmp_path):
    layout = RunLayout(tmp_path)
    assert layout.ppo_folder("Pendulum-v1", "10hz", 0) == tmp_path / "data/raw/Pendulum_v1/10hz/seed0"
    assert layout.model_folder("Pendulum-v1", "jump", "baseline_10hz", 0) == (
        tmp_path / "models/Pendulum_v1/jump/baseline_10hz/seed0"
    )


def test_runs_go_where_tdlib_runs_points(tmp_path, monkeypatch):
    monkeypatch.setenv("TDLIB_RUNS", str(tmp_path))
    assert RunLayout.of("quick").root == tmp_path / "quick"


def test_a_job_of_the_grid_reports_through_a_file(tmp_path, monkeypatch):
    monkeypatch.setenv("TDLIB_JOB", "02_training")
    monkeypatch.setenv("TDLIB_LOGS", str(tmp_path))
    progress = Progress("training")
    progress(1, 4)
    progress(4, 4)
    assert json.loads((tmp_path / "02_training.progress").read_text()) == {"label": "training", "done": 4, "total": 4}


def test_a_notebook_shows_progress_in_one_line_and_nothing_on_stderr(monkeypatch):
    monkeypatch.delenv("TDLIB_JOB", raising=False)
    source = "from tdlib.study.progress import Progress\nshow = Progress('training')\nshow(1, 4)\nshow(4, 4)"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    (outputs,) = (cell.outputs for cell in NotebookClient(notebook, kernel_name="python3").execute().cells)
    assert [output["data"]["text/plain"] for output in outputs] == ["training: 4 in 0 s"]


def test_staged_notebooks_carry_no_times_and_no_machine(tmp_path):
    cell = nbformat.v4.new_code_cell("1", metadata={"tags": ["x"], "papermill": {"duration": 3.0}})
    cell.outputs = [
        nbformat.v4.new_output("stream", name="stderr", text="/some/path: warning"),
        nbformat.v4.new_output("stream", name="stdout", text="kept"),
        nbformat.v4.new_output("display_data", data={"text/html": "<p>kept</p>", "text/plain": "At('/some/path')"}),
    ]
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"papermill": {"start_time": "now"}})
    nbformat.write(notebook, tmp_path / "a.ipynb")
    write_stripped_notebook(tmp_path / "a.ipynb", tmp_path / "b.ipynb")
    write_stripped_notebook(tmp_path / "a.ipynb", tmp_path / "c.ipynb")
    text = (tmp_path / "b.ipynb").read_text()
    assert "papermill" not in text
    assert "/some/path" not in text
    assert "kept" in text
    assert text == (tmp_path / "c.ipynb").read_text()
    nbformat.validate(nbformat.read(tmp_path / "b.ipynb", as_version=4))


def test_a_page_of_one_environment_says_so_in_its_title(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# How wrong?\n\ntext")])
    nbformat.write(notebook, tmp_path / "03_results-CartPole-v1.ipynb")
    write_stripped_notebook(tmp_path / "03_results-CartPole-v1.ipynb", tmp_path / "again-CartPole-v1.ipynb")
    write_stripped_notebook(tmp_path / "again-CartPole-v1.ipynb", tmp_path / "twice-CartPole-v1.ipynb")
    titles = [nbformat.read(tmp_path / f"{n}-CartPole-v1.ipynb", 4).cells[0].source for n in ("again", "twice")]
    assert titles == ["# How wrong? (CartPole-v1)\n\ntext"] * 2


def test_an_edition_stores_each_picture_once_and_gives_everything_back(tmp_path):
    picture, table = b"\x89PNG" + bytes(range(256)), "a,b\n" + "1,2\n" * 10_000
    run = tmp_path / "run"
    for path in (run / "results/figures/limits", run / "results/metrics/parts", run / "notebooks"):
        path.mkdir(parents=True)
    (run / "results/figures/limits/x.png").write_bytes(picture)
    (run / "results/figures/limits/x.gif").write_bytes(b"GIF89a" + picture)
    (run / "results/metrics/one_step_errors.csv").write_text(table)
    (run / "results/metrics/predictions.csv").write_text(table)
    (run / "results/metrics/parts/left_out.csv").write_text(table)
    address = "data:image/png;base64," + base64.b64encode(picture).decode()
    cell = nbformat.v4.new_code_cell("show()")
    moving = "data:image/gif;base64," + base64.b64encode(b"GIF89a" + picture).decode()
    shown = [f'<img src="{each}" alt="x">' for each in (address, moving)]
    cell.outputs = [nbformat.v4.new_output("display_data", data={"text/html": each}) for each in shown]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), run / "notebooks/a.ipynb")

    drawing = b"<svg>" + b"<path/>" * 9000 + b"</svg>"
    (run / "results/figures/limits/x.svg").write_bytes(drawing)

    pack(run / "notebooks", run / "results", tmp_path / "edition")
    packed = (tmp_path / "edition/notebooks/a.ipynb").read_text()
    assert "base64" not in packed
    assert (tmp_path / "edition/results/metrics/one_step_errors.csv.xz").stat().st_size < 1000
    assert (tmp_path / "edition/results/metrics/predictions.csv").read_text() == table
    assert not list((tmp_path / "edition").rglob("left_out*"))

    unpack(tmp_path / "edition", tmp_path / "back")
    pages = (tmp_path / "back/notebooks/a.ipynb").read_text()
    assert address in pages and moving in pages
    assert (tmp_path / "back/results/metrics/one_step_errors.csv").read_text() == table
    assert (tmp_path / "back/results/figures/limits/x.png").read_bytes() == picture
    assert (tmp_path / "edition/results/figures/limits/x.svg.xz").stat().st_size < 1000
    assert (tmp_path / "back/results/figures/limits/x.svg").read_bytes() == drawing


def test_a_chapters_edition_keeps_less_and_gives_its_pages_back(tmp_path):
    """The last time and the mean over dimensions of rows along rollouts, few digits, notebooks compressed."""
    run, edition, back = tmp_path / "run", tmp_path / "edition", tmp_path / "back"
    for path in (run / "results/metrics", run / "results/figures", run / "notebooks"):
        path.mkdir(parents=True)
    keys = pd.MultiIndex.from_product(
        [["pendulum"], ["10"], np.arange(1, 101) / 10, ["all", "theta", "omega"]],
        names=["env", "test_frequency", "time", "dimension"],
    ).to_frame(index=False)
    write_text(run / "results/metrics/rollout_errors.csv", keys.assign(mse=np.pi, n=12345.0).to_csv(index=False))
    drawn = pd.DataFrame({"name": "a", "x": np.arange(900) * 1.00001, "label": "0.50000"})
    write_text(run / "results/figures/x.csv", drawn.to_csv(index=False))
    cell = nbformat.v4.new_code_cell("show()", id="cell-0")
    cell.outputs = [nbformat.v4.new_output("display_data", data={"text/html": "<td>1</td>" * 1000})]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), run / "notebooks/a.ipynb")

    pack(run / "notebooks", run / "results", edition, OF_CHAPTER)
    assert sorted(path.name for path in edition.rglob("*.xz")) == ["a.ipynb.xz", "rollout_errors.csv.xz", "x.csv.xz"]
    unpack(edition, back)
    rows = pd.read_csv(back / "results/metrics/rollout_errors.csv")
    assert rows.to_dict("list") == {
        "env": ["pendulum"], "test_frequency": [10], "time": [10.0], "dimension": ["all"], "mse": [3.14],
        "n": [12345],
    }  # fmt: skip
    figure = pd.read_csv(back / "results/figures/x.csv", dtype=str)
    assert figure["x"].iloc[-1] == "899" and set(figure["label"]) == {"0.5"} and set(figure["name"]) == {"a"}
    assert nbformat.read(back / "notebooks/a.ipynb", 4).cells == nbformat.from_dict([cell])
    assert not list(back.rglob("*.xz"))


def test_the_gallery_leads_to_every_figure_and_shows_those_that_stand_nowhere_else(tmp_path):
    names = ("control/a", "control/b", "control/c", "limits/D-v1")
    for name in names:
        write_text(tmp_path / "results/figures" / f"{name}.png", "")
        write_text(tmp_path / "results/figures" / f"{name}.dark.png", "")
    figure = "```{{result-figure}} ../results/figures/{}.png\n:if-drawn:\n:name: {}\n```\n"
    write_text(tmp_path / "book/control.md", figure.format("control/a", "fig-a"))
    write_text(tmp_path / "book/absent.md", figure.format("control/b", "fig-b"))
    for notebook, shown in (("03_results", ("control/a", "limits/D-v1")), ("09_absent", ("control/c",))):
        text = "".join(figure.format(name, f"made-{name[-1]}").replace(":if-drawn:\n", "") for name in shown)
        write_text(tmp_path / f"notebooks/{notebook}.ipynb", json.dumps({"text/markdown": text}))
    write_text(tmp_path / "_toc.yml", "- file: book/control\n- file: notebooks/03_results\n- file: book/gallery\n")
    write_gallery(tmp_path)
    page = (tmp_path / "book/gallery.md").read_text()
    leads = re.findall(r"\{thumbnail\} \.\./results/figures/(\S+)\.png\n:name: \S+\n:to: (\S+)", page)
    assert leads == [("control/a", "fig-a"), ("limits/D-v1", "made-1")]
    assert re.findall(r"\{result-figure\} \.\./results/figures/(\S+)\.png", page) == ["control/b", "control/c"]
    assert re.findall(r":name: (\S+)", page) == [f"gallery-{name.replace('/', '-')}" for name in names]


def test_an_edition_keeps_the_benchmarks_it_has_until_others_are_measured(tmp_path, monkeypatch):
    kept, runs, target = tmp_path / "published", tmp_path / "runs", tmp_path / "target"
    for folder in (kept / "results" / "metrics", runs / "bench", target):
        folder.mkdir(parents=True)
    for name in site.BENCH_FILES:
        (kept / "results" / "metrics" / name).write_text("kept")
    (runs / "bench" / "bench.json").write_text("measured")
    monkeypatch.setattr(site, "PUBLISHED", kept)
    monkeypatch.setenv("TDLIB_RUNS", str(runs))
    site.copy_benchmarks(target)
    assert {path.name: path.read_text() for path in target.iterdir()} == {
        "bench.json": "measured", "scaling.json": "kept",
    }  # fmt: skip


def test_an_edition_needs_a_finished_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TDLIB_RUNS", str(tmp_path))
    assert main(["edition", "smoke"]) == 2
    assert "needs a finished run" in capsys.readouterr().err
    assert main(["build", "nonsense"]) == 2
    assert "preset must be one of" in capsys.readouterr().err


@pytest.mark.parametrize("failing", ["write", "rename"])
def test_a_file_that_cannot_be_written_leaves_the_old_one_and_no_temporary_one(tmp_path, monkeypatch, failing):
    path = tmp_path / "results" / "table.csv"
    write_text(path, "old")
    assert [file.name for file in path.parent.iterdir()] == ["table.csv"]

    def refuse(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync" if failing == "write" else "replace", refuse)
    with pytest.raises(OSError, match="no space left"):
        write_text(path, "new")
    assert [file.name for file in path.parent.iterdir()] == ["table.csv"] and path.read_text() == "old"


def test_the_library_writes_no_files_and_sets_nothing_on_import(tmp_path):
    script = """
import os, sys, torch
before = set(sys.modules), torch.get_num_threads(), torch.get_default_dtype(), dict(os.environ)
import tdlib.study.run, tdlib.study.phases.control, tdlib.grid.batch, tdlib.evaluation
assert "rfc3987_syntax" not in sys.modules or sys.modules["rfc3987_syntax"] is not None
assert before[1:3] == (torch.get_num_threads(), torch.get_default_dtype())
changed = {k for k, v in os.environ.items() if before[3].get(k) != v}
assert not {name for name in changed if name.startswith(("TDLIB", "OMP", "MKL"))}, changed
"""
    environment = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    environment |= {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "OMP_NUM_THREADS": "2"}
    folder = tmp_path / "cwd"
    folder.mkdir()
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not list(folder.iterdir())


def test_yaml_of_files_is_plain_and_safe():
    content = {"b": [1, 2.5, None, "33.3", "Δt"], "a": {"nested": True}}
    assert parse_yaml(yaml_text(content)) == content
    assert list(parse_yaml(yaml_text(content))) == ["b", "a"]  # dicts keep their order
    with pytest.raises(yaml.YAMLError):
        parse_yaml("!!python/object/apply:os.getcwd []")
    with pytest.raises(yaml.YAMLError):
        yaml_text({"path": Path("x")})


def test_few_times_of_irregular_steps_are_each_member_s_own():
    """Their times are means over starts, so that no two seeds share one: half a second stays of each."""
    times = {seed: 0.05 * np.arange(1, 21) + 0.003 * seed for seed in range(3)}
    rows = [
        {"env": "a", "model": "jump", "seed": seed, "test_frequency": "irregular", "time": time}
        for seed, own in times.items() for time in own
    ]  # fmt: skip
    few = at_few_times(pd.DataFrame(rows), 8, (0.5,))
    for seed, own in few.groupby("seed"):
        assert len(own) in (8, 9) and own["time"].max() == times[seed][-1]
        assert (own["time"] - 0.5).abs().min() < 0.01


def test_an_edition_keeps_few_times_and_digits_of_tables_along_rollouts(tmp_path):
    run, times = tmp_path / "run" / "results" / "metrics", [round(0.1 * (k + 1), 1) for k in range(50)]
    run.mkdir(parents=True)
    same = {"model": "jump", "seed": 0, "git_commit": "12e4567"}
    rows = [
        {"env": env, "test_frequency": rate, "time": time, "mse": time / 3, **same}
        for env in ("a", "b") for rate in ("10", "20") for time in (times if rate == "10" else times[:4])
    ]  # fmt: skip
    table = pd.DataFrame(rows * 5)
    table.to_csv(run / "energy_drift.csv", index=False)
    table.rename(columns={"time": "detail"}).to_csv(run / "one_step_errors.csv", index=False)  # of no rollout
    pack(tmp_path / "run", run.parent, tmp_path / "edition")
    unpack(tmp_path / "edition", tmp_path / "back")
    back = {
        name: read_table(tmp_path / f"back/results/metrics/{name}.csv") for name in ("energy_drift", "one_step_errors")
    }
    assert len(back["one_step_errors"]) == len(table) and (back["one_step_errors"]["git_commit"] == "12e4567").all()
    np.testing.assert_allclose(back["one_step_errors"]["mse"], table["mse"], rtol=5e-5)
    for (_, rate), own in back["energy_drift"].groupby(["env", "test_frequency"]):
        kept = sorted(own["time"].unique())
        assert len(kept) == (8 if rate == "10" else 4) and kept[-1] == (times[-1] if rate == "10" else times[3])
        assert len(own) == 5 * len(kept)
