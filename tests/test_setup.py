"""Setting up on anyone's machine: interpreters, pins, free disk, folders whose names a shell reads."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tdlib.core.files import parse_yaml

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = (ROOT / "requirements.txt").read_text(encoding="utf-8")
REAL = f'exec "{sys.executable}" "$@"'


@pytest.fixture
def machine(tmp_path):
    """Make in a clone whose folder has a space and a letter beyond ASCII, beside programs given as scripts."""
    clone, programs = tmp_path / "mein Ordner é", tmp_path / "bin"
    clone.mkdir()
    programs.mkdir()
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, clone / name)

    def make(*arguments: str, **scripts: str) -> subprocess.CompletedProcess:
        for name, script in {"python3": "exit 127", **scripts}.items():
            (programs / name).write_text(f"#!/bin/sh\n{script}\n")
            (programs / name).chmod(0o755)
        environment = {**os.environ, "PATH": f"{programs}:/usr/bin:/bin"}
        return subprocess.run(
            [shutil.which("make"), *arguments], cwd=clone, env=environment, capture_output=True, text=True
        )

    return make


def shims(*working: str) -> dict[str, str]:
    """Interpreters of which only some run: the others are shims that say that their version is not active."""
    return {name: REAL if name in working else "exit 127" for name in ("python3.11", "python3.12", "python3.13")}


def test_the_first_interpreter_that_runs_is_taken(machine):
    version = f"is Python {sys.version.split()[0]}"
    assert version in machine("python", **shims("python3.12")).stdout
    assert version in machine("python", **shims(), python3=REAL).stdout
    assert version in machine("python", f"PYTHON={sys.executable}", **shims()).stdout


def test_without_a_supported_interpreter_the_supported_ones_are_listed(machine):
    for arguments in (["python"], ["setup"], ["python", "PYTHON=/no/such python"]):
        result = machine(*arguments, **shims())
        assert result.returncode == 2
        assert "3.11, 3.12 or 3.13" in result.stderr and "make PYTHON=" in result.stderr


def test_sizes_are_said_and_a_full_disk_stops_before_the_install(machine):
    full = "echo header; echo '/dev/x 100 98 2000000 98% /'"
    result = machine("setup", **shims("python3.11"), df=full)
    assert result.returncode == 2 and "3 GB of free disk" in result.stderr
    assert "to download: 0.6 GB" in result.stdout and "free on this disk: 2.0 GB" in result.stdout


def test_cores_are_counted_whatever_threads_are_set():
    """`nproc` says how many threads OpenMP may use, where somebody has said it."""

    def cores(**threads: str) -> str:
        without = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "CORES", "MAKE"))}
        command = ["make", "-n", "--no-print-directory", "grid"]
        result = subprocess.run(command, cwd=ROOT, env=without | threads, capture_output=True, text=True, check=True)
        return re.search(r"--cores (\d+)", result.stdout)[1]

    assert cores(OMP_NUM_THREADS="1") == cores(OMP_NUM_THREADS="3") == cores()


def test_every_pin_is_on_a_plain_index():
    pins = [line for line in REQUIREMENTS.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins), "one exact version each, no local label"
    names = [pin.split("==")[0].lower() for pin in pins]
    assert len(names) == len(set(names))
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert {"pip": ["-r requirements.txt"]} in environment["dependencies"]


def test_jobs_run_in_folders_whose_names_a_shell_reads(tmp_path):
    runs, preset = tmp_path / "my $(touch CAUGHT) é", tmp_path / "$(touch CAUGHT) 'x'.yaml"
    preset.write_text((ROOT / "params" / "smoke.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    place = tmp_path / "place"
    place.mkdir()
    command = [
        sys.executable, "-m", "snakemake", "-s", str(ROOT / "params" / "Snakefile"), "book", "--directory", str(place),
        "--config", f"preset={preset}", "--cores", "1", "--dry-run", "--printshellcmds", "--nocolor",
    ]  # fmt: skip
    environment = {**os.environ, "TDLIB_RUNS": str(runs)}
    result = subprocess.run(command, env=environment, cwd=place, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    lines = [line for line in (result.stdout + result.stderr).splitlines() if "tdlib.grid.job" in line]
    assert len(lines) > 5
    for line in lines:
        said = line.strip().removeprefix("Shell command: ")
        words = shlex.split(said)
        assert sys.executable in words and any(word.startswith(f"TDLIB_LOGS={runs}/") for word in words)
        assert words[words.index(">") + 1].startswith(f"{runs}/")
        # what the shell itself makes of the line: the program's name is replaced by one that prints its arguments
        shown = said.replace(shlex.quote(sys.executable), "printf '%s\\n'").split(" > ")[0]
        printed = subprocess.run(["sh", "-c", shown], cwd=place, capture_output=True, text=True).stdout.splitlines()
        named = (str(preset), str(runs), *parse_yaml(preset.read_text(encoding="utf-8"))["chapters"])
        assert any(name in word for name in named for word in printed)
    assert not list(tmp_path.rglob("CAUGHT")), "a part of a name was executed"
