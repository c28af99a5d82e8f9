"""One job per graphics card: what a profile asks for, and what a job sees."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tdlib.grid import cards
from tdlib.grid.cards import known_cards, take_card
from tdlib.grid.times import WORK
from tdlib.study.chapters import CHAPTERS, load_chapter

ROOT = Path(__file__).resolve().parents[1]
HOLD = """
import sys
from pathlib import Path
from tdlib.grid.cards import VISIBLE, known_cards, take_card
import os
print(take_card(Path(sys.argv[1]), known_cards()), os.environ[VISIBLE], flush=True)
sys.stdin.readline()
"""


def job(locks):
    """Start a process that takes one of two cards and holds it until it is told to end."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "3,5"}
    return subprocess.Popen([sys.executable, "-c", HOLD, str(locks)], env=environment, text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip


def test_jobs_side_by_side_see_a_card_each_and_the_next_one_takes_what_is_free(tmp_path):
    first, second = job(tmp_path), job(tmp_path)
    try:
        seen = [process.stdout.readline().split() for process in (first, second)]
        assert sorted(seen) == [["3", "3"], ["5", "5"]]
        third = job(tmp_path)
        first.kill()  # however a job ends, its card is free again
        assert third.stdout.readline().split()[0] == seen[0][0]
        third.kill()
    finally:
        second.kill()
        for process in (first, second):
            process.wait()


def test_cards_are_those_of_the_driver_or_of_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert known_cards() == []
    with pytest.raises(ValueError, match="cards must hold at least one for a job with resource gpu, got none"):
        take_card(tmp_path, known_cards())
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    listed = subprocess.CompletedProcess([], 0, stdout="GPU 0: a\nGPU 1: b\n")
    monkeypatch.setattr(cards.subprocess, "run", lambda *_, **__: listed)
    assert known_cards() == ["0", "1"]


@pytest.mark.parametrize("profile", ["gpus", "local"])
def test_a_profile_gives_the_jobs_that_train_and_ask_models_a_card(tmp_path, profile):
    command = [
        sys.executable, "-m", "snakemake", "-s", str(ROOT / "params" / "Snakefile"), "grid", "--directory",
        str(tmp_path), "--config", "preset=smoke", "--dry-run", "--printshellcmds", "--nocolor", "--profile",
        str(ROOT / "params" / "profiles" / profile),
    ]  # fmt: skip
    environment = {**os.environ, "TDLIB_RUNS": str(tmp_path / "runs")}
    result = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    jobs = re.findall(r"TDLIB_GPU=(\d) TDLIB_JOB=(?:cells/)?(\w+)", result.stdout + result.stderr)
    notebooks = {name for _, name in jobs}
    assert notebooks >= {name for chapter in CHAPTERS for name in load_chapter(chapter).notebooks if name in WORK}
    working = {name for name in notebooks if {"training", "evaluation", "control"} & set(WORK.get(name, ()))}
    assert {name for card, name in jobs if card == "1"} == (working if profile == "gpus" else set())
