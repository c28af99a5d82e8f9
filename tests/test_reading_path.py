"""The book is read in order: numbered chapters that "Next" walks through, an appendix beside them, words before use."""

import doctest
import os
import re
import runpy
import sys
from pathlib import Path

import pytest
import yaml

from tdlib.publish.scripts import code_blocks, script_name, script_of, write_scripts

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
sys.path.insert(0, str(BOOK / "_ext"))

td_path = pytest.importorskip("td_path")
CONTENTS = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
PATH = td_path.reading_path(CONTENTS)
CHAPTERS = PATH[1:]
APPENDIX = td_path.pages_of(CONTENTS["parts"][-1]["chapters"])
WITHOUT_RUNS = ("theory", "ground_truth", "models", "model_architecture", "statistics")  # whose code needs no run


def text(name: str) -> str:
    return (ROOT / f"{name}.md").read_text(encoding="utf-8")


def linked(page: str) -> set[str]:
    """Pages that a page of `book/` links by name."""
    targets = re.findall(r"\{doc\}`(?:[^`<]*<)?([^`>]+)>?`", page)
    return {os.path.normpath(f"book/{target}") for target in targets}


def test_the_path_is_some_twelve_numbered_chapters_and_the_appendix_is_the_last_part():
    numbered, appendix = CONTENTS["parts"]
    assert numbered["numbered"] == 1 and not appendix.get("numbered")
    assert 10 <= len(numbered["chapters"]) <= 14
    assert PATH[0] == CONTENTS["root"] and not set(PATH) & set(APPENDIX)
    looked_up = {name for name in APPENDIX if name.startswith("notebooks/")} | {"book/gallery", "book/run_results"}
    assert len(looked_up) > 15 and not any(name.startswith("notebooks/") for name in PATH)


def test_next_stays_on_the_path(tmp_path):
    class App:
        srcdir = str(tmp_path)

    (tmp_path / "_toc.yml").write_text((ROOT / "_toc.yml").read_text(encoding="utf-8"), encoding="utf-8")
    given = {"prev": "before", "next": "after"}
    for page, kept in ((PATH[0], given), (PATH[-1], given | {"next": None}), (APPENDIX[0], dict.fromkeys(given))):
        context = dict(given)
        td_path.keep_to_path(App, page, "page.html", context, None)
        assert context == kept, page
    td_path.path_of_site.cache_clear()
    unnumbered = {"root": "book/cover", "parts": [{"caption": "Results", "chapters": [{"file": "notebooks/x"}]}]}
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(unnumbered), encoding="utf-8")
    context = dict(given)
    td_path.keep_to_path(App, "notebooks/x", "page.html", context, None)
    assert context == given  # a run of one's own is walked through


def test_every_page_of_the_appendix_is_linked():
    from_path = set().union(*(linked(text(name)) for name in PATH))
    written = [name for name in APPENDIX if name.startswith("book/") and (ROOT / f"{name}.md").exists()]
    anywhere = from_path | set().union(*(linked(text(name)) for name in written))
    assert set(APPENDIX) <= anywhere
    lost = {name for name in written if name not in from_path and not any(name in linked(text(w)) for w in written)}
    assert lost == set()
    notebooks = {name for name in APPENDIX if re.match(r"notebooks/0[0-5]", name)}
    assert notebooks - from_path == set(), "a phase's notebook is linked from its chapter"


def test_words_are_introduced_before_they_are_used():
    """Arm, form and defect, in bold and with a meaning, before any other use along the path."""
    read = re.sub(r"\s+", " ", " ".join(re.sub(r"```.*?```", "", text(name), flags=re.S) for name in PATH))
    for word in ("arm", "form", "defect"):
        first = re.search(rf"\b{word}s?\b", read, re.IGNORECASE)
        assert read[first.start() - 2 : first.end() + 2] == f"**{word}**", read[first.start() - 40 : first.end() + 40]


def test_the_founding_question_is_called_by_its_name():
    pages = [*BOOK.glob("*.md"), ROOT / "README.md", *(BOOK / "_ext").glob("*.py"), *(ROOT / "notebooks").glob("*.py")]
    for page in [*pages, *(ROOT / "params").glob("*.yaml")]:
        said = re.findall(
            r"seed documents?|\bby the seed\b|the seed (?:also|names|gives|asked)|the seed's (?:own|forms)",
            page.read_text(encoding="utf-8"),
            re.IGNORECASE,
        )
        assert said == [], page.name


