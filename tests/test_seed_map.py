"""The table of the seeds' names: complete, and each claim looked up where it points. Commands run in tests/commands."""

import dataclasses
import importlib
import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from tdlib.study.presets import Preset

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
sys.path.insert(0, str(BOOK / "_ext"))

import td_reference  # noqa: E402

ENTRIES = td_reference.load_seed_map(BOOK / "seed_map.yaml")
PAGE = (BOOK / "seed_map.md").read_text(encoding="utf-8")
HERE = [entry for entry in ENTRIES if entry["status"] in ("kept", "replaced")]
PINS = {
    re.sub(r"[-_.]+", "-", line.split("==")[0]).lower()
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    if "==" in line
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAMESPACES = ("models", "systems", "envs", "data", "training", "planning", "evaluation")
FILE = re.compile(r"[\w.-]+\.(?:md|txt|yml|yaml|toml)|\.gitignore")


def tokens(entry: dict) -> list[str]:
    return re.findall(r"(?<!\})`([^`]+)`", entry["ours"])


def schema(model: type[BaseModel] = Preset, prefix: str = "") -> set[str]:
    """Every key that a preset may have, those of its sections with the section's name."""
    keys = set()
    for name, field in model.model_fields.items():
        keys.add(prefix + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys |= schema(field.annotation, f"{prefix}{name}.")
    return keys


def notebook_parameters() -> set[str]:
    found = set()
    for path in (ROOT / "notebooks").glob("*.py"):
        source = path.read_text(encoding="utf-8")
        cell = source[source.index('"parameters"') :].split("\n# %%")[0]
        found |= set(re.findall(r"^(\w+)(?::[^=]+)? = ", cell, re.M))
    return found


def python_name_exists(name: str) -> bool:
    """Whether a dotted name is a module, or what modules and classes hold; fields of dataclasses count."""
    parts = name.split(".")
    for split in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:split]))
        except ModuleNotFoundError:
            continue
        for part in parts[split:]:
            if dataclasses.is_dataclass(found) and part in {field.name for field in dataclasses.fields(found)}:
                return True
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def parameters_of(command: str) -> set[str]:
    """Notebook parameters that the words of a command give by -p and -y."""
    words = shlex.split(command)
    pairs = list(zip(words, words[1:], strict=False))
    names = {value for flag, value in pairs if flag == "-p"}
    return names.union(*(yaml.safe_load(value) for flag, value in pairs if flag == "-y"))


def problem_of(token: str) -> str | None:
    """What is wrong with one claim in backticks; None if it holds, or needs a run and is held by tests/commands."""
    if token.startswith(("papermill notebooks/", "-p ", "-y ")):
        unknown = parameters_of(token) - notebook_parameters()
        if unknown:
            return f"{sorted(unknown)} are no notebook parameters"
        return None if not token.startswith("papermill") or (ROOT / token.split()[1]).is_file() else "no such notebook"
    if token.startswith("make "):
        return None if re.search(rf"^{token.split()[1]}:", (ROOT / "Makefile").read_text(), re.M) else "no such target"
    if token.startswith("python -m "):
        return None if python_name_exists(token.split()[2]) else "no such module"
    if token.startswith("pip install -r "):
        return None if (ROOT / token.split()[3]).is_file() else "no such file"
    if token.startswith("pip install -e "):
        (extra,) = re.findall(r"\[(\w+)\]", token)
        return None if extra in PROJECT["optional-dependencies"] else "no such extra"
    if token.startswith("runs/<preset>/"):
        return None
    if token.startswith("tdlib."):
        return None if python_name_exists(token) else "no such name"
    if re.match(r"(notebooks|params|tdlib|tests|book)/", token) or FILE.fullmatch(token):
        return None if any(ROOT.glob(token.rstrip("/"))) else "no such path"
    if re.sub(r"[-_.]+", "-", token).lower() in PINS or token in schema():
        return None
    return "neither a command, a path, a Python name, a key of presets nor a pinned package"


