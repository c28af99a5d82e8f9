"""The book's rules: pages exist, figures are known, numbers come from files, no request leaves, the seed is covered."""

import ast
import csv
import importlib.util
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from javascript import Scripts

from tdlib.core.files import PACKERS, write_text
from tdlib.figures.belief_sketches import SKETCHES
from tdlib.grid.jobs import grid_jobs
from tdlib.publish import runs_shown
from tdlib.study.book import WHOLE_BOOK, runs_of
from tdlib.study.chapters import CHAPTERS, STUDY, load_chapter
from tdlib.study.measurements import OF_ABLATIONS
from tdlib.study.presets import load_preset
from tdlib.study.records import load_records

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
sys.path.insert(0, str(BOOK / "_ext"))

import readme_block  # noqa: E402
import td_tables  # noqa: E402

ENVS = ("Pendulum-v1", "CartPole-v1", "CartPoleContinuous-v1")
FAMILIES = (
    "data/{}-coverage.png", "training/{}-curves.png", "training/{}-velocity_field.png", "error_heatmaps/{}-mse.png",
    "error_heatmaps/{}-relative.png", "limits/{}.png", "own_and_pooled/{}.png", "error_vs_horizon/{}.png",
    "trajectory_rollouts/{}.png", "state_space/{}.png", "consistency/{}-defect.png", "consistency/{}-convergence.png",
    "velocity_fields/{}-poles.png", "ensemble/{}-calibration.png", "control/{}.png",
)  # fmt: skip
FIGURES = [
    "ground_truth/plant_change.png", "ground_truth/zero_order_hold.png", "data/Pendulum-v1-returns.png",
    "data/CartPole-v1-returns.png", *[family.format(env) for family in FAMILIES for env in ENVS],
    *[f"failure/{name}.png" for name in ("shift", "excess_forms", "predictors", "reliability", "alarm")],
    "statistics/contrasts.png", "paper_figures/figure1_heatmaps.png", "paper_figures/figure2_horizon.png",
    "paper_figures/figure3_control.png", "paper_figures/figure4_state_space.png", "paper_figures/figure5_ablations.png",
    *[f"own/{name}.png" for name in ("system", "form", "model", "log")],
    "limits/oscillator.png", "limits/bouncing_ball.png", "physics/priors.png", "physics/energy.png",
    "physics/variations.png",
    "history/double_cart_pole-rates.png", "history/oscillator-rates.png", "history/treatments.png",
    "history/oscillator-rows.png", "history/double_cart_pole-control.png",
    "history/double_cart_pole-coverage.png", "history/double_cart_pole-units.png",
    "history/double_cart_pole-ablations.png",
    "mts3/oscillator-imagined.png", "mts3/pendulum-imagined.png", "mts3/oscillator-rates.png", "mts3/treatments.png",
    "mts3/levels.png", "mts3/pendulum-belief.png", "mts3/oscillator-calibration.png",
    "mts3/oscillator-positions-ahead.png", "mts3/pendulum-positions-ahead.png",
    "mts3/PointMaze_Medium-v3-positions-ahead.png", "mts3/HalfCheetah-v5-published-ahead.png",
    *[f"mts3/{name}.png" for name in SKETCHES],
    *[f"visual/oscillator-{name}.png" for name in ("frames", "learned", "visual_rollouts")],
    *[f"visual/{name}.png" for name in ("visual_metrics", "visual_dt_generalization", "where", "collapse")],
    *[f"hardware/{name}.png" for name in ("own_rate", "law", "noise", "coverage")],
    *[f"rate_doctor/{name}.png" for name in ("verdict", "stamps", "rates", "finer", "trials")],
]  # fmt: skip
RECORDS = {each.name for each in load_records()}
RECORDED = ("record.relative_error", "record.limit", "record.formula", "record.over_limit")
VIDEOS = [
    "pendulum_baseline_10hz_on_50hz.mp4",
    "cartpole_multi_resolution_on_50hz.mp4",
    "pendulum_control_at_20hz.mp4",
    "double_cart_pole_control_at_20hz.mp4",
]
STAGED = {  # which partly seen sets there are is a preset's own choice
    f"notebooks/{job.name}"
    for run in runs_of(load_preset(WHOLE_BOOK))
    for job in grid_jobs(run)
    if "seen" not in job.parameters
}
OPTIONAL = {  # that only some presets have, the published one among them
    f"notebooks/{job.name}"
    for name in ("history", "mts3")
    for job in grid_jobs(load_preset(name))
    if "/" not in job.name
    and (load_chapter(name).notebooks[job.notebook].needs is not None or "seen" in job.parameters)
}
SMALLEST = {  # what the parameters cell of a notebook says of its preset
    notebook: '"smoke"' if name == STUDY else f'"{name}_smoke"'
    for name in CHAPTERS
    for notebook in load_chapter(name).notebooks
} | {"07_explorer": '""  # name of a preset in params/, or a path; the best'}
GENERATED = (
    STAGED | OPTIONAL | {"book/gallery", "book/failures_gallery", "book/speed"}
)  # written when a run's site is staged
PAGES = sorted(BOOK.glob("*.md"))


