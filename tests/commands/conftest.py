"""Shared by the tests that need the finished smoke run of `make test`."""

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUNS = ("smoke", "physics_smoke")  # the run and that of its chapter


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A copy of the finished smoke run for notebooks that write tables of a part of it."""
    folder = tmp_path_factory.mktemp("runs")
    for name in RUNS:
        shutil.copytree(ROOT / "runs" / name, folder / name, symlinks=True)
    return folder
