"""The library's layers and pairs: a layer imports only those before it, and each heavy package enters in one file."""

import ast
import inspect
import re
from pathlib import Path

import jupytext
import papermill
import pytest

from tdlib.core.layers import LAYERS
from tdlib.evaluation import MEASURES
from tdlib.models import MODELS, build_model
from tdlib.study.chapters import CHAPTERS, STUDY, chapter_module, load_chapter
from tdlib.study.cost import KINDS
from tdlib.study.statistics import table_names
from tdlib.systems import SYSTEMS

ROOT = Path(__file__).resolve().parents[1]
FORMER = {"specs", "limits", "metrics", "runs"}  # names that others import, each one line that leads to its place
ONE_FILE = {"torchdiffeq": 1, "stable_baselines3": 1, "papermill": 1, "ipywidgets": 1, "anywidget": 1}
OUR_SYSTEMS = ("Pendulum-v1", "CartPole-v1", "CartPoleContinuous-v1")
OUR_FAMILIES = ("jump", "lstm", "first_order_ode", "newtonian", "velocity", "port_hamiltonian", "ensemble")
NAMED_ELSEWHERE = {  # file -> whom it names, and why it may
    # what the study claims is declared of its own families, before any result
    "tdlib/study/contrasts.py": {
        "jump",
        "newtonian",
        "first_order_ode",
        "port_hamiltonian",
        "CartPole-v1",
        "CartPoleContinuous-v1",
    },
    "tdlib/systems/bouncing_ball.py": {"velocity"},  # a state has the name of a family
}
WIDEST = 100  # characters of code that a page shows without wrapping
WRAPPING = (  # wider here and there: their text is part of their results' provenance, so it waits for their next run
    "00_ground_truth", "03_results_visualization", "05_statistics", "06_paper_figures", "08_bring_your_own",
    "10_physics_train",
)  # fmt: skip
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))


def imported_modules(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names if node.module == "tdlib"}
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "tdlib").rglob("*.py")), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_a_layer_imports_only_those_before_it(path):
    parts = path.relative_to(ROOT / "tdlib").with_suffix("").parts
    if parts == ("__init__",):
        return
    own = parts[0]
    if own in FORMER:
        return
    for module in imported_modules(path):
        other = module.split(".")[1] if module.startswith("tdlib.") else own
        assert other == own or LAYERS.index(other) < LAYERS.index(own), f"{path.name} imports {module}"


@pytest.mark.parametrize("package", ONE_FILE)
def test_a_heavy_package_enters_in_one_file_at_most(package):
    users = [p for p in (ROOT / "tdlib").rglob("*.py") if any(m.split(".")[0] == package for m in imported_modules(p))]
    assert len(users) <= ONE_FILE[package], users


@pytest.mark.parametrize("pattern", [r"torch\._", r"torch\.ops", r"torch\.jit", r"torch\.fx", r"matplotlib.*\._[a-z]"])
def test_private_names_of_other_packages_stay_in_the_folder_for_speed(pattern):
    """And may be named in a string of what to import early, as by the preloaded process."""
    found = []
    for path in sorted((ROOT / "tdlib").rglob("*.py")):
        if path.relative_to(ROOT / "tdlib").parts[0] == "speed":
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            code = re.sub(r"\"[^\"]*\"", "", line)
            if re.search(pattern, code):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not found, found


def own_file(path: Path, name: str) -> bool:
    """Whether a system or family is written here, or the file holds the registry's line of it."""
    if name in SYSTEMS:
        return path == Path(inspect.getsourcefile(SYSTEMS[name].equation))
    return path in (Path(inspect.getsourcefile(MODELS[name].model)), Path(inspect.getsourcefile(build_model)))