def toc_files() -> list[str]:
    """List every page that the table of contents names, in order."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    files = [toc["root"]]

    def walk(entries):
        for entry in entries:
            files.append(entry["file"])
            walk(entry.get("sections", []))

    for part in toc["parts"]:
        walk(part["chapters"])
    return files


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


QUERIES = ("{res-table}", "{then-and-now}", "{literalinclude}")  # directives without a sentence


def prose(page: Path) -> str:
    """Drop code, queries, options of directives, formulas and roles, so that words remain, also those of captions."""
    kept, fences = [], []  # fences that are open: (their length, whether what stands inside are words)
    for line in text(page).splitlines():
        fence = re.match(r"\s*(`{3,}|:{3,})(.*)", line)
        if fence and fences and not fence[2].strip() and len(fence[1]) == fences[-1][0]:
            fences.pop()
        elif fence:
            fences.append((len(fence[1]), fence[2].startswith("{") and not fence[2].startswith(QUERIES)))
        elif all(words for _, words in fences) and not (fences and re.match(r":[a-z]+:", line)):
            kept.append(line)
    assert fences == [], f"{page.name}: a block is not closed"
    body = "\n".join(kept)
    body = re.sub(r"\$\$.*?\$\$", "", body, flags=re.S)
    body = re.sub(r"\{[a-z-]+\}`[^`]*`", "", body)
    body = re.sub(r"`[^`]*`", "", body)
    return re.sub(r"\$[^$]+\$", "", body)


def test_every_page_of_the_contents_exists():
    files = toc_files()
    assert len(files) == len(set(files))
    missing = [name for name in files if name not in GENERATED and not (ROOT / f"{name}.md").exists()]
    assert missing == []
    for name in STAGED & set(files):
        source = ROOT / (re.sub(r"-\w+.*", "", name) + ".py")
        assert source.exists(), f"{name} is staged from {source.name}, which does not exist"
    assert set(files) >= GENERATED, "a notebook or the gallery is not in the table of contents"


def test_every_page_is_in_the_contents():
    assert {f"book/{page.stem}" for page in PAGES} - {"book/gallery", "book/speed"} <= set(toc_files())


def test_pictures_and_films_are_the_known_ones():
    used, films = [], []
    for page in PAGES:
        used += re.findall(r"\{(?:result-)?figure\} \.\./results/figures/(\S+)", text(page))
        films += re.findall(r"\{video\} \.\./results/videos/(\S+)", text(page))
        other = re.findall(r"!\[[^\]]*\]\((?!https?)[^)]*\)", text(page))
        assert other == [], f"{page.name}: pictures come by result-figure, which checks their alt text"
    assert set(used) == set(FIGURES) and sorted(used) == sorted(set(used))
    assert set(films) == set(VIDEOS)


def test_figures_have_a_name_and_it_is_unique():
    names = []
    for page in PAGES:
        blocks = re.findall(r"\{result-figure\} \S+\n(.*?)\n```", text(page), re.S)
        for block in blocks:
            found = re.search(r"^:name: (fig-[a-z0-9-]+)$", block, re.M)
            assert found, f"{page.name}: figure without a name"
            assert block.split("\n", 1)[1].strip(), f"{page.name}: figure {found[1]} without a caption"
            names.append(found[1])
    assert len(names) == len(set(names))


PAGES_WITH_RESULTS = ("ground_truth", "data", "models", "training", "one_step", "rollouts", "consistency", "control",
            "statistics", "failure", "explorer", "bring_your_own", "doctor")  # fmt: skip


@pytest.mark.parametrize("name", PAGES_WITH_RESULTS)
def test_chapters_state_question_call_reading_and_limits(name):
    page = text(BOOK / f"{name}.md")
    assert "**Question.**" in page
    for heading in ("## The call", "## What it shows", "## Limits"):
        assert heading in page, f"{name}: no section {heading!r}"
    assert "```python" in page


@pytest.mark.parametrize("name", ["one_step", "rollouts", "consistency", "control", "failure"])
def test_predictions_stand_before_verdicts(name):
    """In the chapter, or in one that is read before it."""
    td_path = pytest.importorskip("td_path")
    page, path = text(BOOK / f"{name}.md"), td_path.reading_path(yaml.safe_load(text(ROOT / "_toc.yml")))
    before = "".join(text(ROOT / f"{each}.md") for each in path[: path.index(f"book/{name}")])
    verdicts = re.findall(r"\{verdict\} (\S+)", page)
    assert verdicts
    for verdict in verdicts:
        read = before + page
        assert 0 <= read.find(f"{{prediction}} {verdict}") < read.find(f"{{verdict}} {verdict}")


RESULT_WORDS = re.compile(
    r"\b(?:we (?:found|measured|observed)|measured (?:at|as)|turned out|outperform|p\s*[=<]\s*0?\.\d)", re.IGNORECASE
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_result_is_typed(page):
    """Prose never reports a finding by hand: numbers with an interval, or sentences of finding, come by role only."""
    body = prose(page)
    assert not re.search(r"\d[\d.]*\s*\[\s*−?-?\d", body), "a number with an interval was typed"
    assert not re.search(r"\d\s*±\s*\d", body), "a number with an error was typed"
    found = RESULT_WORDS.search(body)
    assert found is None, f"sounds like a typed finding: {body[max(0, found.start() - 40) : found.end() + 40]!r}"


def sources_of_claims() -> dict[str, str]:
    """Words that claim something, by file: pages, README, notebooks' prose, captions of figures, the sliders' words."""
    found = {f"book/{page.name}": prose(page) for page in PAGES}
    found["README.md"] = prose(ROOT / "README.md")
    for path in sorted((ROOT / "notebooks").glob("*.py")):
        cells = re.findall(r"^# %% \[markdown\]\n((?:#.*\n?)+)", text(path), re.M)
        found[f"notebooks/{path.name}"] = re.sub(r"^# ?", "", "\n".join(cells), flags=re.M)
    for path in [*sorted((ROOT / "tdlib/figures").glob("*.py")), ROOT / "tdlib/study/limits.py", *EXTENSIONS]:
        constants = [node.value for node in ast.walk(ast.parse(text(path))) if isinstance(node, ast.Constant)]
        found[path.relative_to(ROOT).as_posix()] = " · ".join(word for word in constants if isinstance(word, str))
    for path in (BOOK / "_static").glob("*.js"):
        found[f"book/_static/{path.name}"] = "\n".join(re.findall(r'"((?:[^"\\]|\\.)*)"', text(path)))
    return {name: " ".join(words.split()) for name, words in found.items()}


QUOTING = "book/changed.md"  # quotes what did not stand
EXTENSIONS = [BOOK / "_ext/readme_block.py", BOOK / "_ext/td_page.py", BOOK / "_ext/td_results.py"]
# words that claim all cases at once; each place that may say them is listed, with why it may
SWEEPING = re.compile(
    r"\b(?:never|always|no (?:learned )?(?:model|network|amount)\b|nothing else|everything else|anything else|"
    r"change nothing|"
    r"same for (?:every|all)|(?:every|any|all|whatever the) (?:network|model|method|system)s?\b|cannot|is general|"
    r"impossible|guarantee[sd]?|prove[sd]?)\b",
    re.IGNORECASE,
)
FAIR = {  # file -> beginnings of what is said there; scope: our own tables, code or arithmetic, or a reported bound
    "README.md": ["nothing else; the browser tests"],
    "book/bring_your_own.md": ["nothing else: any leading batch shape", "impossible rate stops"],
    "book/control.md": ["never as the best, and are counted"],
    "book/data.md": ["cannot exceed 500"],
    "book/doctor.md": ["cannot tell |", "never trained. |"],
    "book/ground_truth.md": ["cannot be told apart"],
    "book/models.md": ["All models share one contract", "All networks are small"],
    "book/predictions.md": ["any model was trained"],
    "book/results_interpretation.md": ["all models | planner or task"],
    "book/theory.md": ["any network is trained"],
    "notebooks/04_control.py": ["every model."],
    "notebooks/05_statistics.py": ["cannot decide: below five"],
    "tdlib/figures/save.py": ["cannot see it"],
    "tdlib/figures/style.py": ["no model"],
    "book/_ext/td_results.py": ["never from a keyboard"],
    "book/intro.md": ["cannot help: there it is exact already"],
    "book/model_architecture.md": ["never produces results"],
    "book/reading.md": ["cannot decide", "every model |"],
    "book/rollouts.md": ["never at equal step"],
    "book/statistics.md": ["cannot* confirm a difference", "cannot decide, a note"],
    "book/training.md": ["never looked at"],
}
# sentences of the first edition that did not stand; only the page that lists them may quote them
REFUTED = (
    "same for every network",
    "whatever the network",
    "stays where initialization put it",
    "no learned model will",
    "never log",
    "more data, a larger network",
    "everything else is fine",
    "plateau to the left",
    "formula for the raw error is general",
    "mismatch names no system",
    "neither, step for step",
    "second slider",
    "they set a floor under every smooth model",
    "limits that no learning can beat",
    "cannot be trained away",
    "compare the tables of the three environments",
    "that is the whole problem in one line",
)


def unfair(words: str, allowed: list[str]) -> list[str]:
    """Sweeping words that no allowed context explains, each with what follows it."""
    found = []
    for match in SWEEPING.finditer(words):
        rest = words[match.start() :]
        if not any(rest.lower().startswith(each.lower()) for each in allowed):
            found.append(words[max(0, match.start() - 50) : match.end() + 50])
    return found


def test_claims_have_a_scope():
    """A word for all cases stands only where a reader of this list has seen that it is true."""
    claims = sources_of_claims()
    open_ended = {name: unfair(words, FAIR.get(name, [])) for name, words in claims.items() if name != QUOTING}
    assert {name: found for name, found in open_ended.items() if found} == {}, "say where it was shown, or list it"
    gone = [
        (name, each) for name, allowed in FAIR.items() for each in allowed if each.lower() not in claims[name].lower()
    ]
    assert gone == [], "this is said no more; take it off the list"


def test_the_scope_test_can_fail():
    for wrong in (
        "the error is the same for every network",
        "there is no model that does",
        "it never works",
        "no amount of data helps",
        "whatever the network",
        "and everything else is fine",
        "this is impossible",
        "it holds for all systems",
    ):
        assert unfair(wrong, ["never looked at"]), wrong
    assert unfair("test rates are never looked at", ["never looked at"]) == []


def test_sentences_that_did_not_stand_are_gone():
    claims = sources_of_claims()
    for name, words in claims.items():
        if name != QUOTING:
            found = [each for each in REFUTED if each in words.lower()]
            assert found == [], f"{name} still says {found}"
    quoted = claims["book/changed.md"].lower()
    assert sum(each in quoted for each in REFUTED) > len(REFUTED) / 2, "the page of changes quotes what it corrects"


# decimals that prose may type: constants of formulas, definitions and settings, not findings
TYPED = {
    "README.md": {"3.11", "3.12", "3.13", "0.6", "2.5"},
    "book/answers.md": {"0.75", "0.50", "1.50", "4.00", "0.05", "33.3"},
    "book/changed.md": {"0.2"},
    "book/control.md": {"2.5"},
    "book/data.md": set(),
    "book/experimental_protocol.md": {"33.3", "0.2", "0.6", "0.3", "0.8", "0.1", "2.4"},
    "book/ground_truth.md": {"33.3", "0.03", "2.4"},
    "book/intro.md": {"33.3", "2.5"},
    "book/model_architecture.md": {"0.05"},
    "book/notation.md": {"33.3", "0.03"},
    "book/reading.md": {"0.5", "1.5"},
    "book/recommendations.md": {"0.1"},
    "book/related_work.md": {"0.635", "3.76"},  # as their authors report them
    "book/results_interpretation.md": {"33.3"},
    "book/rollouts.md": {"0.2", "3.97"},
    "book/theory.md": {"0.05"},
}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.stem)
def test_decimals_in_prose_are_settings(page):
    """A decimal in a sentence is a finding, which comes by role, unless it is a setting or constant listed above."""
    body = prose(page)
    if page.name == "README.md":
        body = body.split("<!-- findings: begin")[0] + body.split("<!-- findings: end -->")[1]
    body = body.partition("\n## Exercises\n")[0]  # whose numbers are those of their code, see test_reading_path.py
    body = "\n".join(line for line in body.splitlines() if not line.lstrip().startswith("|"))
    name = page.relative_to(ROOT).as_posix()
    found = set(re.findall(r"(?<![\w.])\d+\.\d+(?![\w.])", body))
    assert found <= TYPED.get(name, set()), f"{name}: {sorted(found - TYPED.get(name, set()))} typed"


def test_tables_of_then_and_now_read_files_only():
    first_edition = pytest.importorskip("first_edition")
    page = text(BOOK / "changed.md")
    rows = first_edition.rows_of_page(page)
    kept = td_tables.read_statistics(first_edition.TABLE)
    asked = [query for _, query, _ in rows if query]
    assert len(asked) >= 25 and all(old or new for _, old, new in rows)
    for query in asked:
        assert td_tables.find(kept, td_tables.parse_query(query)).num_seeds <= 2
    for _, _, query in rows:
        if query:
            assert td_tables.parse_query(query)["metric"].split(".")[0] in {
                "one_step", "rollout", "control", "ensemble", "limit", "consistency",
            }  # fmt: skip
    assert "python book/_ext/first_edition.py" in page
    claims = re.findall(r"^## .*$", page, re.M)
    assert page.count("*Was:*") == page.count("*Is:*") == page.count("*Why:*") >= len(claims) - 3


def test_numbers_of_the_first_edition_are_those_in_git():
    first_edition = pytest.importorskip("first_edition")
    try:
        first_edition.from_git("README.md")
    except (OSError, subprocess.SubprocessError):
        pytest.skip("no history here")
    assert first_edition.TABLE.read_text(encoding="utf-8") == first_edition.kept_table()
    assert first_edition.STATED.read_text(encoding="utf-8") == first_edition.stated()


def test_the_present_edition_is_told_from_the_first(tmp_path):
    td_changes = pytest.importorskip("td_changes")
    then = td_tables.read_statistics(td_changes.TABLE)
    same = td_tables.Source(tmp_path, "published edition", td_tables.Rows(dict(row) for row in then))
    assert td_changes.is_first(then, [same])
    other = td_tables.Rows(dict(row) for row in then)
    other[-1]["mean"] = str(1.01 * float(other[-1]["mean"]) + 1)
    assert not td_changes.is_first(then, [td_tables.Source(tmp_path, "published edition", other)])


def test_alarm_is_a_mean_over_seeds_with_its_interval(tmp_path):
    path = tmp_path / td_tables.ALARM
    path.parent.mkdir(parents=True)
    head = "env,model,method,form,size,data,train_frequency,test_frequency,seed,bin,auroc,n\n"
    row = "Pendulum-v1,ensemble,dt_conditioned,scaled_concat,hidden64,transitions,20,50,{},{},{},64\n"
    lines = [row.format(0, "all", 0.7), row.format(1, "all", 0.8), row.format(2, "all", 0.9), row.format(0, "1", "")]
    path.write_text(head + "".join(lines), encoding="utf-8")
    (found,) = td_tables.alarm_rows(tmp_path)
    value = td_tables.find([found], {"metric": "ensemble.auroc", "test_frequency": "50"})
    half = 4.302653 * 0.1 / math.sqrt(3)  # Student's t of two degrees of freedom
    assert (value.mean, value.low, value.num_seeds) == (pytest.approx(0.8), pytest.approx(0.8 - half, abs=1e-6), 3)
    assert value.high == 1.0  # no share is larger
    for suffix, packer in PACKERS.items():  # as editions of different times keep it
        packed = tmp_path / suffix / f"{td_tables.ALARM}{suffix}"
        packed.parent.mkdir(parents=True)
        packed.write_bytes(packer.compress(path.read_bytes()))
        assert td_tables.alarm_rows(tmp_path / suffix) == [found]
    assert td_tables.alarm_rows(tmp_path / "elsewhere") == []


def test_docstrings_in_the_api_show_code_as_code():
    td_reference = pytest.importorskip("td_reference")
    nodes = td_reference.with_code("Former place of `tdlib.x`, see ``y``.")
    assert [type(node).__name__ for node in nodes] == ["Text", "literal", "Text", "literal", "Text"]
    assert "".join(node.astext() for node in nodes) == "Former place of tdlib.x, see y."


def test_the_banner_names_the_run_that_a_page_shows(tmp_path):
    td_page = pytest.importorskip("td_page")
    for folder, commit in ((tmp_path, "aaaaaaa"), (tmp_path / td_tables.PUBLISHED, "bbbbbbb")):
        path = folder / td_tables.SUMMARIES[1]
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"preset": "quick", "git_commit": commit}), encoding="utf-8")
    said = {"history": {"description": "Five <seeds>.", "commits": ["ccccccc", "ddddddd"]}}
    (tmp_path / "results/runs.json").write_text(json.dumps(said), encoding="utf-8")
    study = td_page.banner_text(tmp_path)
    assert study == td_page.banner_text(tmp_path, ["quick"]) and "<strong>quick</strong>" in study
    assert "Commit aaaaaaa" in study and "bbbbbbb" not in study
    conclusions = td_page.banner_text(tmp_path, conclusions=True)
    assert "published edition" in conclusions and "bbbbbbb" in conclusions and "aaaaaaa" not in conclusions
    chapter = td_page.banner_text(tmp_path, ["history"])
    assert "<strong>history</strong>" in chapter and "quick" not in chapter
    assert "Five &lt;seeds&gt;." in chapter and "Models of commits ccccccc, ddddddd." in chapter
    several = td_page.banner_text(tmp_path, ["quick", "history"])
    assert "<strong>quick</strong>, <strong>history</strong>" in several
    path.unlink()
    assert td_page.banner_text(tmp_path, conclusions=True) == study  # without an edition these pages read the run
    assert td_page.banner_text(tmp_path / "elsewhere") == "No results beside this book."


def test_a_table_names_the_runs_that_measured_its_rows():
    row = {"metric": "m", "mean": "1", "ci_low": "", "ci_high": "", "n_seeds": "2", "n": "4"}
    of_chapter = td_tables.find([{**row, "preset": "hardware"}], {"metric": "m"})
    of_study = td_tables.find([row], {"metric": "m"})
    assert (of_chapter.preset, of_study.preset) == ("hardware", "")
    label = "this run, preset quick"
    assert td_tables.ran({of_study.preset}, label) == td_tables.ran(set(), label) == label
    assert td_tables.ran({of_chapter.preset}, label) == "this run, preset hardware"
    assert td_tables.ran({"hardware", "history", ""}, label) == "this run, preset quick, hardware, history"


def test_staging_says_what_each_notebook_ran_and_what_trained_it(tmp_path):
    for name, commits in (("study", ""), ("own", "aaa\nbbb\naaa\n")):
        write_text(tmp_path / name / "notebooks" / f"{name}_report.ipynb", "{}")
        write_text(tmp_path / name / "results/metrics/training_summary.csv", f"git_commit\n{commits}")
    (tmp_path / "study/results/metrics/training_summary.csv").unlink()
    runs = [
        runs_shown.Finished(tmp_path / name / "notebooks", tmp_path / name / "results", tmp_path, name, f"{name}.")
        for name in ("study", "own")
    ]
    runs_shown.write_runs(runs, tmp_path / "results")
    presets, said = (json.loads((tmp_path / f"results/{name}.json").read_text()) for name in ("presets", "runs"))
    assert presets == {"study_report": "study", "own_report": "own"}
    assert said["study"] == {"description": "study.", "commits": []} and said["own"]["commits"] == ["aaa", "bbb"]


def test_tables_hold_formulas_without_the_sign_that_separates_columns():
    """A bar inside a formula in a row of a table cuts the row."""
    for page in [*PAGES, ROOT / "README.md"]:
        for line in text(page).splitlines():
            if line.startswith("|"):
                for formula in re.findall(r"\$[^$]*\$", line):
                    assert "|" not in formula, f"{page.name}: {line}"
                assert line.count("$") % 2 == 0, f"{page.name}: {line}"


def test_labels_of_references_are_readable():
    """A LaTeX accent in a name ends up in the label, as in BilovsSR+21."""
    pybtex = pytest.importorskip("pybtex.database")
    from pybtex.style.labels.alpha import LabelStyle

    entries = pybtex.parse_file(BOOK / "references.bib").entries.values()
    assert len(entries) > 10
    for entry in entries:
        label = LabelStyle().format_label(entry)  # initials, or three letters of the one author
        assert re.fullmatch(r"(?:[A-Z]+\+?|[A-Z][a-z]{2})\d\d", label), entry.key


COLUMN = 88  # characters that fit the text column at full width


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_on_pages_is_not_cut(page):
    for block in re.findall(r"```(?:python|bash)\n(.*?)```", text(page), re.S):
        assert [line for line in block.splitlines() if len(line) > COLUMN] == []


def test_sliders_run_with_their_charts():
    """Lower rates are at the left of every slider, as on every axis of rates."""
    scripts = text(BOOK / "_static/sliders.js") + text(BOOK / "_static/sliders_theory.js")
    ranges = re.findall(r"[rR]ateSlider\(box, \"[^\"]*\", \[([\d, ]+)\]", scripts)
    assert len(ranges) == 6
    for found in ranges:
        rates = [int(rate) for rate in found.split(",")]
        assert rates == sorted(rates)


def test_a_slider_starts_at_rest():
    torch = pytest.importorskip("torch")
    from tdlib.study.limits import increment
    from tdlib.systems import SYSTEMS

    scripts, page = sliders(), text(BOOK / "theory.md")
    states = torch.tensor(scripts("window.tdSliders.rest"), dtype=torch.float64)
    assert (states[:, 1] == 0).all() and len(states) > 5
    zero, h = torch.zeros(len(states), 1, dtype=torch.float64), 0.05
    step = increment(SYSTEMS["Pendulum-v1"], states, zero, h)[:, 0]
    for rate, delta_t in ((10, 0.1), (50, 0.02), (100, 0.01)):
        truth = increment(SYSTEMS["Pendulum-v1"], states, zero, delta_t)[:, 0]
        cells = []
        for predicted, rescaled, first in (
            (step, "false", abs(1 - (h / delta_t) ** 2)), (delta_t / h * step, "true", abs(1 - h / delta_t)),
        ):  # fmt: skip
            ours = float((predicted - truth).norm() / truth.norm())
            assert scripts(f"window.tdSliders.restLimit({h}, {delta_t}, {rescaled})") == pytest.approx(ours, rel=1e-9)
            assert ours == pytest.approx(first, rel=0.01)
            cells.append(f"{ours:.2f}")
        assert re.search(rf"\| {rate} Hz \| .* \| {cells[0]} \| {cells[1]} \|", page)


def queries() -> list[tuple[str, str]]:
    """List (page, query) of every number that prose takes from a file."""
    found = []
    for page in PAGES:
        for role in re.findall(r"\{res\}`([^`]*)`", text(page)):
            found.append((page.stem, " ".join(role.split()).partition("|")[0]))
        for head, options in re.findall(r"\{res-table\} ([^\n]*)\n(.*?)\n```", text(page), re.S):
            rows = [line for line in options.splitlines() if line.strip() and not line.startswith(":")]
            key, values = re.search(r":columns:\s*(\S+?)=(.*)", options).groups()
            for row in rows:
                query = row.partition(":")[2]
                found += [(page.stem, f"{head}, {query}, {key}={value}") for value in values.split()]
    return found


def test_queries_are_well_formed():
    found = queries()
    assert len(found) > 100
    known = {"ensemble.auroc", "one_step.mse", "one_step.relative_error", "rollout.relative_error",
             "consistency.defect", "consistency.relative_error", "control.return", "control.success",
             "control.regret", "one_step.ppo.relative_error", "one_step.contacts.relative_error",
             "field.relative_error", "field.divergence_error", *RECORDED,
             "visual.mse", "visual.copy_last.mse",
             "doctor.right", "doctor.alarms", "doctor.error", "doctor.limit", "doctor.cases",
             *(f"ablations.{name}" for name in OF_ABLATIONS)}  # fmt: skip
    for page, query in found:
        parsed = td_tables.parse_query(query)
        there = (*ENVS, "double_cart_pole", "oscillator", "three_body")
        if parsed["metric"] in RECORDED:
            there = RECORDS
        elif parsed["metric"].startswith("doctor."):
            there = ("planted", "healthy", "double pendulum a")
        assert parsed["metric"] in known and parsed["env"] in there, f"{page}: {query}"


def test_every_part_has_a_figure_and_a_number():
    """The parts of the study each show at least one picture and one number from a result file."""
    parts = {
        "ground truth and data": ("ground_truth", "data"), "models": ("models",), "training": ("training",),
        "one step": ("one_step",), "rollouts": ("rollouts",), "consistency": ("consistency",), "control": ("control",),
        "statistics and answers": ("statistics", "answers"),
    }  # fmt: skip
    for part, names in parts.items():
        body = "".join(text(BOOK / f"{name}.md") for name in names)
        assert "{result-figure}" in body, part
        if part != "ground truth and data":
            assert any(sign in body for sign in ("{res}`", "{res-table}", "{verdict}")), part


def find_rows_fixture() -> list[dict[str, str]]:
    base = dict.fromkeys(td_tables.KEYS, "") | {
        "metric": "one_step.mse", "env": "Pendulum-v1", "size": "hidden64", "data": "transitions",
        "mean": "1.5", "ci_low": "1.4", "ci_high": "1.6", "n_seeds": "2", "n": "64", "test_frequency": "20",
    }  # fmt: skip
    return [base, base | {"size": "small", "mean": "9"}, base | {"test_frequency": "50", "ci_low": "", "n_seeds": "1"}]


def test_a_number_is_found_or_the_error_says_why():
    rows = find_rows_fixture()
    query = {"metric": "one_step.mse", "test_frequency": "20"}
    assert td_tables.find(rows, query).text() == "1.50 [1.40, 1.60] (n = 2 seeds)"
    assert td_tables.find(rows, query | {"size": "small"}).mean == 9
    assert td_tables.find(rows, query | {"test_frequency": "50"}).text() == "1.50 (n = 1 seed)"
    with pytest.raises(td_tables.QueryError, match="0 do: metric=one_step.mse, test_frequency=7"):
        td_tables.find(rows, query | {"test_frequency": "7"})
    with pytest.raises(td_tables.QueryError, match="2 do"):
        td_tables.find(rows, {"metric": "one_step.mse"})
    with pytest.raises(td_tables.QueryError, match="keys metric, env.*got 'rate=20'"):
        td_tables.parse_query("metric=one_step.mse, rate=20")


@pytest.mark.parametrize(
    ("numbers", "spec", "text"),
    [
        ((-0.004, -0.0, 0.0), ".0f", "0 [0, 0]"),  # too small for two more decimals: no sign
        ((-0.0, 0.0, 0.0), ".2f", "0.00 [0.00, 0.00]"),
        ((0.3, -0.1, 12.0), ".0f", "0.3 [−0.1, 12.0]"),  # a regret that is there is not shown as none
        ((0.04, -0.1, 12.0), ".0f", "0.04 [−0.10, 12.00]"),
        ((-120.4, -130.0, -110.0), ".0f", "−120 [−130, −110]"),
        ((float("nan"), float("nan"), float("nan")), ".1f", "not finite"),
        ((-1e-9, -2e-9, 3.0), ".3g", "0.00 [0.00, 3.00]"),  # nothing beside its interval
        ((-1e-9, -2e-9, 0.0), ".3g", "−1e−09 [−2e−09, 0]"),
        ((0.02194, 0.02012, 0.02376), ".3g", "0.0219 [0.0201, 0.0238]"),  # as many decimals as the first needs
        ((1145.6, 1008.7, 1282.4), ".3g", "1146 [1009, 1282]"),
        ((0.5, float("nan"), float("nan")), ".3g", "0.500"),
    ],
)
def test_numbers_are_not_rounded_away_and_zero_has_no_sign(numbers, spec, text):
    assert td_tables.Value(*numbers, num_seeds=2, n=2).text(spec, brief=True) == text


def test_the_least_of_several_numbers_is_named(tmp_path):
    td_results = pytest.importorskip("td_results")
    rows = [row | {"n_seeds": "1", "ci_low": "", "ci_high": ""} for row in find_rows_fixture()[:1]]
    rows += [rows[0] | {"form": "concat", "mean": "0.3"}, rows[0] | {"form": "scaled", "mean": "nan"}]
    place = td_tables.Source(tmp_path, "here", td_tables.Rows(rows))
    query = "metric=one_step.mse, env=Pendulum-v1"
    assert td_results.least([place], query, "form=scaled concat log_tau") == "concat, 0.300"
    with pytest.raises(td_tables.QueryError, match="at least one number"):
        td_results.least([place], query, "form=log_tau scaled")


def test_a_number_says_how_many_of_its_seeds_diverged():
    value = td_tables.Value(1.5, 1.25, 1.75, 2, 14, bad=1)
    assert value.text() == "1.50 [1.25, 1.75] (n = 2 of 3 seeds, the others diverged)"
    assert value.text(brief=True) == "1.50 [1.25, 1.75] (1 of 3 seeds diverged)"
    none = td_tables.Value(math.nan, math.nan, math.nan, 0, 14, bad=3)
    assert none.text(brief=True) == "not finite (3 of 3 seeds diverged)"


def test_the_setup_of_control_comes_from_the_run(tmp_path):
    td_results = pytest.importorskip("td_results")
    path = tmp_path / td_tables.SUMMARIES[1]
    path.parent.mkdir(parents=True)
    written = {"preset": "quick", "control": {"replan_seconds": 0.3, "frequencies": [10.0, 33.3, 50.0]}}
    path.write_text(json.dumps(written))
    assert td_results.control_setup(tmp_path, "replan_seconds") == "0.3"
    assert td_results.control_setup(tmp_path, "frequencies") == "10, 33.3 and 50"
    assert td_results.control_setup(tmp_path, "CartPole-v1.planner") == "enumeration"
    with pytest.raises(td_tables.QueryError, match="replan_seconds.*got 'replan'"):
        td_results.control_setup(tmp_path, "replan")
    with pytest.raises(td_tables.QueryError, match="got 'Acrobot-v1.horizon'"):
        td_results.control_setup(tmp_path, "Acrobot-v1.horizon")
    path.write_text(json.dumps({"preset": "quick"}))  # of an older version
    assert td_results.control_setup(tmp_path, "replan_seconds") == "0.2"


def test_what_presets_ask_for_is_read_from_their_files():
    td_results = pytest.importorskip("td_results")
    training = yaml.safe_load((ROOT / "params" / "full.yaml").read_text())["training"]
    assert td_results.preset_value("full.training.num_steps") == f"{training['num_steps']:,}".replace(",", "\u202f")
    assert td_results.preset_value("full.training.learning_rate") == str(training["learning_rate"])
    assert td_results.preset_value("#quick.seeds") == "2"
    assert td_results.preset_value("quick.control.frequencies") == "10, 20 and 50"
    with pytest.raises(td_tables.QueryError, match="got 'full.training.steps', where 'steps' is none"):
        td_results.preset_value("full.training.steps")
    with pytest.raises(ValueError, match="no_such"):
        td_results.preset_value("no_such.seeds")


def test_many_verdicts_are_folded_and_those_against_the_prediction_are_not():
    td_predictions = pytest.importorskip("td_predictions")
    known = td_predictions.load_predictions(BOOK / "predictions.yaml")
    found = {"measured": "1", "ci_low": "1", "ci_high": "1", "n_seeds": "12", "n": "96", "note": ""}
    many = td_predictions.SEEN_AT_ONCE + 1
    verdicts = ["refuted", *["holds"] * (many - 1)]
    rows = [
        (check, found | {"verdict": verdict})
        for check, verdict in zip(known["off-rate-formula"].checks, verdicts, strict=False)
    ]
    against, folded = td_predictions.tables_of(rows, whole=False)
    assert "refuted" in against.astext() and "holds" not in against.astext()
    assert folded["design_component"] == "dropdown" and not folded["opened"]
    assert folded.astext().startswith(f"Checks: holds {many - 1}") and "refuted" not in folded.astext()
    assert [box.astext().count("holds") for box in td_predictions.tables_of(rows, whole=True)] == [many - 1]
    words = rows[0][0].what
    why = {words: "because", f"{rows[0][0].env}: {words}": "there"}
    assert td_predictions.explanations(why, rows) == ["because", "there"]
    with pytest.raises(ValueError, match="begin of a check's words, got 'on pooled'"):
        td_predictions.explanations({**why, "on pooled": "fits"}, rows)
    assert td_predictions.explanations({rows[1][0].what: "because"}, rows[1:2]) == []  # it holds
    told = yaml.safe_load((BOOK / "otherwise.yaml").read_text(encoding="utf-8"))
    for name, reasons in told.items():  # each is for checks that there are
        assert len(
            td_predictions.explanations(reasons, [(c, found | {"verdict": "refuted"}) for c in known[name].checks])
        )
    assert len(td_predictions.tables_of(rows[1:], whole=False)) == 1
    assert "design_component" not in td_predictions.tables_of(rows[1:], whole=False)[0]


def test_pages_show_the_verdict_of_the_run_and_no_other(tmp_path):
    """A row counts for the prediction that it was judged by: with another bound, the check is not in this run."""
    td_predictions = pytest.importorskip("td_predictions")
    known = td_predictions.load_predictions(BOOK / "predictions.yaml")
    prediction = known["off-rate-formula"]
    first, second = prediction.checks[:2]
    table = tmp_path / td_tables.PREDICTIONS
    table.parent.mkdir(parents=True)
    columns = (
        "env",
        "prediction",
        "what",
        "expected",
        "measured",
        "ci_low",
        "ci_high",
        "verdict",
        "note",
        "n_seeds",
        "n",
    )
    rows = [
        (first.env, first.prediction, first.what, first.expected, 1.01, 0.98, 1.04, "holds", "", 12, 96),
        (second.env, second.prediction, second.what, "1 ± 90%", 1.01, 0.98, 1.04, "holds", "", 12, 96),
    ]
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])
    source = td_tables.Source(tmp_path, "this run", [])
    shown = [row for _, row in td_predictions.rows_of(prediction, td_predictions.read_judged(source))]
    assert shown[0]["verdict"] == "holds" and shown[1:] == [None] * (len(shown) - 1)
    cells = td_predictions._cells(first, {**shown[0], "note": "a note"})
    assert "1.01 [0.98, 1.04] (n = 12 seeds)" in " ".join(cells[2].astext().split())
    assert cells[3].astext() == "holds: a note"
    assert td_predictions.read_judged(td_tables.Source(tmp_path / "elsewhere", "", [])) == {}


def test_pages_say_since_when_a_prediction_stands():
    td_predictions = pytest.importorskip("td_predictions")
    first = {"commit": "abc1234", "date": "2026-01-01", "changed": []}
    later = {"commit": "def5678", "date": "2026-02-02", "changed": ["title", "checks"]}
    unknown = {"commit": "", "date": "", "changed": ["unknown"]}
    since = td_predictions.since
    assert since({"versions": [first]}) == "First written 2026-01-01 in commit abc1234; not changed since."
    assert since({"versions": [first, later]}).endswith("; changed 2026-02-02 in commit def5678 (title, checks).")
    assert "since the last commit known here (what, is not recorded)" in since({"versions": [first, unknown]})
    assert since({"versions": [first | {"commit": ""}]}).startswith("Not committed yet")
    assert since(None).startswith("When it was written is not known here")


def test_numbers_in_predictions_follow_from_the_true_flow():
    """The values that theory.md and predictions.yaml state are those of the exact maps."""
    torch = pytest.importorskip("torch")
    from tdlib.systems import SYSTEMS

    system = SYSTEMS["Pendulum-v1"]
    generator = torch.Generator().manual_seed(0)
    corner = torch.tensor([torch.pi, 6.0], dtype=torch.float64)
    state = corner * (2 * torch.rand(4096, 2, dtype=torch.float64, generator=generator) - 1)
    action = 4 * torch.rand(4096, 1, dtype=torch.float64, generator=generator) - 2
    kept = ~system.simulate(state, action, 0.26).limit_hit
    state, action, h = state[kept], action[kept], 0.05

    def relative(error, delta_t):
        change = system.flow(state, action, delta_t) - state
        return ((error**2).mean(0) / (change**2).mean(0)).mean().sqrt().item()

    step = system.flow(state, action, h)
    for delta_t, rescaled in ((0.1, 0.08), (0.02, 0.05), (0.01, 0.07)):
        truth = system.flow(state, action, delta_t)
        assert relative(step - truth, delta_t) == pytest.approx(abs(1 - h / delta_t), rel=0.02)
        assert relative(state + delta_t / h * (step - state) - truth, delta_t) == pytest.approx(rescaled, abs=0.006)
    assert relative(system.flow(state, action, 5 * h) - step, 0.1) == pytest.approx(2.02, abs=0.03)


def test_tables_of_the_sliders_are_their_formulas():
    omega = math.sqrt(15)
    page = text(BOOK / "theory.md")
    for rate in (10, 20, 50):
        decay, frequency = (math.cos(omega / rate) - 1) * rate, math.sin(omega / rate) * rate / omega - 1
        row = f"| {rate} Hz | {decay:.3f} | {100 * frequency:.1f} % | {math.exp(decay):.2f} |".replace("-", "−")
        assert row in page
    for rate in (5, 10, 50, 100, 200):
        shown = re.search(rf"\| {rate} Hz \| ([\d.]+) \|", text(BOOK / "intro.md"))[1]
        assert float(shown) == pytest.approx(abs(1 - 0.05 * rate))


def test_slider_physics_equals_the_library():
    torch = pytest.importorskip("torch")
    from tdlib.systems import SYSTEMS

    scripts = sliders()
    state, zero = torch.tensor([2.0, -1.5], dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    for delta_t in (0.005, 0.02, 0.03, 0.05, 0.1, 0.2):
        ours = SYSTEMS["Pendulum-v1"].flow(state, zero, delta_t).tolist()
        theirs = [scripts(f"window.tdSliders.flow([2.0, -1.5], {delta_t})[{i}]") for i in (0, 1)]
        assert theirs == pytest.approx(ours, abs=1e-12)
    assert scripts("window.tdSliders.mismatch(0.05, 0.02)") == pytest.approx(1.5)
    assert scripts("window.tdSliders.rescaledLimit(0.05, 0.02)") == pytest.approx(0.05, abs=0.006)
    assert scripts("window.tdSliders.eulerField(0.1).decay") == pytest.approx(-0.741, abs=1e-3)


def sliders():
    return Scripts(
        "var window = {};" + text(BOOK / "_static/sliders.js"),
        text(BOOK / "_static/sliders_theory.js"),
    )


def test_interpolation_slider_equals_the_library():
    torch = pytest.importorskip("torch")
    from tdlib.study.limits import interpolation_limit
    from tdlib.systems import SYSTEMS

    scripts, page = sliders(), text(BOOK / "theory.md")
    grid, scale = (torch.tensor(scripts(f"window.tdSliders.{name}"), dtype=torch.float64) for name in ("grid", "scale"))
    zero = torch.zeros(len(grid), 1, dtype=torch.float64)
    for form in ("concat", "scaled", "scaled_concat", "log_tau"):
        found = []
        for rate in (5, 16, 25, 100, 200):
            ours = interpolation_limit(SYSTEMS["Pendulum-v1"], grid, zero, 1 / rate, form, scale=scale)
            theirs = scripts(f"window.tdSliders.interpolationLimit([0.1, 0.05, 0.02], {1 / rate!r}, '{form}')")
            assert theirs == pytest.approx(ours, abs=1e-9)
            found.append(f"{ours:.4f}")
        assert f"| `{form}` | {' | '.join(found)} |" in page


def test_hold_and_alias_sliders_equal_what_signals_do():
    np = pytest.importorskip("numpy")
    scripts, page = sliders(), text(BOOK / "ground_truth.md")
    time = (np.arange(200_000) + 0.5) / 200_000  # one period of 1 Hz
    for rate in (5, 10, 20, 50, 100):
        held = np.sin(2 * np.pi * np.floor(time * rate) / rate)
        part = 2 * (held * np.exp(-2j * np.pi * time)).mean() * 1j  # the part at 1 Hz; 1 is the wished input
        gain = scripts(f"window.tdSliders.holdGain(1, {1 / rate!r})")
        assert gain == pytest.approx(abs(part), abs=1e-4)
        late = -np.angle(part) / (2 * np.pi)  # [s]
        assert late == pytest.approx(0.5 / rate, abs=1e-4)
        assert f"| {rate} Hz | {500 / rate:.1f} ms | {100 * gain:.1f} % |" in page
    for rate in (5, 10, 20, 50):
        alias = scripts(f"window.tdSliders.aliasFrequency(9, {rate})")
        assert alias <= rate / 2
        samples = np.arange(100) / rate
        assert np.cos(2 * np.pi * alias * samples) == pytest.approx(np.cos(2 * np.pi * 9 * samples), abs=1e-9)
        assert f"| {rate} Hz | {alias:.1f} Hz |" in page


def test_every_slider_is_built_and_shown_with_a_fallback():
    td_sliders = pytest.importorskip("td_sliders")
    scripts = text(BOOK / "_static/sliders.js") + text(BOOK / "_static/sliders_theory.js")
    used = {name for page in PAGES for name in re.findall(r"\{slider\} (\w+)", text(page))}
    assert used == set(td_sliders.NAMES)
    started = set(re.findall(r"(\w+): \w+", " ".join(re.findall(r"start\(\{([^}]*)\}\)", scripts))))
    assert started == used


def test_tables_sort_numbers_as_pages_write_them():
    scripts = Scripts(text(BOOK / "_static/tables.js"))

    def number(cell):
        return scripts(f"tdTables.numberOf({json.dumps(cell)})")

    for cell, value in {
        "1.49 [1.45, 1.53]": 1.49, " −0.4": -0.4, "12 %": 12, "1,024": 1024, "2.5e-3": 0.0025, "0.5 ± 20%": 0.5,
        "1.50\n[1.48, 1.49] (n = 2 seeds)": 1.5, "50 Hz": 50, "<0.01": 0.01, ".5": 0.5,
    }.items():  # fmt: skip
        assert number(cell) == pytest.approx(value), cell
    for cell in ("baseline, 20 Hz", "", "–", "3d", "v1"):
        assert number(cell) is None, cell

    def ordered(cells, direction):
        return scripts(f"{json.dumps(cells)}.sort(function (a, b) {{ return tdTables.compare(a, b, {direction}); }})")

    cells = ["10 [9, 11]", "–", "9.5", "−3", "not finite"]
    assert ordered(cells, 1)[:3] == ["−3", "9.5", "10 [9, 11]"]
    assert ordered(cells, -1)[:3] == ["10 [9, 11]", "9.5", "−3"]  # cells without a value stay last
    assert scripts("tdTables.matches('Baseline, 20 Hz', '20 base')") is True
    assert scripts("tdTables.matches('baseline, 20 Hz', '50')") is False


def test_formulas_in_excerpts_of_a_search_are_readable():
    scripts = Scripts(text(BOOK / "_static/search.js"))
    for latex, words in {
        r"x + (\Delta/h)(\Phi_h(x,a) - x)": "x + (Δ/h)(Φ_h(x,a) - x)",
        r"\left|\,1 - \frac{h}{\Delta}\,\right|": "| 1 - h/Δ |",
        r"\lVert \hat x' - x' \rVert": "‖x' - x' ‖",
        r"\begin{aligned} a &= \tfrac12 \\ b &= \sqrt{h\,\Delta t} \end{aligned}": "a = 1/2 b = √h Δt",
    }.items():
        assert scripts(f"tdSearch.plain({json.dumps(latex)})") == words
    page = r"so it errs by \(|1 - h/\Delta|\), and \[\varphi_h\] is exact; a cut one: \(\Del"
    assert scripts(f"tdSearch.readable({json.dumps(page)})").startswith("so it errs by |1 - h/Δ|, and φ_h is exact")
    for page in PAGES:  # what pages hold leaves no command behind
        for formula in re.findall(r"\$\$(.*?)\$\$|\$([^$\n]+)\$", text(page), re.S):
            assert "\\" not in scripts(f"tdSearch.plain({json.dumps(''.join(formula))})"), page.name


def test_a_figure_has_both_forms_and_one_is_hidden_from_everybody(tmp_path):
    td_figures = pytest.importorskip("td_figures")
    from docutils import nodes

    (tmp_path / "x.png").write_bytes(b"")
    figure = nodes.figure("", nodes.image(uri="x.png", alt="words", width="100%"), nodes.caption("", "c"))
    td_figures.show_both_themes(figure, tmp_path / "x.png")
    assert len(list(figure.findall(nodes.image))) == 1  # no dark form was staged
    (tmp_path / "x.dark.png").write_bytes(b"")
    td_figures.show_both_themes(figure, tmp_path / "x.png")
    light, dark = figure.findall(nodes.image)
    assert (light["uri"], dark["uri"]) == ("x.png", "x.dark.png") and light["alt"] == dark["alt"] == "words"
    assert light["classes"] == ["only-light"] and dark["classes"] == ["only-dark"]
    # the theme hides a caption beside a hidden picture, so the pictures have a box of their own, always shown
    assert figure.children[0]["classes"] == ["td-picture"] and isinstance(figure.children[1], nodes.caption)


def test_first_page_begins_with_the_slider():
    first = text(BOOK / "intro.md")
    assert 0 < first.index("```{slider} pendulum") < 450


def test_nothing_is_fetched_from_elsewhere():
    for path in (BOOK / "_static").rglob("*"):
        if path.suffix not in (".js", ".css", ".html") or "vendor" in path.parts:
            continue
        addresses = set(re.findall(r"https?://[^\s\"')]+", text(path))) - {"http://www.w3.org/2000/svg"}
        assert addresses == set(), f"{path.name} names {addresses}"
        assert "@import" not in text(path) and "fetch(" not in text(path)
    config = yaml.safe_load((ROOT / "_config.yml").read_text())["sphinx"]["config"]
    assert (BOOK / "_static" / config["mathjax_path"]).exists()
    assert config["mathjax3_config"]["options"]["enableMenu"] is False  # the menu of MathJax could load files
    assert config["nb_ipywidgets_js"] == {}
    assert (BOOK / "_static/vendor/mathjax/LICENSE").exists()


def module_exists(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def commands() -> list[str]:
    """List every papermill and make command that a page or the seed map prints."""
    sources = [*PAGES, BOOK / "seed_map.yaml", ROOT / "README.md", ROOT / "Makefile"]
    found = re.findall(r"\b((?:papermill|make) [^`\n#'\"]+)", "\n".join(text(path) for path in sources))
    return sorted({command.strip() for command in found})


def test_papermill_commands_name_notebooks_and_their_parameters():
    checked = 0
    for command in commands():
        if not command.startswith("papermill notebooks/"):
            continue
        words = command.split()
        source = text(ROOT / words[1].replace(".ipynb", ".py"))
        cell = source[source.index('"parameters"') :].split("\n# %%")[0]
        known = set(re.findall(r"^(\w+)(?::[^=]+)? = ", cell, re.M))
        given = {words[i + 1] for i, word in enumerate(words) if word == "-p"}
        assert words[2] == "out.ipynb" and given <= known, f"{command}: parameters are {sorted(known)}"
        smallest = SMALLEST[Path(words[1]).stem]
        assert f"preset: str = {smallest}" in cell, f"{command} must run at the smallest size by default"
        checked += 1
    assert checked >= 8


def test_make_targets_exist():
    targets = set(re.findall(r"^(\w+):", text(ROOT / "Makefile"), re.M))
    named = {command.split()[1] for command in commands() if re.match(r"make [a-z]+( [A-Z]+=|$)", command)}
    assert {"book", "test", "lab", "grid", "published", "edition", "bench"} <= named <= targets


def has_name(module: str, name: str) -> bool:
    """Whether a module of the library has a name, read from its source without importing it."""
    if module_exists(f"{module}.{name}"):
        return True
    if not module_exists(module):
        return False
    source = ast.parse(Path(importlib.util.find_spec(module).origin).read_text(encoding="utf-8"))
    found = set()
    for node in source.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            found.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
            if "*" in found and has_name(node.module, name):
                return True
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            named = [part for target in targets for part in getattr(target, "elts", [target])]
            found |= {target.id for target in named if isinstance(target, ast.Name)}
    return name in found


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.stem)
def test_code_on_pages_parses_and_its_imports_exist(page):
    for block in re.findall(r"```python\n(.*?)```", text(page), re.S):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("tdlib"):
                for alias in node.names:
                    assert has_name(node.module, alias.name), f"from {node.module} import {alias.name}"
            if isinstance(node, ast.Import):
                for alias in node.names:
                    assert module_exists(alias.name), alias.name


def test_readme_takes_its_findings_from_the_published_edition_and_its_citation_from_the_file():
    readme = text(ROOT / "README.md")
    assert readme_block.refreshed(readme, ROOT) == readme, "run `python book/_ext/readme_block.py` to refresh README.md"
    for target in re.findall(r"\]\((?!https?)([^)#]+)\)", readme):
        assert (ROOT / target).exists(), f"README.md links to {target}"


def test_readme_without_an_edition_says_so(tmp_path):
    assert readme_block.findings(tmp_path) == readme_block.NOT_YET
    with pytest.raises(ValueError, match="two markers of its citation"):
        readme_block.replaced("no markers", "citation", "text")


def test_the_citation_in_bibtex_says_what_the_file_says(tmp_path):
    pybtex = pytest.importorskip("pybtex.database")
    kept = yaml.safe_load(text(ROOT / "CITATION.cff"))
    other = kept | {"title": "Another title", "authors": [{"name": "A"}, {"name": "B"}]}
    (tmp_path / "CITATION.cff").write_text(yaml.safe_dump(other), encoding="utf-8")
    for folder, source in ((ROOT, kept), (tmp_path, other)):
        block = readme_block.citation(folder)
        (entry,) = pybtex.parse_string(block.strip("`").removeprefix("bibtex"), "bibtex").entries.values()
        assert entry.fields["title"].strip("{}") == source["title"] and entry.fields["version"] == source["version"]
        assert len(entry.persons["author"]) == len(source["authors"])