def test_every_name_of_the_seeds_is_mapped_once():
    mapped = [f"{seed} {entry['seed']}" for entry in ENTRIES for seed in entry["seeds"]]
    lines = (BOOK / "seed_names.txt").read_text(encoding="utf-8").splitlines()
    names = [line for line in lines if not line.startswith("#")]
    assert len(names) == len(set(names)) > 400 and {name[:3] for name in names} == set(td_reference.SEEDS)
    assert set(mapped) == set(names)
    kinds = [f"{entry['kind']}: {seed} {entry['seed']}" for entry in ENTRIES for seed in entry["seeds"]]
    assert len(kinds) == len(set(kinds))
    assert {entry["kind"] for entry in ENTRIES} == set(re.findall(r"\{seed-table\} (.+)", PAGE))


def test_what_takes_a_names_place_is_there():
    problems = []
    for entry in HERE:
        pages = re.findall(r"\{doc\}`(\w+)`", entry["ours"])
        found = [f"{token}: {problem}" for token in tokens(entry) if (problem := problem_of(token))]
        found += [f"{page}: no such page" for page in pages if not (BOOK / f"{page}.md").is_file()]
        reasons = re.findall(r"`((?:notebooks|params|tdlib|tests|book)[/.][^`]+)`", entry["why"])
        found += [f"{token}: {problem}" for token in reasons if (problem := problem_of(token))]
        if not tokens(entry) and not pages:
            found.append("names nothing that could be looked up")
        problems += [f"{entry['seed']}: {words}" for words in found]
    assert problems == []


def test_what_is_kept_has_its_name():
    checked = 0
    for entry in HERE:
        name = entry["seed"].rstrip("/").removesuffix("()").split("/")[-1].removesuffix(".md")
        plain = entry["kind"] in ("file", "name") and re.fullmatch(r"[\w./-]+", name) and name != "log_damping"
        if entry["status"] == "kept" and plain:  # log_damping is a parameter of what is named
            assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", entry["ours"]), entry
            checked += 1
    assert checked > 50


def test_what_is_left_out_or_coming_is_not_here():
    here = {name for layer in NAMESPACES for name in dir(importlib.import_module(f"tdlib.{layer}"))}
    for entry in ENTRIES:
        if entry["status"] not in ("left out", "coming"):
            continue
        if entry["kind"] == "dependency":
            package = re.sub(r"[-_.]+", "-", re.split(r"[>\[]", entry["seed"])[0]).lower()
            assert package not in PINS, f"{entry['seed']} is pinned"
        if entry["kind"] == "name" and entry["status"] == "coming":
            assert entry["seed"].removesuffix("()") not in here, f"{entry['seed']} exists"
        if entry["status"] == "coming":
            assert re.fullmatch(r"chapter (\*[\w ]+\*)", entry["ours"])[1] in PAGE, entry
        else:
            assert [f"{entry['seed']}: {p}" for token in tokens(entry) if (p := problem_of(token))] == []


def test_kept_packages_are_pinned_and_some_are_imported_in_one_file_only():
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "tdlib").rglob("*.py")}
    checked = 0
    for entry in ENTRIES:
        if entry["kind"] != "dependency" or entry["status"] != "kept":
            continue
        (package,) = tokens(entry)
        assert re.sub(r"[-_.]+", "-", package).lower() in PINS, entry
        if claimed := re.search(r"Imported in one file, `([^`]+)`", entry["why"]):
            importing = [p for p, text in sources.items() if re.search(rf"^\s*(?:import|from) {package}\b", text, re.M)]
            assert importing == [ROOT / claimed[1]], entry
            checked += 1
    assert checked >= 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"status": "lost"}, "status must be one of"),
        ({"status": "coming", "why": ""}, "needs a reason"),
        ({"seeds": ["005"]}, "seeds must be some of"),
    ],
)
def test_a_wrong_row_is_refused(tmp_path, change, words):
    row = {"kind": "file", "seeds": ["000"], "seed": "x", "status": "kept", "ours": "`x`", "why": ""}
    (tmp_path / "map.yaml").write_text(yaml.safe_dump([{**row, **change}]))
    with pytest.raises(ValueError, match=words):
        td_reference.load_seed_map(tmp_path / "map.yaml")


@pytest.mark.parametrize(
    "token",
    ["tdlib.models.NoSuchModel", "notebooks/99_none.py", "training.no_such_key", "papermill notebooks/01.ipynb o.ipynb",
     "make nothing", 'pip install -e ".[nothing]"',
     "-p no_parameter 1", '-y "{no_parameter: 1}"', "python -m tdlib.none x",
     "no-such-package"],
)  # fmt: skip
def test_a_false_claim_is_found(token):
    assert problem_of(token)
