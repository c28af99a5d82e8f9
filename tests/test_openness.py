"""Openness: the page "Bring your own" shows files that run, and what a preset names wrongly is refused.

`tests/commands/test_own_book.py` takes the same files from collection to a built book.
"""

import re

import pytest
import torch
from own_files import OWN, ROOT, copy_own_files, python

from tdlib.study.phases.beside import import_beside, log_errors

PAGE = (ROOT / "book" / "bring_your_own.md").read_text(encoding="utf-8")
SHOWN = ("sliding_arm.py", "square_root_step.py", "damped_map.py", "read_log.py", "mine.yaml")
REFUSED = """
import sys
from tdlib.study.presets import PresetError, load_preset
for wrong in sys.argv[1:]:
    try:
        load_preset(wrong)
    except PresetError as error:
        print(wrong, error)
"""


@pytest.fixture
def place(tmp_path):
    """A folder with the page's files."""
    return copy_own_files(tmp_path)


def test_the_page_shows_the_files_whole_and_each_is_short():
    assert re.findall(r"\{literalinclude\} own/(\S+)\n:language: \w+\n:caption: \S+\n```", PAGE) == list(SHOWN)
    for name in SHOWN:
        lines = (OWN / name).read_text(encoding="utf-8").splitlines()
        assert sum(1 for line in lines if line.strip()) <= 30, name


def test_a_path_that_names_no_system_or_model_is_refused(place):
    text = (place / "mine.yaml").read_text(encoding="utf-8")
    rules = {
        "sliding_arm:SPEC": "must be a System",
        "sliding_arm:NOTHING": "can be imported",
        "nowhere:ARM": "can be imported",
        "SlidingArm-v9": "must be one of",
    }
    for i, wrong in enumerate(rules):
        (place / f"wrong{i}.yaml").write_text(text.replace('"sliding_arm:ARM"', wrong), encoding="utf-8")
    said = python(place, "-c", REFUSED, *(f"wrong{i}.yaml" for i in range(len(rules)))).stdout  # a process of its own:
    for i, rule in enumerate(rules.values()):  # what a preset names is registered
        assert re.search(rf"^wrong{i}.yaml preset .*\n.*{rule}", said, re.M), said


def test_the_pages_log_is_read_and_its_map_of_one_step_told_from_the_others(tmp_path):
    write_logs, read_log = map(import_beside, ("seven_joints:write_logs", "read_log:read_log"))
    torch.manual_seed(0)
    found = read_log(write_logs(tmp_path, lost=0.5, num_files=12), num_steps=150)
    ignores = {(arm.model, arm.form): diagnosis.ignores_delta_t for arm, diagnosis in found.items()}
    assert ignores == {("jump", "none"): True, ("jump", "scaled_concat"): False, ("newtonian", "rk4"): False}
    table = log_errors(found)
    assert list(table.groupby("model", sort=False)["n"].sum())[1] == next(iter(found.values())).errors["n"].iloc[0]
    errors = table.pivot_table(index="delta_t", columns=["model", "form"], values="relative_error")
    assert (errors["newtonian", "rk4"] < errors["jump", "none"]).all()