EXERCISE = re.compile(r"^\*\*(\d)\.\*\* \*[^*]+\*", re.M)
SOLUTION = ":::{dropdown} Solution"
BLOCK = re.compile(r"```pycon\n(.*?)```", re.S)


def exercises(name: str) -> str:
    return text(name).split("\n## Exercises\n")[1]


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_ends_with_exercises_and_their_solutions(name):
    assert text(name).count("\n## Exercises\n") == 1
    part = exercises(name)
    assert "\n## " not in part
    numbers = [int(number) for number in EXERCISE.findall(part)]
    assert numbers == list(range(1, len(numbers) + 1)) and 2 <= len(numbers) <= 4
    assert part.count(SOLUTION) == len(numbers)
    for exercise in EXERCISE.split(part)[2::2]:
        question, _, solution = exercise.partition(SOLUTION)
        assert question.strip() and len(solution.strip()) > 40 and solution.rstrip().endswith(":::")


def failures(page: str, name: str) -> list[str]:
    """Run the code of a page in order, as one session; what differs from what is shown."""
    session = "\n".join(BLOCK.findall(page))
    found: list[str] = []
    checked = doctest.DocTestParser().get_doctest(session, {}, name, name, 0)
    doctest.DocTestRunner(verbose=False).run(checked, out=found.append)
    return found


@pytest.mark.parametrize("name", [name for name in CHAPTERS if BLOCK.search(text(name))])
def test_code_with_its_output_comes_to_what_is_shown(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert failures(text(name), name) == []


def test_a_wrong_solution_is_found():
    assert failures("```pycon\n>>> 1 + 1\n3\n```\n", "wrong")
    assert not failures("```pycon\n>>> 1 + 1\n2\n```\n", "right")


def test_numbers_of_exercises_are_those_of_their_code():
    """A decimal in the words of an exercise or its solution stands in the solution's code, or in what that prints."""
    for name in CHAPTERS:
        for exercise in EXERCISE.split(exercises(name))[2::2]:
            code = " ".join(BLOCK.findall(exercise))
            words = re.sub(r"\$[^$]+\$", "", BLOCK.sub("", exercise))
            typed = [number for number in re.findall(r"(?<![\w.])\d+\.\d+", words) if number not in code]
            assert typed == [], name


def test_a_page_of_code_becomes_a_script():
    page = "# Title\n\n```python\na = 1\n```\n\n## Next\n\n```bash\n# no heading\n```\n"
    page += "\n````{tab-set}\n```python\nb = a\n```\n````\n"
    assert list(code_blocks(page)) == [("Title", "a = 1\n"), ("Next", "b = a\n")]
    assert script_of(page).count("# %%") == 4 and script_of("# Words only\n") == ""
    assert script_name("03_results_visualization-CartPole-v1") == "03_results_visualization"


def test_every_page_with_code_has_a_script_and_notebooks_have_their_source(tmp_path):
    for name in ("01_data_exploration-Pendulum-v1", "01_data_exploration-CartPole-v1", "05_statistics"):
        (tmp_path / "notebooks").mkdir(exist_ok=True)
        (tmp_path / f"notebooks/{name}.ipynb").write_text("{}")
    (tmp_path / "book").mkdir()
    for page in BOOK.glob("*.md"):
        (tmp_path / "book" / page.name).write_text(page.read_text(encoding="utf-8"), encoding="utf-8")
    write_scripts(tmp_path)
    made = {path.stem: path.read_text(encoding="utf-8") for path in (tmp_path / "scripts").glob("*.py")}
    with_code = {page.stem for page in BOOK.glob("*.md") if "```python" in page.read_text(encoding="utf-8")}
    assert set(made) == with_code | {"01_data_exploration", "05_statistics"} and len(with_code) > 12
    source = (ROOT / "notebooks/05_statistics.py").read_text(encoding="utf-8")
    assert made["05_statistics"] == source
    for name, script in made.items():
        compile(script, name, "exec")


@pytest.mark.parametrize("name", WITHOUT_RUNS)
def test_the_script_of_a_chapter_runs(name, tmp_path):
    path = tmp_path / f"{name}.py"
    path.write_text(script_of(text(f"book/{name}")), encoding="utf-8")
    runpy.run_path(str(path))
