"""Advice for a reader's own rates and symptoms: the calculator's cells are the tables', verdicts are the doctor's."""

import re
import sys
from pathlib import Path

import pytest
from javascript import Scripts

from tdlib.doctor.rules import RULES

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
sys.path.insert(0, str(BOOK / "_ext"))
td_calculator, td_tables = (pytest.importorskip(name) for name in ("td_calculator", "td_tables"))

PAGE = (BOOK / "recommendations.md").read_text(encoding="utf-8")
METRIC = "one_step.relative_error"
BODY = re.search(r"```\{calculator\} (\S+)\n(.*?)```", PAGE, re.S)


@pytest.fixture(scope="module")
def cells():
    source = td_tables.open_source(BOOK / "published", "published edition")
    remedies = [tuple(part.strip() for part in line.split(":", 1)) for line in BODY[2].strip().splitlines()]
    return source, remedies, td_calculator.calculator_cells([source], BODY[1], remedies)


def test_each_cell_is_the_tables_and_none_is_left_out(cells):
    source, remedies, found = cells
    assert BODY[1] == METRIC and found["train"] == ["10", "20", "50"] and found["test"][0] == "5"
    assert found["systems"] == ["Pendulum-v1", "CartPole-v1", "CartPoleContinuous-v1"]
    assert [each["label"] for each in found["remedies"]] == [label for label, _ in remedies]
    looked_up = 0
    for (_, query), remedy in zip(remedies, found["remedies"], strict=True):
        arm = td_tables.parse_query(query)
        for place, text in remedy["cells"].items():
            env, train, test = place.split("|")
            asked = {"metric": METRIC, "env": env, "test_frequency": test, **arm}
            asked |= {"train_frequency": train} if arm["train_frequency"] == "h" else {}
            assert text == td_tables.find(source.rows, asked).text(".3f", brief=True)
            looked_up += 1
    own = next(each for each in found["remedies"] if each["label"] == "do nothing")
    assert len(own["cells"]) == 3 * len(found["train"]) * len(found["test"]) and looked_up > 300


def test_the_page_takes_the_nearest_rates_and_the_cell_that_belongs_to_them(cells):
    *_, found = cells
    script = Scripts((BOOK / "_static/calculator.js").read_text(encoding="utf-8"))
    for wanted, nearest in ((20, "20"), (1000, "200"), (0.1, "5"), (14, "16"), (40, "33.3"), (41, "50")):
        assert script(f"tdCalculator.nearest({found['test']}, {wanted})") == nearest
    remedy = {"cells": {"a|20|50": "1.5", "b||50": "0.1"}}
    assert script(f"tdCalculator.cell({remedy}, 'a', '20', '50')") == "1.5"
    assert script(f"tdCalculator.cell({remedy}, 'b', '20', '50')") == "0.1"
    assert script(f"tdCalculator.cell({remedy}, 'c', '20', '50')") is None


def test_cases_name_verdicts_of_the_doctor_and_each_of_these_has_one():
    text = (BOOK / "find_your_case.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 25 and all(len(row) == 4 and row[3].strip() for row in rows)
    named = {name for row in rows for name in re.findall(r"`([^`]+)`", row[1])}
    assert named == {rule.name for rule in RULES}
    does = {row[0].strip(): row[2] for row in rows}
    (torque,) = (what for seen, what in does.items() if "actuator model" in seen)
    assert "each fourth call" in torque and "Rescale" not in torque  # a torque has no increment of a state
    (clock,) = (what for seen, what in does.items() if "rows are lost, repeat" in seen)
    assert "leaves out rows that repeat, cuts at gaps" in clock
