"""Every command of ours that the seed table names, run at smoke size; needs the finished smoke run of `make test`."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tdlib.study.presets import load_preset

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
TOOL = re.compile(r"`((?:papermill|python -m|make|pip) [^`]+)`")
NOT_RUN_HERE = {  # command -> why it is not run, and what holds in its place
    "make setup": "the environment that runs this test was made by it",
    "pip install -r requirements.txt": "the same",
    "make lab": "a server; tests/browser starts it by this command",
    'pip install -e ".[dmc]"': "few need it; tests/test_dmcontrol.py is for where it is installed",
}
ENTRIES = yaml.safe_load((ROOT / "book" / "seed_map.yaml").read_text(encoding="utf-8"))


def commands() -> list[str]:
    return sorted({match for entry in ENTRIES for match in TOOL.findall(entry["ours"])})


NOT_RUN_HERE |= {  # they write where one works
    command: "tests/test_history_models.py runs it as it stands in a folder of its own"
    for command in commands()
    if "dynamics_model_training" in command
} | {
    command: "tests/test_pixel_films.py runs it as it stands in a folder of its own"
    for command in commands()
    if "tdlib.pixels" in command
}


def run(arguments: list[str], cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **variables}
    return subprocess.run(arguments, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600)


def test_every_command_of_the_seeds_that_has_an_answer_has_one_that_runs():
    for entry in ENTRIES:
        if entry["kind"] == "command" and entry["status"] in ("kept", "replaced"):
            assert TOOL.findall(entry["ours"]), entry


def test_the_edition_in_git_builds_without_a_warning(tmp_path):
    built = run([sys.executable, "-m", "tdlib.publish.site", "published"], TDLIB_RUNS=str(tmp_path))
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-4000:]


@pytest.mark.parametrize("command", [c for c in commands() if c not in NOT_RUN_HERE])
def test_command_runs_at_smoke_size(command, tmp_path, runs):
    arguments = shlex.split(command.replace("runs/quick", "runs/smoke"))
    arguments = ["PRESET=smoke" if a.startswith("PRESET=") else a for a in arguments]
    if arguments[0] == "papermill":
        arguments = [sys.executable, "-m", "papermill", *arguments[1:], "--no-progress-bar", "--kernel", "python3"]
        arguments[arguments.index("out.ipynb")] = str(tmp_path / "out.ipynb")
        result = run(arguments, TDLIB_RUNS=str(runs))
    elif arguments[0] == "make":
        result = run([*arguments, "DRY=1"])  # the finished run: `make book` finds nothing to do
    else:
        result = run([sys.executable, *arguments[1:]])
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]


def test_what_a_run_holds_in_the_place_of_the_seeds_files_is_there():
    text = "\n".join(f"{entry['ours']} {entry['why']}" for entry in ENTRIES)
    paths = sorted(set(re.findall(r"`(runs/<preset>/[^`]+)`", text)))
    assert len(paths) >= 30
    assert [path for path in paths if not (ROOT / path.replace("<preset>", "smoke")).exists()] == []


def test_jupyterlab_is_there():
    result = run([sys.executable, "-m", "jupyterlab", "--version"])
    assert result.returncode == 0, result.stderr


def test_a_dry_run_of_full_lists_its_jobs():
    result = run(["make", "grid", "PRESET=full", "DRY=1"])
    if importlib.util.find_spec("gymnasium_robotics"):
        assert result.returncode == 0, result.stderr
    else:  # one of its chapters records machines, whose packages are an extra: said after the jobs
        assert result.returncode == 2 and 'pip install -e ".[mujoco]"' in result.stderr, result.stderr
    preset = load_preset("full")
    live = [seed for seed in preset.seeds if seed not in preset.taken]
    jobs = [f"cells/01_data_exploration-Pendulum-v1-seed{seed} " for seed in live]
    jobs += [f"cells/02_training_analysis-CartPole-v1-jump-seeds{live[0]}-{live[1]} "]
    own = result.stdout.split("notebook jobs of preset")[1]  # the chapters run with it follow, of presets of their own
    assert all(job in own for job in jobs), result.stdout
    assert not any(f"seed{seed} " in own for seed in preset.taken), result.stdout
    assert "unit costs" in result.stdout  # what it costs, or that nothing was measured here


def test_the_smoke_run_measured_its_jobs_and_their_parts():
    metrics = ROOT / "runs" / "smoke" / "results" / "metrics"
    jobs, parts = (pd.read_csv(metrics / f"{name}_times.csv") for name in ("job", "part"))
    assert {"preload", "05_statistics", "04_control-Pendulum-v1"} <= set(jobs["job"])
    assert {"imports", "figures", "process and kernel start"} <= set(parts["part"])
    assert parts["cpu_seconds"].sum() == pytest.approx(jobs["cpu_seconds"].sum(), rel=0.05)


def test_a_second_run_does_nothing_and_says_so():
    result = run([sys.executable, "-m", "tdlib.grid.command", "smoke", "book"])
    assert result.returncode == 0, result.stderr
    assert "nothing to do" in result.stdout
    assert "runs/smoke/html/index.html" in result.stdout


def jobs_to_run(preset="smoke"):
    result = run([sys.executable, "-m", "tdlib.grid", str(preset), "grid", "--dry-run"])
    assert result.returncode == 0, result.stderr
    return [line.split(" runs: ")[0] for line in result.stdout.splitlines() if " runs: " in line]


def test_a_missing_result_is_noticed():
    folder = ROOT / "runs" / "smoke"
    for name in ("notebooks/00_ground_truth.ipynb", "results/figures/ground_truth/plant_change.png"):
        path = folder / name
        content = path.read_bytes()
        path.unlink()
        try:
            assert "00_ground_truth" in jobs_to_run()
        finally:
            path.write_bytes(content)
    assert jobs_to_run() == []


def test_contents_decide_and_not_the_times_of_files(tmp_path):
    preset, changed = ROOT / "params" / "smoke.yaml", tmp_path / "smoke.yaml"
    changed.write_text(preset.read_text().replace("# Every job", "# Every single job"))
    assert jobs_to_run(changed) == []  # another comment, and newer
    changed.write_text(preset.read_text().replace("num_steps: 60", "num_steps: 61"))
    os.utime(changed, (1e9, 1e9))
    assert len(jobs_to_run(changed)) > 10  # all that the preset stands in


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-m", "tdlib.grid.command", "quickk"], ["preset must be one of", "'quickk'"]),
        (["-m", "tdlib.grid.checks", "nonsense"], ["preset must be one of", "'nonsense'"]),
        (["-m", "tdlib.data.verify", "no/such/folder"], ["no/such/folder"]),
    ],
)
def test_a_mistake_on_the_command_line_is_named(arguments, words):
    result = run([sys.executable, *arguments])
    assert result.returncode == 2
    assert all(word in result.stderr for word in words), result.stderr
    assert "Traceback" not in result.stderr


def test_a_mistake_in_a_notebook_parameter_stops_before_work(tmp_path):
    notebook = ROOT / "notebooks" / "02_training_analysis.ipynb"
    out = tmp_path / "out.ipynb"
    parameters = ["-p", "env", "Pendulum-v2", "--kernel", "python3"]
    result = run([sys.executable, "-m", "papermill", str(notebook), str(out), *parameters])
    assert result.returncode != 0
    assert "env must be among the preset's" in result.stderr
    assert "Pendulum-v2" in result.stderr
