"""Every script of ours parses in strict mode, declares what it uses, and knows no system or model by name."""

import re
from pathlib import Path

import pytest
from javascript import Scripts
from javascript_names import names

from tdlib.explorer.assets import FOLDER, engine_script, explorer_script
from tdlib.models import MODELS
from tdlib.systems import SYSTEMS

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted([*FOLDER.rglob("*.js"), *(ROOT / "book" / "_static").glob("*.js")])


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_parses_and_declares_its_names(path):
    text = path.read_text(encoding="utf-8")
    undeclared, unread = names(text)
    assert undeclared == set() and unread == set()
    if "export default" in text:  # a module is strict, and its last statement is not one of a function
        text = text.replace("export default", "return")
    Scripts(f"function parsed() {{ 'use strict';\n{text}\n}}")


@pytest.mark.parametrize(
    ("script", "undeclared", "unread"),
    [
        ("var a = 1; f(a);", {"f"}, set()),
        ("const {b, c: d} = e(); b();", {"e"}, {"d"}),
        ("function g(x, y) { return x; }\ng(1);", set(), {"y"}),
        ("const h = (p, q) => p.q + q; h(1, 2);", set(), set()),
        ("const k = (l) => { return /^m'$/.test(l); }; k(1);", set(), set()),
        ("let s = 'text f', r = s.replace(/f(g)/g, `x`); r.at;", set(), set()),
    ],
)
def test_the_names_of_a_script_are_read(script, undeclared, unread):
    assert names(script) == (undeclared, unread)


def test_generated_code_declares_its_names():
    assert names(engine_script())[0] == set()
    assert names(explorer_script())[0] == set()


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.js")), ids=lambda path: path.name)
def test_no_script_knows_a_system_or_a_model_by_name(path):
    text = path.read_text(encoding="utf-8")
    known = [*SYSTEMS, *(name for name in MODELS if name not in ("velocity",))]  # velocity is also a word
    found = [name for name in known if re.search(rf"[\"'.~]{re.escape(name)}\b", text)]
    assert found == []