def named_in_code(path: Path) -> set[str]:
    """Return the systems and families that a file's strings name, those of docstrings aside."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    aside = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in aside
    ]
    systems = {name for name in OUR_SYSTEMS for text in texts if name in text}
    return systems | {name for name in OUR_FAMILIES if name in texts}


def test_only_the_declared_files_name_a_system_or_a_family_outside_its_own():
    found = {}
    for path in sorted((ROOT / "tdlib").rglob("*.py")):
        names = {name for name in named_in_code(path) if not own_file(path, name)}
        if names:
            found[path.relative_to(ROOT).as_posix()] = names
    assert found == NAMED_ELSEWHERE


OTHERWISE = {  # files in which the name of a chapter says something else
    "visual": {"tdlib/models/families/visual_world_model.py"},  # short for the family
    "history": {  # what a checkpoint of the founding document holds: the past of a window, the losses of a training
        "tdlib/dynamics_model_training/data_loader.py",
        "tdlib/dynamics_model_training/evaluate.py",
        "tdlib/dynamics_model_training/train.py",
    },
    "mts3": {  # a family and a group of benchmarks have the same name
        "tdlib/models/build.py",
        "tdlib/publish/speed_page.py",
        "tdlib/study/official_settings.py",
    },
}


@pytest.mark.parametrize("chapter", [name for name in CHAPTERS if name != STUDY])
def test_nothing_names_a_chapter_or_its_notebooks_outside_its_own_file(chapter):
    own = load_chapter(chapter)
    names = {chapter, *own.notebooks, *(figure for figure in own.figures if figure.startswith(f"{chapter}/"))}
    aside = {ROOT / "tdlib" / Path(*chapter_module(chapter).split(".")[1:]).with_suffix(".py"),
             ROOT / "tdlib/study/chapters/__init__.py"}  # fmt: skip
    found = {}
    for path in [*sorted((ROOT / "tdlib").rglob("*.py")), ROOT / "params" / "Snakefile", ROOT / "Makefile"]:
        text = path.read_text(encoding="utf-8")
        named = {name for name in names if f'"{name}"' in text or f"'{name}'" in text}
        if named and path not in aside:
            found[path.relative_to(ROOT).as_posix()] = named
    assert set(found) == OTHERWISE.get(chapter, set())


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_waits_for_what_it_has_and_its_notebooks_exist(chapter):
    found = load_chapter(chapter)
    seen: set[str] = set()
    for name, notebook in found.notebooks.items():
        assert set(notebook.after) <= seen and ROOT / "notebooks" / f"{name}.py" in NOTEBOOKS
        assert set(notebook.work) <= set(KINDS)
        seen.add(name)
    assert set(found.tables) <= set(table_names()) and set(found.measures) <= set(MEASURES)
    sources = "".join((ROOT / "notebooks" / f"{name}.py").read_text(encoding="utf-8") for name in found.notebooks)
    for figure in found.figures:
        folder, _, name = figure.partition("/")
        assert f'"{folder}", ' in sources or f'"{folder}"' in sources, f"no notebook saves {figure}"


def test_every_notebook_is_of_one_chapter():
    named = [name for chapter in CHAPTERS for name in load_chapter(chapter).notebooks]
    assert sorted(named) == [path.stem for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_pairs_are_equal(path):
    def content(notebook):
        return [(c.cell_type, c.source.strip(), sorted(c.metadata.get("tags", []))) for c in notebook.cells]

    assert content(jupytext.read(path)) == content(jupytext.read(path.with_suffix(".ipynb")))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_in_git_have_no_outputs(path):
    notebook = jupytext.read(path.with_suffix(".ipynb"))
    assert all(not cell.get("outputs") for cell in notebook.cells if cell.cell_type == "code")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_are_short_and_call_the_library(path):
    notebook = jupytext.read(path)
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) <= 20
    for source in code:
        assert len(source.splitlines()) <= 15, source
        assert not any(isinstance(n, (ast.ClassDef, ast.FunctionDef)) for n in ast.walk(ast.parse(source)))


@pytest.mark.parametrize("path", [path for path in NOTEBOOKS if path.stem not in WRAPPING], ids=lambda p: p.stem)
def test_no_line_of_code_wraps_on_the_page(path):
    cells = [cell for cell in jupytext.read(path).cells if cell.cell_type == "code"]
    shown = [cell.source for cell in cells if "remove-cell" not in cell.metadata.get("tags", [])]
    assert [line for source in shown for line in source.splitlines() if len(line) > WIDEST] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_grid_parameters_exist_in_the_notebook(path):
    from tdlib.grid.jobs import grid_jobs
    from tdlib.study.presets import load_preset

    known = set(papermill.inspect_notebook(str(path.with_suffix(".ipynb"))))
    for preset in ("quick", "full"):
        for cell in grid_jobs(load_preset(preset)):
            if cell.notebook == path.stem:
                assert {"preset", *cell.parameters} <= known
