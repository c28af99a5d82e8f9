"""Shared by the tests that need the finished smoke run of `make test`."""

import shutil
from pathlib import Path

import pytest

from tdlib.study.book import runs_of
from tdlib.study.presets import load_preset

ROOT = Path(__file__).resolve().parents[2]
RUNS = [run.name for run in runs_of(load_preset("smoke"))]  # the run and those of its chapters


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A copy of the finished smoke run for notebooks that write tables of a part of it."""
    folder = tmp_path_factory.mktemp("runs")
    for name in RUNS:
        shutil.copytree(ROOT / "runs" / name, folder / name, symlinks=True)
    return folder
